"""An answer in the store: when it may be given, its HTTP fields, and its octets.

What follows the header is sent as it is, behind status line and date. The response ends with the
responder's certificate, which every answer of one responder shares: it is not stored.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from struct import Struct
from typing import Final, NamedTuple

from crl.config import OCSPConfig
from crl.ocsp.answer import Answer
from crl.ocsp.wire import MARGIN, MEDIA_TYPE, fields_of

_HEADER: Final = Struct(">qqqqHHB")
HEADER_OCTETS: Final = _HEADER.size


class Header(NamedTuple):
    """When and how an answer may be given. Times are seconds since 1970."""

    produced_at: int
    """Not before: a clock that went back makes no old answer new."""
    until: int
    refresh_at: int
    """From here on a new one is made behind it."""
    fields_until: int
    """Until then the stored max-age is right."""
    responder: int
    fields_octets: int
    """How long the HTTP fields are, with the empty line."""
    said: int
    """What it says, for `crl.ocsp.tally`."""


def read_header(block: bytes | memoryview) -> Header:
    """Return the header of a block."""
    return Header._make(_HEADER.unpack_from(block))


unpack_header: Final = _HEADER.unpack_from
"""`read_header` without names: for who is in a hurry."""


def encode_block(
    answer: Answer,
    *,
    responder: int,
    tail: bytes,
    refresh_at: datetime,
    config: OCSPConfig,
    now: datetime,
) -> bytes:
    """Return the block of an answer that caches may keep; `tail` is what its octets end with."""
    fields = fields_of(answer, config, now) + (
        f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(answer.der)}\r\n\r\n"
    ).encode("ascii")
    fields_until = answer.next_update - MARGIN - timedelta(seconds=config.max_age_seconds)
    header = Header(
        produced_at=_seconds(answer.produced_at),
        until=_seconds(answer.until),
        refresh_at=_seconds(refresh_at),
        fields_until=_seconds(fields_until),
        responder=responder,
        fields_octets=len(fields),
        said=answer.said,
    )
    return _HEADER.pack(*header) + fields + answer.der.removesuffix(tail)


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
