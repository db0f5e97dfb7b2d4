"""Making one CRL: number, content, signature, publication."""

from __future__ import annotations

from datetime import timedelta

from cryptography import x509

from ca.issuer import Issuer
from ca.store import StatusSource
from core import der
from core.audit import AuditLog
from core.clock import Clock
from core.errors import BackendUnavailable, Conflict, InvalidSignature, Refused
from core.identity import SYSTEM_ACTOR
from core.transaction import Transactions
from crl.config import CRLConfig
from crl.store import CRLRecord, CRLStore
from crl.tbs import CRLContent, encode_tbs
from keystore.verify import verify_signature

_ATTEMPTS = 10


def generate_crl(
    issuer: Issuer,
    *,
    source: StatusSource,
    store: CRLStore,
    config: CRLConfig,
    transactions: Transactions,
    audit: AuditLog,
    clock: Clock,
) -> CRLRecord:
    """Sign and publish a CRL that covers every revocation known when this was called.

    The number is durable before the key is used, so no two CRLs ever share one; a crash leaves a
    gap, which RFC 5280, 5.2.3 allows. When another thread or node published a CRL meanwhile that
    covers as much, that one is returned and ours is dropped.

    Raises `Refused` past the end of the issuer, `Conflict` if the clock went backwards, and
    `Unavailable` if the key, the database or the audit log cannot be reached.
    """
    name = issuer.name
    wanted = source.revocation_position(name)
    before = store.find_current(name)
    for _ in range(_ATTEMPTS):
        record = _sign(issuer, source, store, config, clock)
        try:
            with transactions.transaction():
                store.publish(record)
                audit.record("crl.published", actor=SYSTEM_ACTOR, detail=_detail(record))
        except Conflict:
            current = store.find_current(name)
            if current is None or current == before:
                raise  # nobody was faster: the clock went backwards
            if current.position >= wanted:
                return current
            before = current
            continue
        return record
    raise Conflict(f"the CRL of {name} cannot be published: the published one is always newer")


def _sign(
    issuer: Issuer,
    source: StatusSource,
    store: CRLStore,
    config: CRLConfig,
    clock: Clock,
) -> CRLRecord:
    certificate = x509.load_der_x509_certificate(issuer.certificate)
    not_after = certificate.not_valid_after_utc
    key_identifier = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    # The position first: a revocation in between is then listed, and covered once more later.
    # The time last: nothing that is listed happened after thisUpdate.
    position = source.revocation_position(issuer.name)
    previous = store.find_current(issuer.name)
    entries = tuple(
        entry
        for entry in source.list_revoked(issuer.name)
        # RFC 5280, 3.3: an entry stays until one CRL was made after the certificate ended.
        if previous is None or entry.not_after >= previous.this_update
    )
    now = clock.now()
    if now >= not_after:
        raise Refused(f"the certificate of {issuer.name} has ended; it signs no CRL any more")
    content = CRLContent(
        issuer=issuer.subject,
        issuer_key_identifier=key_identifier.value.digest,
        algorithm=issuer.signer.algorithm.identifier,
        # Seconds since 1970 as the lower bound keep the number growing over a database that was
        # restored from a backup, where the last numbers drawn are forgotten.
        number=store.reserve_number(issuer.name, at_least=int(now.timestamp())),
        this_update=now,
        next_update=min(now + timedelta(hours=config.validity_hours), not_after),
        entries=entries,
    )
    tbs = encode_tbs(content)
    signature = issuer.signer.sign(tbs)
    try:
        verify_signature(issuer.spki, issuer.signer.algorithm, tbs, signature)
    except InvalidSignature as error:
        raise BackendUnavailable(f"the key of {issuer.name} makes wrong signatures") from error
    return CRLRecord(
        issuer=issuer.name,
        number=content.number,
        this_update=content.this_update,
        next_update=content.next_update,
        position=position,
        entries=len(entries),
        der=der.signed_object(tbs, content.algorithm, signature),
    )


def _detail(record: CRLRecord) -> dict[str, str | int | bool | None]:
    return {
        "issuer": record.issuer,
        "number": record.number,
        "entries": record.entries,
        "this_update": record.this_update.isoformat(),
        "next_update": record.next_update.isoformat(),
    }
