"""Lint rules over the fields of a certificate: version to public key (RFC 5280, 4.1)."""

from __future__ import annotations

from typing import Final

from ca.lint_gm import is_sm2_key, is_sm2_signature, signature_form
from ca.lint_rule import Rule, Severity
from ca.lint_subject import UTC_TIME, Subject
from core import der
from core.errors import InvalidSignature, Malformed, Refused
from keystore import verify
from keystore.algorithms import signature_algorithm


def _serial(s: Subject) -> bool:
    return 0 < s.serial < 1 << 159


def _known_signature(s: Subject) -> bool:
    if is_sm2_signature(s.algorithm):
        return True  # gm.signature-parameters judges it
    try:
        signature_algorithm(s.algorithm)
    except Malformed:
        return False
    return True


def _issuer_key(s: Subject) -> bytes | None:
    if s.self_signed:
        return s.spki
    return None if s.parent is None else s.parent.spki


def _signature_fits_key(s: Subject) -> bool:
    spki = _issuer_key(s)
    if spki is None:
        return True
    try:
        return signature_algorithm(s.algorithm) in verify.key_algorithm(spki).signatures
    except (Malformed, Refused):
        return True  # another rule names it


def _signature(s: Subject) -> bool:
    spki = _issuer_key(s)
    if spki is None or s.signature is None or not (_signature_fits_key(s) and signature_form(s)):
        return True
    try:
        verify.verify_signature(spki, signature_algorithm(s.algorithm), s.tbs, s.signature)
    except InvalidSignature:
        return False
    except (Malformed, Refused):
        return True  # the algorithm or the key is what is wrong, and has a rule
    return True


def _issuer_name(s: Subject) -> bool:
    if s.self_signed:
        return s.issuer == s.subject
    return s.parent is None or s.issuer in (s.parent.subject, der.sequence())


def _order(s: Subject) -> bool:
    return s.validity is None or s.validity[0] <= s.validity[1]


def _inside_issuer(s: Subject) -> bool:
    inner = s.validity
    outer = None if s.parent is None else s.parent.validity
    return inner is None or outer is None or (outer[0] <= inner[0] and inner[1] <= outer[1])


def _time_forms(s: Subject) -> bool:
    return s.validity is not None and all(
        (tag == UTC_TIME) == (said.year < 2050)
        for (tag, _), said in zip(s.times, s.validity, strict=True)
    )


def _key_is_valid(s: Subject) -> bool:
    if is_sm2_key(s):
        return True  # gm.curve and gm.point judge it
    try:
        verify.parse(s.spki)
    except Malformed:
        return False
    except Refused:
        return True  # x509.key-known
    return True


def _key_is_known(s: Subject) -> bool:
    if is_sm2_key(s):
        return True
    try:
        verify.parse(s.spki)
    except Refused:
        return False
    except Malformed:
        return True  # x509.key-valid
    return True


def _fresh_key(s: Subject) -> bool:
    return s.parent is None or s.spki != s.parent.spki


def _no_unique_ids(s: Subject) -> bool:
    return s.fields.issuer_unique_id is None and s.fields.subject_unique_id is None


_E, _W = Severity.ERROR, Severity.WARNING
FIELD_RULES: Final = (
    Rule(
        "x509.der",
        _E,
        "RFC 5280, 4.1",
        "the octets are one certificate in DER",
        lambda _: True,  # the reader finds it
        of_frame=True,
    ),
    Rule(
        "x509.version",
        _E,
        "RFC 5280, 4.1.2.1",
        "the version is 3",
        lambda s: s.fields.version == 2,
        of_shape=True,
    ),
    Rule(
        "x509.serial",
        _E,
        "RFC 5280, 4.1.2.2",
        "the serial is positive and at most 20 octets",
        _serial,
    ),
    Rule(
        "x509.serial-random",
        _W,
        "docs/certificate-specification.md",
        "the serial is over 64 bits, so that nobody guesses it",
        lambda s: not _serial(s) or s.serial.bit_length() > 64,
    ),
    Rule(
        "x509.signature-algorithms",
        _E,
        "RFC 5280, 4.1.1.2",
        "inner and outer signature algorithm are the same octets",
        lambda s: der.octets_of(s.fields.signature) == s.algorithm,
        of_shape=True,
    ),
    Rule(
        "x509.signature-known",
        _E,
        "RFC 5280, 4.1.1.2",
        "the signature algorithm is one we know, none with MD5 or SHA-1",
        _known_signature,
        of_shape=True,
    ),
    Rule(
        "x509.signature-key",
        _E,
        "RFC 5280, 4.1.1.2",
        "the signature algorithm fits the issuer's key",
        _signature_fits_key,
        of_frame=True,
    ),
    Rule(
        "x509.signature",
        _E,
        "RFC 5280, 6.1.3 (a)(1)",
        "the signature verifies under the issuer's key",
        _signature,
        of_frame=True,
    ),
    Rule(
        "x509.issuer-present",
        _E,
        "RFC 5280, 4.1.2.4",
        "the issuer name is not empty",
        lambda s: s.issuer != der.sequence(),
        of_shape=True,
    ),
    Rule(
        "x509.issuer-name",
        _E,
        "RFC 5280, 4.1.2.4",
        "the issuer name is the issuer's subject, octet for octet",
        _issuer_name,
        of_frame=True,
    ),
    Rule("x509.validity-order", _E, "RFC 5280, 4.1.2.5", "the validity is in order", _order),
    Rule(
        "x509.validity-issuer",
        _W,
        "docs/certificate-specification.md",
        "the validity is inside the issuer's",
        _inside_issuer,
    ),
    Rule(
        "x509.time-form",
        _E,
        "RFC 5280, 4.1.2.5",
        "times are UTCTime through 2049 and GeneralizedTime from then on, to the second, in UTC",
        _time_forms,
    ),
    Rule(
        "x509.key-valid",
        _E,
        "RFC 5280, 4.1.2.7",
        "the public key is a valid one of its algorithm",
        _key_is_valid,
    ),
    Rule(
        "x509.key-known",
        _E,
        "NIST SP 800-57, 5.6.1",
        "the public key is SM2, RSA of 2048 bits or more, P-256, P-384 or Ed25519",
        _key_is_known,
    ),
    Rule(
        "x509.key-fresh",
        _E,
        "RFC 5280, 4.1.2.7",
        "the subject's key is not the issuer's own",
        _fresh_key,
    ),
    Rule(
        "x509.unique-ids",
        _E,
        "RFC 5280, 4.1.2.8",
        "there is no unique identifier",
        _no_unique_ids,
        of_frame=True,
    ),
)
