"""The console of a whole installation in one process, and administrators signed in to it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from typing import Any, Final

from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi.testclient import TestClient

from authn import cookies
from authn.levels import CERTIFICATE
from tests import cheap, databases
from yinxin.app import make_api, make_control_app
from yinxin.first_start import ensure_administrators
from yinxin.local_status import ask_keeper, open_keeper
from yinxin.organisations import ensure_rights
from yinxin.settings import load_settings
from yinxin.state import prepare_state
from yinxin.wiring import Service, open_ground, open_service

ORIGIN = "https://localhost:8443"


_LOOPS: Final[list[BlockingPortal]] = []


@contextmanager
def one_loop() -> Iterator[None]:
    """Answer all requests of browsers made meanwhile in one event loop, and not each in its own."""
    with start_blocking_portal() as loop:
        _LOOPS.append(loop)
        try:
            yield
        finally:
            _LOOPS.remove(loop)


@contextmanager
def installation(directory: Path) -> Iterator[tuple[Service, Any]]:
    """A first start, with its administrators and delegated responders; and its application."""
    cheap.keystores()
    databases.lay_tables(directory / "var")
    ground = open_ground(load_settings(None), prepare_state(directory / "var"))
    service = open_service(ground)
    ensure_administrators(ground.administration)
    ensure_rights(
        ground.registration, ground.administration.users, ground.database, organization="省数据局"
    )
    service.ensure_delegates()
    keeper = open_keeper(service)
    keeper.follower.stop()  # no page may need its thread to have looked in the meantime
    with one_loop():
        yield (
            service,
            make_control_app(service, ask_keeper(service, keeper), make_api(service, list)),
        )
    keeper.close()
    service.close()


class Browser:
    """One browser; `user` is signed in."""

    def __init__(self, service: Service, app, user: str | None) -> None:
        self.http = TestClient(app, base_url=ORIGIN, follow_redirects=False)
        self.http.portal = _LOOPS[-1] if _LOOPS else None
        self.service = service
        if user is not None:
            administration = service.ground.administration
            person = administration.users.find_by_name(user)
            assert person is not None
            cookie = administration.sessions.enter(person, CERTIFICATE, cookie=None)
            self.http.cookies.set(cookies.SESSION, cookie)

    def page(self, path: str, status: int = 200) -> str:
        """Open a page; return its text."""
        answer = self.http.get(path, headers={"accept-language": "zh-CN"})
        assert answer.status_code == status, (path, answer.status_code, answer.text[-2000:])
        return unescape(answer.text)

    def post(self, path: str, fields: dict | None = None, *, at: str | None = None, **how):
        """Send a form that is on the page `at`, with its token."""
        token = re.search(r'name="csrf" value="([^"]+)"', self.page(at or "/console"))
        assert token is not None
        return self.http.post(path, data={"csrf": token[1], **(fields or {})}, **how)

    def done(self, path: str, fields: dict | None = None, **how) -> str:
        """Send a form that does what it says; return where it leads."""
        answer = self.post(path, fields, **how)
        assert answer.status_code == 303, (path, answer.status_code, answer.text[-2000:])
        return answer.headers["location"]
