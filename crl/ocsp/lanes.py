"""Threads that look up and sign, apart from the event loop and apart for every issuer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, Generic, TypeVar

from core.errors import Unavailable

T = TypeVar("T")

_THREADS: Final = 8
"""Most of the time they wait: for a token, or for the disk that takes their answers in together."""
QUEUE: Final = 256
"""So many wait or run in one lane; what comes on top is told to try later."""
SPARE: Final = _THREADS // 2
"""So many signatures at once that can be done without: nonces, renewing ahead, and serial numbers
that nobody was given. They never queue, and leave threads to whoever has to have a signature."""
_ANSWER_SECONDS: Final = 5.0


class Lane:
    """The threads of one issuer. A token that stalls holds up its own issuer and nobody else.

    To be used from one event loop.
    """

    def __init__(
        self,
        issuer: str,
        *,
        threads: int = _THREADS,
        note: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`note` is told how many wait or run, each time that changes."""
        self._issuer = issuer
        self._note = note
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=f"ocsp-{issuer}")
        self.waiting = 0
        """How many wait or run."""

    def start(
        self, act: Callable[[], T], done: Callable[[T | Exception], None], *, spare: bool = False
    ) -> bool:
        """Run `act` in a thread, unless there is no room (`SPARE` or `QUEUE`): then False.

        `done` is called once, in the event loop and later than this returns, with what `act`
        returned or raised; with `Unavailable` if that takes too long.
        """
        if self.waiting >= (SPARE if spare else QUEUE):
            return False
        job = _Job(self, asyncio.get_running_loop(), act, done)
        self._executor.submit(job.run)
        self.change(1)
        return True

    def change(self, by: int) -> None:
        """Count one more, or one less."""
        self.waiting += by
        self._note(self.waiting)

    def close(self) -> None:
        """Drop what waits; what runs, runs to its end."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def late(self) -> Unavailable:
        """Return what whoever waited too long is told."""
        return Unavailable(f"{self._issuer}: no signature in {_ANSWER_SECONDS:g} s")


class _Job(Generic[T]):
    """One act. A task, a future and a timeout of asyncio would cost a third of a signature."""

    __slots__ = ("_act", "_done", "_lane", "_loop", "_timer")

    def __init__(
        self,
        lane: Lane,
        loop: asyncio.AbstractEventLoop,
        act: Callable[[], T],
        done: Callable[[T | Exception], None],
    ) -> None:
        self._lane = lane
        self._loop = loop
        self._act = act
        self._done: Callable[[T | Exception], None] | None = done
        self._timer = loop.call_later(_ANSWER_SECONDS, self._expire)

    def run(self) -> None:
        """Do it, in a thread of the lane."""
        result: T | Exception
        try:
            result = self._act()
        except Exception as error:  # noqa: BLE001 - given to whoever asked
            result = error
        # Closed: the service has ended, and nobody waits.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._finish, result)

    def _finish(self, result: T | Exception) -> None:
        self._lane.change(-1)
        self._timer.cancel()
        self._answer(result)

    def _expire(self) -> None:
        # The thread goes on, and is counted until it ends.
        self._answer(self._lane.late())

    def _answer(self, result: T | Exception) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(result)
