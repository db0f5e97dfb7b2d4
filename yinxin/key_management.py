"""The key management centre, and the authority's side of it: in one process, or apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from ca.dual import KeyEscrow, KeyRecovery, PairService
from ca.profiles import CertificateProfile
from ca.sqlpairs import SQLPairStore
from ca.store import CertificateStore
from core.audit import AuditLog
from core.clock import Clock
from core.db import Database
from core.errors import Misconfigured
from core.peer import Peer
from keystore import keyref
from keystore.escrow.centre import KeyManagementCentre
from keystore.escrow.config import KeyManagementConfig
from keystore.escrow.identity import IdentityKeys
from keystore.escrow.recovery import RecoveryService
from keystore.escrow.remote import RemoteCentre
from keystore.escrow.sqlstore import SQLEscrowStore
from keystore.escrow.store import KeyState
from keystore.escrow.vault import Vault
from keystore.registry import KeyStore
from yinxin.authority_link import AuthorityLink


@dataclass(frozen=True, slots=True)
class Centre:
    """A key management centre: what holds keys, and what recovers them."""

    centre: KeyManagementCentre
    recoveries: RecoveryService

    @classmethod
    def assemble(
        cls,
        config: KeyManagementConfig,
        database: Database,
        *,
        keystore: KeyStore,
        audit: AuditLog,
        clock: Clock,
    ) -> Self:
        """Put it together, and make the storage key on first start. Raises `Misconfigured`."""
        store = SQLEscrowStore(database)
        vault = Vault(keystore, keyref.parse(config.storage_key))
        identity = IdentityKeys(
            keystore,
            store,
            signing_key=keyref.parse(config.signing_key),
            transport_key=keyref.parse(config.transport_key),
            clock=clock,
        )
        centre = KeyManagementCentre(
            store, vault, identity, config=config, transactions=database, audit=audit, clock=clock
        )
        centre.prepare()
        recoveries = RecoveryService(
            store, store, vault, config=config, transactions=database, audit=audit, clock=clock
        )
        return cls(centre, recoveries)


@dataclass(frozen=True, slots=True)
class KeyManagement:
    """What the authority knows of its key management centre."""

    local: Centre | None
    """None: it runs apart."""
    remote: RemoteCentre | None
    """None: it is in this process."""
    pairs: PairService

    @property
    def centre(self) -> KeyManagementCentre:
        """The centre of this process. Raises `Misconfigured` when it runs apart."""
        if self.local is None:
            raise Misconfigured("the key management centre runs apart: ask it there")
        return self.local.centre

    @property
    def recoveries(self) -> RecoveryService:
        """The recoveries of this process. Raises `Misconfigured` when the centre runs apart."""
        if self.local is None:
            raise Misconfigured("the key management centre runs apart: ask it there")
        return self.local.recoveries

    @classmethod
    def assemble(
        cls,
        config: KeyManagementConfig,
        database: Database,
        *,
        keystore: KeyStore,
        profiles: Mapping[str, CertificateProfile],
        certificates: CertificateStore,
        audit: AuditLog,
        clock: Clock,
        link: AuthorityLink | None = None,
    ) -> Self:
        """Put it together. Raises `Misconfigured`. `link`: for a centre that runs apart."""
        local = remote = None
        escrow: KeyEscrow
        recovery: KeyRecovery
        if config.url is None or link is None:
            local = Centre.assemble(config, database, keystore=keystore, audit=audit, clock=clock)
            escrow, recovery = local.centre, local.recoveries
        else:
            _require_no_keys_here(database)
            escrow = recovery = remote = RemoteCentre(_peer(config, config.url, link))
        pairs = PairService(
            profiles=profiles,
            certificates=certificates,
            pairs=SQLPairStore(database),
            escrow=escrow,
            recovery=recovery,
            transactions=database,
            audit=audit,
            clock=clock,
        )
        return cls(local, remote, pairs)


def _peer(config: KeyManagementConfig, url: str, link: AuthorityLink) -> Peer:
    return Peer(
        url,
        name="the key management centre",
        keys=frozenset(config.centre_keys),
        context=link.context,
        timeout_seconds=config.timeout_seconds,
    )


def _require_no_keys_here(database: Database) -> None:
    counted = SQLEscrowStore(database).count_keys()
    if counted[KeyState.IN_USE] or counted[KeyState.HISTORY]:
        raise Misconfigured(
            "key_management.url: this authority keeps encryption keys of its own, which the other "
            "centre could not recover; a centre is moved apart before the first pair is issued"
        )
