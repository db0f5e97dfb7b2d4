"""The local store: what holds for every certificate, and signed answers, in one LMDB file.

One process writes, any number read without a lock. An answer goes in only while the status it
was signed from is still the one in the store, and goes out in the transaction that changes this
status: who reads sees both as they were at one moment. The status log decides
(`crl.ocsp.follow`); this is a copy of it that can be made again.
"""

from __future__ import annotations

import json
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import lmdb
from cryptography import x509

from ca.serials import to_hex
from ca.store import CertificateStatus, StatusEntry
from core.errors import Misconfigured, Unavailable
from core.gathering import Gathering
from crl.ocsp.layout import (
    NUMBER,
    PLACE,
    SERIAL_OCTETS,
    VERSION,
    KnownIssuer,
    Place,
    decode_status,
    encode_status,
    position_in,
    status_key,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_READERS: Final = 1024
_GIBIBYTE: Final = 1 << 30
_PLACE: Final = b"place"
_COMPLETE: Final = b"complete"
_PRODUCED: Final = b"produced"
_TABLES: Final = b"tables"
_WITHDRAWN: Final = b"withdrawn:"


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

    def __init__(self, environment: lmdb.Environment, *, writable: bool) -> None:
        self._environment = environment
        self._meta = environment.open_db(b"meta", create=writable)
        self._statuses = environment.open_db(b"statuses", create=writable)
        self._answers = environment.open_db(b"answers", create=writable)
        self._issuers = environment.open_db(b"issuers", create=writable)
        self._responders = environment.open_db(b"responders", create=writable)
        self._numbers: dict[str, int] = {}
        self._write_lock = threading.Lock()
        self._putting: Gathering[NewAnswer, bool] = Gathering(self._put)

    @classmethod
    def open(cls, path: Path, *, gibibytes: int, writable: bool) -> Self:
        """Open the file, made when it is missing and `writable`. Raises `Misconfigured`.

        `gibibytes` is how large it may become; it takes what it needs.
        """
        try:
            environment = lmdb.open(
                str(path),
                subdir=False,
                map_size=gibibytes * _GIBIBYTE,
                max_dbs=8,
                max_readers=_READERS,
                readonly=not writable,
                readahead=False,
                # A power cut may take the last transaction, and never the file: the log is read
                # again from where the store is.
                metasync=False,
                mode=0o600,
            )
            store = cls(environment, writable=writable)
            store._check_version(writable=writable)
        except lmdb.Error as error:
            raise Misconfigured(
                f"the store {path} cannot be used ({error}): delete it, and it is made again"
            ) from error
        return store

    def close(self) -> None:
        """Close the file, when nobody writes into it."""
        # lmdb 3.0 waits for ever for a transaction that another thread begins while it closes.
        with self._write_lock:
            self._environment.close()

    # ---- reading --------------------------------------------------------------------------------

    def place(self) -> Place | None:
        """Return up to where the log was applied; None: nothing was."""
        octets = self._get(self._meta, _PLACE)
        return None if octets is None else Place(*PLACE.unpack(octets))

    def is_complete(self) -> bool:
        """Whether the end of the log was reached once: before, a missing status says nothing."""
        return self._get(self._meta, _COMPLETE) is not None

    def find_status(self, issuer: str, serial: int) -> CertificateStatus | None:
        """Return the status in the store (`ca.store.StatusReader`)."""
        octets = self._find(issuer, serial)
        return None if octets is None else decode_status(octets)

    def ticket(self, issuer: str, serial: int) -> int:
        """Return what `put_answer` wants, to be drawn before the status is read; 0: no status."""
        octets = self._find(issuer, serial)
        return 0 if octets is None else position_in(octets)

    def last_produced(self) -> int:
        """Return the latest producedAt of an answer ever stored, in seconds since 1970."""
        return int.from_bytes(self._get(self._meta, _PRODUCED) or b"", "big")

    def tables(self) -> bytes:
        """Return something that changes when issuers or responders do."""
        return self._get(self._meta, _TABLES) or b""

    def issuers(self) -> list[KnownIssuer]:
        """Return the issuers with their certificates."""
        return [
            _issuer(name.decode(), octets)
            for name, octets in self._items(self._issuers)
            if octets[NUMBER.size :]
        ]

    def responders(self) -> dict[int, bytes]:
        """Return the certificates (DER) of the responders whose answers are good, by number."""
        return {
            NUMBER.unpack(number)[0]: certificate
            for number, certificate in self._items(self._responders)
            if not certificate.startswith(_WITHDRAWN)
        }

    def statuses(self) -> Iterator[tuple[str, int, CertificateStatus]]:
        """Return everything that is known: issuer, serial and status, in no promised order."""
        names = {
            octets[: NUMBER.size]: name.decode() for name, octets in self._items(self._issuers)
        }
        for key, octets in self._items(self._statuses):
            serial = int.from_bytes(key[NUMBER.size :], "big")
            yield names[key[: NUMBER.size]], serial, decode_status(octets)

    def state(self) -> int:
        """Return a number that changes with everything that is written into the store."""
        transaction = self._environment.begin()
        number: int = transaction.id()
        transaction.abort()
        return number

    def find_answer(self, key: bytes) -> bytes | None:
        """Return the block (`crl.ocsp.block`) under a key, as it is now."""
        transaction = self._environment.begin(self._answers)
        block: bytes | None = transaction.get(key)
        transaction.abort()
        return block

    # ---- writing --------------------------------------------------------------------------------

    def apply(self, entries: Sequence[StatusEntry], *, complete: bool) -> None:
        """Take in entries of the log, in their order, and forget the answers they end.

        `complete`: they reach the end of the log. Raises `Unavailable` when it cannot be written.
        """
        with self._writing() as transaction:
            items = sorted(self._items_of(transaction, entries).items())
            with transaction.cursor(self._answers) as answers:
                if answers.first():
                    for key, _ in items:
                        _forget(answers, key)
            with transaction.cursor(self._statuses) as statuses:
                statuses.putmulti(items)
            self._withdraw(transaction, {one.serial for one in entries if one.state != "issued"})
            if entries:
                last = entries[-1]
                transaction.put(_PLACE, PLACE.pack(last.position, last.mark), db=self._meta)
            if complete:
                transaction.put(_COMPLETE, b"1", db=self._meta)

    def put_answer(self, answer: NewAnswer) -> bool:
        """Take an answer in. False: its status changed meanwhile, so it must not be given."""
        return self._putting.ask(answer)

    def keep_issuers(self, issuers: Iterable[KnownIssuer]) -> None:
        """Make these the issuers that are answered for; their `number` is ours to give."""
        with self._writing() as transaction:
            changed = False
            for issuer in issuers:
                number = self._number(transaction, issuer.name)
                octets = NUMBER.pack(number) + _encode(issuer)
                if transaction.get(issuer.name.encode(), db=self._issuers) != octets:
                    transaction.put(issuer.name.encode(), octets, db=self._issuers)
                    changed = True
            if changed:
                self._touch(transaction)

    def responder_number(self, certificate: bytes) -> int:
        """Return the number of a responder's certificate, which is given one when it is new.

        Raises `Unavailable` for one that was revoked.
        """
        for key, octets in self._items(self._responders):
            if octets == certificate:
                return int(NUMBER.unpack(key)[0])
            if octets == _WITHDRAWN + certificate:
                raise Unavailable("the OCSP responder was revoked, and there is no other yet")
        with self._writing() as transaction, transaction.cursor(self._responders) as cursor:
            number = NUMBER.unpack(cursor.key())[0] + 1 if cursor.last() else 1
            cursor.put(NUMBER.pack(number), certificate)
            self._touch(transaction)
        return int(number)

    def drop_answers(self) -> None:
        """Forget every answer: room is needed, or they are not to be believed."""
        with self._writing() as transaction:
            transaction.drop(self._answers, delete=False)

    def tidy(self) -> None:
        """Let go of readers that were killed: what they saw would be kept for them for ever."""
        self._environment.reader_check()

    def copy(self, path: Path) -> None:
        """Write a copy as it is at this moment, to carry elsewhere."""
        self._environment.copy(str(path), compact=True)

    # ---- below ----------------------------------------------------------------------------------

    def _get(self, table: Any, key: bytes) -> bytes | None:
        with self._environment.begin(db=table) as transaction:
            octets: bytes | None = transaction.get(key)
            return octets

    def _items(self, table: Any) -> Iterator[tuple[bytes, bytes]]:
        with self._environment.begin(db=table) as transaction:
            yield from transaction.cursor()

    def _find(self, issuer: str, serial: int) -> bytes | None:
        number = self.number_of(issuer)
        if number is None or not 0 < serial < 1 << 8 * SERIAL_OCTETS:
            return None
        return self._get(self._statuses, status_key(number, serial))

    def number_of(self, issuer: str) -> int | None:
        """Return the number of an issuer; None for one the store has never heard of."""
        number = self._numbers.get(issuer)
        if number is None:
            octets = self._get(self._issuers, issuer.encode())
            if octets is None:
                return None
            number = self._numbers[issuer] = NUMBER.unpack_from(octets)[0]
        return number

    @contextmanager
    def _writing(self) -> Iterator[lmdb.Transaction]:
        try:
            with self._write_lock, self._environment.begin(write=True) as transaction:
                yield transaction
        except lmdb.Error as error:
            self._numbers.clear()
            raise Unavailable(f"the local status store cannot be written: {error}") from error

    def _items_of(
        self, transaction: lmdb.Transaction, entries: Iterable[StatusEntry]
    ) -> dict[bytes, bytes]:
        numbers = {name: self._number(transaction, name) for name in {one[2] for one in entries}}
        prefixes = {name: NUMBER.pack(number) for name, number in numbers.items()}
        # The last entry of a certificate is what holds.
        return {
            prefixes[entry.issuer] + bytes.fromhex(entry.serial): encode_status(entry)
            for entry in entries
        }

    def _withdraw(self, transaction: lmdb.Transaction, serials: set[str]) -> None:
        """Give no answer any more of a responder that is revoked itself: nobody else looks.

        By the serial number alone, 158 random bits.
        """
        if not serials:
            return
        with transaction.cursor(self._responders) as cursor:
            gone = [
                (key, octets)
                for key, octets in cursor
                if not bytes(octets).startswith(_WITHDRAWN) and _serial_of(bytes(octets)) in serials
            ]
        for key, octets in gone:
            transaction.put(key, _WITHDRAWN + bytes(octets), db=self._responders)
            self._touch(transaction)

    def _number(self, transaction: lmdb.Transaction, name: str) -> int:
        octets = transaction.get(name.encode(), db=self._issuers)
        if octets is not None:
            return int(NUMBER.unpack_from(octets)[0])
        number = int(transaction.stat(self._issuers)["entries"]) + 1
        transaction.put(name.encode(), NUMBER.pack(number), db=self._issuers)
        return number

    def _put(self, answers: Sequence[NewAnswer]) -> list[bool]:
        with self._writing() as transaction:
            taken = []
            for answer in answers:
                octets = transaction.get(answer.status_key, db=self._statuses)
                fits = octets is not None and position_in(octets) == answer.ticket
                if fits:
                    transaction.put(answer.key, answer.octets, db=self._answers)
                taken.append(fits)
            latest = max(one.produced_at for one in answers)
            before = int.from_bytes(transaction.get(_PRODUCED, db=self._meta) or b"", "big")
            if latest > before:
                transaction.put(_PRODUCED, latest.to_bytes(8, "big"), db=self._meta)
        return taken

    def _touch(self, transaction: lmdb.Transaction) -> None:
        count = int.from_bytes(transaction.get(_TABLES, db=self._meta) or b"", "big") + 1
        transaction.put(_TABLES, count.to_bytes(8, "big"), db=self._meta)

    def _check_version(self, *, writable: bool) -> None:
        present = self._get(self._meta, b"version")
        if present is None and writable:
            with self._writing() as transaction:
                transaction.put(b"version", VERSION, db=self._meta)
        elif present != VERSION:
            raise Misconfigured(
                "the local status store is of another release: delete status.lmdb in the state "
                "directory, and it is made again"
            )


def _forget(answers: lmdb.Cursor, key: bytes) -> None:
    """Delete every answer about one certificate."""
    found = answers.set_range(key)
    while found and bytes(answers.key()).startswith(key):
        found = answers.delete()


@lru_cache(maxsize=1024)
def _serial_of(certificate: bytes) -> str:
    return to_hex(x509.load_der_x509_certificate(certificate).serial_number)


def _encode(issuer: KnownIssuer) -> bytes:
    lists = ((issuer.certificate,), issuer.chain, issuer.crosses)
    return json.dumps([[b64encode(one).decode() for one in part] for part in lists]).encode()


def _issuer(name: str, octets: bytes) -> KnownIssuer:
    number = NUMBER.unpack_from(octets)[0]
    (certificate,), chain, crosses = (
        tuple(map(b64decode, part)) for part in json.loads(octets[NUMBER.size :])
    )
    return KnownIssuer(name, number, certificate, chain, crosses)
