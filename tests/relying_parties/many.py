"""Twenty applications in one browser, and three hundred registered ones beside them."""

from __future__ import annotations

import ssl
import statistics
import time
from contextlib import closing
from http.client import HTTPSConnection
from typing import Any
from urllib.parse import urlencode

from tests.judges.apache import application
from tests.judges.chromium import Chromium
from tests.relying_parties.scene import PASSWORD, PERSON, Scene

_APPLICATIONS = 20
_REGISTERED = 300
_ROUNDS = 150


def run(scene: Scene) -> dict[str, Any]:
    """Log in once, and enter the others without being asked. Raises when that is not so."""
    call = scene.caller("system")
    with application() as port, Chromium(scene.directory / "profile") as browser:
        callback = f"http://127.0.0.1:{port}/callback"
        ids = [_register(call, f"app-{number}", callback) for number in range(_APPLICATIONS)]
        browser.log_in(_asked(scene, ids[0], callback), PERSON, PASSWORD, until=callback)
        for client_id in ids[1:]:
            browser.goto(_asked(scene, client_id, callback))
            assert browser.url.startswith(f"{callback}?code="), browser.url
    few = _milliseconds(scene, ids[0], callback)
    for number in range(_REGISTERED):
        _register(call, f"more-{number}", callback)
    many = _milliseconds(scene, ids[0], callback)
    return {
        "applications entered without being asked": len(ids) - 1,
        "authorization request, ms (median), 20 applications": round(few, 2),
        f"the same, {_APPLICATIONS + _REGISTERED} applications": round(many, 2),
        "ratio": round(many / few, 3),
    }


def _register(call: Any, client_id: str, callback: str) -> str:
    body = {"name": client_id, "client_id": client_id, "redirect_uris": [callback]}
    call("POST", "/clients", body | {"auth_method": "none"})
    return client_id


def _parameters(client_id: str, callback: str) -> dict[str, str]:
    return {
        "client_id": client_id,
        "redirect_uri": callback,
        "response_type": "code",
        "scope": "openid",
        "state": "s",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
    }


def _asked(scene: Scene, client_id: str, callback: str) -> str:
    return f"{scene.issuer}/oidc/authorize?{urlencode(_parameters(client_id, callback))}"


def _milliseconds(scene: Scene, client_id: str, callback: str) -> float:
    """Ask with prompt=none and nobody logged in: every check is made, and no page is drawn."""
    context = ssl.create_default_context(cafile=scene.service.root)
    path = f"/oidc/authorize?{urlencode({**_parameters(client_id, callback), 'prompt': 'none'})}"
    taken = []
    with closing(
        HTTPSConnection("localhost", scene.service.https_port, context=context, timeout=60)
    ) as connection:
        for _ in range(_ROUNDS):
            began = time.perf_counter()
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            taken.append(1000 * (time.perf_counter() - began))
            assert "login_required" in (answer.headers["location"] or "")
    return statistics.median(taken)
