"""Every lint rule, shown to fail on a planted fault."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from ca.lint import RULES, LintFailure, check_tbs
from ca.tbs import Extension, Fields, encode_tbs, extension_value, parse_tbs
from core import der
from keystore.algorithms import KeyAlgorithm, SignatureAlgorithm
from tests.fakes.keys import memory_key
from tests.unit.ca.conftest import Authority, request

Change = Callable[[Fields], Fields]
USAGE, EKU = x509.KeyUsage.oid, x509.ExtendedKeyUsage.oid
SIGNING_USAGE = bytes.fromhex("03020106")
IDENTIFIER = SignatureAlgorithm.SM2_SM3.identifier


def fields_of(tbs: bytes) -> Fields:
    parsed = parse_tbs(tbs)
    return Fields(
        serial=parsed.serial,
        signature_algorithm=der.octets_of(parsed.signature),
        issuer=der.octets_of(parsed.issuer),
        not_before=parsed.validity.not_before.as_datetime().replace(tzinfo=UTC),
        not_after=parsed.validity.not_after.as_datetime().replace(tzinfo=UTC),
        subject=der.octets_of(parsed.subject),
        spki=der.octets_of(parsed.spki),
        extensions=tuple(parsed.extensions),
    )


def without(oid: x509.ObjectIdentifier) -> Change:
    return lambda f: replace(f, extensions=[e for e in f.extensions if e.oid != oid])


def add(value: x509.ExtensionType, *, critical: bool = False) -> Change:
    return lambda f: replace(
        without(value.oid)(f),
        extensions=[
            *without(value.oid)(f).extensions,
            Extension(oid=value.oid, critical=critical, value=value.public_bytes()),
        ],
    )


def usage(value: bytes, *, critical: bool = True) -> Change:
    return lambda f: replace(
        f,
        extensions=[
            Extension(oid=USAGE, critical=critical, value=value) if e.oid == USAGE else e
            for e in f.extensions
        ],
    )


def both(first: Change, second: Change) -> Change:
    return lambda f: second(first(f))


def ec_key(f: Fields) -> Fields:
    return replace(f, spki=memory_key(KeyAlgorithm.EC_P256).key.public_key)


OTHER_NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "other")]).public_bytes()
UTF8_COUNTRY = bytes.fromhex("300d310b300906035504060c02434e")
FAULTS: dict[str, Change] = {
    "the serial is positive": lambda f: replace(f, serial=1 << 40),
    "signature algorithm are the same": lambda f: replace(
        f, signature_algorithm=SignatureAlgorithm.RSA_SHA256.identifier
    ),
    "issuer name is the issuer's subject": lambda f: replace(f, issuer=OTHER_NAME),
    "validity is in order": lambda f: replace(f, not_after=f.not_after + timedelta(days=9000)),
    "subject is not empty": lambda f: replace(f, subject=b"\x30\x00"),
    "country is a PrintableString": lambda f: replace(f, subject=UTF8_COUNTRY),
    "AKI is the issuer's SKI": add(x509.AuthorityKeyIdentifier(bytes(20), None, None)),
    "critical key usage": usage(bytes.fromhex("03020780"), critical=False),
    "keyCertSign is for authorities": usage(SIGNING_USAGE),
    "EC signature key enciphers nothing": both(ec_key, usage(bytes.fromhex("03020520"))),
    "server certificate names its servers": add(
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    ),
    "basic constraints are critical": add(x509.BasicConstraints(False, None), critical=True),
    "path length is shorter": both(
        add(x509.BasicConstraints(True, 0), critical=True), usage(SIGNING_USAGE)
    ),
    "no extended key usage": add(x509.BasicConstraints(True, 0), critical=True),
    "revocation can be asked for": without(x509.CRLDistributionPoints.oid),
    "key is not the issuer's own": lambda f: f,  # replaced in the test: it needs the authority
}


def tbs_of(authority: Authority) -> bytes:
    issued = authority.issue(request())
    return der.split_signed(issued.der, what="certificate")[0]


def lint(authority: Authority, fields: Fields) -> None:
    issuer = authority.issuers["sm2-issuing"].certificate
    check_tbs(encode_tbs(fields), signature_algorithm=IDENTIFIER, issuer=issuer)


def test_a_good_certificate_has_no_finding(authority: Authority) -> None:
    lint(authority, fields_of(tbs_of(authority)))


@pytest.mark.parametrize("words", list(FAULTS))
def test_a_planted_fault_is_found(authority: Authority, words: str) -> None:
    fields = FAULTS[words](fields_of(tbs_of(authority)))
    if words == "key is not the issuer's own":
        fields = replace(fields, spki=authority.issuers["sm2-issuing"].spki)
    with pytest.raises(LintFailure, match=words):
        lint(authority, fields)


def test_an_end_entity_as_issuer_is_found(authority: Authority) -> None:
    issued = authority.issue(request())
    fields = fields_of(der.split_signed(issued.der, what="certificate")[0])
    with pytest.raises(LintFailure, match="the issuer is a CA"):
        check_tbs(encode_tbs(fields), signature_algorithm=IDENTIFIER, issuer=issued.der)


def test_every_rule_has_a_planted_fault() -> None:
    planted = [*FAULTS, "the issuer is a CA"]
    for _, sentence, _ in RULES:
        if sentence != "the version is 3":  # the encoder writes no other
            assert any(words in sentence for words in planted), sentence


def test_times_change_their_encoding_in_2050(authority: Authority) -> None:
    fields = fields_of(tbs_of(authority))
    late = replace(
        fields,
        not_before=datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC),
        not_after=datetime(2050, 1, 1, tzinfo=UTC),
    )
    octets = encode_tbs(late)
    assert b"\x17\x0d491231235959Z\x18\x0f20500101000000Z" in octets
    assert extension_value(parse_tbs(octets), USAGE) == bytes.fromhex("03020780")
    assert extension_value(parse_tbs(octets), x509.NameConstraints.oid) is None
    assert EKU in [e.oid for e in late.extensions]
