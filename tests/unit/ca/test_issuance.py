from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from cryptography import x509

from ca.altnames import parse_alternative_name
from ca.bootstrap import NewIssuer, create_root
from ca.issuance import find_interrupted, issue_certificate
from ca.issuer import Issued, Prepared, Reserved
from ca.issuers import load_issuers
from ca.names import attributes_of
from ca.sqlstore import SQLCertificateStore
from ca.store import CertificateState
from core import der
from core.errors import (
    AuditUnavailable,
    BackendUnavailable,
    Misconfigured,
    ProfileViolation,
    Refused,
)
from keystore import keyref
from keystore.algorithms import KeyAlgorithm, SignatureAlgorithm
from keystore.verify import verify_signature
from tests.fakes.audit import MemoryAuditLog
from tests.fakes.keys import MemoryKeyBackend
from tests.unit.ca.conftest import URL, Authority, request


class JournalStore(SQLCertificateStore):
    """Writes what happens into the list that the audit log of the test shares."""

    journal: list[str]

    def reserve_all(self, prepared: Sequence[Prepared], *, now: datetime) -> Sequence[Reserved]:
        self.journal.append("store reserve")
        return super().reserve_all(prepared, now=now)

    def complete_all(self, issued: Sequence[Issued], *, now: datetime) -> bool:
        self.journal.append("store complete")
        return super().complete_all(issued, now=now)


class JournalAudit(MemoryAuditLog):
    journal: list[str]

    def record(self, action, *, actor, detail) -> None:
        self.journal.append(f"audit {action}")
        super().record(action, actor=actor, detail=detail)


class Lying:
    """A signer whose device returns a signature over something else."""

    def __init__(self, signer) -> None:
        self.key, self.algorithm, self._signer = signer.key, signer.algorithm, signer

    def sign(self, message: bytes) -> bytes:
        return self._signer.sign(message + b"x")


def test_the_intent_is_durable_before_the_key_is_used(authority: Authority) -> None:
    store, audit = JournalStore(authority.database), JournalAudit()
    journal: list[str] = []
    store.journal = audit.journal = journal

    class Watching(Lying):
        def sign(self, message: bytes) -> bytes:
            journal.append("sign")
            return self._signer.sign(message)

    issuer = authority.issuers["sm2-issuing"]
    issue_certificate(
        request(),
        profile=authority.profiles["device"],
        issuer=type(issuer)(
            issuer.name,
            issuer.certificate,
            issuer.chain,
            Watching(issuer.signer),
            issuer.subject,
            URL,
        ),
        store=store,
        transactions=authority.database,
        audit=audit,
        clock=authority.clock,
    )
    assert journal == [
        "store reserve",
        "audit certificate.signing",
        "sign",
        "store complete",
        "audit certificate.issued",
    ]


@pytest.mark.parametrize("issuer", ["sm2-issuing", "rsa-issuing"])
def test_the_certificate_verifies_under_its_issuer(authority: Authority, issuer: str) -> None:
    issued = authority.issue(request(), issuer=issuer)
    tbs, identifier, signature = der.split_signed(issued.der, what="certificate")
    signer = authority.issuers[issuer].signer
    assert identifier == signer.algorithm.identifier
    verify_signature(authority.issuers[issuer].spki, signer.algorithm, tbs, signature)
    record = authority.store.find_certificate(issuer, issued.serial)
    assert record is not None
    assert (record.state, record.der, record.tbs) == (CertificateState.ISSUED, issued.der, tbs)


def test_end_entities_say_where_revocation_is_asked(authority: Authority) -> None:
    certificate = x509.load_der_x509_certificate(authority.issue(request()).der)
    access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    assert [d.access_location.value for d in access] == [
        f"{URL}/ocsp",
        f"{URL}/ca/sm2-issuing.cer",
    ]
    points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    assert [n.value for p in points for n in p.full_name or ()] == [f"{URL}/crl/sm2-issuing.crl"]
    with pytest.raises(x509.ExtensionNotFound):
        certificate.extensions.get_extension_for_class(x509.BasicConstraints)


@pytest.mark.parametrize("issuer", ["sm2-issuing", "rsa-issuing"])
def test_sixty_four_chinese_characters_fit_into_a_name(authority: Authority, issuer: str) -> None:
    long = "局" * 64
    subject = (("C", "CN"), ("O", long), ("OU", long), ("CN", long))
    issued = authority.issue(request(subject=subject), issuer=issuer)
    assert attributes_of(x509.load_der_x509_certificate(issued.der).subject) == subject
    record = authority.store.find_certificate(issuer, issued.serial)
    assert record is not None
    assert record.subject == f"CN={long},OU={long},O={long},C=CN"
    with pytest.raises(Refused, match="65 characters, at most 64"):
        authority.issue(request(subject=(("CN", long + "局"),)), issuer=issuer)


def test_a_wrong_signature_never_leaves_and_burns_the_serial(authority: Authority) -> None:
    issuer = authority.issuers["sm2-issuing"]
    authority.issuers["sm2-issuing"] = type(issuer)(
        issuer.name, issuer.certificate, issuer.chain, Lying(issuer.signer), issuer.subject, URL
    )
    with pytest.raises(BackendUnavailable, match="signs wrongly"):
        authority.issue(request(request_id="r1"))
    assert authority.audit.actions[-2:] == ["certificate.signing", "certificate.failed"]
    serial = authority.audit.events[-1][2]["serial"]
    record = authority.store.find_certificate("sm2-issuing", int(str(serial), 16))
    assert record is not None
    assert record.state is CertificateState.FAILED
    assert authority.store.find_by_request("r1") is None


def test_an_unreachable_key_burns_the_serial(authority: Authority) -> None:
    authority.keystore.broken = True
    with pytest.raises(BackendUnavailable):
        authority.issue(request())
    assert authority.audit.actions[-1] == "certificate.failed"


def test_nothing_is_signed_when_the_audit_log_is_broken(authority: Authority) -> None:
    before = len(authority.keystore.signed)
    authority.audit.broken = True
    with pytest.raises(AuditUnavailable):
        authority.issue(request())
    assert len(authority.keystore.signed) == before
    assert authority.store.list_reserved() == []


def test_what_was_interrupted_is_reported_once_and_finished_with_its_serial(
    authority: Authority,
) -> None:
    prepared = authority.issuers["sm2-issuing"].prepare(
        request(request_id="r1"),
        profile=authority.profiles["device"],
        serial=1 << 158,
        now=authority.clock.now(),
    )
    authority.store.reserve_all([prepared], now=authority.clock.now())
    minute = timedelta(minutes=1)
    # It may be under way in another process.
    assert find_interrupted(**authority.services, older_than=minute) == []
    authority.clock.advance(minutes=1)
    found = find_interrupted(**authority.services, older_than=minute)
    assert [r.serial for r in found] == [1 << 158]
    assert find_interrupted(**authority.services) == []
    issued = authority.issue(request(request_id="r1"))
    assert issued.serial == 1 << 158
    assert authority.issue(request(request_id="r1")) == issued


def test_a_profile_is_bound_to_its_kind_of_issuer(authority: Authority) -> None:
    with pytest.raises(ProfileViolation, match="sm2-root is root"):
        authority.issue(request(), issuer="sm2-root")
    with pytest.raises(ProfileViolation, match="issued by root"):
        authority.issue(request(), profile="issuing-ca")


def test_a_certificate_never_outlives_its_issuer(authority: Authority) -> None:
    authority.clock.advance(days=3650 - 10)
    issued = authority.issue(request())
    certificate = x509.load_der_x509_certificate(issued.der)
    issuer = x509.load_der_x509_certificate(authority.issuers["sm2-issuing"].certificate)
    assert certificate.not_valid_after_utc == issuer.not_valid_after_utc
    refusing = authority.profiles["device"].model_copy(update={"beyond_issuer": "refuse"})
    authority.profiles["device"] = refusing
    with pytest.raises(ProfileViolation, match="beyond the end"):
        authority.issue(request())


@pytest.mark.parametrize(
    ("profile", "changes", "words"),
    [
        ("device", {"subject": (("C", "CN"),)}, "requires CN"),
        ("device", {"subject": (("title", "x"), ("CN", "x"))}, "does not take title"),
        ("device", {"subject": (("CN", "x"), ("CN", "y"))}, "CN more than once"),
        ("device", {"validity_days": 1096}, "1 to 1095 days"),
        ("device", {"identity": (("x", "y"),)}, "no identity extension"),
        ("tls-server", {}, "1 to 100 subject alternative names"),
        ("tls-server", {"names": ("email:a@b.test",)}, "not email"),
        ("tls-server", {"names": ("dns:*.b.test",)}, "wildcards"),
        ("tls-server", {"names": ("dns:b.test",)}, "must also be one of"),
        (
            "person-signing",
            {"identity": (("residentIdentityCard", "12"),)},
            "must look like",
        ),
    ],
)
def test_the_profile_refuses(authority: Authority, profile: str, changes, words: str) -> None:
    names = tuple(parse_alternative_name(name) for name in changes.pop("names", ()))
    with pytest.raises(ProfileViolation, match=words):
        authority.issue(request(alternative_names=names, **changes), profile=profile)


def test_an_identity_extension_has_the_form_of_the_standard(authority: Authority) -> None:
    wanted = request(identity=(("residentIdentityCard", "110101199001010011"),))
    issued = authority.issue(wanted, profile="person-signing")
    assert bytes.fromhex("a0141312") + b"110101199001010011" in issued.der


def test_null_parameters_are_a_switch_of_the_profile(authority: Authority) -> None:
    changed = authority.profiles["device"].model_copy(update={"sm2_parameters": "null"})
    authority.profiles["device"] = changed
    _, identifier, _ = der.split_signed(authority.issue(request()).der, what="certificate")
    assert identifier == bytes.fromhex("300c06082a811ccf550183750500")


def test_issuers_are_loaded_with_their_chains(authority: Authority) -> None:
    loaded = load_issuers(authority.store, authority.keystore, revocation_url=URL)
    assert loaded.keys() == authority.issuers.keys()
    for name, issuer in loaded.items():
        assert (issuer.certificate, issuer.chain, issuer.subject) == (
            authority.issuers[name].certificate,
            authority.issuers[name].chain,
            authority.issuers[name].subject,
        )


def test_an_issuer_without_its_key_does_not_start(authority: Authority) -> None:
    with pytest.raises(Misconfigured, match="root is not in the keystore"):
        load_issuers(authority.store, MemoryKeyBackend(), revocation_url=URL)


def test_a_root_is_made_once(authority: Authority) -> None:
    again = create_root(
        NewIssuer(
            "sm2-root",
            (("C", "CN"), ("O", "other"), ("CN", "other")),
            KeyAlgorithm.SM2,
            keyref.make("memory", object="sm2-root"),
        ),
        profile=authority.profiles["root"],
        revocation_url=URL,
        keystore=authority.keystore,
        **authority.services,
    )
    assert again.certificate == authority.issuers["sm2-root"].certificate
    assert authority.issuers["rsa-root"].signer.algorithm is SignatureAlgorithm.RSA_SHA256
