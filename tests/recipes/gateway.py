"""Two charons on this host: a gateway as the page has it, and a peer that wants to come in.

No tunnel is made (RFC 6023, childless initiation): who comes in is decided before there is one, and
neither routes nor the kernel's ESP are needed.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conformance.relying import Certified
from tests.judges.octets import CERTIFICATE, pem
from tests.ports import free_ports
from tests.recipes.place import Place, RecipeFailed

_PEER = """connections {{ peer {{
  version = 2
  childless = force
  remote_addrs = 127.0.0.1
  remote_port = {port}
  local {{ auth = pubkey
           certs = chain.pem }}
  remote {{ auth = pubkey
            cacerts = issuer.pem
            id = %any
            revocation = relaxed }}
}} }}
"""
_GATEWAY = """include {directory}/swanctl.conf
connections { gateway { version = 2
childless = allow } }
"""
_DAEMON = """include {directory}/strongswan.conf
charon {{
  port = {port}
  port_nat_t = {port_nat}
  install_routes = no
  install_virtual_ip = no
  plugins {{
    vici {{ socket = unix://{directory}/vici
}}
    bypass-lan {{ load = no
}}
    kernel-libipsec {{ load = no
}}
  }}
  filelog {{ here {{ path = {directory}/charon.log
default = 1
flush_line = yes
}} }}
}}
"""


class Gateway:
    """The gateway of the page, which runs while it is entered."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._ports = free_ports(2)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run it."""
        directory = self._place.directory
        _lay_out(directory)
        (directory / "all.conf").write_text(_GATEWAY.replace("{directory}", str(directory)))
        with _charon(directory, *self._ports, "all.conf"):
            yield

    def says(self, words: str) -> bool:
        """Whether it says these words in its log."""
        return words in (self._place.directory / "charon.log").read_text()

    def admits(self, one: Certified) -> bool:
        """Whether a peer with this certificate comes in."""
        directory = self._place.directory.with_name("peer")
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        root, issuer, leaf = (pem(CERTIFICATE, der) for der in one.path)
        for name, text in {
            "chain.pem": leaf,
            "issuer.pem": issuer,
            "root.pem": root,
            "key.pem": one.key,
            # Only the gateway asks.
            "strongswan.conf": "charon { plugins { revocation { load = no\n} } }\n",
            "swanctl.conf": _PEER.format(port=self._ports[1]),
        }.items():
            (directory / name).write_text(text)
        _lay_out(directory)
        with _charon(directory, *free_ports(2), "swanctl.conf"):
            return _swanctl(directory, "--initiate", "--ike", "peer", "--timeout", "20") == 0


def _lay_out(directory: Path) -> None:
    places = {"chain": "x509", "issuer": "x509ca", "root": "x509ca", "key": "private"}
    for name, folder in places.items():
        (directory / folder).mkdir(exist_ok=True)
        shutil.copy(directory / f"{name}.pem", directory / folder)


@contextmanager
def _charon(directory: Path, port: int, port_nat: int, connections: str) -> Iterator[None]:
    daemon = directory / "daemon.conf"
    daemon.write_text(_DAEMON.format(directory=directory, port=port, port_nat=port_nat))
    process = subprocess.Popen(
        ["/usr/sbin/charon-systemd"],
        env={"STRONGSWAN_CONF": str(daemon)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait(
            lambda: _swanctl(directory, "--load-all", "--file", str(directory / connections)) == 0
        )
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait(happened: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not happened():
        if time.monotonic() > until:
            raise RecipeFailed("charon does not take its connections: charon.log, swanctl.log")
        time.sleep(0.2)


def _swanctl(directory: Path, *words: str) -> int:
    command = ["swanctl", *words, "--uri", f"unix://{directory}/vici"]
    environment = {"SWANCTL_DIR": str(directory), "PATH": "/usr/bin:/usr/sbin"}
    with (directory / "swanctl.log").open("a") as log:
        return subprocess.run(
            command, env=environment, stdout=log, stderr=subprocess.STDOUT, check=False, timeout=60
        ).returncode
