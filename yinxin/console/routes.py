"""The console over HTTP: every section behind one frame."""

from __future__ import annotations

from functools import partial
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
    deskcertificates,
    deskstatistics,
    identities,
    logouts,
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
from yinxin.console.queues import AUTHORITY, Queue
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
    "logouts": logouts.TEXTS,
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
_EVERYWHERE: Final = (
    audit.add_audit,
    access.add_access,
    trial.add_trial,
    clients.add_clients,
    proposals.add_proposals,
    rights.add_rights,
    sessions.add_sessions,
    logouts.add_logouts,
    signingkeys.add_signingkeys,
    identities.add_identities,
    users.add_users,
)
_AT_THE_AUTHORITY: Final = (
    bulk.add_bulk,
    ceremonies.add_ceremonies,
    massrevocations.add_massrevocations,
    notices.add_notices,
    organisations.add_organisations,
    profiles.add_profiles,
    recoveries.add_recoveries,
    revocation.add_revocation,
    rights.add_rules,
    statistics.add_statistics,
    subjects.add_subjects,
    system.add_system,
)
_AT_A_DESK: Final = (
    partial(bulk.add_bulk, makes_keys=False),
    deskcertificates.add_desk_certificates,
    deskstatistics.add_desk_statistics,
    organisations.add_branch,
)


def add_console(
    app: FastAPI,
    *,
    clock: Clock,
    queue: Queue = AUTHORITY,
    status_now: StatusNow | None = None,
) -> None:
    """Add the console to an application that serves the API of the authority, or of a desk."""
    api = ConsoleAPI(app)
    pages = ConsolePages(api, clock=clock, texts=_TEXTS, frame="desk" if queue.apart else "console")
    app.router.routes.extend(make_router(api, pages, status_now, queue).routes)
    style = files("yinxin.console").joinpath("static/console.css")
    app.add_api_route("/static/console.css", constant(style, "text/css"), include_in_schema=False)


def make_router(
    api: ConsoleAPI,
    pages: ConsolePages,
    status_now: StatusNow | None = None,
    queue: Queue = AUTHORITY,
) -> APIRouter:
    """Make the routes of every section that a process of this kind has."""
    router = APIRouter(prefix=PREFIX, include_in_schema=False, route_class=route_class(pages))
    for with_queue in (dashboard.add_dashboard, start.add_start, requests.add_requests):
        with_queue(router, pages, api, queue)
    if not queue.apart:
        certificates.add_certificates(router, pages, api, status_now)
    for add in (*_EVERYWHERE, *(_AT_A_DESK if queue.apart else _AT_THE_AUTHORITY)):
        add(router, pages, api)

    @router.post("/zone")
    async def choose_zone(_: Asking, form: Form) -> Response:
        answer = see_other(own_path(form["here"]))
        if form["zone"] in ZONES:
            cookies.set_cookie(answer, COOKIE, form["zone"], max_age=YEAR)
        return answer

    return router
