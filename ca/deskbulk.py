"""Rows of a batch at a registration authority: into the outbox, and what came of them.

A row is an act of its own, whose id is the row's: entering it twice is entering it once. A row
without a CSR waits for its subscriber, as any application that was entered without a key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from ca.bulk import Batch, BulkStore, Item, ItemState
from ca.bulkworker import GROUP, Progress, Write
from ca.desk_store import DeskRecord, DeskState, DeskStore
from ca.operations import Operation, Review
from core.audit import AuditLog, Detail
from core.clock import Clock
from core.transaction import Transactions
from keystore.holdersafe import DataKey

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,62}")
_PAGE: Final = 500
_ENDED: Final = {
    DeskState.DONE: ItemState.ISSUED,
    DeskState.REFUSED: ItemState.FAILED,
    DeskState.REJECTED: ItemState.FAILED,
}


class EveryIssuer:
    """Stands for the issuers, which a registration authority does not know: it names one."""

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and _NAME.fullmatch(name) is not None


class EveryReview:
    """The rules of a desk: whatever gives a certificate is reviewed there, once."""

    def needed(self, operation: Operation, profile: str, organisation: str | None) -> Review:  # noqa: ARG002  (all alike)
        """Return that it is."""
        return Review(review=True)


class DeskRows:
    """Enters rows as acts, and follows them (`ca.bulkworker.CarriesOut`)."""

    def __init__(
        self,
        store: BulkStore,
        acts: DeskStore,
        *,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._store = store
        self._acts = acts
        self._transactions = transactions
        self._audit = audit
        self._clock = clock

    def advance(
        self, batch: Batch, *, begin: bool, data_key: DataKey | None, write: Write
    ) -> Progress:
        """Enter the next rows if it may `begin`; else see which the authority has answered."""
        del data_key  # subscribers bring their keys themselves
        fresh: Sequence[Item] = ()
        if begin:
            fresh = self._store.list_items(batch.id, (ItemState.VALID,), limit=GROUP)
        if fresh:
            with self._transactions.transaction():
                write([self._enter(batch, item) for item in fresh])
            return Progress.MORE
        return Progress.WAITS if self._follow(batch, write) else Progress.OVER

    def _enter(self, batch: Batch, item: Item) -> Item:
        keyless = item.spki is None
        record = DeskRecord(
            id=item.request_id,
            state=DeskState.AWAITING_PICKUP if keyless else DeskState.SENT,
            operation=Operation.APPLY,
            profile=batch.profile,
            organisation_id=batch.organisation_id,
            body=item.content or "",
            requester=batch.requester,
            created_at=self._clock.now(),
            decided_by=batch.decided_by,
            decided_at=batch.decided_at,
            keyless=keyless,
            subject=item.subject,
        )
        self._acts.add(record)
        detail: Detail = {
            "request": record.id,
            "operation": record.operation,
            "profile": record.profile,
            "organisation": record.organisation_id,
            "batch": batch.id,
            "row": item.row,
        }
        self._audit.record("desk.entered", actor=batch.requester, detail=detail)
        return replace(item, state=ItemState.AWAITING_PICKUP if keyless else ItemState.STARTED)

    def _follow(self, batch: Batch, write: Write) -> int:
        """Write down what was answered; return how many rows the authority still has."""
        after, open_rows = 0, 0
        while page := self._store.list_items(
            batch.id, (ItemState.STARTED,), after=after, limit=_PAGE
        ):
            after = page[-1].row
            acts = self._acts.find_all([item.request_id for item in page])
            ended = [_ended(item, acts) for item in page if _is_ended(item, acts)]
            if ended:
                write(ended)
            open_rows += len(page) - len(ended)
        return open_rows


def _is_ended(item: Item, acts: Mapping[str, DeskRecord]) -> bool:
    return acts[item.request_id].state in _ENDED


def _ended(item: Item, acts: Mapping[str, DeskRecord]) -> Item:
    act = acts[item.request_id]
    state = _ENDED[act.state]
    return replace(item, state=state, reason=act.comment if state is ItemState.FAILED else None)
