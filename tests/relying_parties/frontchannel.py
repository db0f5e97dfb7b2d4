"""Front-channel logout: two applications are told, and one between them never answers."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from urllib.request import urlopen

from tests.judges.chromium import Chromium
from tests.relying_parties.scene import PASSWORD, PERSON, Scene

_VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
_CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
_MOST_SECONDS = 10


def run(scene: Scene) -> dict[str, Any]:
    """Enter all three, and log out. Raises when the person is held up, or one is not told."""
    with (
        _answering() as (port, seen),
        socket.create_server(("127.0.0.1", 0)) as silent,
        Chromium(scene.directory / "profile") as browser,
    ):
        home = f"http://127.0.0.1:{port}"
        frames = [
            f"{home}/first",
            f"http://127.0.0.1:{silent.getsockname()[1]}/silent",
            f"{home}/last",
        ]
        clients = [_register(scene, frame, home) for frame in frames]
        tokens = [_enter(scene, browser, one, f"{home}/callback") for one in clients]
        leave = {"post_logout_redirect_uri": f"{home}/bye", "client_id": clients[0]}
        browser.goto(f"{scene.issuer}/oidc/logout?{urlencode(leave)}")
        seen.clear()
        began = time.monotonic()
        browser.click("main form button", until=f"{home}/bye")
        taken = time.monotonic() - began
        told = {urlsplit(path).path: parse_qs(urlsplit(path).query) for path in seen}
    assert taken < _MOST_SECONDS, f"held up for {taken:.1f} s"
    for path in ("/first", "/last"):
        assert told[path]["iss"] == [scene.issuer], told
    assert told["/first"]["sid"] == told["/last"]["sid"], told
    assert len(tokens) == len(frames)
    return {"at the application again after, s": round(taken, 1)}


@contextmanager
def _answering() -> Iterator[tuple[int, list[str]]]:
    seen: list[str] = []

    class Application(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Application)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1], seen
    finally:
        server.shutdown()
        server.server_close()


def _register(scene: Scene, frame: str, home: str) -> str:
    body = {
        "name": frame,
        "redirect_uris": [f"{home}/callback", frame],
        "post_logout_redirect_uris": [f"{home}/bye"],
        "auth_method": "none",
        "metadata": {"frontchannel_logout_uri": frame},
    }
    made = scene.caller("system")("POST", "/clients", body)
    return str(made["client"]["client_id"])


def _enter(scene: Scene, browser: Chromium, client_id: str, callback: str) -> str:
    asked = {
        "client_id": client_id,
        "redirect_uri": callback,
        "response_type": "code",
        "scope": "openid",
        "state": "s",
        "code_challenge": _CHALLENGE,
        "code_challenge_method": "S256",
    }
    address = f"{scene.issuer}/oidc/authorize?{urlencode(asked)}"
    browser.goto(address)
    if not browser.url.startswith(callback):
        browser.log_in(address, PERSON, PASSWORD, until=callback)
    (code,) = parse_qs(urlsplit(browser.url).query)["code"]
    grant = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": callback,
        "client_id": client_id,
        "code_verifier": _VERIFIER,
    }
    context = ssl.create_default_context(cafile=scene.service.root)
    with urlopen(
        f"{scene.issuer}/oidc/token", urlencode(grant).encode(), context=context
    ) as answer:
        return str(json.load(answer)["id_token"])
