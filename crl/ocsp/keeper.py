"""What one process of a host does for all that answer: follow the log, keep the store, sign."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Self

from ca.store import StatusLog
from core.clock import Clock
from crl.config import OCSPConfig
from crl.ocsp.counts import OCSP_COUNTS, Source
from crl.ocsp.delegate import DelegateSource
from crl.ocsp.follow import LogFollower
from crl.ocsp.issuers import IssuerTable, Known
from crl.ocsp.layout import KnownIssuer
from crl.ocsp.localstatus import LocalStatus
from crl.ocsp.plane import OCSPPlane
from crl.ocsp.pulse import Pulse, Trust
from crl.ocsp.reader import AnswerReader
from crl.ocsp.responder import Responder
from crl.ocsp.signing import LocalSigning
from crl.ocsp.store import StatusStore
from crl.ocsp.upkeep import Upkeep
from crl.status import StatusService

STORE_FILE: Final = "status.lmdb"
PULSE_FILE: Final = "status.pulse"


@dataclass(frozen=True, slots=True)
class Keeper:
    """Everything of it, put together."""

    store: StatusStore
    pulse: Pulse
    follower: LogFollower
    table: IssuerTable[Known]
    issuers: dict[str, KnownIssuer]
    """Those that are answered for, by name; alive."""
    responder: Responder
    signing: LocalSigning
    upkeep: Upkeep
    config: OCSPConfig
    clock: Clock

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        status_log: StatusLog,
        store: StatusStore | None = None,
        delegates: DelegateSource,
        config: OCSPConfig,
        clock: Clock,
    ) -> Self:
        """Put it together over the store in `directory`. Raises `Misconfigured`."""
        store = store or cls.open_store(directory, config=config)
        pulse = Pulse(directory / PULSE_FILE)
        pulse.restart()
        follower = LogFollower(status_log, store, pulse, directory=directory)
        local = LocalStatus(store, pulse, follower.follow)
        statuses = StatusService(
            local,
            retention=timedelta(hours=config.retention_hours),
            clock=clock,
        )
        issuers = {one.name: one for one in store.parties.issuers()}
        table: IssuerTable[Known] = IssuerTable(issuers.values())
        produced = store.last_produced()
        responder = Responder(
            table,
            delegates,
            statuses,
            config=config,
            clock=clock,
            last_produced=datetime.fromtimestamp(produced, UTC) if produced else None,
        )
        signing = LocalSigning(
            responder, local, store, pulse, peek=follower.peek, config=config, clock=clock
        )
        upkeep = Upkeep(store, pulse, clock)
        OCSP_COUNTS.read_from(Source(pulse, store.parties.names))
        return cls(
            store, pulse, follower, table, issuers, responder, signing, upkeep, config, clock
        )

    @staticmethod
    def open_store(directory: Path, *, config: OCSPConfig) -> StatusStore:
        """Open the store in `directory`, made when it is missing. Raises `Misconfigured`."""
        path = directory / STORE_FILE
        return StatusStore.open(path, gibibytes=config.store_gibibytes, writable=True)

    def keep_issuers(self, issuers: Iterable[Known]) -> None:
        """Answer for these issuers from now on. Raises `Conflict` for two that are one."""
        known = [
            KnownIssuer(one.name, 0, one.certificate, one.chain, one.crosses) for one in issuers
        ]
        self.store.parties.keep_issuers(known)
        self.issuers.update((one.name, one) for one in self.store.parties.issuers())
        self.table.replace(self.issuers.values())

    def fault(self) -> str | None:
        """Return why this host should not be asked, if there is a reason."""
        return fault_of(self.pulse, self.config)

    def plane(self) -> OCSPPlane:
        """Return what answers in this process."""
        reader = AnswerReader(self.store)
        return OCSPPlane(reader, self.signing, self.pulse, config=self.config, clock=self.clock)

    def close(self) -> None:
        """Stop following and signing, and close the store."""
        OCSP_COUNTS.read_no_more(self.pulse)
        self.follower.stop()
        self.signing.close()
        self.store.close()


def fault_of(pulse: Pulse, config: OCSPConfig) -> str | None:
    """Return why a host with this pulse should not be asked, in any of its processes."""
    match pulse.trust:
        case Trust.DIVERGED:
            return "the database is of another history than this host: yinxin reconcile"
        case Trust.DISTRUSTED:
            return "the local store cannot take in what changed"
        case Trust.BELIEVED:
            late = pulse.age_seconds() > config.status_lag_seconds
            return "the status log was not read for too long" if late else None
