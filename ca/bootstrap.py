"""Making issuers, and finding them again at every start."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Protocol

from cryptography import x509

from ca.contents import IssuanceRequest
from ca.issuance import issue_certificate
from ca.issuer import Issued, Issuer
from ca.lint import DEFAULT_LINTER, Linter
from ca.names import Attributes, check_attributes, encode_name
from ca.profiles import CertificateProfile
from ca.store import CertificateStore, IssuerRecord, IssuerStore
from core.audit import AuditLog
from core.clock import Clock
from core.errors import Malformed, Misconfigured, NotFound
from core.identity import SYSTEM_ACTOR
from core.transaction import Transactions
from keystore import keyref
from keystore.algorithms import KeyAlgorithm, SignatureAlgorithm
from keystore.backend import KeyBackend, Signer
from keystore.keyref import KeyRef

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,62}")


class AuthorityStore(CertificateStore, IssuerStore, Protocol):
    """What bootstrapping writes to."""


@dataclass(frozen=True, slots=True)
class NewIssuer:
    """What an issuer shall be."""

    name: str
    """Lowercase letters, digits, hyphens: it becomes part of URLs."""
    subject: Attributes
    algorithm: KeyAlgorithm
    key_ref: KeyRef | None = None
    """None: ``software:object=<name>``. A key that exists already is used."""
    signature: SignatureAlgorithm | None = None
    """How it signs; None: the default of its key algorithm."""


def create_root(
    new: NewIssuer,
    *,
    profile: CertificateProfile,
    revocation_url: str,
    keystore: KeyBackend,
    store: AuthorityStore,
    transactions: Transactions,
    audit: AuditLog,
    clock: Clock,
    actor: str = SYSTEM_ACTOR,
) -> Issuer:
    """Make a root, or return it if it exists. A crash half way is finished by the next call."""
    found = store.find_issuer(new.name)
    if found is not None:
        return _load(found, (), keystore, revocation_url)
    signer = _signer(new, keystore)
    itself = Issuer(
        name=_checked(new.name),
        certificate=b"",
        chain=(),
        signer=signer,
        subject=encode_name(check_attributes(new.subject)),
        revocation_url=revocation_url,
    )
    issued = issue_certificate(
        _request(new, signer, actor),
        profile=profile,
        issuer=itself,
        store=store,
        transactions=transactions,
        audit=audit,
        clock=clock,
    )
    record = _record(new, signer, issued, parent=None, now=clock.now())
    _remember(record, store=store, transactions=transactions, audit=audit, actor=actor)
    return replace(itself, certificate=issued.der)


def create_subordinate(
    new: NewIssuer,
    *,
    parent: Issuer,
    profile: CertificateProfile,
    keystore: KeyBackend,
    store: AuthorityStore,
    transactions: Transactions,
    audit: AuditLog,
    clock: Clock,
    actor: str = SYSTEM_ACTOR,
) -> Issuer:
    """Make an issuing CA under `parent`, or return it if it exists."""
    chain = (parent.certificate, *parent.chain)
    found = store.find_issuer(new.name)
    if found is not None:
        return _load(found, chain, keystore, parent.revocation_url)
    signer = _signer(new, keystore)
    _checked(new.name)
    issued = issue_certificate(
        _request(new, signer, actor),
        profile=profile,
        issuer=parent,
        store=store,
        transactions=transactions,
        audit=audit,
        clock=clock,
    )
    record = _record(new, signer, issued, parent=parent.name, now=clock.now())
    _remember(record, store=store, transactions=transactions, audit=audit, actor=actor)
    return Issuer(
        name=new.name,
        certificate=issued.der,
        chain=chain,
        signer=signer,
        subject=encode_name(check_attributes(new.subject)),
        revocation_url=parent.revocation_url,
    )


def load_issuers(
    store: IssuerStore,
    keystore: KeyBackend,
    *,
    revocation_url: str,
    linter: Linter = DEFAULT_LINTER,
) -> dict[str, Issuer]:
    """Return every issuer by name, each with its signer. Raises `Misconfigured` for a lost key."""
    loaded: dict[str, Issuer] = {}
    for record in store.list_issuers():
        chain: tuple[bytes, ...] = ()
        if record.parent is not None:
            parent = loaded[record.parent]
            chain = (parent.certificate, *parent.chain)
        issuer = _load(record, chain, keystore, revocation_url)
        loaded[record.name] = replace(issuer, linter=linter)
    return loaded


def _load(
    record: IssuerRecord, chain: tuple[bytes, ...], keystore: KeyBackend, revocation_url: str
) -> Issuer:
    try:
        signer = keystore.signer(keyref.parse(record.key_ref), record.signature_algorithm)
    except NotFound as error:
        raise Misconfigured(
            f"the key of issuer {record.name} is not in the keystore: {record.key_ref}"
        ) from error
    certificate = x509.load_der_x509_certificate(record.certificate)
    if signer.key.public_key not in certificate.tbs_certificate_bytes:
        raise Misconfigured(
            f"the key {record.key_ref} is not the one in the certificate of issuer {record.name}"
        )
    return Issuer(
        name=record.name,
        certificate=record.certificate,
        chain=chain,
        signer=signer,
        subject=certificate.subject.public_bytes(),
        revocation_url=revocation_url,
    )


def _checked(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise Malformed(f"{name!r} is not an issuer name: lowercase letters, digits and hyphens")
    return name


def _signer(new: NewIssuer, keystore: KeyBackend) -> Signer:
    ref = new.key_ref or keyref.make("software", object=new.name)
    # A key without a certificate was left by a crash, or made in a ceremony: it is the one.
    if keystore.find(ref) is None:
        keystore.generate(ref, new.algorithm)
    return keystore.signer(ref, new.signature)


def _request(new: NewIssuer, signer: Signer, actor: str) -> IssuanceRequest:
    return IssuanceRequest(
        spki=signer.key.public_key,
        subject=new.subject,
        requester=actor,
        request_id=f"issuer:{new.name}",
    )


def _record(
    new: NewIssuer, signer: Signer, issued: Issued, *, parent: str | None, now: datetime
) -> IssuerRecord:
    return IssuerRecord(
        name=new.name,
        parent=parent,
        key_ref=signer.key.ref,
        signature_algorithm=signer.algorithm,
        certificate=issued.der,
        created_at=now,
    )


def _remember(
    record: IssuerRecord,
    *,
    store: IssuerStore,
    transactions: Transactions,
    audit: AuditLog,
    actor: str,
) -> None:
    with transactions.transaction():
        store.add_issuer(record)
        audit.record(
            "issuer.created", actor=actor, detail={"issuer": record.name, "key": record.key_ref}
        )
