"""Services of CAS: whose one is, by its whole address or by what it lies below.

A client of CAS sends the address that a person came for as its service, whatever stands behind it:
a portal has as many services as pages. So a portal may be registered by a prefix. A ticket goes to
the address alone that asked for it, and only one way of reading it is taken: no segment that a
server might resolve, nothing encoded that might be a separator (decision 0255).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from authn.oidc.redirects import check_redirect_uri
from core.errors import Refused

_BELOW: Final = "below "
"""In front of a prefix among the addresses of a client: no address starts so."""
_MOST_SEGMENTS: Final = 20
_AMBIGUOUS: Final = re.compile(r"//|/\.{1,2}(?=/|$)|%(?:2[eEfF]|5[cC]|00)|;")


def check_prefix(prefix: str) -> str:
    """Return `prefix` if services may lie below it. Raises `Refused`."""
    if check_redirect_uri(prefix).endswith("/") and prefix in _prefixes(prefix):
        return prefix
    raise Refused(f"a prefix of CAS services is https://host/path/ and ends with a slash: {prefix}")


def entry_below(prefix: str) -> str:
    """Return what stands for a prefix among the addresses of a client."""
    return f"{_BELOW}{prefix}"


def entries_of(service: str) -> Sequence[str]:
    """Return every entry by which a service may be known: its own, then the longest prefix first.

    No prefix for a service that could be read in more than one way.
    """
    if service.startswith(_BELOW):
        return []
    return [service, *(entry_below(prefix) for prefix in reversed(_prefixes(service)))]


def _prefixes(service: str) -> list[str]:
    try:
        parts = urlsplit(check_redirect_uri(service))
    except Refused:
        return []
    segments = parts.path.split("/")[1:-1]
    if not parts.path or _AMBIGUOUS.search(parts.path) or len(segments) > _MOST_SEGMENTS:
        return []
    found = [f"{parts.scheme}://{parts.netloc}/"]
    for segment in segments:
        found.append(f"{found[-1]}{segment}/")
    return found
