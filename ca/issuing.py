"""Issuing many at once: each group stands or falls alone, the four steps are shared.

The order is that of `ca.issuance`. What is shared are the two transactions, so that a thousand
certificates do not wait for two thousand commits. Alone calls `Issuer.sign`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ca.contents import IssuanceRequest
from ca.issuer import Issued, Issuer, Prepared, Reserved
from ca.ledger import Entered, RequestLedger
from ca.profiles import CertificateProfile
from ca.serials import random_serial, to_hex
from ca.store import CertificateRecord, CertificateState, CertificateStore
from ca.tbs import parse_tbs
from core import der
from core.audit import AuditLog, Detail, Event
from core.clock import Clock
from core.errors import Conflict, TrustError
from core.observe import CERTIFICATES_FAILED, CERTIFICATES_ISSUED
from core.transaction import Transactions

log = logging.getLogger(__name__)

Wanted = tuple[IssuanceRequest, CertificateProfile]


@dataclass(frozen=True, slots=True)
class Ready:
    """One certificate, prepared a moment ago, whose request is remembered with its intent."""

    prepared: Prepared
    entered: Entered


Group = Sequence[Wanted] | Ready
"""Certificates of which all are issued or none: one, or the two of a pair."""
Outcome = tuple[Issued, ...] | Exception
"""What became of a group: its certificates, or what refused it."""
_Preparation = tuple[tuple[Prepared, ...], tuple[Entered, ...]]
"""What a group consists of, and the requests that begin with it."""
_Signed = tuple[tuple[Reserved, ...], tuple[Issued, ...]]


class _Overtaken(Exception):
    """Another thread finished or revoked one of them: store none of ours."""


@dataclass(frozen=True, slots=True)
class Issuing:
    """The four steps for one issuer."""

    issuer: Issuer
    store: CertificateStore
    transactions: Transactions
    audit: AuditLog
    clock: Clock
    ledger: RequestLedger | None = None
    """Where the requests of `Ready` groups are remembered."""

    def issue(self, groups: Sequence[Group]) -> list[Outcome]:
        """Issue every group, or finish it, as `ca.issuance.issue_certificate` does with one.

        Returns an outcome for each, in their order. Raises only what concerns all of them, such
        as `Unavailable`: then any of them may be reserved, and calling again finishes it.
        """
        outcomes: dict[int, Outcome] = {}
        reserved = self._reserve(groups, outcomes)
        signed: dict[int, _Signed] = {}
        for index, mine in reserved.items():
            try:
                signed[index] = mine, tuple(self.issuer.sign(one) for one in mine)
            except Exception as error:  # noqa: BLE001 - recorded, and given to who asked
                # The serials are burned, whatever happened to the signatures.
                self._record_failure(mine, error)
                outcomes[index] = error
        self._complete(signed, outcomes)
        return [outcomes[index] for index in range(len(groups))]

    def _reserve(
        self, groups: Sequence[Group], outcomes: dict[int, Outcome]
    ) -> dict[int, tuple[Reserved, ...]]:
        known = self._find_known(groups)
        reserved: dict[int, tuple[Reserved, ...]] = {}
        prepared: dict[int, _Preparation] = {}
        for index, group in enumerate(groups):
            if isinstance(group, Ready):
                prepared[index] = (group.prepared,), (group.entered,)
                continue
            try:
                records = _known(group, known)
                if records and all(record.der is not None for record in records):
                    outcomes[index] = _finished(records)
                elif records:
                    reserved[index] = tuple(_reserved_again(record) for record in records)
                else:
                    prepared[index] = self._prepare(group), ()
            except TrustError as error:
                outcomes[index] = error
        try:
            reserved |= self._remember(prepared)
        except Conflict:
            # One of them is in use elsewhere; alone, each says so for itself.
            for index, mine in prepared.items():
                try:
                    reserved |= self._remember({index: mine})
                except Conflict as error:
                    outcomes[index] = error
        return reserved

    def _find_known(self, groups: Sequence[Group]) -> Mapping[str, CertificateRecord]:
        return self.store.find_by_requests(
            [
                request.request_id
                for group in groups
                if not isinstance(group, Ready)
                for request, _ in group
                if request.request_id
            ]
        )

    def _prepare(self, group: Sequence[Wanted]) -> tuple[Prepared, ...]:
        now = self.clock.now()
        prepared = tuple(
            self.issuer.prepare(request, profile=profile, serial=random_serial(), now=now)
            for request, profile in group
        )
        if len(group) == 2 and group[0][1].encryption_profile == group[1][1].name:
            self.issuer.linter.check_pair(
                *(one.tbs for one in prepared),
                signature_algorithm=prepared[0].signature_algorithm,
            )
        return prepared

    def _remember(self, prepared: Mapping[int, _Preparation]) -> dict[int, tuple[Reserved, ...]]:
        if not prepared:
            return {}
        flat = [one for group, _ in prepared.values() for one in group]
        entered = [one for _, entering in prepared.values() for one in entering]
        with self.transactions.transaction():
            events = self.ledger.write(entered) if self.ledger is not None else []
            reserved = self.store.reserve_all(flat, now=self.clock.now())
            events += [
                Event("certificate.signing", one.requester, _detail(one)) for one in reserved
            ]
            self.audit.record_all(events)
        each = iter(reserved)
        return {index: tuple(next(each) for _ in group) for index, (group, _) in prepared.items()}

    def _complete(self, signed: Mapping[int, _Signed], outcomes: dict[int, Outcome]) -> None:
        try:
            self._store(signed.values())
        except _Overtaken:
            for index, pair in signed.items():
                try:
                    self._store([pair])
                except _Overtaken as error:
                    outcomes[index] = self._finished_by_another(pair[0], error)
        for index, (mine, issued) in signed.items():
            if index in outcomes:
                continue
            outcomes[index] = issued
            for one in mine:
                CERTIFICATES_ISSUED.labels(one.issuer, one.profile).inc()

    def _store(self, signed: Iterable[_Signed]) -> None:
        pairs = [pair for mine, issued in signed for pair in zip(mine, issued, strict=True)]
        if not pairs:
            return
        with self.transactions.transaction():
            if not self.store.complete_all([made for _, made in pairs], now=self.clock.now()):
                raise _Overtaken
            self.audit.record_all(
                [
                    Event(
                        "certificate.issued",
                        one.requester,
                        {**_detail(one), "fingerprint": made.fingerprint},
                    )
                    for one, made in pairs
                ]
            )

    def _record_failure(self, reserved: Sequence[Reserved], error: Exception) -> None:
        with self.transactions.transaction():
            for one in reserved:
                CERTIFICATES_FAILED.labels(one.issuer, one.profile).inc()
                self.store.fail(one.issuer, one.serial)
                detail = {**_detail(one), "error": type(error).__name__}
                self.audit.record("certificate.failed", actor=one.requester, detail=detail)

    def _finished_by_another(self, reserved: Sequence[Reserved], error: Exception) -> Outcome:
        """Return what another thread stored; our signatures over the same octets are dropped.

        If one of them was revoked meanwhile, the others fail with it: there is no half of a pair.
        """
        known = [self.store.find_certificate(one.issuer, one.serial) for one in reserved]
        found = [record for record in known if record is not None and record.der is not None]
        if len(found) == len(reserved):
            return _finished(found)
        left = [
            one
            for one, record in zip(reserved, known, strict=True)
            if record is not None and record.state is CertificateState.RESERVED
        ]
        self._record_failure(left, error)
        serials = ", ".join(to_hex(one.serial) for one in reserved if one not in left)
        return Conflict(f"serial {serials} of {self.issuer.name} was revoked while it was signed")


def _known(
    group: Sequence[Wanted], found: Mapping[str, CertificateRecord]
) -> list[CertificateRecord]:
    """Return what earlier calls began: nothing, or a record for each."""
    ids = [request.request_id for request, _ in group]
    known = [found[one] for one in ids if one is not None and one in found]
    if known and len(known) != len(group):
        raise Conflict("a part of this was revoked before it was issued: make a new request")
    return known


def _finished(records: Sequence[CertificateRecord]) -> tuple[Issued, ...]:
    return tuple(Issued(one.issuer, one.serial, one.der) for one in records if one.der is not None)


def _reserved_again(record: CertificateRecord) -> Reserved:
    if record.state is not CertificateState.RESERVED:
        raise Conflict(
            f"serial {to_hex(record.serial)} of {record.issuer} is {record.state}: "
            "make a new request"
        )
    again = Reserved(
        issuer=record.issuer,
        serial=record.serial,
        profile=record.profile,
        tbs=record.tbs,
        signature_algorithm=der.octets_of(parse_tbs(record.tbs).signature),
        requester=record.requester,
    )
    log.warning("finishing an interrupted issuance", extra=dict(_detail(again)))
    return again


def _detail(reserved: Reserved) -> Detail:
    return {
        "issuer": reserved.issuer,
        "serial": to_hex(reserved.serial),
        "profile": reserved.profile,
    }
