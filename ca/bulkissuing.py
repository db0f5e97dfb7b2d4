"""Issuing the rows of a batch at the authority: key, serial number, signature, file.

A row has one request id from the beginning, its private key is durable before its serial number
is, and a row that was begun is always finished before another one is begun.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ca.bulk import Batch, BulkStore, Item, ItemState
from ca.bulkpackage import BulkPackages
from ca.bulkrows import request_of
from ca.bulkworker import GROUP, GROUP_OF_CSRS, Progress, Write
from ca.dual import PairService
from ca.issuer import Issued, Issuer
from ca.issuing import Group, Issuing, Outcome
from ca.profiles import CertificateProfile
from ca.requests import EnrollmentRecord, RequestState, RequestStore, content_of
from ca.store import CertificateStore
from core.audit import AuditLog
from core.clock import Clock
from core.errors import TrustError, Unavailable
from core.transaction import Transactions
from keystore.holdersafe import DataKey


class BulkIssuing:
    """Issues some rows at a time (`ca.bulkworker.CarriesOut`)."""

    def __init__(
        self,
        store: BulkStore,
        *,
        packages: BulkPackages,
        profiles: Mapping[str, CertificateProfile],
        issuers: Mapping[str, Issuer],
        certificates: CertificateStore,
        requests: RequestStore,
        pairs: PairService,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._store = store
        self._packages = packages
        self._profiles = profiles
        self._issuers = issuers
        self._certificates = certificates
        self._requests = requests
        self._pairs = pairs
        self._transactions = transactions
        self._audit = audit
        self._clock = clock

    def advance(
        self, batch: Batch, *, begin: bool, data_key: DataKey | None, write: Write
    ) -> Progress:
        """Finish what was begun; else, if it may `begin`, take the next rows."""
        begun = self._store.list_items(batch.id, (ItemState.STARTED,), limit=GROUP_OF_CSRS)
        if not begun and begin:
            fresh = self._store.list_items(batch.id, (ItemState.VALID,), limit=GROUP_OF_CSRS)
            paired = self._profiles[batch.profile].encryption_profile is not None
            if paired or any(item.spki is None for item in fresh):
                fresh = fresh[:GROUP]
            begun = [self._begin(batch, item, data_key) for item in fresh]
            write(begun)
        if not begun:
            return Progress.OVER
        self._issue(batch, begun, data_key, write)
        return Progress.MORE

    def _begin(self, batch: Batch, item: Item, data_key: DataKey | None) -> Item:
        if item.spki is not None:
            return replace(item, state=ItemState.STARTED)
        if data_key is None:
            raise ValueError("a batch is issued with a data key")
        made = data_key.make(batch.key_algorithm, owner=item.request_id)
        return replace(item, state=ItemState.STARTED, spki=made.public_key, sealed=made.sealed)

    def _issue(
        self, batch: Batch, items: Sequence[Item], data_key: DataKey | None, write: Write
    ) -> None:
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
        self._keep_outcomes(batch, items, outcomes, data_key, write)

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
        write: Write,
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
            write(done)
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
