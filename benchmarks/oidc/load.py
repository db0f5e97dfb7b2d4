"""The load: callers in processes of their own, each with one TLS connection that is kept."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import multiprocessing
import re
import secrets
import ssl
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from html import unescape
from threading import BrokenBarrierError
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from benchmarks.oidc.peers import PERSON, REDIRECT, Provider, path_of

_ACTION = re.compile(r'<form method="post" action="([^"]*)"')
_HIDDEN = re.compile(r'<input type="hidden" name="([^"]*)" value="([^"]*)"')


class Caller:
    """A client application and a browser on one connection."""

    def __init__(self, provider: Provider, number: int = 0) -> None:
        """`number` deals callers out to the nodes, as a load balancer does."""
        self._connection = http.client.HTTPSConnection(
            "localhost",
            provider.ports[number % len(provider.ports)],
            context=ssl.create_default_context(cafile=provider.trust),
        )
        self._host = {"Host": urlsplit(provider.issuer).netloc}
        self.requests = 0
        self.become(provider.client_id, provider.client_secret)
        self._password = provider.password
        self._cookies: dict[str, str] = {}
        self.endpoints = json.loads(self._ask("GET", "/.well-known/openid-configuration")[1])
        self.access_token = self.client_credentials()["access_token"]
        self.refresh_token = self.login()["refresh_token"]

    def become(self, client_id: str, secret: str) -> None:
        """Call as this client from now on."""
        basic = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
        self._client_id = client_id
        self._client = {
            "Authorization": f"Basic {basic}",
            "Content-Type": "application/x-www-form-urlencoded",
        }

    def jwks(self) -> None:
        json.loads(self._ask("GET", path_of(self.endpoints["jwks_uri"]))[1])["keys"][0]["kty"]

    def client_credentials(self) -> dict[str, Any]:
        return self._token(grant_type="client_credentials")

    def introspect(self) -> None:
        path = path_of(self.endpoints["introspection_endpoint"])
        body = urlencode({"token": self.access_token})
        if not json.loads(self._ask("POST", path, body, self._client)[1])["active"]:
            sys.exit("the token is not active")

    def refresh(self) -> None:
        answer = self._token(grant_type="refresh_token", refresh_token=self.refresh_token)
        if answer["refresh_token"] == self.refresh_token:
            sys.exit("the refresh token was not rotated")
        self.refresh_token = answer["refresh_token"]

    def login_by_password(self) -> None:
        """One login in a new browser: authorization request, form, password, code, PKCE, tokens.

        Five requests at either provider: the request, the form, the password, the request again
        with the session that this gave, and the code for the tokens.
        """
        self._cookies.clear()
        before = self.requests
        self.login()
        if self.requests - before != 5:
            sys.exit(f"a login by password took {self.requests - before} requests")

    def login(self) -> dict[str, Any]:
        """One login, silent with a session: authorization request, code, PKCE, tokens."""
        verifier = secrets.token_urlsafe(48)
        digest = hashlib.sha256(verifier.encode()).digest()
        asked = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": REDIRECT,
            "scope": "openid profile email",
            "state": secrets.token_hex(8),
            "nonce": secrets.token_hex(8),
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        location = f"{path_of(self.endpoints['authorization_endpoint'])}?{urlencode(asked)}"
        while not location.startswith(REDIRECT):
            location = self._follow(location)
        answer = parse_qs(urlsplit(location).query)
        if answer["state"] != [asked["state"]] or "code" not in answer:
            sys.exit(f"no code: {answer}")
        tokens = self._token(
            grant_type="authorization_code",
            code=answer["code"][0],
            redirect_uri=REDIRECT,
            code_verifier=verifier,
        )
        head = tokens["id_token"].split(".")[0]
        if json.loads(base64.urlsafe_b64decode(head + "=="))["alg"] != "ES256":
            sys.exit("the ID token is not signed with ES256")
        return tokens

    def _follow(self, path: str) -> str:
        answer, body = self._browse("GET", path)
        form = _ACTION.search(body.decode()) if answer.status == 200 else None
        if form is not None:
            fields = {one[1]: unescape(one[2]) for one in _HIDDEN.finditer(body.decode())}
            fields |= {"name": PERSON, "password": self._password}
            answer, body = self._browse("POST", unescape(form[1]), urlencode(fields))
        if answer.status not in (302, 303):
            sys.exit(f"{answer.status} at {path}: {body[:500]!r}")
        location = answer.headers["Location"]
        return location if location.startswith(REDIRECT) else path_of(location)

    def _browse(
        self, method: str, path: str, body: str | None = None
    ) -> tuple[http.client.HTTPResponse, bytes]:
        jar = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        headers = {"Cookie": jar} if jar else {}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        answer, page = self._ask(method, path, body, headers)
        for line in answer.headers.get_all("Set-Cookie") or ():
            name, _, value = line.partition(";")[0].partition("=")
            self._cookies[name] = value
            if not value:
                del self._cookies[name]
        return answer, page

    def _token(self, **fields: str) -> dict[str, Any]:
        path = path_of(self.endpoints["token_endpoint"])
        answer, body = self._ask("POST", path, urlencode(fields), self._client)
        if answer.status != 200:
            sys.exit(f"{answer.status}: {body[:500]!r}")
        return json.loads(body)

    def _ask(
        self, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None
    ) -> tuple[http.client.HTTPResponse, bytes]:
        self.requests += 1
        self._connection.request(method, path, body, self._host | (headers or {}))
        answer = self._connection.getresponse()
        return answer, answer.read()


ACTS: dict[str, Callable[[Caller], object]] = {
    "JWKS": Caller.jwks,
    "client credentials": Caller.client_credentials,
    "introspection": Caller.introspect,
    "refresh, rotated": Caller.refresh,
    "login with a session: code, PKCE, tokens": Caller.login,
    "login by password: form, Argon2id, code, PKCE, tokens": Caller.login_by_password,
}


@dataclass(frozen=True, slots=True)
class Found:
    """What one measurement gave, for each act."""

    a_second: float
    """By the clock, with the callers on the same processors."""
    server_ms: float
    """Processor time of the server."""
    database_ms: float
    """Processor time of its database."""


def measure(provider: Provider, act: str, times: int, callers: int) -> Found:
    """Do `act` so often, from `callers` at once."""
    barrier, entering = multiprocessing.Barrier(callers + 1), multiprocessing.Lock()
    made = [
        multiprocessing.Process(
            target=_call,
            args=(partial(Caller, provider, number), act, times // callers, barrier, entering),
        )
        for number in range(callers)
    ]
    for one in made:
        one.start()
    try:
        barrier.wait()
        before, start = provider.processor(), time.monotonic()
        barrier.wait()
    except BrokenBarrierError:
        sys.exit(f"{provider.name}: {act} was refused")
    for one in made:
        one.join()
    wall, after = time.monotonic() - start, provider.processor()
    if any(one.exitcode for one in made):
        sys.exit(f"{provider.name}: {act} was refused")
    done = times // callers * callers
    server, database = (
        1000 * (late - early) / done for early, late in zip(before, after, strict=True)
    )
    return Found(done / wall, server, database)


def _call(enter: Callable[[], Caller], act: str, times: int, barrier: Any, entering: Any) -> None:
    do = ACTS[act]
    try:
        with entering:  # ours locks an account at which many try a password at the same moment
            caller = enter()
        for _ in range(5):
            do(caller)
    except BaseException:
        barrier.abort()  # or the others would wait for ever
        raise
    barrier.wait()
    barrier.wait()
    for _ in range(times):
        do(caller)
