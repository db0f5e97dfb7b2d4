"""Connections that a worker hands to the keeper's process, because they are not for OCSP.

The descriptor goes over a Unix socket in the state directory, with what was read and not answered.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

_MAX_UNREAD: Final = 262_144
_WAIT_SECONDS: Final = 5.0
_BACKLOG: Final = 1024


def hand_over(path: Path, transport: asyncio.Transport, unread: bytes) -> None:
    """Give a connection away. It is closed when nobody is there to take it."""
    given: socket.socket = transport.get_extra_info("socket")
    transport.pause_reading()
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as carrier:
            carrier.settimeout(0.5)
            carrier.connect(str(path))
            socket.send_fds(carrier, [len(unread).to_bytes(4, "big")], [given.fileno()])
            carrier.sendall(unread)
    except OSError as error:
        log.warning("a connection could not be handed over", extra={"reason": str(error)})
    # Ours is closed; the connection lives as long as the other descriptor.
    transport.abort()


class HandedOver:
    """Takes such connections in a thread, and makes them ones of the running event loop."""

    def __init__(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._sock.bind(str(path))
        self._sock.listen(_BACKLOG)

    def start(self, make: Callable[[], asyncio.Protocol]) -> None:
        """Begin. To be called in the event loop; `make` makes the protocol of a connection."""
        loop = asyncio.get_running_loop()

        async def adopt(taken: socket.socket, unread: bytes) -> None:
            taken.setblocking(False)
            _, protocol = await loop.connect_accepted_socket(make, taken)
            protocol.data_received(unread)

        def take() -> None:
            while True:
                carrier, _ = self._sock.accept()
                try:
                    taken, unread = _receive(carrier)
                except OSError as error:
                    log.warning("a connection was not handed over", extra={"reason": str(error)})
                    continue
                asyncio.run_coroutine_threadsafe(adopt(taken, unread), loop)

        threading.Thread(target=take, name="handed-over", daemon=True).start()


def _receive(carrier: socket.socket) -> tuple[socket.socket, bytes]:
    with carrier:
        carrier.settimeout(_WAIT_SECONDS)
        head, descriptors, _, _ = socket.recv_fds(carrier, 4, 1)
        if len(descriptors) != 1 or len(head) != 4:
            for descriptor in descriptors:
                os.close(descriptor)
            raise OSError("no connection came with it")
        taken = socket.socket(fileno=descriptors[0])
        length, unread = int.from_bytes(head, "big"), b""
        while len(unread) < min(length, _MAX_UNREAD):
            part = carrier.recv(length - len(unread))
            if not part:
                taken.close()
                raise OSError("it ended in the middle")
            unread += part
        return taken, unread
