"""What clients call themselves, and where browsers are sent: the provider, put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from authn.certlogin import CertificateVerifier
from authn.config import AuthnConfig
from authn.logout.channels import LogoutChannels
from authn.oidc.accesstokens import AccessTokens, UserinfoEndpoint
from authn.oidc.assertion import ClientAssertions
from authn.oidc.authorize import AuthorizationEndpoint
from authn.oidc.binding import SenderBinding
from authn.oidc.clientauth import ClientAuthentication
from authn.oidc.clientgrant import ClientCredentialsGrant
from authn.oidc.clientkeys import ClientKeys, Fetcher
from authn.oidc.codegrant import CodeGrant
from authn.oidc.dpop import Proofs
from authn.oidc.draft import Sources
from authn.oidc.flow import Flows
from authn.oidc.granting import Granting
from authn.oidc.interaction import Check
from authn.oidc.introspection import IntrospectionEndpoint, RevocationEndpoint
from authn.oidc.issuing import TokenMaker
from authn.oidc.jwt import SigningKeys
from authn.oidc.mutualtls import CertificateAuthentication
from authn.oidc.purposekeys import PurposeKeys
from authn.oidc.pushed import PushedAuthorizationEndpoint, PushedRequests, PushedRequestStore
from authn.oidc.refreshgrant import RefreshGrant
from authn.oidc.replays import Replays, ReplayStore
from authn.oidc.requestobject import RequestObjects
from authn.oidc.store import ClientStore, GrantStore
from authn.oidc.subjects import SubjectIdentifiers
from authn.oidc.token import TokenEndpoint
from authn.store import UserStore
from core.audit import AuditLog
from core.clock import Clock
from core.transaction import Transactions


@dataclass(frozen=True, slots=True)
class Stores:
    """Everything the provider remembers."""

    clients: ClientStore
    grants: GrantStore
    users: UserStore
    pushed: PushedRequestStore
    replays: ReplayStore


@dataclass(frozen=True, slots=True)
class Endpoints:
    """One object for each endpoint."""

    authorization: AuthorizationEndpoint
    pushed: PushedAuthorizationEndpoint
    tokens: TokenEndpoint
    userinfo: UserinfoEndpoint
    introspection: IntrospectionEndpoint
    revocation: RevocationEndpoint
    subjects: SubjectIdentifiers

    @classmethod
    def assemble(
        cls,
        config: AuthnConfig,
        stores: Stores,
        *,
        access: AccessTokens,
        keys: SigningKeys,
        purpose_keys: PurposeKeys,
        policy: tuple[Check, ...],
        verifier: CertificateVerifier,
        fetcher: Fetcher | None,
        channels: LogoutChannels,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
    ) -> Self:
        """Put them together over the stores."""
        issuer, oidc = config.issuer, config.oidc
        replays, client_keys = Replays(stores.replays), ClientKeys(fetcher, clock=clock)
        subjects = SubjectIdentifiers(purpose_keys)
        authentication = ClientAuthentication(
            stores.clients,
            ClientAssertions(client_keys, replays, issuer=issuer, clock=clock),
            CertificateAuthentication(verifier, client_keys),
            clock=clock,
        )
        binding = SenderBinding(
            Proofs(replays, purpose_keys, nonce_required=oidc.dpop_nonce_required, clock=clock)
        )
        authorization = AuthorizationEndpoint(
            Sources(
                stores.clients,
                PushedRequests(stores.pushed, clock=clock),
                RequestObjects(client_keys, issuer=issuer, clock=clock),
            ),
            stores.grants,
            keys,
            subjects,
            Flows(purpose_keys, clock=clock),
            policy=policy,
            config=config,
            clock=clock,
        )
        granting = Granting(
            clients=stores.clients,
            grants=stores.grants,
            users=stores.users,
            subjects=subjects,
            channels=channels,
            maker=TokenMaker(keys, subjects, config=config),
            config=config,
            transactions=transactions,
            audit=audit,
        )
        return cls(
            authorization=authorization,
            pushed=PushedAuthorizationEndpoint(
                authentication,
                binding,
                stores.pushed,
                authorization.check,
                seconds=oidc.pushed_request_seconds,
                clock=clock,
            ),
            tokens=TokenEndpoint(
                authentication,
                binding,
                (CodeGrant(granting), RefreshGrant(granting), ClientCredentialsGrant(granting)),
                clock=clock,
            ),
            userinfo=UserinfoEndpoint(access, binding, stores.clients, subjects),
            introspection=IntrospectionEndpoint(
                authentication, access, stores.grants, subjects, issuer=issuer, clock=clock
            ),
            revocation=RevocationEndpoint(
                authentication, stores.grants, transactions=transactions, audit=audit
            ),
            subjects=subjects,
        )
