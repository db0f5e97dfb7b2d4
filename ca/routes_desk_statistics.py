"""HTTP for statistics (统计) at the desk of a registration authority: its own acts, counted."""

from __future__ import annotations

from typing import Annotated, Self

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict

from ca.desk import Desk
from ca.desk_store import DeskCount, DeskState
from ca.exports import TABLE_TYPES, cell, csv_line
from ca.operations import Operation
from ca.rights import Rights
from ca.statistics import period
from ca.wire import Reader, problems, scope_of
from core.clock import Clock

_Month = Annotated[str | None, Query(max_length=7, examples=["2026-11"])]


class DeskCountView(BaseModel):
    """So many acts of an organisation and a profile."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    organisation: str | None
    """None: the whole branch, of certificates that were not given here."""
    operation: Operation
    profile: str | None
    state: DeskState
    count: int

    @classmethod
    def of(cls, count: DeskCount) -> Self:
        """Show a line."""
        return cls(
            organisation=count.organisation_id,
            operation=count.operation,
            profile=count.profile,
            state=count.state,
            count=count.count,
        )


class DeskStatisticsView(BaseModel):
    """What was entered in some months, and what became of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first: str
    last: str
    counts: tuple[DeskCountView, ...]


def add_desk_statistics(router: APIRouter, desk: Desk, rights: Rights, *, clock: Clock) -> None:
    """Add ``/statistics`` to `router`."""

    @router.get(
        "/statistics",
        tags=["statistics"],
        summary="Count the acts of this desk by organisation, operation, profile and state",
        description="Of what was entered in these months (UTC); by default the last twelve. "
        "`format=csv`: the same lines.",
        response_model=DeskStatisticsView,
        responses={200: {"content": {TABLE_TYPES["csv"]: {}}}, **problems(422)},
    )
    def count(
        asking: Reader,
        *,
        first: _Month = None,
        last: _Month = None,
        format: Annotated[str, Query(pattern="^(json|csv)$")] = "json",  # noqa: A002 - wire name
    ) -> DeskStatisticsView | Response:
        begin, end = period(first, last, now=clock.now())
        scope = scope_of(asking, rights, Operation.STATISTICS)
        found = desk.count(first=begin.begin, until=end.plus(1).begin, scope=scope)
        counts = tuple(DeskCountView.of(line) for line in found)
        if format == "json":
            return DeskStatisticsView(first=str(begin), last=str(end), counts=counts)
        return _table(counts)


def _table(counts: tuple[DeskCountView, ...]) -> Response:
    lines = [csv_line(tuple(DeskCountView.model_fields))]
    for count in counts:
        values = count.model_dump(mode="json").values()
        lines.append(csv_line(tuple(cell(None if v is None else str(v)) for v in values)))
    return Response(
        "".join(lines),
        media_type=TABLE_TYPES["csv"],
        headers={"Content-Disposition": 'attachment; filename="statistics.csv"'},
    )
