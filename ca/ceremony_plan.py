"""From a ceremony file and its lock to the exact octets that will be signed.

Nothing here draws anything or asks the time: the same files give the same octets, on every run and
on every reviewer's machine that knows the same issuer.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ca.ceremony import Act, Ceremony, Lock
from ca.contents import Contents, IssuanceRequest, check_contents
from ca.csr import parse_csr
from ca.extensions import build_extensions, key_identifier
from ca.issuer import Issuer, Prepared
from ca.keycheck import check_key
from ca.nameconstraints import check_names, encode_constraints
from ca.names import encode_name, text_of
from ca.profiles import CertificateProfile
from ca.serials import SerialNumber, from_hex
from ca.tbs import Extension, Fields, encode_extension, encode_tbs, parse_tbs
from core import der
from core.errors import Malformed, ProfileViolation, Refused
from keystore.algorithms import signature_algorithm
from keystore.verify import key_algorithm, normalise_spki, verify_signature

MAX_OTHER_OCTETS: Final = 65_536
_VERSION_0: Final = bytes.fromhex("020100")
_NO_ATTRIBUTES: Final = bytes.fromhex("a000")


@dataclass(frozen=True, slots=True)
class CASubject:
    """Whose key a CA certificate is for."""

    name: bytes
    """DER Name."""
    text: str
    """RFC 4514."""
    spki: bytes
    key_identifier: bytes


@dataclass(frozen=True, slots=True)
class CAContents:
    """What a CA certificate says besides who it is for."""

    serial: SerialNumber
    not_before: datetime
    not_after: datetime
    constraints: Extension | None
    requester: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What reviewers see and approve."""

    ceremony: Ceremony
    tbs: bytes
    """The octets to be signed: a TBSCertificate, or a CertificationRequestInfo."""
    prepared: Prepared | None
    """None: a request, which takes no serial number of ours."""

    @property
    def digest(self) -> str:
        """What is approved: SHA-256 over the file and the octets, lowercase hex."""
        said = {
            "version": 1,
            "act": self.ceremony.description.act,
            "name": self.ceremony.description.name,
            "file_sha256": self.ceremony.digest,
            **hashes_of(self.tbs),
        }
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def hashes_of(tbs: bytes) -> dict[str, str]:
    """Return both hashes of the octets, lowercase hex."""
    return {
        "tbs_sm3": hashlib.new("sm3", tbs).hexdigest(),
        "tbs_sha256": hashlib.sha256(tbs).hexdigest(),
    }


def make_plan(
    ceremony: Ceremony,
    lock: Lock,
    *,
    issuer: Issuer,
    profile: CertificateProfile,
    other: CASubject | None = None,
    requester: str,
) -> Plan:
    """Make the octets, held against the profile, the issuer's name constraints and the lint.

    `issuer` signs; for a root and a request it is the new issuer itself, without a certificate.
    Raises `Refused` (its kinds `ProfileViolation` and `LintFailure` included), or `Malformed` when
    the lock is another file's.
    """
    description = ceremony.description
    if lock.file_sha256 != ceremony.digest:
        raise Refused(
            "the ceremony file changed after its lock was made: review it again, remove the lock "
            "and run `ceremony keys`"
        )
    subject = _own(ceremony, lock, profile) if other is None else other
    if subject.spki.hex() != lock.public_key:
        raise Refused("the lock is for another key than the one that is there now")
    if description.act is Act.REQUEST:
        info = der.sequence(_VERSION_0, subject.name, subject.spki, _NO_ATTRIBUTES)
        return Plan(ceremony, info, None)
    constraints = encode_constraints(
        description.name_constraints.permitted, description.name_constraints.excluded
    )
    prepared = build_authority(
        subject,
        CAContents(
            serial=from_hex(lock.serial),
            not_before=lock.not_before,
            not_after=lock.not_after,
            constraints=constraints,
            requester=requester,
            request_id=request_id_of(description.act, description.name, lock.serial),
        ),
        issuer=issuer,
        profile=profile
        if description.path_length is None
        else profile.model_copy(update={"path_length": description.path_length}),
    )
    return Plan(ceremony, prepared.tbs, prepared)


def request_id_of(act: Act, name: str, serial: str) -> str:
    """Return the id under which at most one certificate is ever made."""
    return f"cross:{name}:{serial}" if act is Act.CROSS_CERTIFICATE else f"issuer:{name}"


def build_authority(
    subject: CASubject, contents: CAContents, *, issuer: Issuer, profile: CertificateProfile
) -> Prepared:
    """Make the octets of one CA certificate. Raises `Refused`."""
    _check_kind(contents, issuer, profile)
    check_key(subject.spki)
    algorithm = key_algorithm(subject.spki)
    if algorithm not in profile.key_algorithms:
        raise ProfileViolation(f"profile {profile.name} takes no keys of {algorithm}")
    identifier = issuer.signature_identifier(profile)
    tbs = encode_tbs(
        Fields(
            serial=contents.serial,
            signature_algorithm=identifier,
            issuer=issuer.subject,
            not_before=contents.not_before,
            not_after=contents.not_after,
            subject=subject.name,
            spki=subject.spki,
            extensions=_extensions(subject, contents, issuer, profile),
        )
    )
    above = (issuer.certificate, *issuer.chain) if issuer.certificate else ()
    check_names(tbs, signature_algorithm=identifier, above=above)
    issuer.linter.check_tbs(tbs, signature_algorithm=identifier, issuer=issuer.certificate or None)
    return Prepared(
        issuer=issuer.name,
        serial=contents.serial,
        profile=profile.name,
        subject=subject.text,
        not_before=contents.not_before,
        not_after=contents.not_after,
        tbs=tbs,
        signature_algorithm=identifier,
        spki=subject.spki,
        requester=contents.requester,
        request_id=contents.request_id,
    )


def read_other_ca(octets: bytes) -> CASubject:
    """Read another CA's certificate or request, PEM or DER.

    A request proves possession of its key, and so does a self-signed certificate. Raises
    `Malformed`, `Refused` or `InvalidSignature`.
    """
    if len(octets) > MAX_OTHER_OCTETS:
        raise Malformed(f"the other CA's file has more than {MAX_OTHER_OCTETS} octets")
    if b"CERTIFICATE REQUEST" in octets:
        request = parse_csr(octets)
        subject = x509.load_der_x509_csr(request.der).subject
        return CASubject(
            name=subject.public_bytes(),
            text=subject.rfc4514_string(),
            spki=request.spki,
            key_identifier=key_identifier(der.public_key_bits(request.spki)),
        )
    return _of_certificate(read_certificate(octets))


def read_certificate(octets: bytes) -> x509.Certificate:
    """Read one certificate, PEM or DER. Raises `Malformed`."""
    try:
        if b"-----BEGIN" in octets:
            return x509.load_pem_x509_certificate(octets)
        return x509.load_der_x509_certificate(octets)
    except ValueError as error:
        raise Malformed(f"this is neither a certificate nor a PEM request: {error}") from error


def subject_of(certificate: x509.Certificate) -> CASubject:
    """Return who a CA certificate is for. Raises `Refused` when it is not a CA's."""
    spki = normalise_spki(der.octets_of(parse_tbs(certificate.tbs_certificate_bytes).spki))
    try:
        extensions = certificate.extensions
        authority = extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        identifier = extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except (ValueError, x509.ExtensionNotFound) as error:
        raise Refused("the other certificate is no CA's: basic constraints and SKI") from error
    if not authority:
        raise Refused("the other certificate is no CA's (basic constraints)")
    return CASubject(
        name=certificate.subject.public_bytes(),
        text=certificate.subject.rfc4514_string(),
        spki=spki,
        key_identifier=identifier,
    )


def _of_certificate(certificate: x509.Certificate) -> CASubject:
    subject = subject_of(certificate)
    if certificate.issuer == certificate.subject:
        octets = certificate.public_bytes(Encoding.DER)
        tbs, identifier, signature = der.split_signed(octets, what="the other CA's certificate")
        verify_signature(subject.spki, signature_algorithm(identifier), tbs, signature)
    return subject


def _own(ceremony: Ceremony, lock: Lock, profile: CertificateProfile) -> CASubject:
    spki = bytes.fromhex(lock.public_key)
    request = IssuanceRequest(spki, ceremony.description.attributes(), requester="")
    subject = check_contents(request, profile).subject
    return CASubject(
        name=encode_name(subject),
        text=text_of(subject),
        spki=spki,
        key_identifier=key_identifier(der.public_key_bits(spki)),
    )


def _check_kind(contents: CAContents, issuer: Issuer, profile: CertificateProfile) -> None:
    if not profile.authority:
        raise ProfileViolation(f"profile {profile.name} is not for CA certificates")
    if issuer.kind not in profile.issued_by:
        raise ProfileViolation(
            f"profile {profile.name} is issued by {' or '.join(profile.issued_by)} CAs, "
            f"and {issuer.name} is {issuer.kind}"
        )
    length = contents.not_after - contents.not_before
    if length > timedelta(days=profile.maximum_validity_days, seconds=profile.backdate_seconds):
        raise ProfileViolation(
            f"profile {profile.name} allows {profile.maximum_validity_days} days, not {length}"
        )


def _extensions(
    subject: CASubject, contents: CAContents, issuer: Issuer, profile: CertificateProfile
) -> tuple[bytes, ...]:
    built = build_extensions(
        Contents((), (), ()),
        profile,
        spki=subject.spki,
        algorithm=key_algorithm(subject.spki),
        surroundings=issuer.surroundings(),
        serial=contents.serial,
        # The other CA names its key itself, and its certificates carry that name (4.2.1.1).
        identifier=subject.key_identifier,
    )
    if contents.constraints is None:
        return built
    return (*built, encode_extension(contents.constraints))
