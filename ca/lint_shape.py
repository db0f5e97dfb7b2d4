"""The shape of a certificate: all that a structural linter can say something about.

Two certificates of one shape differ only in serial number, instants, key bits, and in the letters
of names: which kinds of characters a text is made of is part of its shape, which ones is not.
Everything else is compared octet for octet, and so is the issuer's certificate.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

from cryptography.x509.oid import ExtensionOID

from ca.lint_gm import IDENTITIES
from ca.lint_subject import Subject, Text
from ca.tbs import Extension
from core import der
from core.errors import Malformed

_CLASSES: Final = bytes(
    ord("A") if octet in range(0x41, 0x5B)
    else ord("a") if octet in range(0x61, 0x7B)
    else ord("0") if octet in range(0x30, 0x3A)
    else min(octet, 0x80)
    for octet in range(256)
)  # fmt: skip
"""For each octet the one that stands for its class: one for all beyond ASCII."""


def shape_of(s: Subject) -> Hashable:
    """Return what two certificates must share for one lint to speak for both."""
    return (
        s.self_signed,
        None if s.parent is None else s.parent.tbs,
        s.fields.version,
        der.octets_of(s.fields.signature),
        s.algorithm,
        s.issuer,
        (s.times[0][0], s.times[1][0]),
        letters_of(s.rdns),
        s.key_algorithm,
        len(s.key.subject_public_key.as_bytes()),
        tuple((e.oid, e.critical, _value(s, e)) for e in s.fields.extensions or ()),
    )


def letters_of(rdns: tuple[tuple[Text, ...], ...]) -> Hashable:
    """Return the shape of a Name."""
    return tuple([tuple([(t.oid, t.tag, _letters(t.octets)) for t in rdn]) for rdn in rdns])


def _letters(text: bytes) -> frozenset[int]:
    """Return the kinds of characters: letters and digits by class, the rest each for itself."""
    return frozenset(text.translate(_CLASSES))


def _value(s: Subject, extension: Extension) -> Hashable:
    if extension.oid == ExtensionOID.SUBJECT_KEY_IDENTIFIER:
        return len(extension.value)
    if extension.oid == ExtensionOID.SUBJECT_ALTERNATIVE_NAME and s.alternative_names is not None:
        return frozenset((tag, _letters(octets)) for tag, octets in s.alternative_names)
    if extension.oid in IDENTITIES:
        return _text(extension.value)
    return extension.value


def _text(value: bytes) -> Hashable:
    """Return the shape of one string, perhaps inside one explicit tag."""
    try:
        element = der.verbatim(value)
        tags = [element.tag_bytes]
        if element.tag_bytes[0] & 0x20:
            element = der.verbatim(bytes(element.data))
            tags.append(element.tag_bytes)
    except Malformed:
        return value
    return (*tags, _letters(bytes(element.data)))
