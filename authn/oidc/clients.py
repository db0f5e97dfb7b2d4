"""Registering clients, and recognising them at the token endpoint."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from authn import opaque
from authn.oidc import scopes
from authn.oidc.clientmetadata import ClientMetadata, GrantType, SubjectType
from authn.oidc.jwe import check_encryption
from authn.oidc.logouturis import check_logout
from authn.oidc.redirects import check_redirect_uri
from authn.oidc.registration import check_metadata
from authn.oidc.store import AuthMethod, Client, ClientStore, GrantStore, IDTokenAlgorithm
from core.audit import AuditLog, Detail
from core.clock import Clock
from core.errors import Malformed, NotFound, Refused
from core.oneline import one_line
from core.transaction import Transactions

CONSOLE: Final = "yinxin-console"
"""The built-in public client that administrators use."""

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{2,63}")
_MOST_URIS: Final = 20
_MOST_OVERLAP: Final = timedelta(days=30)
_SECRETS: Final = ("secret_digest", "older_secret_digest", "older_secret_until")
_PLAIN: Final = ClientMetadata()


class Clients:
    """Registers, lists and removes relying parties."""

    def __init__(
        self,
        store: ClientStore,
        grants: GrantStore,
        *,
        may_call: bool,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._store = store
        self._grants = grants
        self._may_call = may_call
        self._transactions = transactions
        self._audit = audit
        self._clock = clock

    def register(
        self,
        name: str,
        *,
        redirect_uris: Sequence[str],
        actor: str,
        client_id: str | None = None,
        auth_method: AuthMethod = AuthMethod.BASIC,
        post_logout_redirect_uris: Sequence[str] = (),
        allowed_scopes: Sequence[str] = ("openid", "profile", "email"),
        id_token_algorithm: IDTokenAlgorithm = IDTokenAlgorithm.ES256,
        metadata: ClientMetadata = _PLAIN,
    ) -> tuple[Client, str | None]:
        """Register a client; returns its secret too, to be shown once (None if public).

        Raises `Malformed` and `Refused` with the rule that is broken, `Conflict` for a taken id.
        """
        client, secret = self._draft(
            str(uuid.uuid4()) if client_id is None else client_id,
            name,
            redirect_uris=redirect_uris,
            auth_method=auth_method,
            post_logout_redirect_uris=post_logout_redirect_uris,
            allowed_scopes=allowed_scopes,
            id_token_algorithm=id_token_algorithm,
            metadata=metadata,
        )
        with self._transactions.transaction():
            self._store.add(client)
            self._record("client.registered", actor=actor, client=client)
        return client, secret

    def change(
        self, client_id: str, name: str, *, actor: str, **values: Any
    ) -> tuple[Client, str | None]:
        """Replace everything about a client but its id; takes what `register` takes.

        A client that had no secret and needs one gets it, to be shown once; another keeps its own.
        Tokens given before go on. Raises `NotFound`, and what `register` raises.
        """
        client, secret = self._draft(client_id, name, **values)
        with self._transactions.transaction():
            known = self._held(client_id)
            client = replace(client, created_at=known.created_at)
            if client.secret_digest is not None and known.secret_digest is not None:
                kept = {name: getattr(known, name) for name in _SECRETS}
                client, secret = replace(client, **kept), None
            self._store.replace(client)
            self._record("client.changed", actor=actor, client=client)
        return client, secret

    def _draft(
        self,
        client_id: str,
        name: str,
        *,
        redirect_uris: Sequence[str],
        auth_method: AuthMethod,
        post_logout_redirect_uris: Sequence[str],
        allowed_scopes: Sequence[str],
        id_token_algorithm: IDTokenAlgorithm,
        metadata: ClientMetadata,
    ) -> tuple[Client, str | None]:
        _check_id(client_id)
        check_metadata(metadata, auth_method, redirect_uris)
        check_logout(metadata, redirect_uris, may_call=self._may_call)
        check_encryption(metadata, id_token_algorithm)
        drawn = opaque.draw() if auth_method.has_secret else None
        client = Client(
            id=client_id,
            name=one_line(name, "a client's name", most=200),
            secret_digest=None if drawn is None else drawn.digest,
            auth_method=auth_method,
            redirect_uris=_checked(redirect_uris, least=_least_uris(metadata)),
            post_logout_redirect_uris=_checked(post_logout_redirect_uris, least=0),
            scopes=self._known(allowed_scopes, metadata),
            id_token_algorithm=id_token_algorithm,
            created_at=self._clock.now(),
            metadata=metadata,
        )
        return client, None if drawn is None else drawn.secret

    def _record(self, action: str, *, client: Client, actor: str) -> None:
        detail = {
            "client": client.id,
            "name": client.name,
            "method": client.auth_method,
            "redirect_uris": " ".join(client.redirect_uris),
            "scopes": " ".join(sorted(client.scopes)),
        }
        self._audit.record(action, actor=actor, detail=detail)

    def rotate_secret(self, client_id: str, *, keep: timedelta, actor: str) -> str:
        """Return a new secret, to be shown once; the one before is good for `keep` more.

        Raises `NotFound`, and `Refused` for a client without a secret.
        """
        if not timedelta() <= keep <= _MOST_OVERLAP:
            raise Malformed(f"the old secret can be kept for 0 to {_MOST_OVERLAP.days} days")
        drawn = opaque.draw()
        with self._transactions.transaction():
            client = self._held(client_id)
            if client.secret_digest is None:
                raise Refused("this client has no secret: it is public, or authenticates by a key")
            self._store.replace(
                replace(
                    client,
                    secret_digest=drawn.digest,
                    older_secret_digest=client.secret_digest if keep else None,
                    older_secret_until=self._clock.now() + keep if keep else None,
                )
            )
            detail: Detail = {"client": client.id, "old_until": int(keep.total_seconds())}
            self._audit.record("secret.rotated", actor=actor, detail=detail)
        return drawn.secret

    def _known(self, names: Sequence[str], metadata: ClientMetadata) -> frozenset[str]:
        known = scopes.KNOWN.union(metadata.resource_scopes)
        if not known.issuperset(names):  # seldom: what servers of the others take
            servers = (one.metadata.resource_scopes for one in self._store.list_clients())
            known = known.union(*servers)
        if unknown := set(names) - known:
            raise Refused(f"unknown scopes {sorted(unknown)}; known are {sorted(known)}")
        if GrantType.AUTHORIZATION_CODE in metadata.grant_types and scopes.OPENID not in names:
            raise Refused("a client of an OpenID provider needs the scope openid")
        return frozenset(names)

    def ensure_console(self, redirect_uris: Sequence[str], *, actor: str) -> Client:
        """Register the built-in public client, unless it is there."""
        known = self._store.find(CONSOLE)
        if known is not None:
            return known
        client, _ = self.register(
            "Yinxin console",
            client_id=CONSOLE,
            auth_method=AuthMethod.NONE,
            metadata=ClientMetadata(subject_type=SubjectType.PUBLIC),
            redirect_uris=redirect_uris,
            allowed_scopes=("openid", "profile", "email", "admin"),
            actor=actor,
        )
        return client

    def get(self, client_id: str) -> Client:
        """Raises `NotFound`."""
        client = self._store.find(client_id)
        if client is None:
            raise NotFound("there is no such client")
        return client

    def _held(self, client_id: str) -> Client:
        client = self._store.hold(client_id)
        if client is None:
            raise NotFound("there is no such client")
        return client

    def list_clients(self) -> Sequence[Client]:
        """Return every client, by id."""
        return self._store.list_clients()

    def remove(self, client_id: str, *, actor: str) -> None:
        """Remove a client; its tokens stop working at once. Raises `NotFound`."""
        with self._transactions.transaction():
            if not self._store.remove(client_id):
                raise NotFound("there is no such client")
            self._grants.remove_client(client_id)
            self._audit.record("client.removed", actor=actor, detail={"client": client_id})


def _check_id(client_id: str) -> None:
    if _ID.fullmatch(client_id) is None:
        raise Malformed("a client id has 3 to 64 letters, digits or . _ -")


def _checked(uris: Sequence[str], *, least: int) -> tuple[str, ...]:
    if not least <= len(uris) <= _MOST_URIS or len(set(uris)) != len(uris):
        raise Malformed(f"give {least} to {_MOST_URIS} redirect URIs, each once")
    return tuple(check_redirect_uri(uri) for uri in uris)


def _least_uris(metadata: ClientMetadata) -> int:
    by_code = GrantType.AUTHORIZATION_CODE in metadata.grant_types
    return 1 if by_code and not metadata.entries else 0
