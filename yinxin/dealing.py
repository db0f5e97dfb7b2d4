"""Dealing out the connections of one socket to the processes that share it: evenly.

The kernel wakes all that wait, and of idle ones it is chance who comes first. A proxy keeps a few
connections for hours, so whoever has more than another lets that one go first, for a moment.
"""

from __future__ import annotations

import asyncio
import logging
import mmap
import socket
import ssl
from collections.abc import Callable, Sized
from struct import Struct
from typing import Final

log = logging.getLogger(__name__)

_NUMBER: Final = Struct("=I")
_ABSENT: Final = 2**32 - 1
_LET_SECONDS: Final = 0.002
"""Many times what another one needs to wake up; the longest that somebody waits for this."""
_EXHAUSTED_SECONDS: Final = 1.0
"""Without a descriptor to accept with: as long as asyncio waits."""
_BACKLOG: Final = 2048


class Shares:
    """How many connections each process has. Made before the fork, so that all see it."""

    def __init__(self, processes: int) -> None:
        self._page = mmap.mmap(-1, _NUMBER.size * processes)
        for place in range(processes):
            self.leave(place)

    def leave(self, place: int) -> None:
        """Note that the process of this place accepts nothing."""
        self.note(place, _ABSENT)

    def note(self, place: int, number: int) -> None:
        """Note how many the process of this place has."""
        _NUMBER.pack_into(self._page, _NUMBER.size * place, number)

    def is_least(self, place: int) -> bool:
        """Tell whether no process has fewer."""
        numbers: list[int] = [number for (number,) in _NUMBER.iter_unpack(self._page[:])]
        return numbers[place] <= min(numbers)


class Acceptor:
    """Accepts for one of the processes. To be used from one event loop."""

    def __init__(
        self,
        sock: socket.socket,
        shares: Shares,
        place: int,
        *,
        tls: ssl.SSLContext | None,
        connections: Sized,
        make: Callable[[], asyncio.Protocol],
    ) -> None:
        """`connections`: those that `make` made a protocol for and that are open."""
        self._sock = sock
        self._shares = shares
        self._place = place
        self._tls = tls
        self._connections = connections
        self._make = make
        self._beginning: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def open(self) -> None:
        """Begin."""
        self._sock.setblocking(False)
        self._sock.listen(_BACKLOG)
        self.note()
        self._loop.add_reader(self._sock, self._accept)

    def close(self) -> None:
        """Accept no more; what was accepted goes on."""
        self._loop.remove_reader(self._sock)
        if self._timer is not None:
            self._timer.cancel()
        self._shares.leave(self._place)

    def note(self) -> None:
        """Tell the others how many there are. To be called now and then."""
        self._shares.note(self._place, len(self._connections) + len(self._beginning))

    def _accept(self) -> None:
        self.note()
        if self._shares.is_least(self._place):
            self._take()
        else:
            self._look_away(_LET_SECONDS)

    def _take(self) -> None:
        try:
            taken, _ = self._sock.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another one was first, or nobody is there any more
        except OSError:
            log.exception("no connection can be accepted")
            self._look_away(_EXHAUSTED_SECONDS)
            return
        task = self._loop.create_task(self._begin(taken))
        self._beginning.add(task)
        task.add_done_callback(self._beginning.discard)
        self.note()

    def _look_away(self, seconds: float) -> None:
        self._loop.remove_reader(self._sock)
        self._timer = self._loop.call_later(seconds, self._look_again)

    def _look_again(self) -> None:
        """Take whoever waits by now: nobody else did."""
        self._loop.add_reader(self._sock, self._accept)
        self._take()

    async def _begin(self, taken: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._make, taken, ssl=self._tls)
        except OSError as error:  # what does not get through TLS; of it, too
            log.debug("a connection did not begin", extra={"reason": str(error)})
