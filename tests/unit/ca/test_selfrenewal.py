"""Issuing CAs that renew themselves: the same key and name, in time, once, never a root."""

from __future__ import annotations

import pytest
from cryptography import x509

from ca.issuers import Generations, Issuers
from ca.selfrenewal import SelfRenewal
from core.errors import BackendUnavailable
from tests.unit.ca.conftest import URL, Authority, request
from tests.unit.ca.test_ceremony import ISSUING, Desk, file


@pytest.fixture
def issuers(authority: Authority) -> Issuers:
    alive = Issuers(authority.store, authority.keystore, revocation_url=URL)
    authority.issuers = alive
    return alive


@pytest.fixture
def renewal(authority: Authority, issuers: Issuers) -> SelfRenewal:
    return SelfRenewal(
        days=90,
        issuers=issuers,
        generations=Generations(issuers, clock=authority.clock),
        profiles=authority.profiles,
        **authority.services,
    )


def test_an_issuing_ca_is_renewed_in_time_with_the_same_key_name_and_constraints(
    authority: Authority, issuers: Issuers, renewal: SelfRenewal
) -> None:
    Desk(authority).run(
        file(ISSUING, name_constraints='{ permitted = ["dns:gov.cn"] }', validity_days="3650")
    )
    issuers.refresh()
    authority.clock.advance(days=3650 - 91)
    assert renewal.renew() == 0
    before = dict(issuers)
    authority.clock.advance(days=2)
    leaf = authority.issue(request(), issuer="rsa-issuing").der
    assert renewal.renew() == 3
    assert renewal.renew() == 0
    issuers.refresh()
    for name in ("sm2-issuing", "rsa-issuing", "east"):
        old, new = (x509.load_der_x509_certificate(m[name].certificate) for m in (before, issuers))
        assert new.not_valid_after_utc > old.not_valid_after_utc
        assert new.subject.public_bytes() == old.subject.public_bytes()
        for kind in (x509.SubjectKeyIdentifier, x509.BasicConstraints):
            assert new.extensions.get_extension_for_class(
                kind
            ) == old.extensions.get_extension_for_class(kind)
    east = x509.load_der_x509_certificate(issuers["east"].certificate)
    constraints = east.extensions.get_extension_for_class(x509.NameConstraints).value
    assert constraints.permitted_subtrees == [x509.DNSName("gov.cn")]
    assert issuers["rsa-root"] is before["rsa-root"]
    assert authority.audit.actions.count("issuer.renewed") == 3
    root, new = (
        x509.load_der_x509_certificate(issuers[name].certificate)
        for name in ("rsa-root", "rsa-issuing")
    )
    new.verify_directly_issued_by(root)
    x509.load_der_x509_certificate(leaf).verify_directly_issued_by(new)


def test_a_generation_that_is_succeeded_in_time_is_left_to_end(
    authority: Authority, issuers: Issuers, renewal: SelfRenewal
) -> None:
    from tests.unit.ca.test_ceremony import ROLL_OVER

    Desk(authority).run(file(ROLL_OVER))
    issuers.refresh()
    authority.clock.advance(days=3649)
    renewal.renew()
    issuers.refresh()
    renewed = [one[2]["issuer"] for one in authority.audit.events if one[0] == "issuer.renewed"]
    assert sorted(renewed) == ["rsa-issuing", "sm2-issuing-2"]


def test_near_the_end_of_the_root_nothing_is_renewed(
    authority: Authority, issuers: Issuers, renewal: SelfRenewal
) -> None:
    Desk(authority).run(file(ISSUING, not_after="2046-11-17T00:00:00Z", profile='"issuing-ca"',
                             not_before="2036-11-01T00:00:00Z"))  # fmt: skip
    issuers.refresh()
    authority.clock.advance(days=7290)
    assert renewal.renew() == 0


def test_a_renewal_that_was_killed_is_finished_with_one_certificate(
    authority: Authority,
    issuers: Issuers,
    renewal: SelfRenewal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    authority.clock.advance(days=3600)

    def killed(*_: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(type(authority.store), "renew_issuer", killed)
        renewal.renew()
    made = [one for one in authority.audit.actions if one == "certificate.issued"]
    renewal.renew()
    again = [one for one in authority.audit.actions if one == "certificate.issued"]
    assert len(again) == len(made) + 1, "one of the two was issued before the kill"
    assert authority.audit.actions.count("issuer.renewed") == 2


def test_a_root_whose_key_is_away_does_not_stop_the_other_hierarchy(
    authority: Authority,
    issuers: Issuers,
    renewal: SelfRenewal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    authority.clock.advance(days=3600)
    signer = type(issuers["sm2-root"].signer)
    sign = signer.sign

    def away(self, message: bytes) -> bytes:
        if "sm2-root" in self.key.ref:
            raise BackendUnavailable("away")
        return sign(self, message)

    monkeypatch.setattr(signer, "sign", away)
    assert renewal.renew() == 1
