"""Remembering what is good once: the `jti` of assertions and proofs."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from authn import opaque


class ReplayStore(Protocol):
    """Digests that were seen."""

    def remember(self, digest: bytes, expires_at: datetime) -> bool:
        """Compare and set: True for the one caller that brings a digest first."""
        ...


class Replays:
    """Tells the first use of an identifier from every later one."""

    def __init__(self, store: ReplayStore) -> None:
        self._store = store

    def first_use(self, *parts: str, expires_at: datetime) -> bool:
        """Whether nobody has brought these `parts` before; they are remembered until then."""
        return self._store.remember(opaque.digest("\n".join(parts)), expires_at)
