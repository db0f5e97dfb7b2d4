"""PEM (RFC 7468), strictly: one block, of the kind that was asked for."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, b64encode
from typing import Final

from core.errors import Malformed

_BLOCK: Final = re.compile(
    r"\s*-----BEGIN ([A-Z0-9 ]+)-----\s+([A-Za-z0-9+/=\s]+)-----END \1-----\s*"
)


def decode(text: str, label: str) -> bytes:
    """Return the octets of the only block. Raises `Malformed`, without quoting anything of it."""
    block = _BLOCK.fullmatch(text)
    if block is None or block[1] != label:
        raise Malformed(f"this is not one PEM block of {label}")
    try:
        return b64decode("".join(block[2].split()), validate=True)
    except binascii.Error as error:
        raise Malformed(f"the PEM block of {label} is not base64") from error


def encode(octets: bytes, label: str) -> bytes:
    """Return one block."""
    text = b64encode(octets).decode()
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return "\n".join((f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", "")).encode()


def public_key_of_pem(text: str) -> bytes:
    """Return the SubjectPublicKeyInfo. Raises `Malformed`."""
    return decode(text, "PUBLIC KEY")
