"""A real PostgreSQL server for the tests, started from Debian's binaries on a socket of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def server() -> Iterator[str]:
    """Start a server; give the url of its `postgres` database. Stopped and deleted afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="yinxin-pg-"))
    if os.geteuid() == 0:
        shutil.chown(directory, "postgres", "postgres")
    bin_, data = _binaries(), directory / "data"
    subprocess.run(
        _as_postgres(
            f"{bin_}/initdb", "-D", str(data), "-A", "trust", "-E", "UTF8", "-U", "yinxin"
        ),
        check=True,
        capture_output=True,
        cwd="/",
    )
    options = f"-c listen_addresses='' -k {directory} -c max_connections=200 -c fsync=off"
    subprocess.run(
        _as_postgres(
            f"{bin_}/pg_ctl",
            "-D",
            str(data),
            "-o",
            options,
            "-w",
            "-l",
            f"{directory}/log",
            "start",
        ),
        check=True,
        capture_output=True,
        cwd="/",
    )
    try:
        yield f"postgresql+psycopg://yinxin@/postgres?host={directory}"
    finally:
        stop = _as_postgres(f"{bin_}/pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")
        subprocess.run(stop, check=True, capture_output=True, cwd="/")
        shutil.rmtree(directory, ignore_errors=True)


def fresh_database(url: str, name: str, *, model: str | None = None) -> str:
    """Create a database on the server, empty or a copy of the model; give its url."""
    plain = url.replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(plain, autocommit=True) as connection:
        copied = f' TEMPLATE "{model}"' if model else ""
        connection.execute(f'CREATE DATABASE "{name}"{copied}')
    return url.replace("/postgres?", f"/{name}?")
