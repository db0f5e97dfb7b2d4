"""Making tokens: access tokens (opaque, or JWT after RFC 9068) and ID tokens."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from authn import opaque
from authn.config import AuthnConfig
from authn.oidc import jwe
from authn.oidc.clientmetadata import AccessTokenFormat
from authn.oidc.grant import Confirmation, Grant
from authn.oidc.issuers import Issuers
from authn.oidc.jwt import half_hash
from authn.oidc.store import AccessToken, Client
from authn.oidc.subjects import SubjectIdentifiers
from core.errors import Misconfigured

PREFIX: Final = "yxa_"
"""Of opaque access tokens, so that people and secret scanners recognise one."""


class MadeToken(NamedTuple):
    """An access token, and the row that has to be stored before it is handed out."""

    secret: str
    row: AccessToken


class TokenMaker:
    """Makes tokens and stores nothing."""

    def __init__(
        self, issuers: Issuers, subjects: SubjectIdentifiers, *, config: AuthnConfig
    ) -> None:
        self._issuers = issuers
        self._subjects = subjects
        self._access_lifetime = timedelta(minutes=config.oidc.access_token_minutes)
        self._id_lifetime = timedelta(minutes=config.oidc.id_token_minutes)

    @property
    def access_seconds(self) -> int:
        """How long an access token works: `expires_in`."""
        return int(self._access_lifetime.total_seconds())

    def signs_at_once(self, client: Client) -> bool:
        """Whether `id_token` waits for nobody: no token device, no encryption, no key to open."""
        if client.metadata.id_token_encrypted_response_alg is not None:
            return False
        if not self._subjects.at_once(client):
            return False
        return self._issuers.of(client).keys.signs_at_once(client.id_token_algorithm)

    def access_token(
        self,
        grant: Grant,
        client: Client,
        resource: Client | None,
        confirmation: Confirmation | None,
        *,
        now: datetime,
        until: datetime | None = None,
    ) -> MadeToken:
        """Return a new access token: for the provider itself, or for a resource server.

        It ends at `until` at the latest. A JWT is signed here, so the key may be asked. Raises
        `BackendUnavailable`.
        """
        expires_at = now + self._access_lifetime
        if until is not None:
            expires_at = min(expires_at, until)
        named = _named(resource)
        if grant.resources != named:
            grant = replace(grant, resources=named)
        if resource is None or resource.metadata.access_token_format is AccessTokenFormat.OPAQUE:
            secret = opaque.draw(PREFIX).secret
        else:
            claims = self._access_claims(grant, client, resource, confirmation)
            claims |= {"iat": int(now.timestamp()), "exp": int(expires_at.timestamp())}
            keys = self._issuers.of(resource).keys
            secret = keys.sign(claims, resource.id_token_algorithm, typ="at+jwt")
        return MadeToken(
            secret, AccessToken(opaque.digest(secret), grant, expires_at, confirmation)
        )

    def _access_claims(
        self,
        grant: Grant,
        client: Client,
        resource: Client,
        confirmation: Confirmation | None,
    ) -> dict[str, Any]:
        """RFC 9068, 2.2. The subject is the one that the resource server knows the person by."""
        claims: dict[str, Any] = {
            "iss": self._issuers.of(resource).identifier,
            "sub": self._subjects.of_grant(grant, resource) or client.id,
            "aud": resource.metadata.resource,
            "client_id": client.id,
            "scope": grant.scope,
            "jti": str(uuid.uuid4()),
        }
        if grant.auth_time is not None:
            claims |= _login(grant, grant.auth_time)
        if grant.actor is not None:
            claims["act"] = {"sub": grant.actor}
        if confirmation is not None:
            claims["cnf"] = confirmation.cnf
        return claims

    def id_token(
        self,
        grant: Grant,
        client: Client,
        *,
        access_token: str,
        nonce: str | None,
        extra: Mapping[str, Any],
        now: datetime,
    ) -> str:
        """Return an ID token (OIDC Core, 2). Raises `BackendUnavailable`."""
        issuer = self._issuers.of(client)
        claims: dict[str, Any] = {
            **extra,
            "iss": issuer.identifier,
            "sub": self._subjects.of_grant(grant, client),
            "aud": client.id,
            "iat": int(now.timestamp()),
            "exp": int((now + self._id_lifetime).timestamp()),
            "at_hash": half_hash(access_token, client.id_token_algorithm),
            # The audit event of the grant names it too.
            "jti": grant.id,
        }
        if grant.auth_time is not None:
            claims |= _login(grant, grant.auth_time)
        if grant.sid is not None:
            claims["sid"] = grant.sid
        if nonce is not None:
            claims["nonce"] = nonce
        signed = issuer.keys.sign(claims, client.id_token_algorithm)
        return self._encrypted(signed, client)

    def _encrypted(self, token: str, client: Client) -> str:
        if client.metadata.id_token_encrypted_response_alg is None:
            return token
        found = jwe.encryption_key(client.metadata.jwks)
        if found is None:
            raise Misconfigured(f"client {client.id} has no key to encrypt ID tokens to")
        kid, spki = found
        raw = self._issuers.gm_config.ciphertext == "raw"
        return jwe.encrypt(token, kid=kid, spki=spki, raw=raw)


def _login(grant: Grant, auth_time: datetime) -> dict[str, Any]:
    return {"auth_time": int(auth_time.timestamp()), "acr": grant.acr, "amr": grant.amr.split()}


def _named(resource: Client | None) -> tuple[str, ...]:
    name = None if resource is None else resource.metadata.resource
    return () if name is None else (name,)
