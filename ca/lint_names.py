"""Lint rules over names: the subject and the alternative names (RFC 5280, 4.1.2.6 and 4.2.1.6)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from ca.lint_rule import Rule, Severity
from ca.lint_subject import Subject, Text

UTF8_STRING: Final = 0x0C
PRINTABLE_STRING: Final = 0x13
IA5_STRING: Final = 0x16
EMAIL: Final = 0x81
DNS: Final = 0x82
URI: Final = 0x86
IP: Final = 0x87

_KNOWN_STRINGS: Final = (UTF8_STRING, PRINTABLE_STRING, IA5_STRING)
_PRINTABLE: Final = re.compile(rb"[A-Za-z0-9 '()+,\-./:=?]*")
_PRINTABLE_TYPES: Final = {
    NameOID.SERIAL_NUMBER.dotted_string,
    NameOID.DN_QUALIFIER.dotted_string,
}
_IA5_TYPES: Final = {NameOID.DOMAIN_COMPONENT.dotted_string, NameOID.EMAIL_ADDRESS.dotted_string}
_COUNTRY: Final = NameOID.COUNTRY_NAME.dotted_string
_BOUNDS: Final = {
    # RFC 5280, A.1, in characters. The country has a rule of its own (gm.country).
    NameOID.STATE_OR_PROVINCE_NAME.dotted_string: 128,
    NameOID.LOCALITY_NAME.dotted_string: 128,
    NameOID.ORGANIZATION_NAME.dotted_string: 64,
    NameOID.ORGANIZATIONAL_UNIT_NAME.dotted_string: 64,
    NameOID.COMMON_NAME.dotted_string: 64,
    NameOID.SERIAL_NUMBER.dotted_string: 64,
    NameOID.TITLE.dotted_string: 64,
    NameOID.PSEUDONYM.dotted_string: 128,
    NameOID.EMAIL_ADDRESS.dotted_string: 255,
}
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})

_LABEL: Final = re.compile(rb"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_LOCAL_PART: Final = re.compile(rb"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}")
_URI: Final = re.compile(
    rb"[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@\s]*@)?"
    rb"(?:[A-Za-z0-9._~%-]+|\[[0-9A-Fa-f:.]+\])(?::\d{0,5})?(?:[/?#][!-~]*)?"
)


def _texts(s: Subject) -> Iterator[Text]:
    for rdn in s.rdns:
        yield from rdn


def decoded(text: Text) -> str | None:
    """Return the characters of a string of a kind we know, or None for octets that are none."""
    try:
        return text.octets.decode("utf-8" if text.tag == UTF8_STRING else "ascii")
    except UnicodeDecodeError:
        return None


def _subject_present(s: Subject) -> bool:
    # RFC 5280, 4.1.2.6: a CA always has one; others may have critical alternative names instead.
    return bool(s.rdns) or (
        not s.authority and s.is_critical(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    )


def _string_types(s: Subject) -> bool:
    for text in _texts(s):
        if text.oid == _COUNTRY:
            continue
        if text.oid in _PRINTABLE_TYPES:
            allowed: tuple[int, ...] = (PRINTABLE_STRING,)
        elif text.oid in _IA5_TYPES:
            allowed = (IA5_STRING,)
        else:
            allowed = (UTF8_STRING, PRINTABLE_STRING)
        if text.tag not in allowed:
            return False
    return True


def _alphabets(s: Subject) -> bool:
    return all(
        decoded(text) is not None
        and (text.tag != PRINTABLE_STRING or _PRINTABLE.fullmatch(text.octets) is not None)
        for text in _texts(s)
        if text.tag in _KNOWN_STRINGS
    )


def _lengths(s: Subject) -> bool:
    for text in _texts(s):
        bound = _BOUNDS.get(text.oid)
        if not text.octets:
            return False
        if bound is not None and len(decoded(text) or "") > bound:
            return False
    return True


def _visible(s: Subject) -> bool:
    return all(_is_visible(decoded(text) or "") for text in _texts(s) if text.tag in _KNOWN_STRINGS)


def _is_visible(text: str) -> bool:
    if text.isascii():
        return text.isprintable()
    return not any(unicodedata.category(character) in _INVISIBLE for character in text)


def _single(s: Subject) -> bool:
    return all(len(rdn) == 1 for rdn in s.rdns)


def _each(s: Subject, tag: int) -> Iterator[bytes]:
    return (octets for kind, octets in s.alternative_names or () if kind == tag)


def is_dns_name(name: bytes) -> bool:
    """Whether it is in preferred name syntax, perhaps with a wildcard for its first label."""
    labels = name.removeprefix(b"*.").split(b".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        return False
    # RFC 5890, 2.3.1: "--" at the third place is reserved, and only xn-- has a meaning.
    return not labels[-1].isdigit() and all(
        label[2:4] != b"--" or label[:2].lower() == b"xn" for label in labels
    )


def _is_email(address: bytes) -> bool:
    local, at, domain = address.rpartition(b"@")
    return bool(at) and _LOCAL_PART.fullmatch(local) is not None and is_dns_name(domain)


def _names_once(s: Subject) -> bool:
    names = s.alternative_names or ()
    return len({(tag, octets.lower()) for tag, octets in names}) == len(names)


def _server_has_names(s: Subject) -> bool:
    return (
        s.extended_key_usage != (ExtendedKeyUsageOID.SERVER_AUTH,)
        or ExtensionOID.SUBJECT_ALTERNATIVE_NAME in s.extensions
    )


_E, _W = Severity.ERROR, Severity.WARNING
_SAN: Final = "RFC 5280, 4.2.1.6"
NAME_RULES: Final = (
    Rule(
        "x509.subject-present",
        _E,
        "RFC 5280, 4.1.2.6",
        "the subject is not empty, or critical alternative names stand for it",
        _subject_present,
        of_shape=True,
    ),
    Rule(
        "x509.name-types",
        _E,
        "RFC 5280, 4.1.2.4",
        "names are PrintableString or UTF8String, serialNumber PrintableString, "
        "e-mail addresses and domain components IA5String",
        _string_types,
        of_shape=True,
    ),
    Rule(
        "x509.name-alphabet",
        _E,
        "X.680, 41.4",
        "strings of names hold characters of their kind only",
        _alphabets,
    ),
    Rule(
        "x509.name-length",
        _E,
        "RFC 5280, A.1",
        "no name is empty or longer than its upper bound",
        _lengths,
    ),
    Rule(
        "x509.name-visible",
        _W,
        "docs/certificate-specification.md",
        "names hold no control or invisible character",
        _visible,
    ),
    Rule(
        "x509.name-single",
        _W,
        "docs/certificate-specification.md",
        "each relative distinguished name has one attribute",
        _single,
        of_shape=True,
    ),
    Rule(
        "x509.san-present",
        _E,
        _SAN,
        "the alternative names are not an empty list",
        lambda s: s.alternative_names != (),
        of_shape=True,
    ),
    Rule(
        "x509.san-dns",
        _E,
        _SAN,
        "DNS names are ASCII in preferred name syntax; a wildcard is the whole first label",
        lambda s: all(map(is_dns_name, _each(s, DNS))),
        of_frame=True,
    ),
    Rule(
        "x509.san-email",
        _E,
        _SAN,
        "e-mail addresses are local@domain, in ASCII",
        lambda s: all(map(_is_email, _each(s, EMAIL))),
        of_frame=True,
    ),
    Rule(
        "x509.san-uri",
        _E,
        _SAN,
        "URIs are absolute and name a host",
        lambda s: all(_URI.fullmatch(uri) for uri in _each(s, URI)),
        of_frame=True,
    ),
    Rule(
        "x509.san-ip",
        _E,
        _SAN,
        "IP addresses are 4 or 16 octets",
        lambda s: all(len(octets) in (4, 16) for octets in _each(s, IP)),
        of_frame=True,
    ),
    Rule(
        "x509.san-once",
        _W,
        "docs/certificate-specification.md",
        "no alternative name stands twice",
        _names_once,
        of_frame=True,
    ),
    Rule(
        "x509.server-names",
        _E,
        "RFC 9525, 3",
        "a server certificate names its servers",
        _server_has_names,
        of_shape=True,
    ),
)
