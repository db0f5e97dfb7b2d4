"""Revoke, hold and release: the three changes of a certificate's status.

Each is one transaction of status, append-only event and audit event. Each may be repeated: the
same call again changes nothing and answers the same. Nothing undoes a revocation but release
from hold. What is done to one certificate of a pair is done to the other in the same transaction.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from cryptography import x509

from ca.reasons import RevocationReason
from ca.requests import partner_request_id
from ca.serials import to_hex
from ca.store import CertificateRecord, CertificateState, CertificateStore, StatusChange
from ca.tbs import extension_value, parse_tbs
from core import der
from core.audit import AuditLog, Event
from core.clock import Clock
from core.errors import Conflict, NotFound, Refused
from core.observe import CERTIFICATES_REVOKED
from core.transaction import Transactions

log = logging.getLogger(__name__)

Listener = Callable[[str], None]
"""Told the issuer's name after a change is durable."""

_S = CertificateState
_NOT_REVOKED: Final = (_S.RESERVED, _S.ISSUED, _S.FAILED, _S.HELD)


class RevocationService:
    """Changes the status of certificates, and tells those who publish it."""

    def __init__(
        self,
        *,
        store: CertificateStore,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
        listeners: Sequence[Listener] = (),
    ) -> None:
        self._store = store
        self._transactions = transactions
        self._audit = audit
        self._clock = clock
        self._listeners = list(listeners)

    def listen(self, listener: Listener) -> None:
        """Tell `listener` of every change from here on."""
        self._listeners.append(listener)

    def revoke(
        self, issuer: str, serial: int, reason: RevocationReason, *, actor: str
    ) -> CertificateRecord:
        """Revoke for good. What is reserved or failed can be revoked too: a signature may exist.

        Raises `NotFound`, `Refused` for a reason that does not fit, and `Conflict` when it is
        revoked for another reason (only unspecified may become keyCompromise).
        """
        changes = self._revocations(self._get(issuer, serial), reason, actor)
        return self._apply(changes, "revoked") if changes else self._get(issuer, serial)

    @contextmanager
    def batch(self) -> Iterator[Batch]:
        """Revoke several in one transaction. Listeners are told when it is durable.

        Must not run inside a caller's transaction.
        """
        batch = Batch(self)
        with self._transactions.transaction():
            yield batch
        self._tell(batch.changes)

    def _revocations(
        self, record: CertificateRecord, reason: RevocationReason, actor: str
    ) -> list[StatusChange]:
        """Return what revoking this means, with its partner; nothing if it is done already."""
        check_reason(record, reason)
        if record.state is _S.REVOKED:
            if record.reason is reason:
                return []
            if (record.reason, reason) != (
                RevocationReason.UNSPECIFIED,
                RevocationReason.KEY_COMPROMISE,
            ):
                raise Conflict(f"it is revoked already, with reason {record.reason}")
        expected = (record.state,) if record.state is _S.REVOKED else _NOT_REVOKED
        # The date of a held certificate stays that of the hold (X.509, 8.5.2.2).
        since = record.revoked_at or self._clock.now()
        change = self._change(record, _S.REVOKED, expected, actor)
        changes = [replace(change, reason=reason, revoked_at=since)]
        for other in self._partners(record, *_NOT_REVOKED):
            also = self._change(other, _S.REVOKED, _NOT_REVOKED, actor)
            held_since = other.revoked_at or also.at
            changes.append(replace(also, reason=reason, revoked_at=held_since))
        return changes

    def hold(self, issuer: str, serial: int, *, actor: str) -> CertificateRecord:
        """Suspend an issued certificate. Raises `NotFound`, `Refused` or `Conflict`."""
        record = self._get(issuer, serial)
        if record.state is _S.HELD:
            return record
        if record.state is not _S.ISSUED:
            raise Conflict(f"only an issued certificate can be held; this one is {record.state}")
        if _is_authority(record):
            raise Refused("the certificate of a CA cannot be held, only revoked")
        reason = RevocationReason.CERTIFICATE_HOLD
        changes = [
            replace(change, reason=reason, revoked_at=change.at)
            for change in (
                self._change(one, _S.HELD, (_S.ISSUED,), actor)
                for one in (record, *self._partners(record, _S.ISSUED))
            )
        ]
        return self._apply(changes, "held")

    def release(self, issuer: str, serial: int, *, actor: str) -> CertificateRecord:
        """End a hold. Raises `NotFound` or `Conflict`."""
        record = self._get(issuer, serial)
        if record.state is _S.ISSUED:
            return record
        if record.state is not _S.HELD:
            raise Conflict(f"only a held certificate can be released; this one is {record.state}")
        both = (record, *self._partners(record, _S.HELD))
        changes = [self._change(one, _S.ISSUED, (_S.HELD,), actor) for one in both]
        return self._apply(changes, "released")

    def _get(self, issuer: str, serial: int) -> CertificateRecord:
        record = self._store.find_certificate(issuer, serial)
        if record is None:
            raise NotFound(f"{issuer} has no certificate with serial {to_hex(serial)}")
        return record

    def _partners(
        self, record: CertificateRecord, *states: CertificateState
    ) -> Sequence[CertificateRecord]:
        """Return the other certificate of a pair, if there is one and it is in one of `states`."""
        if record.request_id is None:
            return ()
        other = self._store.find_by_request(partner_request_id(record.request_id))
        return () if other is None or other.state not in states else (other,)

    def _change(
        self,
        record: CertificateRecord,
        state: CertificateState,
        expected: tuple[CertificateState, ...],
        actor: str,
    ) -> StatusChange:
        return StatusChange(
            issuer=record.issuer,
            serial=record.serial,
            expected=expected,
            state=state,
            revoked_at=None,
            reason=None,
            at=self._clock.now(),
            actor=actor,
        )

    def _apply(self, changes: Sequence[StatusChange], participle: str) -> CertificateRecord:
        self._write(changes, participle)
        self._tell(changes)
        return self._get(changes[0].issuer, changes[0].serial)

    def _write(self, changes: Sequence[StatusChange], participle: str) -> None:
        with self._transactions.transaction():
            positions = [self._store.change_status(change) for change in changes]
            if None in positions:
                raise Conflict("the status changed at the same moment: look again")
            self._audit.record_all(
                [
                    Event(
                        f"certificate.{participle}",
                        change.actor,
                        {
                            "issuer": change.issuer,
                            "serial": to_hex(change.serial),
                            "reason": change.reason,
                            "position": position,
                        },
                    )
                    for change, position in zip(changes, positions, strict=True)
                ]
            )

    def _tell(self, changes: Sequence[StatusChange]) -> None:
        for change in changes:
            CERTIFICATES_REVOKED.labels(change.issuer, change.reason or "released").inc()
        for issuer in dict.fromkeys(change.issuer for change in changes):
            for listener in self._listeners:
                try:
                    listener(issuer)
                except Exception:
                    # The change is durable; a publisher that is late catches up by the position.
                    log.exception("a listener failed", extra={"issuer": issuer})


class Batch:
    """Revocations that are written together (`RevocationService.batch`)."""

    def __init__(self, service: RevocationService) -> None:
        self._service = service
        self.changes: list[StatusChange] = []

    def revoke(self, issuer: str, serial: int, reason: RevocationReason, *, actor: str) -> int:
        """Plan one, as `RevocationService.revoke`. Returns how many certificates that changes."""
        known = {(change.issuer, change.serial) for change in self.changes}
        if (issuer, serial) in known:
            return 0  # its partner took it along
        record = self._service._get(issuer, serial)  # noqa: SLF001 - one module, one idea
        planned = self._service._revocations(record, reason, actor)  # noqa: SLF001
        added = [change for change in planned if (change.issuer, change.serial) not in known]
        self.changes += added
        return len(added)

    def apply(self) -> None:
        """Write what is planned. Raises `Conflict` when one changed at the same moment."""
        if self.changes:
            self._service._write(self.changes, "revoked")  # noqa: SLF001


def check_reason(record: CertificateRecord, reason: RevocationReason) -> None:
    """Raises `Refused` for a reason that does not fit the certificate (RFC 5280, 5.3.1)."""
    if reason is RevocationReason.CERTIFICATE_HOLD:
        raise Refused("certificateHold is not a reason to revoke: use hold")
    if reason is RevocationReason.AA_COMPROMISE:
        raise Refused("aACompromise is for attribute authorities, and there is none here")
    authority = _is_authority(record)
    if reason is RevocationReason.CA_COMPROMISE and not authority:
        raise Refused("cACompromise is for CA certificates; use keyCompromise (RFC 5280, 5.3.1)")
    if _is_self_signed(record):
        raise Refused(
            "a root cannot revoke itself: nobody could believe the CRL. Remove it from trust "
            "stores, and revoke what it issued"
        )


def _is_authority(record: CertificateRecord) -> bool:
    if not record.tbs:
        return False  # a lost one, of which nothing but its status is left (`crl.reconcile`)
    # End-entity certificates of ours never carry basic constraints (`ca.lint`).
    return extension_value(parse_tbs(record.tbs), x509.BasicConstraints.oid) is not None


def _is_self_signed(record: CertificateRecord) -> bool:
    if not record.tbs:
        return False
    tbs = parse_tbs(record.tbs)
    return der.octets_of(tbs.issuer) == der.octets_of(tbs.subject)
