"""What goes over the wire of the administrators' API."""

from __future__ import annotations

import json
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from ca.issuer import Issuer
from ca.operations import Operation
from ca.profiles import CertificateProfile
from ca.reasons import RevocationReason
from ca.requests import EnrollmentRecord, RequestState
from ca.serials import to_hex
from ca.store import CertificateRecord, CertificateState

_Text = Annotated[str, Field(min_length=1, max_length=400)]
_Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")]

_CSR_EXAMPLE = (
    "-----BEGIN CERTIFICATE REQUEST-----\nMIH9MIGk...\n-----END CERTIFICATE REQUEST-----\n"
)
_SERIAL_EXAMPLE = "5b0e1f9c3d7a46b28e10f4a9c8d25e7361ab09f4"


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NameAttribute(_Wire):
    """One attribute of a distinguished name."""

    type: Annotated[str, Field(max_length=20, examples=["CN"])]
    value: Annotated[str, Field(max_length=400, examples=["gateway.example.gov.cn"])]


class SubmitRequest(_Wire):
    """A request for a certificate."""

    csr: (
        Annotated[
            str, Field(max_length=90_000, description="PKCS#10 in PEM.", examples=[_CSR_EXAMPLE])
        ]
        | None
    ) = None
    """None: the key comes later, with a pick-up by two codes or at the make step."""
    profile: Annotated[_Name, Field(examples=["device"])]
    issuer: Annotated[_Name, Field(examples=["sm2-issuing"])]
    subject: Annotated[tuple[NameAttribute, ...], Field(max_length=20)] | None = None
    """Replaces the subject of the CSR."""
    alternative_names: (
        Annotated[
            tuple[_Text, ...],
            Field(max_length=100, examples=[["dns:gateway.example.gov.cn", "ip:192.0.2.1"]]),
        ]
        | None
    ) = None
    """Replaces the subjectAltName of the CSR."""
    identity: Annotated[dict[_Text, _Text], Field(max_length=20)] = Field(default_factory=dict)
    """Identity extensions by the names that the profile gives them."""
    validity_days: Annotated[int, Field(ge=1, le=36600)] | None = None
    organisation: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = None
    """Where it belongs. Default: the subject's, or the only one where the caller may apply."""
    subject_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = None
    """Of the person, organisation or device that it is for, if it is kept."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the canonical body: what an idempotency key stands for."""
        # Without what an earlier release did not have: its keys stand for the same bodies.
        later = {name for name in ("organisation", "subject_id") if getattr(self, name) is None}
        canonical = json.dumps(self.model_dump(mode="json", exclude=later), sort_keys=True)
        return sha256(canonical.encode()).hexdigest()


class MakeRequest(_Wire):
    """The key of the medium, where the request was entered without one."""

    csr: (
        Annotated[
            str, Field(max_length=90_000, description="PKCS#10 in PEM.", examples=[_CSR_EXAMPLE])
        ]
        | None
    ) = None


class RejectRequest(_Wire):
    """Why a request is rejected."""

    reason: Annotated[str, Field(min_length=1, max_length=1000, examples=["Wrong department."])]


class RevokeRequest(_Wire):
    """Why a certificate is revoked."""

    reason: Annotated[RevocationReason, Field(examples=["keyCompromise"])]


class CertificateReference(_Wire):
    """Where a certificate is."""

    issuer: str
    serial: Annotated[str, Field(examples=[_SERIAL_EXAMPLE])]


class CodesView(_Wire):
    """The two codes of a pick-up, to be sent by two different ways. Shown once."""

    reference: str
    code: str
    expires_at: datetime


class RequestView(_Wire):
    """A request as its readers see it."""

    id: Annotated[str, Field(examples=["9f86d081884c7d659a2feaa0c55ad015"])]
    state: RequestState
    issuer: str
    profile: str
    subject: tuple[NameAttribute, ...]
    alternative_names: tuple[str, ...]
    validity_days: int | None
    requester: str
    created_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    comment: str | None
    certificate: CertificateReference | None
    operation: Operation
    needs_make: bool
    made_by: str | None
    made_at: datetime | None
    organisation_id: str | None
    subject_id: str | None
    target: CertificateReference | None
    """The certificate that is acted upon, or replaced."""
    reason: RevocationReason | None
    provisional: bool
    """Done first; the review says whether it stays so."""
    target_request: str | None
    """The request whose codes are sent again."""
    codes: CodesView | None
    """In the answer to the step that made them, and nowhere else."""

    @classmethod
    def of(cls, record: EnrollmentRecord) -> Self:
        """Show a record."""
        content = json.loads(record.content)
        reference = target = None
        if record.serial is not None:
            issuer = record.issued_by or record.issuer
            reference = CertificateReference(issuer=issuer, serial=to_hex(record.serial))
        if record.target is not None:
            serial = to_hex(record.target.serial)
            target = CertificateReference(issuer=record.target.issuer, serial=serial)
        return cls(
            id=record.id,
            state=record.state,
            issuer=record.issuer,
            profile=record.profile,
            subject=tuple(NameAttribute(type=t, value=v) for t, v in content["subject"]),
            alternative_names=tuple(content["alternative_names"]),
            validity_days=content["validity_days"],
            requester=record.requester,
            created_at=record.created_at,
            decided_by=record.decided_by,
            decided_at=record.decided_at,
            comment=record.comment,
            certificate=reference,
            operation=record.operation,
            needs_make=record.needs_make,
            made_by=record.made_by,
            made_at=record.made_at,
            organisation_id=record.organisation_id,
            subject_id=record.subject_id,
            target=target,
            reason=record.reason,
            provisional=record.provisional,
            target_request=record.target_request,
            codes=None
            if record.codes is None
            else CodesView(
                reference=record.codes.reference,
                code=record.codes.code,
                expires_at=record.codes.expires_at,
            ),
        )


class RequestList(_Wire):
    """One page of requests, newest first."""

    items: tuple[RequestView, ...]
    next_cursor: str | None


class CertificateView(_Wire):
    """A certificate as its readers see it; its octets have formats of their own."""

    issuer: str
    serial: Annotated[str, Field(examples=[_SERIAL_EXAMPLE])]
    state: CertificateState
    profile: str
    subject: Annotated[str, Field(examples=["CN=gateway.example.gov.cn,C=CN"])]
    not_before: datetime
    not_after: datetime
    fingerprint: str | None
    spki_fingerprint: str
    requester: str
    reserved_at: datetime
    issued_at: datetime | None
    revoked_at: datetime | None
    reason: RevocationReason | None
    organisation_id: str | None
    """The branch it was issued under."""
    subject_id: str | None

    @classmethod
    def of(cls, record: CertificateRecord) -> Self:
        """Show a record."""
        return cls(
            issuer=record.issuer,
            serial=to_hex(record.serial),
            state=record.state,
            profile=record.profile,
            subject=record.subject,
            not_before=record.not_before,
            not_after=record.not_after,
            fingerprint=record.fingerprint,
            spki_fingerprint=record.spki_fingerprint,
            requester=record.requester,
            reserved_at=record.reserved_at,
            issued_at=record.issued_at,
            revoked_at=record.revoked_at,
            reason=record.reason,
            organisation_id=record.organisation_id,
            subject_id=record.subject_id,
        )


class CertificateList(_Wire):
    """One page of certificates, newest first."""

    items: tuple[CertificateView, ...]
    next_cursor: str | None


class IssuerView(_Wire):
    """An issuer as its readers see it."""

    name: Annotated[str, Field(examples=["sm2-issuing"])]
    kind: Annotated[str, Field(examples=["issuing"])]
    signature_algorithm: Annotated[str, Field(examples=["sm2-sm3"])]
    certificate_url: str
    crl_url: str
    succeeds: str | None
    """The issuing CA whose next generation this is; requesters name that one."""
    takes_over_at: datetime | None

    @classmethod
    def of(cls, issuer: Issuer) -> Self:
        """Show an issuer."""
        return cls(
            name=issuer.name,
            kind=issuer.kind,
            signature_algorithm=issuer.signer.algorithm,
            certificate_url=f"{issuer.revocation_url}/ca/{issuer.name}.cer",
            crl_url=f"{issuer.revocation_url}/crl/{issuer.name}.crl",
            succeeds=issuer.succeeds,
            takes_over_at=issuer.takes_over_at,
        )


class ProfileView(_Wire):
    """A profile as a requester sees it."""

    name: Annotated[str, Field(examples=["device"])]
    title: str
    needs_approval: bool
    needs_make: bool
    renewal_window_days: int
    renewal_grace_days: int
    encryption_profile: str | None
    """Of the second certificate; None: a request gives one certificate."""
    key_algorithms: tuple[str, ...]
    validity_days: int
    maximum_validity_days: int
    required: tuple[str, ...]
    optional: tuple[str, ...]
    alternative_names: tuple[str, ...]
    identity: tuple[str, ...]

    @classmethod
    def of(cls, profile: CertificateProfile) -> Self:
        """Show a profile."""
        return cls(
            name=profile.name,
            title=profile.title,
            needs_approval=profile.needs_approval,
            needs_make=profile.needs_make,
            renewal_window_days=profile.renewal_window_days,
            renewal_grace_days=profile.renewal_grace_days,
            encryption_profile=profile.encryption_profile,
            key_algorithms=profile.key_algorithms,
            validity_days=profile.validity_days,
            maximum_validity_days=profile.maximum_validity_days,
            required=profile.subject.required,
            optional=profile.subject.optional,
            alternative_names=profile.alternative_names.kinds,
            identity=tuple(extension.name for extension in profile.identity_extensions),
        )
