"""The secrets of a family of refresh tokens: one row, whatever the number of refreshes.

A refresh token is ``yxr_<family>.<secret>``, both 256 random bits. The row holds the digest of the
family, and of the newest secret and the one before. Each refresh draws a `step`, and the next
secret is HMAC(step, secret): so whoever still shows the secret before within the grace period (a
lost answer, two tabs, fifty threads) is given the *same* successor again, and the family never
branches. Any other secret behind a known family is an old one used again, or a forgery by
somebody who saw an old one: the family ends (RFC 9700, 4.14.2).

Neither the row alone nor an old token alone leads to the newest secret.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from datetime import datetime
from typing import Final, NamedTuple

from authn import opaque
from authn.oidc.grant import Confirmation, Grant
from authn.oidc.store import RefreshToken

PREFIX: Final = "yxr_"
"""So that people and secret scanners recognise one."""
_MOST_CHARACTERS: Final = 128


class Presented(NamedTuple):
    """A refresh token as a client sent it, taken apart."""

    family: bytes
    """Digest of the part by which the row is found."""
    head: str
    secret: str


class Rotation(NamedTuple):
    """The next secret of a family, and what the row keeps of it."""

    token: str
    current: bytes
    step: bytes


def take_apart(token: str) -> Presented | None:
    """Read what a client sent; None if it cannot be one of ours."""
    head, dot, secret = token.partition(".")
    if not dot or not head.startswith(PREFIX) or len(token) > _MOST_CHARACTERS:
        return None
    return Presented(opaque.digest(head), head, secret)


def begin(
    grant: Grant, confirmation: Confirmation | None, *, now: datetime, expires_at: datetime
) -> tuple[str, RefreshToken]:
    """Return the first token of a new family, and its row."""
    head, secret = opaque.draw(PREFIX), opaque.draw()
    row = RefreshToken(
        digest=head.digest,
        grant=grant,
        current=secret.digest,
        previous=None,
        step=secrets.token_bytes(32),
        rotated_at=now,
        expires_at=expires_at,
        confirmation=confirmation,
    )
    return f"{head.secret}.{secret.secret}", row


def is_current(row: RefreshToken, presented: Presented) -> bool:
    """Whether it is the newest secret."""
    return opaque.matches(presented.secret, row.current)


def is_previous(row: RefreshToken, presented: Presented) -> bool:
    """Whether it is the one before."""
    return row.previous is not None and opaque.matches(presented.secret, row.previous)


def draw_next(presented: Presented) -> Rotation:
    """Draw the step to the next secret."""
    step = secrets.token_bytes(32)
    secret = _after(presented.secret, step)
    return Rotation(f"{presented.head}.{secret}", opaque.digest(secret), step)


def repeat_next(row: RefreshToken, presented: Presented) -> str:
    """Return the successor that the previous secret was exchanged for."""
    return f"{presented.head}.{_after(presented.secret, row.step)}"


def _after(secret: str, step: bytes) -> str:
    octets = hmac.digest(step, secret.encode(), "sha256")
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
