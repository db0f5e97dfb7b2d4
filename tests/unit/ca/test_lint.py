"""What blocks before signing, how often pkilint is asked, and what an operator may accept.

That every rule finds its fault is shown by the corpus (`test_lint_corpus`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from pydantic import ValidationError

from ca import lint
from ca.altnames import parse_alternative_name
from ca.config import CAConfig
from ca.lint import Linter, LintFailure, LintMode
from ca.lint_rule import Finding
from ca.lint_subject import Subject
from ca.store import CertificateQuery
from ca.tbs import (
    Extension,
    Fields,
    encode_extension,
    encode_tbs,
    extension_value,
    parse_tbs,
)
from core import der
from core.errors import Malformed
from keystore.algorithms import KeyAlgorithm, SignatureAlgorithm
from tests.fakes.keys import memory_key
from tests.unit.ca.conftest import Authority, request

Change = Callable[[Fields], Fields]
USAGE, EKU = x509.KeyUsage.oid, x509.ExtendedKeyUsage.oid
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
        extensions=tuple(encode_extension(one) for one in parsed.extensions),
    )


def oid_of(extension: bytes) -> x509.ObjectIdentifier:
    return der.decode(Extension, extension, what="the extension").oid


def encoded(oid: x509.ObjectIdentifier, value: bytes, *, critical: bool) -> bytes:
    return encode_extension(Extension(oid=oid, critical=critical, value=value))


def without(oid: x509.ObjectIdentifier) -> Change:
    return lambda f: replace(f, extensions=[e for e in f.extensions if oid_of(e) != oid])


def add(value: x509.ExtensionType, *, critical: bool = False) -> Change:
    return lambda f: replace(
        without(value.oid)(f),
        extensions=[
            *without(value.oid)(f).extensions,
            encoded(value.oid, value.public_bytes(), critical=critical),
        ],
    )


def usage(value: bytes, *, critical: bool = True) -> Change:
    return lambda f: replace(
        f,
        extensions=[
            encoded(USAGE, value, critical=critical) if oid_of(e) == USAGE else e
            for e in f.extensions
        ],
    )


POLICY = x509.PolicyInformation(x509.ObjectIdentifier("1.2.156.1.1"), None)
TWO_POLICIES = x509.CertificatePolicies([POLICY, POLICY])
FAULTS: dict[str, Change] = {
    "x509.serial-random": lambda f: replace(f, serial=1 << 40),
    "x509.validity-issuer": lambda f: replace(f, not_after=f.not_after + timedelta(days=9000)),
    "x509.aki-issuer": add(x509.AuthorityKeyIdentifier(bytes(20), None, None)),
    "x509.usage-cert-sign": usage(bytes.fromhex("03020106")),
    "x509.server-names": add(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])),
    "x509.revocation": without(x509.CRLDistributionPoints.oid),
    "gm.basic-constraints": add(x509.BasicConstraints(False, None), critical=True),
    "pkix.duplicate_certificate_policy_oids": add(TWO_POLICIES),
}


def tbs_of(authority: Authority, **changes: object) -> bytes:
    issued = authority.issue(request(**changes))
    return der.split_signed(issued.der, what="certificate")[0]


def check(authority: Authority, octets: bytes, linter: Linter = lint.DEFAULT_LINTER) -> None:
    issuer = authority.issuers["sm2-issuing"].certificate
    linter.check_tbs(octets, signature_algorithm=IDENTIFIER, issuer=issuer)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Subject]:
    """What pkilint was asked about."""
    subjects: list[Subject] = []
    real = lint.pkix_findings

    def remember(subject: Subject) -> tuple[Finding, ...]:
        subjects.append(subject)
        return real(subject)

    monkeypatch.setattr(lint, "pkix_findings", remember)
    return subjects


@pytest.mark.parametrize("rule", list(FAULTS))
def test_a_planted_fault_blocks(authority: Authority, rule: str) -> None:
    octets = encode_tbs(FAULTS[rule](fields_of(tbs_of(authority))))
    with pytest.raises(LintFailure, match=rule):
        check(authority, octets)


def test_an_end_entity_as_issuer_is_found(authority: Authority) -> None:
    issued = authority.issue(request())
    octets = encode_tbs(fields_of(der.split_signed(issued.der, what="certificate")[0]))
    with pytest.raises(LintFailure, match=r"x509\.issuer-authority"):
        Linter().check_tbs(octets, signature_algorithm=IDENTIFIER, issuer=issued.der)


def test_octets_that_are_no_certificate_are_refused(authority: Authority) -> None:
    with pytest.raises(Malformed):
        check(authority, b"\x30\x03\x02\x01\x05")


def test_nothing_is_reserved_or_signed_when_the_lint_says_no(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = Finding("pkix.planted", lint.Severity.ERROR, "pkilint", "planted")
    monkeypatch.setattr(lint, "pkix_findings", lambda _: (said,))
    wanted = request(subject=(("C", "CN"), ("CN", "a shape that nobody has seen: ?")))
    before = len(authority.keystore.signed)
    with pytest.raises(LintFailure, match=r"pkix\.planted"):
        authority.issue(wanted)
    assert len(authority.keystore.signed) == before
    found = authority.store.search_certificates(CertificateQuery(text="nobody has seen"))
    assert not found.items


def test_pkilint_sees_a_shape_once_and_our_rules_see_every_certificate(
    authority: Authority, asked: list[Subject]
) -> None:
    linter = Linter()

    def octets(common_name: str, name: str) -> bytes:
        return tbs_of(
            authority,
            subject=(("C", "CN"), ("CN", common_name)),
            alternative_names=(parse_alternative_name(f"dns:{name}"),),
        )

    first, second = octets("gateway one", "gw.one.test"), octets("server two", "sv.two.test")
    asked.clear()
    check(authority, first, linter)
    check(authority, second, linter)
    assert len(asked) == 1
    # Of the same shape as both, and no DNS name.
    bad = encode_tbs(fields_of(second)).replace(b"sv.two.test", b"sv..wo.test")
    with pytest.raises(LintFailure, match=r"x509\.san-dns"):
        check(authority, bad, linter)
    assert len(asked) == 1


def test_another_structure_is_another_shape(authority: Authority, asked: list[Subject]) -> None:
    linter = Linter()
    fields = fields_of(tbs_of(authority))
    asked.clear()
    check(authority, encode_tbs(fields), linter)
    check(authority, encode_tbs(add(x509.CertificatePolicies([POLICY]))(fields)), linter)
    other_key = replace(fields, spki=memory_key(KeyAlgorithm.EC_P384).key.public_key)
    assert len(asked) == 2
    with pytest.raises(LintFailure, match=r"x509\.ski-derived"):
        check(authority, encode_tbs(other_key), linter)
    assert len(asked) == 3


def test_a_shape_that_was_bad_is_looked_at_again(
    authority: Authority, asked: list[Subject]
) -> None:
    linter = Linter()
    octets = encode_tbs(add(TWO_POLICIES)(fields_of(tbs_of(authority))))
    asked.clear()
    for _ in range(2):
        with pytest.raises(LintFailure, match="duplicate_certificate_policy"):
            check(authority, octets, linter)
    assert len(asked) == 2


def test_pkilint_sees_every_certificate_when_it_is_told_to(
    authority: Authority, asked: list[Subject]
) -> None:
    linter = Linter(LintMode.EVERY)
    octets = tbs_of(authority)
    asked.clear()
    check(authority, octets, linter)
    check(authority, octets, linter)
    assert len(asked) == 2


def test_what_an_operator_accepts_does_not_block(authority: Authority) -> None:
    octets = encode_tbs(add(TWO_POLICIES)(fields_of(tbs_of(authority))))
    check(authority, octets, Linter(accepted=["pkix.duplicate_certificate_policy_oids"]))
    with pytest.raises(LintFailure):
        check(authority, octets, Linter(accepted=["x509.revocation"]))


@pytest.mark.parametrize("rule", ["x509.serial", "gm.point", "revocation", ""])
def test_errors_of_ours_cannot_be_accepted(rule: str) -> None:
    with pytest.raises(ValidationError, match="neither a code of pkilint"):
        CAConfig(revocation_url="http://pki.test", lint_accepted=(rule,))


def test_warnings_can_be_accepted() -> None:
    config = CAConfig(
        revocation_url="http://pki.test",
        lint_accepted=("x509.revocation", "pkix.invalid_uri_syntax"),
    )
    assert len(config.lint_accepted) == 2


@pytest.mark.parametrize("name", ["dns:portal", "uri:https://portal/id", "email:zhang@portal"])
def test_names_of_an_intranet_are_taken(authority: Authority, name: str) -> None:
    chosen = parse_alternative_name(name)
    policy = authority.profiles["device"].alternative_names
    policy = policy.model_copy(update={"kinds": (chosen.kind,)})
    profile = authority.profiles["device"].model_copy(update={"alternative_names": policy})
    authority.profiles["device"] = profile
    assert tbs_of(authority, alternative_names=(chosen,))


def test_two_halves_that_differ_are_refused_before_signing(authority: Authority) -> None:
    first = tbs_of(authority)
    second = tbs_of(authority, subject=(("C", "CN"), ("CN", "another.example.test")))
    with pytest.raises(LintFailure, match=r"pair\.subject.*pair\.keys.*pair\.usages"):
        Linter().check_pair(first, second, signature_algorithm=IDENTIFIER)


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
    assert EKU in [oid_of(e) for e in late.extensions]
