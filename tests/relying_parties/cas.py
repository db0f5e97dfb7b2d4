"""mod_auth_cas in a real Apache, as docs/connect/cas.md has it: login, attributes, logout."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tests.judges.apache import application, running
from tests.judges.chromium import Chromium
from tests.ports import free_ports
from tests.relying_parties.scene import PASSWORD, PERSON, Scene, recipe


def run(scene: Scene) -> dict[str, Any]:
    """Return what was measured. Raises when something is not as it should be."""
    (port,) = free_ports(1)
    home = f"https://localhost:{port}/private/"
    scene.register("CAS", "--cas-prefix", home)
    directory = scene.directory / "cas"
    (directory / "cookies").mkdir(parents=True)
    (directory / "cookies").chmod(0o777)
    with application() as behind, Chromium(scene.directory / "profile") as browser:
        directives = _recipe(scene, port, behind, directory)
        with running(directory, "auth_cas", directives, port=port, certificate=scene.certificate):
            browser.log_in(home, PERSON, PASSWORD, until=home)
            headers = browser.json()
            assert headers["cas-user"] == PERSON, headers
            assert headers["cas_displayname"], headers
            browser.goto(home)
            assert browser.json()["cas-user"] == PERSON
            scene.service.yinxin("user", "end-sessions", PERSON)
            began = time.monotonic()
            while browser.url.startswith(home) and time.monotonic() - began < 30:
                browser.goto(home)
            ended = time.monotonic() - began
            assert not browser.url.startswith(home), browser.url
            scene.wait_until_told()
            deep = f"{home}news/1?id=2"
            browser.log_in(deep, PERSON, PASSWORD, until=deep)
            assert browser.json()["cas-user"] == PERSON
    attributes = sorted(name for name in headers if name.startswith("cas_"))
    return {"attributes": attributes, "sessions ended to session dead, s": round(ended, 2)}


def _recipe(scene: Scene, port: int, behind: int, directory: Path) -> str:
    """Take the page's own configuration, with the names of this run."""
    changes = {
        "https://id.example.gov.cn": scene.issuer,
        "/etc/ssl/yinxin-root.pem": str(scene.trust),
        "/var/cache/apache2/mod_auth_cas/": f"{directory}/cookies/",
        "https://portal.example.gov.cn": f"https://localhost:{port}",
        "http://127.0.0.1:8000": f"http://127.0.0.1:{behind}",
    }
    return recipe("docs/connect/cas.md", "apache", changes)
