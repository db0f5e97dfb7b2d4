"""Distinguished names of directory entries, made from a template (RFC 4514)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from cryptography import x509

from ca.names import attributes_of
from ca.serials import to_hex
from ca.store import CertificateRecord
from core.errors import Refused

_FIELD: Final = re.compile(r"\{([^{}]*)\}")
_SPECIAL: Final = frozenset(',+"\\<>;=#\0')


@dataclass(frozen=True, slots=True)
class EntryName:
    """Where an entry is, and the attribute that names it."""

    dn: str
    attribute: str
    value: str


def entry_name(template: str, fields: Mapping[str, str]) -> EntryName:
    """Fill a checked template. Raises `Refused` when a field has no value."""

    def fill(match: re.Match[str]) -> str:
        return _escaped(_value(fields, match[1]))

    attribute, _, rest = template.partition("=")
    first = _FIELD.match(rest)
    if first is None:
        raise Refused("the template does not begin with an attribute and a field")
    return EntryName(_FIELD.sub(fill, template), attribute, _value(fields, first[1]))


def fields_of(record: CertificateRecord) -> Mapping[str, str]:
    """Return what a template can name of a certificate; the first of attributes that repeat."""
    if record.der is None:
        raise Refused("there is no certificate")
    subject = x509.load_der_x509_certificate(record.der).subject
    fields = {"serial": to_hex(record.serial), "issuer": record.issuer, "profile": record.profile}
    return dict(_first_of_each(attributes_of(subject))) | fields


def _first_of_each(attributes: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    seen: set[str] = set()
    for name, value in attributes:
        if name not in seen:
            seen.add(name)
            yield name, value


def _value(fields: Mapping[str, str], name: str) -> str:
    value = fields.get(name, "").strip()
    if not value:
        raise Refused(f"the certificate has no {name}, which the entry's name needs")
    return value


def _escaped(value: str) -> str:
    # Every special character wherever it stands: more than RFC 4514, 2.4 asks, and never wrong.
    return "".join(
        "".join(f"\\{octet:02x}" for octet in character.encode())
        if character in _SPECIAL or not character.isprintable()
        else character
        for character in value
    )
