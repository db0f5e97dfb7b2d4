"""The request in the path of a GET (RFC 6960, A.1), in every spelling that clients use."""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import Final
from urllib.parse import unquote_to_bytes

from core.errors import Malformed, TooLarge
from crl.ocsp.request import MAX_REQUEST_OCTETS

# Base64 makes 4 of 3 octets, and an escape 3 of 1.
_LONGEST: Final = MAX_REQUEST_OCTETS * 4


def decode_path(encoded: bytes) -> bytes:
    """Return the DER in what stands behind ``/ocsp/``, raw as it came over the wire.

    Escaped or not, with or without padding; "+" that became a space; "/" that base64 itself has,
    doubled or not; one "/" too many in front. No octet of it is normalised as a path, because
    "//" is base64 too. Raises `Malformed` or `TooLarge`.
    """
    if len(encoded) > _LONGEST:
        raise TooLarge("the path is longer than any OCSP request that is answered")
    # DER begins with "M" in base64, so slashes in front are never part of it.
    text = unquote_to_bytes(encoded).replace(b" ", b"+").lstrip(b"/").rstrip(b"=")
    try:
        return b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except binascii.Error as error:
        raise Malformed("the path is not base64") from error
