"""What is at hand of what an authorization request is judged by: for the event loop.

The checks and the prompts are the same ones (`authn.oidc.checks`, `authn.oidc.interaction`). What
they ask for is given if it is in memory. Otherwise `NotAtHand` ends the judgement: nothing was
done, and it begins anew in a thread, with all there is.
"""

from __future__ import annotations

from typing import NoReturn, Protocol

from authn.access import AccessPolicy, Refusal
from authn.consents import Consent
from authn.oidc.store import Client
from authn.store import Session, User
from core.steps import Steps


class NotAtHand(Exception):
    """It would have to be read."""


class ConsentNotAtHand(NotAtHand):
    """What the person agreed to would have to be read, and nothing else so far."""

    def __init__(self, session: Session, client_id: str) -> None:
        super().__init__(client_id)
        self.session = session
        self.client_id = client_id


class AgreementsInSteps(Protocol):
    """Reads what people agreed to (`authn.consents.Consents`)."""

    def finding(self, session: Session, client_id: str) -> Steps[Consent | None]: ...


class RememberedClients(Protocol):
    """Recalls clients (`authn.oidc.store.ClientStore`)."""

    def recall(self, client_id: str) -> Client | None: ...


class RememberedPolicies(Protocol):
    """Recalls access policies (`authn.access.ApplicationAccess`)."""

    def recall_policy(self, client_id: str) -> AccessPolicy | None: ...


class ClientsAtHand:
    """`authn.oidc.draft.RegisteredClients` from memory. Everything raises `NotAtHand`."""

    def __init__(self, clients: RememberedClients) -> None:
        self._clients = clients

    def find(self, client_id: str) -> Client:
        client = self._clients.recall(client_id)
        if client is None:
            raise NotAtHand
        return client

    def find_resource(self, resource: str) -> NoReturn:
        raise NotAtHand(resource)


class PeopleAtHand:
    """What the prompts ask about people (`authn.oidc.interaction.make_policy`), from memory.

    Everything raises `NotAtHand`, and `find` says by it what to read. Of a person nothing is
    remembered: so only what follows from their session and the application's policy is answered.
    """

    def __init__(self, policies: RememberedPolicies) -> None:
        self._policies = policies

    def policy(self, client_id: str) -> AccessPolicy:
        policy = self._policies.recall_policy(client_id)
        if policy is None:
            raise NotAtHand
        return policy

    def refusal(self, policy: AccessPolicy, account: str | None, user: User) -> Refusal | None:
        if account is None and policy.admits_anybody:
            return None
        raise NotAtHand(user.id)

    def reachable(self, user: User) -> NoReturn:
        raise NotAtHand(user.id)

    def find(self, session: Session, client_id: str) -> NoReturn:
        raise ConsentNotAtHand(session, client_id)


class AgreementAtHand:
    """What the person of one request agreed to with its application, which was read."""

    def __init__(self, consent: Consent | None) -> None:
        self._consent = consent

    def find(self, _session: Session, _client_id: str) -> Consent | None:
        return self._consent
