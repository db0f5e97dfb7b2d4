"""The OpenID provider with its ways to log in, put together over SQL stores."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Self

from authn.accounts import Directory
from authn.administration import Administration
from authn.admission import Admission
from authn.attempts import Attempts
from authn.certlogin import CertificateLogin, CertificateVerifier
from authn.config import AuthnConfig
from authn.factors import Enrolled
from authn.legacy.cas import CASLogout
from authn.legacy.entry import Entry
from authn.legacy.gate import Gate
from authn.legacy.sqlstore import SQLEntryStore
from authn.login import PasswordLogin, Throttle
from authn.logout.backlog import LogoutBacklog
from authn.logout.sender import LogoutSender, MessagesByChannel
from authn.logout.sqlstore import SQLDeliveryQueue
from authn.logout.store import Channel
from authn.oidc import purposekeys
from authn.oidc.accountclaims import AccountClaims
from authn.oidc.endpoints import Endpoints, Stores
from authn.oidc.interaction import make_policy
from authn.oidc.issuers import Issuers
from authn.oidc.keyring import KeyRing
from authn.oidc.logout import LogoutEndpoint
from authn.oidc.logouttoken import LogoutTokens
from authn.oidc.purposekeys import purpose_keys
from authn.oidc.sqlclients import SQLClientStore
from authn.oidc.sqldevices import SQLDeviceCodeStore
from authn.oidc.sqlkeys import SQLSigningKeyStore
from authn.oidc.sqlregistrations import SQLRegistrationStore
from authn.oidc.sqlrequests import SQLPushedRequestStore, SQLReplayStore
from authn.oidc.sqlstore import SQLGrantStore
from authn.passkeys import Passkeys
from authn.passwordchange import PasswordChange
from authn.setup import Setup
from authn.sqlfactors import SQLAttemptStore, SQLFactorStore, SQLSealedKeyStore
from authn.sqlpasskeys import SQLPasskeyStore
from authn.sqlstore import (
    SQLAddressStore,
    SQLCertificateLoginStore,
    SQLUserStore,
)
from authn.tlslogin import TLSLogin
from authn.totp import OneTimePasswords
from authn.trial import Trials
from authn.upstream.assembly import open_upstreams
from authn.upstream.links import Links
from authn.upstream.login import Upstreams
from authn.upstream.sqlstore import SQLLinkStore
from core.audit import AuditLog
from core.clock import Clock
from core.db import Database
from core.outbound import Outbound, trusting
from core.steps import Carrier
from keystore import keyref
from keystore.seal import Seal
from keystore.sealedkey import SealedKey
from keystore.storagekey import StorageBackend


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
    trials: Trials
    upstreams: Upstreams
    endpoints: Endpoints
    logout: LogoutEndpoint
    outbound: Outbound
    sender: LogoutSender
    backlog: LogoutBacklog
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
        deliveries = SQLDeliveryQueue(database)
        sender = LogoutSender(
            deliveries,
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
        backlog = LogoutBacklog(
            deliveries, wake=sender.wake, transactions=database, audit=audit, clock=clock
        )
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
            remembered=admission.access,
            agreements=admission.consents,
            accounts=AccountClaims(admission.accounts, admission.people),
            verifier=verifier,
            fetcher=outbound if outbound.allows_any else None,
            channels=administration.channels,
            transactions=database,
            carrier=Carrier(database),
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
            trials=Trials(admission.access, admission.accounts, reach),
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
            backlog=backlog,
            entry=entry,
            gate=Gate(entries, entry, users, config=config.login, clock=clock),
        )
