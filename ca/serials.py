"""Serial numbers: int inside, 40 lowercase hex digits outside (RFC 5280, 4.1.2.2)."""

from __future__ import annotations

import re
import secrets
from typing import Final, NewType

from core.errors import Malformed

SerialNumber = NewType("SerialNumber", int)
"""Positive, at most 20 octets as a DER INTEGER."""

_OCTETS: Final = 20
_HEX: Final = re.compile(r"(?:[0-9a-f]{2}){1,20}")


def random_serial() -> SerialNumber:
    """Draw 158 random bits under a fixed top bit: always 20 octets, never negative, never zero."""
    return SerialNumber(1 << 158 | secrets.randbits(158))


def to_hex(serial: int) -> str:
    """Return 40 lowercase hex digits."""
    return f"{serial:040x}"


def from_hex(text: str) -> SerialNumber:
    """Parse what people paste: hex of any case, with or without colons. Raises `Malformed`."""
    digits = text.strip().lower().replace(":", "").replace(" ", "")
    if len(digits) % 2:
        digits = "0" + digits
    if _HEX.fullmatch(digits) is None:
        raise Malformed("a serial number is 1 to 20 octets in hexadecimal")
    return SerialNumber(int(digits, 16))
