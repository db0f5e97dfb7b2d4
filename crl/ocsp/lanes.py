"""Threads that look up and sign, apart from the event loop and apart for every issuer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

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

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix=f"ocsp-{issuer}")
        self.waiting = 0
        """How many wait or run."""

    def start(self, act: Callable[[], T], *, spare: bool = False) -> asyncio.Future[T] | None:
        """Run `act` in a thread, unless there is no room (`SPARE` or `QUEUE`): then None."""
        if self.waiting >= (SPARE if spare else QUEUE):
            return None
        self.waiting += 1
        future = asyncio.get_running_loop().run_in_executor(self._executor, act)
        future.add_done_callback(self._finish)
        return future

    async def run(self, act: Callable[[], T], *, spare: bool = False) -> T:
        """Run `act` and return what it returns. Raises `Unavailable` if it takes too long."""
        future = self.start(act, spare=spare)
        if future is None:
            raise Unavailable(f"{self._issuer}: too many answers wait for a signature")
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await asyncio.shield(future)
        except TimeoutError as error:
            raise Unavailable(f"{self._issuer}: no signature in {_ANSWER_SECONDS:g} s") from error

    def close(self) -> None:
        """Drop what waits; what runs, runs to its end."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _finish(self, future: asyncio.Future[T]) -> None:
        self.waiting -= 1
        if not future.cancelled():
            future.exception()  # seen here: the one who asked may have stopped waiting
