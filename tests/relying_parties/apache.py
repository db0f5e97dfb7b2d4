"""mod_auth_openidc in a real Apache, as its page has it: login, headers, logout, revoked."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from typing import Any

from tests.judges.apache import application, running
from tests.judges.chromium import Chromium
from tests.ports import free_ports
from tests.relying_parties.scene import PASSWORD, PERSON, Holder, Scene, recipe


def run(scene: Scene) -> dict[str, Any]:
    """Return what was measured. Raises when something is not as it should be."""
    (port,) = free_ports(1)
    address = f"https://localhost:{port}/private/"
    client = scene.register(
        *("Apache", "--redirect-uri", f"{address}callback"),
        *("--backchannel-logout-uri", f"{address}callback?logout=backchannel"),
    )
    holder = scene.certify(PERSON)
    with (
        application() as behind,
        _apache(scene, port, client, behind),
        Chromium(scene.directory / "profile") as browser,
    ):
        browser.log_in(address, PERSON, PASSWORD, until=address)
        claims = browser.json()
        assert claims["oidc_claim_preferred_username"] == PERSON, claims
        assert claims["oidc_claim_iss"] == scene.issuer, claims
        scene.service.yinxin("user", "end-sessions", PERSON)
        ended = _seconds_until_dead(browser, address)

        browser.log_in_with_certificate(address, holder.sign, until=address)
        assert browser.json()["oidc_claim_acr"] == "urn:yinxin:acr:certificate"
        revoked = _revoke(scene, holder, browser, address)
        scene.wait_until_told()
    assert ended < 5, ended
    assert revoked < 5, revoked
    return {
        "administrator ends sessions (command line) to session dead, s": round(ended, 2),
        "revoke (API) to session dead, s": round(revoked, 2),
    }


def _apache(
    scene: Scene, port: int, client: dict[str, Any], behind: int
) -> AbstractContextManager[None]:
    """Run it with the page's own configuration, with the names of this run."""
    directory = scene.directory / "apache"
    directory.mkdir()
    (directory / "passphrase").write_text("only for this run\n")
    changes = {
        "https://id.example.gov.cn": scene.issuer,
        "OIDCClientID old-portal": f"OIDCClientID {client['client_id']}",
        "OIDCClientSecret …": f"OIDCClientSecret {client['client_secret']}",
        "https://portal.example.gov.cn": f"https://localhost:{port}",
        "/etc/apache2/oidc-passphrase": f"{directory}/passphrase",
        "/etc/ssl/yinxin-root.pem": str(scene.trust),
        "http://127.0.0.1:8000": f"http://127.0.0.1:{behind}",
    }
    directives = recipe("docs/connect/mod_auth_openidc.md", "apache", changes)
    return running(directory, "auth_openidc", directives, port=port, certificate=scene.certificate)


def _revoke(scene: Scene, holder: Holder, browser: Chromium, address: str) -> float:
    call = scene.caller("business")
    began = time.monotonic()
    call("POST", f"/certificates/rsa-issuing/{holder.serial}/revoke", {"reason": "keyCompromise"})
    return _seconds_until_dead(browser, address, since=began)


def _seconds_until_dead(browser: Chromium, address: str, since: float | None = None) -> float:
    """Reload the page until Apache sends the browser to log in again."""
    began = time.monotonic() if since is None else since
    while time.monotonic() - began < 30:
        browser.goto(address)
        if not browser.url.startswith(address):
            return time.monotonic() - began
    raise AssertionError("the application's session is still alive after 30 seconds")
