"""Pre-issuance lint: rules over TBS octets, each citing its clause. A finding blocks signing.

It reads the octets back, with our strict decoder and with `cryptography`'s parser, and knows
nothing of the code that wrote them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ca.parsed import parsed_certificate, to_be_signed
from ca.tbs import TBSCertificate, parse_tbs
from core import der
from core.errors import Malformed, Refused
from keystore.algorithms import KeyAlgorithm
from keystore.verify import key_algorithm

E = TypeVar("E", bound=x509.ExtensionType)

_DUMMY_SIGNATURE: Final = bytes(8)
_PRINTABLE_STRING: Final = 0x13


class LintFailure(Refused):
    """The to-be-signed octets break a rule."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What the rules look at: the same certificate through two parsers, and its issuer."""

    tbs: TBSCertificate
    certificate: x509.Certificate
    extensions: x509.Extensions
    signature_algorithm: bytes
    issuer: x509.Certificate | None
    """None: it signs itself."""

    @property
    def authority(self) -> bool:
        """Whether it says that it is a CA's."""
        constraints = self.find(x509.BasicConstraints)
        return constraints is not None and constraints.value.ca

    def find(self, kind: type[E]) -> x509.Extension[E] | None:
        """Return an extension, or None."""
        try:
            return self.extensions.get_extension_for_class(kind)
        except x509.ExtensionNotFound:
            return None


Rule = Callable[[Subject], bool]
"""True: the rule holds."""


def check_tbs(tbs: bytes, *, signature_algorithm: bytes, issuer: bytes | None) -> None:
    """Apply every rule. `issuer` is the DER of the issuer's certificate; None for a self-signed.

    Raises `LintFailure` with every finding, and `Malformed` if the octets cannot be read.
    """
    findings = list(_findings(_read(tbs, signature_algorithm, issuer)))
    if findings:
        raise LintFailure("the certificate was not signed: " + "; ".join(findings))


def _findings(subject: Subject) -> Iterator[str]:
    for clause, sentence, holds in RULES:
        if not holds(subject):
            yield f"{sentence} ({clause})"


def _read(tbs: bytes, signature_algorithm: bytes, issuer: bytes | None) -> Subject:
    wrapped = der.signed_object(tbs, signature_algorithm, _DUMMY_SIGNATURE)
    try:
        certificate = x509.load_der_x509_certificate(wrapped)
        return Subject(
            tbs=parse_tbs(tbs),
            certificate=certificate,
            extensions=certificate.extensions,
            signature_algorithm=signature_algorithm,
            issuer=None if issuer is None else parsed_certificate(issuer),
        )
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise Malformed(f"the to-be-signed certificate cannot be read: {error}") from error


# ---- the rules -----------------------------------------------------------------------------------


def _serial(s: Subject) -> bool:
    return 0 < s.tbs.serial < 1 << 159 and s.tbs.serial.bit_length() > 64


def _validity(s: Subject) -> bool:
    first, last = s.certificate.not_valid_before_utc, s.certificate.not_valid_after_utc
    if s.issuer is None:
        return first <= last
    return s.issuer.not_valid_before_utc <= first <= last <= s.issuer.not_valid_after_utc


def _issuer_name(s: Subject) -> bool:
    if s.issuer is None:
        return der.octets_of(s.tbs.issuer) == der.octets_of(s.tbs.subject)
    return der.octets_of(s.tbs.issuer) == s.issuer.subject.public_bytes()


def _authority_key_identifier(s: Subject) -> bool:
    aki, ski = s.find(x509.AuthorityKeyIdentifier), s.find(x509.SubjectKeyIdentifier)
    if aki is None or aki.critical or ski is None or ski.critical:
        return False
    expected = ski.value.digest
    if s.issuer is not None:
        found = s.issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        expected = found.value.digest
    return aki.value.key_identifier == expected


def _key_usage_present(s: Subject) -> bool:
    usage = s.find(x509.KeyUsage)
    return usage is not None and usage.critical


def _cert_sign_iff_authority(s: Subject) -> bool:
    usage = s.find(x509.KeyUsage)
    return usage is None or usage.value.key_cert_sign == s.authority


def _no_encipherment_with_signature_keys(s: Subject) -> bool:
    usage = s.find(x509.KeyUsage)
    if usage is None:
        return True
    enciphers = usage.value.key_encipherment or usage.value.data_encipherment
    algorithm = key_algorithm(der.octets_of(s.tbs.spki))
    if algorithm in (KeyAlgorithm.EC_P256, KeyAlgorithm.EC_P384):
        return not enciphers
    if algorithm is KeyAlgorithm.ED25519:
        return not enciphers and not usage.value.key_agreement
    return True


def _basic_constraints(s: Subject) -> bool:
    found = s.find(x509.BasicConstraints)
    return found is None or (found.critical and found.value.ca)


def _path_length(s: Subject) -> bool:
    if s.issuer is None or not s.authority:
        return True
    above = s.issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length
    own = s.find(x509.BasicConstraints)
    if above is None or own is None:
        return True
    return own.value.path_length is not None and own.value.path_length < above


def _issuer_is_authority(s: Subject) -> bool:
    if s.issuer is None:
        return s.authority
    usage = s.issuer.extensions.get_extension_for_class(x509.KeyUsage)
    return usage.value.key_cert_sign


def _no_extended_usage_in_authority(s: Subject) -> bool:
    return not s.authority or s.find(x509.ExtendedKeyUsage) is None


def _revocation_can_be_asked(s: Subject) -> bool:
    if s.issuer is None:
        return True
    if s.find(x509.OCSPNoCheck) is not None:
        usage = s.find(x509.ExtendedKeyUsage)
        return usage is not None and list(usage.value) == [ExtendedKeyUsageOID.OCSP_SIGNING]
    points = s.find(x509.CRLDistributionPoints)
    access = s.find(x509.AuthorityInformationAccess)
    return points is not None and not points.critical and access is not None and not access.critical


def _country_is_printable(s: Subject) -> bool:
    return all(
        attribute._type.value == _PRINTABLE_STRING  # noqa: SLF001 - no public way to see the tag
        for attribute in s.certificate.subject
        if attribute.oid == NameOID.COUNTRY_NAME
    )


def _server_has_names(s: Subject) -> bool:
    usage = s.find(x509.ExtendedKeyUsage)
    if usage is None or list(usage.value) != [ExtendedKeyUsageOID.SERVER_AUTH]:
        return True
    return s.find(x509.SubjectAlternativeName) is not None


def _fresh_key(s: Subject) -> bool:
    return s.issuer is None or der.octets_of(s.tbs.spki) not in to_be_signed(s.issuer)


RULES: Final[tuple[tuple[str, str, Rule], ...]] = (
    ("RFC 5280, 4.1.2.1", "the version is 3", lambda s: s.tbs.version == 2),
    ("RFC 5280, 4.1.2.2", "the serial is positive, over 64 bits, at most 20 octets", _serial),
    (
        "RFC 5280, 4.1.2.3",
        "inner and outer signature algorithm are the same octets",
        lambda s: der.octets_of(s.tbs.signature) == s.signature_algorithm,
    ),
    ("RFC 5280, 4.1.2.4", "the issuer name is the issuer's subject, octet for octet", _issuer_name),
    ("RFC 5280, 4.1.2.5", "the validity is in order and inside the issuer's", _validity),
    ("RFC 5280, 4.1.2.6", "the subject is not empty", lambda s: bool(s.certificate.subject.rdns)),
    ("GB/T 20518, 5.2.3", "the country is a PrintableString", _country_is_printable),
    ("RFC 5280, 4.2.1.1", "the AKI is the issuer's SKI", _authority_key_identifier),
    ("RFC 5280, 4.2.1.3", "there is a critical key usage", _key_usage_present),
    ("RFC 5280, 4.2.1.3", "keyCertSign is for authorities only", _cert_sign_iff_authority),
    ("RFC 8813, 3", "an EC signature key enciphers nothing", _no_encipherment_with_signature_keys),
    ("RFC 5280, 4.2.1.6", "a server certificate names its servers", _server_has_names),
    ("RFC 5280, 4.2.1.9", "basic constraints are critical, and for CAs only", _basic_constraints),
    ("RFC 5280, 4.2.1.9", "the path length is shorter than the issuer's", _path_length),
    ("RFC 5280, 6.1.4 (k)", "the issuer is a CA", _issuer_is_authority),
    (
        "docs/divergences.md",
        "a CA certificate has no extended key usage",
        _no_extended_usage_in_authority,
    ),
    (
        "RFC 5280, 4.2.2.1; RFC 6960, 4.2.2.2.1",
        "revocation can be asked for, or the certificate is a delegated OCSP responder's",
        _revocation_can_be_asked,
    ),
    ("RFC 5280, 4.1.2.7", "the subject's key is not the issuer's own", _fresh_key),
)
"""Clause, what holds, and the check."""
