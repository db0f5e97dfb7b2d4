"""A directory in the place of /etc/yinxin, with one certificate, and the blocks of a page in it."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conformance.relying import HOST, Asked, Certified
from tests.judges.octets import CERTIFICATE, pem
from tests.ports import free_ports

_PAGES = Path(__file__).parents[2] / "docs/recipes"
_BLOCK = re.compile(r"<!-- file: (\S+) -->\n```\w*\n(.*?)```", re.DOTALL)


class RecipeFailed(Exception):
    """What a page promises did not happen."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a recipe runs."""

    directory: Path
    asked: Asked
    port: int

    @classmethod
    def make(cls, directory: Path, asked: Asked, one: Certified, page: str) -> Place:
        """Write the certificate and the blocks of `page`, with real names in them."""
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        directory.chmod(0o755)
        root, issuer, leaf = (pem(CERTIFICATE, der) for der in one.path)
        for name, text in {
            "chain.pem": leaf + issuer,
            "key.pem": one.key,
            "haproxy.pem": leaf + issuer + one.key,
            "issuer.pem": issuer,
            "root.pem": root,
            "ca.pem": issuer + root,
        }.items():
            (directory / name).write_text(text)
        (port,) = free_ports(1)
        place = cls(directory, asked, port)
        for name, text in _BLOCK.findall((_PAGES / f"{page}.md").read_text()):
            (directory / name).write_text(place._real(text))
            (directory / name).chmod(0o755)
        return place

    def _real(self, text: str) -> str:
        responder = self.asked.url.removeprefix("http://").removesuffix("/ocsp")
        for name, real in {
            "ocsp.example.cn": responder,
            "/etc/yinxin": str(self.directory),
            "/var/cache/nginx": str(self.directory),
            "/run/apache2": str(self.directory),
            "/var/log/apache2": str(self.directory),
            "/srv/www": str(self.directory),
            ":8443": f":{self.port}",
            "listen 8443": f"listen 127.0.0.1:{self.port}",
            "Listen 8443": f"Listen 127.0.0.1:{self.port}",
            "listen 8080": f"listen 127.0.0.1:{self.port}",
        }.items():
            text = text.replace(name, real)
        return text

    @contextmanager
    def running(self, *command: str | Path, says: str = "") -> Iterator[None]:
        """Run a server until the block ends. It is ready when it listens, or says so."""
        log = self.directory / "output"
        with log.open("w") as output:
            process = subprocess.Popen(
                [str(word) for word in command], stdout=output, stderr=subprocess.STDOUT
            )
        try:
            self.wait(
                lambda: (
                    (says in log.read_text() if says else self.connects())
                    or process.poll() is not None
                )
            )
            if process.poll() is not None:
                raise RecipeFailed(f"{command[0]} ended: {log.read_text()}")
            yield
        finally:
            process.terminate()
            process.wait(timeout=30)

    def connects(self) -> bool:
        """Whether somebody listens."""
        line = f"0100007F:{self.port:04X} 00000000:0000 0A"
        any_line = f"00000000:{self.port:04X} 00000000:0000 0A"
        table = Path("/proc/net/tcp").read_text()
        return line in table or any_line in table

    def wait(self, happened: Callable[[], object], seconds: float = 20) -> None:
        """Wait until `happened` returns true. Raises `RecipeFailed`."""
        until = time.monotonic() + seconds
        while not happened():
            if time.monotonic() > until:
                raise RecipeFailed("it did not happen in time")
            time.sleep(0.1)

    def run(self, *command: str | Path, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run a command to its end, in the directory."""
        return subprocess.run(
            [str(word) for word in command],
            cwd=self.directory,
            input=given,
            capture_output=True,
            check=False,
            timeout=60,
        )

    def s_client(self, *more: str | Path, given: bytes = b"") -> str:
        """What `openssl s_client` prints after a handshake."""
        peer = ("-connect", f"127.0.0.1:{self.port}", "-servername", HOST)
        done = self.run("openssl", "s_client", *peer, *more, given=given)
        return (done.stdout + done.stderr).decode(errors="replace")

    def admits(self) -> bool:
        """Whether the server lets in a client with the certificate of this place."""
        client = ("-cert", self.directory / "chain.pem", "-key", self.directory / "key.pem")
        request = b"GET / HTTP/1.0\r\nHost: gw.example.test\r\n\r\n"
        said = self.s_client("-quiet", *client, given=request)
        return "HTTP/1.1 200" in said or "HTTP/1.1 403" in said or "HTTP/1.1 404" in said

    def staple(self) -> str:
        """The status that is stapled, or ""."""
        client = ("-cert", self.directory / "chain.pem", "-key", self.directory / "key.pem")
        found = re.search(r"Cert Status: (\w+)", self.s_client("-status", *client))
        return found[1] if found else ""


def need(fact: bool, words: str) -> None:
    """Raise `RecipeFailed` unless `fact`."""
    if not fact:
        raise RecipeFailed(words)
