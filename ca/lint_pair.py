"""Lint rules over the two certificates of a pair (GB/T 20518; GB/T 38636, TLCP)."""

from __future__ import annotations

from typing import Final

from cryptography.x509.oid import ExtensionOID

from ca.lint_gm import IDENTITIES
from ca.lint_rule import PairRule, Severity
from ca.lint_subject import ENCRYPTION_BITS, SIGNATURE_BITS, Subject
from core import der


def _same_alternative_names(a: Subject, b: Subject) -> bool:
    oid = ExtensionOID.SUBJECT_ALTERNATIVE_NAME
    first, second = a.extensions.get(oid), b.extensions.get(oid)
    if first is None or second is None:
        return first is second
    return (first.critical, first.value) == (second.critical, second.value)


def _same_identity(a: Subject, b: Subject) -> bool:
    return all(
        (None if one is None else one.value) == (None if other is None else other.value)
        for one, other in ((a.extensions.get(oid), b.extensions.get(oid)) for oid in IDENTITIES)
    )


def _usages(a: Subject, b: Subject) -> bool:
    signing, encryption = a.key_usage or frozenset(), b.key_usage or frozenset()
    return bool(signing & SIGNATURE_BITS) and bool(encryption & ENCRYPTION_BITS)


def _algorithms(a: Subject, b: Subject) -> bool:
    keys = der.octets_of(a.key.algorithm) == der.octets_of(b.key.algorithm)
    return keys and a.algorithm == b.algorithm


_E: Final = Severity.ERROR
_CLAUSE: Final = "GB/T 20518; GB/T 38636, 6.4.5.3"
PAIR_RULES: Final = (
    PairRule(
        "pair.subject",
        _E,
        _CLAUSE,
        "both have the same subject, octet for octet",
        lambda a, b: a.subject == b.subject,
    ),
    PairRule(
        "pair.issuer",
        _E,
        _CLAUSE,
        "both have the same issuer",
        lambda a, b: a.issuer == b.issuer,
    ),
    PairRule(
        "pair.alternative-names",
        _E,
        _CLAUSE,
        "both have the same alternative names, octet for octet",
        _same_alternative_names,
    ),
    PairRule(
        "pair.identity",
        _E,
        _CLAUSE,
        "both have the same identity extensions",
        _same_identity,
    ),
    PairRule(
        "pair.keys",
        _E,
        "GB/T 25056",
        "the two keys differ",
        lambda a, b: a.spki != b.spki,
    ),
    PairRule(
        "pair.serials",
        _E,
        "RFC 5280, 4.1.2.2",
        "the two serial numbers differ",
        lambda a, b: a.fields.serial != b.fields.serial,
    ),
    PairRule(
        "pair.usages",
        _E,
        "GB/T 20518, 5.2.4.2.3",
        "the first signs, the second enciphers",
        _usages,
    ),
    PairRule(
        "pair.algorithms",
        _E,
        "GB/T 38636, 6.4.5.3",
        "both have the same key algorithm and the same signature algorithm",
        _algorithms,
    ),
)
