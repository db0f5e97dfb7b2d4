"""Pairs of certificates before judges; a planted fault shows that they looked."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from ca.altnames import parse_alternative_name
from core.clock import SystemClock
from core.db import Database
from tests.fakes.audit import MemoryAuditLog
from tests.fakes.clock import FakeClock
from tests.judges import JudgeSaysNo, bouncycastle, gmssl, gnutls, openssl
from tests.judges.linter import lint_certificate
from tests.judges.octets import flipped
from tests.unit.ca.conftest import Authority
from tests.unit.ca.test_delivery import World as DeliveryWorld
from tests.unit.ca.test_dual import World

pytestmark = pytest.mark.judge

_NAMES = {"device-dual-signing": "dns:gw.example.test", "person-dual-signing": "email:z@ex.test"}


@dataclass
class Judged:
    """A pair under root and issuing CA."""

    world: World
    profile: str
    authorities: tuple[bytes, bytes] = field(init=False)
    signing: bytes = field(init=False)
    encryption: bytes = field(init=False)

    def __post_init__(self) -> None:
        names = (parse_alternative_name(_NAMES[self.profile]),)
        pair = self.world.km.pairs.get(
            self.world.issue(profile=self.profile, alternative_names=names)
        )
        issuers = self.world.authority.issuers
        self.authorities = tuple(issuers[n].certificate for n in ("sm2-root", "sm2-issuing"))
        self.signing, self.encryption = pair.signing.der, pair.encryption.der


@pytest.fixture
def world(sqlite_database: Database, audit: MemoryAuditLog) -> World:
    now: FakeClock = FakeClock(SystemClock().now())  # judges look at their own clock
    return World(Authority(sqlite_database, now, audit))


@pytest.mark.parametrize("profile", sorted(_NAMES))
def test_openssl_gmssl_and_bouncy_castle_accept_both_certificates(
    profile: str, world: World
) -> None:
    judged = Judged(world, profile)
    for certificate in (judged.signing, judged.encryption):
        path = (*judged.authorities, certificate)
        openssl.verify_path(*path, sm2=True)
        gmssl.verify_path(*path)
        bouncycastle.verify_path(*path)


def test_gmssl_accepts_the_tlcp_pair_and_not_a_damaged_one(world: World) -> None:
    judged = Judged(world, "device-dual-signing")
    signing, encryption = judged.signing, judged.encryption
    gmssl.verify_pair(*judged.authorities, signing=signing, encryption=encryption)
    # 3.1.1 looks at both signatures and at no key usage: `tests/unit/ca/test_dual` does.
    for bad in (
        {"signing": flipped(signing), "encryption": encryption},
        {"signing": signing, "encryption": flipped(encryption)},
    ):
        with pytest.raises(JudgeSaysNo):
            gmssl.verify_pair(*judged.authorities, **bad)


@pytest.mark.parametrize("profile", ["device-dual-signing-rsa", "person-dual-signing-rsa"])
def test_openssl_gnutls_bouncy_castle_and_pkilint_accept_an_rsa_pair(
    profile: str, sqlite_database: Database, audit: MemoryAuditLog
) -> None:
    now: FakeClock = FakeClock(SystemClock().now())
    world = DeliveryWorld(Authority(sqlite_database, now, audit))
    names = (parse_alternative_name(_NAMES[profile.removesuffix("-rsa")]),)
    pair = world.km.pairs.get(world.issue(profile, alternative_names=names))
    issuers = world.authority.issuers
    authorities = tuple(issuers[name].certificate for name in ("rsa-root", "rsa-issuing"))
    for certificate in (pair.signing.der, pair.encryption.der):
        path = (*authorities, certificate)
        openssl.verify_path(*path, sm2=False)
        gnutls.verify_path(*path)
        bouncycastle.verify_path(*path)
        lint_certificate(certificate)
        with pytest.raises(JudgeSaysNo):
            openssl.verify_path(*authorities, flipped(certificate), sm2=False)
