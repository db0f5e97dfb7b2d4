"""Registering applications over HTTP: by themselves (RFC 7591, 7592), and who lets them."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Self

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from authn.oidc.answers import NO_STORE, OAuthRoute
from authn.oidc.dynamicregistration import PATH, InitialToken, InitialTokens, RegistrationEndpoint
from authn.oidc.errors import OAuthError
from authn.routes_roles import System
from core.errors import Malformed
from core.foreignjson import read_json

_MOST_OCTETS = 65_536


class NewInitialToken(BaseModel):
    """Who may register applications, and how many."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=64, examples=["省大数据局"])
    uses: int = Field(default=1, ge=1, le=1000)
    days: int = Field(default=7, ge=1, le=366)


class InitialTokenCreated(BaseModel):
    """The token: it is shown this once."""

    initial_access_token: str


class InitialTokenView(BaseModel):
    """An initial access token, without its secret."""

    id: str
    name: str
    uses_left: int
    created_at: datetime
    expires_at: datetime

    @classmethod
    def of(cls, token: InitialToken) -> Self:
        return cls(
            id=token.id,
            name=token.name,
            uses_left=token.uses_left,
            created_at=token.created_at,
            expires_at=token.expires_at,
        )


async def _document(request: Request) -> Any:
    body = await request.body()
    if len(body) > _MOST_OCTETS:
        raise Malformed(f"client metadata has at most {_MOST_OCTETS} octets")
    return read_json(body, what="the client metadata")


def _bearer(request: Request) -> str:
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise OAuthError("invalid_token", "send the access token as Authorization: Bearer")
    return secret.strip()


Document = Annotated[Any, Depends(_document)]
Bearer = Annotated[str, Depends(_bearer)]


def make_registration_router(registration: RegistrationEndpoint) -> APIRouter:
    """Serve /oidc/register."""
    router = APIRouter(prefix=PATH, tags=["oidc"], route_class=OAuthRoute)

    @router.post("", status_code=HTTPStatus.CREATED)
    def register(document: Document, bearer: Bearer) -> JSONResponse:
        """Register an application with an initial access token (RFC 7591, 3)."""
        answer = registration.register(document, bearer)
        return JSONResponse(answer, HTTPStatus.CREATED, headers=NO_STORE)

    @router.get("/{client_id}")
    def read(client_id: str, bearer: Bearer) -> JSONResponse:
        """Show what is registered (RFC 7592, 2.1)."""
        return JSONResponse(registration.read(client_id, bearer), headers=NO_STORE)

    @router.put("/{client_id}")
    def change(client_id: str, document: Document, bearer: Bearer) -> JSONResponse:
        """Replace what is registered (RFC 7592, 2.2)."""
        answer = registration.change(client_id, document, bearer)
        return JSONResponse(answer, headers=NO_STORE)

    @router.delete("/{client_id}", status_code=HTTPStatus.NO_CONTENT)
    def remove(client_id: str, bearer: Bearer) -> Response:
        """Remove an application (RFC 7592, 2.3)."""
        registration.remove(client_id, bearer)
        return Response(status_code=HTTPStatus.NO_CONTENT, headers=NO_STORE)

    return router


def make_initial_token_api(tokens: InitialTokens) -> APIRouter:
    """Serve /api/v1/registration-tokens."""
    router = APIRouter(prefix="/api/v1/registration-tokens", tags=["clients"])

    @router.post("", status_code=HTTPStatus.CREATED)
    def create(body: NewInitialToken, asking: System, response: Response) -> InitialTokenCreated:
        """Let somebody register applications. The token is in this answer and nowhere else."""
        secret = tokens.create(body.name, uses=body.uses, days=body.days, actor=asking.name)
        response.headers["Cache-Control"] = "no-store"
        return InitialTokenCreated(initial_access_token=secret)

    @router.get("")
    def list_tokens(_asking: System) -> list[InitialTokenView]:
        """List initial access tokens."""
        return [InitialTokenView.of(token) for token in tokens.list_tokens()]

    @router.delete("/{token_id}", status_code=HTTPStatus.NO_CONTENT)
    def revoke(token_id: str, asking: System) -> None:
        """Withdraw an initial access token; what was registered with it stays."""
        tokens.revoke(token_id, actor=asking.name)

    return router
