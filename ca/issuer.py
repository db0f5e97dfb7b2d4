"""An issuer: a CA certificate, the signer of its key, and the rules of signing.

A certificate goes through four types, in this order only:

    IssuanceRequest   what the requester wants
    Prepared          the exact TBSCertificate octets, checked and linted
    Reserved          the same, after the intent to sign is durable
    Issued            the signed certificate

Each step takes the type that the step before it returns, so that the type checker refuses to sign
what was not reserved.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from cryptography import x509

from ca.contents import IssuanceRequest, check_choices, check_contents, validity
from ca.extensions import Surroundings, build_extensions, key_identifier
from ca.keycheck import check_not_blocked
from ca.lint import DEFAULT_LINTER, Linter
from ca.nameconstraints import check_names
from ca.names import encode_name, text_of
from ca.parsed import parsed_certificate
from ca.profiles import CertificateProfile, IssuerKind
from ca.serials import SerialNumber
from ca.tbs import Fields, encode_tbs
from core import der
from core.errors import BackendUnavailable, InvalidSignature, ProfileViolation
from keystore.algorithms import SignatureAlgorithm
from keystore.backend import Signer
from keystore.verify import key_algorithm, normalise_spki, verify_signature

_SM2_WITH_NULL = bytes.fromhex("300c06082a811ccf550183750500")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A certificate that is ready to be signed, and has not been."""

    issuer: str
    serial: SerialNumber
    profile: str
    subject: str
    """RFC 4514 text."""
    not_before: datetime
    not_after: datetime
    tbs: bytes
    signature_algorithm: bytes
    """DER AlgorithmIdentifier, as it stands in `tbs`."""
    spki: bytes
    requester: str
    request_id: str | None
    organisation_id: str | None = None
    subject_id: str | None = None


@dataclass(frozen=True, slots=True)
class Reserved:
    """The intent to sign, as the store has promised to remember it."""

    issuer: str
    serial: SerialNumber
    profile: str
    tbs: bytes
    signature_algorithm: bytes
    requester: str


@dataclass(frozen=True, slots=True)
class Issued:
    """A signed certificate."""

    issuer: str
    serial: SerialNumber
    der: bytes

    @property
    def fingerprint(self) -> str:
        """SHA-256 over `der`, lowercase hex."""
        return hashlib.sha256(self.der).hexdigest()


@dataclass(frozen=True, slots=True)
class Issuer:
    """One CA certificate with its signer, in this service."""

    name: str
    """A short stable word: ``sm2-root``, ``rsa-issuing``. Part of URLs; never reused."""
    certificate: bytes
    """DER. Empty only while a root prepares its own certificate."""
    chain: tuple[bytes, ...]
    """DER of the certificates above it, parent first, root last; empty for a root."""
    signer: Signer
    subject: bytes
    """DER Name, octet for octet as in `certificate`."""
    revocation_url: str = ""
    """Where OCSP, CRLs and CA certificates are; goes into every certificate."""
    crl_partitions: int = 1
    """Into how many CRLs the certificates are divided that it issues from now on."""
    linter: Linter = DEFAULT_LINTER
    succeeds: str | None = None
    """The issuing CA whose next generation this is."""
    takes_over_at: datetime | None = None
    """When requests that name the issuer it succeeds begin to be signed by this one."""
    crosses: tuple[bytes, ...] = ()
    """DER of certificates that outside CAs issued for this key, and those above it."""
    earlier: tuple[Issuer, ...] = ()
    """The other generations, which finish what they reserved before the take-over."""

    blocked_keys: Container[str] = frozenset()
    """Keys that are never certified (`ca.blockedkeys`); asked again at every issuance."""

    @property
    def spki(self) -> bytes:
        """DER SubjectPublicKeyInfo of the issuer's key."""
        return self.signer.key.public_key

    @property
    def public_key_bits(self) -> bytes:
        """What key identifiers and issuerKeyHash are computed over."""
        return der.public_key_bits(self.spki)

    @property
    def kind(self) -> IssuerKind:
        """What kind of issuer this is: a root has nothing above it."""
        if not self.certificate:
            return IssuerKind.SELF
        return IssuerKind.ISSUING if self.chain else IssuerKind.ROOT

    def prepare(
        self,
        request: IssuanceRequest,
        *,
        profile: CertificateProfile,
        serial: SerialNumber,
        now: datetime,
    ) -> Prepared:
        """Make the exact octets to be signed, checked by the profile and linted.

        Raises `Refused` (its kinds `ProfileViolation` and `LintFailure` included).
        """
        self._check_kind(profile)
        check_not_blocked(normalise_spki(request.spki), self.blocked_keys)
        contents = check_contents(request, profile)
        parent = parsed_certificate(self.certificate) if self.certificate else None
        not_before, not_after = _validity(request, profile, parent, now)
        identifier = self.signature_identifier(profile)
        tbs = encode_tbs(
            Fields(
                serial=serial,
                signature_algorithm=identifier,
                issuer=self.subject,
                not_before=not_before,
                not_after=not_after,
                subject=encode_name(contents.subject),
                spki=request.spki,
                extensions=build_extensions(
                    contents,
                    profile,
                    spki=request.spki,
                    algorithm=key_algorithm(request.spki),
                    surroundings=self.surroundings(),
                    serial=serial,
                ),
            )
        )
        if self.certificate:
            above = (self.certificate, *self.chain)
            check_names(tbs, signature_algorithm=identifier, above=above)
        self.linter.check_tbs(tbs, signature_algorithm=identifier, issuer=self.certificate or None)
        return Prepared(
            issuer=self.name,
            serial=serial,
            profile=profile.name,
            subject=text_of(contents.subject),
            not_before=not_before,
            not_after=not_after,
            tbs=tbs,
            signature_algorithm=identifier,
            spki=request.spki,
            requester=request.requester,
            request_id=request.request_id,
            organisation_id=request.organisation_id,
            subject_id=request.subject_id,
        )

    def check_without_key(
        self, request: IssuanceRequest, *, profile: CertificateProfile, now: datetime
    ) -> None:
        """Refuse what `prepare` would refuse whatever the key is. Raises `Refused`."""
        self._check_kind(profile)
        check_choices(request, profile)
        _validity(request, profile, x509.load_der_x509_certificate(self.certificate), now)

    def sign(self, reserved: Reserved) -> Issued:
        """Sign, and prove the result before it leaves.

        Raises `BackendUnavailable` when our own signature does not verify (a broken key or
        device; nothing is wrong with the request then), and what the signer raises.
        """
        if reserved.issuer != self.name:
            for other in self.earlier:
                if other.name == reserved.issuer:
                    return other.sign(reserved)
            raise ValueError(f"{self.name} was asked to sign what {reserved.issuer} reserved")
        signature = self.signer.sign(reserved.tbs)
        try:
            verify_signature(self.spki, self.signer.algorithm, reserved.tbs, signature)
        except InvalidSignature as error:
            raise BackendUnavailable(f"the key of {self.name} signs wrongly") from error
        octets = der.signed_object(reserved.tbs, reserved.signature_algorithm, signature)
        if der.children(octets, what="the certificate")[0] != reserved.tbs:
            raise BackendUnavailable("the signed certificate does not hold what was reserved")
        return Issued(self.name, reserved.serial, octets)

    def _check_kind(self, profile: CertificateProfile) -> None:
        if self.kind not in profile.issued_by:
            raise ProfileViolation(
                f"profile {profile.name} is issued by {' or '.join(profile.issued_by)} CAs, "
                f"and {self.name} is {self.kind}"
            )

    def signature_identifier(self, profile: CertificateProfile) -> bytes:
        """Return the AlgorithmIdentifier that stands in what this issuer signs, DER."""
        if self.signer.algorithm is SignatureAlgorithm.SM2_SM3 and profile.sm2_parameters == "null":
            return _SM2_WITH_NULL
        return self.signer.algorithm.identifier

    def surroundings(self) -> Surroundings:
        """Return what goes into every certificate of this issuer."""
        if self.certificate:
            identifier = _identifier_of(self.certificate)
        else:
            identifier = key_identifier(self.public_key_bits)
        return Surroundings(self.name, identifier, self.revocation_url, self.crl_partitions)


@lru_cache(maxsize=256)
def _identifier_of(certificate: bytes) -> bytes:
    """Return how a CA certificate names its key; an imported one may do so in its own way."""
    # RFC 5280, 4.2.1.1.
    extensions = parsed_certificate(certificate).extensions
    return extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest


def _validity(
    request: IssuanceRequest,
    profile: CertificateProfile,
    parent: x509.Certificate | None,
    now: datetime,
) -> tuple[datetime, datetime]:
    bounds = None if parent is None else (parent.not_valid_before_utc, parent.not_valid_after_utc)
    return validity(profile, request.validity_days, now, issuer_validity=bounds)
