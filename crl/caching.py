"""Signed octets over HTTP, with validators, cache headers and compression (RFC 9110, RFC 9111)."""

from __future__ import annotations

import gzip
from collections import OrderedDict
from datetime import datetime
from email.utils import format_datetime, parsedate_to_datetime
from functools import cached_property
from hashlib import sha256
from threading import Lock
from typing import Final

from fastapi import Request, Response

_KEPT: Final = 256
_KEPT_OCTETS: Final = 256 << 20
_LEVEL: Final = 6
_FAST_LEVEL: Final = 1
_LONG: Final = 4 << 20
"""From here on, the better half of the compression is not worth the seconds that it costs."""


class Download:
    """One object to give away: hashed once, compressed once, and only when somebody asks."""

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self._lock = Lock()
        self._gzipped: bytes | None = None

    @cached_property
    def digest(self) -> str:
        """SHA-256, for the entity tag."""
        return sha256(self.octets).hexdigest()

    def gzipped(self) -> bytes:
        """Return the octets in gzip format, without a time in them."""
        with self._lock:
            if self._gzipped is None:
                level = _LEVEL if len(self.octets) < _LONG else _FAST_LEVEL
                self._gzipped = gzip.compress(self.octets, level, mtime=0)
            return self._gzipped


class Downloads:
    """The objects given away last. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: OrderedDict[str, Download] = OrderedDict()
        self._octets = 0

    def of(self, name: str, octets: bytes) -> Download:
        """Return the download of an object that has this name, and these octets now."""
        with self._lock:
            found = self._kept.pop(name, None)
            if found is None or found.octets != octets:
                self._octets += len(octets) - (0 if found is None else len(found.octets))
                found = Download(octets)
            self._kept[name] = found
            while len(self._kept) > 1 and (len(self._kept) > _KEPT or self._octets > _KEPT_OCTETS):
                _, oldest = self._kept.popitem(last=False)
                self._octets -= len(oldest.octets)
            return found


def cached_response(
    request: Request,
    download: Download,
    *,
    media_type: str,
    last_modified: datetime,
    expires: datetime,
    max_age: int,
    compress: bool = False,
) -> Response:
    """Answer with the object, or 304 when the client has it. It is public and immutable.

    `compress`: gzip it for who asks for that.
    """
    gzipped = compress and accepts_gzip(request.headers.get("accept-encoding", ""))
    headers = cache_headers(
        # Another representation has another tag (RFC 9110, 8.8.3).
        f"{download.digest}-gzip" if gzipped else download.digest,
        last_modified=last_modified,
        expires=expires,
        max_age=max_age,
    )
    if compress:
        headers["Vary"] = "Accept-Encoding"
    if _has_it(request, headers["ETag"], last_modified):
        return Response(status_code=304, headers=headers)
    if gzipped:
        headers["Content-Encoding"] = "gzip"
        return Response(download.gzipped(), media_type=media_type, headers=headers)
    return Response(download.octets, media_type=media_type, headers=headers)


def cache_headers(
    tag: str, *, last_modified: datetime, expires: datetime, max_age: int
) -> dict[str, str]:
    """Return the validators and cache headers of an object with this tag."""
    return {
        # RFC 9919, 5 (and RFC 5019, 6.2): never no-cache or no-store on a good answer.
        "Cache-Control": f"max-age={max(0, max_age)}, public, no-transform, must-revalidate",
        "Last-Modified": format_datetime(last_modified, usegmt=True),
        "Expires": format_datetime(expires, usegmt=True),
        "ETag": f'"{tag}"',
    }


def has_already(known: str, etag: str) -> bool:
    """Whether ``If-None-Match: known`` names `etag`."""
    # RFC 9110, 13.1.2: a list, weak comparison.
    return any(tag.strip().removeprefix("W/") in {etag, "*"} for tag in known.split(","))


def accepts_gzip(header: str) -> bool:
    """Whether ``Accept-Encoding: header`` takes gzip (RFC 9110, 12.5.3)."""
    for item in header.lower().split(","):
        coding, *parameters = (part.strip() for part in item.split(";"))
        if coding in {"gzip", "x-gzip"}:
            return not any(_is_zero(one) for one in parameters)
    return False


def _is_zero(parameter: str) -> bool:
    name, _, value = parameter.partition("=")
    return name.strip() == "q" and value.strip().strip("0") in {"", "."}


def _has_it(request: Request, etag: str, last_modified: datetime) -> bool:
    known = request.headers.get("if-none-match")
    if known is not None:
        return has_already(known, etag)
    # RFC 9110, 13.1.3: looked at only without If-None-Match, and ignored when it is no date.
    since = request.headers.get("if-modified-since")
    if since is None:
        return False
    try:
        return last_modified.replace(microsecond=0) <= parsedate_to_datetime(since)
    except (TypeError, ValueError):
        return False
