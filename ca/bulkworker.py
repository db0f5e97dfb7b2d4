"""The background of bulk requests: checks every row, then has them done, some at a time.

What is done with a row is another's: issued at the authority (`ca.bulkissuing`), carried to it from
a registration authority (`ca.deskbulk`). Whatever crashes, a row gets one certificate: its request
id was drawn when the file was uploaded.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from enum import Enum, auto
from typing import Final, Protocol

from ca.bulk import UNASKED, WAITING, Batch, BatchState, BulkStore, Item, ItemState
from ca.bulkconfig import BulkConfig
from core.audit import AuditLog
from core.clock import Clock
from core.errors import Unavailable
from core.identity import SYSTEM_ACTOR
from core.transaction import Transactions
from keystore.holdersafe import DataKey, HolderSafe

log = logging.getLogger(__name__)

GROUP: Final = 64
"""Rows a transaction where each needs a key made or fetched, which takes a while."""
GROUP_OF_CSRS: Final = 256
"""Where none does. More would let other writers wait, less would wait for more commits."""
LEASE: Final = timedelta(seconds=30)
"""A worker that does not renew it is dead: another one may take the batch."""
_S = BatchState
_PLAIN: Final = (ItemState.STARTED, ItemState.ISSUED)


Write = Callable[[Sequence[Item]], None]
"""Stores items, in the transaction that finds the lease still held."""


class Progress(Enum):
    """What became of a call to do some rows."""

    MORE = auto()
    """Call again."""
    WAITS = auto()
    """Others have to do something first: call again later."""
    OVER = auto()
    """Nothing is begun, and nothing is left to begin."""


class ChecksRows(Protocol):
    """The dry run (`ca.bulkcheck`, `ca.deskbulkcheck`)."""

    def check(self, batch: Batch, items: Sequence[Item]) -> list[Item]:
        """Return each item, VALID or ASKING with what it asks for, or BAD with the reason."""
        ...

    def find_duplicates(self, batch: Batch) -> None:
        """Mark rows BAD that repeat another one, or that have a valid certificate already."""
        ...


class CarriesOut(Protocol):
    """What is done with rows once they are approved."""

    def advance(
        self, batch: Batch, *, begin: bool, data_key: DataKey | None, write: Write
    ) -> Progress:
        """Go on with rows that were begun; if it may `begin`, take new ones."""
        ...


class _LeaseLost(Exception):
    """Another worker has the batch: nothing of ours may be written."""


class BulkWorker:
    """Does what a batch is waiting for. One batch is in the hands of one worker at a time."""

    def __init__(
        self,
        store: BulkStore,
        *,
        check: ChecksRows,
        rows: CarriesOut,
        safe: HolderSafe,
        config: BulkConfig,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
        lease: timedelta = LEASE,
    ) -> None:
        self._store = store
        self._check = check
        self._rows = rows
        self._safe = safe
        self._keep = timedelta(hours=config.keep_hours)
        self._transactions = transactions
        self._audit = audit
        self._clock = clock
        self._lease = lease
        self._holder = secrets.token_hex(16)
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Let `run` end after the rows in hand."""
        self._stopped.set()

    def run(self) -> None:
        """Work on each batch until it waits. Returns early when something is unavailable."""
        waiting: list[str] = []
        while not self._stopped.is_set():
            now = self._clock.now()
            batch = self._store.take_batch(
                self._holder, now=now, until=now + self._lease, passing=waiting
            )
            if batch is None or not self._work(batch):
                return
            waiting.append(batch.id)

    def _work(self, batch: Batch) -> bool:
        """Do what can be done now; False: something that every batch needs is away."""
        try:
            data_key = None if batch.data_key is None else self._safe.open(batch.data_key)
            while not self._stopped.is_set() and self._step(batch, self._hold(batch), data_key):
                pass
        except _LeaseLost:
            log.warning("another worker has the batch", extra={"batch": batch.id})
            return True
        except Unavailable as error:
            log.warning("a batch waits", extra={"batch": batch.id, "reason": str(error)})
            self._store.change_batch(batch.id, tuple(_S), comment=f"waits: {error}")
            return False
        finally:
            self._store.free_batch(batch.id, self._holder)
        return True

    def _hold(self, batch: Batch) -> BatchState:
        until = self._clock.now() + self._lease
        state = self._store.hold_batch(batch.id, self._holder, until=until)
        if state is None:
            raise _LeaseLost
        return state

    def _step(self, batch: Batch, state: BatchState, data_key: DataKey | None) -> bool:
        """Do the next few rows; False: nothing can be done in this state now."""
        if state is _S.CHECKING:
            return self._check_some(batch)
        if state not in (_S.ISSUING, _S.CANCELLING):
            return False
        progress = self._rows.advance(
            batch,
            begin=state is _S.ISSUING,
            data_key=data_key,
            write=lambda items: self._write(batch, items),
        )
        if progress is Progress.OVER:
            self._finish(batch, state)
        return progress is Progress.MORE

    def _check_some(self, batch: Batch) -> bool:
        fresh = self._store.list_items(batch.id, (ItemState.NEW,), limit=GROUP_OF_CSRS)
        self._write(batch, self._check.check(batch, fresh))
        if fresh:
            return True
        with self._transactions.transaction():
            self._hold(batch)
            if self._store.list_items(batch.id, (ItemState.ASKING,), limit=1):
                if batch.comment is None:
                    self._store.change_batch(batch.id, (_S.CHECKING,), comment=WAITING)
                return False
            self._check.find_duplicates(batch)
            self._end(batch, _S.CHECKING, _S.CHECKED, "bulk.checked")
        return False

    def _write(self, batch: Batch, items: Sequence[Item]) -> None:
        with self._transactions.transaction():
            # The lease again, in the same transaction: who lost it while making keys must not
            # put them in the place of those that another worker made.
            self._hold(batch)
            # With a CSR, nothing but the state changes once a row is checked.
            for state in _PLAIN:
                rows = [item.row for item in items if _is_plain(item) and item.state is state]
                self._store.move_items(batch.id, rows, state)
            self._store.change_items([item for item in items if not _is_plain(item)])

    def _finish(self, batch: Batch, state: BatchState) -> None:
        with self._transactions.transaction():
            self._hold(batch)
            if state is _S.CANCELLING:
                for left in (ItemState.NEW, ItemState.ASKING, ItemState.VALID):
                    self._store.end_items(batch.id, left, ItemState.CANCELLED)
            ended = _S.CANCELLED if state is _S.CANCELLING else _S.DONE
            self._end(batch, state, ended, "bulk.finished")

    def _end(self, batch: Batch, state: BatchState, ended: BatchState, action: str) -> None:
        now = self._clock.now()
        changes = {"state": ended, "expires_at": now + self._keep, "comment": None}
        current = self._store.find_batch(batch.id)
        if current is not None and current.comment == UNASKED:
            del changes["comment"]  # whoever approves it should know
        if ended is not _S.CHECKED:
            changes["finished_at"] = now
        # False: somebody cancelled it at this moment, and the next step sees that.
        if self._store.change_batch(batch.id, (state,), **changes):
            counts = self._store.count_items(batch.id)
            detail: dict[str, str | int] = {"batch": batch.id}
            detail |= {str(one): count for one, count in counts.items()}
            self._audit.record(action, actor=SYSTEM_ACTOR, detail=detail)


def _is_plain(item: Item) -> bool:
    return item.sealed is None and item.state in _PLAIN
