"""The authority's own copy of every status: OCSP answers from it, a restore is held to it."""

from __future__ import annotations

from contextlib import closing

from ca.sqlstatuslog import SQLStatusLog
from crl.ocsp.delegate import Delegates, DelegateSource
from crl.ocsp.direct import DirectSigners
from crl.ocsp.follow import read_since
from crl.ocsp.keeper import STORE_FILE, Keeper
from crl.ocsp.store import StatusStore
from crl.sqlstore import SQLCRLStore
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
