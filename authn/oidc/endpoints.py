"""What clients call themselves, put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from authn.config import AuthnConfig
from authn.logout.channels import LogoutChannels
from authn.oidc.accesstokens import AccessTokens, UserinfoEndpoint
from authn.oidc.clientauth import ClientAuthentication
from authn.oidc.clientgrant import ClientCredentialsGrant
from authn.oidc.codegrant import CodeGrant
from authn.oidc.granting import Granting
from authn.oidc.introspection import IntrospectionEndpoint, RevocationEndpoint
from authn.oidc.issuing import TokenMaker
from authn.oidc.jwt import SigningKeys
from authn.oidc.refreshgrant import RefreshGrant
from authn.oidc.store import ClientStore, GrantStore
from authn.oidc.subjects import SubjectIdentifiers
from authn.oidc.token import TokenEndpoint
from authn.store import UserStore
from core.audit import AuditLog
from core.clock import Clock
from core.transaction import Transactions


@dataclass(frozen=True, slots=True)
class ClientEndpoints:
    """One object for each endpoint."""

    tokens: TokenEndpoint
    userinfo: UserinfoEndpoint
    introspection: IntrospectionEndpoint
    revocation: RevocationEndpoint

    @classmethod
    def assemble(
        cls,
        config: AuthnConfig,
        *,
        clients: ClientStore,
        grants: GrantStore,
        users: UserStore,
        access: AccessTokens,
        keys: SigningKeys,
        subjects: SubjectIdentifiers,
        channels: LogoutChannels,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
    ) -> Self:
        """Put them together over the stores."""
        authentication = ClientAuthentication(clients, clock=clock)
        granting = Granting(
            clients=clients,
            grants=grants,
            users=users,
            subjects=subjects,
            channels=channels,
            maker=TokenMaker(keys, subjects, config=config),
            config=config,
            transactions=transactions,
            audit=audit,
        )
        return cls(
            tokens=TokenEndpoint(
                authentication,
                (CodeGrant(granting), RefreshGrant(granting), ClientCredentialsGrant(granting)),
                clock=clock,
            ),
            userinfo=UserinfoEndpoint(access, clients, subjects),
            introspection=IntrospectionEndpoint(
                authentication, access, grants, subjects, issuer=config.issuer, clock=clock
            ),
            revocation=RevocationEndpoint(
                authentication, grants, transactions=transactions, audit=audit
            ),
        )
