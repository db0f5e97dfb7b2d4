"""Logging in by another system, and tying its identity to one's own account."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response

from authn import cookies
from authn.assembly import Provider
from authn.forms import field
from authn.store import User
from authn.upstream.links import UPSTREAM, Claimed
from authn.upstream.login import WRONG
from authn.upstream.openid import OpenIDSource, Visit, cookie_name
from core.errors import Conflict, NotFound, Unauthenticated, Unavailable
from yinxin.portal.destination import destination
from yinxin.portal.next_path import own_path
from yinxin.portal.pages import PortalPages
from yinxin.portal.routes_factors import FRESH, PATH
from yinxin.portal.visit import Form, enter, fresh, go, signed_in

T = TypeVar("T")


def add_upstreams(router: APIRouter, provider: Provider, pages: PortalPages) -> None:
    """Add the doors to other systems."""
    _add_openid(router, provider, pages)
    _add_directories(router, provider, pages)
    _add_links(router, provider, pages)


def _add_openid(router: APIRouter, provider: Provider, pages: PortalPages) -> None:
    upstreams = provider.upstreams

    @router.get("/login/upstream/{name}")
    def depart(name: str, request: Request) -> Response:
        next_path = own_path(request.query_params.get("next", ""))
        try:
            return _depart(_known(upstreams.openid, name), next_path)
        except Unavailable:
            return away(request, next_path)

    @router.get("/login/upstream/{name}/callback")
    def arrive(name: str, request: Request) -> Response:
        source = _known(upstreams.openid, name)
        answer = dict(request.query_params)
        kept = cookie_name(answer.get("state", ""))
        cookie = request.cookies.get(kept, "")
        next_path = source.way_of(cookie) or "/"
        try:
            visit, claimed = source.arrive(answer, cookie)
            if visit.user_id is None:
                response = _enter(request, provider, source, visit, claimed)
            else:
                upstreams.links.link(_same_person(request, provider, visit.user_id), claimed)
                response = go(f"{PATH}?done=tied")
        except Unavailable:
            response = away(request, next_path)
        except (Unauthenticated, Conflict) as error:
            response = pages.message(
                request,
                "upstream_refused",
                status=HTTPStatus.UNAUTHORIZED,
                detail=str(error),
                then=f"/login?{urlencode({'next': next_path})}",
            )
        cookies.clear_cookie(response, kept)
        return response

    def away(request: Request, next_path: str) -> Response:
        then = f"/login?{urlencode({'next': next_path})}"
        status = HTTPStatus.SERVICE_UNAVAILABLE
        return pages.message(request, "upstream_away", status=status, then=then)


def _enter(
    request: Request, provider: Provider, source: OpenIDSource, visit: Visit, claimed: Claimed
) -> Response:
    user = provider.upstreams.links.admit(
        claimed, provision=source.config.provision, address=cookies.address_of(request)
    )
    return enter(request, provider, user, UPSTREAM, visit.next_path)


def _same_person(request: Request, provider: Provider, user_id: str) -> User:
    _, user = signed_in(request, provider)
    if user.id != user_id:
        raise Unauthenticated("somebody else is signed in now")
    return user


def _depart(source: OpenIDSource, next_path: str, *, user_id: str | None = None) -> Response:
    departure = source.depart(next_path, user_id=user_id)
    response = go(departure.location)
    cookies.set_cookie(response, departure.cookie_name, departure.cookie, max_age=900)
    return response


def _add_directories(router: APIRouter, provider: Provider, pages: PortalPages) -> None:
    upstreams = provider.upstreams

    @router.get("/login/directory/{name}")
    def form(name: str, request: Request) -> Response:
        return draw(request, name, own_path(request.query_params.get("next", "")))

    @router.post("/login/directory/{name}")
    def log_in(name: str, request: Request, fields: Form) -> Response:
        cookies.require_csrf(request, field(fields, "csrf"))
        next_path, typed = own_path(field(fields, "next")), field(fields, "name")
        try:
            user = upstreams.by_directory(
                _known(upstreams.directories, name),
                typed,
                field(fields, "password"),
                address=cookies.address_of(request),
            )
        except Unauthenticated as error:
            return draw(request, name, next_path, typed, str(error))
        except Unavailable:
            status = HTTPStatus.SERVICE_UNAVAILABLE
            return draw(request, name, next_path, typed, away=True, status=status)
        return enter(request, provider, user, UPSTREAM, next_path)

    def draw(
        request: Request,
        name: str,
        next_path: str,
        typed: str = "",
        fault: str | None = None,
        *,
        away: bool = False,
        status: HTTPStatus = HTTPStatus.OK,
    ) -> Response:
        return pages.page(
            "directory.html",
            request,
            status=status if fault is None else HTTPStatus.UNAUTHORIZED,
            away=away,
            leaves=True,
            source=_known(upstreams.directories, name).config,
            next_path=next_path,
            application=destination(request, provider, next_path),
            name=typed,
            fault=fault,
            wrong=fault == WRONG,
            locks=provider.passwords.locks,
        )


def _add_links(router: APIRouter, provider: Provider, pages: PortalPages) -> None:
    upstreams = provider.upstreams

    @router.post(PATH + "/upstream/{name}")
    def link(name: str, request: Request, fields: Form) -> Response:
        cookies.require_csrf(request, field(fields, "csrf"))
        _, user = fresh(request, provider, within=FRESH, back=PATH)
        try:
            if name in upstreams.openid:
                return _depart(upstreams.openid[name], PATH, user_id=user.id)
            directory = _known(upstreams.directories, name)
            address = cookies.address_of(request)
            typed, password = field(fields, "name"), field(fields, "password")
            claimed, _ = upstreams.prove(directory, typed, password, address=address)
        except Unauthenticated as error:
            return not_tied(request, "upstream_not_tied", HTTPStatus.UNAUTHORIZED, str(error))
        except Unavailable:
            return not_tied(request, "upstream_away", HTTPStatus.SERVICE_UNAVAILABLE)
        upstreams.links.link(user, claimed)
        return go(f"{PATH}?done=tied")

    def not_tied(
        request: Request, word: str, status: HTTPStatus, detail: str | None = None
    ) -> Response:
        return pages.message(
            request, word, status=status, detail=detail, then=PATH, leads="security"
        )

    @router.post(PATH + "/upstream/{name}/unlink")
    def unlink(name: str, request: Request, fields: Form) -> Response:
        cookies.require_csrf(request, field(fields, "csrf"))
        _, user = fresh(request, provider, within=FRESH, back=PATH)
        upstreams.links.unlink(user, name)
        return go(f"{PATH}?done=untied")


def _known(sources: Mapping[str, T], name: str) -> T:
    try:
        return sources[name]
    except KeyError as error:
        raise NotFound("there is no such sign-in here") from error
