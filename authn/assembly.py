"""The parts of authentication, put together: the one place here that knows the SQL stores."""

from __future__ import annotations

import ssl
from collections.abc import Container
from dataclasses import dataclass
from typing import Self

from authn.accounts import Directory
from authn.admission import Admission
from authn.apitokens import APITokens
from authn.attempts import Attempts
from authn.breached import BreachedPasswords
from authn.certlogin import CertificateLogin, CertificateVerifier
from authn.config import AuthnConfig
from authn.factorreset import FactorReset
from authn.factors import Enrolled, Standards
from authn.legacy.cas import CASLogout
from authn.legacy.entry import EntriesEnded, Entry
from authn.legacy.gate import Gate
from authn.legacy.sqlstore import SQLEntryStore
from authn.login import PasswordLogin, Throttle
from authn.logout.channels import LogoutChannels
from authn.logout.sender import LogoutSender, MessagesByChannel
from authn.logout.sqlstore import SQLDeliveryQueue, SQLParticipationStore
from authn.logout.store import Channel
from authn.oidc import purposekeys
from authn.oidc.accesstokens import AccessTokens
from authn.oidc.accountclaims import AccountClaims
from authn.oidc.clients import Clients
from authn.oidc.endpoints import Endpoints, Stores
from authn.oidc.interaction import make_policy
from authn.oidc.issuers import Issuers
from authn.oidc.keyring import KeyRing
from authn.oidc.logout import LogoutEndpoint
from authn.oidc.logouttoken import LogoutTokens
from authn.oidc.purposekeys import purpose_keys
from authn.oidc.sqldevices import SQLDeviceCodeStore
from authn.oidc.sqlkeys import SQLSigningKeyStore
from authn.oidc.sqlregistrations import SQLRegistrationStore
from authn.oidc.sqlrequests import SQLPushedRequestStore, SQLReplayStore
from authn.oidc.sqlstore import SQLClientStore, SQLGrantStore
from authn.passkeys import Passkeys
from authn.passwordchange import PasswordChange
from authn.passwordpolicy import PasswordPolicy
from authn.passwords import PasswordHasher
from authn.rolechanges import RoleChanges
from authn.sessions import Sessions
from authn.setup import Setup
from authn.sqlfactors import SQLAttemptStore, SQLFactorStore, SQLPasswordHistory, SQLSealedKeyStore
from authn.sqlpasskeys import SQLPasskeyStore
from authn.sqlsessions import SQLSessionStore
from authn.sqlstore import (
    SQLAddressStore,
    SQLAPITokenStore,
    SQLCertificateLoginStore,
    SQLUserStore,
)
from authn.tlslogin import TLSLogin
from authn.totp import OneTimePasswords
from authn.upstream.assembly import open_upstreams
from authn.upstream.links import Links
from authn.upstream.login import Upstreams
from authn.upstream.sqlstore import SQLLinkStore
from authn.users import Users
from core.audit import AuditLog
from core.clock import Clock
from core.control import DualControl
from core.db import Database
from core.outbound import Outbound, trusting
from keystore import keyref
from keystore.seal import Seal
from keystore.sealedkey import SealedKey
from keystore.storagekey import StorageBackend


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
    ) -> Self:
        """Put it together over `database`."""
        store, grants = SQLUserStore(database), SQLGrantStore(database)
        hasher = PasswordHasher(config.password)
        access = AccessTokens(grants, store, clock=clock)
        channels = LogoutChannels(
            SQLParticipationStore(database), issuer=config.issuer, clock=clock
        )
        standards = Standards(SQLFactorStore(database), config=config.login)
        sessions = Sessions(
            SQLSessionStore(database),
            store,
            config=config.login,
            listeners=(access, channels, EntriesEnded(SQLEntryStore(database))),
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


@dataclass(frozen=True, slots=True)
class Provider:
    """Everything that answers people and clients."""

    administration: Administration
    clock: Clock
    ring: KeyRing
    issuers: Issuers
    passwords: PasswordLogin
    password_change: PasswordChange
    certificates: CertificateLogin
    one_time_passwords: OneTimePasswords
    setup: Setup
    passkeys: Passkeys
    tls_login: TLSLogin
    admission: Admission
    upstreams: Upstreams
    endpoints: Endpoints
    logout: LogoutEndpoint
    outbound: Outbound
    sender: LogoutSender
    entry: Entry
    gate: Gate

    @classmethod
    def assemble(
        cls,
        config: AuthnConfig,
        database: Database,
        administration: Administration,
        *,
        keystore: StorageBackend,
        verifier: CertificateVerifier,
        directory: Directory,
        audit: AuditLog,
        clock: Clock,
        trust: ssl.SSLContext | None = None,
    ) -> Self:
        """Put it together over `database`; the keys that sign tokens are made when missing.

        `trust` verifies applications that are called; None: as the system and the settings say.
        """
        users, clients = SQLUserStore(database), SQLClientStore(database)
        ring = KeyRing(
            SQLSigningKeyStore(database),
            keystore,
            config=config,
            transactions=database,
            audit=audit,
            clock=clock,
        )
        issuers = Issuers(ring, config=config)
        master = SealedKey(
            keystore,
            keyref.parse(config.secrets_key),
            SQLSealedKeyStore(database, "oidc"),
            octets=purposekeys.OCTETS,
            what="the key of the OpenID provider",
        )
        outbound = Outbound(config.outbound, trust or trusting(config.outbound, ""))
        sender = LogoutSender(
            SQLDeliveryQueue(database),
            MessagesByChannel(
                {
                    Channel.OIDC: LogoutTokens(clients, issuers, clock=clock),
                    Channel.CAS: CASLogout(clock=clock),
                }
            ),
            outbound,
            config=config.logout,
            transactions=database,
            audit=audit,
            clock=clock,
        )
        administration.channels.on_queued(sender.wake)
        throttle = Throttle(SQLAddressStore(database), config=config.login, clock=clock)
        factors, bindings = SQLFactorStore(database), SQLCertificateLoginStore(database)
        seal = Seal(
            keystore, keyref.parse(config.secrets_key), SQLSealedKeyStore(database, "secrets")
        )
        attempts = Attempts(
            SQLAttemptStore(database),
            throttle=throttle,
            config=config.login,
            transactions=database,
            audit=audit,
            clock=clock,
        )
        admission = Admission.assemble(
            config,
            database,
            administration.sessions,
            directory,
            keystore=keystore,
            seal=seal,
            audit=audit,
            clock=clock,
        )
        certificates = CertificateLogin(
            bindings,
            users,
            verifier,
            config=config,
            throttle=throttle,
            transactions=database,
            audit=audit,
            clock=clock,
        )
        passwords = PasswordLogin(
            users,
            throttle=throttle,
            hasher=administration.hasher,
            config=config.login,
            transactions=database,
            audit=audit,
            clock=clock,
        )
        reach = Enrolled(factors, bindings)
        endpoints = Endpoints.assemble(
            config,
            Stores(
                clients=clients,
                grants=SQLGrantStore(database),
                users=users,
                pushed=SQLPushedRequestStore(database),
                replays=SQLReplayStore(database),
                devices=SQLDeviceCodeStore(database),
                registrations=SQLRegistrationStore(database),
            ),
            access=administration.access_tokens,
            issuers=issuers,
            purpose_keys=purpose_keys(master),
            throttle=throttle,
            registered=administration.clients,
            policy=make_policy(reach, admission.access, admission.consents),
            accounts=AccountClaims(admission.accounts, admission.people),
            verifier=verifier,
            fetcher=outbound if outbound.allows_any else None,
            channels=administration.channels,
            transactions=database,
            audit=audit,
            clock=clock,
        )
        one_time_passwords = OneTimePasswords(
            factors,
            attempts=attempts,
            seal=seal,
            issuer=config.issuer,
            transactions=database,
            audit=audit,
            clock=clock,
        )
        entries = SQLEntryStore(database)
        entry = Entry(
            entries,
            clients,
            users,
            endpoints.authorization,
            administration.channels,
            transactions=database,
            audit=audit,
            clock=clock,
        )
        return cls(
            administration=administration,
            clock=clock,
            ring=ring,
            issuers=issuers,
            passwords=passwords,
            password_change=PasswordChange(
                passwords,
                administration.password_policy,
                administration.sessions,
                transactions=database,
                audit=audit,
            ),
            certificates=certificates,
            admission=admission,
            upstreams=open_upstreams(
                config,
                Links(
                    SQLLinkStore(database),
                    users,
                    administration.users,
                    transactions=database,
                    audit=audit,
                    clock=clock,
                ),
                outbound,
                seal=seal,
                throttle=throttle,
                attempts=attempts,
                clock=clock,
            ),
            tls_login=TLSLogin(
                certificates,
                bindings,
                config=config,
                seal=seal,
                throttle=throttle,
                transactions=database,
                audit=audit,
                clock=clock,
            ),
            passkeys=Passkeys(
                SQLPasskeyStore(database),
                users,
                bindings,
                config=config,
                throttle=throttle,
                transactions=database,
                audit=audit,
                clock=clock,
            ),
            one_time_passwords=one_time_passwords,
            setup=Setup(
                administration.users,
                users,
                one_time_passwords,
                administration.standards,
                reach,
            ),
            endpoints=endpoints,
            logout=LogoutEndpoint(
                clients, issuers, administration.sessions, administration.channels
            ),
            outbound=outbound,
            sender=sender,
            entry=entry,
            gate=Gate(entries, entry, users, config=config.login, clock=clock),
        )


def _breached(config: AuthnConfig) -> Container[str]:
    path = config.password.breached_file
    return frozenset() if path is None else BreachedPasswords(path)
