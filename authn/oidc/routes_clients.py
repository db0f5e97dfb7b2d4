"""What clients call themselves, over HTTP: token, userinfo, introspection, revocation."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from authn.forms import Fields, form_fields
from authn.oidc.answers import NO_STORE, FormRoute, OAuthRoute
from authn.oidc.caller import Caller
from authn.oidc.endpoints import Endpoints
from core.http import client_certificate

FormFields = Annotated[Fields, Depends(form_fields)]


def make_client_router(endpoints: Endpoints, *, origin: str) -> APIRouter:
    """Serve the endpoints; `origin` is where clients see them."""
    router = APIRouter(prefix="/oidc", tags=["oidc"], route_class=FormRoute)

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
    async def token(request: Request, fields: FormFields) -> JSONResponse:
        """Exchange what was granted for tokens (RFC 6749, 3.2)."""
        answer = await endpoints.carrier.carry(endpoints.tokens.exchange(caller(request, fields)))
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

    @router.post("/par", status_code=HTTPStatus.CREATED)
    def push(request: Request, fields: FormFields) -> JSONResponse:
        """Take an authorization request ahead of the browser (RFC 9126)."""
        answer = endpoints.pushed.push(caller(request, fields))
        return JSONResponse(answer, HTTPStatus.CREATED, headers=NO_STORE)

    @router.post("/device_authorization")
    def begin(request: Request, fields: FormFields) -> JSONResponse:
        """Give codes to a device without a browser (RFC 8628, 3.1)."""
        answer = endpoints.device_authorization.begin(caller(request, fields))
        return JSONResponse(answer, headers=NO_STORE)

    def userinfo(request: Request) -> JSONResponse:
        """Return claims about the user (OIDC Core, 5.3)."""
        return JSONResponse(endpoints.userinfo.claims(caller(request, ())), headers=NO_STORE)

    async def userinfo_by_post(request: Request) -> JSONResponse:
        """Return claims about the user; the token may be in the form (RFC 6750, 2.2)."""
        fields = await form_fields(request) if request.headers.get("content-type") else ()
        answer = await run_in_threadpool(endpoints.userinfo.claims, caller(request, fields))
        return JSONResponse(answer, headers=NO_STORE)

    for method, endpoint in (("GET", userinfo), ("POST", userinfo_by_post)):
        router.add_api_route(
            "/userinfo", endpoint, methods=[method], route_class_override=OAuthRoute
        )
    return router
