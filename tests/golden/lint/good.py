"""Certificates that no rule says anything about, and those that issued them."""

from __future__ import annotations

from core import der
from keystore.algorithms import KeyAlgorithm
from keystore.softkey import SoftKey
from tests.golden.lint.build import (
    ACCESS,
    AKI,
    CERT_SIGN,
    CLIENT_AUTH,
    CN,
    CONSTRAINTS,
    CRL_POINTS,
    ENCIPHERS,
    IA5,
    IDENTITY,
    NAME_CONSTRAINTS,
    NAMES,
    NO_CHECK,
    NUMBER,
    OCSP_SIGNING,
    P256,
    POLICIES,
    PRINTABLE,
    PURPOSES,
    RSA,
    SERVER_AUTH,
    SIGNS,
    SKI,
    SM2,
    USAGE,
    UTF8,
    C,
    O,
    Spec,
    access,
    both,
    dn,
    fields,
    generalized,
    has,
    identifier_of,
    key,
    lacks,
    name,
    names,
    oid,
    points,
    purposes,
    text,
    uri,
    utc,
    with_key,
)

URL = "http://pki.example.test"
DEVICE = key("device").public_key
DIGITAL_SIGNATURE = bytes.fromhex("03020780")
DNS, EMAIL, IP = 0x82, 0x81, 0x87
SM2_WITH_NULL = der.sequence(oid("1.2.156.10197.1.501"), der.NULL)


def _identifiers(spki: bytes, issuer: bytes) -> tuple[tuple[str, bool, bytes], ...]:
    return (
        (AKI, False, der.sequence(der.wrap(0x80, identifier_of(issuer)))),
        (SKI, False, der.wrap(der.OCTET_STRING, identifier_of(spki))),
    )


def authority(who: str, signer: SoftKey, issuer: bytes, *, length: int | None) -> Spec:
    spki = key(who, signer.algorithm).public_key
    constraints = der.sequence(b"\x01\x01\xff", b"" if length is None else der.encode(length))
    rest = (
        (USAGE, True, CERT_SIGN),
        (CONSTRAINTS, True, constraints),
        *(() if length is None else _places()),
    )
    return Spec(
        signer,
        issuer,
        dn(who),
        spki,
        (*_identifiers(spki, signer.public_key), *rest),
        not_before=utc("250101000000Z"),
        not_after=utc("441231235959Z"),
    )


def _places() -> tuple[tuple[str, bool, bytes], ...]:
    return (
        (CRL_POINTS, False, points(f"{URL}/crl/ca.crl")),
        (ACCESS, False, access(f"{URL}/ocsp")),
    )


def subscriber(spki: bytes, issuer: str, algorithm: KeyAlgorithm = SM2) -> Spec:
    signer = key(issuer, algorithm)
    return Spec(
        signer,
        dn(issuer),
        dn("gateway.example.test"),
        spki,
        (
            *_identifiers(spki, signer.public_key),
            (USAGE, True, DIGITAL_SIGNATURE),
            (PURPOSES, False, purposes(SERVER_AUTH, CLIENT_AUTH)),
            (NAMES, False, names((DNS, b"gateway.example.test"), (IP, bytes((192, 0, 2, 1))))),
            *_places(),
        ),
    )


ROOT = authority("sm2-root", key("sm2-root"), dn("sm2-root"), length=None)
ISSUING = authority("sm2-issuing", key("sm2-root"), dn("sm2-root"), length=0)
RSA_ROOT = authority("rsa-root", key("rsa-root", RSA), dn("rsa-root"), length=None)
LEAF = subscriber(DEVICE, "sm2-issuing")
RSA_LEAF = subscriber(key("rsa-leaf", RSA).public_key, "rsa-root", RSA)
EC_LEAF = subscriber(key("ec-leaf", P256).public_key, "rsa-root", RSA)
SIGNING = has(USAGE, SIGNS, critical=True)(LEAF)
ENCRYPTION = both(with_key(key("encryption").public_key), has(USAGE, ENCIPHERS, critical=True))(
    LEAF
)
_IDENTITY_CARD = der.explicit(0, der.wrap(PRINTABLE, b"110101199001010011"))
PERSON = both(
    fields(
        subject=name(
            text(C, "CN", PRINTABLE),
            text(O, "某市政务服务数据管理局"),
            text(NUMBER, "ZJ-2026-000017", PRINTABLE),
            text(CN, "欧阳小明"),
        )
    ),
    has(PURPOSES, purposes(CLIENT_AUTH)),
    has(NAMES, names((EMAIL, b"ouyang.xiaoming@example.test"))),
    has(f"{IDENTITY}.1", _IDENTITY_CARD),
    has(f"{IDENTITY}.4", der.wrap(PRINTABLE, b"91110000600037341L")),
)(SIGNING)

_CONSTRAINED = has(
    NAME_CONSTRAINTS,
    der.sequence(der.wrap(0xA0, der.sequence(der.wrap(DNS, b"example.test")))),
    critical=True,
)

GOOD: dict[str, tuple[Spec, str | None, str]] = {
    # name: (specification, its issuer, why)
    "sm2-root": (ROOT, None, "an SM2 root"),
    "sm2-issuing": (ISSUING, "sm2-root", "an SM2 issuing CA, path length 0"),
    "rsa-root": (RSA_ROOT, None, "an RSA root"),
    "sm2-leaf": (LEAF, "sm2-issuing", "one SM2 certificate, for TLS 1.3"),
    "rsa-leaf": (RSA_LEAF, "rsa-root", "RSA under RSA"),
    "ec-leaf": (EC_LEAF, "rsa-root", "P-256 under RSA"),
    "ed25519-leaf": (
        with_key(key("ed", KeyAlgorithm.ED25519).public_key)(EC_LEAF),
        "rsa-root",
        "Ed25519 under RSA",
    ),
    "sm2-signing": (SIGNING, "sm2-issuing", "the first half of a pair"),
    "sm2-encryption": (ENCRYPTION, "sm2-issuing", "the second half of the same pair"),
    "sm2-person": (PERSON, "sm2-issuing", "Chinese names, identity extensions"),
    "sm2-organisation-utf8": (
        has(f"{IDENTITY}.4", der.wrap(UTF8, b"91110000600037341L"))(PERSON),
        "sm2-issuing",
        "the organisation code as UTF8String, as many write it",
    ),
    "sm2-passport": (
        has(f"{IDENTITY}.1", der.explicit(2, der.wrap(PRINTABLE, b"E12345678")))(PERSON),
        "sm2-issuing",
        "identifyCode with a passport number",
    ),
    "sm2-null-parameters": (
        fields(inner=SM2_WITH_NULL)(LEAF),
        "sm2-issuing",
        "sm2sign-with-sm3 with NULL, as some products want",
    ),
    "sm2-beyond-2049": (
        fields(not_before=utc("491201000000Z"), not_after=generalized("20501231235959Z"))(ROOT),
        None,
        "UTCTime and GeneralizedTime in one certificate",
    ),
    "ocsp-responder": (
        both(
            lacks(NAMES),
            lacks(CRL_POINTS),
            lacks(ACCESS),
            has(PURPOSES, purposes(OCSP_SIGNING)),
            has(NO_CHECK, der.NULL),
        )(LEAF),
        "sm2-issuing",
        "a delegated OCSP responder",
    ),
    "names-of-all-kinds": (
        both(
            has(
                NAMES,
                der.sequence(
                    der.wrap(DNS, b"xn--fiqs8s.example.test"),
                    der.wrap(IP, bytes.fromhex("20010db8000000000000000000000001")),
                    der.wrap(EMAIL, b"zhang@example.test"),
                    uri("https://gw.example.test:8443/id?x=1"),
                ),
            ),
            has(POLICIES, der.sequence(der.sequence(oid("1.2.156.1.1")))),
        )(LEAF),
        "sm2-issuing",
        "alternative names of every kind, a policy",
    ),
    "domain-components": (
        fields(
            subject=name(
                text("0.9.2342.19200300.100.1.25", "test", IA5),
                text("0.9.2342.19200300.100.1.25", "example", IA5),
                text(CN, "gateway.example.test"),
            )
        )(LEAF),
        "sm2-issuing",
        "domain components are IA5String",
    ),
    "constrained-ca": (_CONSTRAINED(ISSUING), "sm2-root", "an issuing CA with name constraints"),
}
