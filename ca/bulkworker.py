"""The background of bulk requests: checks every row, then issues, some rows at a time.

Whatever crashes, a row gets one certificate: its request id was drawn when the file was uploaded,
its private key is durable before its serial number is, and a row that was begun is always
finished before another one is begun.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from ca.bulk import Batch, BatchState, BulkStore, Item, ItemState
from ca.bulkcheck import BulkCheck
from ca.bulkconfig import BulkConfig
from ca.bulkpackage import BulkPackages
from ca.bulkrows import request_of
from ca.dual import PairService
from ca.issuer import Issued, Issuer
from ca.issuing import Group, Issuing, Outcome
from ca.profiles import CertificateProfile
from ca.requests import EnrollmentRecord, RequestState, RequestStore, content_of
from ca.store import CertificateStore
from core.audit import AuditLog
from core.clock import Clock
from core.errors import TrustError, Unavailable
from core.identity import SYSTEM_ACTOR
from core.transaction import Transactions
from keystore.holdersafe import DataKey, HolderSafe

log = logging.getLogger(__name__)

GROUP: Final = 64
"""Rows a transaction. More would let other writers wait, less would wait for more commits."""
LEASE: Final = timedelta(seconds=30)
"""A worker that does not renew it is dead: another one may take the batch."""
_S = BatchState
_PLAIN: Final = (ItemState.STARTED, ItemState.ISSUED)


class _LeaseLost(Exception):
    """Another worker has the batch: nothing of ours may be written."""


class BulkWorker:
    """Does what a batch is waiting for. One batch is in the hands of one worker at a time."""

    def __init__(
        self,
        store: BulkStore,
        *,
        check: BulkCheck,
        packages: BulkPackages,
        safe: HolderSafe,
        profiles: Mapping[str, CertificateProfile],
        issuers: Mapping[str, Issuer],
        certificates: CertificateStore,
        requests: RequestStore,
        pairs: PairService,
        config: BulkConfig,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
        lease: timedelta = LEASE,
    ) -> None:
        self._store = store
        self._check = check
        self._packages = packages
        self._safe = safe
        self._profiles = profiles
        self._issuers = issuers
        self._certificates = certificates
        self._requests = requests
        self._pairs = pairs
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
        """Work until nothing waits. Returns early when something is unavailable, to be retried."""
        while not self._stopped.is_set():
            now = self._clock.now()
            batch = self._store.take_batch(self._holder, now=now, until=now + self._lease)
            if batch is None or not self._work(batch):
                return

    def _work(self, batch: Batch) -> bool:
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
        """Do the next few rows; False: nothing is left to do in this state."""
        if state is _S.CHECKING:
            return self._check_some(batch)
        if state not in (_S.ISSUING, _S.CANCELLING):
            return False
        begun = self._store.list_items(batch.id, (ItemState.STARTED,), limit=GROUP)
        if not begun and state is _S.ISSUING:
            fresh = self._store.list_items(batch.id, (ItemState.VALID,), limit=GROUP)
            begun = [self._begin(batch, item, data_key) for item in fresh]
            self._write(batch, begun)
        if not begun:
            self._finish(batch, state)
            return False
        self._issue(batch, begun, data_key)
        return True

    def _check_some(self, batch: Batch) -> bool:
        fresh = self._store.list_items(batch.id, (ItemState.NEW,), limit=GROUP)
        self._write(batch, [self._check.check(batch, item) for item in fresh])
        if fresh:
            return True
        with self._transactions.transaction():
            self._hold(batch)
            self._check.find_duplicates(batch)
            self._end(batch, _S.CHECKING, _S.CHECKED, "bulk.checked")
        return False

    def _begin(self, batch: Batch, item: Item, data_key: DataKey | None) -> Item:
        if item.spki is not None:
            return replace(item, state=ItemState.STARTED)
        if data_key is None:
            raise ValueError("a batch is issued with a data key")
        made = data_key.make(batch.key_algorithm, owner=item.request_id)
        return replace(item, state=ItemState.STARTED, spki=made.public_key, sealed=made.sealed)

    def _issue(self, batch: Batch, items: Sequence[Item], data_key: DataKey | None) -> None:
        issuing = Issuing(
            self._issuers[batch.issuer],
            self._certificates,
            self._transactions,
            self._audit,
            self._clock,
        )
        groups: list[Group] = []
        outcomes: dict[int, Outcome] = {}
        away: Unavailable | None = None
        for item in items:
            try:
                if away is not None:
                    raise away  # the others would only wait for the same
                groups.append(self._group(batch, item))
            except Unavailable as error:
                away = outcomes[item.row] = error
            except TrustError as error:
                outcomes[item.row] = error
        rest = [item for item in items if item.row not in outcomes]
        outcomes |= dict(zip((item.row for item in rest), issuing.issue(groups), strict=True))
        self._keep_outcomes(batch, items, outcomes, data_key)

    def _group(self, batch: Batch, item: Item) -> Group:
        request, profile = request_of(item, batch), self._profiles[batch.profile]
        if profile.encryption_profile is None:
            return ((request, profile),)
        return self._pairs.begin(request, profile=profile)

    def _keep_outcomes(
        self,
        batch: Batch,
        items: Sequence[Item],
        outcomes: Mapping[int, Outcome],
        data_key: DataKey | None,
    ) -> None:
        trouble: Exception | None = None
        done: list[Item] = []
        for item in items:
            outcome = outcomes[item.row]
            if isinstance(outcome, tuple):
                done.append(self._issued(batch, item, outcome[0], data_key))
            elif isinstance(outcome, TrustError) and not isinstance(outcome, Unavailable):
                done.append(replace(item, state=ItemState.FAILED, reason=str(outcome), sealed=None))
            else:
                trouble = outcome  # it stays begun, and is finished later
        with self._transactions.transaction():
            self._write(batch, done)
            self._requests.add_requests(
                [self._record(batch, item) for item in done if item.state is ItemState.ISSUED]
            )
        if trouble is not None:
            raise trouble

    def _issued(self, batch: Batch, item: Item, issued: Issued, data_key: DataKey | None) -> Item:
        sealed = item.sealed
        if sealed is not None and data_key is not None:
            sealed = self._packages.finish(batch, item, issued.der, data_key)
        return replace(item, state=ItemState.ISSUED, sealed=sealed)

    def _record(self, batch: Batch, item: Item) -> EnrollmentRecord:
        """Return the request that the certificate carries, decided as the batch was."""
        return EnrollmentRecord(
            id=item.request_id,
            state=RequestState.APPROVED,
            issuer=batch.issuer,
            profile=batch.profile,
            content=content_of(request_of(item, batch)),
            needs_approval=batch.needs_approval,
            requester=batch.requester,
            created_at=batch.created_at,
            decided_by=batch.decided_by,
            decided_at=batch.decided_at,
            organisation_id=batch.organisation_id,
        )

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
                for left in (ItemState.NEW, ItemState.VALID):
                    self._store.end_items(batch.id, left, ItemState.CANCELLED)
            ended = _S.CANCELLED if state is _S.CANCELLING else _S.DONE
            self._end(batch, state, ended, "bulk.finished")

    def _end(self, batch: Batch, state: BatchState, ended: BatchState, action: str) -> None:
        now = self._clock.now()
        changes = {"state": ended, "expires_at": now + self._keep, "comment": None}
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
