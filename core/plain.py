"""Requests that a connection answers by itself, without ASGI: no task, no scope, one write.

A framework's way from the octets of a request to those of its answer costs more than some answers.
So a route may have a plain handler: it is called by the connection (`yinxin.http1`) when the whole
request is there, and if nothing about it is out of the ordinary. Everything else, and whatever
the handler does not take, goes through the application as it always does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

MOST_OCTETS: Final = 16_384
"""Of a body; a longer one goes through the application."""

Headers = Sequence[tuple[bytes, bytes]]
"""As they came; names in small letters."""


@dataclass(frozen=True, slots=True)
class PlainRequest:
    """A request that is there as a whole."""

    headers: Headers
    body: bytes
    certificate: bytes | None
    """DER of the certificate with which TLS authenticated the caller."""
    scope: MutableMapping[str, Any]
    """As the application would have it (ASGI), for what is written for Starlette's requests."""
    request_id: str

    def one(self, name: bytes) -> bytes | None:
        """Return the value of a header that may come once. Raises `LookupError` for a second."""
        found = [value for key, value in self.headers if key == name]
        if len(found) > 1:
            raise LookupError(name)
        return found[0] if found else None


Give = Callable[[Response], None]
Plain = Callable[[PlainRequest, Give], bool]
"""Begins to answer, and gives the answer at once or later, in the event loop. False: nothing was
done, and the application is to answer."""


@dataclass(frozen=True, slots=True)
class PlainRoutes:
    """Plain handlers by method and path of the request line, which is taken as it is.

    A GET may have a query, and has no body; any other method has a body, and no query.
    """

    handlers: Mapping[tuple[bytes, bytes], Plain]
    octets: int = MOST_OCTETS
