"""Statistics: certificates by branch, profile, state and month, drawn and as a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from yinxin.console.api import ConsoleAPI, path_of
from yinxin.console.chart import HEIGHT, WIDTH, Chart, bars
from yinxin.console.lists import address_maker, as_csv, criteria
from yinxin.console.pages import ConsolePages
from yinxin.console.places import places_for
from yinxin.console.session import Asking

_SECTION: Final = "statistics"
_COLUMNS: Final = ("name", "profile", "measure", "state", "month", "count")
_BY_MONTH: Final = ("issued", "revoked", "expiring")

TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "organisation": ("机构（含下级）", "Organisation (and all below)"),
    "profile": ("证书模板", "Profile"),
    "first": ("从（年-月）", "From (year-month)"),
    "last": ("至（年-月）", "To (year-month)"),
    "states": ("当前状态", "States now"),
    "branch": ("机构", "Branch"),
    "count": ("数量", "Count"),
    "issued": ("每月签发", "Issued by month"),
    "revoked": ("每月吊销", "Revoked by month"),
    "expiring": ("每月到期", "Ending by month"),
    "total": ("合计", "in all"),
    "most": ("最多", "at most"),
    "operation": ("业务", "Operation"),
    "entered_note": (
        "按录入时间统计本受理点的业务及其结果。",
        "What was entered at this desk in these months, and what became of it.",
    ),
    "months_note": ("按 UTC 月份统计。", "Months are UTC."),
}


def add_statistics(router: APIRouter, pages: ConsolePages, api: ConsoleAPI) -> None:
    """Add the page."""

    @router.get("/statistics")
    async def counted(asking: Asking, request: Request) -> Response:
        query = criteria(request, "organisation", "profile", "first", "last")
        found = await api.get(asking, path_of("statistics"), **query)
        if request.query_params.get("format") == "csv":
            lines = ([one[column] for column in _COLUMNS] for one in found["counts"])
            return as_csv(_SECTION, _COLUMNS, lines)
        places = await places_for(api, request, [found["organisation"]])
        profiles = await api.get(asking, path_of("profiles"))
        return pages.page(
            "statistics.html",
            request,
            section=_SECTION,
            texts=TEXTS,
            found=found,
            given=query,
            states=_states(found["counts"]),
            charts={name: _chart(found, name) for name in _BY_MONTH},
            size=(WIDTH, HEIGHT),
            places=places,
            profiles=[(one["name"], one["title"]) for one in profiles],
            address=address_maker(request),
        )


def _states(counts: Iterable[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    return [one for one in counts if one["measure"] == "state"]


def _chart(found: Mapping[str, Any], measure: str) -> Chart:
    """Draw every month of the period, those without a certificate too."""
    year, month = map(int, found["first"].split("-"))
    months: dict[str, int] = {}
    while (name := f"{year:04d}-{month:02d}") <= found["last"]:
        months[name] = 0
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    for one in found["counts"]:
        if one["measure"] == measure and one["month"] in months:
            months[one["month"]] += one["count"]
    return bars(list(months.items()))
