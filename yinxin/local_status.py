"""The authority's own copy of every status: OCSP answers from it, a restore is held to it.

One process of a host keeps it (`open_keeper`), the others look into it (`KeptCopy`).
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import Self

from ca.sqlstatuslog import SQLStatusLog
from crl.ocsp.counts import OCSP_COUNTS, Source
from crl.ocsp.delegate import Delegates, DelegateSource
from crl.ocsp.direct import DirectSigners
from crl.ocsp.follow import read_since
from crl.ocsp.issuers import IssuerTable, Known
from crl.ocsp.keeper import PULSE_FILE, STORE_FILE, Keeper, fault_of
from crl.ocsp.pulse import Pulse
from crl.ocsp.responder import Responder
from crl.ocsp.store import StatusStore
from crl.sqlstore import SQLCRLStore
from yinxin.console.statusnow import StatusNow, ask_responder
from yinxin.wiring import Ground, Service


def require_same_history(ground: Ground) -> None:
    """Raises `OtherHistory` when the database is an older copy than what this host knows."""
    path = ground.state.directory / STORE_FILE
    if path.exists():
        gibibytes = ground.settings.revocation.ocsp.store_gibibytes
        with closing(StatusStore.open(path, gibibytes=gibibytes, writable=True)) as store:
            read_since(SQLStatusLog(ground.database), store.place(), limit=1)


def answer_signers(service: Service) -> DelegateSource:
    """Return who signs OCSP answers at the authority."""
    store = SQLCRLStore(service.ground.database)
    return DirectSigners(
        service.issuers,
        service.ground.settings.revocation.ocsp.direct_issuers,
        Delegates(store, service.authority.store, service.keystore),
    )


def open_keeper(service: Service) -> Keeper:
    """Open the local store and follow the status log from now on."""
    ground = service.ground
    database = ground.database
    keeper = Keeper.open(
        ground.state.directory,
        status_log=SQLStatusLog(database),
        delegates=answer_signers(service),
        config=ground.settings.revocation.ocsp,
        clock=ground.clock,
    )

    service.issuers.listen(lambda issuers: keeper.keep_issuers(issuers.values()))
    service.revocation.listen(keeper.follower.after_change)
    keeper.follower.follow()
    keeper.follower.start()
    return keeper


def ask_keeper(service: Service, keeper: Keeper) -> StatusNow:
    """Return what asks the responder of this process."""
    return ask_responder(keeper.responder, service.issuers, catch_up=keeper.follower.follow)


@dataclass(frozen=True, slots=True)
class KeptCopy:
    """The copy that another process of this host keeps."""

    store: StatusStore
    pulse: Pulse
    service: Service

    @classmethod
    def open(cls, service: Service) -> Self:
        """Open it, and report what the host answered. Raises `Misconfigured` if there is none."""
        ground = service.ground
        directory, config = ground.state.directory, ground.settings.revocation.ocsp
        gibibytes = config.store_gibibytes
        store = StatusStore.open(directory / STORE_FILE, gibibytes=gibibytes, writable=False)
        pulse = Pulse(directory / PULSE_FILE)
        OCSP_COUNTS.read_from(Source(pulse, store.parties.names))
        return cls(store, pulse, service)

    def fault(self) -> str | None:
        """Return why this host should not be asked, if there is a reason."""
        return fault_of(self.pulse, self.service.ground.settings.revocation.ocsp)

    def status_now(self) -> StatusNow:
        """Return what says what a responder says, of the database itself."""
        service, parties = self.service, self.store.parties
        table: IssuerTable[Known] = IssuerTable(())
        responder = Responder(
            table,
            answer_signers(service),
            service.statuses,
            config=service.ground.settings.revocation.ocsp,
            clock=service.ground.clock,
        )
        return ask_responder(
            responder, service.issuers, catch_up=lambda: table.replace(parties.issuers())
        )

    def close(self) -> None:
        """Close it."""
        OCSP_COUNTS.read_no_more(self.pulse)
        self.store.close()
