"""PKCS#10 certification requests (RFC 2986, GM/T 0092) and proof of possession."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from dataclasses import dataclass
from typing import Annotated, Final

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.x509.oid import ExtensionOID

from ca.altnames import AlternativeName, parse_general_names
from ca.names import Attributes, attributes_of, read_name
from ca.tbs import Extension
from core import der
from core.errors import InvalidSignature, Malformed, Refused, TooLarge
from keystore import sm2
from keystore.algorithms import KeyAlgorithm, SignatureAlgorithm, signature_algorithm
from keystore.cfca import decode_temporary_key
from keystore.verify import key_algorithm, normalise_spki, verify_signature

MAX_CSR_OCTETS: Final = 64 * 1024
_WHAT: Final = "the certification request"
_PEM: Final = re.compile(
    rb"\s*-----BEGIN (NEW )?CERTIFICATE REQUEST-----\s+"
    rb"([A-Za-z0-9+/=\s]+)-----END (NEW )?CERTIFICATE REQUEST-----\s*"
)


@dataclass(frozen=True, slots=True)
class CSR:
    """A request whose sender has proved to hold the private key."""

    der: bytes
    spki: bytes
    """In the one form we write."""
    subject: Attributes
    alternative_names: tuple[AlternativeName, ...]
    temporary_key: bytes | None = None
    """SubjectPublicKeyInfo: where CFCA's clients want an encryption key enveloped to."""


@asn1.sequence
class _Attribute:
    # The values stay unparsed: some CAs' clients put a bare string where a SET belongs (CFCA).
    oid: x509.ObjectIdentifier
    values: asn1.TLV


@asn1.sequence
class _RequestInfo:
    version: int
    subject: asn1.TLV
    spki: asn1.TLV
    # A SET, read as a list: CFCA's clients do not sort it as DER wants.
    attributes: Annotated[list[_Attribute] | None, asn1.Implicit(0)]


@asn1.sequence
class _ExtensionRequest:
    oid: x509.ObjectIdentifier
    values: asn1.SetOf[list[Extension]]


def parse_csr(octets: bytes, *, accept_empty_sm2_id: bool = False) -> CSR:
    """Parse a PEM or DER request and check its proof of possession.

    Of the requested extensions only subjectAltName is read: the profile decides about the others.
    Raises `Malformed`, `Refused`, `TooLarge` or `InvalidSignature`.
    """
    if len(octets) > MAX_CSR_OCTETS:
        raise TooLarge(f"{_WHAT} is longer than {MAX_CSR_OCTETS} octets")
    octets = _from_pem(octets)
    tbs, identifier, signature = der.split_signed(octets, what=_WHAT)
    info = der.decode(_RequestInfo, tbs, what=_WHAT)
    if info.version != 0:
        raise Malformed(f"{_WHAT} has version {info.version}, not 0 (RFC 2986, 4.1)")
    spki = der.octets_of(info.spki)
    _check_possession(
        spki,
        signature_algorithm(identifier),
        tbs,
        signature,
        accept_empty_sm2_id=accept_empty_sm2_id,
    )
    return CSR(
        der=octets,
        spki=normalise_spki(spki),
        subject=_subject(info, identifier),
        alternative_names=_alternative_names(info),
        temporary_key=_temporary_key(info),
    )


def _from_pem(octets: bytes) -> bytes:
    if b"-----BEGIN" not in octets:
        return octets
    match = _PEM.fullmatch(octets)
    if match is None:
        raise Malformed(
            f"{_WHAT} is not one PEM block: -----BEGIN CERTIFICATE REQUEST----- and nothing else"
        )
    try:
        return b64decode(b"".join(match[2].split()), validate=True)
    except binascii.Error as error:
        raise Malformed(f"{_WHAT} is PEM with broken base64") from error


def _check_possession(
    spki: bytes,
    algorithm: SignatureAlgorithm,
    message: bytes,
    signature: bytes,
    *,
    accept_empty_sm2_id: bool,
) -> None:
    try:
        verify_signature(spki, algorithm, message, signature)
    except InvalidSignature as error:
        if algorithm is not SignatureAlgorithm.SM2_SM3 or not _signed_with_empty_id(
            spki, message, signature
        ):
            raise InvalidSignature(
                f"the signature of {_WHAT} does not verify under its own public key"
            ) from error
        if not accept_empty_sm2_id:
            raise Refused(
                f"{_WHAT} is signed with an EMPTY SM2 identifier (the default of OpenSSL before "
                "4.0); the standard one is 1234567812345678. Sign again with: "
                "openssl req -new -sm3 -key KEY -sigopt distid:1234567812345678 -out CSR"
            ) from error


def _signed_with_empty_id(spki: bytes, message: bytes, signature: bytes) -> bool:
    try:
        sm2.verify(spki, message, signature, distinguishing_id=b"")
    except (InvalidSignature, Malformed):
        return False
    return True


def _subject(info: _RequestInfo, identifier: bytes) -> Attributes:
    read = read_name(der.octets_of(info.subject))
    if read is not None:
        return read
    # `cryptography` reads a Name inside a request only. Its parser takes no odd attributes, so
    # it is given a request without any.
    bare = der.sequence(
        _VERSION_1, der.octets_of(info.subject), der.octets_of(info.spki), _NO_ATTRIBUTES
    )
    try:
        return attributes_of(
            x509.load_der_x509_csr(der.signed_object(bare, identifier, b"")).subject
        )
    except ValueError as error:
        raise Malformed(f"the subject of {_WHAT} is not a Name") from error


def _attribute(info: _RequestInfo, oid: x509.ObjectIdentifier, name: str) -> _Attribute | None:
    found = [item for item in info.attributes or () if item.oid == oid]
    if len(found) > 1:
        raise Malformed(f"{_WHAT} has several {name} attributes")
    return found[0] if found else None


def _temporary_key(info: _RequestInfo) -> bytes | None:
    attribute = _attribute(info, _TEMPORARY_PUBLIC_KEY, "tempPublicKey")
    if attribute is None:
        return None
    if key_algorithm(der.octets_of(info.spki)) is not KeyAlgorithm.SM2:
        raise Refused("a temporary public key is taken in requests with SM2 keys only")
    # A bare OCTET STRING, where PKCS#10 wants a SET of values.
    octets = der.decode(bytes, der.octets_of(attribute.values), what="tempPublicKey")
    temporary = decode_temporary_key(octets)
    if temporary == normalise_spki(der.octets_of(info.spki)):
        raise Refused("the temporary public key must not be the key that is certified")
    return temporary


def _alternative_names(info: _RequestInfo) -> tuple[AlternativeName, ...]:
    attribute = _attribute(info, _EXTENSION_REQUEST, "extensionRequest")
    if attribute is None:
        return ()
    parsed = der.decode(_ExtensionRequest, der.encode(attribute), what="extensionRequest")
    lists = parsed.values.as_list()
    if len(lists) != 1:
        raise Malformed("extensionRequest is single-valued (RFC 2985, 5.4.2)")
    values = [item.value for item in lists[0] if item.oid == ExtensionOID.SUBJECT_ALTERNATIVE_NAME]
    if len(values) > 1:
        raise Malformed("subjectAltName is requested twice (RFC 5280, 4.2)")
    return parse_general_names(values[0]) if values else ()


_VERSION_1: Final = der.encode(0)
_NO_ATTRIBUTES: Final = bytes.fromhex("a000")
_TEMPORARY_PUBLIC_KEY: Final = x509.ObjectIdentifier("1.2.840.113549.1.9.63")
_EXTENSION_REQUEST: Final = x509.ObjectIdentifier("1.2.840.113549.1.9.14")
