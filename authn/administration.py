"""What administers users, clients, tokens and sessions, put together: no keys, no pages."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Self

from authn.apitokens import APITokens
from authn.breached import BreachedPasswords
from authn.config import AuthnConfig
from authn.factorreset import FactorReset
from authn.factors import Standards
from authn.legacy.entry import EntriesEnded
from authn.legacy.sqlstore import SQLEntryStore
from authn.logout.channels import LogoutChannels
from authn.logout.sqlstore import SQLParticipationStore
from authn.oidc.accesstokens import AccessTokens
from authn.oidc.clients import Clients
from authn.oidc.sqlclients import SQLClientStore
from authn.oidc.sqlstore import SQLGrantStore
from authn.passwordpolicy import PasswordPolicy
from authn.passwords import PasswordHasher
from authn.rolechanges import RoleChanges
from authn.sessions import Sessions
from authn.sqlfactors import SQLAttemptStore, SQLFactorStore, SQLPasswordHistory
from authn.sqlpasskeys import SQLPasskeyStore
from authn.sqlsessions import SQLSessionStore
from authn.sqlstore import (
    SQLAPITokenStore,
    SQLCertificateLoginStore,
    SQLUserStore,
)
from authn.users import Users
from core.audit import AuditLog
from core.clock import Clock
from core.control import DualControl
from core.db import Database


@dataclass(frozen=True, slots=True)
class Administration:
    """What the command line needs: no keys, no sessions of its own."""

    hasher: PasswordHasher
    password_policy: PasswordPolicy
    users: Users
    roles: RoleChanges
    factor_reset: FactorReset
    standards: Standards
    clients: Clients
    api_tokens: APITokens
    sessions: Sessions
    access_tokens: AccessTokens
    channels: LogoutChannels

    @classmethod
    def assemble(
        cls,
        config: AuthnConfig,
        database: Database,
        *,
        control: DualControl,
        audit: AuditLog,
        clock: Clock,
        processes: int = 1,
    ) -> Self:
        """Put it together over `database`; for one of so many `processes`."""
        store, grants = SQLUserStore(database), SQLGrantStore(database)
        hasher = PasswordHasher(config.password, processes=processes)
        access = AccessTokens(grants, store, clock=clock)
        channels = LogoutChannels(SQLParticipationStore(database), clock=clock)
        standards = Standards(SQLFactorStore(database), config=config.login)
        sessions = Sessions(
            SQLSessionStore(database),
            store,
            config=config.login,
            # Channels last: what is being redeemed takes part by then.
            listeners=(access, EntriesEnded(SQLEntryStore(database)), channels),
            standards=standards,
            transactions=database,
            audit=audit,
            clock=clock,
        )
        policy = PasswordPolicy(
            store,
            SQLPasswordHistory(database),
            config=config.password,
            hasher=hasher,
            breached=_breached(config),
            clock=clock,
        )
        users = Users(
            store,
            config=config.login,
            passwords=policy,
            sessions=sessions,
            transactions=database,
            audit=audit,
            clock=clock,
        )
        tokens = APITokens(
            SQLAPITokenStore(database), transactions=database, audit=audit, clock=clock
        )
        roles = RoleChanges(
            users,
            store,
            SQLCertificateLoginStore(database),
            tokens,
            control=control,
            transactions=database,
            audit=audit,
        )
        return cls(
            hasher=hasher,
            password_policy=policy,
            users=users,
            roles=roles,
            factor_reset=FactorReset(
                users,
                roles,
                store=store,
                factors=SQLFactorStore(database),
                attempts=SQLAttemptStore(database),
                passkeys=SQLPasskeyStore(database),
                audit=audit,
            ),
            standards=standards,
            clients=Clients(
                SQLClientStore(database),
                grants,
                may_call=bool(config.outbound.allowed_networks),
                transactions=database,
                audit=audit,
                clock=clock,
            ),
            api_tokens=tokens,
            sessions=sessions,
            access_tokens=access,
            channels=channels,
        )


def _breached(config: AuthnConfig) -> Container[str]:
    path = config.password.breached_file
    return frozenset() if path is None else BreachedPasswords(path)
