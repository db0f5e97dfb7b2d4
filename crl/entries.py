"""Lines of CRLs, encoded once and kept joined, so that a long CRL is put together in no time.

The lines of an issuer lie in 4096 segments by the low 12 bits of the serial number. The CRL of a
partition joins every segment whose number agrees with it, the full CRL joins them all
(`ca.distribution`: numbers of partitions are powers of two up to 4096).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from ca.distribution import MAX_PARTITIONS, Scope
from ca.reasons import RevocationReason
from ca.store import RevokedEntry
from core import der

SEGMENTS: Final = MAX_PARTITIONS
REMOVE_FROM_CRL: Final = 8
"""RFC 5280, 5.3.1: on delta CRLs, a certificate that is not on hold any more."""
_LAST: Final = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class Line:
    """One entry as it is kept."""

    der: bytes
    """The element of revokedCertificates (RFC 5280, 5.1.2.6)."""
    ends: int
    """not_after of the certificate, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Segment:
    """The lines of the serial numbers with the same low 12 bits, in the order they came."""

    number: int
    position: int
    """Of the last change in it (`StatusSource.revocation_position`)."""
    lines: bytes
    """DER, one behind the other."""
    ends: bytes
    """`Line.ends` of each, four octets, in the same order."""

    @property
    def count(self) -> int:
        """How many lines there are."""
        return len(self.ends) // 4

    @property
    def first_end(self) -> int | None:
        """When the first of the certificates ends; None without any."""
        return min(_numbers(self.ends), default=None)


def segment_of(serial: int) -> int:
    """Return the number of the segment that holds this serial number."""
    return serial % SEGMENTS


def is_in(segment: int, scope: Scope) -> bool:
    """Whether this segment belongs to the CRL of a scope."""
    return segment % scope.partitions == scope.partition


def patched(
    segment: Segment | None, changes: Mapping[int, Line | None], *, number: int, position: int
) -> Segment:
    """Return segment `number` with each of these serial numbers replaced, added, or (None) gone.

    None: there was no such segment.
    """
    wanted = {_serial_octets(serial): line for serial, line in changes.items()}
    before = () if segment is None else _lines(segment)
    kept = [line for line in before if _serial_in(line.der) not in wanted]
    kept += [line for line in wanted.values() if line is not None]
    return _segment(number, position, kept)


def without_ended(segment: Segment, before: int) -> Segment:
    """Return the segment without certificates that ended before this second since 1970."""
    kept = [line for line in _lines(segment) if line.ends >= before]
    return _segment(segment.number, segment.position, kept)


def encode_entry(entry: RevokedEntry) -> bytes:
    """Return one element of revokedCertificates."""
    return _entry(entry.serial, entry.revoked_at, entry.reason.code)


def encode_removal(serial: int, at: datetime) -> bytes:
    """Return the element of a delta CRL that says: not on hold any more."""
    return _entry(serial, at, REMOVE_FROM_CRL)


def encode_time(moment: datetime) -> bytes:
    """Return Time: UTCTime through 2049, GeneralizedTime from 2050 on (RFC 5280, 5.1.2.4)."""
    return _time(moment.astimezone(UTC).replace(microsecond=0))


def _entry(serial: int, at: datetime, code: int) -> bytes:
    return der.sequence(_serial_octets(serial), encode_time(at), _reason(code))


def _serial_octets(serial: int) -> bytes:
    # Positive, and with room for the sign (X.690, 8.3).
    return der.wrap(der.INTEGER, serial.to_bytes(serial.bit_length() // 8 + 1, "big"))


def _serial_in(entry: bytes) -> bytes:
    # An entry is shorter than 128 octets, so its length and that of the serial have one octet.
    return entry[2 : 4 + entry[3]]


@lru_cache(maxsize=4096)
def _time(moment: datetime) -> bytes:
    if moment.year < 2050:
        return der.wrap(0x17, f"{moment:%y%m%d%H%M%SZ}".encode())
    return der.wrap(0x18, f"{moment:%Y%m%d%H%M%SZ}".encode())


@lru_cache(maxsize=16)
def _reason(code: int) -> bytes:
    # RFC 5280, 5.3.1: reasonCode is absent instead of "unspecified".
    if code == RevocationReason.UNSPECIFIED.code:
        return b""
    extension = der.sequence(
        bytes.fromhex("0603551d15"), der.encode(der.wrap(0x0A, bytes((code,))))
    )
    return der.sequence(extension)


def _lines(segment: Segment) -> Iterator[Line]:
    at, octets = 0, segment.lines
    for ends in _numbers(segment.ends):
        size = 2 + octets[at + 1]
        yield Line(octets[at : at + size], ends)
        at += size


def _segment(number: int, position: int, lines: list[Line]) -> Segment:
    ends = struct.pack(f"<{len(lines)}I", *(min(line.ends, _LAST) for line in lines))
    return Segment(number, position, b"".join(line.der for line in lines), ends)


def _numbers(octets: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(octets) // 4}I", octets)
