"""Applications that have not been told yet of the end of sessions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fastapi import APIRouter, Request, Response

from core.identity import Role
from yinxin.console.api import ConsoleAPI, path_of
from yinxin.console.forms import Form
from yinxin.console.lists import address_maker, as_csv, of_those
from yinxin.console.pages import ConsolePages, see_other
from yinxin.console.session import Asking

_SECTION: Final = "logouts"
_PATH: Final = "/api/v1/logout-queue"
_COLUMNS: Final = (
    *("client_id", "name", "waiting", "failed", "attempts", "oldest", "next_at", "fault"),
)

TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "note": (
        "会话结束后，尚未通知到的应用。通知失败会按越来越长的间隔重试，超过设定时限则放弃并记入审计。",
        (
            "Sessions ended, and these applications have not been told yet. They are tried again "
            "after growing pauses, and given up, audited, after the time that is set."
        ),
    ),
    "application": ("应用", "Application"),
    "waiting": ("待通知", "Messages"),
    "failed": ("曾失败", "Failed before"),
    "attempts": ("最多尝试次数", "Attempts at most"),
    "oldest": ("最早的一条", "Since"),
    "next_at": ("下次尝试", "Next attempt"),
    "fault": ("最近一次失败的原因", "Why the last attempt failed"),
    "retry": ("立即重试", "Try now"),
    "drop": ("放弃", "Give up"),
    "ask_drop": (
        "不再通知该应用这些会话已结束；它会等到自己的会话过期。记入审计。",
        (
            "The application is not told of these ends: its own sessions last until it ends "
            "them. This is audited."
        ),
    ),
}


def add_logouts(router: APIRouter, pages: ConsolePages, api: ConsoleAPI) -> None:
    """Add the queue."""

    @router.get("/logouts")
    async def listed(asking: Asking, request: Request) -> Response:
        waiting = await api.get(asking, _PATH)
        if request.query_params.get("format") == "csv":
            return as_csv(_SECTION, _COLUMNS, ([one[c] for c in _COLUMNS] for one in waiting))
        items, cursor = of_those(
            request, waiting, "name", "oldest", "next_at", by="client_id", sort="oldest"
        )
        return pages.page(
            "logouts.html",
            request,
            section=_SECTION,
            texts=TEXTS,
            items=items,
            cursor=cursor,
            address=address_maker(request),
            acts=asking.role is Role.SYSTEM,
        )

    @router.post("/logouts/{client_id}/retry")
    async def retry(asking: Asking, client_id: str, _: Form) -> Response:
        await api.post(asking, path_of("logout-queue", client_id, "retry"))
        return see_other("/console/logouts?done=1")

    @router.post("/logouts/{client_id}/drop")
    async def drop(asking: Asking, client_id: str, _: Form) -> Response:
        await api.post(asking, path_of("logout-queue", client_id, "drop"))
        return see_other("/console/logouts?done=1")
