"""Questions about serial numbers that the store does not have.

A server asks about its certificate in the second it is issued, so none of them is answered before
the status log was read to its end since it was asked: once for all that come meanwhile. Who
guesses numbers by the thousand costs neither a thread nor a look at the database each.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Generic, TypeVar

from crl.ocsp.signing import Signing

T = TypeVar("T")


class Missing(Generic[T]):
    """Those who wait for the end of the log. To be used from one event loop."""

    def __init__(
        self, signing: Signing, go_on: Callable[[Sequence[T], Collection[int] | Exception], None]
    ) -> None:
        """`go_on` takes all who waited for one reading of the log, and what came of it.

        (`Signing.peek`)
        """
        self._signing = signing
        self._go_on = go_on
        self._asked: list[T] = []
        """For these the reading that is under way began too early."""
        self._served: list[T] = []
        self._reading = False

    def ask(self, one: T) -> None:
        """Go on with this one once the log was read to its end, beginning now or later."""
        self._asked.append(one)
        if not self._reading:
            self._read()

    def _read(self) -> None:
        self._reading = True
        self._served, self._asked = self._asked, []
        self._signing.peek(self._finish)

    def _finish(self, found: Collection[int] | Exception) -> None:
        served, self._served = self._served, []
        self._reading = False
        if self._asked:
            self._read()
        self._go_on(served, found)
