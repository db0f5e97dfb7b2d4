"""Reading CMS SignedData: a signature with the certificate of who made it (RFC 5652, 5).

What the middleware of a USB key returns (SOF_SignDataByP7, GM/T 0020; message syntax GM/T 0010 and
GB/T 35275, whose content types differ and whose structure is the same). One signer, by issuer and
serial number; with or without signed attributes, content inside or apart.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from core import der
from core.errors import InvalidSignature, Malformed, Refused
from keystore import verify
from keystore.algorithms import Digest, SignatureAlgorithm
from keystore.certificates import issuer_and_serial

MAX_OCTETS: Final = 65_536
_WHAT: Final = "the signed message"


def _oid(dotted: str) -> bytes:
    return der.encode(der.oid(dotted))


_SIGNED_DATA: Final = frozenset({_oid("1.2.840.113549.1.7.2"), _oid("1.2.156.10197.6.1.4.2.2")})
_DATA: Final = frozenset({_oid("1.2.840.113549.1.7.1"), _oid("1.2.156.10197.6.1.4.2.1")})
_CONTENT_TYPE: Final = _oid("1.2.840.113549.1.9.3")
_MESSAGE_DIGEST: Final = _oid("1.2.840.113549.1.9.4")
_DIGESTS: Final = {
    _oid("2.16.840.1.101.3.4.2.1"): Digest.SHA256,
    _oid("2.16.840.1.101.3.4.2.2"): Digest.SHA384,
    _oid("1.2.156.10197.1.401"): Digest.SM3,
}


@dataclass(frozen=True, slots=True)
class SignedMessage:
    """A message that was read, and not yet verified."""

    certificates: tuple[bytes, ...]
    """The signer's first, then what else came along."""
    content: bytes | None
    """None: it is apart (detached)."""
    digest: Digest
    attributes: bytes | None
    """The signed attributes, as the DER SET OF that is signed (RFC 5652, 5.4)."""
    signature: bytes

    def verify(self, message: bytes, *, spki: bytes) -> None:
        """Check that the key `spki` signed exactly `message`. Says nothing about the certificate.

        The algorithm follows from the key and the digest. Raises `InvalidSignature`, `Refused`.
        """
        if self.content is not None and self.content != message:
            raise InvalidSignature("the signed message is about another text")
        signed = message
        if self.attributes is not None:
            _require_attributes(self.attributes, hashlib.new(self.digest, message).digest())
            signed = self.attributes
        verify.verify_signature(spki, self._algorithm(spki), signed, self.signature)

    def _algorithm(self, spki: bytes) -> SignatureAlgorithm:
        for algorithm in verify.key_algorithm(spki).signatures:
            if algorithm.digest is self.digest:
                return algorithm
        raise Refused(f"signatures over {self.digest} are not taken from this kind of key")


def parse_signed_data(octets: bytes) -> SignedMessage:
    """Read a message with exactly one signer. Raises `Malformed`, `Refused`."""
    if len(octets) > MAX_OCTETS:
        raise Malformed(f"{_WHAT} is longer than {MAX_OCTETS} octets")
    kind, wrapped = _exactly(octets, 2)
    if kind not in _SIGNED_DATA:
        raise Malformed(f"{_WHAT} is not CMS SignedData")
    (signed_data,) = _exactly(wrapped, 1)
    parts = list(_children(signed_data))
    if len(parts) < 4:
        raise Malformed(f"{_WHAT} has too few parts")
    _version, _digests, encapsulated, *rest = parts
    certificates = [part for part in rest if part[0] == 0xA0]
    signers = [part for part in rest if part[0] == der.SET]
    if len(certificates) != 1 or len(signers) != 1:
        raise Malformed(f"{_WHAT} brings no certificates, or no signer")
    infos = _children(signers[0])
    if len(infos) != 1:
        raise Refused(f"{_WHAT} has {len(infos)} signers, and one is wanted")
    return _read_signer(infos[0], _children(certificates[0]), _content(encapsulated))


def _read_signer(
    info: bytes, certificates: tuple[bytes, ...], content: bytes | None
) -> SignedMessage:
    parts = _children(info)
    if len(parts) < 5:
        raise Malformed(f"{_WHAT}: the signer has too few parts")
    attributes = parts[3] if parts[3][0] == 0xA0 else None
    rest = parts[4:] if attributes is not None else parts[3:]
    if len(rest) < 2 or rest[1][0] != der.OCTET_STRING:
        raise Malformed(f"{_WHAT}: the signer has no signature")
    digest = _DIGESTS.get(_children(parts[2])[0])
    if digest is None:
        raise Refused(f"{_WHAT} uses a digest that is not taken; SHA-256, SHA-384 and SM3 are")
    signer = [one for one in certificates if issuer_and_serial(one) == parts[1]]
    if len(signer) != 1:
        raise Malformed(f"{_WHAT} does not bring the certificate that its signer names")
    return SignedMessage(
        certificates=(signer[0], *(one for one in certificates if one != signer[0])),
        content=content,
        digest=digest,
        attributes=None if attributes is None else bytes((der.SET,)) + attributes[1:],
        signature=der.contents(rest[1], what=_WHAT),
    )


def _content(encapsulated: bytes) -> bytes | None:
    parts = _children(encapsulated)
    if not 1 <= len(parts) <= 2 or parts[0] not in _DATA:
        raise Malformed(f"{_WHAT} is not about plain data")
    if len(parts) == 1:
        return None
    (octets,) = _exactly(parts[1], 1)
    if octets[0] != der.OCTET_STRING:
        raise Malformed(f"{_WHAT}: the content is not an OCTET STRING")
    return der.contents(octets, what=_WHAT)


def _require_attributes(attributes: bytes, digest: bytes) -> None:
    """RFC 5652, 11.1 and 11.2: both attributes, once each, and they say what we know."""
    found: dict[bytes, list[bytes]] = {}
    for attribute in _children(attributes):
        kind, values = _exactly(attribute, 2)
        found.setdefault(kind, []).extend(_children(values))
    (kinds, digests) = (found.get(name, []) for name in (_CONTENT_TYPE, _MESSAGE_DIGEST))
    if len(kinds) != 1 or kinds[0] not in _DATA or len(digests) != 1:
        raise InvalidSignature("the signed attributes lack content type or message digest")
    if not hmac.compare_digest(der.contents(digests[0], what=_WHAT), digest):
        raise InvalidSignature("the signed message is about another text")


def _children(element: bytes) -> tuple[bytes, ...]:
    return der.children(element, what=_WHAT)


def _exactly(element: bytes, count: int) -> tuple[bytes, ...]:
    parts = _children(element)
    if len(parts) != count:
        raise Malformed(f"{_WHAT} has {len(parts)} parts where {count} belong")
    return parts
