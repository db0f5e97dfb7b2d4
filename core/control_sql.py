"""`core.control_store.ProposalStore` in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, insert, select
from sqlalchemy import update as sql_update
from sqlalchemy.exc import IntegrityError

from core.control_store import Act, Approval, Proposal, ProposalState, digest_of
from core.control_tables import proposal_approvals, proposals
from core.db import Database
from core.errors import Conflict
from core.sqllisting import Sorting, row_of

_P = proposals.c
_OPEN: Final = (ProposalState.PROPOSED, ProposalState.APPROVED)


_SORTING: Final = Sorting(
    _P.number, created=_P.number, act=_P.act, state=_P.state, requester=_P.requester
)


class SQLProposalStore:
    """Proposals and their approvals on one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_proposal(self, proposal: Proposal) -> None:
        values = asdict(proposal) | {"digest": digest_of(proposal.act, proposal.parameters)}
        del values["approvals"]
        with self._database.transaction() as connection:
            connection.execute(insert(proposals).values(values))

    def find_proposal(self, proposal_id: str, *, lock: bool = False) -> Proposal | None:
        statement = select(proposals).where(_P.id == proposal_id)
        found = self._all(statement.with_for_update() if lock else statement)
        return found[0] if found else None

    def find_open(self, act: Act, digest: str) -> Sequence[Proposal]:
        return self._all(
            select(proposals)
            .where(_P.digest == digest, _P.act == act, _P.state.in_(_OPEN))
            .order_by(_P.number)
        )

    def list_proposals(
        self,
        *,
        state: ProposalState | None,
        act: Act | None,
        now: datetime,
        limit: int,
        sort: str | None = None,
        after: str | None = None,
    ) -> Sequence[Proposal]:
        statement = _SORTING.page(select(proposals), sort, row_of(_P.id, after)).limit(limit)
        if act is not None:
            statement = statement.where(_P.act == act)
        if state is ProposalState.EXPIRED:
            over = _P.state.in_(_OPEN) & (_P.expires_at <= now)
            statement = statement.where((_P.state == state) | over)
        elif state in _OPEN:
            statement = statement.where(_P.state == state, _P.expires_at > now)
        elif state is not None:
            statement = statement.where(_P.state == state)
        return self._all(statement)

    def list_unfinished(self) -> Sequence[Proposal]:
        return self._all(select(proposals).where(_P.state.in_(_OPEN)).order_by(_P.number))

    def add_approval(self, proposal_id: str, officer: str, *, at: datetime) -> None:
        try:
            with self._database.transaction() as connection, connection.begin_nested():
                connection.execute(
                    insert(proposal_approvals).values(
                        proposal_id=proposal_id, officer=officer, at=at
                    )
                )
        except IntegrityError as error:
            raise Conflict(f"{officer} has approved this proposal already") from error

    def change_proposal(
        self,
        proposal_id: str,
        state: ProposalState,
        *,
        expected: tuple[ProposalState, ...],
        at: datetime,
        outcome: str | None,
    ) -> bool:
        with self._database.transaction() as connection:
            changed = connection.execute(
                sql_update(proposals)
                .where(_P.id == proposal_id, _P.state.in_(expected))
                .values(state=state, decided_at=at, outcome=outcome)
            )
            return changed.rowcount == 1

    def _all(self, statement: Select[Any]) -> list[Proposal]:
        approvals = proposal_approvals.c
        with self._database.reading() as connection:
            rows = connection.execute(statement).all()
            given = connection.execute(
                select(proposal_approvals)
                .where(approvals.proposal_id.in_([row.id for row in rows]))
                .order_by(approvals.at, approvals.officer)
            ).all()
        by_proposal: dict[str, list[Approval]] = {}
        for row in given:
            by_proposal.setdefault(row.proposal_id, []).append(Approval(row.officer, row.at))
        return [_proposal(row, tuple(by_proposal.get(row.id, ()))) for row in rows]


def _proposal(row: Any, approvals: tuple[Approval, ...]) -> Proposal:
    return Proposal(
        id=row.id,
        act=Act(row.act),
        state=ProposalState(row.state),
        parameters=row.parameters,
        summary=row.summary,
        requester=row.requester,
        needed=row.needed,
        created_at=row.created_at,
        expires_at=row.expires_at,
        decided_at=row.decided_at,
        outcome=row.outcome,
        approvals=approvals,
    )
