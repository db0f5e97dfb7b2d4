"""CRLs: their content, their numbers, and what happens when many are made at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from ca.reasons import RevocationReason
from ca.store import RevokedEntry
from core import der
from core.errors import AuditUnavailable, BackendUnavailable, Conflict, Refused
from crl.entries import encode_entry
from crl.store import CRLRecord
from crl.tbs import CRLContent, encode_tbs
from keystore.algorithms import signature_algorithm
from keystore.verify import verify_signature
from tests.fakes.clock import FakeClock
from tests.unit.crl.world import World


def load(record: CRLRecord) -> x509.CertificateRevocationList:
    return x509.load_der_x509_crl(record.der)


@pytest.mark.parametrize("family", ["sm2", "rsa", "ec"])
def test_a_crl_lists_what_is_revoked_and_verifies_under_the_issuer(make_world, family: str):
    world = make_world(family)
    issued = world.issue(f"{family}-issuing")
    world.clock.advance(seconds=5)
    world.revoke(issued, RevocationReason.SUPERSEDED)
    record = world.generate(f"{family}-issuing")
    crl = load(record)
    (entry,) = crl
    assert entry.serial_number == issued.serial
    assert entry.revocation_date_utc == world.clock.now()
    reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    assert reason is x509.ReasonFlags.superseded
    issuer = world.issuers[f"{family}-issuing"]
    assert crl.issuer.public_bytes() == issuer.subject
    tbs, identifier, signature = der.split_signed(record.der, what="the CRL")
    verify_signature(issuer.spki, signature_algorithm(identifier), tbs, signature)


def test_extensions_are_the_authority_key_identifier_and_the_number(world: World):
    record = world.generate("ec-issuing")
    crl = load(record)
    certificate = x509.load_der_x509_certificate(world.issuers["ec-issuing"].certificate)
    identifier = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    found = {extension.oid: extension for extension in crl.extensions}
    assert found.pop(x509.CRLNumber.oid).value.crl_number == record.number
    assert found.pop(x509.AuthorityKeyIdentifier.oid).value.key_identifier == (
        identifier.value.digest
    )
    assert not found


def test_an_empty_list_is_left_out(world: World):
    record = world.generate("ec-issuing")
    assert len(load(record)) == 0
    assert record.entries == 0
    # thisUpdate, nextUpdate, then the extensions at once.
    assert bytes.fromhex("5a3000a0") not in record.der


def test_unspecified_has_no_reason_code_and_hold_has_one(world: World):
    one, two = world.issue("ec-issuing"), world.issue("ec-issuing")
    world.revoke(one, RevocationReason.UNSPECIFIED)
    world.revocation.hold("ec-issuing", two.serial, actor="tester")
    crl = load(world.generate("ec-issuing"))
    assert len(crl.get_revoked_certificate_by_serial_number(one.serial).extensions) == 0
    held = crl.get_revoked_certificate_by_serial_number(two.serial)
    reason = held.extensions.get_extension_for_class(x509.CRLReason).value.reason
    assert reason is x509.ReasonFlags.certificate_hold


def test_release_from_hold_takes_the_entry_off(world: World):
    issued = world.issue("ec-issuing")
    world.revocation.hold("ec-issuing", issued.serial, actor="tester")
    assert world.generate("ec-issuing").entries == 1
    world.revocation.release("ec-issuing", issued.serial, actor="tester")
    assert world.generate("ec-issuing").entries == 0


def test_a_root_lists_its_issuing_cas(world: World):
    certificate = x509.load_der_x509_certificate(world.issuers["ec-issuing"].certificate)
    world.revocation.revoke(
        "ec-root", certificate.serial_number, RevocationReason.CA_COMPROMISE, actor="tester"
    )
    (entry,) = load(world.generate("ec-root"))
    assert entry.serial_number == certificate.serial_number


def test_an_entry_stays_until_one_crl_was_made_after_the_certificate_ended(world: World):
    issued = world.issue("ec-issuing", days=1)
    world.revoke(issued)
    assert world.generate("ec-issuing").entries == 1
    world.clock.advance(days=2)
    assert world.generate("ec-issuing").entries == 1
    world.clock.advance(hours=1)
    assert world.generate("ec-issuing").entries == 0


def test_next_update_does_not_outlive_the_issuer(world: World):
    certificate = x509.load_der_x509_certificate(world.issuers["ec-issuing"].certificate)
    ends = certificate.not_valid_after_utc
    world.clock.advance(seconds=(ends - world.clock.now()).total_seconds() - 3600)
    assert world.generate("ec-issuing").next_update == ends
    world.clock.advance(hours=1)
    with pytest.raises(Refused, match="has ended"):
        world.generate("ec-issuing")


def test_times_from_2050_on_are_generalized(clock: FakeClock):
    def tbs(year: int) -> bytes:
        moment = datetime(year, 1, 1, tzinfo=UTC)
        entry = RevokedEntry(5, moment, RevocationReason.UNSPECIFIED)
        return encode_tbs(
            CRLContent(
                issuer=der.sequence(),
                issuer_key_identifier=b"k" * 20,
                algorithm=bytes.fromhex("300a06082a8648ce3d040302"),
                number=1,
                this_update=moment,
                next_update=moment,
                entries=encode_entry(entry),
            )
        )

    assert tbs(2049).count(b"\x17\x0d490101000000Z") == 3
    assert tbs(2050).count(b"\x18\x0f20500101000000Z") == 3


def test_publishing_is_audited_in_the_same_transaction(world: World):
    record = world.generate("ec-issuing")
    action, actor, detail = world.audit.events[-1]
    assert (action, actor) == ("crl.published", "system")
    assert detail["number"] == record.number
    world.audit.broken = True
    with pytest.raises(AuditUnavailable):
        world.generate("ec-issuing")
    assert world.crl_store.find_current("ec-issuing") == record


def test_a_number_is_burned_when_the_key_is_out_of_reach(world: World):
    first = world.generate("ec-issuing")
    world.keystore.broken = True
    with pytest.raises(BackendUnavailable):
        world.generate("ec-issuing")
    world.keystore.broken = False
    assert world.generate("ec-issuing").number >= first.number + 2


def test_numbers_grow_over_a_database_that_forgot_the_last_ones(world: World):
    first = world.generate("ec-issuing")
    assert first.number >= int(world.clock.now().timestamp())
    with world.database.transaction() as connection:
        for table in ("crls", "crl_numbers"):
            connection.exec_driver_sql(f"DELETE FROM {table}")  # noqa: S608  (two constants)
    world.clock.advance(seconds=1)
    assert world.generate("ec-issuing").number > first.number


def test_a_clock_that_went_back_publishes_nothing(world: World):
    record = world.generate("ec-issuing")
    world.clock.advance(hours=-1)
    with pytest.raises(Conflict, match="clock"):
        world.generate("ec-issuing")
    assert world.crl_store.find_current("ec-issuing") == record


def test_eight_threads_publish_strictly_growing_numbers(world: World):
    seen: list[int] = []
    publish = world.crl_store.publish

    def remember(record: CRLRecord) -> None:
        publish(record)
        seen.append(record.number)

    world.crl_store.publish = remember
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: world.generate("ec-issuing"), range(24)))
    with world.database.reading() as connection:
        rows = connection.exec_driver_sql("SELECT number FROM crls ORDER BY number").all()
    published = [row[0] for row in rows]
    assert sorted(seen) == published == sorted(set(published))
    assert {record.number for record in made} == set(published)


def test_revocations_under_way_are_never_lost_from_the_newest_crl(world: World):
    issued = [world.issue("ec-issuing") for _ in range(12)]

    def revoke(one) -> int:
        world.revoke(one)
        listed = {entry.serial_number for entry in load(world.generate("ec-issuing"))}
        return one.serial in listed

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(revoke, issued))
    current = world.crl_store.find_current("ec-issuing")
    assert current.entries == 12
    assert current.position == world.store.revocation_position("ec-issuing")


def test_this_update_is_now_and_validity_is_as_configured(world: World):
    record = world.generate("ec-issuing")
    assert record.this_update == world.clock.now()
    assert record.next_update - record.this_update == timedelta(days=7)
