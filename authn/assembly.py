"""The parts of authentication, put together: the one place here that knows the SQL stores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from authn.apitokens import APITokens
from authn.certlogin import CertificateLogin, CertificateVerifier
from authn.config import AuthnConfig
from authn.login import PasswordLogin, Throttle
from authn.oidc.accesstokens import AccessTokens
from authn.oidc.authorize import AuthorizationEndpoint
from authn.oidc.clients import Clients
from authn.oidc.jwt import SigningKeys
from authn.oidc.logout import LogoutEndpoint
from authn.oidc.sqlstore import SQLClientStore, SQLGrantStore
from authn.oidc.token import TokenEndpoint
from authn.passwords import PasswordHasher
from authn.sessions import Sessions
from authn.sqlstore import (
    SQLAddressStore,
    SQLAPITokenStore,
    SQLCertificateLoginStore,
    SQLSessionStore,
    SQLUserStore,
)
from authn.users import Users
from core.audit import AuditLog
from core.clock import Clock
from core.db import Database
from keystore.backend import Signer


@dataclass(frozen=True, slots=True)
class Administration:
    """What the command line needs: no keys, no sessions of its own."""

    hasher: PasswordHasher
    users: Users
    clients: Clients
    api_tokens: APITokens
    sessions: Sessions
    access_tokens: AccessTokens

    @classmethod
    def assemble(
        cls, config: AuthnConfig, database: Database, *, audit: AuditLog, clock: Clock
    ) -> Self:
        """Put it together over `database`."""
        users, grants = SQLUserStore(database), SQLGrantStore(database)
        hasher = PasswordHasher(config.password)
        access = AccessTokens(grants, users, clock=clock)
        sessions = Sessions(
            SQLSessionStore(database),
            users,
            config=config.login,
            listener=access,
            transactions=database,
            audit=audit,
            clock=clock,
        )
        return cls(
            hasher=hasher,
            users=Users(
                users,
                config=config.login,
                hasher=hasher,
                sessions=sessions,
                transactions=database,
                audit=audit,
                clock=clock,
            ),
            clients=Clients(
                SQLClientStore(database), grants, transactions=database, audit=audit, clock=clock
            ),
            api_tokens=APITokens(
                SQLAPITokenStore(database), users, transactions=database, audit=audit, clock=clock
            ),
            sessions=sessions,
            access_tokens=access,
        )


@dataclass(frozen=True, slots=True)
class Provider:
    """Everything that answers people and clients."""

    administration: Administration
    keys: SigningKeys
    passwords: PasswordLogin
    certificates: CertificateLogin
    authorization: AuthorizationEndpoint
    tokens: TokenEndpoint
    logout: LogoutEndpoint

    @classmethod
    def assemble(
        cls,
        config: AuthnConfig,
        database: Database,
        *,
        signers: Sequence[Signer],
        verifier: CertificateVerifier,
        audit: AuditLog,
        clock: Clock,
    ) -> Self:
        """Put it together over `database`; `signers` are the OIDC keys, the first signs."""
        users, clients = SQLUserStore(database), SQLClientStore(database)
        grants, keys = SQLGrantStore(database), SigningKeys(signers)
        administration = Administration.assemble(config, database, audit=audit, clock=clock)
        throttle = Throttle(SQLAddressStore(database), config=config.login, clock=clock)
        return cls(
            administration=administration,
            keys=keys,
            passwords=PasswordLogin(
                users,
                throttle=throttle,
                hasher=administration.hasher,
                config=config.login,
                transactions=database,
                audit=audit,
                clock=clock,
            ),
            certificates=CertificateLogin(
                SQLCertificateLoginStore(database),
                users,
                verifier,
                config=config,
                throttle=throttle,
                transactions=database,
                audit=audit,
                clock=clock,
            ),
            authorization=AuthorizationEndpoint(clients, grants, keys, config=config, clock=clock),
            tokens=TokenEndpoint(
                clients,
                grants,
                users,
                keys,
                config=config,
                transactions=database,
                audit=audit,
                clock=clock,
            ),
            logout=LogoutEndpoint(clients, keys, issuer=config.issuer),
        )
