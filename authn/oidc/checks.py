"""The checks of an authorization request, one small function each, in one visible order.

While `redirect_uri` is None an error is shown to the person, because we do not know yet whether the
address is the client's; from then on it is sent to the client.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from authn.oidc import pushed, scopes
from authn.oidc.acr import demand_of
from authn.oidc.claimsrequest import parse_claims
from authn.oidc.clientmetadata import GrantType
from authn.oidc.draft import Draft
from authn.oidc.errors import InvalidRequest, OAuthError
from authn.oidc.store import Client

_PROMPTS: Final = frozenset({"none", "login", "consent", "select_account"})
_MODES: Final = ("query", "form_post")
_HASH: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_SECONDS: Final = re.compile(r"[0-9]{1,10}")
_MOST_CHARACTERS: Final = 3500
_MOST_RESOURCES: Final = 5


def check_client(request: Draft) -> None:
    """RFC 6749, 4.1.1: client_id is required and known."""
    if "client_id" in request.repeated:
        raise InvalidRequest("client_id is given twice")
    request.client = request.sources.clients.find(request.parameters.get("client_id", ""))
    if request.client is None:
        raise OAuthError("invalid_client", "client_id is missing or not registered here")


def check_pushed(request: Draft) -> None:
    """RFC 9126, 4: what was pushed counts, and nothing that stands beside it."""
    uri = request.parameters.get("request_uri", "")
    if not uri.startswith(pushed.PREFIX):
        return
    if request.client is None or "request_uri" in request.repeated:
        raise InvalidRequest("request_uri is given twice")
    found = request.sources.pushed.find(uri, request.client)
    request.replace_fields(found.fields)
    request.pushed, request.signed = found.digest.hex(), found.signed


def check_request_object(request: Draft) -> None:
    """RFC 9101, 6.3: what is signed counts, and nothing that stands beside it."""
    given = request.parameters
    if request.client is None or not {"request", "request_uri"} & given.keys():
        return
    # Until the object is read, its faults may go to an address of this client.
    if given.get("redirect_uri") in request.client.redirect_uris and not request.repeated:
        request.redirect_uri = given["redirect_uri"]
    if "request_uri" in given:
        raise OAuthError("request_uri_not_supported", "push the request instead (RFC 9126)")
    if "request" in request.repeated:
        raise InvalidRequest("request is given twice")
    fields = request.sources.objects.read(given["request"], request.client)
    request.replace_fields([*fields, ("client_id", request.client.id)])
    request.signed = True


def check_redirect_uri(request: Draft) -> None:
    """RFC 9700, 2.1: equal, character for character, to a registered one."""
    request.redirect_uri = None
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
    """The request has to fit into a cookie (`authn.oidc.flow`)."""
    if sum(len(name) + len(value) for name, value in request.parameters.items()) > _MOST_CHARACTERS:
        raise InvalidRequest(f"the request has more than {_MOST_CHARACTERS} characters")


def check_profile(request: Draft) -> None:
    """How this client's requests have to come (RFC 9126, 6; RFC 9101, 10.5; FAPI 2.0, 5.3.2.2)."""
    if request.client is None:
        raise InvalidRequest("the client was not checked")
    metadata = request.client.metadata
    must_push = metadata.is_fapi2 or metadata.require_pushed_authorization_requests
    if must_push and request.pushed is None:
        raise InvalidRequest("this client has to push its requests (RFC 9126)")
    if metadata.require_signed_request_object and not request.signed:
        raise InvalidRequest("this client has to sign its requests (RFC 9101)")


def check_response_type(request: Draft) -> None:
    """Only the code flow: RFC 9700, 2.1.2 advises against the others."""
    if "response_type" not in request.parameters:
        raise InvalidRequest("response_type is missing")
    if request.parameters["response_type"] != "code":
        raise OAuthError("unsupported_response_type", "only response_type=code is supported")
    if request.parameters.get("response_mode", "query") not in _MODES:
        raise InvalidRequest(f"response_mode is one of {', '.join(_MODES)}")


def check_resources(request: Draft) -> None:
    """RFC 8707, 2.1: only resource servers that are registered here."""
    if len(request.resources) > _MOST_RESOURCES:
        raise OAuthError("invalid_target", f"name at most {_MOST_RESOURCES} resources")
    if any(request.sources.clients.find_resource(name) is None for name in request.resources):
        raise OAuthError("invalid_target", "a resource is not registered here")


def check_scope(request: Draft) -> None:
    """OIDC Core, 3.1.2.1: openid is required, and what is not understood is ignored."""
    if request.client is None:
        raise InvalidRequest("the client was not checked")
    known = set(scopes.KNOWN)
    for name in request.resources:
        server = request.sources.clients.find_resource(name)
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
    if _HASH.fullmatch(request.parameters.get("code_challenge", "")) is None:
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


def check_age(request: Draft) -> None:
    """OIDC Core, 3.1.2.1: max_age is a number of seconds."""
    asked = request.parameters.get("max_age")
    if asked is not None and _SECONDS.fullmatch(asked) is None:
        raise InvalidRequest("max_age is not a number of seconds")
    if asked is not None:
        request.max_age = int(asked)
    elif request.client is not None:
        request.max_age = request.client.metadata.default_max_age


def check_acr(request: Draft) -> None:
    """OIDC Core, 3.1.2.1 and 5.5.1.1: how strongly the person has to be logged in."""
    parameters = request.parameters
    if request.client is not None and request.client.metadata.default_acr_values:
        default = {"acr_values": " ".join(request.client.metadata.default_acr_values)}
        parameters = {**default, **parameters}
    request.demand = demand_of(parameters)


def check_claims(request: Draft) -> None:
    """OIDC Core, 5.5: single claims, in a JSON object."""
    request.claims = parse_claims(request.parameters.get("claims", ""))


def check_dpop_key(request: Draft) -> None:
    """RFC 9449, 10: the key a code will be bound to is named by its thumbprint."""
    if _HASH.fullmatch(request.parameters.get("dpop_jkt", "x" * 43)) is None:
        raise InvalidRequest("dpop_jkt is not a SHA-256 thumbprint in base64url")


CHECKS: Final[tuple[Callable[[Draft], None], ...]] = (
    # Shown to the person:
    check_client,
    check_pushed,
    check_request_object,
    check_redirect_uri,
    # Sent to the client:
    check_nothing_repeated,
    check_length,
    check_profile,
    check_response_type,
    check_resources,
    check_scope,
    check_pkce,
    check_nonce,
    check_prompt,
    check_age,
    check_acr,
    check_claims,
    check_dpop_key,
)
