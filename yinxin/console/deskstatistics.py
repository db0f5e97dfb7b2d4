"""Statistics of a desk apart: what was entered in some months, and what became of it."""

from __future__ import annotations

from collections import Counter
from typing import Final

from fastapi import APIRouter, Request, Response

from yinxin.console.api import ConsoleAPI, path_of
from yinxin.console.lists import address_maker, as_csv, criteria, every_item
from yinxin.console.pages import ConsolePages
from yinxin.console.queues import DESK
from yinxin.console.session import Asking
from yinxin.console.statistics import TEXTS

_SECTION: Final = "statistics"
_COLUMNS: Final = ("organisation", "operation", "profile", "state", "count")


def add_desk_statistics(router: APIRouter, pages: ConsolePages, api: ConsoleAPI) -> None:
    """Add the page."""

    @router.get("/statistics")
    async def counted(asking: Asking, request: Request) -> Response:
        query = criteria(request, "first", "last")
        found = await api.get(asking, path_of("statistics"), **query)
        places = await every_item(api, asking, path_of("organisations"), {})
        names = {one["id"]: one["name"] for one in places}
        # What was entered for no organisation is the whole branch's.
        names[None] = next((one["name"] for one in places if not one["parent"]), "—")
        lines = [
            {**one, "name": names.get(one["organisation"], one["organisation"])}
            for one in found["counts"]
        ]
        if request.query_params.get("format") == "csv":
            columns = ("name", *_COLUMNS)
            return as_csv(_SECTION, columns, ([one[c] for c in columns] for one in lines))
        totals: Counter[str] = Counter()
        for one in lines:
            totals[one["state"]] += one["count"]
        return pages.page(
            "desk_statistics.html",
            request,
            section=_SECTION,
            texts=TEXTS,
            found=found,
            lines=lines,
            totals=[(state, totals[state]) for state in DESK.states if totals[state]],
            address=address_maker(request),
        )
