"""The extensions of a certificate, as its profile says (RFC 5280, 4.2; GB/T 20518)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.x509 import ExtensionType, ObjectIdentifier
from cryptography.x509.oid import AuthorityInformationAccessOID as AccessOID

from ca.altnames import AlternativeName, encode_alternative_names
from ca.contents import Contents
from ca.distribution import scope_of
from ca.profiles import CertificateProfile, IdentityExtension
from ca.tbs import Extension, encode_extension
from core import der
from keystore.algorithms import KeyAlgorithm

_STRINGS: Final[dict[str, Callable[[str], object]]] = {
    "printable": asn1.PrintableString,
    "ia5": asn1.IA5String,
    "utf8": str,
}
_SAN: Final = x509.SubjectAlternativeName.oid
_SKI: Final = der.encode(x509.SubjectKeyIdentifier.oid)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the issuer adds to every certificate."""

    issuer: str
    key_identifier: bytes
    """The issuer's SKI."""
    revocation_url: str
    crl_partitions: int = 1
    """Into how many CRLs its certificates are divided (`ca.distribution`)."""


def key_identifier(public_key_bits: bytes) -> bytes:
    """Return RFC 5280, 4.2.1.2, method 1: SHA-1 of the key bits. A name, not a security claim."""
    return hashlib.sha1(public_key_bits, usedforsecurity=False).digest()


def build_extensions(
    contents: Contents,
    profile: CertificateProfile,
    *,
    spki: bytes,
    algorithm: KeyAlgorithm,
    surroundings: Surroundings,
    serial: int,
    identifier: bytes | None = None,
) -> tuple[bytes, ...]:
    """Return all extensions, DER, in the order we write them.

    `identifier`: what the key is named by; None: its hash (`key_identifier`).
    """
    if identifier is None:
        identifier = key_identifier(der.public_key_bits(spki))
    built = [
        _authority_key(surroundings.key_identifier),
        _subject_key(identifier),
        _key_usage(profile.key_usage.of(algorithm)),
    ]
    if profile.authority:
        built.append(_of(x509.BasicConstraints(True, profile.path_length), critical=True))
    if profile.extended_key_usage:
        built.append(_extended_key_usage(profile.extended_key_usage))
    if profile.certificate_policies:
        built.append(_policies(profile.certificate_policies))
    if contents.alternative_names:
        built.append(_alternative_names(contents.alternative_names))
    base, name = surroundings.revocation_url, surroundings.issuer
    if profile.authority_information_access:
        built.append(_access(profile.authority_information_access, base, name))
    if profile.crl_distribution_points:
        scope = scope_of(name, serial, surroundings.crl_partitions)
        built.append(_distribution_point(f"{base}/{scope.path}"))
    if profile.ocsp_nocheck:
        built.append(_of(x509.OCSPNoCheck()))
    built += [_identity(extension, value) for extension, value in contents.identity]
    return tuple(built)


def _of(value: ExtensionType, *, critical: bool = False) -> bytes:
    extension = Extension(oid=value.oid, critical=critical, value=value.public_bytes())
    return encode_extension(extension)


def _subject_key(identifier: bytes) -> bytes:
    return der.sequence(_SKI, der.wrap(der.OCTET_STRING, der.wrap(der.OCTET_STRING, identifier)))


# The same for every certificate of a profile and an issuer: encoded once. Each key of these caches
# comes from a profile or an issuer, none from a requester.


@lru_cache(maxsize=256)
def _authority_key(identifier: bytes) -> bytes:
    return _of(x509.AuthorityKeyIdentifier(identifier, None, None))


@lru_cache(maxsize=256)
def _extended_key_usage(oids: tuple[str, ...]) -> bytes:
    return _of(x509.ExtendedKeyUsage([ObjectIdentifier(oid) for oid in oids]))


@lru_cache(maxsize=256)
def _key_usage(names: tuple[str, ...]) -> bytes:
    usage = x509.KeyUsage(
        digital_signature="digitalSignature" in names,
        content_commitment="nonRepudiation" in names,
        key_encipherment="keyEncipherment" in names,
        data_encipherment="dataEncipherment" in names,
        key_agreement="keyAgreement" in names,
        key_cert_sign="keyCertSign" in names,
        crl_sign="cRLSign" in names,
        encipher_only=False,
        decipher_only=False,
    )
    return _of(usage, critical=True)


@lru_cache(maxsize=256)
def _policies(oids: tuple[str, ...]) -> bytes:
    policies = [x509.PolicyInformation(ObjectIdentifier(oid), None) for oid in oids]
    return _of(x509.CertificatePolicies(policies))


def _alternative_names(names: Sequence[AlternativeName]) -> bytes:
    # Not critical: profiles never allow an empty subject (RFC 5280, 4.2.1.6).
    value = encode_alternative_names(names)
    return encode_extension(Extension(oid=_SAN, critical=False, value=value))


@lru_cache(maxsize=256)
def _access(access: tuple[str, ...], base: str, issuer: str) -> bytes:
    methods = {
        "ocsp": (AccessOID.OCSP, f"{base}/ocsp"),
        "caIssuers": (AccessOID.CA_ISSUERS, f"{base}/ca/{issuer}.cer"),
    }
    descriptions = [
        x509.AccessDescription(oid, x509.UniformResourceIdentifier(url))
        for oid, url in (methods[name] for name in access)
    ]
    return _of(x509.AuthorityInformationAccess(descriptions))


# Partitions have a point each.
@lru_cache(maxsize=8192)
def _distribution_point(url: str) -> bytes:
    point = x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None)
    return _of(x509.CRLDistributionPoints([point]))


def _identity(extension: IdentityExtension, value: str) -> bytes:
    encoded = der.encode(_STRINGS[extension.kind](value))
    if extension.explicit_tag is not None:
        encoded = der.explicit(extension.explicit_tag, encoded)
    oid = ObjectIdentifier(extension.oid)
    return encode_extension(Extension(oid=oid, critical=extension.critical, value=encoded))
