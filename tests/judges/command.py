"""Asking a judge that is a command."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping

from tests.judges import JudgeSaysNo


def ask(*command: str, says: str = "", environment: Mapping[str, str] | None = None) -> str:
    """Run `command`; give all that it printed.

    Raises `JudgeSaysNo` when it exits with a failure, or when `says` is not in what it printed:
    some tools report a bad signature and exit with success.
    """
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
        env={**os.environ, **(environment or {})},
        check=False,
    )
    printed = done.stdout.decode(errors="replace")
    if done.returncode != 0 or says not in printed:
        raise JudgeSaysNo(f"{' '.join(command)}: exit {done.returncode}: {printed.strip()}")
    return printed
