"""Which certificates may log in: each refusal has one oddity, under SM2 and under RSA."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from sqlalchemy import delete

from ca.altnames import AlternativeNameKind, make_alternative_name
from ca.names import encode_name
from ca.reasons import RevocationReason
from ca.revocation import RevocationService
from ca.tables import certificates
from core import der
from core.errors import InvalidSignature, Malformed, Refused
from crl.status import StatusService
from keystore.algorithms import KeyAlgorithm
from tests.fakes.audit import MemoryAuditLog
from tests.fakes.clock import FakeClock
from tests.fakes.keys import memory_key
from tests.unit.ca.conftest import Authority, request
from yinxin.login_certificates import MAX_CERTIFICATE_OCTETS, OurCertificates

SUBJECT = (("C", "CN"), ("CN", "张伟"))
KEYS = {"sm2": KeyAlgorithm.SM2, "rsa": KeyAlgorithm.RSA_3072}


class World:
    def __init__(self, authority: Authority, family: str) -> None:
        self.authority, self.family = authority, family
        self.issuer = f"{family}-issuing"
        status = StatusService(authority.store, retention=timedelta(hours=1), clock=authority.clock)
        self.verifier = OurCertificates(
            authority.issuers,
            status,
            authority.store,
            authority.profiles,
            clock=authority.clock,
        )

    def issue(self, profile: str = "person-authentication", **changes) -> bytes:
        """Issue to a person, under a profile that differs in `changes` from a shipped one."""
        kept = self.authority.profiles[profile]
        self.authority.profiles["odd"] = kept.model_copy(update=changes)
        wanted = request(KEYS[self.family], subject=SUBJECT)
        return self.authority.issue(wanted, profile="odd", issuer=self.issuer).der

    def verify(self, certificate: bytes):
        return self.verifier.verify_login_certificate(certificate)

    def refused(self, certificate: bytes, words: str) -> None:
        with pytest.raises(Refused, match=words):
            self.verify(certificate)


@pytest.fixture
def authority(sqlite_database, clock: FakeClock, audit: MemoryAuditLog) -> Authority:
    return Authority(sqlite_database, clock, audit)


@pytest.fixture(params=KEYS)
def world(request, authority: Authority) -> World:
    return World(authority, request.param)


def _serial(certificate: bytes) -> int:
    return x509.load_der_x509_certificate(certificate).serial_number


def test_a_certificate_of_a_person_is_vouched_for(world: World) -> None:
    certificate = world.issue()
    found = world.verify(certificate)
    assert found.subject == encode_name(SUBJECT)
    assert (found.issuer, found.serial) == (world.issuer, _serial(certificate))
    assert found.spki == memory_key(KEYS[world.family]).key.public_key
    assert found.fingerprint == hashlib.sha256(certificate).hexdigest()


def test_whether_its_key_lives_in_a_device_is_what_its_profile_says(world: World) -> None:
    assert not world.verify(world.issue()).in_hardware
    assert world.verify(world.issue(name="odd", key_in_hardware=True)).in_hardware


def test_before_and_after_its_time_it_is_refused(world: World) -> None:
    certificate = world.issue()
    begin = x509.load_der_x509_certificate(certificate).not_valid_before_utc
    now = world.authority.clock.now()
    world.authority.clock.advance(seconds=(begin - now).total_seconds() - 1)
    world.refused(certificate, "not valid before")
    world.authority.clock.advance(seconds=3600)
    world.verify(certificate)
    world.authority.clock.advance(days=1096)
    world.refused(certificate, "expired")


@pytest.mark.parametrize("act", ["hold", "revoke"])
def test_what_is_held_or_revoked_is_refused(world: World, act: str) -> None:
    certificate = world.issue()
    service = RevocationService(**world.authority.services)
    if act == "hold":
        service.hold(world.issuer, _serial(certificate), actor="t")
    else:
        reason = RevocationReason.KEY_COMPROMISE
        service.revoke(world.issuer, _serial(certificate), reason, actor="t")
    world.refused(certificate, "revoked")


def test_under_a_revoked_issuing_ca_everybody_is_refused(world: World) -> None:
    certificate = world.issue()
    above = world.authority.issuers[world.issuer].certificate
    RevocationService(**world.authority.services).revoke(
        f"{world.family}-root", _serial(above), RevocationReason.CA_COMPROMISE, actor="t"
    )
    world.refused(certificate, "revoked: cACompromise")


def test_under_a_root_that_has_ended_everybody_is_refused(world: World) -> None:
    certificate, ends_tomorrow = world.issue(), world.issue(validity_days=1)
    issuers, root = world.authority.issuers, f"{world.family}-root"
    issuers[root] = replace(issuers[root], certificate=ends_tomorrow)
    issuers[world.issuer] = replace(issuers[world.issuer], chain=(ends_tomorrow,))
    world.verify(certificate)
    world.authority.clock.advance(days=2)
    world.refused(certificate, "expired")


def test_what_we_have_no_record_of_is_refused(world: World) -> None:
    certificate = world.issue()
    with world.authority.database.transaction() as connection:
        connection.execute(delete(certificates).where(certificates.c.issuer == world.issuer))
    world.refused(certificate, "unknown")


@pytest.mark.parametrize("position", [-1, 200])
def test_an_octet_that_was_changed_is_noticed(world: World, position: int) -> None:
    certificate = bytearray(world.issue())
    certificate[position] ^= 1
    with pytest.raises((InvalidSignature, Malformed, Refused)):
        world.verify(bytes(certificate))


def test_a_self_made_certificate_with_our_issuers_name_is_noticed(world: World) -> None:
    tbs, identifier, _ = der.split_signed(world.issue(), what="the certificate")
    forger = memory_key(KEYS[world.family])
    with pytest.raises(InvalidSignature, match="not signed by the issuer it names"):
        world.verify(der.signed_object(tbs, identifier, forger.sign(tbs)))


def test_the_two_algorithm_fields_must_agree(world: World) -> None:
    tbs, _, signature = der.split_signed(world.issue(), what="the certificate")
    other = memory_key(KeyAlgorithm.EC_P256).algorithm.identifier
    with pytest.raises(Malformed, match="two signature algorithms"):
        world.verify(der.signed_object(tbs, other, signature))


def test_a_certificate_of_another_authority_is_refused(world: World) -> None:
    certificate = world.issue()
    del world.authority.issuers[world.issuer]
    world.refused(certificate, "not issued by this authority")


def test_of_two_issuers_with_one_name_the_signature_decides(world: World) -> None:
    certificate = world.issue()
    issuers = world.authority.issuers
    ours = issuers.pop(world.issuer)
    other = replace(ours, name="re-keyed", signer=memory_key(KeyAlgorithm.EC_P256))
    issuers |= {"re-keyed": other, world.issuer: ours}
    assert world.verify(certificate).issuer == world.issuer
    del issuers[world.issuer]
    with pytest.raises(InvalidSignature):
        world.verify(certificate)


@pytest.mark.parametrize("level", ["root", "issuing"])
def test_a_ca_does_not_log_in(world: World, level: str) -> None:
    world.refused(world.authority.issuers[f"{world.family}-{level}"].certificate, "CA certificate")


def test_a_key_for_encryption_only_does_not_log_in(world: World) -> None:
    usage = world.authority.profiles["device"].key_usage.model_copy(
        update={"default": ("keyEncipherment", "dataEncipherment"), "rsa": None}
    )
    world.refused(world.issue(key_usage=usage), "digitalSignature")


@pytest.mark.parametrize("purpose", ["emailProtection 4", "ipsecIKE 17", "documentSigning 36"])
def test_a_key_for_another_purpose_does_not_log_in(world: World, purpose: str) -> None:
    oid = f"1.3.6.1.5.5.7.3.{purpose.split()[1]}"
    world.refused(world.issue(extended_key_usage=(oid,)), "not for logging in")


def test_the_key_of_a_web_server_does_not_log_in(world: World) -> None:
    host = make_alternative_name(AlternativeNameKind.DNS, "www.example.cn")
    wanted = request(
        KEYS[world.family], subject=(("CN", "www.example.cn"),), alternative_names=(host,)
    )
    issued = world.authority.issue(wanted, profile="tls-server", issuer=world.issuer)
    world.refused(issued.der, "not for logging in")


@pytest.mark.parametrize("purposes", [(), ("1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2")])
def test_no_purpose_at_all_or_client_authentication_among_others_is_enough(
    world: World, purposes: tuple[str, ...]
) -> None:
    world.verify(world.issue(extended_key_usage=purposes))


@pytest.mark.parametrize("octets", [b"", b"0", b"\x30\x00", bytes(MAX_CERTIFICATE_OCTETS + 1)])
def test_what_is_no_certificate_is_malformed(world: World, octets: bytes) -> None:
    with pytest.raises(Malformed):
        world.verify(octets)


def test_nothing_may_follow_the_certificate(world: World) -> None:
    with pytest.raises(Malformed):
        world.verify(world.issue() + b"\x00")
