"""The API, asked in process on behalf of who is signed in.

The console decides nothing. Every page asks the same routes as a program would, with the same
checks of role, rights and input, and shows what they answer (docs/decisions/0160).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import FastAPI
from starlette.routing import Match

from authn.middleware import PRINCIPAL
from core.http import PROBLEM_JSON, Message, Scope
from core.identity import Principal

_SEGMENT: Final = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9._~:-]{0,199}")

Query = Mapping[str, str | int | Iterable[str] | None]


class Problem(Exception):
    """What the API refused, in its words (RFC 9457)."""

    def __init__(self, status: HTTPStatus, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer of the API."""

    status: HTTPStatus
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON; None if there is none."""
        return json.loads(self.body) if self.body else None


def path_of(*segments: str) -> str:
    """Return the path of something below ``/api/v1``.

    Raises `Problem` (404) for what is no single segment: it came out of an address, and must not
    lead to another route.
    """
    for segment in segments:
        if _SEGMENT.fullmatch(segment) is None:
            raise Problem(HTTPStatus.NOT_FOUND, "not-found", f"there is no {segment[:40]!r}")
    return "/".join(("/api/v1", *segments))


class ConsoleAPI:
    """Asks the routes of one application."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._served: dict[str, bool] = {}

    def serves(self, path: str) -> bool:
        """Say whether this process answers a GET of a path; a registration authority has few."""
        if path not in self._served:
            scope = {"type": "http", "method": "GET", "path": path, "root_path": "", "headers": []}
            found = any(route.matches(scope)[0] is Match.FULL for route in self._app.routes)
            self._served[path] = found
        return self._served[path]

    async def get(self, asking: Principal, path: str, **query: Any) -> Any:
        """Return the JSON of a GET. Raises `Problem`."""
        return (await self.ask(asking, "GET", path, query=query)).json

    async def post(self, asking: Principal, path: str, body: Any = None, **query: Any) -> Any:
        """Return the JSON of a POST. Raises `Problem`."""
        return (await self.ask(asking, "POST", path, query=query, body=body)).json

    async def ask(
        self,
        asking: Principal,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Any = None,
        octets: bytes | None = None,
        accept: str = "application/json",
    ) -> Answer:
        """Ask one route. `body` goes as JSON, `octets` as they are. Raises `Problem`."""
        sent, kind = octets, b"application/octet-stream"
        if octets is None:
            sent, kind = b"" if body is None else json.dumps(body).encode(), b"application/json"
        scope = _scope(asking, method, path, _encode(query or {}), accept)
        if sent:
            scope["headers"] += [
                (b"content-type", kind),
                (b"content-length", str(len(sent)).encode()),
            ]
        answer = await self._call(scope, sent or b"")
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise _problem(answer)
        return answer

    async def _call(self, scope: Scope, body: bytes) -> Answer:
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        headers: dict[str, str] = {}
        parts: list[bytes] = []
        read = False

        async def receive() -> Message:
            nonlocal read
            if read:
                return {"type": "http.disconnect"}
            read = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = HTTPStatus(message["status"])
                headers.update((k.decode(), v.decode("latin-1")) for k, v in message["headers"])
            else:
                parts.append(message.get("body", b""))

        await self._app(scope, receive, send)
        return Answer(status, headers, b"".join(parts))


def _encode(query: Query) -> bytes:
    pairs: list[tuple[str, str]] = []
    for name, value in query.items():
        if value is not None:
            several = [value] if isinstance(value, str | int) else list(value)
            pairs += [(name, str(one)) for one in several]
    return urlencode(pairs).encode()


def _scope(asking: Principal, method: str, path: str, query: bytes, accept: str) -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "https",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query,
        "headers": [(b"accept", accept.encode())],
        "client": None,
        "server": None,
        "state": {},
        PRINCIPAL: asking,
    }


def _problem(answer: Answer) -> Problem:
    if not answer.headers.get("content-type", "").startswith(PROBLEM_JSON):
        return Problem(answer.status, "internal", answer.status.phrase)
    said = answer.json
    kind = str(said.get("type", "")).rpartition(":")[2]
    return Problem(answer.status, kind, str(said.get("detail", answer.status.phrase)))
