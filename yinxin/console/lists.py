"""Lists: the next page, and the whole of it as a table for a spreadsheet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import Request, Response

from ca.exports import cell, csv_line
from core.identity import Principal
from yinxin.console.api import ConsoleAPI

MOST_ROWS: Final = 10_000
PAGE: Final = 1000
_BYTE_ORDER_MARK: Final = "\ufeff"
"""Without it Excel takes UTF-8 for the code page of the machine."""


def criteria(request: Request, *names: str) -> dict[str, str]:
    """Return those of the query's parameters that are not empty."""
    given = ((name, request.query_params.get(name, "").strip()) for name in names)
    return {name: value for name, value in given if value}


def address_maker(request: Request) -> Callable[..., str]:
    """Return what makes the address of this list with other parameters; None takes one away."""

    def address(**changes: str | None) -> str:
        query = dict(request.query_params) | changes
        query.pop("lang", None)
        kept = [(name, value) for name, value in query.items() if value]
        return f"{request.url.path}?{urlencode(kept)}" if kept else request.url.path

    return address


async def every_item(
    api: ConsoleAPI, asking: Principal, path: str, query: dict[str, str]
) -> list[dict[str, Any]]:
    """Return all items of a list that pages by cursor: at most 10,000."""
    items: list[dict[str, Any]] = []
    cursor = None
    while len(items) < MOST_ROWS:
        page = await api.get(asking, path, **query, cursor=cursor, limit=PAGE)
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    return items


def as_csv(name: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Response:
    """Answer with a table; nothing in it is a formula to a spreadsheet."""
    lines = [
        csv_line(tuple(cell(None if value is None else str(value)) for value in row))
        for row in (columns, *rows)
    ]
    return Response(
        _BYTE_ORDER_MARK + "".join(lines),
        media_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{name}.csv"',
            "Cache-Control": "no-store",
        },
    )
