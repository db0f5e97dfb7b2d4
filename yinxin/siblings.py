"""What the processes that answer https together have from their parent.

The first does everything that is there once: migrations, first start, jobs, OCSP, its own
certificates. The others answer, and begin when the first has laid what they stand on.
"""

from __future__ import annotations

import os
import select
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from yinxin import server
from yinxin.dealing import Shares
from yinxin.plain import bind_plain
from yinxin.server import Listener
from yinxin.settings import Settings


@dataclass(frozen=True, slots=True)
class Siblings:
    """Opened before the fork, so that all have the same."""

    sockets: tuple[socket.socket, socket.socket]
    """https and mutual TLS. One queue each, so that nobody waits for one that was killed."""
    plain: socket.socket | None
    """Plain http, of the first; ours, so that who comes while it is started again waits."""
    shares: tuple[Shares, Shares] | None
    """How many connections of each socket each process has; None: there is one process."""
    headers: tuple[tuple[str, str], ...]
    """Of every answer."""
    contexts: tuple[ssl.SSLContext, ssl.SSLContext]
    """Of the sockets, without certificates yet. A context is made with the key of its session
    tickets: so each takes what another gave."""
    _begun: int
    _answering: tuple[int, ...]
    """One for each beside the first. An eventfd that was written to stays readable, since nobody
    reads it: what it says holds for whoever is started again."""

    def leave(self, place: int) -> None:
        """Say that nothing is accepted at this place, whatever who was there before had."""
        for shares in self.shares or ():
            shares.leave(place)

    def listeners(self, control: Any, machines: Any, *, place: int) -> tuple[Listener, Listener]:
        """Return what serves both applications in the process of this place; 0: the first."""
        https, mutual = (
            Listener(
                sock,
                application,
                tls=context,
                headers=self.headers,
                shared=None if self.shares is None else (self.shares[at], place),
            )
            for at, (sock, application, context) in enumerate(
                zip(self.sockets, (control, machines), self.contexts, strict=True)
            )
        )
        return https, mutual

    @property
    def begun(self) -> bool:
        """Whether the first laid the ground once: the others may be at work."""
        return bool(select.select([self._begun], [], [], 0)[0])

    def begin(self) -> None:
        """Let the others begin. For the first."""
        os.eventfd_write(self._begun, 1)

    def wait_to_begin(self) -> None:
        """Wait for the first. For the others."""
        select.select([self._begun], [], [])

    def answer(self, place: int) -> None:
        """Say that the process of this place, from 1, answers."""
        os.eventfd_write(self._answering[place - 1], 1)

    def wait_for_others(self) -> None:
        """Wait until each of the others answered once. For the first, in a thread."""
        for other in self._answering:
            select.select([other], [], [])


@contextmanager
def open_siblings(settings: Settings) -> Iterator[Siblings]:
    """Open what they share. Raises `Misconfigured` when a port is taken."""
    host = settings.server
    with ExitStack() as stack:
        https, mutual = (
            stack.enter_context(server.bind(host.listen_address, port))
            for port in (host.https_port, host.mutual_tls_port)
        )
        plain = bind_plain(settings)
        yield Siblings(
            sockets=(https, mutual),
            plain=plain,
            shares=(Shares(host.processes), Shares(host.processes)) if host.processes > 1 else None,
            headers=host.https_headers,
            contexts=(server.server_context(), server.server_context()),
            _begun=os.eventfd(0),
            _answering=tuple(os.eventfd(0) for _ in range(1, host.processes)),
        )
