"""What people paste: certificates and signatures as PEM or base64."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from core.errors import Malformed

_PEM: Final = re.compile(
    r"-----BEGIN (?:TRUSTED )?CERTIFICATE-----([^-]*)-----END (?:TRUSTED )?CERTIFICATE-----"
)
_MOST: Final = 5


def parse_certificates(text: str) -> list[bytes]:
    """Return the DER of each certificate: PEM blocks, or one bare base64. Raises `Malformed`."""
    blocks = _PEM.findall(text) if "-----BEGIN" in text else [text]
    if not 1 <= len(blocks) <= _MOST:
        raise Malformed(f"send 1 to {_MOST} certificates, as PEM or as base64 of the DER")
    return [parse_base64(block, what="the certificate") for block in blocks]


def parse_base64(text: str, *, what: str) -> bytes:
    """Decode base64 with any line breaks. Raises `Malformed`; nothing is not a value."""
    try:
        octets = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed(f"{what} is not base64") from error
    if not octets:
        raise Malformed(f"{what} is missing")
    return octets
