"""Authlib's client, as docs/connect/python.md has it, with a person in Chromium."""

from __future__ import annotations

from typing import Any

from tests.judges.apache import application
from tests.judges.chromium import Chromium
from tests.judges.relying_party import Registration, authlib
from tests.relying_parties.scene import PASSWORD, PERSON, Scene


def run(scene: Scene) -> dict[str, Any]:
    """Log in. Raises when something is not as it should be."""
    with application() as port, Chromium(scene.directory / "profile") as browser:
        callback = f"http://127.0.0.1:{port}/callback"
        client = scene.register("HR", "--redirect-uri", callback)

        def person(url: str) -> str:
            browser.log_in(url, PERSON, PASSWORD, until=callback)
            return browser.url

        login = authlib(
            Registration(
                scene.issuer, client["client_id"], client["client_secret"], callback, scene.trust
            ),
            person,
        )
    assert login.userinfo["preferred_username"] == PERSON, login.userinfo
    return {"claims": sorted(login.claims)}
