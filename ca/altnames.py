"""Subject alternative names (RFC 5280, 4.2.1.6): parse and refuse.

Four kinds are taken: ``dns``, ``ip``, ``email`` and ``uri``. As text: ``dns:www.example.gov.cn``.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat import asn1
from typing_extensions import override

from core import der
from core.errors import Malformed, Refused


class AlternativeNameKind(StrEnum):
    """The GeneralName choices we take."""

    DNS = "dns"
    IP = "ip"
    EMAIL = "email"
    URI = "uri"


@dataclass(frozen=True, slots=True)
class AlternativeName:
    """One checked GeneralName. `value` is in the one form that we write."""

    kind: AlternativeNameKind
    value: str

    @override
    def __str__(self) -> str:
        return f"{self.kind}:{self.value}"


_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_LOCAL_PART: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}")
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]{1,400}")
_TAGS: Final = {
    0x81: AlternativeNameKind.EMAIL,
    0x82: AlternativeNameKind.DNS,
    0x86: AlternativeNameKind.URI,
    0x87: AlternativeNameKind.IP,
}


@asn1.sequence
class _GeneralNames:
    names: list[asn1.TLV]


def parse_alternative_name(text: str) -> AlternativeName:
    """Parse ``kind:value``. Raises `Malformed` or `Refused`."""
    kind, colon, value = text.partition(":")
    if not colon or kind not in list(AlternativeNameKind):
        raise Malformed(f"{text!r} is not dns:…, ip:…, email:… or uri:…")
    return make_alternative_name(AlternativeNameKind(kind), value)


def make_alternative_name(kind: AlternativeNameKind, value: str) -> AlternativeName:
    """Check `value` and bring it into the form we write. Raises `Refused`."""
    return AlternativeName(kind, _CHECKS[kind](value))


def host_name(host: str) -> AlternativeName:
    """Return the name of a host: an IP address if it is one, else a DNS name. Raises `Refused`."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return make_alternative_name(AlternativeNameKind.DNS, host)
    return make_alternative_name(AlternativeNameKind.IP, host)


def parse_general_names(extension_value: bytes) -> tuple[AlternativeName, ...]:
    """Parse the value of a subjectAltName extension. Raises `Malformed` or `Refused`."""
    wrapped = der.sequence(extension_value)
    names = der.decode(_GeneralNames, wrapped, what="subjectAltName").names
    return tuple(_general_name(name) for name in names)


def encode_alternative_names(names: Sequence[AlternativeName]) -> bytes:
    """Return the value of a subjectAltName extension."""
    return x509.SubjectAlternativeName([_encoded(name) for name in names]).public_bytes()


def _general_name(element: asn1.TLV) -> AlternativeName:
    tag, octets = element.tag_bytes[0], bytes(element.data)
    kind = _TAGS.get(tag)
    if kind is None:
        raise Refused(
            "subjectAltName holds a kind of name that is not accepted: only DNS, IP, e-mail, URI"
        )
    if kind is AlternativeNameKind.IP:
        try:
            return AlternativeName(kind, str(ipaddress.ip_address(octets)))
        except ValueError as error:
            raise Malformed("an iPAddress in subjectAltName is not 4 or 16 octets") from error
    try:
        text = octets.decode("ascii")
    except UnicodeDecodeError as error:
        raise Malformed("a name in subjectAltName is not ASCII (IA5String)") from error
    return make_alternative_name(kind, text)


def _encoded(name: AlternativeName) -> x509.GeneralName:
    match name.kind:
        case AlternativeNameKind.DNS:
            return x509.DNSName(name.value)
        case AlternativeNameKind.IP:
            return x509.IPAddress(ipaddress.ip_address(name.value))
        case AlternativeNameKind.EMAIL:
            return x509.RFC822Name(name.value)
        case AlternativeNameKind.URI:
            return x509.UniformResourceIdentifier(name.value)


def _dns(value: str) -> str:
    name = value.lower()
    if not name.isascii():
        raise Refused(f"{value!r} is not ASCII: write internationalised names as xn-- labels")
    labels = name.removeprefix("*.").split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        # A wildcard stands for the whole leftmost label only (RFC 6125, 6.4.3).
        raise Refused(f"{value!r} is not a DNS name")
    if name.startswith("*.") and len(labels) < 2:
        raise Refused(f"{value!r} is a wildcard over a whole top-level domain")
    if labels[-1].isdigit():
        raise Refused(f"{value!r} looks like an IP address: use ip:")
    if any(label[2:4] == "--" and not _is_a_label(label) for label in labels):
        # RFC 5890, 2.3.1: "--" there is reserved, and only xn-- has a meaning.
        raise Refused(f"{value!r} holds a label that is not a valid A-label")
    return name


def _is_a_label(label: str) -> bool:
    if not label.startswith("xn--"):
        return False
    try:
        decoded = label[4:].encode().decode("punycode")
    except (UnicodeError, ValueError):
        return False
    return not decoded.isascii()


def _ip(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError as error:
        raise Refused(f"{value!r} is not an IP address") from error


def _email(value: str) -> str:
    local, at, domain = value.rpartition("@")
    if not at or _LOCAL_PART.fullmatch(local) is None or domain.startswith("*"):
        raise Refused(f"{value!r} is not an e-mail address")
    return f"{local}@{_dns(domain)}"


def _uri(value: str) -> str:
    # RFC 5280, 4.2.1.6: absolute. Without a host (urn:) pkilint calls it bad syntax: refused.
    if _URI.fullmatch(value) is None:
        raise Refused(f"{value!r} is not an absolute URI in ASCII")
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise Refused(f"{value!r} is not a URI") from error
    if not host:
        raise Refused(f"{value!r} is a URI without a host name")
    return value


_CHECKS: Final = {
    AlternativeNameKind.DNS: _dns,
    AlternativeNameKind.IP: _ip,
    AlternativeNameKind.EMAIL: _email,
    AlternativeNameKind.URI: _uri,
}
