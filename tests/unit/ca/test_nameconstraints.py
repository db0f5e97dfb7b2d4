"""What the name constraints of our CA certificates forbid is refused (RFC 5280, 4.2.1.10)."""

from __future__ import annotations

import pytest
from cryptography import x509

from ca import issuer
from ca.altnames import parse_alternative_name
from ca.issuers import load_issuers
from ca.nameconstraints import encode_constraints, parse_subtree
from core.errors import Malformed, ProfileViolation, Refused
from keystore.algorithms import KeyAlgorithm
from tests.judges import JudgeSaysNo, openssl
from tests.unit.ca.conftest import URL, Authority, request
from tests.unit.ca.test_ceremony import ISSUING, Desk, file

PROFILE = """
name = "anything"
title = "Anything"
key_algorithms = ["sm2", "rsa-2048", "rsa-3072", "ec-p256"]
validity_days = 10
maximum_validity_days = 10
key_usage = { default = ["digitalSignature"] }
subject = { required = ["CN"], optional = ["C", "O", "OU"] }
alternative_names = { kinds = ["dns", "ip", "email", "uri"], maximum = 5, wildcards = true }
"""
SUBJECT = (("C", "CN"), ("O", "东部"), ("CN", "gateway"))


@pytest.fixture
def constrained(authority: Authority):
    from ca.profiles import parse_profile

    authority.profiles["anything"] = parse_profile(PROFILE, source="test")

    def make(*, permitted: tuple[str, ...] = (), excluded: tuple[str, ...] = ()) -> Authority:
        lists = ", ".join(
            f"{word} = {list(texts)!r}"
            for word, texts in (("permitted", permitted), ("excluded", excluded))
        )
        Desk(authority).run(file(ISSUING, name_constraints=f"{{ {lists} }}"))
        authority.issuers = load_issuers(authority.store, authority.keystore, revocation_url=URL)
        return authority

    return make


def issue(authority: Authority, *names: str, subject=SUBJECT) -> tuple[bytes, ...]:
    """Issue under the constrained CA; return the path, root first."""
    east = authority.issuers["east"]
    wanted = request(
        KeyAlgorithm.EC_P256,
        subject=subject,
        alternative_names=tuple(parse_alternative_name(text) for text in names),
    )
    issued = authority.issue(wanted, profile="anything", issuer="east")
    return (*reversed(east.chain), east.certificate, issued.der)


@pytest.mark.parametrize(
    ("subtree", "inside", "outside"),
    [
        ("dns:gov.cn", "dns:www.gov.cn", "dns:www.example.com"),
        ("dns:gov.cn", "dns:gov.cn", "dns:notgov.cn"),
        ("dns:gov.cn", "dns:*.east.gov.cn", "dns:*.cn.example"),
        ("ip:10.0.0.0/8", "ip:10.1.2.3", "ip:11.1.2.3"),
        ("ip:fd00::/8", "ip:fd00::1", "ip:2001:db8::1"),
        ("email:gov.cn", "email:a@gov.cn", "email:a@east.gov.cn"),
        ("email:.gov.cn", "email:a@east.gov.cn", "email:a@gov.cn"),
        ("uri:.gov.cn", "uri:https://www.gov.cn/x", "uri:https://www.example.com/x"),
        ("uri:www.gov.cn", "uri:https://www.gov.cn:8443/", "uri:https://x.www.gov.cn/"),
    ],
)
def test_what_is_permitted_is_issued_and_openssl_agrees(
    constrained, subtree: str, inside: str, outside: str
) -> None:
    authority = constrained(permitted=(subtree,))
    openssl.verify_path(*issue(authority, inside), sm2=False)
    with pytest.raises(ProfileViolation, match="permit"):
        issue(authority, outside)


def test_one_kind_of_constraint_leaves_other_kinds_of_names_free(constrained) -> None:
    authority = constrained(permitted=("dns:gov.cn",))
    openssl.verify_path(*issue(authority, "ip:192.0.2.1", "email:a@example.com"), sm2=False)


def test_what_is_excluded_is_refused_and_the_constraint_named(constrained) -> None:
    authority = constrained(excluded=("dns:secret.gov.cn", "ip:0.0.0.0/0", "ip:::/0"))
    openssl.verify_path(*issue(authority, "dns:www.gov.cn"), sm2=False)
    for name in ("dns:x.secret.gov.cn", "ip:10.0.0.1", "ip:fd00::1"):
        with pytest.raises(ProfileViolation, match="exclude"):
            issue(authority, name)
    with pytest.raises(ProfileViolation, match=r"exclude dns:secret\.gov\.cn"):
        issue(authority, "dns:*.gov.cn")


def test_a_directory_constraint_holds_the_subject(constrained) -> None:
    authority = constrained(permitted=("directory:C=CN,O=东部",))
    openssl.verify_path(*issue(authority), sm2=False)
    openssl.verify_path(
        *issue(authority, subject=(("C", "CN"), ("O", "东部"), ("OU", "一"), ("CN", "x"))),
        sm2=False,
    )
    for subject in ((("CN", "x"),), (("C", "CN"), ("O", "西部"), ("CN", "x"))):
        with pytest.raises(ProfileViolation, match="permit directory:"):
            issue(authority, subject=subject)


def test_a_common_name_that_looks_like_a_host_is_a_host(constrained) -> None:
    authority = constrained(permitted=("dns:gov.cn",))
    openssl.verify_path(*issue(authority, subject=(("CN", "www.gov.cn"),)), sm2=False)
    with pytest.raises(ProfileViolation, match=r"dns:www\.example\.com"):
        issue(authority, subject=(("CN", "www.example.com"),))


def test_openssl_refuses_what_we_refuse(constrained, monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge can fail: a certificate from a CA that forgot its own constraint."""
    authority = constrained(permitted=("dns:gov.cn",))
    monkeypatch.setattr(issuer, "check_names", lambda *_, **__: None)
    with pytest.raises(JudgeSaysNo, match="permitted subtree violation"):
        openssl.verify_path(*issue(authority, "dns:www.example.com"), sm2=False)


def test_constraints_are_written_critical_and_only_when_there_are_some() -> None:
    assert encode_constraints((), ()) is None
    extension = encode_constraints(("dns:gov.cn",), ("email:a@gov.cn",))
    assert extension.critical
    assert extension.oid == x509.NameConstraints.oid


@pytest.mark.parametrize(
    "text",
    [
        "gov.cn",
        "dns:gov..cn",
        "dns:*.gov.cn",
        "ip:10.0.0.1/8",
        "ip:x",
        "uri:https://gov.cn/",
        "email:a b@gov.cn",
        "directory:某省",
        "other:x",
        "",
    ],
)
def test_a_subtree_that_is_wrong_is_refused(text: str) -> None:
    with pytest.raises((Malformed, Refused)):
        parse_subtree(text)
