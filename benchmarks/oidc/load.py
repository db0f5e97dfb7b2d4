"""The load: callers in processes of their own, each with one TLS connection that is kept."""

from __future__ import annotations

import base64
import hashlib
import json
import multiprocessing
import re
import secrets
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from html import unescape
from threading import BrokenBarrierError
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from benchmarks.oidc.connection import Answer, Connection
from benchmarks.oidc.peers import PERSON, REDIRECT, Provider, path_of

_ACTION = re.compile(r'<form method="post" action="([^"]*)"')
_HIDDEN = re.compile(r'<input type="hidden" name="([^"]*)" value="([^"]*)"')
_REDIRECT_QUOTED = quote(REDIRECT, safe="")


class Caller:
    """A client application and a browser on one connection.

    It costs as little as can be, since it shares the processors with what is measured. What a
    provider answers is checked all the same: state, code, algorithm, rotation, how many requests.
    """

    def __init__(self, provider: Provider, number: int = 0) -> None:
        """`number` deals callers out to the nodes, as a load balancer does."""
        port = provider.ports[number % len(provider.ports)]
        self._connection = Connection(port, urlsplit(provider.issuer).netloc, provider.trust)
        self.requests = 0
        self._password = provider.password
        self._cookies: dict[str, str] = {}
        self._jar = b""
        self.endpoints = json.loads(self._get("/.well-known/openid-configuration").body)
        self._authorize, self._token_path, self._introspect, self._keys = (
            path_of(self.endpoints[name])
            for name in (
                "authorization_endpoint",
                "token_endpoint",
                "introspection_endpoint",
                "jwks_uri",
            )
        )
        self.become(provider.client_id, provider.client_secret)
        self.access_token = self.client_credentials()["access_token"]
        self.refresh_token = self.login()["refresh_token"]

    def become(self, client_id: str, secret: str) -> None:
        """Call as this client from now on."""
        basic = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
        self._client = f"Authorization: Basic {basic}\r\n".encode()
        fixed = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": REDIRECT,
            "scope": "openid profile email",
            "code_challenge_method": "S256",
        }
        self._request = f"{self._authorize}?{urlencode(fixed)}"

    def jwks(self) -> None:
        json.loads(self._get(self._keys).body)["keys"][0]["kty"]

    def client_credentials(self) -> dict[str, Any]:
        return self._token("grant_type=client_credentials")

    def introspect(self) -> None:
        body = f"token={self.access_token}".encode()
        if not json.loads(self._post(self._introspect, body, self._client).body)["active"]:
            sys.exit("the token is not active")

    def refresh(self) -> None:
        answer = self._token(f"grant_type=refresh_token&refresh_token={self.refresh_token}")
        if answer["refresh_token"] == self.refresh_token:
            sys.exit("the refresh token was not rotated")
        self.refresh_token = answer["refresh_token"]

    def login_by_password(self) -> None:
        """One login in a new browser: authorization request, form, password, code, PKCE, tokens.

        Five requests at either provider: the request, the form, the password, the request again
        with the session that this gave, and the code for the tokens.
        """
        self._cookies.clear()
        self._jar = b""
        before = self.requests
        self.login()
        if self.requests - before != 5:
            sys.exit(f"a login by password took {self.requests - before} requests")

    def login(self) -> dict[str, Any]:
        """One login, silent with a session: authorization request, code, PKCE, tokens."""
        verifier, state = secrets.token_urlsafe(48), secrets.token_hex(8)
        digest = hashlib.sha256(verifier.encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        location = (
            f"{self._request}&state={state}&nonce={secrets.token_hex(8)}&code_challenge={challenge}"
        )
        while not location.startswith(REDIRECT):
            location = self._follow(location)
        answer = dict(parse_qsl(location.partition("?")[2]))
        if answer["state"] != state or "code" not in answer:
            sys.exit(f"no code: {answer}")
        tokens = self._token(
            f"grant_type=authorization_code&code={answer['code']}"
            f"&redirect_uri={_REDIRECT_QUOTED}&code_verifier={verifier}"
        )
        head = tokens["id_token"].partition(".")[0]
        if json.loads(base64.urlsafe_b64decode(head + "=="))["alg"] != "ES256":
            sys.exit("the ID token is not signed with ES256")
        return tokens

    def _follow(self, path: str) -> str:
        answer = self._browsed(self._get(path, self._jar))
        form = _ACTION.search(answer.body.decode()) if answer.status == 200 else None
        if form is not None:
            fields = {one[1]: unescape(one[2]) for one in _HIDDEN.finditer(answer.body.decode())}
            fields |= {"name": PERSON, "password": self._password}
            body = urlencode(fields).encode()
            answer = self._browsed(self._post(unescape(form[1]), body, self._jar))
        if answer.status not in (302, 303):
            sys.exit(f"{answer.status} at {path}: {answer.body[:500]!r}")
        location = answer.location
        return location if location.startswith(REDIRECT) else path_of(location)

    def _browsed(self, answer: Answer) -> Answer:
        """Keep the cookies of an answer."""
        before = dict(self._cookies)
        for name, value in answer.cookies:
            self._cookies[name] = value
            if not value:
                del self._cookies[name]
        if self._cookies != before:
            jar = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
            self._jar = f"Cookie: {jar}\r\n".encode() if jar else b""
        return answer

    def _token(self, form: str) -> dict[str, Any]:
        answer = self._post(self._token_path, form.encode(), self._client)
        if answer.status != 200:
            sys.exit(f"{answer.status}: {answer.body[:500]!r}")
        return json.loads(answer.body)

    def _get(self, target: str, headers: bytes = b"") -> Answer:
        self.requests += 1
        return self._connection.get(target, headers)

    def _post(self, target: str, body: bytes, headers: bytes) -> Answer:
        self.requests += 1
        return self._connection.post(target.encode(), body, headers)


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
    callers_ms: float
    """Processor time of the callers."""


def measure(provider: Provider, act: str, times: int, callers: int) -> Found:
    """Do `act` so often, from `callers` at once."""
    barrier, entering = multiprocessing.Barrier(callers + 1), multiprocessing.Lock()
    spent = [multiprocessing.Value("d") for _ in range(callers)]
    made = [
        multiprocessing.Process(
            target=_call,
            args=(
                partial(Caller, provider, number),
                act,
                times // callers,
                (barrier, entering),
                own,
            ),
        )
        for number, own in enumerate(spent)
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
    calling = 1000 * sum(one.value for one in spent) / done
    return Found(done / wall, server, database, calling)


def _call(
    enter: Callable[[], Caller], act: str, times: int, together: tuple[Any, Any], spent: Any
) -> None:
    do, (barrier, entering) = ACTS[act], together
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
    before = time.process_time()
    for _ in range(times):
        do(caller)
    spent.value = time.process_time() - before
