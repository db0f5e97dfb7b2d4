"""Group commit: threads that want the same thing at the same moment have it done together.

Whoever comes first does it, for itself and for all that came meanwhile. Nobody waits for company:
a caller that is alone is served at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from core.errors import Unavailable

In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(slots=True)
class _Waiting(Generic[In, Out]):
    wanted: In
    woken: threading.Event = field(default_factory=threading.Event)
    leads: bool = False
    result: Out | Exception | None = None


class Gathering(Generic[In, Out]):
    """Calls `act` with what several threads want; it returns an outcome for each, in order.

    An `Exception` among the outcomes is raised for its caller alone; one that `act` raises, for
    all. One call of `act` runs at a time.
    """

    def __init__(
        self, act: Callable[[Sequence[In]], Sequence[Out | Exception]], *, most: int = 64
    ) -> None:
        self._act = act
        self._most = most
        self._lock = threading.Lock()
        self._waiting: list[_Waiting[In, Out]] = []
        self._led = False

    def ask(self, wanted: In) -> Out:
        """Have it done. Must not be called inside a transaction: another thread may do it."""
        mine: _Waiting[In, Out] = _Waiting(wanted)
        with self._lock:
            self._waiting.append(mine)
            if not self._led:
                self._led = mine.leads = True
        if not mine.leads:
            mine.woken.wait()
        if mine.leads:
            self._lead()
        if isinstance(mine.result, Exception):
            raise mine.result
        return mine.result  # type: ignore[return-value]  # set by whoever led

    def _lead(self) -> None:
        """Serve the first of those who wait, the caller among them; then name the next leader."""
        with self._lock:
            served, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
        try:
            outcomes: Sequence[Out | Exception] = self._act([one.wanted for one in served])
        except Exception as error:  # noqa: BLE001 - raised again, in every thread that asked
            outcomes = [error] * len(served)
        except BaseException:
            # The leader is told to end. Those it served for must not wait for ever.
            self._answer(served, [Unavailable("it was interrupted; try again")] * len(served))
            raise
        self._answer(served, outcomes)

    def _answer(
        self, served: Sequence[_Waiting[In, Out]], outcomes: Sequence[Out | Exception]
    ) -> None:
        for one, outcome in zip(served, outcomes, strict=True):
            one.result = outcome
            one.woken.set()
        self._hand_over()

    def _hand_over(self) -> None:
        with self._lock:
            self._led = bool(self._waiting)
            if self._waiting:
                self._waiting[0].leads = True
                self._waiting[0].woken.set()
