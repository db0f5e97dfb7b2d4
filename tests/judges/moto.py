"""moto's server: an S3-compatible storage on loopback that keeps If-Match and If-None-Match.

In an environment of its own, from ``tests/judges/moto.lock`` (``uv pip compile --generate-hashes
--universal tests/judges/moto.in``): it needs another python-dateutil than pkilint.
``python -m tests.judges.moto`` installs it ahead.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from tests.ports import free_ports

_LOCK = Path(__file__).with_name("moto.lock")
_TOOLS = Path(__file__).parents[1] / ".tools"


@contextmanager
def storage() -> Iterator[str]:
    """Run it; give its endpoint. It starts empty, and keeps nothing."""
    (port,) = free_ports(1)
    endpoint = f"http://127.0.0.1:{port}"
    command = [environment() / "bin/moto_server", "-H", "127.0.0.1", "-p", str(port)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, **quiet) as process:
        try:
            _wait(f"{endpoint}/moto-api/", process)
            yield endpoint
        finally:
            process.terminate()


@cache
def environment() -> Path:
    """Return the environment, installed from what the lock is now."""
    digest = hashlib.sha256(_LOCK.read_bytes()).hexdigest()[:16]
    made = _TOOLS / f"moto-{digest}"
    if not made.exists():
        _TOOLS.mkdir(exist_ok=True)
        # Scripts name their interpreter by its path, so it is made in place, and marked when done.
        unfinished = _TOOLS / f"moto-{digest}.unfinished.{os.getpid()}"
        subprocess.run([sys.executable, "-m", "venv", unfinished], check=True)
        pip = [unfinished / "bin/python", "-m", "pip", "install", "--quiet"]
        locked = ["--disable-pip-version-check", "--require-hashes", "-r", _LOCK]
        subprocess.run([*pip, *locked], check=True)
        _settle(unfinished, made)
    return made


def _settle(unfinished: Path, made: Path) -> None:
    script = unfinished / "bin/moto_server"
    text = script.read_text(encoding="utf-8").replace(str(unfinished), str(made))
    script.write_text(text, encoding="utf-8")
    try:
        unfinished.rename(made)
    except OSError:
        shutil.rmtree(unfinished)  # another process was faster


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError("moto's server ended")
        try:
            with urllib.request.urlopen(url, timeout=30):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("moto's server does not answer")


if __name__ == "__main__":
    environment()
