"""Redirect URIs: checked once at registration, compared octet for octet ever after.

Wildcards, prefixes and clever parsing are where other providers were broken; there is none here
(RFC 9700, 2.1).
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from core.errors import Refused

_CHARACTERS: Final = re.compile(r"[A-Za-z0-9\-._~:/?@!$&'()+,;=%\[\]]{1,2000}")
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


def check_resource(uri: str) -> str:
    """Return `uri` if a resource server may be called that (RFC 8707, 2). Raises `Refused`."""
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        raise Refused(f"the resource cannot be read: {uri!r}") from error
    if not parts.scheme or "#" in uri or _CHARACTERS.fullmatch(uri) is None:
        raise Refused(f"a resource is an absolute URI without a fragment: {uri!r}")
    return uri


def check_page(uri: str) -> str:
    """Return `uri` if it is a page that people can be sent to (RFC 7591, 2). Raises `Refused`."""
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise Refused(f"the address of a page cannot be read: {uri!r}") from error
    if parts.scheme not in ("https", "http") or not host or _CHARACTERS.fullmatch(uri) is None:
        raise Refused(f"a page of an application is at https:// or http://, not {uri!r}")
    return uri


def check_redirect_uri(uri: str) -> str:
    """Return `uri` if a client may register it. Raises `Refused` with the rule it breaks."""
    if "*" in uri:
        raise Refused(f"a redirect URI has no wildcard: {uri!r}")
    if "#" in uri:
        raise Refused(f"a redirect URI has no fragment (RFC 6749, 3.1.2): {uri!r}")
    if _CHARACTERS.fullmatch(uri) is None:
        raise Refused(f"a redirect URI has only the characters of RFC 3986: {uri!r}")
    try:
        parts = urlsplit(uri)
        host = parts.hostname
        _ = parts.port
    except ValueError as error:
        raise Refused(f"the redirect URI cannot be read: {uri!r}") from error
    if not host or "@" in parts.netloc:
        raise Refused(f"a redirect URI has a host and no user information: {uri!r}")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in _LOOPBACK):
        raise Refused(f"a redirect URI is https, or http to a loopback host: {uri!r}")
    return uri
