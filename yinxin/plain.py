"""The plain-http side of a host that keeps a status store: with workers in front, or without."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from typing import Any

from crl.ocsp.keeper import Keeper
from crl.ocsp.link import serve_signing
from crl.ocsp.listener import OCSPListener
from crl.ocsp.plane import OCSPPlane
from yinxin import server
from yinxin.handed import HandedOver
from yinxin.http1 import HEAD_SECONDS
from yinxin.settings import Settings
from yinxin.state import State
from yinxin.workers import HANDED_SOCKET, SIGNING_SOCKET


def bind_plain(settings: Settings) -> socket.socket | None:
    """Open the socket of this process; None: workers have the port."""
    if settings.revocation.ocsp.workers:
        return None
    return server.bind(settings.server.listen_address, settings.server.http_port)


def plain_listener(
    sock: socket.socket | None, app: Any, plane: OCSPPlane, state: State
) -> server.Listener:
    """Return what serves `app`, and OCSP before it is asked."""
    if sock is None:
        return server.Listener(None, app, handed=HandedOver(state.directory / HANDED_SOCKET))
    ocsp = OCSPListener(plane, wait_seconds=HEAD_SECONDS)
    return server.Listener(sock, app, ocsp=ocsp)


def signing_for_workers(
    settings: Settings, keeper: Keeper, state: State
) -> Callable[[], Awaitable[object]] | None:
    """Return what signs for the workers while the listeners serve; None: there are none."""
    if not settings.revocation.ocsp.workers:
        return None
    return lambda: serve_signing(keeper.signing, state.directory / SIGNING_SOCKET)
