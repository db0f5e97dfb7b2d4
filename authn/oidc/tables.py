"""The rows of the provider: clients, codes, tokens. Digests are SHA-256; no secret has a column.

What is searched has a column. The rest of a grant is read and written whole: `granted` is JSON
(`authn.oidc.grant`), and `confirmation` names the key a token is bound to, ``jkt:…``.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, LargeBinary, String, Table, Text

from core.db import UTCDateTime, metadata

_UUID = String(36)
_CLIENT_ID = String(64)
_DIGEST = LargeBinary(32)

clients = Table(
    "oidc_clients",
    metadata,
    Column("id", _CLIENT_ID, primary_key=True),
    Column("name", String(200), nullable=False),
    Column("secret_digest", _DIGEST),
    Column("auth_method", String(32), nullable=False),
    # JSON lists: they are read and written whole, and never searched.
    Column("redirect_uris", Text, nullable=False),
    Column("post_logout_redirect_uris", Text, nullable=False),
    Column("scopes", String(2000), nullable=False),
    Column("id_token_algorithm", String(8), nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("metadata", Text, nullable=False),
    Column("resource", String(2000), unique=True),
    Column("older_secret_digest", _DIGEST),
    Column("older_secret_until", UTCDateTime),
)


def _grant_columns(*indexed: str) -> tuple[Column[str], ...]:
    # Only what is searched often is indexed: each index is paid for with every token.
    return (
        Column("grant_id", _UUID, nullable=False, index="grant_id" in indexed),
        Column("client_id", _CLIENT_ID, nullable=False),
        Column("user_id", _UUID, index="user_id" in indexed),
        Column("sid", _UUID, index="sid" in indexed),
        Column("granted", Text, nullable=False),
        Column("confirmation", String(80)),
    )


codes = Table(
    "oidc_codes",
    metadata,
    Column("digest", _DIGEST, primary_key=True),
    *_grant_columns("sid"),
    Column("redirect_uri", Text, nullable=False),
    Column("nonce", Text),
    Column("code_challenge", String(43), nullable=False),
    Column("expires_at", UTCDateTime, nullable=False, index=True),
    Column("used_at", UTCDateTime),
)

pushed_requests = Table(
    "oidc_pushed_requests",
    metadata,
    Column("digest", _DIGEST, primary_key=True),
    Column("client_id", _CLIENT_ID, nullable=False),
    Column("fields", Text, nullable=False),
    Column("signed", Boolean, nullable=False),
    Column("expires_at", UTCDateTime, nullable=False, index=True),
    Column("used_at", UTCDateTime),
)

# Digests of what was good once, until it is good no more anyway.
replays = Table(
    "oidc_replays",
    metadata,
    Column("digest", _DIGEST, primary_key=True),
    Column("expires_at", UTCDateTime, nullable=False, index=True),
)

access_tokens = Table(
    "oidc_access_tokens",
    metadata,
    Column("digest", _DIGEST, primary_key=True),
    *_grant_columns("grant_id", "sid"),
    Column("expires_at", UTCDateTime, nullable=False, index=True),
)

refresh_tokens = Table(
    "oidc_refresh_tokens",
    metadata,
    Column("digest", _DIGEST, primary_key=True),
    *_grant_columns("grant_id", "sid", "user_id"),
    Column("current", _DIGEST, nullable=False),
    Column("previous", _DIGEST),
    Column("step", _DIGEST, nullable=False),
    Column("rotated_at", UTCDateTime, nullable=False),
    Column("expires_at", UTCDateTime, nullable=False, index=True),
)
