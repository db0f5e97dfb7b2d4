"""The rows of second factors, passkeys and earlier passwords. Secrets are sealed or digests."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
)

from core.db import UTCDateTime, metadata

_UUID = String(36)

# Wrong answers to one factor of one person; apart from those to the password, because a right
# password forgives only wrong passwords.
factor_attempts = Table(
    "factor_attempts",
    metadata,
    Column("user_id", _UUID, ForeignKey("users.id"), primary_key=True),
    Column("factor", String(16), primary_key=True),
    Column("failed", Integer, nullable=False),
    Column("locked_until", UTCDateTime),
)

totp_factors = Table(
    "totp_factors",
    metadata,
    Column("user_id", _UUID, ForeignKey("users.id"), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    # None: offered, and the person has not shown a code yet.
    Column("confirmed_at", UTCDateTime),
    # RFC 6238, 5.2: a code is good once. The counter of the last one.
    Column("last_step", BigInteger, nullable=False),
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("user_id", _UUID, ForeignKey("users.id"), nullable=False, index=True),
    Column("used_at", UTCDateTime),
)

passkeys = Table(
    "passkeys",
    metadata,
    Column("id", _UUID, primary_key=True),
    # WebAuthn, 4: at most 1023 octets. Found by their SHA-256.
    Column("credential_digest", LargeBinary(32), nullable=False, unique=True),
    Column("credential_id", LargeBinary(1023), nullable=False),
    Column("user_id", _UUID, ForeignKey("users.id"), nullable=False, index=True),
    Column("name", String(64), nullable=False),
    # COSE_Key, as the authenticator gave it.
    Column("public_key", LargeBinary, nullable=False),
    Column("sign_count", BigInteger, nullable=False),
    Column("synced", Boolean, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("used_at", UTCDateTime),
)

password_history = Table(
    "password_history",
    metadata,
    Column("id", _UUID, primary_key=True),
    Column("user_id", _UUID, ForeignKey("users.id"), nullable=False),
    Column("password_hash", String(200), nullable=False),
    Column("set_at", UTCDateTime, nullable=False),
    Index("ix_password_history_user_id_set_at", "user_id", "set_at"),
)

# Keys of the service, each encrypted to a key of the keystore.
sealed_keys = Table(
    "sealed_keys",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)
