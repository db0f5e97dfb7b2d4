"""Delta CRLs: what changed since the oldest CRL that anybody can hold (RFC 5280, 5.2.4)."""

from __future__ import annotations

import pytest
from cryptography import x509

from core.errors import NotFound
from crl.config import CRLConfig, OCSPConfig, RevocationConfig
from crl.store import CRLRecord
from tests.unit.crl.world import World

REASON = x509.ReasonFlags


@pytest.fixture
def world(make_world) -> World:
    config = RevocationConfig(
        crl=CRLConfig(delta=True), ocsp=OCSPConfig(signer_key="memory:object={name}")
    )
    return make_world("ec", config=config)


def load(record: CRLRecord) -> x509.CertificateRevocationList:
    return x509.load_der_x509_crl(record.der)


def reasons(record: CRLRecord) -> dict[int, x509.ReasonFlags]:
    return {
        entry.serial_number: entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
        for entry in load(record)
    }


def test_a_complete_crl_says_where_the_delta_is_and_the_delta_what_it_adds_to(world: World):
    base = world.schedule.current("ec-issuing")
    world.revoke(world.issue("ec-issuing"))
    delta = world.schedule.current_delta("ec-issuing")
    freshest = load(base).extensions.get_extension_for_class(x509.FreshestCRL)
    assert not freshest.critical
    (point,) = freshest.value
    assert point.full_name[0].value == "http://pki.example.cn/crl/ec-issuing.delta.crl"
    indicator = load(delta).extensions.get_extension_for_class(x509.DeltaCRLIndicator)
    assert indicator.critical
    assert indicator.value.crl_number == base.number
    assert delta.number > base.number
    with pytest.raises(x509.ExtensionNotFound):
        load(delta).extensions.get_extension_for_class(x509.FreshestCRL)


def test_it_adds_revocations_and_removes_what_was_released(world: World):
    revoked, held, released, before = (world.issue("ec-issuing") for _ in range(4))
    world.revoke(before)
    world.revocation.hold("ec-issuing", released.serial, actor="tester")
    base = world.schedule.current("ec-issuing")
    assert base.entries == 2
    world.clock.advance(seconds=1)
    world.revoke(revoked)
    world.revocation.hold("ec-issuing", held.serial, actor="tester")
    world.revocation.release("ec-issuing", released.serial, actor="tester")
    delta = world.schedule.current_delta("ec-issuing")
    assert reasons(delta) == {
        revoked.serial: REASON.key_compromise,
        held.serial: REASON.certificate_hold,
        released.serial: REASON.remove_from_crl,
    }


def test_base_and_delta_together_say_what_the_next_complete_crl_says(world: World):
    issued = [world.issue("ec-issuing") for _ in range(6)]
    for one in issued[:3]:
        world.revocation.hold("ec-issuing", one.serial, actor="tester")
    base = {entry.serial_number for entry in load(world.schedule.current("ec-issuing"))}
    world.clock.advance(seconds=1)
    world.revocation.release("ec-issuing", issued[0].serial, actor="tester")
    world.revoke(issued[1])
    for one in issued[3:5]:
        world.revocation.hold("ec-issuing", one.serial, actor="tester")
    world.revocation.release("ec-issuing", issued[3].serial, actor="tester")
    changes = reasons(world.schedule.current_delta("ec-issuing"))
    removed = {serial for serial, reason in changes.items() if reason is REASON.remove_from_crl}
    complete = world.schedule.current("ec-issuing")
    assert (base | changes.keys()) - removed == {one.serial_number for one in load(complete)}


def test_any_complete_crl_that_is_still_valid_can_be_added_to(world: World):
    first = world.schedule.current("ec-issuing")
    for _ in range(4):
        world.clock.advance(days=1)
        world.revoke(world.issue("ec-issuing"))
        world.schedule.refresh()
    delta = world.schedule.current_delta("ec-issuing")
    assert delta.base == first.number
    assert delta.entries == 4
    world.clock.advance(days=4)
    world.schedule.refresh()
    assert world.schedule.current_delta("ec-issuing").base > first.number


def test_the_delta_of_a_partition_has_its_scope(world: World):
    world.partition("ec-issuing", 2)
    issued = [world.issue("ec-issuing") for _ in range(6)]
    base = world.schedule.current("ec-issuing/2/1")
    for one in issued:
        world.revoke(one)
    delta = world.schedule.current_delta("ec-issuing/2/1")
    kind = x509.IssuingDistributionPoint
    assert (
        load(delta).extensions.get_extension_for_class(kind).value
        == load(base).extensions.get_extension_for_class(kind).value
    )
    assert set(reasons(delta)) == {one.serial for one in issued if one.serial % 2}


def test_it_is_made_again_for_a_revocation_and_at_half_of_its_life(world: World):
    first = world.schedule.current_delta("ec-issuing")
    assert first.entries == 0
    assert world.schedule.current_delta("ec-issuing") == first
    world.revoke(world.issue("ec-issuing"))
    second = world.schedule.current_delta("ec-issuing")
    assert second.entries == 1
    world.clock.advance(hours=12)
    assert world.schedule.current_delta("ec-issuing").number > second.number


def test_without_the_setting_there_are_none(make_world):
    world = make_world("ec")
    with pytest.raises(NotFound):
        world.schedule.current_delta("ec-issuing")
    with pytest.raises(x509.ExtensionNotFound):
        load(world.schedule.current("ec-issuing")).extensions.get_extension_for_class(
            x509.FreshestCRL
        )
