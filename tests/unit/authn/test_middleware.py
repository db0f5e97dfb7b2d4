"""Who the API thinks is asking."""

from __future__ import annotations

import asyncio

import pytest

from authn.middleware import PRINCIPAL, Authentication
from authn.store import User
from core.errors import NotFound, Refused, Unavailable
from core.http import CLIENT_CERTIFICATE
from core.identity import Principal, Role
from tests.fakes.clock import FakeClock

USER = User("id", "zhang.wei", "张伟", None, Role.BUSINESS, None, False, FakeClock().now())


class Tokens:
    """Knows one token of each kind, and one certificate."""

    broken = False
    remembered: User | None = None

    def recall_user(self, secret: str) -> User | None:
        return self.remembered if secret == "yx_good" else None

    def find_user(self, secret: str) -> User | None:
        if self.broken:
            raise Unavailable("the database is away")
        return USER if secret == "yx_good" else None

    def find_administrator(self, secret: str) -> User | None:
        return USER if secret == "yxa_good" else None

    def user_of_certificate(self, der: bytes) -> User:
        if der == b"revoked":
            raise Refused("the certificate is revoked")
        if der != b"good":
            raise NotFound("not bound")
        return USER


def ask(tokens: Tokens, *, path="/api/v1/x", authorization=None, certificate=None, planted=None):
    """Send one request through; return the scope the application saw, or the refusal's status."""
    seen: list[object] = []

    async def app(scope, receive, send):
        seen.append(scope)

    async def send(message):
        if message["type"] == "http.response.start":
            seen.append(message["status"])

    scope = {"type": "http", "path": path, "headers": []}
    if authorization is not None:
        scope["headers"] = [(b"authorization", authorization.encode())]
    if certificate is not None:
        scope[CLIENT_CERTIFICATE] = certificate
    if planted is not None:
        scope[PRINCIPAL] = planted
    middleware = Authentication(app, api_tokens=tokens, access_tokens=tokens, certificates=tokens)
    asyncio.run(middleware(scope, None, send))
    found = seen[0]
    return found.get(PRINCIPAL) if isinstance(found, dict) else found


@pytest.mark.parametrize("secret", ["yx_good", "yxa_good"])
def test_a_good_token_says_who_asks(secret):
    expected = Principal("zhang.wei", Role.BUSINESS, "token")
    assert ask(Tokens(), authorization=f"Bearer {secret}") == expected
    assert ask(Tokens(), authorization=f"bearer  {secret} ") == expected


@pytest.mark.parametrize("authorization", ["Bearer yx_bad", "Bearer", "Basic yx_good", "yx_good"])
def test_a_bad_token_says_nothing_even_next_to_a_good_certificate(authorization):
    assert ask(Tokens(), authorization=authorization, certificate=b"good") is None


def test_a_certificate_says_who_asks():
    expected = Principal("zhang.wei", Role.BUSINESS, "certificate")
    assert ask(Tokens(), certificate=b"good") == expected


@pytest.mark.parametrize("certificate", [b"revoked", b"unbound"])
def test_a_certificate_that_does_not_hold_says_nothing(certificate):
    assert ask(Tokens(), certificate=certificate) is None


def test_a_principal_that_came_from_elsewhere_is_dropped():
    planted = Principal("root", Role.SYSTEM, "token")
    assert ask(Tokens(), planted=planted) is None


def test_outside_the_api_tokens_are_not_even_looked_up():
    tokens = Tokens()
    tokens.broken = True
    assert ask(tokens, path="/oidc/userinfo", authorization="Bearer yx_good") is None


def test_when_we_cannot_find_out_we_say_so():
    tokens = Tokens()
    tokens.broken = True
    assert ask(tokens, authorization="Bearer yx_good") == 503


def test_who_asked_a_moment_ago_is_not_looked_up_again():
    tokens = Tokens()
    tokens.remembered, tokens.broken = USER, True
    assert ask(tokens, authorization="Bearer yx_good") == Principal(
        "zhang.wei", Role.BUSINESS, "token"
    )
    assert ask(tokens, authorization="Bearer yx_bad") == 503
