"""A status in 56 octets: as a database packs its log, and as a copy of it keeps them.

Issuer (a number that the copy gave it) and serial number are the key, 22 octets that sort like
numbers; the rest says what holds.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from ca.reasons import RevocationReason
from ca.store import CertificateState, StatusEntry

STATUS: Final = Struct(">BBqqqq")
"""State, reason; revoked_at, not_after, changed_at (seconds since 1970; 0: none); position."""
NUMBER: Final = Struct(">H")
SERIAL_OCTETS: Final = 20
KEY_OCTETS: Final = NUMBER.size + SERIAL_OCTETS
RECORD_OCTETS: Final = KEY_OCTETS + STATUS.size

STATES: Final = (CertificateState.ISSUED, CertificateState.HELD, CertificateState.REVOKED)
STATE_CODE: Final = {str(state): code for code, state in enumerate(STATES)}
REASONS: Final = tuple(RevocationReason)
REASON_CODE: Final = {str(one): code for code, one in enumerate(REASONS, 1)}
"""0: none."""


def encode_status(entry: StatusEntry) -> bytes:
    """Return the value that says what an entry of the log says."""
    return STATUS.pack(
        STATE_CODE[entry.state],
        0 if entry.reason is None else REASON_CODE[entry.reason],
        entry.revoked_at or 0,
        entry.not_after,
        entry.changed_at or 0,
        entry.position,
    )


def position_in(octets: bytes | memoryview) -> int:
    """Return the position of the entry that a status is from; of a whole record as well."""
    return int.from_bytes(octets[-8:], "big")
