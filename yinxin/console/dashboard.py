"""The overview: what waits, what ends soon, and whether the service is well."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from core.identity import Role
from yinxin.console.api import ConsoleAPI, path_of
from yinxin.console.pages import ConsolePages
from yinxin.console.session import Asking

TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "hello": ("您好", "Hello"),
    "waiting": ("待处理", "Waiting"),
    "health": ("健康检查", "Health checks"),
    "remedy": ("处理办法", "What to do"),
    "check": ("检查项", "Check"),
    "says": ("结果", "Result"),
}
_WAITING: Final = ("pending", "reviewed", "awaiting-pickup")
_COUNTED: Final = 100


def add_dashboard(router: APIRouter, pages: ConsolePages, api: ConsoleAPI) -> None:
    """Add the first page."""

    @router.get("")
    async def overview(asking: Asking, request: Request) -> Response:
        waiting: list[tuple[str, str]] = []
        if asking.role in (Role.BUSINESS, Role.AUDIT) and api.serves("/api/v1/requests"):
            for state in _WAITING:
                page = await api.get(asking, path_of("requests"), state=state, limit=_COUNTED)
                more = "+" if page["next_cursor"] else ""
                waiting.append((state, f"{len(page['items'])}{more}"))
        health: Any = None
        if asking.role in (Role.SYSTEM, Role.AUDIT):
            health = await api.get(asking, path_of("health-checks"))
        return pages.page(
            "dashboard.html",
            request,
            section="dashboard",
            texts=TEXTS,
            waiting=waiting,
            health=health,
        )
