"""Signed octets over HTTP, with validators and cache headers (RFC 9110, RFC 9111)."""

from __future__ import annotations

from datetime import datetime
from email.utils import format_datetime
from hashlib import sha256

from fastapi import Request, Response


def cached_response(
    request: Request,
    octets: bytes,
    *,
    media_type: str,
    last_modified: datetime,
    expires: datetime,
    max_age: int,
) -> Response:
    """Answer with `octets`, or 304 when the client has them. They are public and immutable."""
    headers = cache_headers(octets, last_modified=last_modified, expires=expires, max_age=max_age)
    if has_already(request.headers.get("if-none-match", ""), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(octets, media_type=media_type, headers=headers)


def cache_headers(
    octets: bytes, *, last_modified: datetime, expires: datetime, max_age: int
) -> dict[str, str]:
    """Return the validators and cache headers of `octets`."""
    return {
        # RFC 9919, 5 (and RFC 5019, 6.2): never no-cache or no-store on a good answer.
        "Cache-Control": f"max-age={max(0, max_age)}, public, no-transform, must-revalidate",
        "Last-Modified": format_datetime(last_modified, usegmt=True),
        "Expires": format_datetime(expires, usegmt=True),
        "ETag": f'"{sha256(octets).hexdigest()}"',
    }


def has_already(known: str, etag: str) -> bool:
    """Whether ``If-None-Match: known`` names `etag`."""
    # RFC 9110, 13.1.2: a list, weak comparison; If-Modified-Since is not needed with it.
    return any(tag.strip().removeprefix("W/") in {etag, "*"} for tag in known.split(","))
