"""What clients call themselves, over HTTP: token, userinfo, introspection, revocation."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from authn.forms import Fields, form_fields, parse_fields
from authn.oidc.answers import NO_STORE, FormRoute, OAuthRoute, TokenAnswer, error_answer
from authn.oidc.caller import Caller
from authn.oidc.endpoints import Endpoints
from authn.oidc.errors import OAuthError
from authn.oidc.tokenrequest import TokenResponse
from core.errors import Malformed, Unavailable
from core.http import client_certificate, problem_of
from core.plain import Give, Plain, PlainRequest

_FORM: Final = b"application/x-www-form-urlencoded"

FormFields = Annotated[Fields, Depends(form_fields)]


def make_client_router(endpoints: Endpoints, *, origin: str) -> APIRouter:
    """Serve the endpoints; `origin` is where clients see them."""
    router = APIRouter(prefix="/oidc", tags=["oidc"], route_class=FormRoute)

    def caller(request: Request, fields: Fields) -> Caller:
        headers = request.headers
        return Caller(
            fields=fields,
            authorization=_authorization(headers.getlist("authorization")),
            method=request.method,
            url=origin + request.url.path,
            proofs=tuple(headers.getlist("dpop")),
            certificate=client_certificate(request),
        )

    @router.post("/token")
    async def token(request: Request, fields: FormFields) -> JSONResponse:
        """Exchange what was granted for tokens (RFC 6749, 3.2)."""
        answer = await endpoints.carrier.carry(endpoints.tokens.exchange(caller(request, fields)))
        return TokenAnswer(answer, headers=NO_STORE)

    _last_form(router).plain = _plain_token(endpoints, f"{origin}/oidc/token")

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


def _authorization(shown: Sequence[str]) -> str | None:
    if len(shown) > 1:  # which one counts is for nobody between us to guess (RFC 9110, 5.3)
        raise Malformed("there are two Authorization headers")
    return shown[0] if shown else None


def _last_form(router: APIRouter) -> FormRoute:
    route = router.routes[-1]
    assert isinstance(route, FormRoute)  # noqa: S101 - the class of the router's routes
    return route


def _plain_token(endpoints: Endpoints, url: str) -> Plain:
    """Make the plain handler of the token endpoint, for requests without a DPoP proof."""

    def plain(request: PlainRequest, give: Give) -> bool:
        try:
            kind, authorization = request.one(b"content-type"), request.one(b"authorization")
            form = kind is not None and kind.partition(b";")[0].strip().lower() == _FORM
            if not form or request.one(b"dpop") is not None:
                return False
            fields = parse_fields(request.body)
        except (LookupError, Malformed):
            return False  # the route says what is wrong
        caller = Caller(
            fields=fields,
            authorization=None if authorization is None else authorization.decode("latin-1"),
            url=url,
            certificate=request.certificate,
        )

        def given(outcome: TokenResponse | Exception) -> None:
            if not isinstance(outcome, Exception):
                give(TokenAnswer(outcome, headers=NO_STORE))
            elif isinstance(outcome, OAuthError | Malformed | Unavailable):
                give(error_answer(outcome))
            else:
                give(problem_of(outcome, request.request_id))

        endpoints.carrier.begin(endpoints.tokens.exchange(caller), given)
        return True

    return plain
