"""Dynamic registration (RFC 7591) with an initial access token, and its management (RFC 7592)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from pydantic import ValidationError

from authn import opaque
from authn.oidc import scopes
from authn.oidc.clientmetadata import ClientMetadata, GrantType
from authn.oidc.clients import Clients
from authn.oidc.errors import OAuthError
from authn.oidc.store import AuthMethod, Client, IDTokenAlgorithm
from core.audit import AuditLog, Detail
from core.clock import Clock
from core.errors import Conflict, Malformed, NotFound, Refused
from core.oneline import one_line
from core.transaction import Transactions

PATH: Final = "/oidc/register"
INITIAL_PREFIX: Final = "yxi_"
REGISTRATION_PREFIX: Final = "yxg_"

_MAY: Final = frozenset(
    {GrantType.AUTHORIZATION_CODE, GrantType.REFRESH_TOKEN, GrantType.DEVICE_CODE}
)
"""What an application may give itself. Acting without a person is for administrators to give."""
_SCOPES: Final = frozenset(
    {scopes.OPENID, "profile", "email", "phone", "address", scopes.OFFLINE_ACCESS}
)
_OURS_ALONE: Final = frozenset(
    {
        "sector_identifier",
        "subject_type",
        "resource",
        "resource_scopes",
        "access_token_format",
        "cas_services",
        "cas_prefixes",
        "gate_origins",
    }
)
"""What only an administrator sets: who joins people, who is a resource server, and which address
is entered by an older protocol, where nothing but its registration says whose it is."""
_PLAIN: Final = ClientMetadata()
_KNOWN: Final = frozenset(ClientMetadata.model_fields) - _OURS_ALONE


@dataclass(frozen=True, slots=True)
class InitialToken:
    """Somebody may register so many applications until then."""

    digest: bytes
    id: str
    name: str
    uses_left: int
    created_at: datetime
    expires_at: datetime


class RegistrationStore(Protocol):
    """Initial access tokens, and the registration access tokens of applications."""

    def add_initial(self, token: InitialToken) -> None: ...

    def list_initial(self) -> Sequence[InitialToken]: ...

    def remove_initial(self, token_id: str) -> bool: ...

    def use_initial(self, digest: bytes, now: datetime) -> bool:
        """Compare and set: True for one caller for each use that is left."""
        ...

    def put_registration(self, client_id: str, digest: bytes) -> None: ...

    def find_registration(self, client_id: str) -> bytes | None: ...

    def remove_registration(self, client_id: str) -> None: ...


class InitialTokens:
    """Administrators make them, and applications are registered with them."""

    def __init__(
        self,
        store: RegistrationStore,
        *,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._store = store
        self._transactions = transactions
        self._audit = audit
        self._clock = clock

    def create(self, name: str, *, uses: int, days: int, actor: str) -> str:
        """Return a new token, to be shown once. Raises `Malformed`."""
        if not 1 <= uses <= 1000 or not 1 <= days <= 366:
            raise Malformed("a registration token has 1 to 1000 uses and 1 to 366 days")
        name = one_line(name, "the name of a registration token", most=64)
        drawn, now = opaque.draw(INITIAL_PREFIX), self._clock.now()
        token = InitialToken(
            drawn.digest, str(uuid.uuid4()), name, uses, now, now + timedelta(days=days)
        )
        with self._transactions.transaction():
            self._store.add_initial(token)
            detail: Detail = {"id": token.id, "name": token.name, "uses": uses, "days": days}
            self._audit.record("registration.offered", actor=actor, detail=detail)
        return drawn.secret

    def list_tokens(self) -> Sequence[InitialToken]:
        """Return those that can be used, oldest first."""
        return self._store.list_initial()

    def revoke(self, token_id: str, *, actor: str) -> None:
        """Raises `NotFound`."""
        with self._transactions.transaction():
            if not self._store.remove_initial(token_id):
                raise NotFound("there is no such token")
            self._audit.record("registration.withdrawn", actor=actor, detail={"id": token_id})


class RegistrationEndpoint:
    """Lets applications register, read, change and remove themselves."""

    def __init__(
        self,
        clients: Clients,
        store: RegistrationStore,
        *,
        issuer: str,
        transactions: Transactions,
        clock: Clock,
    ) -> None:
        self._clients = clients
        self._store = store
        self._issuer = issuer
        self._transactions = transactions
        self._clock = clock

    def register(self, document: Any, bearer: str) -> dict[str, Any]:
        """Return the client information response (RFC 7591, 3.2.1). Raises `OAuthError`."""
        wish = read_wish(document, None)
        drawn = opaque.draw(REGISTRATION_PREFIX)
        with self._transactions.transaction():
            if not self._store.use_initial(opaque.digest(bearer), self._clock.now()):
                raise OAuthError("invalid_token", "the initial access token is not good any more")
            client, secret = self._apply(wish, client_id=None)
            self._store.put_registration(client.id, drawn.digest)
        return self._described(client, secret, drawn.secret)

    def read(self, client_id: str, bearer: str) -> dict[str, Any]:
        """Return what is registered (RFC 7592, 2.1). Raises `OAuthError`."""
        return self._described(self._known(client_id, bearer), None, bearer)

    def change(self, client_id: str, document: Any, bearer: str) -> dict[str, Any]:
        """Replace what is registered (RFC 7592, 2.2). Raises `OAuthError`."""
        known = self._known(client_id, bearer)
        if not isinstance(document, dict) or document.get("client_id") != client_id:
            raise OAuthError("invalid_client_metadata", "client_id must be that of the client")
        client, secret = self._apply(read_wish(document, known), client_id=known.id)
        return self._described(client, secret, bearer)

    def remove(self, client_id: str, bearer: str) -> None:
        """Remove the client (RFC 7592, 2.3). Raises `OAuthError`."""
        client = self._known(client_id, bearer)
        with self._transactions.transaction():
            self._store.remove_registration(client.id)
            self._clients.remove(client.id, actor=client.id)

    def _known(self, client_id: str, bearer: str) -> Client:
        digest = self._store.find_registration(client_id)
        if digest is None or not opaque.matches(bearer, digest):
            raise OAuthError("invalid_token", "the registration access token is wrong")
        try:
            return self._clients.get(client_id)
        except NotFound as error:
            raise OAuthError("invalid_token", "the client is gone") from error

    def _apply(self, wish: Wish, *, client_id: str | None) -> tuple[Client, str | None]:
        values: dict[str, Any] = {
            "redirect_uris": wish.redirect_uris,
            "post_logout_redirect_uris": wish.post_logout_redirect_uris,
            "auth_method": wish.auth_method,
            "allowed_scopes": wish.scopes,
            "id_token_algorithm": wish.id_token_algorithm,
            "metadata": wish.metadata,
        }
        try:
            if client_id is None:
                return self._clients.register(wish.name, actor="registration", **values)
            return self._clients.change(client_id, wish.name, actor=client_id, **values)
        except (Refused, Malformed, Conflict) as error:
            word = "redirect_uri" if "redirect URI" in str(error) else "client_metadata"
            raise OAuthError(f"invalid_{word}", str(error)) from error

    def _described(self, client: Client, secret: str | None, bearer: str) -> dict[str, Any]:
        kept = client.metadata.model_dump(mode="json", exclude_none=True)
        answer: dict[str, Any] = {
            **{name: value for name, value in kept.items() if name in _KNOWN},
            "subject_type": str(client.metadata.subject_type),
            "client_id": client.id,
            "client_name": client.name,
            "client_id_issued_at": int(client.created_at.timestamp()),
            "redirect_uris": list(client.redirect_uris),
            "post_logout_redirect_uris": list(client.post_logout_redirect_uris),
            "token_endpoint_auth_method": str(client.auth_method),
            "response_types": ["code"],
            "scope": " ".join(sorted(client.scopes)),
            "id_token_signed_response_alg": str(client.id_token_algorithm),
            "registration_access_token": bearer,
            "registration_client_uri": f"{self._issuer}{PATH}/{client.id}",
        }
        if secret is not None:
            answer |= {"client_secret": secret, "client_secret_expires_at": 0}
        return answer


@dataclass(frozen=True, slots=True)
class Wish:
    """What an application asks to be registered with."""

    name: str
    redirect_uris: tuple[str, ...]
    post_logout_redirect_uris: tuple[str, ...]
    auth_method: AuthMethod
    scopes: tuple[str, ...]
    id_token_algorithm: IDTokenAlgorithm
    metadata: ClientMetadata


def read_wish(document: Any, known: Client | None) -> Wish:
    """Read a registration request; what is not known is ignored (RFC 7591, 2).

    What an administrator gave a client that is `known` already stays, whatever it asks. Raises
    `OAuthError` invalid_client_metadata.
    """
    given_before = _PLAIN if known is None else known.metadata
    may = _MAY.union(given_before.grant_types)
    scopes_before = frozenset[str]() if known is None else known.scopes
    if not isinstance(document, dict):
        raise OAuthError("invalid_client_metadata", "send a JSON object")
    if document.get("response_types", ["code"]) != ["code"]:
        raise OAuthError("invalid_client_metadata", "response_types must be code alone")
    given = {name: value for name, value in document.items() if name in _KNOWN}
    given |= {name: getattr(given_before, name) for name in _OURS_ALONE}
    try:
        metadata = ClientMetadata.model_validate(given)
        wish = Wish(
            name=_text(document, "client_name", "application"),
            redirect_uris=_texts(document, "redirect_uris"),
            post_logout_redirect_uris=_texts(document, "post_logout_redirect_uris"),
            auth_method=AuthMethod(_text(document, "token_endpoint_auth_method", AuthMethod.BASIC)),
            scopes=tuple(
                sorted(set(_text(document, "scope", "openid").split()) & (_SCOPES | scopes_before))
            ),
            id_token_algorithm=IDTokenAlgorithm(
                _text(document, "id_token_signed_response_alg", IDTokenAlgorithm.RS256)
            ),
            metadata=metadata,
        )
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise OAuthError("invalid_client_metadata", f"{where}: {first['msg']}") from error
    except ValueError as error:
        raise OAuthError("invalid_client_metadata", str(error)) from error
    if not set(metadata.grant_types) <= may:
        raise OAuthError("invalid_client_metadata", "an administrator gives the other grant types")
    return wish


def _text(document: Mapping[str, Any], name: str, default: str) -> str:
    value = document.get(name, default)
    if not isinstance(value, str) or not 1 <= len(value) <= 2000:
        raise ValueError(f"{name} must be a text")
    return value


def _texts(document: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = document.get(name, [])
    if not isinstance(value, list) or any(not isinstance(item, str) for item in value):
        raise ValueError(f"{name} must be a list of texts")
    return tuple(value)
