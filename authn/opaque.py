"""Secrets we hand out: 256 random bits, stored only as their SHA-256.

A fast hash is enough where the secret cannot be guessed; only passwords need a slow one.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import b32encode
from typing import NamedTuple


class Drawn(NamedTuple):
    """A new secret, to be shown once, and what we keep of it."""

    secret: str
    digest: bytes


def draw(prefix: str = "") -> Drawn:
    """Draw a secret. `prefix` lets people and scanners see what kind of secret it is."""
    secret = prefix + secrets.token_urlsafe(32)
    return Drawn(secret, digest(secret))


def draw_ticket(prefix: str) -> Drawn:
    """The same in letters and digits: all that CAS clients take in a ticket (CAS 3.0, 3.7)."""
    secret = prefix + b32encode(secrets.token_bytes(32)).rstrip(b"=").decode()
    return Drawn(secret, digest(secret))


def digest(secret: str) -> bytes:
    """Return what we store of `secret`."""
    return hashlib.sha256(secret.encode()).digest()


def matches(secret: str, stored: bytes) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(digest(secret), stored)


def equal(one: str, other: str) -> bool:
    """Compare two texts in constant time, whatever characters they have."""
    return hmac.compare_digest(one.encode(), other.encode())
