"""The hierarchies of the first start: each of their certificates is a small ceremony."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError

from ca.ceremony import Act, Ceremony, Description, Lock
from ca.ceremony_plan import request_id_of
from ca.ceremony_run import AuthorityStore, Ceremonies, nobody_else
from ca.issuer import Issuer
from ca.issuers import load_issuer
from ca.names import Attributes
from ca.profiles import CertificateProfile
from ca.serials import to_hex
from ca.store import CertificateRecord
from core.audit import AuditLog
from core.clock import Clock
from core.errors import Malformed, Unavailable
from core.identity import SYSTEM_ACTOR
from core.transaction import Transactions
from keystore.algorithms import KeyAlgorithm, SignatureAlgorithm
from keystore.backend import KeyBackend
from keystore.keyref import KeyRef


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
    ceremonies = Ceremonies(
        keystore=keystore,
        store=store,
        profiles={profile.name: profile},
        issuers={},
        revocation_url=revocation_url,
        transactions=transactions,
        audit=audit,
        clock=clock,
    )
    ceremony = _describe(Act.ROOT, new, profile)
    _ensure(ceremony, ceremonies, store, keystore, actor)
    return _load(new.name, (), store, keystore, revocation_url)


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
    ceremonies = Ceremonies(
        keystore=keystore,
        store=store,
        profiles={profile.name: profile},
        issuers={parent.name: parent},
        revocation_url=parent.revocation_url,
        transactions=transactions,
        audit=audit,
        clock=clock,
    )
    ceremony = _describe(Act.ISSUING_CA, new, profile, issuer=parent.name)
    _ensure(ceremony, ceremonies, store, keystore, actor)
    chain = (parent.certificate, *parent.chain)
    return _load(new.name, chain, store, keystore, parent.revocation_url)


def _describe(
    act: Act, new: NewIssuer, profile: CertificateProfile, issuer: str | None = None
) -> Ceremony:
    subject: dict[str, str | tuple[str, ...]] = {}
    for short, value in new.subject:
        before = subject.get(short, ())
        subject[short] = (*((before,) if isinstance(before, str) else before), value)
    try:
        description = Description(
            act=act,
            name=new.name,
            subject=subject,
            key_algorithm=new.algorithm,
            key=new.key_ref,
            signature=new.signature,
            issuer=issuer,
            profile=profile.name,
        )
    except ValidationError as error:
        raise Malformed(f"{new.name!r} cannot be made: {error.errors()[0]['msg']}") from error
    return Ceremony(description.model_dump_json(), description)


def _ensure(
    ceremony: Ceremony,
    ceremonies: Ceremonies,
    store: AuthorityStore,
    keystore: KeyBackend,
    actor: str,
) -> None:
    description = ceremony.description
    if store.find_issuer(description.name) is not None:
        return
    begun = store.find_by_request(request_id_of(description.act, description.name, ""))
    if begun is None:
        lock = ceremonies.draw(ceremony, other=None, actor=actor)
    else:
        lock = _drawn_before(ceremony, begun, keystore)
    plan = ceremonies.plan(ceremony, lock, other=None, requester=actor)
    ceremonies.run(plan, actor=actor, approve=nobody_else)


def _drawn_before(ceremony: Ceremony, begun: CertificateRecord, keystore: KeyBackend) -> Lock:
    """Read back what a start that was killed drew, from the intent that it left."""
    ref = ceremony.description.key_ref
    info = keystore.find(ref)
    if info is None:
        raise Unavailable(
            f"{ref} is gone, and a certificate for it was begun: restore the keystore"
        )
    return Lock(
        file_sha256=ceremony.digest,
        serial=to_hex(begun.serial),
        not_before=begun.not_before,
        not_after=begun.not_after,
        key=ref,
        public_key=info.public_key.hex(),
    )


def _load(
    name: str,
    chain: tuple[bytes, ...],
    store: AuthorityStore,
    keystore: KeyBackend,
    revocation_url: str,
) -> Issuer:
    record = store.find_issuer(name)
    if record is None:
        raise Unavailable(f"the issuer {name} was made and cannot be read")
    return load_issuer(record, chain, keystore, revocation_url)
