"""Chromium with axe-core: what people at their windows see, and what WCAG says about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Self

from tests.judges.node import Conversation

VIEWS = ((390, "dark"), (1280, "light"))
"""Width in pixels and colours: the narrow one by every rule, both by contrast and width."""


class Chromium:
    """One browser of an origin, for any number of people."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._talk = Conversation("page.mjs")
        self._numbers = count()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._talk.say({"act": "quit"})
        self._talk.end()

    def window(
        self,
        *,
        width: int = 1280,
        scheme: str = "light",
        language: str = "zh-CN",
        script: bool = True,
    ) -> Window:
        """Let somebody in, without a cookie. `script` off: the pages have to do without."""
        number = next(self._numbers)
        how = {"width": width, "scheme": scheme, "language": language, "script": script}
        self.do(number, "enter", origin=self._origin, **how)
        return Window(self, number)

    def do(self, number: int, act: str, **how: Any) -> dict[str, Any]:
        """Have something done at one window. Raises `JudgeSaysNo`."""
        self._talk.say({"window": number, "act": act, **how})
        answer: dict[str, Any] = self._talk.hear()
        return answer


class Window:
    """One person at one window."""

    def __init__(self, browser: Chromium, number: int) -> None:
        self._browser = browser
        self._number = number

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._do("leave")

    def _do(self, act: str, **how: Any) -> dict[str, Any]:
        return self._browser.do(self._number, act, **how)

    def open(self, path: str, status: int = 200) -> None:
        """Go to a page."""
        found = self._do("open", path=path)["status"]
        assert found == status, (path, found, self.text())

    def go(self, address: str) -> None:
        """Go to an address that need not be ours."""
        self._do("open", path=address)

    def show(
        self,
        path: str,
        body: str,
        *,
        headers: Mapping[str, str],
        files: Mapping[str, Mapping[str, str]],
    ) -> None:
        """Look at a page that was drawn elsewhere. `files`: content type and body, by path."""
        shown = {"path": path, "body": body, "headers": dict(headers)}
        self._do("show", **shown, files={at: dict(file) for at, file in files.items()})

    def fill(self, **fields: str) -> None:
        """Type into what is seen, choose from lists, tick boxes, by name (`__` stands for `-`)."""
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

    def judge(self, views: Sequence[tuple[int, str]] = VIEWS) -> list[str]:
        """Return what axe-core finds, by how much the page is too wide, and what was refused."""
        found: list[str] = self._do("judge", views=views)["found"]
        return found

    def shoot(
        self, path: Path, *, width: int = 1280, height: int = 900, scheme: str = "light"
    ) -> None:
        """Make a picture of the whole page; one that ends in ``.webp`` is of what is seen of it."""
        self._do("shoot", path=str(path), width=width, height=height, scheme=scheme)

    def log_in(self, name: str, password: str, *, button: str = "登录") -> None:
        """Log in with a password."""
        self.open("/login")
        self.fill(name=name, password=password)
        self.press(button)
