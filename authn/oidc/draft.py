"""An authorization request under examination: what it says, and what the checks found out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from authn.forms import Fields
from authn.oidc.acr import NO_DEMAND, Demand
from authn.oidc.claimsrequest import NOTHING, ClaimsRequest
from authn.oidc.clientauth import MAY_REPEAT, every
from authn.oidc.flow import Flow
from authn.oidc.pushed import PushedRequests
from authn.oidc.requestobject import RequestObjects
from authn.oidc.store import Client


class RegisteredClients(Protocol):
    """Knows the clients (`authn.oidc.store.ClientStore`)."""

    def find(self, client_id: str) -> Client | None: ...

    def find_resource(self, resource: str) -> Client | None: ...


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the parts of a request are looked up."""

    clients: RegisteredClients
    pushed: PushedRequests
    objects: RequestObjects


@dataclass(slots=True)
class Draft:
    """The checks fill it in, one after the other."""

    sources: Sources
    fields: Fields = ()
    """The parameters that count: of the address, of a pushed request, or of a request object."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """They by name; of one given twice, the first."""
    repeated: frozenset[str] = frozenset()
    """What is given twice and must not be (RFC 6749, 3.1)."""
    client: Client | None = None
    redirect_uri: str | None = None
    pushed: str | None = None
    """Digest (hex) of the pushed request they came from."""
    signed: bool = False
    """They came in a request object."""
    resources: tuple[str, ...] = ()
    """Resource servers the tokens will be for (RFC 8707)."""
    scope: str = ""
    prompt: frozenset[str] = frozenset()
    max_age: int | None = None
    after: int | None = None
    """When we sent the person to log in (seconds since 1970); only a later login counts."""
    known: str | None = None
    """The login of who was sent there (`authn.oidc.flow.mark_of`)."""
    chosen: str | None = None
    """The session that the person chose to go on with."""
    flow: tuple[str, str] | None = None
    """Id and cookie of the flow it came back from."""
    demand: Demand = NO_DEMAND
    claims: ClaimsRequest = NOTHING

    @property
    def state(self) -> str | None:
        """What the client gets back untouched; None if it sent none, or two."""
        return None if "state" in self.repeated else self.parameters.get("state")

    @property
    def form_post(self) -> bool:
        """Whether the answer goes to the client in a form instead of its address."""
        return self.parameters.get("response_mode") == "form_post"

    def replace_fields(self, fields: Fields) -> None:
        """Take these parameters and forget all others."""
        self.fields = fields
        self.parameters = dict(reversed(fields))
        self.repeated = frozenset[str]()
        if len(self.parameters) < len(fields):
            times = Counter(name for name, _ in fields)
            self.repeated = frozenset(
                name for name, count in times.items() if count > 1 and name not in MAY_REPEAT
            )
        self.resources = every(fields, "resource")


def draft(fields: Fields, sources: Sources) -> Draft:
    """Lay out a request as it came."""
    request = Draft(sources)
    request.replace_fields(fields)
    return request


def resumed(flow: Flow, flow_id: str, cookie: str, sources: Sources) -> Draft:
    """Lay out a request that went through our pages."""
    request = draft(flow.fields, sources)
    request.flow = flow_id, cookie
    request.after, request.pushed, request.signed = flow.after, flow.pushed, flow.signed
    request.chosen, request.known = flow.chosen, flow.known
    return request
