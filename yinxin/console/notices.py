"""Expiry notices: who was told what, and what could not be told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fastapi import APIRouter, Request, Response

from ca.notices import NoticeState
from yinxin.console.api import ConsoleAPI
from yinxin.console.lists import a_page, address_maker, as_csv, criteria, every_item
from yinxin.console.pages import ConsolePages
from yinxin.console.session import Asking

_SECTION: Final = "notices"
_PATH: Final = "/api/v1/notices"
_COLUMNS: Final = ("id", "subject", "not_after", "days", "channel", "state", "attempts", "sent_at")

TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "subject": ("证书", "Certificate"),
    "not_after": ("有效期止", "Valid until"),
    "days": ("提前天数", "Days ahead"),
    "channel": ("方式", "By"),
    "attempts": ("次数", "Attempts"),
    "due_at": ("应发时间", "Due"),
    "sent_at": ("发出时间", "Sent"),
}


def add_notices(router: APIRouter, pages: ConsolePages, api: ConsoleAPI) -> None:
    """Add the list."""

    @router.get("/notices")
    async def listed(asking: Asking, request: Request) -> Response:
        query = criteria(request, "state", "sort")
        if request.query_params.get("format") == "csv":
            items = await every_item(api, asking, _PATH, query)
            return as_csv(_SECTION, _COLUMNS, ([one[c] for c in _COLUMNS] for one in items))
        items, cursor = await a_page(api, request, _PATH, query)
        return pages.page(
            "notices.html",
            request,
            section=_SECTION,
            texts=TEXTS,
            items=items,
            cursor=cursor,
            states=[str(one) for one in NoticeState],
            given=query,
            address=address_maker(request),
        )
