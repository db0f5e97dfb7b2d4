"""Chromium with axe-core at one window: what a person sees, and what WCAG says about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from tests.judges.node import Conversation


class Window:
    """One person at one window. `script` off: the pages have to do without."""

    def __init__(
        self,
        origin: str,
        *,
        width: int = 1280,
        scheme: str = "light",
        language: str = "zh-CN",
        script: bool = True,
    ) -> None:
        self._talk = Conversation("page.mjs")
        self._talk.say(
            {
                "origin": origin,
                "width": width,
                "scheme": scheme,
                "language": language,
                "script": script,
            }
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._talk.__exit__()

    def _do(self, act: str, **how: Any) -> dict[str, Any]:
        self._talk.say({"act": act, **how})
        return self._talk.hear()

    def open(self, path: str, status: int = 200) -> None:
        """Go to a page."""
        found = self._do("open", path=path)["status"]
        assert found == status, (path, found, self.text())

    def fill(self, **fields: str) -> None:
        """Type into fields, and choose from lists, by their names (`__` stands for `-`)."""
        self._do("fill", fields={name.replace("__", "-"): text for name, text in fields.items()})

    def unfold(self, text: str) -> None:
        """Open what is folded up under a heading."""
        self._do("unfold", text=text)

    def press(self, text: str) -> None:
        """Press a button."""
        self._do("press", text=text)

    def follow(self, text: str) -> None:
        """Follow a link."""
        self._do("follow", text=text)

    def choose(self, name: str, path: Path) -> None:
        """Choose a file."""
        self._do("choose", name=name, path=str(path))

    def text(self) -> str:
        """Return what the page says."""
        return str(self._do("seen")["text"])

    def html(self) -> str:
        """Return the page."""
        return str(self._do("seen")["html"])

    def path(self) -> str:
        """Return where the page is."""
        return "/" + str(self._do("seen")["url"]).split("/", 3)[3].partition("?")[0]

    def url(self) -> str:
        """Return the whole address, of a page that need not be ours."""
        return str(self._do("where")["url"])

    def judge(self) -> dict[str, Any]:
        """Return what axe-core finds, by how much the page is too wide, and what was refused."""
        return self._do("judge")

    def shoot(self, path: Path) -> None:
        """Make a picture of the whole page."""
        self._do("shoot", path=str(path))

    def log_in(self, name: str, password: str, *, button: str = "登录") -> None:
        """Log in with a password."""
        self.open("/login")
        self.fill(name=name, password=password)
        self.press(button)
