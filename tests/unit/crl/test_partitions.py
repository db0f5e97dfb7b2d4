"""CRLs of partitions: fixed when a certificate is issued, and never moved."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509

from ca.distribution import Scope, parse_scope, scopes_of
from core.errors import Malformed, NotFound
from crl.config import CRLConfig, OCSPConfig, RevocationConfig
from crl.following import follow
from tests.unit.crl.world import World


def point_of(der: bytes) -> x509.UniformResourceIdentifier:
    extensions = x509.load_der_x509_certificate(der).extensions
    (point,) = extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    (name,) = point.full_name
    return name


def listed(world: World, name: str) -> set[int]:
    crl = x509.load_der_x509_crl(world.schedule.current(name).der)
    return {entry.serial_number for entry in crl}


def test_the_distribution_point_follows_from_the_serial_number(world: World):
    assert point_of(world.issue("ec-issuing").der).value == (
        "http://pki.example.cn/crl/ec-issuing.crl"
    )
    world.partition("ec-issuing", 16)
    for _ in range(5):
        issued = world.issue("ec-issuing")
        number = issued.serial & 15
        assert point_of(issued.der).value == (
            f"http://pki.example.cn/crl/ec-issuing/16/{number}.crl"
        )


def test_the_crl_of_a_partition_names_the_very_octets_of_the_certificate(world: World):
    world.partition("ec-issuing", 16)
    issued = world.issue("ec-issuing")
    world.revoke(issued)
    name = point_of(issued.der)
    record = world.schedule.current(f"ec-issuing/16/{issued.serial & 15}")
    crl = x509.load_der_x509_crl(record.der)
    found = crl.extensions.get_extension_for_class(x509.IssuingDistributionPoint)
    assert found.critical
    assert found.value.full_name == [name]
    encoded = x509.DistributionPoint([name], None, None, None)
    assert encoded.full_name == found.value.full_name
    uri = b"\x86" + bytes((len(name.value),)) + name.value.encode()
    assert uri in record.der
    assert uri in issued.der
    assert crl.get_revoked_certificate_by_serial_number(issued.serial) is not None


def test_each_partition_lists_its_own_and_together_they_list_all(world: World):
    world.partition("ec-issuing", 4)
    issued = [world.issue("ec-issuing") for _ in range(12)]
    for one in issued:
        world.revoke(one)
    parts = [listed(world, scope.name) for scope in scopes_of("ec-issuing", 4)]
    assert all(serial % 4 == number for number, part in enumerate(parts) for serial in part)
    assert sorted(serial for part in parts for serial in part) == sorted(
        one.serial for one in issued
    )
    assert listed(world, "ec-issuing") == {one.serial for one in issued}


def test_a_revocation_makes_the_crl_of_its_partition_again_and_no_other(world: World):
    world.partition("ec-issuing", 4)
    world.schedule.refresh()
    before = {
        scope.name: world.schedule.current(scope.name).number
        for scope in world.schedule.scopes("ec-issuing")
    }
    issued = world.issue("ec-issuing")
    world.revoke(issued)
    world.schedule.refresh()
    changed = {
        name for name, number in before.items() if world.schedule.current(name).number != number
    }
    assert changed == {"ec-issuing", f"ec-issuing/4/{issued.serial % 4}"}
    count = len(world.keystore.signed)
    world.schedule.refresh()
    assert len(world.keystore.signed) == count


def test_another_number_of_partitions_leaves_earlier_certificates_where_they_are(world: World):
    whole = world.issue("ec-issuing")
    world.segments.add_partitioning("ec-issuing", 1, "http://pki.example.cn")
    world.partition("ec-issuing", 2)
    two = world.issue("ec-issuing")
    world.partition("ec-issuing", 8)
    eight = world.issue("ec-issuing")
    for one in (whole, two, eight):
        world.revoke(one)
    for one in (whole, two, eight):
        name = point_of(one.der).value.removeprefix("http://pki.example.cn/crl/")
        assert one.serial in listed(world, name.removesuffix(".crl"))
    assert len(world.schedule.scopes("ec-issuing")) == 1 + 2 + 8


def test_another_revocation_url_is_one_more_name_of_the_same_partition(world: World):
    world.partition("ec-issuing", 2)
    old = world.issue("ec-issuing")
    moved = replace(world.issuers["ec-issuing"], revocation_url="http://pki.new.cn")
    world.issuers["ec-issuing"] = moved
    world.partition("ec-issuing", 2)
    crl = x509.load_der_x509_crl(world.schedule.current(f"ec-issuing/2/{old.serial % 2}").der)
    point = crl.extensions.get_extension_for_class(x509.IssuingDistributionPoint).value
    assert point_of(old.der) in point.full_name
    assert len(point.full_name) == 2


def test_a_partition_nobody_was_issued_into_is_not_found(world: World):
    for name in ("ec-issuing/16/3", "ec-issuing/3/1", "ec-issuing/16", "ec-issuing/16/x", "a/b/c"):
        with pytest.raises(NotFound):
            world.schedule.current(name)
    for name in ("a/16/16", "a/3/0", "a/-2/0", "a/8192/1"):
        with pytest.raises(Malformed):
            parse_scope(name)


def test_a_long_full_crl_is_made_only_for_certificates_that_point_to_it(make_world):
    config = RevocationConfig(
        crl=CRLConfig(full_entries=1), ocsp=OCSPConfig(signer_key="memory:object={name}")
    )
    world = make_world("ec", config=config)
    world.partition("ec-issuing", 2)
    assert Scope("ec-issuing") in world.schedule.scopes("ec-issuing")
    for _ in range(2):
        world.revoke(world.issue("ec-issuing"))
    follow(
        "ec-issuing",
        source=world.store,
        store=world.segments,
        transactions=world.database,
    )
    assert Scope("ec-issuing") not in world.schedule.scopes("ec-issuing")
    with pytest.raises(NotFound):
        world.schedule.current("ec-issuing")
    world.segments.add_partitioning("ec-issuing", 1, "")
    assert world.schedule.current("ec-issuing").entries == 2


def test_ended_certificates_leave_after_every_crl_that_lists_them_was_made_once_more(world: World):
    world.partition("ec-issuing", 2)
    issued = world.issue("ec-issuing", days=1)
    world.revoke(issued)
    name = f"ec-issuing/2/{issued.serial % 2}"
    world.schedule.refresh()
    world.clock.advance(days=2)
    world.schedule.refresh()
    assert issued.serial in listed(world, name)
    world.clock.advance(days=2)
    world.schedule.refresh()
    assert issued.serial not in listed(world, name)
    assert issued.serial not in listed(world, "ec-issuing")


def test_a_long_crl_waits_a_little_after_a_revocation(world: World, monkeypatch):
    monkeypatch.setattr("crl.schedule._SHORT", 0)
    first, second = world.issue("ec-issuing"), world.issue("ec-issuing")
    world.revoke(first)
    assert listed(world, "ec-issuing") == {first.serial}
    world.revoke(second)
    world.schedule.refresh()
    assert listed(world, "ec-issuing") == {first.serial}
    world.clock.advance(seconds=5)
    world.schedule.refresh()
    assert listed(world, "ec-issuing") == {first.serial, second.serial}


def test_numbers_of_every_partition_grow_on_their_own(world: World):
    world.partition("ec-issuing", 2)
    seen: dict[str, list[int]] = {}
    for _ in range(3):
        for scope in scopes_of("ec-issuing", 2):
            seen.setdefault(scope.name, []).append(world.generate(scope.name).number)
    assert all(numbers == sorted(set(numbers)) for numbers in seen.values())
    assert world.schedule.current("ec-issuing/2/0").next_update == (
        world.clock.now() + timedelta(days=7)
    )
