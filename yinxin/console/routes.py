"""The console over HTTP: every section behind one frame."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from fastapi import APIRouter, FastAPI, Response

from authn import cookies
from core.clock import Clock
from yinxin.console.api import ConsoleAPI
from yinxin.console.audit import add_audit
from yinxin.console.bulk import add_bulk
from yinxin.console.certificates import add_certificates
from yinxin.console.clients import add_clients
from yinxin.console.dashboard import add_dashboard
from yinxin.console.forms import Form
from yinxin.console.massrevocations import add_massrevocations
from yinxin.console.organisations import add_organisations
from yinxin.console.pages import ConsolePages, route_class, see_other
from yinxin.console.profiles import add_profiles
from yinxin.console.proposals import add_proposals
from yinxin.console.recoveries import add_recoveries
from yinxin.console.requests import add_requests
from yinxin.console.revocation import add_revocation
from yinxin.console.rights import add_rights
from yinxin.console.session import PREFIX, Asking
from yinxin.console.start import add_start
from yinxin.console.statusnow import StatusNow
from yinxin.console.subjects import add_subjects
from yinxin.console.system import add_system
from yinxin.console.users import add_users
from yinxin.console.zone import COOKIE, ZONES
from yinxin.portal.next_path import own_path
from yinxin.portal.pages import YEAR
from yinxin.portal.routes import constant

_SECTIONS: Final = (
    add_audit,
    add_bulk,
    add_clients,
    add_massrevocations,
    add_organisations,
    add_profiles,
    add_proposals,
    add_recoveries,
    add_revocation,
    add_rights,
    add_start,
    add_subjects,
    add_system,
    add_users,
)


def add_console(app: FastAPI, *, clock: Clock, status_now: StatusNow | None = None) -> None:
    """Add the console to an application that serves the API; its sections follow the routes."""
    api = ConsoleAPI(app)
    app.include_router(make_router(api, ConsolePages(api, clock=clock), status_now))
    style = files("yinxin.console").joinpath("static/console.css")
    app.add_api_route("/static/console.css", constant(style, "text/css"), include_in_schema=False)


def make_router(api: ConsoleAPI, pages: ConsolePages, status_now: StatusNow | None) -> APIRouter:
    """Make the routes of every section."""
    router = APIRouter(prefix=PREFIX, include_in_schema=False, route_class=route_class(pages))
    add_dashboard(router, pages, api)
    add_requests(router, pages, api)
    add_certificates(router, pages, api, status_now)
    for add in _SECTIONS:
        add(router, pages, api)

    @router.post("/zone")
    async def choose_zone(_: Asking, form: Form) -> Response:
        answer = see_other(own_path(form["here"]))
        if form["zone"] in ZONES:
            cookies.set_cookie(answer, COOKIE, form["zone"], max_age=YEAR)
        return answer

    return router
