"""Lists: the next page, and the whole of it as a table for a spreadsheet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import Request, Response

from ca.exports import cell, csv_line
from core.identity import Principal
from core.listing import page_of
from yinxin.console.api import ConsoleAPI, path_of
from yinxin.console.session import signed_in

MOST_ROWS: Final = 10_000
PAGE: Final = 1000
SHOWN: Final = 50
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


async def a_page(
    api: ConsoleAPI, request: Request, path: str, query: dict[str, str]
) -> tuple[list[dict[str, Any]], str | None]:
    """Return a page of a list that pages by cursor, and the cursor to go on with."""
    cursor = request.query_params.get("cursor") or None
    page = await api.get(signed_in(request), path, **query, cursor=cursor, limit=SHOWN)
    return page["items"], page["next_cursor"]


async def some_items(
    api: ConsoleAPI, request: Request, path: str, query: dict[str, str], *, by: str = "id"
) -> tuple[list[dict[str, Any]], str | None]:
    """Return a page of a list that pages behind an identifier, and the one to go on behind."""
    after = request.query_params.get("cursor") or None
    items = await api.get(signed_in(request), path, **query, after=after, limit=SHOWN + 1)
    return items[:SHOWN], str(items[SHOWN - 1][by]) if len(items) > SHOWN else None


def of_those(
    request: Request, items: list[dict[str, Any]], *names: str, by: str, sort: str | None = None
) -> tuple[list[dict[str, Any]], str | None]:
    """Return a page of a list that the API gives as a whole, because it is short.

    By one of `names`, `sort` if none is asked for; with the identifier to go on behind.
    """
    keys = {name: _text_of(name) for name in names}
    sort, after = request.query_params.get("sort") or sort, request.query_params.get("cursor")
    text = request.query_params.get("text", "").lower()
    found = [one for one in items if text in " ".join(map(str, one.values())).lower()]
    page = page_of(found, keys, lambda one: str(one[by]), sort, after or None)
    return page[:SHOWN], str(page[SHOWN - 1][by]) if len(page) > SHOWN else None


def _text_of(name: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda one: str(one[name] or "")


async def all_items(
    api: ConsoleAPI, asking: Principal, path: str, query: dict[str, str], *, by: str = "id"
) -> list[dict[str, Any]]:
    """Return all items of such a list: at most 10,000."""
    items: list[dict[str, Any]] = []
    while len(items) < MOST_ROWS:
        after = items[-1][by] if items else None
        page = await api.get(asking, path, **query, after=after, limit=PAGE)
        items += page
        if len(page) < PAGE:
            break
    return items


async def issuer_choices(api: ConsoleAPI, asking: Principal) -> list[tuple[str, str]]:
    """Return the issuers that a requester names, with how they sign as far as that is known."""
    found = []
    for one in await api.get(asking, path_of("issuers")):
        if one.get("kind", "issuing") == "issuing" and not one.get("succeeds"):
            signs = one.get("signature_algorithm")
            found.append((one["name"], f"{one['name']} ({signs})" if signs else one["name"]))
    return found


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
