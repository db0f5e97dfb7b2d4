"""Delegated responders: a short-lived key and certificate per issuer (RFC 6960, 4.2.2.2)."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from threading import Lock
from typing import Final, Protocol

from cryptography import x509

from ca.contents import IssuanceRequest
from ca.issuer import Issued, Issuer
from ca.names import attributes_of
from ca.store import CertificateState, StatusReader
from ca.tbs import parse_tbs
from core import der
from core.audit import AuditLog
from core.clock import Clock
from core.errors import TrustError, Unavailable
from core.identity import SYSTEM_ACTOR
from core.transaction import Transactions
from crl.config import OCSPConfig
from crl.ocsp.issuers import Known
from crl.ocsp.response import by_key, by_name
from crl.store import DelegateRecord, DelegateStore
from keystore import keyref
from keystore.algorithms import KeyAlgorithm
from keystore.backend import KeyBackend, Signer

log = logging.getLogger(__name__)

IssueDelegate = Callable[[IssuanceRequest, Issuer], Issued]
"""`ca.issuance.issue_certificate` with the profile ``ocsp-signer`` and its stores filled in."""

_RESPONDERS: Final = 256
"""So many have their names remembered, which are asked for with each answer."""
_RELOAD_AFTER: Final = timedelta(seconds=60)
_OF_THE_ISSUER: Final = frozenset(
    {KeyAlgorithm.SM2, KeyAlgorithm.EC_P256, KeyAlgorithm.EC_P384, KeyAlgorithm.ED25519}
)


@dataclass(frozen=True, slots=True)
class Delegate:
    """A delegated responder, ready to sign."""

    certificate: bytes
    """DER."""
    signer: Signer
    usable_until: datetime
    """No answer holds longer: the end of its certificate or of the issuer's."""
    embedded: bool = True
    """Its certificate is in its answers; not the issuer's own, which clients have."""

    @property
    def responder_id(self) -> bytes:
        """How its answers name it (DER ResponderID).

        The issuer by its name: GnuTLS does not find it by its key.
        """
        if self.embedded:
            return _id_by_key(self.signer.key.public_key)
        return _id_by_name(self.certificate)


@lru_cache(maxsize=_RESPONDERS)
def _id_by_key(public_key: bytes) -> bytes:
    return by_key(der.public_key_bits(public_key))


@lru_cache(maxsize=_RESPONDERS)
def _id_by_name(certificate: bytes) -> bytes:
    tbs = der.split_signed(certificate, what="the issuer's certificate")[0]
    return by_name(der.octets_of(parse_tbs(tbs).subject))


def ensure_delegate(
    issuer: Issuer,
    *,
    store: DelegateStore,
    source: StatusReader,
    issue: IssueDelegate,
    keystore: KeyBackend,
    config: OCSPConfig,
    transactions: Transactions,
    audit: AuditLog,
    clock: Clock,
) -> DelegateRecord:
    """Return a delegated responder in the first half of its life, making one if there is none.

    Each has a new key. The one before it is used no more, and destroyed when it has ended
    (`crl.ocsp.retirement`); the answers it signed carry its certificate and hold until they expire.
    A crash half way leaves a key and perhaps a certificate that nobody uses. Raises what issuing
    raises.
    """
    now = clock.now()
    issuer_ends = x509.load_der_x509_certificate(issuer.certificate).not_valid_after_utc
    for record in store.list_delegates(issuer.name):
        half = record.not_before + (record.not_after - record.not_before) / 2
        young = now < half or record.not_after >= issuer_ends
        if young and _usable(record, source, now):
            return record
    name = f"ocsp-{issuer.name}-{now:%Y%m%d}-{secrets.token_hex(4)}"
    template = config.signer_key_of.get(issuer.name, config.signer_key)
    info = keystore.generate(
        keyref.parse(template.format(name=name)), _key_algorithm(issuer, config)
    )
    subject = attributes_of(x509.load_der_x509_certificate(issuer.certificate).subject)
    kept = tuple(pair for pair in subject if pair[0] in {"C", "O"})
    request = IssuanceRequest(
        spki=info.public_key,
        subject=(*kept, ("CN", f"OCSP {issuer.name} {now:%Y%m%d}")),
        requester=SYSTEM_ACTOR,
    )
    issued = issue(request, issuer)
    certificate = x509.load_der_x509_certificate(issued.der)
    record = DelegateRecord(
        issuer=issuer.name,
        serial=issued.serial,
        key=info.ref,
        algorithm=info.algorithm.default_signature,
        certificate=issued.der,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
    )
    with transactions.transaction():
        store.add_delegate(record)
        audit.record(
            "delegate.activated",
            actor=SYSTEM_ACTOR,
            detail={
                "issuer": issuer.name,
                "key": info.ref,
                "fingerprint": issued.fingerprint,
                "not_after": record.not_after.isoformat(),
            },
        )
    return record


def ensure_delegates(issuers: Iterable[Issuer], ensure: Callable[[Issuer], object]) -> None:
    """Call `ensure` (`ensure_delegate` with its seams filled in) for every issuer.

    One whose key is away does not stop the others. Raises the first error, after all were tried.
    """
    errors = []
    for issuer in issuers:
        try:
            ensure(issuer)
        except TrustError as error:
            log.exception("no OCSP responder was made", extra={"issuer": issuer.name})
            errors.append(error)
    if errors:
        raise errors[0]


class DelegateSource(Protocol):
    """Who signs for an issuer at this moment."""

    def current(self, issuer: Known, now: datetime) -> Delegate:
        """Return the one that signs for `issuer`. Raises `Unavailable` when there is none."""
        ...


class Delegates:
    """The delegated responders in use. Safe to share between threads.

    Follows the store, so that a node sees the one that another node made.
    """

    def __init__(self, store: DelegateStore, source: StatusReader, keystore: KeyBackend) -> None:
        self._store = store
        self._source = source
        self._keystore = keystore
        self._lock = Lock()
        self._loaded: dict[str, tuple[datetime, Delegate]] = {}

    def current(self, issuer: Known, now: datetime) -> Delegate:
        with self._lock:
            loaded = self._loaded.get(issuer.name)
        if loaded is not None:
            at, delegate = loaded
            if at <= now < at + _RELOAD_AFTER and now < delegate.usable_until:
                return delegate
        delegate = self._load(issuer, now)
        with self._lock:
            self._loaded[issuer.name] = (now, delegate)
        return delegate

    def _load(self, issuer: Known, now: datetime) -> Delegate:
        issuer_ends = x509.load_der_x509_certificate(issuer.certificate).not_valid_after_utc
        for record in self._store.list_delegates(issuer.name):
            if _usable(record, self._source, now) and now < issuer_ends:
                return Delegate(
                    certificate=record.certificate,
                    signer=self._keystore.signer(record.key, record.algorithm),
                    usable_until=min(record.not_after, issuer_ends),
                )
        log.error("no delegated OCSP responder", extra={"issuer": issuer.name})
        raise Unavailable(f"{issuer.name} has no delegated OCSP responder at the moment")


def _usable(record: DelegateRecord, source: StatusReader, now: datetime) -> bool:
    # id-pkix-ocsp-nocheck tells clients not to ask whether it is revoked, so we look ourselves.
    status = source.find_status(record.issuer, record.serial)
    issued = status is not None and status.state is CertificateState.ISSUED
    return issued and record.not_before <= now < record.not_after


def _key_algorithm(issuer: Issuer, config: OCSPConfig) -> KeyAlgorithm:
    algorithm = issuer.signer.key.algorithm
    return algorithm if algorithm in _OF_THE_ISSUER else config.rsa_issuer_signer
