"""Idempotency keys: what makes two submissions the same one (docs/decisions/0017)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from core.errors import Malformed

_KEY: Final = re.compile(r"[!-~]{1,128}")


@dataclass(frozen=True, slots=True)
class Idempotency:
    """A key of the caller's choice, and what it stands for."""

    key: str
    body_hash: str
    """SHA-256 of the body, lowercase hex."""

    def check(self) -> None:
        """Raises `Malformed` for what is no key."""
        if _KEY.fullmatch(self.key) is None:
            raise Malformed("Idempotency-Key is 1 to 128 printable ASCII characters")
