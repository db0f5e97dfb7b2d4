"""A real PostgreSQL server for the tests, started from Debian's binaries on a socket of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg


def _binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        raise RuntimeError("PostgreSQL is not installed; scripts/test installs it")
    return found[-1].parent


def _as_postgres(*command: str) -> list[str]:
    # initdb refuses to run as root.
    return ["runuser", "-u", "postgres", "--", *command] if os.geteuid() == 0 else list(command)


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs, and can be taken away."""

    directory: Path

    @property
    def url(self) -> str:
        """Of its `postgres` database."""
        return f"postgresql+psycopg://yinxin@/postgres?host={self.directory}"

    @contextmanager
    def away(self) -> Iterator[None]:
        """Stop it as a crash does, and start it again."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def start(self) -> None:
        options = f"-c listen_addresses='' -k {self.directory} -c max_connections=200 -c fsync=off"
        self._control("-o", options, "-l", f"{self.directory}/log", "start")

    def stop(self) -> None:
        self._control("-m", "immediate", "stop")

    def _control(self, *words: str) -> None:
        command = _as_postgres(
            f"{_binaries()}/pg_ctl", "-D", f"{self.directory}/data", "-w", *words
        )
        subprocess.run(command, check=True, capture_output=True, cwd="/")


@contextmanager
def running() -> Iterator[Server]:
    """Start a server. Stopped and deleted afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="yinxin-pg-"))
    if os.geteuid() == 0:
        shutil.chown(directory, "postgres", "postgres")
    data = directory / "data"
    subprocess.run(
        _as_postgres(
            f"{_binaries()}/initdb", "-D", str(data), "-A", "trust", "-E", "UTF8", "-U", "yinxin"
        ),
        check=True,
        capture_output=True,
        cwd="/",
    )
    server = Server(directory)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def server() -> Iterator[str]:
    """Start a server; give the url of its `postgres` database. Stopped and deleted afterwards."""
    with running() as one:
        yield one.url


def fresh_database(url: str, name: str, *, model: str | None = None) -> str:
    """Create a database on the server, empty or a copy of the model; give its url."""
    plain = url.replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(plain, autocommit=True) as connection:
        copied = f' TEMPLATE "{model}"' if model else ""
        connection.execute(f'CREATE DATABASE "{name}"{copied}')
    return url.replace("/postgres?", f"/{name}?")
