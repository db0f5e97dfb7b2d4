"""OpenSSL takes CRLs of partitions and deltas for what they are, and says no where it must."""

from __future__ import annotations

import pytest

from core.clock import SystemClock
from core.db import Database
from crl.config import CRLConfig, OCSPConfig, RevocationConfig
from tests.fakes.audit import MemoryAuditLog
from tests.fakes.clock import FakeClock
from tests.judges import JudgeSaysNo, openssl
from tests.unit.crl.requests import cert_id, request
from tests.unit.crl.world import World

pytestmark = pytest.mark.judge


@pytest.fixture
def world(make_world) -> World:
    config = RevocationConfig(
        crl=CRLConfig(delta=True), ocsp=OCSPConfig(signer_key="memory:object={name}")
    )
    made = make_world("ec", config=config)
    made.partition("ec-issuing", 4)
    return made


def verify(world: World, certificate: bytes, *crls: bytes, deltas: bool = False) -> None:
    at = ("-attime", str(int(world.clock.now().timestamp())))
    path = (world.issuers["ec-root"].certificate, world.issuers["ec-issuing"].certificate)
    root = world.schedule.current("ec-root").der
    options = (*at, *(("-use_deltas", "-extended_crl") if deltas else ()))
    openssl.verify_path_with_crls(*path, certificate, crls=(root, *crls), options=options)


def test_the_partition_of_a_certificate_and_no_other(world: World):
    good = world.issue("ec-issuing")
    revoked = world.issue("ec-issuing")
    world.revoke(revoked)
    parts = [world.schedule.current(f"ec-issuing/4/{number}").der for number in range(4)]
    verify(world, good.der, parts[good.serial % 4])
    with pytest.raises(JudgeSaysNo, match="certificate revoked"):
        verify(world, revoked.der, parts[revoked.serial % 4])
    with pytest.raises(JudgeSaysNo, match="scope"):
        verify(world, good.der, parts[(good.serial + 1) % 4])
    # The full CRL speaks of all.
    verify(world, good.der, world.schedule.current("ec-issuing").der)


def test_a_delta_revokes_and_releases_on_top_of_its_base(world: World):
    revoked, released = world.issue("ec-issuing"), world.issue("ec-issuing")
    world.revocation.hold("ec-issuing", released.serial, actor="tester")
    names = {one.serial: f"ec-issuing/4/{one.serial % 4}" for one in (revoked, released)}
    bases = {name: world.schedule.current(name).der for name in names.values()}
    world.clock.advance(seconds=1)
    world.revoke(revoked)
    world.revocation.release("ec-issuing", released.serial, actor="tester")
    deltas = {name: world.schedule.current_delta(name).der for name in names.values()}
    root_delta = world.schedule.current_delta("ec-root").der

    def judge(serial: int, certificate: bytes, *, deltas_too: bool) -> None:
        name = names[serial]
        more = (deltas[name], root_delta) if deltas_too else ()
        verify(world, certificate, bases[name], *more, deltas=deltas_too)

    judge(revoked.serial, revoked.der, deltas_too=False)
    with pytest.raises(JudgeSaysNo, match="certificate revoked"):
        judge(revoked.serial, revoked.der, deltas_too=True)
    with pytest.raises(JudgeSaysNo, match="certificate revoked"):
        judge(released.serial, released.der, deltas_too=False)
    judge(released.serial, released.der, deltas_too=True)


def test_openssl_takes_an_answer_of_an_ed25519_issuer(sqlite_database: Database):
    # The command takes no other time than now.
    clock = FakeClock(SystemClock().now().replace(microsecond=0))
    world = World(sqlite_database, "ed25519", clock=clock, audit=MemoryAuditLog())
    issued = world.issue("ed25519-issuing")
    path = [world.issuers[f"ed25519-{kind}"].certificate for kind in ("root", "issuing")]
    asked = request(cert_id(world.issuers["ed25519-issuing"], issued.serial))
    assert openssl.verify_ocsp(world.responder.answer(asked).der, *path, issued.der) == "good"
    world.revoke(issued)
    assert openssl.verify_ocsp(world.responder.answer(asked).der, *path, issued.der) == "revoked"
