"""The rows of the provider: clients, codes, tokens. Digests are SHA-256; no secret has a column.

What is searched has a column. The rest of a grant is read and written whole: `granted` is JSON
(`authn.oidc.grant`), and `confirmation` names the key a token is bound to, ``jkt:…``.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Integer, LargeBinary, String, Table, Text

from core.db import UTCDateTime, metadata
from core.versions import count_versions

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
    Column("id_token_algorithm", String(16), nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("metadata", Text, nullable=False),
    Column("resource", String(2000), unique=True),
    Column("older_secret_digest", _DIGEST),
    Column("older_secret_until", UTCDateTime),
)
count_versions(clients)


client_entries = Table(
    "client_entries",
    metadata,
    # SHA-256 of the address: addresses are long, and compared whole.
    Column("digest", _DIGEST, primary_key=True),
    Column("client_id", _CLIENT_ID, nullable=False, index=True),
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
    Column("subject", String(255)),
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

device_codes = Table(
    "oidc_device_codes",
    metadata,
    Column("digest", _DIGEST, primary_key=True),
    Column("user_code", _DIGEST, nullable=False, unique=True),
    *_grant_columns("sid"),
    Column("state", String(8), nullable=False),
    Column("polled_at", UTCDateTime),
    Column("expires_at", UTCDateTime, nullable=False, index=True),
)

# Who may register applications by themselves (RFC 7591, 1.2), and which ones did (RFC 7592).
initial_tokens = Table(
    "oidc_initial_tokens",
    metadata,
    Column("digest", _DIGEST, primary_key=True),
    Column("id", _UUID, nullable=False, unique=True),
    Column("name", String(64), nullable=False),
    Column("uses_left", Integer, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("expires_at", UTCDateTime, nullable=False, index=True),
)

registrations = Table(
    "oidc_registrations",
    metadata,
    Column("client_id", _CLIENT_ID, primary_key=True),
    Column("digest", _DIGEST, nullable=False),
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
