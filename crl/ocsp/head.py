"""The heads of HTTP requests that the data plane answers itself (RFC 9112, RFC 9110)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from crl.ocsp.request import MAX_REQUEST_OCTETS

_FIELD: Final = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*\Z"
)
# A query or a fragment is no part of base64, so "?" and "#" are not for here.
_REQUEST_LINE: Final = re.compile(
    rb"(GET|HEAD|POST) (/ocsp(?:/[!\x22\x24-\x3e\x40-\x7e]*)?) HTTP/(1\.[01])\Z"
)
_LENGTH: Final = re.compile(rb"[0-9]{1,4}\Z")
_SINGLE: Final = frozenset({b"content-length", b"host"})
_LEFT_TO_OTHERS: Final = frozenset({b"transfer-encoding", b"expect", b"upgrade"})


@dataclass(frozen=True, slots=True)
class Head:
    """One request for OCSP, without its body."""

    encoded: bytes | None
    """What stands behind ``/ocsp/`` in a GET or HEAD; None: POST."""
    body_octets: int
    send_body: bool
    """False for HEAD."""
    close: bool
    """The connection ends with the answer."""
    if_none_match: str


def parse_head(octets: bytes) -> Head | None:
    """Parse a whole head, up to and with the empty line.

    None: this is not for the data plane. It is not OCSP, or something that it does not do (a body
    in chunks, ``Expect``, a longer body, other methods) or that is not quite HTTP. The general
    server answers that.
    """
    request_line, *lines = octets[:-4].split(b"\r\n")
    words = _REQUEST_LINE.match(request_line)
    fields = _parse_fields(lines)
    if words is None or fields is None:
        return None
    method, target, version = words.groups()
    if version == b"1.1" and b"host" not in fields:
        return None
    body_octets = _body_octets(method, target, fields.get(b"content-length"))
    if body_octets is None or body_octets > MAX_REQUEST_OCTETS:
        return None
    options = [word.strip() for word in fields.get(b"connection", b"").lower().split(b",")]
    return Head(
        encoded=None if method == b"POST" else target[6:],
        body_octets=body_octets,
        send_body=method != b"HEAD",
        # Keep-alive of HTTP/1.0 was never standardised; openssl and NSS wait for the end.
        close=version == b"1.0" or b"close" in options,
        if_none_match=fields.get(b"if-none-match", b"").decode("latin-1"),
    )


def _body_octets(method: bytes, target: bytes, announced: bytes | None) -> int | None:
    """Return the length of the body; None: not one that is taken here."""
    if method == b"POST":
        plain = target in {b"/ocsp", b"/ocsp/"} and announced is not None
        return int(announced or b"") if plain and _LENGTH.match(announced or b"") else None
    return 0 if target.startswith(b"/ocsp/") and announced is None else None


def _parse_fields(lines: list[bytes]) -> dict[bytes, bytes] | None:
    fields: dict[bytes, bytes] = {}
    for line in lines:
        found = _FIELD.match(line)
        if found is None:
            return None
        name, value = found[1].lower(), found[2]
        if name in _LEFT_TO_OTHERS or (name in _SINGLE and name in fields):
            return None
        # RFC 9110, 5.3: lists may be spread over several fields of one name.
        fields[name] = fields[name] + b", " + value if name in fields else value
    return fields
