"""The key management centre inside this process: the embedded default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from ca.dual import PairService
from ca.profiles import CertificateProfile
from ca.sqlpairs import SQLPairStore
from ca.store import CertificateStore
from core.audit import AuditLog
from core.clock import Clock
from core.db import Database
from keystore import keyref
from keystore.escrow.centre import KeyManagementCentre
from keystore.escrow.config import KeyManagementConfig
from keystore.escrow.recovery import RecoveryService
from keystore.escrow.sqlstore import SQLEscrowStore
from keystore.escrow.vault import Vault
from keystore.registry import KeyStore


@dataclass(frozen=True, slots=True)
class KeyManagement:
    """The centre, its recoveries, and the authority's side of both."""

    centre: KeyManagementCentre
    recoveries: RecoveryService
    pairs: PairService

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
    ) -> Self:
        """Put it together, and make the storage key on first start. Raises `Misconfigured`."""
        store = SQLEscrowStore(database)
        vault = Vault(keystore, keyref.parse(config.storage_key))
        centre = KeyManagementCentre(
            store, vault, config=config, transactions=database, audit=audit, clock=clock
        )
        centre.prepare()
        recoveries = RecoveryService(
            store, store, vault, config=config, transactions=database, audit=audit, clock=clock
        )
        pairs = PairService(
            profiles=profiles,
            certificates=certificates,
            pairs=SQLPairStore(database),
            escrow=centre,
            recovery=recoveries,
            transactions=database,
            audit=audit,
            clock=clock,
        )
        return cls(centre, recoveries, pairs)
