"""Issuing certificates, one or several that stand or fall together. Alone calls `Issuer.sign`.

    1  prepare             names, key, profile, lint; nothing is written
    2  one transaction     reserve (serial, intent) and audit ``certificate.signing``
    3  sign                outside any transaction; then verify our own signature
    4  one transaction     store the certificate and audit ``certificate.issued``

docs/issuance-cycle.md says what is true after a crash between any two of them.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime

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


Wanted = tuple[IssuanceRequest, CertificateProfile]


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
    (issued,) = issue_together(
        ((request, profile),),
        issuer=issuer,
        store=store,
        transactions=transactions,
        audit=audit,
        clock=clock,
    )
    return issued


def issue_together(
    wanted: Sequence[Wanted],
    *,
    issuer: Issuer,
    store: CertificateStore,
    transactions: Transactions,
    audit: AuditLog,
    clock: Clock,
) -> tuple[Issued, ...]:
    """Issue all of them or none, in the same four steps: reserved together, stored together.

    As `issue_certificate`, for each of them.
    """
    known = _known(wanted, store)
    if known and all(record.der is not None for record in known):
        return _finished(known)
    if known:
        reserved = tuple(_reserved_again(record) for record in known)
        for one in reserved:
            log.warning("finishing an interrupted issuance", extra=dict(_detail(one)))
    else:
        now = clock.now()
        prepared = [
            issuer.prepare(request, profile=profile, serial=random_serial(), now=now)
            for request, profile in wanted
        ]
        with transactions.transaction():
            reserved = tuple(store.reserve(one, now=now) for one in prepared)
            for one in reserved:
                audit.record("certificate.signing", actor=one.requester, detail=_detail(one))
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


class _Overtaken(Exception):
    """Another thread finished or revoked one of them: store none of ours."""


def _sign(
    reserved: Sequence[Reserved],
    *,
    issuer: Issuer,
    store: CertificateStore,
    transactions: Transactions,
    audit: AuditLog,
    clock: Clock,
) -> tuple[Issued, ...]:
    try:
        issued = tuple(issuer.sign(one) for one in reserved)
    except Exception as error:
        # Recorded and raised again: the serials are burned, whatever happened to the signatures.
        _record_failure(reserved, error, store=store, transactions=transactions, audit=audit)
        raise
    try:
        with transactions.transaction():
            _complete(issued, store, now=clock.now())
            for one, made in zip(reserved, issued, strict=True):
                detail = {**_detail(one), "fingerprint": made.fingerprint}
                audit.record("certificate.issued", actor=one.requester, detail=detail)
    except _Overtaken as error:
        return _finished_by_another(
            reserved, error, store=store, transactions=transactions, audit=audit
        )
    for one in reserved:
        CERTIFICATES_ISSUED.labels(one.issuer, one.profile).inc()
    return issued


def _complete(issued: Sequence[Issued], store: CertificateStore, *, now: datetime) -> None:
    if not all(store.complete(one, now=now) for one in issued):
        raise _Overtaken


def _record_failure(
    reserved: Sequence[Reserved],
    error: Exception,
    *,
    store: CertificateStore,
    transactions: Transactions,
    audit: AuditLog,
) -> None:
    with transactions.transaction():
        for one in reserved:
            CERTIFICATES_FAILED.labels(one.issuer, one.profile).inc()
            store.fail(one.issuer, one.serial)
            detail = {**_detail(one), "error": type(error).__name__}
            audit.record("certificate.failed", actor=one.requester, detail=detail)


def _finished_by_another(
    reserved: Sequence[Reserved],
    error: Exception,
    *,
    store: CertificateStore,
    transactions: Transactions,
    audit: AuditLog,
) -> tuple[Issued, ...]:
    """Return the certificates that another thread stored; our signatures over them are dropped.

    If one of them was revoked meanwhile, the others fail with it: there is no half of a pair.
    """
    known = [store.find_certificate(one.issuer, one.serial) for one in reserved]
    found = [record for record in known if record is not None and record.der is not None]
    if len(found) == len(reserved):
        return _finished(found)
    left = [
        one
        for one, record in zip(reserved, known, strict=True)
        if record is not None and record.state is CertificateState.RESERVED
    ]
    _record_failure(left, error, store=store, transactions=transactions, audit=audit)
    serials = ", ".join(to_hex(one.serial) for one in reserved if one not in left)
    raise Conflict(f"serial {serials} of {reserved[0].issuer} was revoked while it was signed")


def _known(wanted: Sequence[Wanted], store: CertificateStore) -> list[CertificateRecord]:
    """Return what earlier calls began: nothing, or a record for each."""
    found = [
        None if request.request_id is None else store.find_by_request(request.request_id)
        for request, _ in wanted
    ]
    known = [record for record in found if record is not None]
    if known and len(known) != len(wanted):
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
