"""A person at a browser, as far as a login page needs one: cookies, redirects and one form."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import requests

_REDIRECTS = {302, 303}


class Browser:
    """Keeps cookies. TLS is checked under `trust`."""

    def __init__(self, trust: Path) -> None:
        self._session = requests.Session()
        self._session.verify = str(trust)
        self._session.trust_env = False  # or REQUESTS_CA_BUNDLE would replace `trust`

    def submit(self, url: str, **fields: str) -> requests.Response:
        """Open `url`, fill in the form that has all `fields`, and send it."""
        page = self.open(url)
        forms = _Forms()
        forms.feed(page.text)
        for action, given in forms.found:
            if set(fields) <= set(given):
                target = urljoin(page.url, action)
                return self._session.post(target, {**given, **fields}, allow_redirects=False)
        raise AssertionError(f"no form with {sorted(fields)} at {page.url}: {page.text}")

    def open(self, url: str) -> requests.Response:
        """Follow redirects to a page."""
        page = self._session.get(url)
        assert page.status_code == 200, page.text
        return page

    def log_in(self, url: str, *, until: str, **fields: str) -> str:
        """Open `url`, log in where it leads, and go on to the address that begins with `until`."""
        answer = self.submit(url, **fields)
        for _ in range(5):
            assert answer.status_code in _REDIRECTS, answer.text
            where = urljoin(answer.url, answer.headers["location"])
            if where.startswith(until):
                return where
            answer = self._session.get(where, allow_redirects=False)
        raise AssertionError(f"never came to {until}, last {answer.url}")


class _Forms(HTMLParser):
    """The forms of a page: action, and every named input with its value."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        given = dict(attrs)
        if tag == "form":
            self.found.append((given.get("action") or "", {}))
        elif tag == "input" and self.found and given.get("name"):
            self.found[-1][1][given["name"]] = given.get("value") or ""
