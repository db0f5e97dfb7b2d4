"""Lint rules of Chinese standards: SM2 keys and signatures, pairs' key usage, identity extensions.

GB/T 20518 (certificate format), GM/T 0006 (identifiers), GB/T 35276 (SM2 usage), GB/T 38636 (TLCP).
"""

from __future__ import annotations

import re
from typing import Final

from cryptography.x509.oid import ExtensionOID, NameOID

from ca.lint_rule import Rule, Severity
from ca.lint_subject import ENCRYPTION_BITS, SIGNATURE_BITS, Subject
from core import der, oids
from core.errors import Malformed
from keystore import sm2_forms, verify

_PRINTABLE_STRING: Final = 0x13
_UTF8_STRING: Final = 0x0C
_COUNTRY: Final = re.compile(rb"[A-Z]{2}")
_KEY_ENCIPHERMENT: Final = 2

_SM2_CURVE: Final = der.encode(oids.SM2_CURVE)
# SM2-1, SM2-2, SM2-3 (GM/T 0006) begin with the curve's OID and have one arc more.
_SM2_FAMILY: Final = _SM2_CURVE[2:]
_SM2_SIGN_WITH_SM3: Final = der.encode(oids.SM2_SIGN_WITH_SM3)
_SIGNATURE_FORMS: Final = (
    der.sequence(_SM2_SIGN_WITH_SM3),
    der.sequence(_SM2_SIGN_WITH_SM3, der.NULL),
)
_KEY_FORM, _KEY_VARIANT = sm2_forms.KEY_ALGORITHMS

_NUMBERS: Final = (
    oids.INSURANCE_NUMBER,
    oids.IC_REGISTRATION_NUMBER,
    oids.ORGANIZATION_CODE,
    oids.TAXATION_NUMBER,
)
IDENTITIES: Final = (oids.IDENTIFY_CODE, *_NUMBERS)
_NUMBER: Final = re.compile(rb"[0-9A-Za-z()/-]{1,64}")
_IDENTITY_CODE: Final = {
    # GB/T 20518, 5.2.4.2.12: CHOICE, which we and the software we know tag EXPLICIT.
    0xA0: (_PRINTABLE_STRING, re.compile(rb"[0-9]{17}[0-9X]")),
    0xA1: (_UTF8_STRING, re.compile(rb"[^\x00-\x1f]{1,64}")),
    0xA2: (_PRINTABLE_STRING, re.compile(rb"[0-9A-Z]{1,32}")),
}


def is_sm2_signature(identifier: bytes) -> bool:
    """Whether an AlgorithmIdentifier says sm2sign-with-sm3, whatever its parameters."""
    return identifier[2:].startswith(_SM2_SIGN_WITH_SM3)


def is_sm2_key(s: Subject) -> bool:
    """Whether the key says SM2, in any form."""
    return _SM2_FAMILY in s.key_algorithm


def _signature_parameters(s: Subject) -> bool:
    return not is_sm2_signature(s.algorithm) or s.algorithm in _SIGNATURE_FORMS


def signature_form(s: Subject) -> bool:
    """Whether an SM2 signature, if there is one, is a pair of numbers in range."""
    if s.signature is None or not is_sm2_signature(s.algorithm):
        return True
    try:
        sm2_forms.decode_signature(s.signature)
    except Malformed:
        return False
    return True


def _curve(s: Subject) -> bool:
    return not is_sm2_key(s) or s.key_algorithm in sm2_forms.KEY_ALGORITHMS


def _point(s: Subject) -> bool:
    if s.key_algorithm not in sm2_forms.KEY_ALGORITHMS:
        return True
    try:
        verify.parse(s.spki)  # who issues has parsed it already
    except Malformed:
        return False
    return True


def _split(s: Subject) -> bool:
    usage = s.key_usage
    if usage is None or s.authority or not is_sm2_key(s):
        return True
    return not (usage & SIGNATURE_BITS and usage & ENCRYPTION_BITS)


def _encryption_usage(s: Subject) -> bool:
    usage = s.key_usage
    if usage is None or s.authority or not is_sm2_key(s) or usage & SIGNATURE_BITS:
        return True
    return not usage & ENCRYPTION_BITS or _KEY_ENCIPHERMENT in usage


def _country(s: Subject) -> bool:
    return all(
        text.tag == _PRINTABLE_STRING and _COUNTRY.fullmatch(text.octets) is not None
        for rdn in s.rdns
        for text in rdn
        if text.oid == NameOID.COUNTRY_NAME.dotted_string
    )


def _identity_code(s: Subject) -> bool:
    extension = s.extensions.get(oids.IDENTIFY_CODE)
    if extension is None:
        return True
    try:
        outer = der.verbatim(extension.value)
        inner = der.verbatim(bytes(outer.data))
    except Malformed:
        return False
    tag, form = _IDENTITY_CODE.get(outer.tag_bytes[0], (None, None))
    text = bytes(inner.data)
    return form is not None and inner.tag_bytes[0] == tag and form.fullmatch(text) is not None


def _identity_numbers(s: Subject) -> bool:
    for oid in _NUMBERS:
        extension = s.extensions.get(oid)
        if extension is None:
            continue
        try:
            element = der.verbatim(extension.value)
        except Malformed:
            return False
        # The standard says PrintableString; UTF8String is common for the organisation code.
        if element.tag_bytes[0] not in (_PRINTABLE_STRING, _UTF8_STRING):
            return False
        if _NUMBER.fullmatch(bytes(element.data)) is None:
            return False
    return True


_E, _W = Severity.ERROR, Severity.WARNING
GM_RULES: Final = (
    Rule(
        "gm.signature-parameters",
        _E,
        "GM/T 0006; RFC 8998, 3.2.1",
        "the parameters of sm2sign-with-sm3 are absent or NULL",
        _signature_parameters,
        of_shape=True,
    ),
    Rule(
        "gm.signature-form",
        _E,
        "GB/T 35276, 7.3; GB/T 32918.2, 7.1",
        "an SM2 signature is a SEQUENCE of r and s, both in [1, n-1]",
        signature_form,
        of_frame=True,
    ),
    Rule(
        "gm.curve",
        _E,
        "GM/T 0006; GB/T 35276, 7.1",
        "an SM2 key is id-ecPublicKey with curve 1.2.156.10197.1.301 by name",
        _curve,
        of_shape=True,
    ),
    Rule(
        "gm.curve-variant",
        _W,
        "GM/T 0015",
        "the algorithm of an SM2 key is id-ecPublicKey, not the curve's own identifier again",
        lambda s: s.key_algorithm != _KEY_VARIANT,
        of_shape=True,
    ),
    Rule(
        "gm.point",
        _E,
        "GB/T 35276, 7.1; GB/T 32918.1, 6.2.1",
        "an SM2 key is an uncompressed point on the curve",
        _point,
    ),
    Rule(
        "gm.usage-split",
        _E,
        "GB/T 20518, 5.2.4.2.3; GB/T 25056",
        "an SM2 key of a subscriber signs or enciphers, and never both",
        _split,
        of_shape=True,
    ),
    Rule(
        "gm.encryption-usage",
        _E,
        "GB/T 20518, 5.2.4.2.3; GB/T 38636, 6.4.5.3",
        "an SM2 encryption certificate has keyEncipherment",
        _encryption_usage,
        of_shape=True,
    ),
    Rule(
        "gm.basic-constraints",
        _W,
        "docs/divergences.md",
        "a subscriber's certificate has no basic constraints, which are an empty SEQUENCE in DER",
        lambda s: (
            ExtensionOID.BASIC_CONSTRAINTS not in s.extensions
            or s.basic_constraints is None
            or s.authority
            or s.basic_constraints.path_length is not None
        ),
        of_shape=True,
    ),
    Rule(
        "gm.country",
        _E,
        "GB/T 20518, 5.2.3",
        "the country is a PrintableString of two capital letters",
        _country,
    ),
    Rule(
        "gm.identity-code",
        _E,
        "GB/T 20518, identifyCode",
        "identifyCode is one of its three choices, tagged explicitly, in its form",
        _identity_code,
        of_frame=True,
    ),
    Rule(
        "gm.identity-numbers",
        _E,
        "GB/T 20518, insuranceNumber to taxationNumber",
        "insurance, registration, organisation and taxation numbers are one printable string",
        _identity_numbers,
        of_frame=True,
    ),
    Rule(
        "gm.identity-critical",
        _W,
        "GB/T 20518",
        "identity extensions are not critical",
        lambda s: not any(map(s.is_critical, IDENTITIES)),
        of_shape=True,
    ),
)
