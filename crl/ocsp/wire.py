"""HTTP responses of the OCSP data plane, as octets."""

from __future__ import annotations

from datetime import datetime, timedelta
from email.utils import format_datetime
from hashlib import sha256
from typing import Final

from core.clock import Clock
from crl.caching import cache_headers, has_already
from crl.config import OCSPConfig
from crl.ocsp.answer import Answer
from crl.ocsp.head import Head
from crl.ocsp.response import Refusal, encode_refusal

MEDIA_TYPE: Final = "application/ocsp-response"
MARGIN: Final = timedelta(hours=1)
"""HTTP caches let go of an answer this long before its nextUpdate."""
RETRY_AFTER_SECONDS: Final = 5

_CLOSE: Final = b"connection: close\r\n"


def max_age(answer: Answer, config: OCSPConfig, now: datetime) -> int:
    """Return how long HTTP caches may keep an answer, in seconds; below zero means not."""
    left = answer.next_update - now - MARGIN
    return min(config.max_age_seconds, int(left.total_seconds()))


def fields_of(answer: Answer, config: OCSPConfig, now: datetime) -> bytes:
    """Return the HTTP fields of an answer that caches may keep."""
    headers = cache_headers(
        sha256(answer.der).hexdigest(),
        last_modified=answer.this_update,
        expires=answer.next_update,
        max_age=max_age(answer, config, now),
    )
    return "".join(f"{name.lower()}: {value}\r\n" for name, value in headers.items()).encode()


def aged(fields: bytes, max_age: int) -> bytes:
    """Return the fields of `fields_of` with another max-age."""
    return b"cache-control: max-age=%d" % max(0, max_age) + fields[fields.index(b",") :]


class ResponseWriter:
    """Joins status line, date, fields and body. Not to be shared between threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._now: datetime | None = None
        self._second = 0
        self._date = b""
        self.begins = (b"", b"")
        """How a successful response begins in this second: kept open, and closed after it."""

    def now(self) -> datetime:
        """Return the present, and write it into the responses from here on."""
        now = self._clock.now()
        if now is not self._now and now != self._now:
            self._now = now
            self._second = int(now.timestamp())
            self._date = b"date: " + format_datetime(now, usegmt=True).encode() + b"\r\n"
            begin = b"HTTP/1.1 200 OK\r\n" + self._date
            self.begins = (begin, begin + _CLOSE)
        return now

    def second(self) -> int:
        """Return the present in seconds since 1970, like `now`."""
        if self._clock.now() is not self._now:
            self.now()
        return self._second

    def success(self, head: Head, fields: bytes, body: bytes) -> bytes:
        """Return the response with these fields, which end with the empty line."""
        if head.if_none_match:
            etag = fields.rpartition(b"etag: ")[2].partition(b"\r\n")[0].decode()
            if has_already(head.if_none_match, etag):
                kept = fields[: fields.index(b"content-type: ")]
                begin = b"HTTP/1.1 304 Not Modified\r\n"
                return b"".join((begin, self._date, kept, _end(head.close)))
        return b"".join((self.begins[head.close], fields, body if head.send_body else b""))

    def uncached(self, head: Head, octets: bytes) -> bytes:
        """Return the response to a nonce or several CertIDs."""
        self.now()
        return self._response(b"200 OK", head, b"cache-control: no-store\r\n", octets)

    def refusal(self, head: Head, refusal: Refusal) -> bytes:
        """Return the five octets that say no, which nobody may keep (docs/decisions/0007)."""
        fields = b"cache-control: no-store\r\n"
        if refusal is Refusal.TRY_LATER:
            fields += b"retry-after: %d\r\n" % RETRY_AFTER_SECONDS
        failed = refusal is Refusal.INTERNAL_ERROR
        status = b"500 Internal Server Error" if failed else b"200 OK"
        return self._response(status, head, fields, encode_refusal(refusal))

    def _response(self, status: bytes, head: Head, fields: bytes, body: bytes) -> bytes:
        return b"".join(
            (
                b"HTTP/1.1 ",
                status,
                b"\r\n",
                self._date,
                fields,
                b"content-type: application/ocsp-response\r\ncontent-length: %d\r\n" % len(body),
                _end(head.close),
                body if head.send_body else b"",
            )
        )


def _end(close: bool) -> bytes:
    return _CLOSE + b"\r\n" if close else b"\r\n"
