"""A certificate for people: every field, in the order of the standard (RFC 5280, 4.1)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtensionOID, NameOID

from core import oids

_SHORT: Final = {
    NameOID.COMMON_NAME: "CN",
    NameOID.COUNTRY_NAME: "C",
    NameOID.STATE_OR_PROVINCE_NAME: "ST",
    NameOID.LOCALITY_NAME: "L",
    NameOID.ORGANIZATION_NAME: "O",
    NameOID.ORGANIZATIONAL_UNIT_NAME: "OU",
    NameOID.EMAIL_ADDRESS: "E",
    NameOID.SERIAL_NUMBER: "serialNumber",
}
_ALGORITHMS: Final = {
    oids.SM2_SIGN_WITH_SM3: "SM2 with SM3",
    oids.RSA_SIGN_WITH_SM3: "RSA with SM3",
}
_IDENTITY: Final = {
    oids.IDENTIFY_CODE: "identifyCode 个人身份标识码",
    oids.INSURANCE_NUMBER: "insuranceNumber 社会保险号",
    oids.IC_REGISTRATION_NUMBER: "icRegistrationNumber 工商注册号",
    oids.ORGANIZATION_CODE: "organizationCode 组织机构代码",
    oids.TAXATION_NUMBER: "taxationNumber 税号",
}


_USAGES: Final = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
)
_KINDS: Final = {
    "DNSName": "dns",
    "IPAddress": "ip",
    "RFC822Name": "email",
    "UniformResourceIdentifier": "uri",
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its name in the standard, and what it holds."""

    name: str
    value: str
    critical: bool = False


def decode(der: bytes) -> list[Field]:
    """Return every field of a certificate. Raises `ValueError` for what is none."""
    certificate = x509.load_der_x509_certificate(der)
    return [
        Field("version", certificate.version.name),
        Field("serialNumber", f"{certificate.serial_number:x}"),
        Field("signatureAlgorithm", _algorithm(certificate.signature_algorithm_oid)),
        Field("issuer", _name(certificate.issuer)),
        Field("notBefore", certificate.not_valid_before_utc.isoformat()),
        Field("notAfter", certificate.not_valid_after_utc.isoformat()),
        Field("subject", _name(certificate.subject)),
        Field("subjectPublicKey", _public_key(certificate)),
        *(_extension(one) for one in certificate.extensions),
        Field("signature", certificate.signature.hex()),
        Field("SHA-256", hashlib.sha256(der).hexdigest()),
        Field("SHA-1", hashlib.sha1(der, usedforsecurity=False).hexdigest()),
    ]


def _name(name: x509.Name) -> str:
    parts = (
        f"{_SHORT.get(one.oid, one.oid.dotted_string)}={one.value}"  # type: ignore[str-bytes-safe]  # x500UniqueIdentifier alone is octets
        for rdn in name.rdns
        for one in rdn
    )
    return ", ".join(parts) or "—"


def _algorithm(oid: x509.ObjectIdentifier) -> str:
    return f"{_ALGORITHMS.get(oid, oid._name)} ({oid.dotted_string})"  # noqa: SLF001 - the library's only table of names


def _public_key(certificate: x509.Certificate) -> str:
    # `cryptography` knows no SM2 keys, and says so in two ways.
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return "SM2, 256 bit"
    match key:
        case rsa.RSAPublicKey():
            return f"RSA, {key.key_size} bit"
        case ec.EllipticCurvePublicKey():
            return f"EC {key.curve.name}, {key.key_size} bit"
        case ed25519.Ed25519PublicKey():
            return "Ed25519"
        case _:
            return type(key).__name__


def _known(oid: x509.ObjectIdentifier) -> str:
    name = oid._name  # noqa: SLF001 - the library's only table of names
    return oid.dotted_string if name == "Unknown OID" else name


def _extension(extension: x509.Extension[Any]) -> Field:
    oid = extension.oid
    name = _IDENTITY.get(oid) or _known(oid)
    show = _VALUES.get(oid)
    value = show(extension.value) if show is not None else _octets(extension.value)
    return Field(name, value, extension.critical)


def _octets(value: Any) -> str:
    if isinstance(value, x509.UnrecognizedExtension):
        return value.value.hex()
    return str(value.public_bytes().hex())


def _general(names: Any) -> str:
    return ", ".join(
        f"{_KINDS.get(type(one).__name__, type(one).__name__)}:"
        f"{_name(one.value) if isinstance(one, x509.DirectoryName) else one.value}"
        for one in names
    )


def _usage(usage: x509.KeyUsage) -> str:
    held = [word for word in _USAGES if getattr(usage, word)]
    if usage.key_agreement:
        held += [word for word in ("encipher_only", "decipher_only") if getattr(usage, word)]
    return ", ".join(_camel(word) for word in held)


def _camel(word: str) -> str:
    first, *rest = word.split("_")
    return first + "".join("CRL" if one == "crl" else one.capitalize() for one in rest)


def _points(points: Any) -> str:
    return ", ".join(_general(one.full_name) for one in points if one.full_name is not None)


def _policies(policies: x509.CertificatePolicies) -> str:
    return ", ".join(one.policy_identifier.dotted_string for one in policies)


_VALUES: Final[dict[x509.ObjectIdentifier, Callable[[Any], str]]] = {
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME: _general,
    ExtensionOID.KEY_USAGE: _usage,
    ExtensionOID.EXTENDED_KEY_USAGE: lambda value: ", ".join(map(_known, value)),
    ExtensionOID.BASIC_CONSTRAINTS: lambda value: (
        f"CA={value.ca}" + ("" if value.path_length is None else f", pathLen={value.path_length}")
    ),
    ExtensionOID.SUBJECT_KEY_IDENTIFIER: lambda value: value.digest.hex(),
    ExtensionOID.AUTHORITY_KEY_IDENTIFIER: lambda value: (value.key_identifier or b"").hex(),
    ExtensionOID.CRL_DISTRIBUTION_POINTS: _points,
    ExtensionOID.FRESHEST_CRL: _points,
    ExtensionOID.AUTHORITY_INFORMATION_ACCESS: lambda value: ", ".join(
        f"{_known(one.access_method)}={one.access_location.value}" for one in value
    ),
    ExtensionOID.CERTIFICATE_POLICIES: _policies,
    ExtensionOID.OCSP_NO_CHECK: lambda _: "",
}
