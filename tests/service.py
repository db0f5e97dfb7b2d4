"""A real `yinxin serve` in a process of its own, as an administrator would run it."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from tests import databases, forked
from tests.ports import free_ports

_LOOK_SECONDS = 0.05


def yinxin(
    *words: str | Path,
    environment: dict[str, str] | None = None,
    check: bool = True,
    given: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end. `given`: what it reads."""
    done = forked.run(
        [*map(str, words)], os.environ | (environment or {}), given=given, seconds=120
    )
    if check:
        done.check_returncode()
    return done


@dataclass
class Service:
    """One state directory and, most of the time, the process that serves from it."""

    state: Path
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[str] | forked.Forked | None = None
    role: str = "ca"
    fresh: bool = False
    """Start an interpreter of its own, as an administrator does, and as is to be measured.

    And from nothing: others find the tables made, as an older start would have left them.
    """
    patience_seconds: float = 180
    """How long it may take to become ready."""

    def __post_init__(self) -> None:
        self.https_port, self.mutual_tls_port, self.http_port = free_ports(3)
        self.environment = {
            "YINXIN_SERVER__HTTPS_PORT": str(self.https_port),
            "YINXIN_SERVER__MUTUAL_TLS_PORT": str(self.mutual_tls_port),
            "YINXIN_SERVER__HTTP_PORT": str(self.http_port),
            "YINXIN_LOG__LEVEL": "warning",
            # Small on purpose: the suite is not the place to spend 64 MiB a login.
            "YINXIN_AUTHN__PASSWORD__MEMORY_KIBIBYTES": "19456",
            "YINXIN_AUTHN__PASSWORD__ITERATIONS": "2",
        } | self.environment
        self.log = self.state.with_name(f"{self.state.name}.log")

    @property
    def url(self) -> str:
        return f"https://localhost:{self.https_port}"

    @property
    def revocation_url(self) -> str:
        return f"http://localhost:{self.http_port}"

    def launch(self) -> None:
        """Start, and do not wait."""
        words = ["--state", str(self.state), "serve", "--role", self.role]
        environment = os.environ | self.environment
        if not self.fresh:
            if "YINXIN_DATABASE__URL" not in self.environment:
                databases.lay_tables(self.state)
            self.process = forked.Forked(words, environment, said=self.log, errors=self.log)
            return
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "yinxin", *words],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
            )

    @property
    def root(self) -> Path:
        """The root to trust for TLS."""
        ours = self.state / "trust" / "rsa-root.pem"
        return ours if self.role == "ca" else self.state / "host" / "root.pem"

    def start(self) -> Service:
        """Start and wait until it says that it is ready; fails with its own words."""
        self.launch()
        assert self.process is not None
        for _ in range(round(self.patience_seconds / _LOOK_SECONDS)):
            if self.process.poll() is not None:
                raise RuntimeError(f"yinxin serve ended: {self.log.read_text()}")
            if self.root.exists() and self._ready():
                return self
            time.sleep(_LOOK_SECONDS)
        self.end()
        raise RuntimeError(f"yinxin serve did not become ready: {self.log.read_text()}")

    @property
    def pid(self) -> int:
        """The process that runs."""
        assert self.process is not None
        return self.process.pid

    def _ready(self) -> bool:
        context = ssl.create_default_context(cafile=self.root)
        try:
            with urlopen(f"{self.url}/readyz", context=context, timeout=30) as answer:
                return answer.status == 200
        except HTTPError as not_yet:
            # It holds the connection.
            not_yet.close()
            return False
        except OSError:
            return False

    def stop(self) -> int:
        """Ask it to end, as Ctrl-C does; return its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(timeout=60)
        self.process = None
        return code

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(timeout=60)
        self.process = None

    def end(self) -> None:
        """Kill it if it still runs."""
        if self.process is not None:
            self.kill()

    def yinxin(self, *words: str | Path, **how) -> str:
        """Run a command on this state directory; return what it prints."""
        done = yinxin("--state", self.state, *words, environment=self.environment, **how)
        return done.stdout.strip()

    def beside(self, state: Path, **how) -> Service:
        """Another node of the same authority, as behind one address: its URLs are ours.

        Database and keystore are shared; ports and local files are its own.
        """
        shared = {
            "YINXIN_AUTHN__ISSUER": self.url,
            "YINXIN_AUTHN__TLS_LOGIN_URL": f"https://localhost:{self.mutual_tls_port}",
            "YINXIN_CA__REVOCATION_URL": self.revocation_url,
            "YINXIN_KEYSTORE__DIRECTORY": str(self.state / "keystore"),
            "YINXIN_KEYSTORE__PASSPHRASE_FILE": str(self.state / "passphrase"),
        }
        ours = {name: value for name, value in self.environment.items() if "_PORT" not in name}
        return Service(state, ours | shared, **how)

    def token(self, user: str = "business") -> str:
        return self.yinxin("token", "create", user, "--name", "tests", "--days", "1")
