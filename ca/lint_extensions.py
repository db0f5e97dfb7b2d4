"""Lint rules over extensions other than names and key usage (RFC 5280, 4.2)."""

from __future__ import annotations

import hashlib
from typing import Final

from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from ca.lint_gm import IDENTITIES
from ca.lint_rule import Rule, Severity
from ca.lint_subject import KEY_CERT_SIGN, Subject

_X = ExtensionOID
_KNOWN_CRITICAL: Final = (
    _X.KEY_USAGE,
    _X.BASIC_CONSTRAINTS,
    _X.SUBJECT_ALTERNATIVE_NAME,
    _X.NAME_CONSTRAINTS,
    _X.EXTENDED_KEY_USAGE,
)
# x509.identifiers-critical, x509.revocation and gm.identity-critical.
_OTHERWISE_JUDGED: Final = (
    _X.AUTHORITY_KEY_IDENTIFIER,
    _X.SUBJECT_KEY_IDENTIFIER,
    _X.CRL_DISTRIBUTION_POINTS,
    _X.AUTHORITY_INFORMATION_ACCESS,
    *IDENTITIES,
)


def _critical_are_known(s: Subject) -> bool:
    return all(
        oid in _KNOWN_CRITICAL or oid in _OTHERWISE_JUDGED
        for oid in s.extensions
        if s.is_critical(oid)
    )


def _once(s: Subject) -> bool:
    return len(s.extensions) == len(s.fields.extensions or ())


def _authority_key_identifier(s: Subject) -> bool:
    found, above = s.authority_key_identifier, s.key_identifier if s.self_signed else None
    if s.parent is not None:
        above = s.parent.key_identifier
    return found is None or above is None or found == above


def _identifiers_are_plain(s: Subject) -> bool:
    return not (
        s.is_critical(_X.AUTHORITY_KEY_IDENTIFIER) or s.is_critical(_X.SUBJECT_KEY_IDENTIFIER)
    )


def _identifier_is_derived(s: Subject) -> bool:
    found = s.key_identifier
    if found is None:
        return True
    bits = s.key.subject_public_key.as_bytes()
    sha1 = hashlib.sha1(bits, usedforsecurity=False).digest()
    if found in (sha1, bytes((0x40 | sha1[-8] & 0x0F,)) + sha1[-7:]):
        return True
    # RFC 7093 takes 160 bits of a SHA-2, over the bits or over the whole SPKI; GmSSL all of SM3.
    return any(
        found in (digest, digest[:20])
        for octets in (bits, s.spki)
        for digest in (hashlib.new(name, octets).digest() for name in _DIGESTS)
    )


_DIGESTS: Final = ("sha256", "sm3", "sha384", "sha512", "sha1")


def _path_length_belongs(s: Subject) -> bool:
    constraints = s.basic_constraints
    return constraints is None or constraints.path_length is None or constraints.ca


def _path_length(s: Subject) -> bool:
    if s.parent is None or not s.authority or s.issuer == s.subject:
        return True  # RFC 5280, 4.2.1.9: self-issued certificates do not count
    above, own = s.parent.basic_constraints, s.basic_constraints
    if above is None or above.path_length is None or own is None:
        return True
    return own.path_length is not None and own.path_length < above.path_length


def _issuer_is_authority(s: Subject) -> bool:
    issuer = s if s.self_signed else s.parent
    if issuer is None:
        return True
    return issuer.authority and (issuer.key_usage is None or KEY_CERT_SIGN in issuer.key_usage)


def _revocation_can_be_asked(s: Subject) -> bool:
    if s.self_signed or _X.OCSP_NO_CHECK in s.extensions:
        return True
    return all(
        oid in s.extensions and not s.is_critical(oid)
        for oid in (_X.CRL_DISTRIBUTION_POINTS, _X.AUTHORITY_INFORMATION_ACCESS)
    )


def _no_check_is_a_responders(s: Subject) -> bool:
    return _X.OCSP_NO_CHECK not in s.extensions or s.extended_key_usage == (
        ExtendedKeyUsageOID.OCSP_SIGNING,
    )


def _name_constraints(s: Subject) -> bool:
    return _X.NAME_CONSTRAINTS not in s.extensions or (
        s.authority and s.is_critical(_X.NAME_CONSTRAINTS)
    )


_E, _W = Severity.ERROR, Severity.WARNING
EXTENSION_RULES: Final = (
    Rule(
        "x509.extension-once",
        _E,
        "RFC 5280, 4.2",
        "no extension stands twice",
        _once,
        of_shape=True,
    ),
    Rule(
        "x509.extension-form",
        _E,
        "RFC 5280, 4.2",
        "key usage, constraints, purposes, identifiers and names hold what they should, in DER",
        lambda s: s.readable,
        of_frame=True,
    ),
    Rule(
        "x509.extension-critical",
        _W,
        "RFC 5280, 4.2",
        "no extension is critical that relying parties may not know",
        _critical_are_known,
        of_shape=True,
    ),
    Rule(
        "x509.aki-present",
        _E,
        "RFC 5280, 4.2.1.1",
        "there is an authority key identifier with a key identifier",
        lambda s: s.self_signed or s.authority_key_identifier is not None,
        of_shape=True,
    ),
    Rule(
        "x509.aki-issuer",
        _E,
        "RFC 5280, 4.2.1.1",
        "the AKI is the issuer's SKI",
        _authority_key_identifier,
        of_shape=True,
    ),
    Rule(
        "x509.ski-authority",
        _E,
        "RFC 5280, 4.2.1.2",
        "a CA certificate has a subject key identifier",
        lambda s: not s.authority or _X.SUBJECT_KEY_IDENTIFIER in s.extensions,
        of_shape=True,
    ),
    Rule(
        "x509.ski-subscriber",
        _W,
        "RFC 5280, 4.2.1.2",
        "a subscriber's certificate has a subject key identifier",
        lambda s: s.authority or _X.SUBJECT_KEY_IDENTIFIER in s.extensions,
        of_shape=True,
    ),
    Rule(
        "x509.identifiers-critical",
        _E,
        "RFC 5280, 4.2.1.1 and 4.2.1.2",
        "key identifiers are not critical",
        _identifiers_are_plain,
        of_shape=True,
    ),
    Rule(
        "x509.ski-derived",
        _W,
        "RFC 5280, 4.2.1.2; RFC 7093, 2",
        "the SKI is a hash of the key: SHA-1, SHA-2 or SM3",
        _identifier_is_derived,
    ),
    Rule(
        "x509.constraints-critical",
        _E,
        "RFC 5280, 4.2.1.9",
        "the basic constraints of a CA certificate are critical",
        lambda s: not s.authority or s.is_critical(_X.BASIC_CONSTRAINTS),
        of_shape=True,
    ),
    Rule(
        "x509.path-length-authority",
        _E,
        "RFC 5280, 4.2.1.9",
        "a path length is for CA certificates only",
        _path_length_belongs,
        of_shape=True,
    ),
    Rule(
        "x509.path-length",
        _E,
        "RFC 5280, 4.2.1.9",
        "the path length is shorter than the issuer's",
        _path_length,
        of_frame=True,
    ),
    Rule(
        "x509.issuer-authority",
        _E,
        "RFC 5280, 6.1.4 (k) and (n)",
        "the issuer is a CA that may sign certificates",
        _issuer_is_authority,
        of_shape=True,
    ),
    Rule(
        "x509.purposes-authority",
        _W,
        "docs/divergences.md",
        "a CA certificate has no extended key usage, which GmSSL refuses",
        lambda s: not s.authority or _X.EXTENDED_KEY_USAGE not in s.extensions,
        of_shape=True,
    ),
    Rule(
        "x509.purposes-present",
        _E,
        "RFC 5280, 4.2.1.12",
        "the extended key usage is not an empty list",
        lambda s: s.extended_key_usage != (),
        of_shape=True,
    ),
    Rule(
        "x509.revocation",
        _W,
        "RFC 5280, 4.2.1.13 and 4.2.2.1",
        "the certificate says where to ask whether it is revoked, without demanding it",
        _revocation_can_be_asked,
        of_shape=True,
    ),
    Rule(
        "x509.no-check",
        _E,
        "RFC 6960, 4.2.2.2.1",
        "id-pkix-ocsp-nocheck is for delegated OCSP responders",
        _no_check_is_a_responders,
        of_shape=True,
    ),
    Rule(
        "x509.name-constraints",
        _E,
        "RFC 5280, 4.2.1.10",
        "name constraints are critical, and for CAs only",
        _name_constraints,
        of_shape=True,
    ),
)
