"""The checks of an authorization request, one small function each, in one visible order.

While `redirect_uri` is None an error is shown to the person, because we do not know yet whether the
address is the client's; from then on it is sent to the client.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from authn.forms import Fields
from authn.oidc import scopes
from authn.oidc.acr import NO_DEMAND, Demand, demand_of
from authn.oidc.clientauth import MAY_REPEAT, every
from authn.oidc.clientmetadata import GrantType
from authn.oidc.errors import InvalidRequest, OAuthError
from authn.oidc.store import Client, ClientStore

AFTER: Final = "authenticated_after"
"""Our own parameter: when we sent the person to log in again (seconds since 1970)."""

_PROMPTS: Final = frozenset({"none", "login", "consent", "select_account"})
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_SECONDS: Final = re.compile(r"[0-9]{1,10}")
_MOST_CHARACTERS: Final = 6000
_MOST_RESOURCES: Final = 5


@dataclass(slots=True)
class Draft:
    """An authorization request under examination."""

    parameters: dict[str, str]
    repeated: frozenset[str]
    clients: ClientStore
    client: Client | None = None
    redirect_uri: str | None = None
    resources: tuple[str, ...] = ()
    """Resource servers the tokens will be for (RFC 8707)."""
    scope: str = ""
    prompt: frozenset[str] = frozenset()
    max_age: int | None = None
    after: int | None = None
    demand: Demand = NO_DEMAND

    @property
    def state(self) -> str | None:
        """What the client gets back untouched; None if it sent none, or two."""
        return None if "state" in self.repeated else self.parameters.get("state")


def draft(fields: Fields, clients: ClientStore) -> Draft:
    """Lay out the parameters of a request."""
    names = [name for name, _ in fields if name not in MAY_REPEAT]
    repeated = frozenset(name for name in names if names.count(name) > 1)
    asked = every(fields, "resource")
    return Draft(dict(reversed(fields)), repeated, clients, resources=asked)


def check_client(request: Draft) -> None:
    """RFC 6749, 4.1.1: client_id is required and known."""
    if "client_id" in request.repeated:
        raise InvalidRequest("client_id is given twice")
    request.client = request.clients.find(request.parameters.get("client_id", ""))
    if request.client is None:
        raise OAuthError("invalid_client", "client_id is missing or not registered here")


def check_redirect_uri(request: Draft) -> None:
    """RFC 9700, 2.1: equal, character for character, to a registered one."""
    if "redirect_uri" in request.repeated:
        raise InvalidRequest("redirect_uri is given twice")
    uri = request.parameters.get("redirect_uri")
    if request.client is None or uri is None or uri not in request.client.redirect_uris:
        raise InvalidRequest("redirect_uri is missing or not registered for this client")
    request.redirect_uri = uri


def check_nothing_repeated(request: Draft) -> None:
    """RFC 6749, 3.1: parameters must not be included more than once."""
    if request.repeated:
        raise InvalidRequest(f"given twice: {', '.join(sorted(request.repeated))[:100]}")


def check_length(request: Draft) -> None:
    """The request has to fit into the address of the login page."""
    if sum(len(name) + len(value) for name, value in request.parameters.items()) > _MOST_CHARACTERS:
        raise InvalidRequest(f"the request has more than {_MOST_CHARACTERS} characters")


def check_no_request_object(request: Draft) -> None:
    """OIDC Core, 3.1.2.6: say so when request objects are not supported."""
    if "request" in request.parameters:
        raise OAuthError("request_not_supported", "request objects are not supported")
    if "request_uri" in request.parameters:
        raise OAuthError("request_uri_not_supported", "request objects are not supported")


def check_response_type(request: Draft) -> None:
    """Only the code flow: RFC 9700, 2.1.2 advises against the others."""
    if "response_type" not in request.parameters:
        raise InvalidRequest("response_type is missing")
    if request.parameters["response_type"] != "code":
        raise OAuthError("unsupported_response_type", "only response_type=code is supported")
    if request.parameters.get("response_mode", "query") != "query":
        raise InvalidRequest("only response_mode=query is supported")


def check_resources(request: Draft) -> None:
    """RFC 8707, 2.1: only resource servers that are registered here."""
    if len(request.resources) > _MOST_RESOURCES:
        raise OAuthError("invalid_target", f"name at most {_MOST_RESOURCES} resources")
    if any(request.clients.find_resource(name) is None for name in request.resources):
        raise OAuthError("invalid_target", "a resource is not registered here")


def check_scope(request: Draft) -> None:
    """OIDC Core, 3.1.2.1: openid is required, and what is not understood is ignored."""
    if request.client is None:
        raise InvalidRequest("the client was not checked")
    known = set(scopes.KNOWN)
    for name in request.resources:
        server = request.clients.find_resource(name)
        known |= set() if server is None else set(server.metadata.resource_scopes)
    asked = set(request.parameters.get("scope", "").split()) & known
    if scopes.OPENID not in asked:
        raise OAuthError("invalid_scope", "the scope must contain openid")
    if not may_refresh_offline(request.client):
        asked.discard(scopes.OFFLINE_ACCESS)  # OIDC Core, 11: ignored
    if not asked <= request.client.scopes:
        raise OAuthError("invalid_scope", "the client is not registered for one of the scopes")
    request.scope = " ".join(sorted(asked))


def may_refresh_offline(client: Client) -> bool:
    """Whether its registration lets the client act while nobody is logged in."""
    refreshes = GrantType.REFRESH_TOKEN in client.metadata.grant_types
    return refreshes and scopes.OFFLINE_ACCESS in client.scopes


def check_pkce(request: Draft) -> None:
    """RFC 7636, 4.3; required of every client, and never plain (RFC 9700, 2.1.1)."""
    if request.parameters.get("code_challenge_method") != "S256":
        raise InvalidRequest("PKCE is required: code_challenge_method=S256")
    if _CHALLENGE.fullmatch(request.parameters.get("code_challenge", "")) is None:
        raise InvalidRequest("code_challenge must be 43 characters of base64url")


def check_nonce(request: Draft) -> None:
    """The nonce goes into a row and a token."""
    if len(request.parameters.get("nonce", "")) > 512:
        raise InvalidRequest("the nonce is longer than 512 characters")


def check_prompt(request: Draft) -> None:
    """OIDC Core, 3.1.2.1: none stands alone."""
    request.prompt = frozenset(request.parameters.get("prompt", "").split())
    if not request.prompt <= _PROMPTS:
        raise InvalidRequest("prompt has a value that is not known")
    if "none" in request.prompt and len(request.prompt) > 1:
        raise InvalidRequest("prompt=none cannot be combined")


def check_ages(request: Draft) -> None:
    """OIDC Core, 3.1.2.1: max_age is a number of seconds."""
    for name in ("max_age", AFTER):
        if _SECONDS.fullmatch(request.parameters.get(name, "0")) is None:
            raise InvalidRequest(f"{name} is not a number of seconds")
    if "max_age" in request.parameters:
        request.max_age = int(request.parameters["max_age"])
    if AFTER in request.parameters:
        request.after = int(request.parameters[AFTER])


def check_acr(request: Draft) -> None:
    """OIDC Core, 3.1.2.1 and 5.5.1.1: how strongly the person has to be logged in."""
    request.demand = demand_of(request.parameters)


CHECKS: Final[tuple[Callable[[Draft], None], ...]] = (
    # Shown to the person:
    check_client,
    check_redirect_uri,
    # Sent to the client:
    check_nothing_repeated,
    check_length,
    check_no_request_object,
    check_response_type,
    check_resources,
    check_scope,
    check_pkce,
    check_nonce,
    check_prompt,
    check_ages,
    check_acr,
)
