"""Running a ceremony: the key, then the certificate, once, whatever is killed in between.

    draw    the key is made, serial number and instants are fixed; nothing is signed
    plan    the octets, from the file and what was drawn; as often as anybody wants
    run     intent, signature, certificate (`ca.issuance`), then the issuer's row

A run that was killed is finished by the next one: it finds the intent by its request id, and the
octets must be the planned ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Protocol

from cryptography import x509
from typing_extensions import override

from ca.ceremony import Act, Ceremony, Description, Lock, instants
from ca.ceremony_plan import CASubject, Plan, hashes_of, make_plan
from ca.contents import IssuanceRequest
from ca.issuance import issue_certificate
from ca.issuer import Issued, Issuer, Prepared
from ca.names import encode_name
from ca.profiles import CertificateProfile
from ca.serials import SerialNumber, random_serial, to_hex
from ca.store import CertificateRecord, CertificateStore, IssuerRecord, IssuerStore
from core import der
from core.audit import AuditLog
from core.clock import Clock
from core.errors import Conflict, NotFound, Refused
from core.transaction import Transactions
from keystore import keyref
from keystore.backend import KeyBackend, Signer

Approve = Callable[[Plan], object]
"""Uses up the approval of a plan. Raises `Forbidden` when there is none."""


class AuthorityStore(CertificateStore, IssuerStore, Protocol):
    """What a ceremony writes to."""


@dataclass(frozen=True, slots=True)
class Made:
    """What came of a ceremony."""

    der: bytes
    """The certificate, or the request to take to the outside root."""
    certificate: Issued | None
    signed_by: bytes
    """DER of the certificate of the issuer that signed; the certificate itself for a root, and
    nothing for a request."""


@dataclass(frozen=True, slots=True)
class _PlannedIssuer(Issuer):
    """An issuer that prepares the one certificate that was planned, and nothing else."""

    planned: Prepared = field(kw_only=True)

    @override
    def prepare(
        self,
        request: IssuanceRequest,
        *,
        profile: CertificateProfile,
        serial: SerialNumber,
        now: datetime,
    ) -> Prepared:
        return self.planned


class Ceremonies:
    """Makes the certificates of CAs."""

    def __init__(
        self,
        *,
        keystore: KeyBackend,
        store: AuthorityStore,
        profiles: Mapping[str, CertificateProfile],
        issuers: Mapping[str, Issuer],
        revocation_url: str,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._keystore = keystore
        self._store = store
        self._profiles = profiles
        self._issuers = issuers
        self._revocation_url = revocation_url
        self._transactions = transactions
        self._audit = audit
        self._clock = clock

    def draw(self, ceremony: Ceremony, *, other: CASubject | None, actor: str) -> Lock:
        """Make the key and fix what the file leaves open. A key that is there already is used."""
        description = ceremony.description
        self._check_names(description)
        profile = self._profile(description)
        ends = None
        if description.issuer is not None:
            certificate = self._issuer(description.issuer).certificate
            ends = x509.load_der_x509_certificate(certificate).not_valid_after_utc
        begin, end = instants(
            description,
            days=profile.validity_days,
            backdate=timedelta(seconds=profile.backdate_seconds),
            now=self._clock.now(),
            ends=ends,
        )
        spki = self._key(description) if other is None else other.spki
        with self._transactions.transaction():
            self._audit.record(
                "ceremony.prepared",
                actor=actor,
                detail={
                    "act": description.act,
                    "name": description.name,
                    "file": ceremony.digest,
                    "key": description.key_ref if other is None else None,
                },
            )
        return Lock(
            file_sha256=ceremony.digest,
            serial=description.serial or to_hex(random_serial()),
            not_before=begin,
            not_after=end,
            key=description.key_ref if other is None else None,
            public_key=spki.hex(),
        )

    def plan(
        self, ceremony: Ceremony, lock: Lock, *, other: CASubject | None, requester: str
    ) -> Plan:
        """Make the octets to be signed. Raises `Refused`; changes nothing."""
        description = ceremony.description
        return make_plan(
            ceremony,
            lock,
            issuer=self._signing(description),
            profile=self._profile(description),
            other=other,
            requester=requester,
        )

    def run(self, plan: Plan, *, actor: str, approve: Approve) -> Made:
        """Sign what was planned, or finish it. Of many runs of one plan, one certificate comes.

        `approve` is asked before the key is used, and no more once the intent is durable.
        """
        description = plan.ceremony.description
        issuer = self._signing(description)
        if plan.prepared is None:
            approve(plan)
            signature = issuer.signer.sign(plan.tbs)
            identifier = issuer.signer.algorithm.identifier
            with self._transactions.transaction():
                self._record(plan, None, actor)
            return Made(der.signed_object(plan.tbs, identifier, signature), None, b"")
        known = self._begun(plan, plan.prepared)
        if known is None:
            self._check_names(description)
            approve(plan)
        issued = issue_planned(
            plan.prepared,
            profile=self._profile(description),
            issuer=issuer,
            store=self._store,
            transactions=self._transactions,
            audit=self._audit,
            clock=self._clock,
        )
        self._remember(plan, issued, issuer, actor)
        return Made(issued.der, issued, issuer.certificate or issued.der)

    def _begun(self, plan: Plan, prepared: Prepared) -> CertificateRecord | None:
        description = plan.ceremony.description
        known = self._store.find_by_request(prepared.request_id or "")
        if known is not None and known.tbs != plan.tbs:
            raise Conflict(
                f"{description.name} was begun with other octets (serial {to_hex(known.serial)}): "
                "run the ceremony with the lock file of that time, or choose another name"
            )
        if known is None and self._store.find_certificate(prepared.issuer, prepared.serial):
            raise Conflict(
                f"the serial {to_hex(prepared.serial)} is burned (signing failed, or it was "
                "revoked): remove the lock, and plan and approve again"
            )
        return known

    def _remember(self, plan: Plan, issued: Issued, issuer: Issuer, actor: str) -> None:
        """Make the issuer's row, once; a cross-certificate makes none."""
        description = plan.ceremony.description
        with self._transactions.transaction():
            if description.act is not Act.CROSS_CERTIFICATE:
                if self._store.find_issuer(description.name) is not None:
                    return
                signer = self._signer(description)
                self._store.add_issuer(
                    IssuerRecord(
                        name=description.name,
                        parent=issuer.name if issuer.certificate else None,
                        key_ref=signer.key.ref,
                        signature_algorithm=signer.algorithm,
                        certificate=issued.der,
                        created_at=self._clock.now(),
                        succeeds=description.succeeds,
                        takes_over_at=description.takes_over_at,
                    )
                )
                self._audit.record(
                    "issuer.created",
                    actor=actor,
                    detail={
                        "issuer": description.name,
                        "key": signer.key.ref,
                        "succeeds": description.succeeds,
                    },
                )
            self._record(plan, issued, actor)

    def _record(self, plan: Plan, issued: Issued | None, actor: str) -> None:
        description = plan.ceremony.description
        self._audit.record(
            "ceremony.completed",
            actor=actor,
            detail={
                "act": description.act,
                "name": description.name,
                "plan": plan.digest,
                "file": plan.ceremony.digest,
                "tbs_sha256": hashes_of(plan.tbs)["tbs_sha256"],
                "fingerprint": None if issued is None else issued.fingerprint,
            },
        )

    def _check_names(self, description: Description) -> None:
        """Refuse a name, a key or a generation that is taken."""
        for record in self._store.list_issuers():
            if description.act is not Act.CROSS_CERTIFICATE and record.name == description.name:
                raise Conflict(f"there is an issuer named {description.name} already")
            if description.act.has_key and record.key_ref == description.key_ref:
                raise Conflict(
                    f"{record.key_ref} is the key of {record.name}: name a key of its own"
                )
        if description.succeeds is not None:
            before = self._store.find_issuer(description.succeeds)
            if before is None or before.parent is None:
                raise NotFound(f"there is no issuing CA {description.succeeds} to succeed")
            if before.succeeds is not None:
                raise Refused(
                    f"{before.name} is a generation of {before.succeeds}: say that one in succeeds"
                )

    def _profile(self, description: Description) -> CertificateProfile:
        name = description.profile or description.act.profile
        if name not in self._profiles:
            raise NotFound(f"there is no profile {name}")
        return self._profiles[name]

    def _issuer(self, name: str) -> Issuer:
        if name not in self._issuers:
            raise NotFound(f"there is no issuer {name}")
        return self._issuers[name]

    def _signing(self, description: Description) -> Issuer:
        """Return who signs: an issuer of ours, or the new one itself."""
        if description.issuer is not None:
            return self._issuer(description.issuer)
        return Issuer(
            name=description.name,
            certificate=b"",
            chain=(),
            signer=self._signer(description),
            subject=encode_name(description.attributes()),
            revocation_url=self._revocation_url,
        )

    def _signer(self, description: Description) -> Signer:
        return self._keystore.signer(description.key_ref, description.signature)

    def _key(self, description: Description) -> bytes:
        algorithm = description.key_algorithm
        if algorithm is None:
            raise Refused("the ceremony makes a key, and names no key_algorithm")
        info = self._keystore.find(keyref.parse(description.key_ref))
        # A key without a certificate was left by a crash, or made on its token before: it is it.
        if info is None:
            info = self._keystore.generate(description.key_ref, algorithm)
        if info.algorithm is not algorithm:
            raise Refused(f"the key {info.ref} is {info.algorithm}, and the file says {algorithm}")
        return info.public_key


def issue_planned(
    prepared: Prepared,
    *,
    profile: CertificateProfile,
    issuer: Issuer,
    store: CertificateStore,
    transactions: Transactions,
    audit: AuditLog,
    clock: Clock,
) -> Issued:
    """Issue exactly `prepared`, or finish what an earlier call with its request id began."""
    own = {one.name: getattr(issuer, one.name) for one in fields(issuer)}
    return issue_certificate(
        IssuanceRequest(
            spki=prepared.spki,
            subject=(),
            requester=prepared.requester,
            request_id=prepared.request_id,
        ),
        profile=profile,
        issuer=_PlannedIssuer(**own, planned=prepared),
        store=store,
        transactions=transactions,
        audit=audit,
        clock=clock,
    )


def nobody_else(_: Plan) -> None:
    """Approve as `Approve` does where no approval is asked for."""
