"""The two codes of a pick-up: made, and compared by digest only."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Final

_DIGITS: Final = 12
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's: nothing in it is mistaken for another when it is read aloud or typed."""
_LETTERS: Final = 16
"""80 bits: nobody finds the code of a stored digest, salted or not."""
_FILLING: Final = re.compile(r"[\s-]+")


@dataclass(frozen=True, slots=True)
class Codes:
    """Both in clear, on their way to the subscriber. Never stored, never logged."""

    reference: str
    code: str
    expires_at: datetime


def make_codes(expires_at: datetime) -> Codes:
    """Draw a reference number and an authorisation code, in groups of four."""
    number = f"{secrets.randbelow(10**_DIGITS):0{_DIGITS}}"
    letters = "".join(secrets.choice(_ALPHABET) for _ in range(_LETTERS))
    return Codes(_grouped(number), _grouped(letters), expires_at)


def digest(text: str) -> bytes:
    """Return what is kept of a code, however it was typed."""
    return hashlib.sha256(_FILLING.sub("", text).upper().encode()).digest()


def _grouped(text: str) -> str:
    return "-".join(text[start : start + 4] for start in range(0, len(text), 4))
