"""Who is answered for, and who signs: issuers and responders in the local store."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from cryptography import x509

from ca.packedstatus import NUMBER
from ca.serials import to_hex
from core.errors import Unavailable
from crl.ocsp.layout import KnownIssuer

if TYPE_CHECKING:
    import lmdb

    from crl.ocsp.storefile import StoreFile

_CHANGES: Final = b"tables"
_WITHDRAWN: Final = b"withdrawn:"


class Parties:
    """They have numbers here that never change. Safe to share between threads."""

    def __init__(self, file: StoreFile) -> None:
        self._file = file
        self._numbers: dict[str, int] = {}

    def changes(self) -> bytes:
        """Return something that changes when issuers or responders do."""
        return self._file.get(self._file.meta, _CHANGES) or b""

    # ---- issuers --------------------------------------------------------------------------------

    def issuers(self) -> list[KnownIssuer]:
        """Return the issuers with their certificates."""
        return [
            _issuer(name.decode(), octets)
            for name, octets in self._file.items(self._file.issuers)
            if octets[NUMBER.size :]
        ]

    def names(self) -> dict[int, str]:
        """Return the names of all issuers, those without a certificate too, by number."""
        return {
            NUMBER.unpack_from(octets)[0]: name.decode()
            for name, octets in self._file.items(self._file.issuers)
        }

    def keep_issuers(self, issuers: Iterable[KnownIssuer]) -> None:
        """Make these the issuers that are answered for; their `number` is ours to give."""
        with self._file.writing() as transaction:
            changed = False
            for issuer in issuers:
                number = self.give_number(transaction, issuer.name)
                octets = NUMBER.pack(number) + _encode(issuer)
                if transaction.get(issuer.name.encode(), db=self._file.issuers) != octets:
                    transaction.put(issuer.name.encode(), octets, db=self._file.issuers)
                    changed = True
            if changed:
                self._touch(transaction)

    def number_of(self, issuer: str) -> int | None:
        """Return the number of an issuer; None for one the store has never heard of."""
        number = self._numbers.get(issuer)
        if number is None:
            octets = self._file.get(self._file.issuers, issuer.encode())
            if octets is None:
                return None
            number = self._numbers[issuer] = NUMBER.unpack_from(octets)[0]
        return number

    def give_number(self, transaction: lmdb.Transaction, name: str) -> int:
        """Return the number of an issuer, which is given one when it is new."""
        octets = transaction.get(name.encode(), db=self._file.issuers)
        if octets is not None:
            return int(NUMBER.unpack_from(octets)[0])
        number = int(transaction.stat(self._file.issuers)["entries"]) + 1
        transaction.put(name.encode(), NUMBER.pack(number), db=self._file.issuers)
        return number

    # ---- responders -----------------------------------------------------------------------------

    def responders(self) -> dict[int, bytes]:
        """Return the certificates (DER) of the responders whose answers are good, by number."""
        return {
            NUMBER.unpack(number)[0]: certificate
            for number, certificate in self._file.items(self._file.responders)
            if not certificate.startswith(_WITHDRAWN)
        }

    def responder_number(self, certificate: bytes) -> int:
        """Return the number of a responder's certificate, which is given one when it is new.

        Raises `Unavailable` for one that was revoked.
        """
        for key, octets in self._file.items(self._file.responders):
            if octets == certificate:
                return int(NUMBER.unpack(key)[0])
            if octets == _WITHDRAWN + certificate:
                raise Unavailable("the OCSP responder was revoked, and there is no other yet")
        with (
            self._file.writing() as transaction,
            transaction.cursor(self._file.responders) as cursor,
        ):
            number = NUMBER.unpack(cursor.key())[0] + 1 if cursor.last() else 1
            cursor.put(NUMBER.pack(number), certificate)
            self._touch(transaction)
        return int(number)

    def withdraw(self, transaction: lmdb.Transaction, serials: set[str]) -> None:
        """Give no answer any more of a responder that is revoked itself: nobody else looks.

        By the serial number alone, 158 random bits.
        """
        if not serials:
            return
        with transaction.cursor(self._file.responders) as cursor:
            gone = [
                (key, octets)
                for key, octets in cursor
                if not bytes(octets).startswith(_WITHDRAWN) and _serial_of(bytes(octets)) in serials
            ]
        for key, octets in gone:
            transaction.put(key, _WITHDRAWN + bytes(octets), db=self._file.responders)
            self._touch(transaction)

    def _touch(self, transaction: lmdb.Transaction) -> None:
        count = int.from_bytes(transaction.get(_CHANGES, db=self._file.meta) or b"", "big") + 1
        transaction.put(_CHANGES, count.to_bytes(8, "big"), db=self._file.meta)


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
