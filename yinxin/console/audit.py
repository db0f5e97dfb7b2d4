"""The audit explorer: events, and whether the chain is whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from yinxin.console.api import ConsoleAPI, path_of
from yinxin.console.lists import address_maker, all_items, as_csv, criteria, some_items
from yinxin.console.pages import ConsolePages
from yinxin.console.session import Asking
from yinxin.console.words_audit import EVENTS

_SECTION: Final = "audit"
_EVENTS: Final = "/api/v1/audit/events"
_BY: Final = "sequence"
_NEWEST: Final = "-sequence"
_COLUMNS: Final = ("sequence", "at", "action", "actor", "detail", "hash")

TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "sequence": ("序号", "Number"),
    "action": ("事件", "Event"),
    "hash": ("SM3 摘要", "SM3 hash"),
    "verify": ("验证审计链", "Verify the chain"),
    "whole": ("审计链完整", "The chain is whole"),
    "broken": ("审计链有问题", "The chain is not whole"),
    "rows": ("行数", "Rows"),
    "checkpoints": ("已签名的检查点", "Signed checkpoints"),
    "first_bad": ("第一处问题", "First bad row"),
    "action_note": ("如 login.failed", "such as login.failed"),
    **{f"event_{name}": (said, name) for name, said in EVENTS.items()},
}


def add_audit(router: APIRouter, pages: ConsolePages, api: ConsoleAPI) -> None:
    """Add the audit explorer."""

    @router.get("/audit")
    async def events(asking: Asking, request: Request) -> Response:
        query = criteria(request, "action", "actor", "sort")
        query.setdefault("sort", _NEWEST)
        if request.query_params.get("format") == "csv":
            rows = await all_items(api, asking, _EVENTS, query, by=_BY)
            return as_csv(_SECTION, _COLUMNS, (_line(one) for one in rows))
        items, cursor = await some_items(api, request, _EVENTS, query, by=_BY)
        return _draw(request, items, query, None, cursor)

    @router.get("/audit/verification")
    async def verify(asking: Asking, request: Request) -> Response:
        verdict = await api.get(asking, path_of("audit", "verification"))
        return _draw(request, [], {}, verdict, None)

    def _draw(
        request: Request,
        items: list[dict[str, Any]],
        given: Mapping[str, str],
        verdict: Mapping[str, Any] | None,
        cursor: str | None,
    ) -> Response:
        return pages.page(
            "audit.html",
            request,
            section=_SECTION,
            texts=TEXTS,
            items=items,
            cursor=cursor,
            given=given,
            verdict=verdict,
            newest=_NEWEST,
            address=address_maker(request),
        )


def _line(event: Mapping[str, Any]) -> list[object]:
    detail = json.dumps(event["detail"], ensure_ascii=False)
    return [detail if column == "detail" else event[column] for column in _COLUMNS]
