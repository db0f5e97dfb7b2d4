"""OCSPRequest octets to value, strictly (RFC 6960, 4.1; nonce: RFC 9654).

Not `cryptography.x509.ocsp`: it takes one CertID only, and answers must repeat the CertID octet
for octet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from cryptography import x509
from cryptography.hazmat import asn1

from ca.tbs import Extension
from core import der, oids
from core.errors import Malformed, TooLarge
from keystore.algorithms import Digest

MAX_REQUEST_OCTETS: Final = 4096
MAX_CERT_IDS: Final = 8
MAX_NONCE_OCTETS: Final = 128

_WHAT: Final = "the OCSP request"
_REQUESTOR_NAME: Final = 0xA1
_EXTENSIONS: Final = 0xA2

_UNDERSTOOD: Final = frozenset(
    {
        oids.OCSP_NONCE,
        x509.ObjectIdentifier("1.3.6.1.5.5.7.48.1.4"),  # acceptable responses: we send basic
        x509.ObjectIdentifier("1.3.6.1.5.5.7.48.1.7"),  # service locator: we route nothing
        x509.ObjectIdentifier("1.3.6.1.5.5.7.48.1.8"),  # preferred algorithms: one per issuer
    }
)


@dataclass(frozen=True, slots=True)
class CertID:
    """Which certificate is meant (RFC 6960, 4.1.1)."""

    der: bytes
    """As it was asked; the answer repeats these octets."""
    digest: Digest | None
    """None for a hash we do not know."""
    name_hash: bytes
    key_hash: bytes
    serial: int
    """Any INTEGER: also zero, negative or too long, which no certificate of ours has."""


@dataclass(frozen=True, slots=True)
class OCSPRequest:
    """What was asked."""

    cert_ids: tuple[CertID, ...]
    nonce: bytes | None


@asn1.sequence
class _Signature:
    algorithm: asn1.TLV
    signature: asn1.BitString
    certs: Annotated[list[asn1.TLV] | None, asn1.Explicit(0)]


@asn1.sequence
class _OCSPRequest:
    tbs_request: list[asn1.TLV]
    optional_signature: Annotated[_Signature | None, asn1.Explicit(0)]


@asn1.sequence
class _CertID:
    hash_algorithm: asn1.TLV
    issuer_name_hash: bytes
    issuer_key_hash: bytes
    serial_number: int


@asn1.sequence
class _Request:
    req_cert: asn1.TLV
    single_request_extensions: Annotated[list[Extension] | None, asn1.Explicit(0)]


@asn1.sequence
class _Requests:
    """A SEQUENCE OF cannot be decoded at the top, so it is put into a SEQUENCE of one field."""

    items: list[_Request]


@asn1.sequence
class _Extensions:
    items: list[Extension]


def parse_request(octets: bytes) -> OCSPRequest:
    """Decode a request with one to eight CertIDs.

    A signature and a requestorName are accepted and mean nothing. Raises `Malformed`, or
    `TooLarge` over 4096 octets.
    """
    if len(octets) > MAX_REQUEST_OCTETS:
        raise TooLarge(f"an OCSP request has at most {MAX_REQUEST_OCTETS} octets here")
    elements = [
        der.octets_of(element)
        for element in der.decode(_OCSPRequest, octets, what=_WHAT).tbs_request
    ]
    # version [0] is DEFAULT v1 and there is no other: in DER it never appears.
    if elements and elements[0][0] == _REQUESTOR_NAME:
        elements.pop(0)
    if not elements:
        raise Malformed(f"{_WHAT} asks nothing")
    requests, *rest = elements
    extensions: list[Extension] = []
    if rest and rest[0][0] == _EXTENSIONS:
        extensions = _parse_extensions(rest.pop(0))
    if rest:
        raise Malformed(f"{_WHAT} has an element that does not belong there")
    return OCSPRequest(_parse_requests(requests), _nonce(extensions))


def _parse_requests(octets: bytes) -> tuple[CertID, ...]:
    items = der.decode(_Requests, der.sequence(octets), what=_WHAT).items
    if not 1 <= len(items) <= MAX_CERT_IDS:
        raise Malformed(f"{_WHAT} has {len(items)} CertIDs; 1 to {MAX_CERT_IDS} are answered")
    for item in items:
        _check_extensions(item.single_request_extensions or [])
    return tuple(_parse_cert_id(der.octets_of(item.req_cert)) for item in items)


def _parse_cert_id(octets: bytes) -> CertID:
    cert_id = der.decode(_CertID, octets, what="the CertID")
    return CertID(
        der=octets,
        digest=_DIGEST.get(der.octets_of(cert_id.hash_algorithm)),
        name_hash=cert_id.issuer_name_hash,
        key_hash=cert_id.issuer_key_hash,
        serial=cert_id.serial_number,
    )


def _parse_extensions(octets: bytes) -> list[Extension]:
    # [2] EXPLICIT around Extensions has the shape of a SEQUENCE of one field.
    retagged = bytes((der.SEQUENCE,)) + octets[1:]
    extensions = der.decode(_Extensions, retagged, what=_WHAT).items
    _check_extensions(extensions)
    return extensions


def _check_extensions(extensions: list[Extension]) -> None:
    names = [extension.oid for extension in extensions]
    if len(set(names)) != len(names):
        raise Malformed(f"{_WHAT} has an extension twice (RFC 5280, 4.2)")
    for extension in extensions:
        # RFC 6960, 4.4: what is critical and not understood must not be ignored.
        if extension.critical and extension.oid not in _UNDERSTOOD:
            raise Malformed(
                f"{_WHAT} has a critical extension that is not known: {extension.oid.dotted_string}"
            )


def _nonce(extensions: list[Extension]) -> bytes | None:
    """Return the value of the nonce extension, to be repeated octet for octet."""
    for extension in extensions:
        if extension.oid == oids.OCSP_NONCE:
            nonce = der.decode(bytes, extension.value, what="the nonce")
            # RFC 9654, 2.1: SIZE(1..128).
            if not 1 <= len(nonce) <= MAX_NONCE_OCTETS:
                raise Malformed(f"a nonce has 1 to {MAX_NONCE_OCTETS} octets, not {len(nonce)}")
            return extension.value
    return None


# Whole AlgorithmIdentifiers, parameters absent or NULL: clients send both.
_DIGEST: Final = {
    der.sequence(der.encode(name), parameters): digest
    for name, digest in {
        oids.SHA1: Digest.SHA1,
        oids.SHA256: Digest.SHA256,
        oids.SHA384: Digest.SHA384,
        oids.SHA512: Digest.SHA512,
        oids.SM3: Digest.SM3,
    }.items()
    for parameters in (b"", der.NULL)
}
