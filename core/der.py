"""DER (X.690) in and out: `cryptography.hazmat.asn1`, with our errors.

Structures are declared with `asn1.sequence` where they are used. Here are the few things that
every floor needs: strict decoding, verbatim octets inside a structure, and values of a type that
the library does not encode at the top (a SEQUENCE OF, an implicit tag).
"""

from __future__ import annotations

from typing import Any, TypeVar

from cryptography.hazmat import asn1
from cryptography.x509 import ObjectIdentifier

from core.errors import Malformed

T = TypeVar("T")

SEQUENCE = 0x30
SET = 0x31
INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
NULL = b"\x05\x00"


def decode(structure: type[T], octets: bytes, *, what: str) -> T:
    """Decode exactly `structure`, strictly (DER, nothing after it). Raises `Malformed`.

    `what` names the thing in the error: "the certification request".
    """
    try:
        return asn1.decode_der(structure, octets)
    except ValueError as error:
        reason = str(error).removeprefix("error parsing asn1 value: ")
        raise Malformed(f"{what} is not valid DER: {reason}") from error


def encode(value: Any) -> bytes:
    """Encode an `asn1.sequence` value or a primitive."""
    return asn1.encode_der(value)


def verbatim(octets: bytes) -> Any:
    """Take one DER element, to be put into a structure octet for octet (an `asn1.TLV` field)."""
    return decode(asn1.TLV, octets, what="an embedded element")


def octets_of(element: Any) -> bytes:
    """Return the octets of an `asn1.TLV` field, tag and length included."""
    # Put together here: `asn1.encode_der` takes twice as long, and certificates are full of these.
    contents = bytes(element.data)
    return b"".join((element.tag_bytes, _length(len(contents)), contents))


def wrap(tag: int, *contents: bytes) -> bytes:
    """Put encoded elements behind one tag octet and a definite length."""
    body = b"".join(contents)
    return b"".join((bytes((tag,)), _length(len(body)), body))


def _length(size: int) -> bytes:
    if size < 0x80:
        return bytes((size,))
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((0x80 | len(octets),)) + octets


def children(element: bytes, *, what: str) -> tuple[bytes, ...]:
    """Return the elements inside a constructed one, verbatim: for what is a SET OF or has choices.

    Low tag numbers and definite, shortest lengths only (X.690, 10.1). Raises `Malformed`.
    """
    begin, end = _contents(element, 0, what=what)
    if end != len(element) or not element[0] & 0x20:
        raise Malformed(f"{what} is not valid DER: it is not one constructed element")
    found, position = [], begin
    while position < end:
        _, after = _contents(element, position, what=what)
        if after > end:
            raise Malformed(f"{what} is not valid DER: an element ends outside of it")
        found.append(element[position:after])
        position = after
    return tuple(found)


def contents(element: bytes, *, what: str) -> bytes:
    """Return the contents octets of one element. Raises `Malformed`."""
    begin, end = _contents(element, 0, what=what)
    if end != len(element):
        raise Malformed(f"{what} is not valid DER: it is not one element")
    return element[begin:]


def _contents(octets: bytes, at: int, *, what: str) -> tuple[int, int]:
    """Return where the contents of the element at `at` begin and end."""
    if len(octets) < at + 2 or octets[at] & 0x1F == 0x1F:
        raise _not_right(what)
    size, begin = octets[at + 1], at + 2
    if size & 0x80:
        count = size & 0x7F
        length = octets[begin : begin + count]
        begin, size = begin + count, int.from_bytes(length, "big")
        if not 1 <= count <= 4 or len(length) != count or not length[0] or size < 0x80:
            raise _not_right(what)
    if begin + size > len(octets):
        raise _not_right(what)
    return begin, begin + size


def _not_right(what: str) -> Malformed:
    return Malformed(f"{what} is not valid DER: a tag or a length is not right")


def sequence(*elements: bytes) -> bytes:
    """Encode a SEQUENCE (OF) of elements that are encoded already."""
    return wrap(SEQUENCE, *elements)


def explicit(number: int, element: bytes) -> bytes:
    """Encode ``[number] EXPLICIT``."""
    return wrap(0xA0 | number, element)


def bit_string(octets: bytes) -> asn1.BitString:
    """Make a BIT STRING of whole octets."""
    return asn1.BitString(octets, 0)


def oid(dotted: str) -> ObjectIdentifier:
    """Parse a dotted object identifier. Raises `Malformed`."""
    try:
        return ObjectIdentifier(dotted)
    except ValueError as error:
        raise Malformed(f"{dotted!r} is not an object identifier") from error


@asn1.sequence
class SubjectPublicKeyInfo:
    """RFC 5280, 4.1.2.7. The algorithm stays verbatim: `keystore.algorithms` knows its octets."""

    algorithm: asn1.TLV
    subject_public_key: asn1.BitString


def signed_object(tbs: bytes, algorithm: bytes, signature: bytes) -> bytes:
    """Join to-be-signed octets, AlgorithmIdentifier and signatureValue octets.

    What certificates, CSRs, CRLs and OCSP answers share (RFC 5280, 4.1.1 and 5.1.1; RFC 2986, 4.2).
    """
    return sequence(tbs, algorithm, wrap(BIT_STRING, b"\x00", signature))


def split_signed(octets: bytes, *, what: str) -> tuple[bytes, bytes, bytes]:
    """Return (tbs, AlgorithmIdentifier, signature) octets of a signed object, the way back.

    What is in the first two is for whoever reads them. Raises `Malformed`.
    """
    elements = children(octets, what=what)
    if len(elements) != 3 or octets[0] != SEQUENCE:
        raise Malformed(f"{what} is not valid DER: it is not a signed object")
    return elements[0], elements[1], _whole_octets(elements[2], f"{what}: the signature")


def _whole_octets(bit_string: bytes, what: str) -> bytes:
    """Return the octets of a BIT STRING. Raises `Malformed`."""
    octets = contents(bit_string, what=what)
    if bit_string[0] != BIT_STRING or not octets:
        raise Malformed(f"{what} is not valid DER: it is not a BIT STRING")
    if octets[0]:
        raise Malformed(f"{what} is not whole octets")
    return octets[1:]


def public_key_bits(spki: bytes) -> bytes:
    """Return the subjectPublicKey octets (without the unused-bits octet).

    RFC 5280, 4.2.1.2 (key identifiers) and RFC 6960, 4.1.1 (issuerKeyHash) hash exactly these.
    """
    return decode(SubjectPublicKeyInfo, spki, what="the public key").subject_public_key.as_bytes()
