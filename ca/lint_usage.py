"""Lint rules over the key usage (RFC 5280, 4.2.1.3). What SM2 adds to it is in `ca.lint_gm`."""

from __future__ import annotations

from typing import Final

from cryptography.x509.oid import ExtensionOID

from ca.lint_rule import Rule, Severity
from ca.lint_subject import ENCRYPTION_BITS, KEY_CERT_SIGN, Subject
from core.errors import Malformed, Refused
from keystore.algorithms import KeyAlgorithm
from keystore.verify import key_algorithm

_X = ExtensionOID
_KEY_AGREEMENT: Final = 4


def _usage_bits(s: Subject) -> bool:
    extension = s.extensions.get(_X.KEY_USAGE)
    if extension is None or s.key_usage is None:
        return True
    # X.690, 11.2.2: a named bit list ends with a bit that is set, so that the last octet's lowest
    # used bit is one.
    unused, last = extension.value[2], extension.value[-1]
    return bool(s.key_usage) and bool(last >> unused & 1)


def _ec_usage(s: Subject) -> bool:
    usage = s.key_usage
    if not usage:
        return True
    try:
        algorithm = key_algorithm(s.spki)
    except (Malformed, Refused):
        return True  # the key has a rule
    if algorithm in (KeyAlgorithm.EC_P256, KeyAlgorithm.EC_P384):
        return not usage & (ENCRYPTION_BITS - {_KEY_AGREEMENT})
    if algorithm is KeyAlgorithm.ED25519:
        return not usage & ENCRYPTION_BITS
    return True


_E, _W = Severity.ERROR, Severity.WARNING
USAGE_RULES: Final = (
    Rule(
        "x509.usage-authority",
        _E,
        "RFC 5280, 4.2.1.3",
        "a CA certificate has a key usage",
        lambda s: not s.authority or _X.KEY_USAGE in s.extensions,
        of_shape=True,
    ),
    Rule(
        "x509.usage-subscriber",
        _W,
        "GB/T 20518, 5.2.4.2.3",
        "a subscriber's certificate has a key usage",
        lambda s: s.authority or _X.KEY_USAGE in s.extensions,
        of_shape=True,
    ),
    Rule(
        "x509.usage-critical",
        _W,
        "RFC 5280, 4.2.1.3",
        "the key usage is critical",
        lambda s: _X.KEY_USAGE not in s.extensions or s.is_critical(_X.KEY_USAGE),
        of_shape=True,
    ),
    Rule(
        "x509.usage-bits",
        _E,
        "RFC 5280, 4.2.1.3; X.690, 11.2.2",
        "the key usage has at least one bit, and no zero bits at its end",
        _usage_bits,
        of_shape=True,
    ),
    Rule(
        "x509.usage-cert-sign",
        _E,
        "RFC 5280, 4.2.1.3 and 4.2.1.9",
        "keyCertSign is for authorities, and all of them",
        lambda s: not s.key_usage or (KEY_CERT_SIGN in s.key_usage) == s.authority,
        of_shape=True,
    ),
    Rule(
        "x509.usage-ec",
        _E,
        "RFC 8813, 3; RFC 8410, 5",
        "a NIST curve's key enciphers nothing, an Ed25519 key only signs",
        _ec_usage,
        of_frame=True,
    ),
)
