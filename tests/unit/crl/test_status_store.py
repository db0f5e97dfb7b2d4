"""The local store and its follower: `ocsp.md`'s traps of races, restarts and restored databases."""

from __future__ import annotations

import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ca.packedstatus import NUMBER, encode_status
from ca.serials import to_hex
from ca.store import CertificateState, StatusEntry
from core.errors import Misconfigured, Unavailable
from crl.ocsp import block, follow, rebuild, upkeep
from crl.ocsp.follow import LogFollower, OtherHistory
from crl.ocsp.layout import OTHER_ANSWERS, status_key
from crl.ocsp.localstatus import LocalStatus
from crl.ocsp.pulse import Pulse, Trust, elapsed
from crl.ocsp.store import NewAnswer, StatusStore
from crl.ocsp.tally import LENGTH, MAX_ISSUERS, Count, answers_in, place_of, said_by
from crl.ocsp.upkeep import Upkeep
from crl.status import Status
from tests.fakes.clock import FakeClock

CA = "ec-issuing"


@dataclass
class MemoryLog:
    """A status log that a test writes, restores and takes away."""

    entries: list[StatusEntry] = field(default_factory=list)
    away: bool = False
    packed: int = 0

    def add(self, serial: int, state: str = "issued", reason: str | None = None) -> None:
        self.entries.append(
            StatusEntry(
                position=self.entries[-1].position + 1 if self.entries else 1,
                mark=secrets.randbits(63),
                issuer=CA,
                serial=to_hex(serial),
                state=state,
                reason=reason,
                revoked_at=None if state == "issued" else 1_700_000_000,
                not_after=2_000_000_000,
                changed_at=None if not self.entries else 1_700_000_000,
            )
        )

    def read_log(self, *, since: int, limit: int) -> Sequence[StatusEntry]:
        if self.away:
            raise Unavailable("away")
        return [one for one in self.entries if one.position >= since][:limit]

    def version(self) -> int | None:
        return None

    def wait(self, seconds: float, stop: threading.Event) -> None:
        stop.wait(seconds)

    def find_last(self) -> StatusEntry | None:
        return self.entries[-1] if self.entries else None

    def list_issuers(self) -> Sequence[str]:
        return sorted({one.issuer for one in self.entries})

    def pack(self, after: int, through: int, numbers: Mapping[str, int]) -> bytes:
        self.packed += 1
        if self.away:
            raise Unavailable("away")
        return b"".join(
            NUMBER.pack(numbers[one.issuer]) + bytes.fromhex(one.serial) + encode_status(one)
            for one in self.entries
            if after < one.position <= through
        )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StatusStore]:
    opened = open_store(tmp_path)
    yield opened
    opened.close()


def open_store(directory: Path, *, writable: bool = True) -> StatusStore:
    return StatusStore.open(directory / "status.lmdb", gibibytes=1, writable=writable)


@pytest.fixture
def pulse(tmp_path: Path) -> Pulse:
    return Pulse(tmp_path / "pulse")


@pytest.fixture
def status_log() -> MemoryLog:
    return MemoryLog()


@pytest.fixture
def follower(
    status_log: MemoryLog, store: StatusStore, pulse: Pulse, tmp_path: Path
) -> LogFollower:
    return LogFollower(status_log, store, pulse, directory=tmp_path)


def answer(store: StatusStore, serial: int, ticket: int, octets: bytes = b"good") -> NewAnswer:
    key = status_key(store.parties.number_of(CA) or 0, serial)
    return NewAnswer(key, key + b"\0\0", octets, produced_at=1_800_000_000, ticket=ticket)


def stored(store: StatusStore, serial: int) -> bytes | None:
    return store.find_answer(status_key(store.parties.number_of(CA) or 0, serial) + b"\0\0")[1]


def test_what_the_log_says_last_holds(follower, status_log, store):
    status_log.add(7)
    status_log.add(1 << 158)
    status_log.add(7, "held", "certificateHold")
    status_log.add(8)
    follower.follow()
    held, other = store.find_status(CA, 7), store.find_status(CA, 1 << 158)
    assert (held.state, held.reason) == (CertificateState.HELD, "certificateHold")
    assert (other.state, other.reason, other.revoked_at) == (CertificateState.ISSUED, None, None)
    assert store.find_status(CA, 9) is None
    assert store.find_status("another", 7) is None
    for strange in (0, -1, 1 << 160):
        assert store.find_status(CA, strange) is None
    status_log.add(7)
    follower.follow()
    assert store.find_status(CA, 7).state is CertificateState.ISSUED
    assert {serial for _, serial, _ in store.statuses()} == {7, 8, 1 << 158}


def test_a_long_log_is_taken_in_by_portions_and_goes_on_where_it_was_killed(
    follower, status_log, store, monkeypatch
):
    monkeypatch.setattr(follow, "_PORTION", 4)
    for serial in range(1, 11):
        status_log.add(serial)
    apply = store.apply

    def dies(entries: Sequence[StatusEntry], *, complete: bool) -> None:
        if entries[0].position > 4:
            raise Unavailable("killed")
        apply(entries, complete=complete)

    monkeypatch.setattr(store, "apply", dies)
    with pytest.raises(Unavailable):
        follower.follow()
    assert store.place().position == 4
    # Half of the statuses: what is missing may be issued all the same.
    assert not store.is_complete()
    monkeypatch.setattr(store, "apply", apply)
    follower.follow()
    assert store.is_complete()
    assert store.find_status(CA, 10).state is CertificateState.ISSUED


def test_an_empty_store_is_filled_with_a_long_log_in_one_pass(
    follower, status_log, store, monkeypatch
):
    monkeypatch.setattr(follow, "_LONG", 10)
    monkeypatch.setattr(rebuild, "_RANGE", 7)
    serials = [1, 255, 256, 1 << 158, (1 << 160) - 1, *range(1 << 150, 1 << 159, 1 << 156)]
    for serial in [*serials, *reversed(serials)]:
        status_log.add(serial)
    status_log.add(256, "held", "certificateHold")
    status_log.add(1, "held", "certificateHold")
    status_log.add(1)
    follower.follow()
    assert status_log.packed == -(-len(status_log.entries) // 7)
    assert store.is_complete()
    assert store.place().position == status_log.entries[-1].position
    assert [serial for _, serial, _ in store.statuses()] == sorted(serials)
    for entry in {one.serial: one for one in status_log.entries}.values():
        serial = int(entry.serial, 16)
        assert store.ticket(CA, serial) == entry.position
        assert store.find_status(CA, serial).state == entry.state
    status_log.add(255, "revoked", "keyCompromise")
    follower.follow()
    assert store.find_status(CA, 255).state is CertificateState.REVOKED


def test_a_rebuild_that_was_killed_begins_anew(follower, status_log, store, monkeypatch):
    monkeypatch.setattr(follow, "_LONG", 2)
    for serial in (7, 8, 1 << 158):
        status_log.add(serial)

    def dies(*_: object) -> None:
        raise Unavailable("killed")

    with monkeypatch.context() as patched:
        patched.setattr(store, "_put_place", dies)
        with pytest.raises(Unavailable):
            follower.follow()
    assert store.place() is None
    assert not store.is_complete()
    follower.follow()
    assert {serial for _, serial, _ in store.statuses()} == {7, 8, 1 << 158}


# ---- upkeep -------------------------------------------------------------------------------------


def test_answers_that_ended_are_swept_out_a_portion_at_a_time(
    follower, status_log, store, clock: FakeClock, monkeypatch
):
    monkeypatch.setattr(upkeep, "_PORTION", 3)
    monkeypatch.setattr(upkeep, "_PORTIONS", 2)
    now = int(clock.now().timestamp())
    for serial in range(1, 11):
        status_log.add(serial)
    follower.follow()
    for serial in range(1, 11):
        ends = now + 100 if serial % 2 else now
        octets = block._HEADER.pack(now - serial, ends, now, now, 1, 0, 0)
        assert store.put_answer(answer(store, serial, store.ticket(CA, serial), octets))

    def left() -> list[int]:
        return [serial for serial in range(1, 11) if stored(store, serial) is not None]

    pulse = follower._pulse
    rounds = Upkeep(store, pulse, clock)
    rounds.run()
    assert left() == [1, 3, 5, 7, 8, 9, 10]
    rounds.run()
    assert left() == [1, 3, 5, 7, 9]
    assert pulse.oldest == now - 9
    clock.advance(seconds=101)
    rounds.run()
    assert left() == []


def test_an_answer_made_anew_while_it_is_swept_stays(follower, status_log, store, monkeypatch):
    status_log.add(7)
    follower.follow()
    old, new = (block._HEADER.pack(0, until, 0, 0, 1, 0, 0) for until in (100, 200))
    assert store.put_answer(answer(store, 7, store.ticket(CA, 7), old))
    forget = store._forget_ended

    def overtaken(keys: Sequence[bytes], now: int) -> None:
        assert store.put_answer(answer(store, 7, store.ticket(CA, 7), new))
        forget(keys, now)

    monkeypatch.setattr(store, "_forget_ended", overtaken)
    store.sweep(100, after=b"", most=10)
    assert stored(store, 7) == new


def test_a_reader_that_was_killed_is_let_go_of(store, tmp_path):
    code = (
        "import lmdb, os, sys; file = lmdb.open(sys.argv[1], subdir=False, max_dbs=8);"
        "view = file.begin(); os.kill(os.getpid(), 9)"
    )
    path = str(tmp_path / "status.lmdb")
    subprocess.run([sys.executable, "-c", code, path], check=False)
    assert len(store._file.environment.readers().splitlines()) > 1
    store.tidy()
    assert "(no active readers)" in store._file.environment.readers()


# ---- trap 15: races -----------------------------------------------------------------------------


def test_a_good_that_was_read_before_the_revocation_does_not_come_in_after_it(
    follower, status_log, store
):
    status_log.add(7)
    follower.follow()
    ticket = store.ticket(CA, 7)
    status_log.add(7, "revoked", "keyCompromise")
    follower.follow()
    assert not store.put_answer(answer(store, 7, ticket))
    assert stored(store, 7) is None
    assert store.put_answer(answer(store, 7, store.ticket(CA, 7), b"revoked"))
    assert stored(store, 7) == b"revoked"


def test_a_change_takes_the_answers_of_its_certificate_along_and_no_others(
    follower, status_log, store
):
    for serial in (7, 8):
        status_log.add(serial)
    follower.follow()
    for serial in (7, 8):
        assert store.put_answer(answer(store, serial, store.ticket(CA, serial)))
    status_log.add(7, "held", "certificateHold")
    follower.follow()
    assert (stored(store, 7), stored(store, 8)) == (None, b"good")


def test_an_answer_about_what_was_never_issued_is_not_stored(follower, status_log, store):
    status_log.add(7)
    follower.follow()
    assert not store.put_answer(answer(store, 9, store.ticket(CA, 9)))


def test_a_certificate_is_known_as_soon_as_it_is_asked_about(follower, status_log, store, pulse):
    status = LocalStatus(store, pulse, follower.follow)
    follower.follow()
    status_log.add(7)
    assert status.find_status(CA, 7) is None
    assert status.ticket(CA, 7) == 1
    assert status.find_status(CA, 7).state is CertificateState.ISSUED


def test_a_peek_says_what_the_store_may_not_have_and_writes_nothing(follower, status_log, store):
    # A store without a place is filled first.
    status_log.add(7)
    assert set(follower.peek()) == set()
    assert store.find_status(CA, 7) is not None
    status_log.add(8)
    status_log.add(7, "revoked", "keyCompromise")
    for _ in range(2):
        assert set(follower.peek()) == {7, 8}
        assert store.find_status(CA, 8) is None
    follower.follow()
    assert set(follower.peek()) == set()


def test_a_peek_reads_the_log_again_only_after_a_commit(follower, status_log, monkeypatch):
    commits = 1
    monkeypatch.setattr(status_log, "version", lambda: commits)
    status_log.add(7)
    follower.follow()
    monkeypatch.setattr(status_log, "away", True)
    assert set(follower.peek()) == set()
    commits, status_log.away = 2, False
    status_log.add(8)
    assert set(follower.peek()) == {8}
    status_log.away = True
    assert set(follower.peek()) == {8}
    commits = 3
    with pytest.raises(Unavailable):
        follower.peek()


def test_a_peek_at_a_long_rest_of_the_log_follows_it(follower, status_log, store, monkeypatch):
    status_log.add(1)
    follower.follow()
    monkeypatch.setattr(follow, "_PORTION", 3)
    for serial in range(2, 9):
        status_log.add(serial)
    assert set(follower.peek()) == set()
    assert store.find_status(CA, 8) is not None


def test_a_peek_at_a_database_of_another_history_says_so(follower, status_log):
    status_log.add(7)
    follower.follow()
    status_log.entries.clear()
    with pytest.raises(OtherHistory):
        follower.peek()


def test_while_the_database_is_away_what_is_missing_is_not_said_to_be_unknown(
    follower, status_log, store, pulse
):
    status_log.add(7)
    follower.follow()
    status = LocalStatus(store, pulse, follower.follow)
    pulse.hear(elapsed() - 5)
    assert status.ticket(CA, 7) == 1
    with pytest.raises(Unavailable):
        status.ticket(CA, 8)


# ---- trap 16: restart ---------------------------------------------------------------------------


def test_statuses_and_answers_are_there_again_after_a_restart(
    follower, status_log, store, tmp_path
):
    status_log.add(7)
    follower.follow()
    store.put_answer(answer(store, 7, store.ticket(CA, 7)))
    store.close()
    again = open_store(tmp_path)
    assert again.place().position == 1
    assert again.find_status(CA, 7).state is CertificateState.ISSUED
    assert stored(again, 7) == b"good"
    # Trap 17: nothing is signed before this, whatever the clock says then.
    assert again.last_produced() == 1_800_000_000
    status_log.add(7, "revoked", "keyCompromise")
    LogFollower(status_log, again, Pulse(tmp_path / "pulse"), directory=tmp_path).follow()
    assert stored(again, 7) is None
    again.close()


# ---- an older database was put back -------------------------------------------------------------


@pytest.mark.parametrize("loss", [(1, 0), (1, 1), (2, 1), (2, 5)])
def test_a_database_that_forgot_something_is_not_followed(follower, status_log, store, pulse, loss):
    lost, written_since = loss
    status_log.add(7)
    status_log.add(8)
    status_log.add(7, "revoked", "keyCompromise")
    follower.follow()
    del status_log.entries[-lost:]
    # It may have gone on, and past the positions that are known.
    for serial in range(20, 20 + written_since):
        status_log.add(serial)
    for _ in range(2):
        with pytest.raises(OtherHistory, match="older than what this host knows"):
            follower.follow()
    assert pulse.trust is Trust.DIVERGED
    assert store.find_status(CA, 7).state is CertificateState.REVOKED


def test_an_empty_database_is_another_history(follower, status_log):
    status_log.add(7)
    follower.follow()
    status_log.entries.clear()
    with pytest.raises(OtherHistory):
        follower.follow()


# ---- what cannot be written ---------------------------------------------------------------------


def test_a_change_that_cannot_be_stored_ends_every_answer_until_it_can(
    follower, status_log, store, pulse, monkeypatch
):
    status_log.add(7)
    follower.follow()
    status_log.add(7, "revoked", "keyCompromise")

    def full(*_: object, **__: object) -> None:
        raise Unavailable("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(store, "apply", full)
        with pytest.raises(Unavailable):
            follower.after_change(CA)
        assert pulse.distrusted
        with pytest.raises(Unavailable):
            LocalStatus(store, pulse, follower.follow).find_status(CA, 7)
    follower.follow()
    assert not pulse.distrusted
    assert store.find_status(CA, 7).state is CertificateState.REVOKED


def test_a_store_that_is_full_says_so(follower, status_log, store):
    status_log.add(7)
    follower.follow()
    store._file.environment.set_mapsize(64 * 1024)
    with pytest.raises(Unavailable, match="cannot be written"):
        store.put_answer(answer(store, 7, store.ticket(CA, 7), bytes(1_000_000)))
    assert store.find_status(CA, 7) is not None


def test_what_is_no_store_is_said_in_one_sentence(tmp_path):
    (tmp_path / "status.lmdb").write_bytes(b"something else" * 1000)
    with pytest.raises(Misconfigured, match="delete it"):
        open_store(tmp_path)


# ---- trap 22: readers ---------------------------------------------------------------------------


def test_a_reader_sees_each_change_at_once_and_holds_no_old_view(follower, status_log, store):
    status_log.add(7)
    follower.follow()
    for turn in range(20):
        store.put_answer(answer(store, 7, store.ticket(CA, 7), bytes([turn]) * 3000))
        assert stored(store, 7) == bytes([turn]) * 3000
    # An old view would have kept the pages of each turn.
    assert store._file.environment.info()["last_pgno"] < 60


def test_closing_waits_for_who_writes_and_ends_later_writes(tmp_path):
    store = open_store(tmp_path)
    ended = []

    def write() -> None:
        with pytest.raises(Unavailable):
            while True:
                store.give_numbers([CA])
        ended.append(True)

    writers = [threading.Thread(target=write, daemon=True) for _ in range(4)]
    for writer in writers:
        writer.start()
    store.give_numbers([CA])
    store.close()
    for writer in writers:
        writer.join(30)
    assert len(ended) == len(writers)


def test_it_is_settled_once_the_log_was_read_or_cannot_be(follower, status_log, pulse):
    assert not pulse.settled
    status_log.away = True
    with pytest.raises(Unavailable):
        follower.follow()
    assert pulse.settled
    pulse.restart()
    assert not pulse.settled
    status_log.away = False
    follower.follow()
    assert pulse.settled


def test_counts_of_all_processes_are_added(pulse, tmp_path):
    other = Pulse(tmp_path / "pulse")
    first, second = [0] * LENGTH, [0] * LENGTH
    first[Count.UNAUTHORIZED], second[Count.UNAUTHORIZED] = 6, 1
    revoked = place_of(3, said_by([Status.GOOD, Status.REVOKED]), stored=True)
    unknown = place_of(MAX_ISSUERS + 1, said_by([Status.UNKNOWN]), stored=False)
    first[revoked], second[revoked], second[unknown] = 1, 10, 5
    pulse.count(0, first)
    other.count(3, second)
    assert pulse.counts()[Count.UNAUTHORIZED] == 7
    assert list(answers_in(other.counts())) == [
        (0, Status.UNKNOWN, False, 5),
        (3, Status.REVOKED, True, 11),
    ]
    pulse.restart()
    assert set(other.counts()) == {0}


def test_answers_of_the_release_before_are_dropped_and_statuses_stay(
    follower, status_log, store, tmp_path
):
    status_log.add(7)
    follower.follow()
    assert store.put_answer(answer(store, 7, store.ticket(CA, 7)))
    with store._file.writing() as transaction:
        transaction.put(b"version", OTHER_ANSWERS, db=store._file.meta)
    store.close()
    with pytest.raises(Misconfigured):
        StatusStore.open(tmp_path / "status.lmdb", gibibytes=1, writable=False)
    for _ in range(2):
        again = StatusStore.open(tmp_path / "status.lmdb", gibibytes=1, writable=True)
        assert again.ticket(CA, 7)
        assert stored(again, 7) is None
        again.close()
