"""Debian's Chromium, headless, as the browser of one person."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Self

from tests.judges.node import Conversation


class Chromium:
    """One browser with one profile."""

    def __init__(self, profile: Path) -> None:
        self._script = Conversation("chromium.mjs")
        self._script.say({"profile": str(profile)})
        self._script.hear()
        self.url = ""
        self.text = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._script.__exit__()

    def _step(self, **what: str) -> str:
        self._script.say(what)
        answer: dict[str, Any] = self._script.hear()
        self.url, self.text = answer["url"], answer["text"]
        return self.text

    def goto(self, url: str) -> str:
        return self._step(goto=url)

    def fill(self, field: str, value: str) -> None:
        self._step(fill=field, value=value)

    def click(self, what: str, *, until: str) -> str:
        return self._step(click=what, until=until)

    def read(self, what: str) -> str:
        return self._step(text=what)

    def log_in(self, url: str, name: str, password: str, *, until: str) -> str:
        """Open `url`, log in with a password where it leads, and arrive at `until`."""
        self.goto(url)
        self.fill("#name", name)
        self.fill("#password", password)
        return self.click("form[action='/login'] button", until=until)

    def log_in_with_certificate(self, url: str, sign: Any, *, until: str) -> str:
        """The same with a certificate: `sign` gives certificate and signature for a text."""
        self.goto(url)
        self.goto(self.url.replace("/login?", "/login/certificate?"))
        certificate, signature = sign(self.read("#message"))
        self.fill("#certificate", certificate)
        self.fill("#signature", signature)
        return self.click("form[action='/login/certificate'] button", until=until)

    def json(self) -> dict[str, Any]:
        """What the page shows, as JSON."""
        shown: dict[str, Any] = json.loads(self.text)
        return shown
