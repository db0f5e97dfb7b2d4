"""Issuing one certificate. The only caller of `Issuer.sign`.

    1  prepare             names, key, profile, lint; nothing is written
    2  one transaction     reserve (serial, intent) and audit ``certificate.signing``
    3  sign                outside any transaction; then verify our own signature
    4  one transaction     store the certificate and audit ``certificate.issued``

docs/issuance-cycle.md says what is true after a crash between any two of them.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ca.contents import IssuanceRequest
from ca.issuer import Issued, Issuer, Reserved
from ca.profiles import CertificateProfile
from ca.serials import random_serial, to_hex
from ca.store import CertificateRecord, CertificateState, CertificateStore
from ca.tbs import parse_tbs
from core import der
from core.audit import AuditLog, Detail
from core.clock import Clock
from core.errors import Conflict
from core.identity import SYSTEM_ACTOR
from core.observe import CERTIFICATES_FAILED, CERTIFICATES_ISSUED
from core.transaction import Transactions

log = logging.getLogger(__name__)


def issue_certificate(
    request: IssuanceRequest,
    *,
    profile: CertificateProfile,
    issuer: Issuer,
    store: CertificateStore,
    transactions: Transactions,
    audit: AuditLog,
    clock: Clock,
) -> Issued:
    """Issue one certificate, or finish the one that an earlier call began.

    With a `request_id` this may be called again after any crash: the result is always the same
    one certificate. Must not run inside a caller's transaction: the intent has to be durable
    before the key is used. Raises what `Issuer.prepare` and `Issuer.sign` raise.
    """
    reserved = None
    if request.request_id is not None:
        known = store.find_by_request(request.request_id)
        if known is not None and known.der is not None:
            return Issued(known.issuer, known.serial, known.der)
        if known is not None:
            reserved = _reserved_again(known)
            log.warning("finishing an interrupted issuance", extra=dict(_detail(reserved)))
    if reserved is None:
        prepared = issuer.prepare(request, profile=profile, serial=random_serial(), now=clock.now())
        with transactions.transaction():
            reserved = store.reserve(prepared, now=clock.now())
            audit.record("certificate.signing", actor=request.requester, detail=_detail(reserved))
    return _sign(
        reserved, issuer=issuer, store=store, transactions=transactions, audit=audit, clock=clock
    )


def find_interrupted(
    *, store: CertificateStore, transactions: Transactions, audit: AuditLog, clock: Clock
) -> Sequence[CertificateRecord]:
    """Report what was reserved and neither finished nor failed: a crash, or a lost database.

    To be called at start, when no issuance is under way. Each one is audited once as
    ``certificate.interrupted`` and stays RESERVED: it can be revoked, and a request that is
    approved again finishes it with the same serial number.
    """
    found = store.list_reserved()
    for record in found:
        with transactions.transaction():
            store.mark_interrupted(record.issuer, record.serial, now=clock.now())
            audit.record(
                "certificate.interrupted",
                actor=SYSTEM_ACTOR,
                detail={"issuer": record.issuer, "serial": to_hex(record.serial)},
            )
    return found


def _sign(
    reserved: Reserved,
    *,
    issuer: Issuer,
    store: CertificateStore,
    transactions: Transactions,
    audit: AuditLog,
    clock: Clock,
) -> Issued:
    try:
        issued = issuer.sign(reserved)
    except Exception as error:
        # Recorded and raised again: the serial is burned, whatever happened to the signature.
        _record_failure(reserved, error, store=store, transactions=transactions, audit=audit)
        raise
    with transactions.transaction():
        ours = store.complete(issued, now=clock.now())
        if ours:
            detail = {**_detail(reserved), "fingerprint": issued.fingerprint}
            audit.record("certificate.issued", actor=reserved.requester, detail=detail)
    if not ours:
        return _finished_by_another(reserved, store)
    CERTIFICATES_ISSUED.labels(reserved.issuer, reserved.profile).inc()
    return issued


def _record_failure(
    reserved: Reserved,
    error: Exception,
    *,
    store: CertificateStore,
    transactions: Transactions,
    audit: AuditLog,
) -> None:
    CERTIFICATES_FAILED.labels(reserved.issuer, reserved.profile).inc()
    with transactions.transaction():
        store.fail(reserved.issuer, reserved.serial)
        detail = {**_detail(reserved), "error": type(error).__name__}
        audit.record("certificate.failed", actor=reserved.requester, detail=detail)


def _finished_by_another(reserved: Reserved, store: CertificateStore) -> Issued:
    """Return the certificate that another thread stored; our signature over it is dropped."""
    record = store.find_certificate(reserved.issuer, reserved.serial)
    if record is None or record.der is None:
        raise Conflict(
            f"serial {to_hex(reserved.serial)} of {reserved.issuer} was revoked while it was signed"
        )
    return Issued(record.issuer, record.serial, record.der)


def _reserved_again(record: CertificateRecord) -> Reserved:
    if record.state is not CertificateState.RESERVED:
        raise Conflict(
            f"serial {to_hex(record.serial)} of {record.issuer} is {record.state}: "
            "make a new request"
        )
    return Reserved(
        issuer=record.issuer,
        serial=record.serial,
        profile=record.profile,
        tbs=record.tbs,
        signature_algorithm=der.octets_of(parse_tbs(record.tbs).signature),
        requester=record.requester,
    )


def _detail(reserved: Reserved) -> Detail:
    return {
        "issuer": reserved.issuer,
        "serial": to_hex(reserved.serial),
        "profile": reserved.profile,
    }
