"""Certificates in a PKCS#7 envelope: degenerate SignedData (RFC 5652, 5.1; RFC 2315, 9.1)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from core import der

_SIGNED_DATA: Final = bytes.fromhex("06092a864886f70d010702")
_DATA: Final = bytes.fromhex("06092a864886f70d010701")
_VERSION_1: Final = bytes.fromhex("020101")
_EMPTY_SET: Final = bytes.fromhex("3100")


def certs_only(certificates: Iterable[bytes]) -> bytes:
    """Return the DER of a certs-only message over DER certificates.

    The certificates are a SET, and DER sorts its elements: a reader finds the order by the names.
    """
    signed_data = der.sequence(
        _VERSION_1,
        _EMPTY_SET,
        der.sequence(_DATA),
        der.wrap(0xA0, *sorted(certificates)),
        _EMPTY_SET,
    )
    return der.sequence(_SIGNED_DATA, der.explicit(0, signed_data))
