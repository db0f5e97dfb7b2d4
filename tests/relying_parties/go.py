"""A relying party with go-oidc; the issuer for Chinese algorithms is on beside the ordinary one."""

from __future__ import annotations

import os
import subprocess
from typing import Any

from tests.judges.chromium import Chromium
from tests.judges.gmsm import build
from tests.ports import free_ports
from tests.relying_parties.scene import PASSWORD, PERSON, Scene

SETTINGS = {"YINXIN_AUTHN__GM__ENABLED": "true"}


def run(scene: Scene) -> dict[str, Any]:
    """Log in. Raises when something is not as it should be."""
    (port,) = free_ports(1)
    home = f"http://127.0.0.1:{port}/"
    client = scene.register("Go", "--redirect-uri", f"{home}callback")
    process = subprocess.Popen(
        [
            *(build("go_oidc"), scene.issuer, client["client_id"], client["client_secret"]),
            f"127.0.0.1:{port}",
        ],
        env={**os.environ, "SSL_CERT_FILE": str(scene.trust)},
    )
    try:
        with Chromium(scene.directory / "profile") as browser:
            browser.log_in(home, PERSON, PASSWORD, until=f"{home}callback")
            claims = browser.json()
    finally:
        process.kill()
        process.wait()
    assert claims["preferred_username"] == PERSON, claims
    return {"claims": sorted(claims)}
