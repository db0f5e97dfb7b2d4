"""What clients call themselves, and where browsers are sent: the provider, put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from authn.certlogin import CertificateVerifier
from authn.config import AuthnConfig
from authn.login import Throttle
from authn.logout.channels import LogoutChannels
from authn.oidc.accesstokens import AccessTokens, UserinfoEndpoint
from authn.oidc.accountclaims import AccountClaims
from authn.oidc.assertion import ClientAssertions
from authn.oidc.athand import (
    AgreementAtHand,
    AgreementsInSteps,
    ClientsAtHand,
    PeopleAtHand,
    RememberedPolicies,
)
from authn.oidc.authorize import AuthorizationEndpoint, Judgement
from authn.oidc.binding import SenderBinding
from authn.oidc.clientauth import ClientAuthentication
from authn.oidc.clientgrant import ClientCredentialsGrant
from authn.oidc.clientkeys import ClientKeys, Fetcher
from authn.oidc.clients import Clients
from authn.oidc.codegrant import CodeGrant
from authn.oidc.device import (
    DeviceAuthorizationEndpoint,
    DeviceCodeStore,
    DeviceDecisions,
)
from authn.oidc.devicegrant import DeviceGrant
from authn.oidc.dpop import Proofs
from authn.oidc.draft import Sources
from authn.oidc.dynamicregistration import (
    InitialTokens,
    RegistrationEndpoint,
    RegistrationStore,
)
from authn.oidc.exchangegrant import ExchangeGrant
from authn.oidc.flow import Flows
from authn.oidc.granting import Granting
from authn.oidc.interaction import Check, make_policy
from authn.oidc.introspection import IntrospectionEndpoint, RevocationEndpoint
from authn.oidc.issuers import Issuers
from authn.oidc.issuing import TokenMaker
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
from core.steps import Carrier
from core.transaction import Transactions


@dataclass(frozen=True, slots=True)
class Stores:
    """Everything the provider remembers."""

    clients: ClientStore
    grants: GrantStore
    users: UserStore
    pushed: PushedRequestStore
    replays: ReplayStore
    devices: DeviceCodeStore
    registrations: RegistrationStore


@dataclass(frozen=True, slots=True)
class Endpoints:
    """One object for each endpoint."""

    authorization: AuthorizationEndpoint
    pushed: PushedAuthorizationEndpoint
    tokens: TokenEndpoint
    carrier: Carrier
    """Carries out what they do in steps."""
    userinfo: UserinfoEndpoint
    introspection: IntrospectionEndpoint
    revocation: RevocationEndpoint
    device_authorization: DeviceAuthorizationEndpoint
    devices: DeviceDecisions
    registration: RegistrationEndpoint
    initial_tokens: InitialTokens
    subjects: SubjectIdentifiers

    @classmethod
    def assemble(
        cls,
        config: AuthnConfig,
        stores: Stores,
        *,
        access: AccessTokens,
        issuers: Issuers,
        purpose_keys: PurposeKeys,
        policy: tuple[Check, ...],
        remembered: RememberedPolicies,
        agreements: AgreementsInSteps,
        throttle: Throttle,
        registered: Clients,
        accounts: AccountClaims,
        verifier: CertificateVerifier,
        fetcher: Fetcher | None,
        channels: LogoutChannels,
        transactions: Transactions,
        carrier: Carrier,
        audit: AuditLog,
        clock: Clock,
    ) -> Self:
        """Put them together over the stores."""
        issuer, oidc = config.issuer, config.oidc
        replays, client_keys = Replays(stores.replays), ClientKeys(fetcher, clock=clock)
        subjects = SubjectIdentifiers(purpose_keys)
        authentication = ClientAuthentication(
            stores.clients,
            ClientAssertions(client_keys, replays, issuer=issuers.name_of, clock=clock),
            CertificateAuthentication(verifier, client_keys),
            clock=clock,
        )
        binding = SenderBinding(
            Proofs(replays, purpose_keys, nonce_required=oidc.dpop_nonce_required, clock=clock)
        )
        pushed = PushedRequests(stores.pushed, clock=clock)
        objects = RequestObjects(client_keys, issuer=issuers.name_of, clock=clock)
        people = PeopleAtHand(remembered)
        authorization = AuthorizationEndpoint(
            Judgement(Sources(stores.clients, pushed, objects), policy),
            stores.grants,
            issuers,
            subjects,
            Flows(purpose_keys, clock=clock),
            at_hand=Judgement(
                Sources(ClientsAtHand(stores.clients), pushed, objects),
                make_policy(people, people, people),
            ),
            agreements=agreements,
            agreed=lambda consent: make_policy(people, people, AgreementAtHand(consent)),
            config=config,
            clock=clock,
        )
        granting = Granting(
            clients=stores.clients,
            grants=stores.grants,
            users=stores.users,
            subjects=subjects,
            channels=channels,
            maker=TokenMaker(issuers, subjects, config=config),
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
                (
                    CodeGrant(granting),
                    RefreshGrant(granting),
                    ClientCredentialsGrant(granting),
                    DeviceGrant(granting, stores.devices),
                    ExchangeGrant(granting),
                ),
                clock=clock,
            ),
            carrier=carrier,
            userinfo=UserinfoEndpoint(access, binding, stores.clients, subjects, accounts),
            introspection=IntrospectionEndpoint(
                authentication,
                access,
                stores.grants,
                subjects,
                issuer=issuers.name_of,
                clock=clock,
            ),
            revocation=RevocationEndpoint(
                authentication, stores.grants, transactions=transactions, audit=audit
            ),
            device_authorization=DeviceAuthorizationEndpoint(
                authentication, stores.clients, stores.devices, config=config, clock=clock
            ),
            devices=DeviceDecisions(
                stores.clients,
                stores.devices,
                throttle=throttle,
                transactions=transactions,
                audit=audit,
                clock=clock,
            ),
            registration=RegistrationEndpoint(
                registered,
                stores.registrations,
                issuer=issuer,
                transactions=transactions,
                clock=clock,
            ),
            initial_tokens=InitialTokens(
                stores.registrations, transactions=transactions, audit=audit, clock=clock
            ),
            subjects=subjects,
        )
