"""The console over HTTP: every section behind one frame."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from fastapi import APIRouter, FastAPI, Response

from authn import cookies
from core.clock import Clock
from yinxin.console import (
    access,
    audit,
    bulk,
    ceremonies,
    certificates,
    clients,
    dashboard,
    identities,
    massrevocations,
    notices,
    organisations,
    profiles,
    proposals,
    recoveries,
    requests,
    revocation,
    rights,
    sessions,
    signingkeys,
    start,
    statistics,
    subjects,
    system,
    trial,
    users,
)
from yinxin.console.api import ConsoleAPI
from yinxin.console.forms import Form
from yinxin.console.pages import ConsolePages, route_class, see_other
from yinxin.console.session import PREFIX, Asking
from yinxin.console.statusnow import StatusNow
from yinxin.portal.next_path import own_path
from yinxin.portal.pages import YEAR
from yinxin.portal.routes import constant
from yinxin.portal.zone import COOKIE, ZONES

_TEXTS: Final = {
    "audit": audit.TEXTS,
    "bulk": bulk.TEXTS,
    "ceremonies": ceremonies.TEXTS,
    "certificates": certificates.TEXTS,
    "clients": clients.TEXTS,
    "massrevocations": massrevocations.TEXTS,
    "organisations": organisations.TEXTS,
    "profiles": profiles.TEXTS,
    "proposals": proposals.TEXTS,
    "recoveries": recoveries.TEXTS,
    "requests": requests.TEXTS,
    "rights": rights.TEXTS,
    "sessions": sessions.TEXTS,
    "signingkeys": signingkeys.TEXTS,
    "subjects": subjects.TEXTS,
    "users": {**identities.TEXTS, **users.TEXTS},
}
_SECTIONS: Final = (
    audit.add_audit,
    bulk.add_bulk,
    ceremonies.add_ceremonies,
    access.add_access,
    trial.add_trial,
    clients.add_clients,
    massrevocations.add_massrevocations,
    notices.add_notices,
    organisations.add_organisations,
    profiles.add_profiles,
    proposals.add_proposals,
    recoveries.add_recoveries,
    revocation.add_revocation,
    rights.add_rights,
    sessions.add_sessions,
    signingkeys.add_signingkeys,
    start.add_start,
    statistics.add_statistics,
    subjects.add_subjects,
    system.add_system,
    identities.add_identities,
    users.add_users,
)


def add_console(app: FastAPI, *, clock: Clock, status_now: StatusNow | None = None) -> None:
    """Add the console to an application that serves the API; its sections follow the routes."""
    api = ConsoleAPI(app)
    pages = ConsolePages(api, clock=clock, texts=_TEXTS)
    app.router.routes.extend(make_router(api, pages, status_now).routes)
    style = files("yinxin.console").joinpath("static/console.css")
    app.add_api_route("/static/console.css", constant(style, "text/css"), include_in_schema=False)


def make_router(api: ConsoleAPI, pages: ConsolePages, status_now: StatusNow | None) -> APIRouter:
    """Make the routes of every section."""
    router = APIRouter(prefix=PREFIX, include_in_schema=False, route_class=route_class(pages))
    dashboard.add_dashboard(router, pages, api)
    requests.add_requests(router, pages, api)
    certificates.add_certificates(router, pages, api, status_now)
    for add in _SECTIONS:
        add(router, pages, api)

    @router.post("/zone")
    async def choose_zone(_: Asking, form: Form) -> Response:
        answer = see_other(own_path(form["here"]))
        if form["zone"] in ZONES:
            cookies.set_cookie(answer, COOKIE, form["zone"], max_age=YEAR)
        return answer

    return router
