"""What clients call themselves, over HTTP: token, userinfo, introspection, revocation."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

from authn.forms import Fields, form_fields
from authn.oidc.answers import NO_STORE, OAuthRoute
from authn.oidc.caller import Caller
from authn.oidc.endpoints import ClientEndpoints
from authn.oidc.errors import OAuthError
from core.http import client_certificate

FormFields = Annotated[Fields, Depends(form_fields)]


def make_client_router(endpoints: ClientEndpoints, *, origin: str) -> APIRouter:
    """Serve the endpoints; `origin` is where clients see them."""
    router = APIRouter(prefix="/oidc", tags=["oidc"], route_class=OAuthRoute)

    def caller(request: Request, fields: Fields) -> Caller:
        headers = request.headers
        return Caller(
            fields=fields,
            authorization=headers.get("authorization"),
            method=request.method,
            url=origin + request.url.path,
            proofs=tuple(headers.getlist("dpop")),
            certificate=client_certificate(request),
        )

    @router.post("/token")
    def token(request: Request, fields: FormFields) -> JSONResponse:
        """Exchange what was granted for tokens (RFC 6749, 3.2)."""
        answer = endpoints.tokens.exchange(caller(request, fields))
        return JSONResponse(answer, headers=NO_STORE)

    @router.post("/introspect")
    def introspect(request: Request, fields: FormFields) -> JSONResponse:
        """Say whether a token is good, and what it gives (RFC 7662)."""
        answer = endpoints.introspection.introspect(caller(request, fields))
        return JSONResponse(answer, headers=NO_STORE)

    @router.post("/revoke")
    def revoke(request: Request, fields: FormFields) -> Response:
        """Take a token back (RFC 7009)."""
        endpoints.revocation.revoke(caller(request, fields))
        return Response(headers=NO_STORE)

    @router.get("/userinfo")
    @router.post("/userinfo")
    def userinfo(request: Request) -> JSONResponse:
        """Return claims about the user (OIDC Core, 5.3)."""
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not secret:
            raise OAuthError("invalid_token", "send the access token as Authorization: Bearer")
        return JSONResponse(endpoints.userinfo.claims(secret.strip()), headers=NO_STORE)

    return router
