"""Schemathesis against a running service (`scripts/fuzz-api`): no answer may be a 5xx.

A service of its own, which is thrown away: generated requests make, change and remove things.
"""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.request import urlopen

from tests.service import Service

ROLES = ("system", "business", "audit", "key", None)
"""Whose rights the requests have; None: nobody's."""
HOOKS = "tests.fuzz_api_hooks"


def main(judge: str, examples: str = "10", *roles: str) -> int:
    """Run the judge once for each role; return how many runs found something."""
    chosen = [role for role in ROLES if not roles or str(role) in roles]
    with tempfile.TemporaryDirectory() as directory:
        service = Service(Path(directory) / "state").start()
        try:
            # The document is made when it is first asked for: longer than the judge waits.
            trust = ssl.create_default_context(cafile=service.root)
            with urlopen(f"{service.url}/api/openapi.json", context=trust, timeout=120) as answer:
                answer.read()
            return sum(_run(judge, examples, service, role) for role in chosen)
        finally:
            service.stop()


def make_token(state: str, role: str, name: str) -> str:
    """Make an administrator of a role, and return a token of theirs."""
    service = Service(Path(state), dict(os.environ))
    words = ("--role", role, "--display-name", name)
    service.yinxin("user", "create", f"{role}-{name}", *words)
    return service.token(f"{role}-{name}")


def _run(judge: str, examples: str, service: Service, role: str | None) -> bool:
    sys.stdout.write(f"==== as {role or 'nobody'}\n")
    sys.stdout.flush()
    make = [sys.executable, "-m", "tests.fuzz_api", "token", str(service.state), str(role)]
    hooks = {
        "SCHEMATHESIS_HOOKS": HOOKS,
        "FUZZED_URL": service.url,
        "FUZZED_ROOT": str(service.root),
        "FUZZED_TOKEN_COMMAND": json.dumps(make),
    }
    done = subprocess.run(
        [
            judge,
            "run",
            f"{service.url}/api/openapi.json",
            *("--tls-verify", str(service.root)),
            *("--checks", "not_a_server_error"),
            *("--max-examples", examples),
            *("--phases", "examples,coverage,fuzzing"),
            "--generation-deterministic",
        ],
        env=os.environ | service.environment | ({} if role is None else hooks),
        check=False,
    )
    return done.returncode != 0


if __name__ == "__main__":
    if sys.argv[1] == "token":
        sys.stdout.write(make_token(*sys.argv[2:]))
        sys.exit()
    sys.exit(main(*sys.argv[1:]))
