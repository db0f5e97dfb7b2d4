"""HTTP for statistics: counts of certificates as JSON or CSV."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict

from ca.exports import TABLE_TYPES, cell, csv_line
from ca.operations import Operation
from ca.organisations import Organisations
from ca.overview import Overview, Overviews
from ca.rights import Rights
from ca.statistics import Count, Measure, StatisticsQuery, StatisticsSource, period
from ca.wire import Reader, problems, scope_of
from core.clock import Clock
from core.identity import Principal, Role

_Month = Annotated[str | None, Query(max_length=7, examples=["2026-11"])]


class CountView(BaseModel):
    """One line: so many certificates of a branch and a profile."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    organisation: str
    name: str
    profile: str
    measure: Measure
    state: str | None
    month: str | None
    count: int

    @classmethod
    def of(cls, count: Count) -> Self:
        """Show a line."""
        return cls(
            organisation=count.organisation,
            name=count.name,
            profile=count.profile,
            measure=count.measure,
            state=count.state,
            month=count.month,
            count=count.count,
        )


class OverviewView(BaseModel):
    """How many certificates hold, and how many end soon."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: datetime
    """When they were counted: at most a minute ago."""
    valid: int
    held: int
    revoked: int
    expired: int
    expiring: dict[int, int]
    """By days ahead, of those that are valid or held."""

    @classmethod
    def of(cls, overview: Overview) -> Self:
        """Show an overview."""
        return cls(
            at=overview.at,
            valid=overview.valid,
            held=overview.held,
            revoked=overview.revoked,
            expired=overview.expired,
            expiring=dict(overview.expiring),
        )


class StatisticsView(BaseModel):
    """What was counted, and how much of it there is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    organisation: str
    first: str
    last: str
    counts: tuple[CountView, ...]


def add_statistics_routes(
    router: APIRouter,
    statistics: StatisticsSource,
    organisations: Organisations,
    rights: Rights,
    *,
    clock: Clock,
) -> None:
    """Add ``/statistics`` to `router`."""

    def place(asking: Principal, organisation: str | None) -> str:
        if organisation is not None:
            organisation = organisations.get(organisation).id
        if asking.role is not Role.AUDIT:
            organisation = rights.place(
                asking.name, Operation.STATISTICS, None, organisation=organisation, profile=None
            )
        return organisation or organisations.root().id

    @router.get(
        "/statistics",
        tags=["statistics"],
        summary="Count certificates by branch, profile, state and month",
        description="Each branch directly below `organisation` is one, with all below it. Months "
        "are UTC; by default the last twelve and the next twelve. `format=csv`: the same lines.",
        response_model=StatisticsView,
        responses={200: {"content": {TABLE_TYPES["csv"]: {}}}, **problems(404, 422)},
    )
    def count(
        asking: Reader,
        *,
        organisation: Annotated[str | None, Query(max_length=32)] = None,
        profile: Annotated[str | None, Query(max_length=64)] = None,
        first: _Month = None,
        last: _Month = None,
        format: Annotated[str, Query(pattern="^(json|csv)$")] = "json",  # noqa: A002 - wire name
    ) -> StatisticsView | Response:
        now = clock.now()
        where = place(asking, organisation)
        begin, end = period(first, last, now=now)
        lines = statistics.count(StatisticsQuery(where, begin, end, profile), now=now)
        counts = tuple(CountView.of(line) for line in lines)
        if format == "json":
            return StatisticsView(
                organisation=where, first=str(begin), last=str(end), counts=counts
            )
        return _table(counts)


def add_overview_route(router: APIRouter, overviews: Overviews, rights: Rights) -> None:
    """Add ``/statistics/overview`` to `router`."""

    @router.get(
        "/statistics/overview",
        tags=["statistics"],
        summary="Count what holds and what ends soon, where the caller may look",
        description="Counted at most once a minute.",
        responses=problems(),
    )
    def overview(asking: Reader) -> OverviewView:
        return OverviewView.of(overviews.of(scope_of(asking, rights)))


def _table(counts: tuple[CountView, ...]) -> Response:
    lines = [csv_line(tuple(CountView.model_fields))]
    for count in counts:
        values = count.model_dump(mode="json").values()
        lines.append(csv_line(tuple(cell(None if v is None else str(v)) for v in values)))
    return Response(
        "".join(lines),
        media_type=TABLE_TYPES["csv"],
        headers={"Content-Disposition": 'attachment; filename="statistics.csv"'},
    )
