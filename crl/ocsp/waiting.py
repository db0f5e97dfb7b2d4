"""Requests whose answer has to be made, and those who wait for it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crl.ocsp.head import Head
from crl.ocsp.request import OCSPRequest
from crl.ocsp.signing import Made

if TYPE_CHECKING:
    from crl.ocsp.plane import OCSPPlane

Send = Callable[[bytes], None]
"""Takes a whole response."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A request whose answer has to be made."""

    head: Head
    octets: bytes
    key: bytes | None
    """Of a stored answer that is better than none."""
    request: OCSPRequest | None
    """The octets decoded, if they were."""
    missing: bool
    """The store has no status of the one certificate."""


class Waiting:
    """One request whose response is made, and who sends it."""

    __slots__ = ("_at_once", "_begun", "_pending", "_plane", "_send")

    def __init__(self, plane: OCSPPlane, pending: Pending, send: Send) -> None:
        self._plane = plane
        self._pending = pending
        self._send = send
        self._begun = False
        self._at_once: bytes | None = None

    def begin(self) -> bytes | None:
        """Have the response made; return it if that is done already."""
        self._plane.make(self._pending, self._made)
        self._begun = True
        return self._at_once

    def go_on(self, found: Collection[int] | Exception) -> None:
        """The log was read: the certificate is known now, or was never issued."""
        response = self._plane.still_missing(self._pending, found) or self.begin()
        if response is not None:
            self._send(response)

    def _made(self, made: Made | Exception) -> None:
        response = self._plane.finish(self._pending, made)
        if self._begun:
            self._send(response)
        else:
            self._at_once = response
