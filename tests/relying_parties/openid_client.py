"""openid-client 6 from npm: every way a client authenticates, PAR, DPoP, FAPI 2.0, device, logout.

And the application of docs/connect/node.md, as it is there. The person is in Chromium: the password
is typed once, for that one; the others enter silently.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives import serialization

from tests.judges.apache import application
from tests.judges.chromium import Chromium
from tests.judges.node import MODULES, NODE, Conversation
from tests.ports import free_ports
from tests.relying_parties.holders import jwks_of, name_of, of_ours, self_signed
from tests.relying_parties.scene import PASSWORD, PERSON, Holder, Scene, recipe

_FAPI: Final = {"security_profile": "fapi2"}
_BY_DPOP: Final = {"dpop_bound_access_tokens": True}
_BY_TLS: Final = {"tls_client_certificate_bound_access_tokens": True}
WALKS: Final[tuple[tuple[str, dict[str, bool], dict[str, Any]], ...]] = (
    ("client_secret_basic", {}, {}),
    ("client_secret_post", {"par": True}, {}),
    ("none", {"dpop": True}, _BY_DPOP),
    ("private_key_jwt", {"par": True, "dpop": True}, _FAPI | _BY_DPOP),
    ("tls_client_auth", {"par": True}, _FAPI | _BY_TLS),
    ("self_signed_tls_client_auth", {}, _BY_TLS),
)
_DEVICE: Final = "urn:ietf:params:oauth:grant-type:device_code"
_LET_IN_SECONDS: Final = 32
"""After so long a new self-signed certificate is let in (docs/connect/mutual-tls.md)."""


def run(scene: Scene) -> dict[str, Any]:
    """Walk every way. Raises when something is not as it should be."""
    with application(scene.certificate) as port, Chromium(scene.directory / "profile") as browser:
        callback = f"https://localhost:{port}/callback"
        holders = {"tls_client_auth": of_ours(scene, "oa")}
        own = holders["private_key_jwt"] = self_signed(scene)
        holders["self_signed_tls_client_auth"] = own
        jobs = [
            _job(scene, callback, method, holders.get(method), metadata) | how
            for method, how, metadata in WALKS
        ]
        let_in = time.monotonic() + _LET_IN_SECONDS
        _application_of_the_page(scene, browser)
        for job in jobs:
            if job["method"] == "self_signed_tls_client_auth":
                time.sleep(max(0, let_in - time.monotonic()))
            heard = _walk(scene, browser, job)
        device = _job(scene, callback, "none", None, {"grant_types": [_DEVICE]}, work="device")
        _connect_device(scene, browser, device)
        browser.goto(heard["logout"])
        browser.goto(f"{scene.issuer}/")
        assert "/login" in browser.url, browser.url
    return {
        "walked": [job["method"] for job in jobs],
        "device": "connected",
        "logout": "signed out",
    }


def _walk(scene: Scene, browser: Chromium, job: dict[str, Any]) -> dict[str, Any]:
    with Conversation("oauth-client.mjs", trust=scene.trust) as script:
        script.say(job)
        asked = script.hear()["authorize"]
        browser.goto(asked)
        assert browser.url.startswith(job["redirectUri"]), f"{job['method']}: {browser.url}"
        script.say({"callback": browser.url})
        heard: dict[str, Any] = script.hear()
    assert heard["userinfo"]["preferred_username"] == PERSON, heard
    assert heard["claims"]["sub"] == heard["userinfo"]["sub"] == heard["refreshed"], heard
    assert heard["tokenType"] == ("dpop" if job.get("dpop") else "bearer"), heard
    if job["method"] != "none":  # a public client may not introspect
        assert (heard["before"]["active"], heard["after"]["active"]) == (True, False), heard
    return heard


def _application_of_the_page(scene: Scene, browser: Chromium) -> None:
    (port,) = free_ports(1)
    home = f"http://127.0.0.1:{port}"
    client = scene.register("HR", "--redirect-uri", f"{home}/callback")
    changes = {
        "https://hr.example.gov.cn": home,
        "https://id.example.gov.cn": scene.issuer,
        "'hr-app'": f"'{client['client_id']}'",
        "ClientSecretBasic('…')": f"ClientSecretBasic('{client['client_secret']}')",
        "listen(8000,": f"listen({port},",
    }
    (scene.directory / "node_modules").symlink_to(MODULES)
    script = scene.directory / "application.mjs"
    script.write_text(recipe("docs/connect/node.md", "js", changes))
    process = subprocess.Popen(
        [NODE, script], env=os.environ | {"NODE_EXTRA_CA_CERTS": str(scene.trust)}
    )
    try:
        _wait_until_it_listens(port, process)
        browser.log_in(f"{home}/login", PERSON, PASSWORD, until=f"{home}/callback")
        assert browser.json()["name"] == "张伟", browser.text
    finally:
        process.terminate()
        process.wait()


def _wait_until_it_listens(port: int, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("the application of the page ended")


def _connect_device(scene: Scene, browser: Chromium, job: dict[str, Any]) -> None:
    with Conversation("oauth-client.mjs", trust=scene.trust) as script:
        script.say(job)
        browser.goto(script.hear()["verification_uri_complete"])
        browser.click("button[value=allow]", until=f"{scene.issuer}/device")
        script.say({})
        assert script.hear()["claims"]["aud"] == job["clientId"]


def _job(
    scene: Scene,
    callback: str,
    method: str,
    holder: Holder | None,
    metadata: dict[str, Any],
    *,
    work: str = "person",
) -> dict[str, Any]:
    """Register a client, and say what the script needs to be it."""
    job: dict[str, Any] = {"work": work, "method": method, "idTokenAlg": "ES256"}
    job |= {"issuer": scene.issuer, "redirectUri": callback, "scope": "openid profile"}
    given = {"grant_types": ["authorization_code", "refresh_token"]} | metadata
    if holder is not None and method == "private_key_jwt":
        job["jwk"], given["jwks"] = _own_key(holder)
    elif holder is not None:
        given |= name_of(holder) if method == "tls_client_auth" else {"jwks": jwks_of(holder)}
        pem = scene.directory / f"{method}.pem"
        pem.write_text(holder.key.read_text() + holder.chain.read_text())
        job["pem"] = str(pem)
    file = scene.directory / f"{method}.{work}.json"
    file.write_text(json.dumps(given))
    words = ["--auth-method", method, "--metadata", str(file)]
    if work == "person":
        words += ["--redirect-uri", callback]
    made = scene.register(f"{method} {work}", *words)
    return job | {"clientId": made["client_id"], "secret": made["client_secret"]}


def _own_key(holder: Holder) -> tuple[dict[str, Any], dict[str, Any]]:
    key = serialization.load_pem_private_key(holder.key.read_bytes(), None)
    private: dict[str, Any] = jwt.get_algorithm_by_name("ES256").to_jwk(key, as_dict=True)
    private = {name: value for name, value in private.items() if name != "key_ops"} | {"kid": "one"}
    return private, {"keys": [{name: value for name, value in private.items() if name != "d"}]}
