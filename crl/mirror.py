"""Putting CRLs and CA certificates where web servers and CDNs give them away.

Nothing is queued: each run compares what the service would serve with what it knows to be there.
The object that is there is read back and checked before it is replaced (`crl.succession`), and
replaced only if nobody else did so meanwhile. A run that was killed is repeated by the next one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Protocol

from ca.issuer import Issuer
from ca.pkcs7 import certs_only
from core.clock import Clock
from core.errors import Conflict, TrustError, Unavailable
from core.observe import MIRROR_FAULTS, MIRROR_WRITTEN
from crl.config import CRLConfig
from crl.schedule import CRLSchedule
from crl.store import CRLRecord
from crl.succession import check_signature, check_succession

log = logging.getLogger(__name__)

_FIRST_PAUSE: Final = timedelta(seconds=5)
_LONGEST_PAUSE: Final = timedelta(minutes=5)
_CA_AGE_SECONDS: Final = 86_400


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as it was found."""

    octets: bytes
    version: str
    """What the shelf knows this content by."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An object as it shall be."""

    path: str
    octets: bytes
    media_type: str
    max_age_seconds: int


class Shelf(Protocol):
    """Where objects are put: `crl.shelf_directory`, `crl.shelf_s3`.

    Every method raises `Unavailable` when it cannot be used now.
    """

    @property
    def name(self) -> str: ...

    def read(self, path: str) -> Stored | None: ...

    def write(self, wanted: Wanted, *, instead_of: Stored | None) -> None:
        """Put an object in place, whole or not at all.

        Raises `Conflict` if what is there is not `instead_of` (None: nothing) any more.
        """
        ...


_Act = Callable[[Shelf], None]


@dataclass(slots=True)
class _Trouble:
    """What went wrong last, how often in a row, and when it is tried again."""

    times: int = 0
    until: datetime | None = None


class Mirror:
    """Keeps shelves up to date. To be run by one thread of one node."""

    def __init__(
        self,
        shelves: Sequence[Shelf],
        schedule: CRLSchedule,
        issuers: Mapping[str, Issuer],
        *,
        config: CRLConfig,
        clock: Clock,
    ) -> None:
        self._shelves = shelves
        self._schedule = schedule
        self._issuers = issuers
        self._config = config
        self._clock = clock
        # Of a shelf and a path: the CRL number, or the octets, that are known to be there.
        self._there: dict[tuple[str, str], int | bytes] = {}
        self._troubles: dict[tuple[str, str], _Trouble] = {}

    def run(self) -> None:
        """Put what is new in place. Raises nothing for what cannot be reached or is refused."""
        for issuer in self._issuers.values():
            for wanted in _certificates(issuer):
                self._everywhere(wanted.path, partial(self._put_certificate, wanted=wanted))
            try:
                for path, record in self._records(issuer):
                    put = partial(self._put_crl, path=path, record=record, issuer=issuer)
                    self._everywhere(path, put)
            except TrustError:
                log.exception("the CRL cannot be made", extra={"issuer": issuer.name})
        for shelf in self._shelves:
            failing = sum(1 for name, _ in self._troubles if name == shelf.name)
            MIRROR_FAULTS.labels(shelf.name).set(failing)

    def _everywhere(self, path: str, act: _Act) -> None:
        for shelf in self._shelves:
            self._try(shelf, path, act)

    def _try(self, shelf: Shelf, path: str, act: _Act) -> None:
        now, key = self._clock.now(), (shelf.name, path)
        away = self._troubles.get((shelf.name, ""))
        trouble = self._troubles.get(key)
        for one in (away, trouble):
            if one is not None and one.until is not None and now < one.until:
                return
        try:
            act(shelf)
        except Unavailable as error:
            # All of the shelf is away, not this object.
            self._fail((shelf.name, ""), now, error)
        except TrustError as error:
            self._fail(key, now, error)
        else:
            self._troubles.pop(key, None)
            self._troubles.pop((shelf.name, ""), None)

    def _fail(self, key: tuple[str, str], now: datetime, error: TrustError) -> None:
        trouble = self._troubles.setdefault(key, _Trouble())
        pause = min(_FIRST_PAUSE * 2 ** min(trouble.times, 10), _LONGEST_PAUSE)
        trouble.times += 1
        trouble.until = now + pause
        shelf, path = key
        log.warning(
            "a CRL or CA certificate is not published",
            extra={"shelf": shelf, "path": path, "reason": str(error)},
        )

    def _records(self, issuer: Issuer) -> Iterator[tuple[str, CRLRecord]]:
        for scope in self._schedule.scopes(issuer.name):
            yield scope.path, self._schedule.current(scope.name)
            if self._config.delta:
                yield scope.delta_path, self._schedule.current_delta(scope.name)

    def _put_certificate(self, shelf: Shelf, wanted: Wanted) -> None:
        key = (shelf.name, wanted.path)
        if self._there.get(key) == wanted.octets:
            return
        stored = shelf.read(wanted.path)
        if stored is None or stored.octets != wanted.octets:
            shelf.write(wanted, instead_of=stored)
            MIRROR_WRITTEN.labels(shelf.name).inc()
        self._there[key] = wanted.octets

    def _put_crl(self, shelf: Shelf, path: str, record: CRLRecord, issuer: Issuer) -> None:
        key = (shelf.name, path)
        if self._there.get(key) == record.number:
            return
        check_signature(issuer, record)
        stored = shelf.read(path)
        if stored is None or stored.octets != record.der:
            if stored is not None:
                check_succession(stored.octets, record)
            left = int((record.next_update - self._clock.now()).total_seconds())
            age = max(0, min(self._config.max_age_seconds, left))
            wanted = Wanted(path, record.der, "application/pkix-crl", age)
            try:
                shelf.write(wanted, instead_of=stored)
            except Conflict:
                # Another node was faster; the next run sees what it wrote.
                log.info("another node published", extra={"shelf": shelf.name, "path": path})
                return
            MIRROR_WRITTEN.labels(shelf.name).inc()
        self._there[key] = record.number


def _certificates(issuer: Issuer) -> tuple[Wanted, ...]:
    chain = certs_only([issuer.certificate, *issuer.chain])
    return (
        Wanted(
            f"ca/{issuer.name}.cer",
            issuer.certificate,
            "application/pkix-cert",
            _CA_AGE_SECONDS,
        ),
        Wanted(f"ca/{issuer.name}.p7c", chain, "application/pkcs7-mime", _CA_AGE_SECONDS),
    )
