"""Vouching for a certificate that logs in: `authn`'s question, answered from `ca` and `crl`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID
from typing_extensions import override

from authn.certlogin import CertificateVerifier, VerifiedCertificate
from ca.issuer import Issuer
from ca.profiles import CertificateProfile
from ca.store import CertificateRecord
from ca.tbs import TBSCertificate, extension_value, parse_tbs
from core import der
from core.clock import Clock
from core.errors import InvalidSignature, Malformed, Refused
from crl.status import Status, StatusService
from keystore.algorithms import signature_algorithm
from keystore.verify import verify_signature

MAX_CERTIFICATE_OCTETS = 16_384

_LOGIN_PURPOSES: Final = frozenset(
    {
        ExtendedKeyUsageOID.CLIENT_AUTH,
        ExtendedKeyUsageOID.SMARTCARD_LOGON,
        ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    }
)


class Records(Protocol):
    """Knows what was issued."""

    def find_certificate(self, issuer: str, serial: int) -> CertificateRecord | None: ...


@asn1.sequence
class _Purposes:
    """A SEQUENCE OF cannot be decoded at the top, so it is put into a SEQUENCE of one field."""

    items: list[x509.ObjectIdentifier]


class OurCertificates(CertificateVerifier):
    """Accepts end-entity certificates of our own issuers that hold at this moment.

    The chain is known here, so intermediates sent along are not looked at. Checked: the issuer's
    signature, validity of the certificate and of every certificate above it, digitalSignature, an
    extended key usage that is for logging in, not a CA, and our own revocation status on every
    level below the root (not a CRL: the authoritative one).
    """

    def __init__(
        self,
        issuers: Mapping[str, Issuer],
        status: StatusService,
        records: Records,
        profiles: Mapping[str, CertificateProfile],
        *,
        clock: Clock,
    ) -> None:
        self._records = records
        self._profiles = profiles
        self._issuers = issuers
        self._status = status
        self._clock = clock

    @override
    def verify_login_certificate(
        self, der: bytes, *, intermediates: Sequence[bytes] = ()
    ) -> VerifiedCertificate:
        """Raises `Malformed`, `InvalidSignature` or `Refused`, which say why."""
        if len(der) > MAX_CERTIFICATE_OCTETS:
            raise Malformed(f"the certificate is longer than {MAX_CERTIFICATE_OCTETS} octets")
        issuer, tbs = self._issued_by_us(der)
        self._require_standing(issuer, der, tbs)
        for parent, certificate in self._above(issuer):
            self._require_standing(parent, certificate, _tbs_of(certificate))
        self._require_valid((issuer.certificate, *issuer.chain)[-1])
        _require_signing_end_entity(tbs)
        _require_login_purpose(tbs)
        return VerifiedCertificate(
            subject=_octets(tbs.subject),
            issuer=issuer.name,
            serial=tbs.serial,
            spki=_octets(tbs.spki),
            fingerprint=hashlib.sha256(der).hexdigest(),
            in_hardware=self._in_hardware(issuer.name, tbs.serial),
        )

    def _in_hardware(self, issuer: str, serial: int) -> bool:
        """Tell what the profile says now: one that stops saying so stops for all certificates."""
        record = self._records.find_certificate(issuer, serial)
        profile = None if record is None else self._profiles.get(record.profile)
        return profile is not None and profile.key_in_hardware

    def _issued_by_us(self, certificate: bytes) -> tuple[Issuer, TBSCertificate]:
        octets, identifier, signature = der.split_signed(certificate, what="the certificate")
        tbs = parse_tbs(octets)
        if _octets(tbs.signature) != identifier:
            raise Malformed("the certificate names two signature algorithms (RFC 5280, 4.1.1.2)")
        named = [item for item in self._issuers.values() if item.subject == _octets(tbs.issuer)]
        for issuer in named:
            # Two issuers may share a name after a re-key: the signature decides.
            try:
                verify_signature(issuer.spki, signature_algorithm(identifier), octets, signature)
            except (InvalidSignature, Refused):
                continue
            return issuer, tbs
        if named:
            raise InvalidSignature("the certificate was not signed by the issuer it names")
        raise Refused("the certificate was not issued by this authority")

    def _above(self, issuer: Issuer) -> list[tuple[Issuer, bytes]]:
        """Pair each CA certificate below a root with the issuer that answers for it."""
        path, current = [], issuer
        while current.chain:
            parent = next(
                (item for item in self._issuers.values() if item.certificate == current.chain[0]),
                None,
            )
            if parent is None:
                break  # an outside CA: it answers for what it issued, and we cannot
            path.append((parent, current.certificate))
            current = parent
        return path

    def _require_standing(self, issuer: Issuer, certificate: bytes, tbs: TBSCertificate) -> None:
        self._require_valid(certificate)
        standing = self._status.standing(issuer.name, tbs.serial)
        if standing.status is not Status.GOOD:
            reason = f": {standing.reason}" if standing.reason else ""
            raise Refused(f"the certificate is {standing.status}{reason}")

    def _require_valid(self, certificate: bytes) -> None:
        parsed = x509.load_der_x509_certificate(certificate)
        now = self._clock.now()
        if now < parsed.not_valid_before_utc:
            raise Refused(f"the certificate is not valid before {parsed.not_valid_before_utc}")
        if now > parsed.not_valid_after_utc:
            raise Refused(f"the certificate expired at {parsed.not_valid_after_utc}")


def _require_signing_end_entity(tbs: TBSCertificate) -> None:
    constraints = extension_value(tbs, ExtensionOID.BASIC_CONSTRAINTS)
    if constraints not in (None, der.sequence()):
        raise Refused("a CA certificate cannot log in")
    usage = extension_value(tbs, ExtensionOID.KEY_USAGE)
    # KeyUsage ::= BIT STRING, digitalSignature is bit 0 (RFC 5280, 4.2.1.3).
    if usage is None or len(usage) < 4 or not usage[3] & 0x80:
        raise Refused("the certificate is not for signing (key usage digitalSignature)")


def _require_login_purpose(tbs: TBSCertificate) -> None:
    value = extension_value(tbs, ExtensionOID.EXTENDED_KEY_USAGE)
    if value is None:
        return  # RFC 5280, 4.2.1.12: absent means no restriction
    purposes = der.decode(_Purposes, der.sequence(value), what="extendedKeyUsage").items
    # A web server's key must not open its owner's account, and a key for signing documents must
    # not be made to sign a challenge as one of them.
    if _LOGIN_PURPOSES.isdisjoint(purposes):
        raise Refused("the certificate is not for logging in (extended key usage clientAuth)")


def _tbs_of(certificate: bytes) -> TBSCertificate:
    return parse_tbs(der.split_signed(certificate, what="a CA certificate")[0])


def _octets(element: object) -> bytes:
    return der.octets_of(element)
