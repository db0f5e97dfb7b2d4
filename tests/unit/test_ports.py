"""A port that a test was given is nobody else's."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ports

LOOPBACK = ["127.0.0.1", "127.0.0.2"]
if Path("/proc/net/if_inet6").exists() and Path("/proc/net/if_inet6").read_text():
    LOOPBACK += ["::1"]  # containers are often without


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Three ports, and no others that could be given: ours already, under another name."""
    ours = sorted(ports.free_ports(3))
    held: list[socket.socket] = []
    monkeypatch.setattr(ports, "_ports", lambda: ours)
    monkeypatch.setattr(ports, "_NAME", f"\0yinxin-tests-{os.getpid()}-")
    monkeypatch.setattr(ports, "_held", held)
    yield ours
    for name in held:
        name.close()


def test_no_port_is_given_twice(three: list[int]) -> None:
    assert sorted(ports.free_ports(3)) == three
    with pytest.raises(RuntimeError, match="every port"):
        ports.free_ports(1)


def test_a_port_that_another_process_was_given_is_not(three: list[int]) -> None:
    code = (
        "import socket, sys; name = socket.socket(socket.AF_UNIX)\n"
        f"name.bind({ports._NAME!r} + '{three[1]}'); print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-S", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        other.stdout.readline()
        assert sorted(ports.free_ports(2)) == [three[0], three[2]]
        other.stdin.close()
    assert ports.free_ports(1) == [three[1]], "free as soon as that process has ended"


@pytest.mark.parametrize("address", LOOPBACK)
def test_a_port_that_somebody_listens_on_is_not(three: list[int], address: str) -> None:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as other:
        # As OCSP does: it would let another service have the port too.
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind((address, three[0]))
        other.listen()
        assert sorted(ports.free_ports(2)) == three[1:]
