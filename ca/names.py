"""Distinguished names (GB/T 20518, RFC 5280): parse, order, encode, refuse.

A name is a tuple of (short type, value) pairs here, one attribute per RDN. We write C and
serialNumber as PrintableString and everything else as UTF8String, in the order C, ST, L, O, OU, CN.
"""

from __future__ import annotations

import re
import unicodedata
import warnings
from typing import Final

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.x509.oid import NameOID

from core import der
from core.errors import Malformed, Refused

# `cryptography` counts octets of UTF-8: for it 22 Chinese characters are longer than 64.
warnings.filterwarnings("ignore", message="Attribute's length must be")

Attributes = tuple[tuple[str, str], ...]
"""``(("C", "CN"), ("O", "某市政务服务数据管理局"), ("CN", "..."))``, in the order of encoding."""

_TYPES: Final[dict[str, tuple[x509.ObjectIdentifier, int]]] = {
    # In the order in which we write them, with the upper bounds of RFC 5280, A.1. The bounds of
    # surname and givenName are 32768 there; nobody is called that.
    "DC": (NameOID.DOMAIN_COMPONENT, 63),
    "C": (NameOID.COUNTRY_NAME, 2),
    "ST": (NameOID.STATE_OR_PROVINCE_NAME, 128),
    "L": (NameOID.LOCALITY_NAME, 128),
    "O": (NameOID.ORGANIZATION_NAME, 64),
    "OU": (NameOID.ORGANIZATIONAL_UNIT_NAME, 64),
    "title": (NameOID.TITLE, 64),
    "SN": (NameOID.SURNAME, 64),
    "GN": (NameOID.GIVEN_NAME, 64),
    "serialNumber": (NameOID.SERIAL_NUMBER, 64),
    "UID": (NameOID.USER_ID, 256),
    "CN": (NameOID.COMMON_NAME, 64),
}
ATTRIBUTE_TYPES: Final = tuple(_TYPES)
_SHORT: Final = {oid: short for short, (oid, _) in _TYPES.items()}
_MAX_ATTRIBUTES: Final = 20
_ENCODED_TYPES: Final = {short: der.encode(oid) for short, (oid, _) in _TYPES.items()}
_ESCAPED: Final = re.compile(r"[\\\"+,;<>\0]|\A[ #]| \Z")
"""What RFC 4514, 2.4 wants escaped."""

_UTF8_STRING: Final = 0x0C
_PRINTABLE_STRING: Final = 0x13
_IA5_STRING: Final = 0x16
_TAGS: Final = {"C": _PRINTABLE_STRING, "serialNumber": _PRINTABLE_STRING, "DC": _IA5_STRING}
_PRINTABLE: Final = re.compile(r"[A-Za-z0-9 '()+,\-./:=?]+")
_COUNTRY: Final = re.compile(r"[A-Z]{2}")
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
# Control, format (bidirectional overrides), surrogate, private and unassigned characters, and
# line and paragraph separators: they make a name look like another one.
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


@asn1.sequence
class _Attribute:
    oid: x509.ObjectIdentifier
    value: asn1.TLV


@asn1.sequence
class _Name:
    """A SEQUENCE OF cannot be decoded at the top, so it is put into a SEQUENCE of one field."""

    rdns: list[asn1.SetOf[_Attribute]]


def check_attributes(attributes: Attributes) -> Attributes:
    """Return `attributes` in the order we write them. Raises `Refused`."""
    if len(attributes) > _MAX_ATTRIBUTES:
        raise Refused(f"a name has at most {_MAX_ATTRIBUTES} attributes, not {len(attributes)}")
    for short, value in attributes:
        if short not in _TYPES:
            raise Refused(f"the name attribute {short!r} is not one of {', '.join(_TYPES)}")
        _check_value(short, value)
    return tuple(sorted(attributes, key=lambda pair: ATTRIBUTE_TYPES.index(pair[0])))


def encode_name(attributes: Attributes) -> bytes:
    """Return the DER Name of checked attributes, each in an RDN of its own."""
    # As `cryptography` writes it, by a tenth of the time: every certificate has one.
    return der.sequence(
        *[
            der.wrap(der.SET, der.sequence(_ENCODED_TYPES[short], _string(short, value)))
            for short, value in attributes
        ]
    )


def read_name(octets: bytes) -> Attributes | None:
    """Read a DER Name in which every attribute is of a kind and a string that we write ourselves.

    None: it may be a Name all the same, and `cryptography` has to say (`attributes_of`).
    """
    try:
        name = der.decode(_Name, der.sequence(octets), what="a name")
    except Malformed:
        return None
    found = []
    for rdn in name.rdns:
        attributes = rdn.as_list()
        if len(attributes) != 1:
            return None
        short = _SHORT.get(attributes[0].oid)
        value = attributes[0].value
        text = _text(value.tag_bytes, bytes(value.data))
        if short is None or text is None:
            return None
        found.append((short, text))
    return tuple(found)


def _text(tag: bytes, octets: bytes) -> str | None:
    try:
        if tag == b"\x0c":
            return octets.decode()
        text = octets.decode("ascii")
    except UnicodeDecodeError:
        return None
    if tag == b"\x13":
        return text if _PRINTABLE.fullmatch(text) else None
    return text if tag == b"\x16" else None


def attributes_of(name: x509.Name) -> Attributes:
    """Read a name that somebody else encoded. Raises `Refused` for types we do not know."""
    found = []
    for rdn in name.rdns:
        if len(rdn) != 1:
            raise Refused("a relative distinguished name with several attributes is not accepted")
        for attribute in rdn:
            if attribute.oid not in _SHORT:
                raise Refused(
                    f"the name attribute {attribute.oid.dotted_string} is not accepted "
                    f"(accepted: {', '.join(_TYPES)}); an e-mail address belongs into "
                    "subjectAltName"
                )
            if not isinstance(attribute.value, str):
                raise Malformed("a name attribute is not text")
            found.append((_SHORT[attribute.oid], attribute.value))
    return tuple(found)


def text_of(attributes: Attributes) -> str:
    """Return the RFC 4514 text: last attribute first, as that standard wants it."""
    if any(_ESCAPED.search(value) for _, value in attributes):
        return make_name(attributes).rfc4514_string(_SHORT)
    return ",".join([f"{short}={value}" for short, value in reversed(attributes)])


def make_name(attributes: Attributes) -> x509.Name:
    """Return checked attributes as a Name, each in an RDN of its own."""
    # `check_attributes` has counted characters, as RFC 5280, A.1 does.
    return x509.Name(
        [
            x509.NameAttribute(_TYPES[short][0], value, _validate=False)
            for short, value in attributes
        ]
    )


def _string(short: str, value: str) -> bytes:
    return der.wrap(_TAGS.get(short, _UTF8_STRING), value.encode())


def _check_value(short: str, value: str) -> None:
    if not value or value != value.strip():
        raise Refused(f"the name attribute {short} is empty or begins or ends with a space")
    bound = _TYPES[short][1]
    if len(value) > bound:
        raise Refused(f"the name attribute {short} has {len(value)} characters, at most {bound}")
    plain = value.isascii() and value.isprintable()  # the two rules below have nothing to say
    if not plain and any(unicodedata.category(one) in _INVISIBLE for one in value):
        raise Refused(f"the name attribute {short} holds a control or invisible character")
    if not plain and unicodedata.normalize("NFC", value) != value:
        raise Refused(f"the name attribute {short} is not in Unicode normalisation form C")
    if short == "C" and _COUNTRY.fullmatch(value) is None:
        raise Refused("the name attribute C is two capital letters (ISO 3166)")
    if short == "serialNumber" and _PRINTABLE.fullmatch(value) is None:
        raise Refused("the name attribute serialNumber holds letters, digits and '()+,-./:=? only")
    if short == "DC" and _LABEL.fullmatch(value.lower()) is None:
        raise Refused("the name attribute DC is one DNS label")
