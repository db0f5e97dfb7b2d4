"""When CRLs are made, and what serves when none can be made."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from cryptography import x509
from pydantic import ValidationError

from core.errors import BackendUnavailable, NotFound
from crl.config import CRLConfig, OCSPConfig
from tests.unit.crl.world import World


def test_the_first_download_makes_a_crl_and_the_second_serves_it(world: World):
    first = world.schedule.current("ec-issuing")
    assert world.schedule.current("ec-issuing") == first


def test_the_next_download_after_a_revocation_lists_it(world: World):
    issued = world.issue("ec-issuing")
    assert world.schedule.current("ec-issuing").entries == 0
    world.revoke(issued)
    assert world.schedule.current("ec-issuing").entries == 1


def test_a_revocation_of_one_issuer_leaves_the_crl_of_another_alone(world: World):
    root = world.schedule.current("ec-root")
    world.schedule.current("ec-issuing")
    world.revoke(world.issue("ec-issuing"))
    world.schedule.refresh()
    assert world.schedule.current("ec-root") == root
    assert world.crl_store.find_current("ec-issuing").entries == 1


def test_the_job_does_nothing_while_all_is_fresh_and_renews_in_time(world: World):
    world.schedule.refresh()
    count = len(world.keystore.signed)
    world.clock.advance(hours=5, minutes=59)
    world.schedule.refresh()
    assert len(world.keystore.signed) == count
    world.clock.advance(minutes=1)
    world.schedule.refresh()
    assert len(world.keystore.signed) == count + 2


def test_near_the_end_of_the_issuer_half_of_what_is_left_counts(world: World):
    certificate = x509.load_der_x509_certificate(world.issuers["ec-issuing"].certificate)
    left = (certificate.not_valid_after_utc - world.clock.now()).total_seconds()
    world.clock.advance(seconds=left - 7200)
    first = world.schedule.current("ec-issuing")
    world.clock.advance(minutes=59)
    assert world.schedule.current("ec-issuing") == first
    world.clock.advance(minutes=1)
    assert world.schedule.current("ec-issuing").number > first.number


def test_past_its_end_the_last_crl_of_an_issuer_stays(world: World):
    last = world.schedule.current("ec-issuing")
    world.clock.advance(days=20 * 366)
    assert world.schedule.current("ec-issuing") == last


def test_without_the_key_the_crl_before_serves_as_long_as_it_is_valid(world: World):
    issued = world.issue("ec-issuing")
    before = world.schedule.current("ec-issuing")
    world.revoke(issued)
    world.keystore.broken = True
    assert world.schedule.current("ec-issuing") == before
    world.clock.advance(days=7)
    with pytest.raises(BackendUnavailable):
        world.schedule.current("ec-issuing")


def test_one_issuer_whose_key_is_away_does_not_stop_the_others(world: World):
    class Away:
        key = world.issuers["ec-root"].signer.key
        algorithm = world.issuers["ec-root"].signer.algorithm

        def sign(self, message: bytes) -> bytes:
            raise BackendUnavailable("the token is in the safe")

    world.issuers["ec-root"] = replace(world.issuers["ec-root"], signer=Away())
    world.schedule.refresh()
    assert world.crl_store.find_current("ec-root") is None
    assert world.crl_store.find_current("ec-issuing") is not None


def test_an_issuer_we_do_not_have_is_not_found(world: World):
    with pytest.raises(NotFound):
        world.schedule.current("nobody")


def test_a_crowd_of_downloads_makes_one_crl(world: World):
    world.schedule.current("ec-issuing")
    world.revoke(world.issue("ec-issuing"))
    count = len(world.keystore.signed)
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: world.schedule.current("ec-issuing").number, range(32)))
    assert len(made) == 1
    assert len(world.keystore.signed) == count + 1


def test_two_nodes_agree_on_one_crl(world: World):
    node = world.make_schedule()
    world.revoke(world.issue("ec-issuing"))
    with ThreadPoolExecutor(8) as pool:
        records = list(
            pool.map(lambda n: (node if n % 2 else world.schedule).current("ec-issuing"), range(16))
        )
    assert all(record.entries == 1 for record in records)
    assert world.schedule.current("ec-issuing") == node.current("ec-issuing")


def test_a_refresh_after_half_of_the_validity_is_refused_with_the_numbers():
    with pytest.raises(ValidationError, match=r"refresh_hours \(13\).*validity_hours \(24\)"):
        CRLConfig(validity_hours=24, refresh_hours=13)


def test_a_signer_key_without_a_place_for_the_name_is_refused():
    with pytest.raises(ValidationError, match="exactly once"):
        OCSPConfig(signer_key="software:object=fixed")
    with pytest.raises(ValidationError, match="exactly once"):
        OCSPConfig(signer_key_of={"rsa-issuing": "software:object=fixed"})
