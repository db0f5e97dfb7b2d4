"""Publishing to a directory: whatever happens to a certificate is followed there.

Nothing is queued when a certificate is issued or revoked: this follows the rows, from a position
that it keeps, and says for each certificate what its state is now. Saying it twice is harmless, so
a crash or an absent directory costs nothing but time.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from ca.distribution import Scope, parse_scope
from ca.issuer import Issuer
from ca.store import CertificateRecord, CertificateState
from core.clock import Clock
from core.errors import Refused, TrustError, Unavailable
from core.observe import PUBLICATION_FAULTS, PUBLICATION_LAG
from crl.directory_names import EntryName, entry_name, fields_of
from crl.publication_config import PublicationConfig
from crl.store import CRLHead, CRLRecord
from crl.succession import check_succession

log = logging.getLogger(__name__)

_AT_ONCE: Final = 200
_SETTLED_AFTER: Final = timedelta(seconds=60)
"""A row as old as this has no neighbour with a smaller id that is still being written."""
_GIVEN_UP_AFTER: Final = timedelta(hours=1)
"""A reservation as old as this was left by a crash; if it is finished, it is a status change."""
_AFTER_ALL: Final = (1 << 63) - 1
_FIRST_PAUSE: Final = timedelta(minutes=1)
_LONGEST_PAUSE: Final = timedelta(hours=12)
_LONGEST_ABSENCE: Final = timedelta(minutes=5)


class Directory(Protocol):
    """Where certificates and CRLs are published. Connects by itself.

    Every method raises `Unavailable` when the directory cannot be used now, and `Refused` when it
    does not take this entry. Each may be repeated.
    """

    def put_certificate(self, name: EntryName, certificate: bytes) -> None: ...

    def remove_certificate(self, name: EntryName, certificate: bytes) -> None: ...

    def put_authority(self, name: EntryName, certificate: bytes, crl: bytes) -> None: ...

    def put_distribution_point(self, name: EntryName, crl: bytes) -> None:
        """Put the CRL of a partition into an entry of its own."""
        ...

    def find_crl(self, name: EntryName) -> bytes | None:
        """Return the CRL in an entry."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Fault:
    """A certificate that the directory did not take."""

    certificate: CertificateRecord
    error: str
    attempts: int
    due_at: datetime


class PublicationStore(Protocol):
    """Remembers how far publishing has come, and what was not taken."""

    def position(self, name: str) -> int: ...

    def move(self, name: str, position: int) -> None: ...

    def certificates_after(
        self, position: int, *, limit: int
    ) -> Sequence[tuple[int, CertificateRecord]]:
        """Return (id, record) in the order of ids, whatever their state."""
        ...

    def count_after(self, position: int) -> int: ...

    def changed_after(
        self, issuer: str, position: int, *, limit: int
    ) -> Sequence[tuple[int, int, CertificateRecord]]:
        """Return (position, id, record) of status changes, in order."""
        ...

    def expired_after(
        self, ended: datetime, certificate_id: int, *, until: datetime, limit: int
    ) -> Sequence[tuple[int, CertificateRecord]]:
        """Return issued ones in the order of their expiry, then id, behind this one."""
        ...

    def add_fault(self, certificate_id: int, error: str, *, due_at: datetime) -> None:
        """Count an attempt in vain."""
        ...

    def remove_fault(self, certificate_id: int) -> None: ...

    def list_faults(
        self, *, due: datetime | None = None, limit: int
    ) -> Sequence[tuple[int, Fault]]: ...

    def count_faults(self) -> int: ...

    def retry_faults(self, *, at: datetime) -> int: ...


class CRLs(Protocol):
    """The current CRLs."""

    def find_current(self, scope: str) -> CRLRecord | None: ...

    def list_heads(self, issuer: str) -> Mapping[str, CRLHead]: ...


@dataclass(frozen=True, slots=True)
class PublicationState:
    """How far publishing is behind."""

    waiting: int
    """Certificates that have not been looked at."""
    faults: Sequence[Fault]
    error: str | None
    """Why the directory could not be used at the last attempt of this process."""


class Publication:
    """Follows certificates and CRLs into one directory."""

    def __init__(
        self,
        directory: Directory,
        store: PublicationStore,
        crls: CRLs,
        issuers: Mapping[str, Issuer],
        *,
        profiles: Collection[str],
        config: PublicationConfig,
        clock: Clock,
    ) -> None:
        self._directory = directory
        self._store = store
        self._crls = crls
        self._issuers = issuers
        self._profiles = frozenset(profiles)
        self._config = config
        self._clock = clock
        # As far as this process knows; the store knows it after a restart.
        self._crls_there: dict[str, int] = {}
        self._error: str | None = None
        self._absences = 0
        self._rest_until = clock.now()

    def run(self) -> None:
        """Bring the directory up to date, as far as it goes; never raises for an absent one."""
        if self._clock.now() < self._rest_until:
            return
        try:
            self._authorities()
            self._retry()
            self._new()
            self._changed()
            if self._config.remove_expired:
                self._expired()
        except Unavailable as error:
            self._absences += 1
            pause = min(timedelta(seconds=5) * 2 ** min(self._absences, 10), _LONGEST_ABSENCE)
            self._rest_until = self._clock.now() + pause
            self._error = str(error)
            log.warning("the directory cannot be used", extra={"reason": str(error)})
        else:
            self._error, self._absences = None, 0
        finally:
            self._directory.close()
            PUBLICATION_LAG.set(self._store.count_after(self._store.position("certificates")))
            PUBLICATION_FAULTS.set(self._store.count_faults())

    def state(self) -> PublicationState:
        """Say how far behind it is, and what was not taken (the first 100)."""
        return PublicationState(
            waiting=self._store.count_after(self._store.position("certificates")),
            faults=tuple(fault for _, fault in self._store.list_faults(limit=100)),
            error=self._error,
        )

    def retry(self) -> int:
        """Try what was not taken again at the next run; return how many that are."""
        return self._store.retry_faults(at=self._clock.now())

    def _authorities(self) -> None:
        for issuer in self._issuers.values():
            # The whole before its partitions, whose entries lie below.
            for scope, head in sorted(self._crls.list_heads(issuer.name).items()):
                if self._crls_there.get(scope, 0) >= head.number:
                    continue
                if self._store.position(f"crl:{scope}") < head.number:
                    self._put_crl(issuer, parse_scope(scope))
                else:
                    self._crls_there[scope] = head.number

    def _put_crl(self, issuer: Issuer, scope: Scope) -> None:
        record = self._crls.find_current(scope.name)
        if record is None:
            return
        name = entry_name(self._config.issuer_dn, {"issuer": issuer.name, "CN": issuer.name})
        if scope.partitions > 1:
            number = f"{scope.partitions}-{scope.partition}"
            name = EntryName(f"cn={number},{name.dn}", "cn", number)
        try:
            there = self._directory.find_crl(name)
            if there is not None and there != record.der:
                check_succession(there, record)
            if scope.partitions == 1:
                self._directory.put_authority(name, issuer.certificate, record.der)
            else:
                self._directory.put_distribution_point(name, record.der)
        except Refused as error:
            self._error = f"{name.dn}: {error}"
            log.warning("the directory refuses a CRL", extra={"reason": self._error})
            return
        self._store.move(f"crl:{scope.name}", record.number)

    def _retry(self) -> None:
        due = self._store.list_faults(due=self._clock.now(), limit=_AT_ONCE)
        for number, fault in due:
            self._settle(number, fault.certificate, attempts=fault.attempts)

    def _new(self) -> None:
        at = self._store.position("certificates")
        while found := self._store.certificates_after(at, limit=_AT_ONCE):
            now = self._clock.now()
            firm, settled = at, True
            for number, record in found:
                age = now - record.reserved_at
                if record.state is CertificateState.RESERVED and age < _GIVEN_UP_AFTER:
                    settled = False
                    continue
                self._settle(number, record)
                settled = settled and age > _SETTLED_AFTER
                firm = number if settled else firm
            at = found[-1][0]
            if firm > self._store.position("certificates"):
                self._store.move("certificates", firm)

    def _changed(self) -> None:
        for issuer in self._issuers:
            cursor = f"status:{issuer}"
            at = self._store.position(cursor)
            while found := self._store.changed_after(issuer, at, limit=_AT_ONCE):
                for _, number, record in found:
                    self._settle(number, record)
                at = found[-1][0]
                self._store.move(cursor, at)

    def _expired(self) -> None:
        until = self._clock.now()
        ended, last = datetime.fromtimestamp(self._store.position("expired"), UTC), _AFTER_ALL
        while found := self._store.expired_after(ended, last, until=until, limit=_AT_ONCE):
            for number, record in found:
                self._settle(number, record)
            last, ended = found[-1][0], found[-1][1].not_after
        self._store.move("expired", int(until.timestamp()))

    def _settle(self, number: int, record: CertificateRecord, *, attempts: int = 0) -> None:
        """Let the directory say what the state of this certificate is now."""
        if record.der is None or record.profile not in self._profiles:
            return
        expired = self._config.remove_expired and record.not_after <= self._clock.now()
        present = record.state is CertificateState.ISSUED and not expired
        try:
            name = entry_name(self._config.certificate_dn, fields_of(record))
            if present:
                self._directory.put_certificate(name, record.der)
            else:
                self._directory.remove_certificate(name, record.der)
        except Unavailable:
            raise
        except TrustError as error:
            pause = min(_FIRST_PAUSE * 2 ** min(attempts, 20), _LONGEST_PAUSE)
            self._store.add_fault(number, str(error)[:200], due_at=self._clock.now() + pause)
        else:
            if attempts:
                self._store.remove_fault(number)
