"""Issuing certificates, one or several that stand or fall together.

    1  prepare             names, key, profile, lint; nothing is written
    2  one transaction     reserve (serial, intent) and audit ``certificate.signing``
    3  sign                outside any transaction; then verify our own signature
    4  one transaction     store the certificate and audit ``certificate.issued``

docs/issuance-cycle.md says what is true after a crash between any two of them. The steps
themselves are in `ca.issuing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from ca.contents import IssuanceRequest
from ca.issuer import Issued, Issuer
from ca.issuing import Issuing, Wanted
from ca.profiles import CertificateProfile
from ca.serials import to_hex
from ca.store import CertificateRecord, CertificateStore
from core.audit import AuditLog
from core.clock import Clock
from core.identity import SYSTEM_ACTOR
from core.transaction import Transactions


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
    (outcome,) = Issuing(issuer, store, transactions, audit, clock).issue((wanted,))
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def find_interrupted(
    *,
    store: CertificateStore,
    transactions: Transactions,
    audit: AuditLog,
    clock: Clock,
    older_than: timedelta | None = None,
) -> Sequence[CertificateRecord]:
    """Report what was reserved and neither finished nor failed: a crash, or a lost database.

    To be called at start, when no issuance is under way; later with `older_than`, which is longer
    than one takes. Each one is audited once as
    ``certificate.interrupted`` and stays RESERVED: it can be revoked, and a request that is
    approved again finishes it with the same serial number.
    """
    found = store.list_reserved()
    if older_than is not None:
        before = clock.now() - older_than
        found = [one for one in found if one.reserved_at <= before]
    for record in found:
        with transactions.transaction():
            store.mark_interrupted(record.issuer, record.serial, now=clock.now())
            audit.record(
                "certificate.interrupted",
                actor=SYSTEM_ACTOR,
                detail={"issuer": record.issuer, "serial": to_hex(record.serial)},
            )
    return found
