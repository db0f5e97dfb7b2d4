"""What every certificate and request store promises; on SQLite and on PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from ca.issuer import Issued, Prepared
from ca.reasons import RevocationReason
from ca.requests import Claim, EnrollmentRecord, Move, RequestState
from ca.serials import SerialNumber
from ca.sqlrequests import SQLRequestStore
from ca.sqlstore import SQLCertificateStore
from ca.store import CertificateQuery, CertificateState, IssuerRecord, StatusChange
from core.db import Database
from core.errors import Conflict, Malformed
from keystore.algorithms import SignatureAlgorithm
from tests.fakes.clock import FakeClock

NOW = FakeClock().now()
ISSUED, HELD, REVOKED = CertificateState.ISSUED, CertificateState.HELD, CertificateState.REVOKED


@pytest.fixture
def store(database: Database) -> SQLCertificateStore:
    return SQLCertificateStore(database)


def prepared(number: int, **changes) -> Prepared:
    made = Prepared(
        issuer="a",
        serial=SerialNumber((1 << 158) + number),
        profile="device",
        subject=f"CN=设备-{number},C=CN",
        not_before=NOW,
        not_after=NOW + timedelta(days=number + 1),
        tbs=b"tbs%d" % number,
        signature_algorithm=b"",
        spki=b"key%d" % number,
        requester="alice",
        request_id=None,
    )
    return replace(made, **changes)


def issue(store: SQLCertificateStore, number: int, **changes) -> SerialNumber:
    wanted = prepared(number, **changes)
    store.reserve_all([wanted], now=NOW)
    assert store.complete_all([Issued(wanted.issuer, wanted.serial, b"der%d" % number)], now=NOW)
    return wanted.serial


def revoke(serial: int, issuer: str = "a") -> StatusChange:
    return StatusChange(
        issuer, serial, (ISSUED, HELD), REVOKED, NOW, RevocationReason.SUPERSEDED, NOW, "bob"
    )


def test_a_serial_is_reserved_once(store: SQLCertificateStore) -> None:
    store.reserve_all([prepared(1)], now=NOW)
    with pytest.raises(Conflict):
        store.reserve_all([prepared(1)], now=NOW)
    store.reserve_all([prepared(1, issuer="b")], now=NOW)


def test_a_request_has_one_certificate_until_it_fails(store: SQLCertificateStore) -> None:
    first = prepared(1, request_id="r")
    store.reserve_all([first], now=NOW)
    with pytest.raises(Conflict):
        store.reserve_all([prepared(2, request_id="r")], now=NOW)
    store.fail("a", first.serial)
    store.reserve_all([prepared(2, request_id="r")], now=NOW)
    found = store.find_by_request("r")
    assert found is not None
    assert found.serial == prepared(2).serial


def test_a_conflict_ends_the_open_transaction_and_undoes_it(
    store: SQLCertificateStore, database: Database
) -> None:
    store.reserve_all([prepared(1)], now=NOW)
    with pytest.raises(Conflict), database.transaction():
        store.reserve_all([prepared(2)], now=NOW)
        store.reserve_all([prepared(1)], now=NOW)
    store.reserve_all([prepared(3)], now=NOW)
    assert [row.serial for row in store.list_reserved()] == [
        prepared(1).serial,
        prepared(3).serial,
    ]


def test_a_certificate_is_completed_once_and_keeps_its_first_octets(
    store: SQLCertificateStore,
) -> None:
    serial = issue(store, 1)
    assert not store.complete_all([Issued("a", serial, b"other")], now=NOW)
    record = store.find_certificate("a", serial)
    assert record is not None
    assert (record.der, record.state, record.issued_at) == (b"der1", ISSUED, NOW)
    assert record.fingerprint is not None
    assert store.find_by_fingerprint(record.fingerprint) == record


def test_many_are_reserved_all_or_none(store: SQLCertificateStore) -> None:
    store.reserve_all([prepared(1, request_id="r1"), prepared(2, request_id="r2")], now=NOW)
    with pytest.raises(Conflict):
        store.reserve_all([prepared(3, request_id="r3"), prepared(4, request_id="r1")], now=NOW)
    found = store.find_by_requests(["r1", "r2", "r3", "r4"])
    assert {name: record.serial for name, record in found.items()} == {
        "r1": prepared(1).serial,
        "r2": prepared(2).serial,
    }
    assert store.find_by_requests([]) == {}


def test_many_are_completed_or_the_caller_hears_that_one_was_not(
    store: SQLCertificateStore,
) -> None:
    one, two = (store.reserve_all([prepared(number)], now=NOW)[0] for number in (1, 2))
    made = [Issued("a", reserved.serial, b"der") for reserved in (one, two)]
    assert store.complete_all(made, now=NOW)
    store.reserve_all([prepared(3)], now=NOW)
    third = Issued("a", prepared(3).serial, b"der3")
    assert not store.complete_all([third, made[0]], now=NOW)


def test_what_fails_in_a_transaction_is_not_stored(
    store: SQLCertificateStore, database: Database
) -> None:
    with pytest.raises(RuntimeError), database.transaction():
        store.reserve_all([prepared(1)], now=NOW)
        raise RuntimeError
    assert store.find_status("a", prepared(1).serial) is None


def test_pages_are_complete_and_newest_first(store: SQLCertificateStore) -> None:
    serials = [issue(store, number) for number in range(7)]
    found, cursor = [], None
    while True:
        page = store.search_certificates(CertificateQuery(), cursor=cursor, limit=3)
        found += [record.serial for record in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert found == serials[::-1]
    with pytest.raises(Malformed):
        store.search_certificates(CertificateQuery(), cursor="-1")


def test_every_filter_finds_and_excludes(store: SQLCertificateStore) -> None:
    serials = [issue(store, number) for number in range(3)]
    other = issue(store, 3, issuer="b", profile="smime", subject="CN=50%_off")
    store.change_status(revoke(serials[0]))

    def found(**query) -> set[int]:
        return {r.serial for r in store.search_certificates(CertificateQuery(**query)).items}

    assert found(issuer="b") == {other}
    assert found(state=REVOKED) == {serials[0]}
    assert found(profile="smime") == {other}
    assert found(text="设备-1") == {serials[1]}
    assert found(text="50 Off") == {other}
    assert found(text="50 on") == set()
    assert found(serial=serials[2]) == {serials[2]}
    assert found(requester="nobody") == set()
    assert found(expires_after=NOW + timedelta(days=3)) == {serials[2], other}
    record = store.find_certificate("a", serials[1])
    assert record is not None
    assert found(fingerprint=record.fingerprint) == {serials[1]}
    assert found(expires_before=NOW + timedelta(days=2)) == {serials[0]}
    fingerprint = store.search_certificates(CertificateQuery(issuer="b")).items[0].spki_fingerprint
    assert found(spki_fingerprint=fingerprint) == {other}


@pytest.mark.parametrize("text", ["", " ", "%", "-_'"])
def test_a_text_without_a_word_is_refused(store: SQLCertificateStore, text: str) -> None:
    with pytest.raises(Malformed, match="no letter and no digit"):
        store.search_certificates(CertificateQuery(text=text))


def test_a_word_that_very_many_subjects_have_finds_them_newest_first(
    store: SQLCertificateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ca.sqlinventory._MANY", 3)
    serials = [issue(store, number, subject=f"CN=gate-{number},O=公安局") for number in range(6)]
    for text in ("gat", "公安", "安", "gate 公安局"):
        page = store.search_certificates(CertificateQuery(text=text), limit=4)
        assert [record.serial for record in page.items] == serials[:1:-1], text
        rest = store.search_certificates(
            CertificateQuery(text=text), cursor=page.next_cursor, limit=4
        )
        assert [record.serial for record in rest.items] == serials[1::-1]


def test_a_search_by_expiry_is_answered_soonest_first(store: SQLCertificateStore) -> None:
    serials = [issue(store, number) for number in (3, 1, 2)]
    query = CertificateQuery(expires_after=NOW, expires_before=NOW + timedelta(days=9))
    page = store.search_certificates(query, limit=2)
    assert [record.serial for record in page.items] == [serials[1], serials[2]]
    rest = store.search_certificates(query, cursor=page.next_cursor, limit=2)
    assert [record.serial for record in rest.items] == [serials[0]]
    with pytest.raises(Malformed, match="cursor"):
        store.search_certificates(CertificateQuery(), cursor=page.next_cursor)


def test_interrupted_rows_are_listed_until_marked(store: SQLCertificateStore) -> None:
    issue(store, 1)
    store.reserve_all([prepared(2)], now=NOW)
    assert [record.serial for record in store.list_reserved()] == [prepared(2).serial]
    store.mark_interrupted("a", prepared(2).serial, now=NOW)
    assert store.list_reserved() == []


def test_a_status_changes_only_from_what_was_expected(store: SQLCertificateStore) -> None:
    serial = issue(store, 1)
    assert store.change_status(revoke(serial)) == 1
    assert store.change_status(revoke(serial)) is None
    status = store.find_status("a", serial)
    assert status is not None
    assert (status.state, status.revoked_at, status.reason) == (
        REVOKED,
        NOW,
        RevocationReason.SUPERSEDED,
    )


def test_positions_count_per_issuer_without_gaps_under_concurrency(
    store: SQLCertificateStore,
) -> None:
    serials = [issue(store, number) for number in range(24)]
    other = issue(store, 99, issuer="b")
    with ThreadPoolExecutor(8) as threads:
        positions = list(threads.map(lambda s: store.change_status(revoke(s)), serials))
    assert sorted(p for p in positions if p) == list(range(1, 25))
    assert store.change_status(revoke(other, "b")) == 1
    assert (store.revocation_position("a"), store.revocation_position("b")) == (24, 1)
    assert store.revocation_position("c") == 0
    changes = store.list_changed("a", after=0, limit=100)
    assert [change.position for change in changes] == list(range(1, 25))
    assert {change.serial for change in changes if change.entry is not None} == set(serials)
    assert store.list_changed("a", after=5, limit=3) == changes[5:8]


def test_of_many_revocations_at_once_one_applies(store: SQLCertificateStore) -> None:
    serial = issue(store, 1)
    with ThreadPoolExecutor(8) as threads:
        positions = list(threads.map(lambda _: store.change_status(revoke(serial)), range(16)))
    assert [p for p in positions if p is not None] == [1]


def test_issuers_are_unique_and_parents_come_first(store: SQLCertificateStore) -> None:
    root = IssuerRecord("z-root", None, "memory:object=r", SignatureAlgorithm.SM2_SM3, b"r", NOW)
    child = replace(root, name="a-issuing", parent="z-root")
    store.add_issuer(child)
    store.add_issuer(root)
    assert store.list_issuers() == [root, child]
    assert store.find_issuer("z-root") == root
    with pytest.raises(Conflict):
        store.add_issuer(root)


# ---- requests -----------------------------------------------------------------------------------


@pytest.fixture
def requests(database: Database) -> SQLRequestStore:
    return SQLRequestStore(database)


def record(request_id: str) -> EnrollmentRecord:
    return EnrollmentRecord(
        request_id, RequestState.PENDING, "a", "device", "{}", True, "alice", NOW
    )


def test_a_claim_is_won_once(requests: SQLRequestStore) -> None:
    with ThreadPoolExecutor(8) as threads:
        wanted = [Claim(f"r{n}", "hash") for n in range(32)]
        won = list(threads.map(lambda c: requests.claim("alice", "key", c, now=NOW), wanted))
    assert len(set(won)) == 1
    assert requests.find_claim("alice", "key") == won[0]
    assert requests.find_claim("bob", "key") is None


def test_a_request_is_decided_once(requests: SQLRequestStore) -> None:
    requests.add_request(record("r"))

    def decide(name: str) -> bool:
        return requests.move(
            Move("r", (RequestState.PENDING,), RequestState.APPROVED, NOW, NOW, decided_by=name)
        )

    with ThreadPoolExecutor(8) as threads:
        decided = list(threads.map(decide, "abcdefghijklmnop"))
    assert sum(decided) == 1
    found = requests.find_request("r")
    assert found is not None
    assert found.decided_by == "abcdefghijklmnop"[decided.index(True)]


def test_a_request_is_issued_when_its_certificate_is(
    requests: SQLRequestStore, store: SQLCertificateStore
) -> None:
    requests.add_request(record("r"))
    serial = issue(store, 1, request_id="r")
    found = requests.find_request("r")
    assert found is not None
    assert (found.state, found.serial) == (RequestState.ISSUED, serial)
