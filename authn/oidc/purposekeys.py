"""Symmetric keys of the provider, each for one purpose, all from one sealed key."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from functools import cache
from typing import Final, Protocol

OCTETS: Final = 32


class MasterKey(Protocol):
    """Holds 32 octets that stay the same on every node (`keystore.sealedkey.SealedKey`)."""

    def get(self) -> bytes:
        """Raises `BackendUnavailable`."""
        ...


PurposeKeys = Callable[[str], bytes]
"""Returns 32 octets for a purpose. Raises `BackendUnavailable`."""


def purpose_keys(master: MasterKey) -> PurposeKeys:
    """Derive keys by HMAC-SHA-256 over the purpose: none leads to another, or to the master."""

    @cache
    def derive(purpose: str) -> bytes:
        return hmac.digest(master.get(), f"yinxin oidc: {purpose}".encode(), "sha256")

    return derive
