"""Ports for services that tests start: nobody else of this machine is given the same one.

Binding port 0 and closing it again would leave a port that the next who asks gets too, before the
service has bound it: two services that share OCSP's port (`SO_REUSEPORT`) would even both start,
and answer for each other. So a port is held from the moment it is given until this process ends,
by a name in the abstract namespace of Unix sockets, which the kernel frees by itself.
"""

from __future__ import annotations

import errno
import secrets
import socket
from collections.abc import Sequence
from pathlib import Path

_LOWEST, _HIGHEST = 10240, 32767
_NAME = "\0yinxin-tests-port-"
_held: list[socket.socket] = []


def free_ports(count: int) -> list[int]:
    """Return ports that are ours until this process ends, and on which nobody listens.

    They lie below those that the kernel gives to whoever connects or binds port 0.
    """
    return [_free_port() for _ in range(count)]


def _free_port() -> int:
    ports = _ports()
    first = secrets.randbelow(len(ports))
    for step in range(len(ports)):
        port = ports[(first + step) % len(ports)]
        if (name := _hold(port)) is not None:
            _held.append(name)
            if _is_free(port):
                return port
    raise RuntimeError("every port for tests is taken")


def _ports() -> Sequence[int]:
    told = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii")
    below = int(told.split()[0]) - 1
    # A machine may leave hardly anything below: then only other tests are kept away.
    return range(_LOWEST, (below if below > _LOWEST + 1000 else _HIGHEST) + 1)


def _hold(port: int) -> socket.socket | None:
    """Return what holds the port, None if another process of these tests has it."""
    name = socket.socket(socket.AF_UNIX)
    try:
        name.bind(f"{_NAME}{port}")
    except OSError as error:
        name.close()
        if error.errno != errno.EADDRINUSE:
            raise
        return None
    return name


def _is_free(port: int) -> bool:
    """Say whether every address of this machine has it free: who is told "localhost" asks ::1."""
    for family, everywhere in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):  # noqa: S104 - closed at once
        try:
            probe = socket.socket(family)
        except OSError:
            continue  # a machine without IPv6
        with probe:
            try:
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind((everywhere, port))
            except OSError as error:
                if error.errno != errno.EADDRNOTAVAIL:  # IPv6 without an address
                    return False
    return True
