"""What people do with a batch: upload, submit, decide, pause, cancel, fetch, confirm."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Container, Mapping, Sequence
from datetime import timedelta
from typing import Final, NoReturn

from ca.bulk import Batch, BatchState, BulkStore, Item, ItemState, MakesPackages
from ca.bulkconfig import BulkConfig
from ca.bulkrows import source_of
from ca.bulkupload import chosen_algorithm, requestable, rows_of
from ca.operations import Operation, ReviewRules
from ca.profiles import CertificateProfile
from core.audit import AuditLog, Detail
from core.clock import Clock
from core.errors import Conflict, Forbidden, NotFound, Refused, TooLarge
from core.transaction import Transactions
from keystore.algorithms import KeyAlgorithm
from keystore.holdersafe import HolderSafe
from keystore.package import check_recipient

_S = BatchState
_ERASED_AT_ONCE: Final = 20


class BulkService:
    """Takes batches through their life; `ca.bulkworker` does the work."""

    def __init__(
        self,
        store: BulkStore,
        *,
        profiles: Mapping[str, CertificateProfile],
        issuers: Container[str],
        packages: MakesPackages,
        safe: HolderSafe,
        reviews: ReviewRules,
        config: BulkConfig,
        separate_approver: bool,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._store = store
        self._profiles = profiles
        self._issuers = issuers
        self._packages = packages
        self._safe = safe
        self._reviews = reviews
        self._config = config
        self._separate_approver = separate_approver
        self._transactions = transactions
        self._audit = audit
        self._clock = clock

    def upload(
        self,
        octets: bytes,
        *,
        profile: str,
        issuer: str,
        label: str,
        key_algorithm: KeyAlgorithm | None,
        organisation: str | None,
        actor: str,
    ) -> Batch:
        """Read a file and begin its dry run. Raises `Refused` or `Malformed`: nothing is kept."""
        if len(octets) > self._config.max_file_octets:
            raise TooLarge(f"the file is longer than {self._config.max_file_octets} octets")
        chosen = requestable(profile, issuer, profiles=self._profiles, issuers=self._issuers)
        review = self._reviews.needed(Operation.APPLY, profile, organisation)
        if review.make:
            raise Refused(
                f"certificates of profile {profile} are made one by one, by another operator"
            )
        rows = rows_of(octets, chosen, max_rows=self._config.max_rows)
        now = self._clock.now()
        batch = Batch(
            id=secrets.token_hex(16),
            state=_S.CHECKING,
            profile=profile,
            issuer=issuer,
            key_algorithm=chosen_algorithm(chosen, key_algorithm),
            label=label,
            digest=hashlib.sha256(octets).hexdigest(),
            requester=actor,
            created_at=now,
            needs_approval=review.review,
            organisation_id=organisation,
            expires_at=now + timedelta(hours=self._config.keep_hours),
        )
        items = [
            Item(batch.id, row.number, secrets.token_hex(16), ItemState.NEW, source_of(row))
            for row in rows
        ]
        with self._transactions.transaction():
            self._store.add_batch(batch, items)
            detail = {**_detail(batch), "rows": len(items), "file": batch.digest}
            self._audit.record("bulk.uploaded", actor=actor, detail=detail)
        return batch

    def get(self, batch_id: str) -> Batch:
        """Raises `NotFound`."""
        batch = self._store.find_batch(batch_id)
        if batch is None:
            raise NotFound(f"there is no batch {batch_id}")
        return batch

    def list_batches(
        self,
        *,
        scope: frozenset[str] | None,
        limit: int = 100,
        state: BatchState | None = None,
        sort: str | None = None,
        after: str | None = None,
    ) -> Sequence[Batch]:
        """Return the newest first, or as `sort` says, behind the one with the id `after`.

        `scope`: tops of the subtrees to look in.
        """
        return self._store.list_batches(
            scope=scope, limit=limit, state=state, sort=sort, after=after
        )

    def count_items(self, batch_id: str) -> Mapping[ItemState, int]:
        """Return how many rows are in each state."""
        return self._store.count_items(batch_id)

    def list_items(
        self, batch_id: str, states: Sequence[ItemState], *, after: int, limit: int
    ) -> Sequence[Item]:
        """Return rows in one of these states, from the first above `after` on."""
        self.get(batch_id)
        return self._store.list_items(batch_id, states, after=after, limit=limit)

    def submit(self, batch_id: str, *, recipient: bytes, actor: str) -> Batch:
        """Ask for the certificates of a checked batch, its result encrypted to `recipient`.

        Raises `Refused` while a row is bad, or for a certificate that cannot receive it.
        """
        batch = self._own(batch_id, actor)
        if batch.state is not _S.CHECKED:
            self._refuse(batch)
        named = (batch.profile, batch.issuer)
        requestable(*named, profiles=self._profiles, issuers=self._issuers)
        check_recipient(recipient, now=self._clock.now())
        counts = self._store.count_items(batch_id)
        if set(counts) != {ItemState.VALID}:
            bad = counts.get(ItemState.BAD, 0)
            raise Refused(f"{bad} rows of the batch are bad: correct the file and upload it again")
        changes: dict[str, object] = {
            "state": _S.PENDING if batch.needs_approval else _S.ISSUING,
            "recipient": recipient,
            "data_key": self._safe.new_data_key(),
        }
        if not batch.needs_approval:
            changes |= {"decided_by": actor, "decided_at": self._clock.now()}
        fingerprint = hashlib.sha256(recipient).hexdigest()
        return self._change(
            batch,
            "bulk.submitted",
            actor=actor,
            detail={"recipient": fingerprint},
            expected=(_S.CHECKED,),
            changes=changes,
        )

    def approve(self, batch_id: str, *, actor: str) -> Batch:
        """Approve a batch as a whole. Raises `Forbidden` for its requester, if that is set."""
        batch = self.get(batch_id)
        if self._separate_approver and batch.requester == actor:
            raise Forbidden("requester and approver must be two people (ca.separate_approver)")
        changes = {"state": _S.ISSUING, "decided_by": actor, "decided_at": self._clock.now()}
        return self._change(
            batch,
            "bulk.approved",
            actor=actor,
            detail={},
            expected=(_S.PENDING,),
            changes=changes,
        )

    def reject(self, batch_id: str, *, actor: str, reason: str) -> Batch:
        """Reject a batch that waits for approval."""
        changes = {
            "state": _S.REJECTED,
            "decided_by": actor,
            "decided_at": self._clock.now(),
            "comment": reason,
        }
        return self._change(
            self.get(batch_id),
            "bulk.rejected",
            actor=actor,
            detail={"why": reason},
            expected=(_S.PENDING,),
            changes=changes,
        )

    def pause(self, batch_id: str, *, actor: str) -> Batch:
        """Stop after what is in hand."""
        return self._move(batch_id, "bulk.paused", actor, (_S.ISSUING,), _S.PAUSED)

    def resume(self, batch_id: str, *, actor: str) -> Batch:
        """Go on with a paused batch."""
        return self._move(batch_id, "bulk.resumed", actor, (_S.PAUSED,), _S.ISSUING)

    def cancel(self, batch_id: str, *, actor: str) -> Batch:
        """Issue no more. What was begun is finished; what is issued stays and can be fetched."""
        expected = (_S.CHECKING, _S.CHECKED, _S.PENDING, _S.ISSUING, _S.PAUSED)
        return self._move(batch_id, "bulk.cancelled", actor, expected, _S.CANCELLING)

    def fetch(self, batch_id: str, *, actor: str) -> bytes:
        """Return the result, encrypted to the recipient. Until it is confirmed, again and again."""
        batch = self.get(batch_id)
        if actor not in (batch.requester, batch.decided_by):
            raise Forbidden("a package is given to who asked for the batch, or who approved it")
        if batch.delivered_at is not None:
            raise Conflict("this package was delivered, and its private keys are erased")
        if batch.state not in (_S.DONE, _S.CANCELLED) or batch.recipient is None:
            self._refuse(batch)
        if self._clock.now() >= batch.expires_at:
            raise Conflict("this package was not fetched in time, and its private keys are erased")
        package = self._packages.make(batch)
        digest = hashlib.sha256(package).hexdigest()
        self._change(
            batch,
            "bulk.fetched",
            actor=actor,
            detail={"package": digest},
            expected=(batch.state,),
            changes={"package_digest": digest},
        )
        return package

    def confirm(self, batch_id: str, *, digest: str, actor: str) -> Batch:
        """Say that the package is safe at its recipient's: the private keys are erased here."""
        with self._transactions.transaction():
            batch = self._store.find_batch(batch_id, lock=True)
            if batch is None or batch.package_digest is None:
                raise NotFound("this batch has given out no package")
            if batch.delivered_at is not None:
                raise Conflict("this package was confirmed before")
            if not secrets.compare_digest(batch.package_digest, digest):
                raise Refused("another package of this batch was given out later: fetch it again")
            now = self._clock.now()
            self._store.erase(batch_id, rows=False, at=now)
            changes = {"delivered_at": now, "delivered_to": actor}
            return self._change(
                batch,
                "bulk.delivered",
                actor=actor,
                detail={"package": digest},
                expected=(batch.state,),
                changes=changes,
            )

    def erase_expired(self) -> int:
        """Erase rows that were never submitted, and keys that nobody fetched in time."""
        now = self._clock.now()
        found = self._store.list_expired(now=now, limit=_ERASED_AT_ONCE)
        for batch in found:
            with self._transactions.transaction():
                if batch.state is _S.CHECKING:
                    # Such as one that waits for a certificate authority that does not come back.
                    self._store.change_batch(
                        batch.id, (_S.CHECKING,), state=_S.CANCELLED, finished_at=now
                    )
                unused = batch.state in (_S.CHECKING, _S.CHECKED, _S.REJECTED)
                self._store.erase(batch.id, rows=unused, at=now)
                self._audit.record("bulk.erased", actor=batch.requester, detail=_detail(batch))
        return len(found)

    def _own(self, batch_id: str, actor: str) -> Batch:
        batch = self.get(batch_id)
        if batch.requester != actor:
            raise Forbidden(f"this batch is {batch.requester}'s")
        return batch

    def _move(
        self,
        batch_id: str,
        action: str,
        actor: str,
        expected: Sequence[BatchState],
        state: BatchState,
    ) -> Batch:
        return self._change(
            self.get(batch_id),
            action,
            actor=actor,
            detail={},
            expected=expected,
            changes={"state": state},
        )

    def _change(
        self,
        batch: Batch,
        action: str,
        *,
        actor: str,
        detail: Detail,
        expected: Sequence[BatchState],
        changes: Mapping[str, object],
    ) -> Batch:
        with self._transactions.transaction():
            if not self._store.change_batch(batch.id, expected, **changes):
                self._refuse(self.get(batch.id))
            self._audit.record(action, actor=actor, detail={**_detail(batch), **detail})
        return self.get(batch.id)

    def _refuse(self, batch: Batch) -> NoReturn:
        raise Conflict(f"the batch is {batch.state}")


def _detail(batch: Batch) -> Detail:
    return {"batch": batch.id, "profile": batch.profile, "issuer": batch.issuer}
