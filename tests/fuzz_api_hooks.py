"""Loaded by schemathesis (`tests.fuzz_api`): every request comes from an administrator who works.

Generated requests disable administrators, change their roles and revoke what they hold, the
fuzzer's own too: it learns identifiers from answers. Then another one of the same role is made.
"""

from __future__ import annotations

import json
import os
import ssl
import subprocess
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import schemathesis

_URL = os.environ["FUZZED_URL"]
_MAKE_TOKEN = json.loads(os.environ["FUZZED_TOKEN_COMMAND"])
_TRUST = ssl.create_default_context(cafile=os.environ["FUZZED_ROOT"])


@schemathesis.auth(refresh_interval=1)
class Administrator:
    """Whose token goes with each request."""

    token = ""
    made = 0

    def get(self, _case: Any, _context: Any) -> str:
        """Return a token that is good at this moment."""
        if not _is_good(Administrator.token):
            Administrator.made += 1
            words = [*_MAKE_TOKEN, f"fuzzer{Administrator.made}"]
            done = subprocess.run(words, check=True, capture_output=True, text=True)
            Administrator.token = done.stdout.strip()
        return Administrator.token

    def set(self, case: Any, data: str, _context: Any) -> None:
        """Put it into a request."""
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {data}"}


def _is_good(token: str) -> bool:
    # Whoever is known is refused with 403 at most.
    request = Request(f"{_URL}/api/v1/sessions", headers={"Authorization": f"Bearer {token}"})
    try:
        with urlopen(request, context=_TRUST, timeout=60):
            return True
    except HTTPError as error:
        with error:
            return error.code != 401
