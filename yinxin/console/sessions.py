"""Who is signed in now, and an end to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fastapi import APIRouter, Request, Response

from core.identity import Role
from yinxin.console.api import ConsoleAPI, path_of
from yinxin.console.forms import Form
from yinxin.console.lists import a_page, address_maker, as_csv, criteria, every_item
from yinxin.console.pages import ConsolePages, see_other
from yinxin.console.session import Asking, session_of

_SECTION: Final = "sessions"
_PATH: Final = "/api/v1/sessions"
_COLUMNS: Final = (
    *("sid", "user", "display_name", "level", "auth_time", "seen_at", "expires_at"),
    "applications",
)

TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "login_name": ("用户名", "User name"),
    "display_name": ("姓名", "Display name"),
    "level": ("登录强度", "Level"),
    "auth_time": ("登录时间", "Signed in"),
    "seen_at": ("最近活动", "Last seen"),
    "expires_at": ("最迟结束", "Ends at the latest"),
    "end": ("结束", "End"),
    "ask_end": (
        "此浏览器立即退出，已进入的应用会收到通知。",
        "This browser is signed out at once, and its applications are told.",
    ),
    "own": ("当前会话", "this one"),
    "client": ("应用标识", "Application (client_id)"),
    "applications": ("已进入的应用", "Applications entered"),
    "end_all": ("结束该应用的全部会话", "End every session in this application"),
    "ask_end_all": (
        "进入过该应用的人立即退出，包括他们的其他应用；各应用会收到通知。",
        "Who entered it is signed out at once, of other applications, too; all are told.",
    ),
}


def add_sessions(router: APIRouter, pages: ConsolePages, api: ConsoleAPI) -> None:
    """Add the list."""

    @router.get("/sessions")
    async def listed(asking: Asking, request: Request) -> Response:
        query = criteria(request, "user", "client", "sort")
        if request.query_params.get("format") == "csv":
            items = await every_item(api, asking, _PATH, query)
            return as_csv(_SECTION, _COLUMNS, ([one[c] for c in _COLUMNS] for one in items))
        items, cursor = await a_page(api, request, _PATH, query)
        return pages.page(
            "sessions.html",
            request,
            section=_SECTION,
            texts=TEXTS,
            items=items,
            cursor=cursor,
            given=query,
            own=session_of(request).sid,
            address=address_maker(request),
            acts=asking.role is Role.SYSTEM,
        )

    @router.post("/sessions/of-application/{client_id}/end")
    async def end_of_application(asking: Asking, client_id: str, _: Form) -> Response:
        await api.post(asking, path_of("sessions", "of-application", client_id, "end"))
        return see_other(f"/console/sessions?client={client_id}&done=1")

    @router.post("/sessions/{sid}/end")
    async def end(asking: Asking, sid: str, _: Form) -> Response:
        await api.ask(asking, "POST", path_of("sessions", sid, "end"))
        return see_other("/console/sessions?done=1")
