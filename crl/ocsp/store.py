"""The local store: what holds for every certificate, and signed answers, in one LMDB file.

One process writes, any number read without a lock. An answer goes in only while the status it
was signed from is still the one in the store, and goes out in the transaction that changes this
status: who reads sees both as they were at one moment. The status log decides
(`crl.ocsp.follow`); this is a copy of it that can be made again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from ca.packedstatus import NUMBER, SERIAL_OCTETS, encode_status, position_in
from ca.store import CertificateStatus, StatusEntry
from core.gathering import Gathering
from crl.ocsp.block import read_header
from crl.ocsp.layout import PLACE, Place, decode_status, status_key
from crl.ocsp.parties import Parties
from crl.ocsp.storefile import StoreFile

if TYPE_CHECKING:
    import lmdb

_PLACE: Final = b"place"
_COMPLETE: Final = b"complete"
_PRODUCED: Final = b"produced"


@dataclass(frozen=True, slots=True)
class NewAnswer:
    """An answer on its way into the store."""

    status_key: bytes
    key: bytes
    octets: bytes
    produced_at: int
    ticket: int
    """`StatusStore.ticket` before the status was read that it says."""


class StatusStore:
    """The store of one host. Safe to share between threads; not between processes: open it anew."""

    def __init__(self, file: StoreFile) -> None:
        self._file = file
        self.parties = Parties(file)
        self._putting: Gathering[NewAnswer, bool] = Gathering(self.put_answers)

    @classmethod
    def open(cls, path: Path, *, gibibytes: int, writable: bool) -> Self:
        """Open the file, made when it is missing and `writable`. Raises `Misconfigured`.

        `gibibytes` is how large it may become; it takes what it needs.
        """
        return cls(StoreFile.open(path, gibibytes=gibibytes, writable=writable))

    def close(self) -> None:
        """Close the file, when nobody writes into it."""
        self._file.close()

    # ---- reading --------------------------------------------------------------------------------

    def place(self) -> Place | None:
        """Return up to where the log was applied; None: nothing was."""
        octets = self._file.get(self._file.meta, _PLACE)
        return None if octets is None else Place(*PLACE.unpack(octets))

    def is_complete(self) -> bool:
        """Whether the end of the log was reached once: before, a missing status says nothing."""
        return self._file.get(self._file.meta, _COMPLETE) is not None

    def find_status(self, issuer: str, serial: int) -> CertificateStatus | None:
        """Return the status in the store (`ca.store.StatusReader`)."""
        octets = self._find(issuer, serial)
        return None if octets is None else decode_status(octets)

    def look(self, issuer: str, serial: int) -> tuple[int, CertificateStatus | None]:
        """Return `ticket` and `find_status`, of one moment."""
        octets = self._find(issuer, serial)
        return (0, None) if octets is None else (position_in(octets), decode_status(octets))

    def ticket(self, issuer: str, serial: int) -> int:
        """Return what `put_answer` wants, to be drawn before the status is read; 0: no status."""
        octets = self._find(issuer, serial)
        return 0 if octets is None else position_in(octets)

    def last_produced(self) -> int:
        """Return the latest producedAt of an answer ever stored, in seconds since 1970."""
        return int.from_bytes(self._file.get(self._file.meta, _PRODUCED) or b"", "big")

    def statuses(
        self, *, first_octets: range = range(256)
    ) -> Iterator[tuple[str, int, CertificateStatus]]:
        """Return everything that is known: issuer, serial and status, by issuer and serial.

        `first_octets`: only of serial numbers whose first of 20 octets is one of these.
        """
        for number, name in sorted(self.parties.names().items()):
            begin = NUMBER.pack(number) + bytes((first_octets.start,))
            with self._file.environment.begin(db=self._file.statuses) as transaction:
                cursor = transaction.cursor()
                found = cursor.set_range(begin)
                while found:
                    key, octets = cursor.item()
                    if not key.startswith(begin[: NUMBER.size]) or key[2] >= first_octets.stop:
                        break
                    serial = int.from_bytes(key[NUMBER.size :], "big")
                    yield name, serial, decode_status(octets)
                    found = cursor.next()

    def state(self) -> int:
        """Return a number that changes with everything that is written into the store."""
        transaction = self._file.environment.begin()
        number: int = transaction.id()
        transaction.abort()
        return number

    def find_answer(self, key: bytes) -> tuple[int, bytes | None]:
        """Return `state` and the block (`crl.ocsp.block`) under a key, of one moment."""
        transaction = self._file.environment.begin(self._file.answers)
        state: int = transaction.id()
        block: bytes | None = transaction.get(key)
        transaction.abort()
        return state, block

    def has_status(self, key: bytes, held: lmdb.Transaction | None = None) -> bool:
        """Whether there is a status under a key, now or as a transaction sees it."""
        transaction = held or self._file.environment.begin()
        found = transaction.get(key, db=self._file.statuses) is not None
        if held is None:
            transaction.abort()
        return found

    def begin_reading(self) -> lmdb.Transaction:
        """Return a transaction that sees the answers as they are now; to be ended soon."""
        return self._file.environment.begin(self._file.answers)

    # ---- writing --------------------------------------------------------------------------------

    def apply(self, entries: Sequence[StatusEntry], *, complete: bool) -> None:
        """Take in entries of the log, in their order, and forget the answers they end.

        `complete`: they reach the end of the log. Raises `Unavailable` when it cannot be written.
        """
        with self._file.writing() as transaction:
            items = sorted(self._items_of(transaction, entries).items())
            with transaction.cursor(self._file.answers) as answers:
                if answers.first():
                    for key, _ in items:
                        _forget(answers, key)
            with transaction.cursor(self._file.statuses) as statuses:
                statuses.putmulti(items)
            changed = {one.serial for one in entries if one.state != "issued"}
            self.parties.withdraw(transaction, changed)
            if entries:
                last = entries[-1]
                self._put_place(transaction, Place(last.position, last.mark))
            if complete:
                transaction.put(_COMPLETE, b"1", db=self._file.meta)

    def fill(self, portions: Iterable[Sequence[tuple[bytes, bytes]]], place: Place) -> None:
        """Make these all statuses there are: keys ascending, nothing twice, applied up to `place`.

        A kill half way leaves a store without a place, which is filled anew.
        """
        with self._file.writing() as transaction:
            transaction.drop(self._file.statuses, delete=False)
            transaction.drop(self._file.answers, delete=False)
        for items in portions:
            with (
                self._file.writing() as transaction,
                transaction.cursor(self._file.statuses) as statuses,
            ):
                statuses.putmulti(items, append=True)
        with self._file.writing() as transaction:
            self._put_place(transaction, place)

    def give_numbers(self, issuers: Iterable[str]) -> dict[str, int]:
        """Return the numbers of these issuers; who is new is given one."""
        with self._file.writing() as transaction:
            return {name: self.parties.give_number(transaction, name) for name in issuers}

    def put_answer(self, answer: NewAnswer) -> bool:
        """Take an answer in. False: its status changed meanwhile, so it must not be given."""
        return self._putting.ask(answer)

    def put_answers(self, answers: Sequence[NewAnswer]) -> list[bool]:
        """Take several in at once, like `put_answer`."""
        with self._file.writing() as transaction:
            taken = []
            for answer in answers:
                octets = transaction.get(answer.status_key, db=self._file.statuses)
                fits = octets is not None and position_in(octets) == answer.ticket
                if fits:
                    transaction.put(answer.key, answer.octets, db=self._file.answers)
                taken.append(fits)
            latest = max(one.produced_at for one in answers)
            before = int.from_bytes(transaction.get(_PRODUCED, db=self._file.meta) or b"", "big")
            if latest > before:
                transaction.put(_PRODUCED, latest.to_bytes(8, "big"), db=self._file.meta)
        return taken

    def sweep(self, now: int, *, after: bytes, most: int) -> tuple[bytes, int | None]:
        """Forget answers that hold no more, of the next `most` behind the key `after`.

        Returns the key to go on behind, empty at the end, and when the oldest of those that stay
        was signed. What nobody asks about any more would be kept for ever.
        """
        oldest: int | None = None
        ended = []
        last = b""
        with self._file.environment.begin(db=self._file.answers, buffers=True) as transaction:
            cursor = transaction.cursor()
            found = cursor.set_range(after + b"\0") if after else cursor.first()
            for _ in range(most):
                if not found:
                    last = b""
                    break
                last = bytes(cursor.key())
                header = read_header(cursor.value())
                if header.until <= now:
                    ended.append(last)
                else:
                    oldest = min(oldest or header.produced_at, header.produced_at)
                found = cursor.next()
        if ended:
            self._forget_ended(ended, now)
        return last, oldest

    def tidy(self) -> None:
        """Let go of readers that were killed: what they saw would be kept for them for ever."""
        self._file.environment.reader_check()

    def copy(self, path: Path) -> None:
        """Write a copy as it is at this moment, to carry elsewhere."""
        self._file.environment.copy(str(path), compact=True)

    # ---- below ----------------------------------------------------------------------------------

    def _find(self, issuer: str, serial: int) -> bytes | None:
        number = self.parties.number_of(issuer)
        if number is None or not 0 < serial < 1 << 8 * SERIAL_OCTETS:
            return None
        return self._file.get(self._file.statuses, status_key(number, serial))

    def _items_of(
        self, transaction: lmdb.Transaction, entries: Iterable[StatusEntry]
    ) -> dict[bytes, bytes]:
        prefixes = {
            name: NUMBER.pack(self.parties.give_number(transaction, name))
            for name in {one.issuer for one in entries}
        }
        # The last entry of a certificate is what holds.
        return {
            prefixes[entry.issuer] + bytes.fromhex(entry.serial): encode_status(entry)
            for entry in entries
        }

    def _put_place(self, transaction: lmdb.Transaction, place: Place) -> None:
        transaction.put(_PLACE, PLACE.pack(place.position, place.mark), db=self._file.meta)

    def _forget_ended(self, keys: Sequence[bytes], now: int) -> None:
        with self._file.writing() as transaction:
            for key in keys:
                # It may have been made anew meanwhile.
                block = transaction.get(key, db=self._file.answers)
                if block is not None and read_header(block).until <= now:
                    transaction.delete(key, db=self._file.answers)


def _forget(answers: lmdb.Cursor, key: bytes) -> None:
    """Delete every answer about one certificate."""
    found = answers.set_range(key)
    while found and bytes(answers.key()).startswith(key):
        found = answers.delete()
