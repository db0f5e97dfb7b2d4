"""The parts that know who people are, for whom they act, and what they may enter: put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from authn.access import ApplicationAccess
from authn.accounts import Accounts, Directory
from authn.config import AuthnConfig
from authn.consents import Consents
from authn.people import People
from authn.sessions import Sessions
from authn.sqlaccounts import (
    SQLAccessStore,
    SQLAffiliationStore,
    SQLConsentStore,
    SQLPersonStore,
)
from authn.sqlfactors import SQLSealedKeyStore
from core.audit import AuditLog
from core.clock import Clock
from core.db import Database
from keystore import keyref
from keystore.digests import KeyedDigests
from keystore.seal import Seal
from keystore.storagekey import StorageBackend


@dataclass(frozen=True, slots=True)
class Admission:
    """Accounts, people, access policies, consents."""

    accounts: Accounts
    people: People
    access: ApplicationAccess
    consents: Consents

    @classmethod
    def assemble(
        cls,
        config: AuthnConfig,
        database: Database,
        sessions: Sessions,
        directory: Directory,
        *,
        keystore: StorageBackend,
        seal: Seal,
        audit: AuditLog,
        clock: Clock,
    ) -> Self:
        """Put it together over `database`."""
        accounts = Accounts(
            SQLAffiliationStore(database),
            directory,
            sessions,
            transactions=database,
            audit=audit,
            clock=clock,
        )
        people = People(
            SQLPersonStore(database),
            directory,
            seal=seal,
            digests=KeyedDigests(
                keystore,
                keyref.parse(config.secrets_key),
                SQLSealedKeyStore(database, "identities"),
            ),
            transactions=database,
            audit=audit,
            clock=clock,
        )
        return cls(
            accounts=accounts,
            people=people,
            access=ApplicationAccess(
                SQLAccessStore(database), accounts, people, transactions=database, audit=audit
            ),
            consents=Consents(
                SQLConsentStore(database), transactions=database, audit=audit, clock=clock
            ),
        )
