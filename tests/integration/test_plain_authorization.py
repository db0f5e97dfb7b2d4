"""An authorization request answered by its connection, beside the same one by the application.

Both have to say the same, and what the connection answers must not wait in the event loop.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import threading
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from typing import NoReturn
from urllib.parse import urlencode

import pytest
import uvloop
from sqlalchemy import delete, select, update
from uvicorn.server import ServerState

from authn import opaque
from authn.access import AccessPolicy, AccessRule
from authn.accounts import AccountKind, Capacity
from authn.levels import PASSWORD, Level
from authn.logout.tables import participations
from authn.oidc.authorize import AuthorizationEndpoint
from authn.oidc.clientmetadata import ClientMetadata
from authn.oidc.granting import Granting
from authn.oidc.sqlstore import SQLGrantStore
from authn.oidc.tables import codes
from authn.people import RealName
from core.db import Database
from core.direct import DirectRoutes, plain_routes
from core.errors import Unavailable
from core.http import BodyLimit, RequestId
from core.remembered import Remembered
from core.steps import apart
from keystore.sealedkey import SealedKey
from tests.integration.provider import CALLBACK, House, build, flow
from yinxin import http1, server
from yinxin.portal.pages import PortalPages

_CHANCE = (
    (re.compile(rb"code=[A-Za-z0-9_-]{43}"), b"code=CODE"),
    (re.compile(rb'name="code" value="[A-Za-z0-9_-]{43}"'), b"CODE"),
    (re.compile(rb"(continue(%2F|/)|yinxin-flow-)[A-Za-z0-9_-]{16}"), rb"\1FLOW"),
    (re.compile(rb"(yinxin-flow-FLOW=)[A-Za-z0-9_-]{40,}"), rb"\1SEALED"),
    (re.compile(rb'("request_id": ?"|x-request-id: )[0-9a-f]{16}'), rb"\1ID"),
    (re.compile(rb"content-length: [0-9]+"), b"content-length: N"),
)


@asynccontextmanager
async def served(house: House):
    """The house behind connections of ours; gives what asks it and returns the whole answer."""
    inner, plain = (
        BodyLimit(DirectRoutes(house.app), octets=10_000),
        plain_routes(house.app, octets=10_000),
    )
    assert (b"GET", b"/oidc/authorize") in plain.handlers
    config = server._config(server.Listener(None, RequestId(inner, plain)))
    config.load()
    listening = await asyncio.get_running_loop().create_server(
        lambda: http1.HTTPConnection(config, ServerState(), app_state={}), "127.0.0.1", 0
    )
    host, port = listening.sockets[0].getsockname()[:2]

    async def ask(target: str, *headers: str, form: dict[str, str] | None = None) -> bytes:
        reader, writer = await asyncio.open_connection(host, port)
        sent = "" if form is None else urlencode(form)
        kind = ["Content-Type: application/x-www-form-urlencoded", f"Content-Length: {len(sent)}"]
        lines = [f"{'GET' if form is None else 'POST'} {target} HTTP/1.1", "Host: ca.example.cn"]
        lines += [*headers, *(kind if form is not None else ()), "", sent]
        writer.write("\r\n".join(lines).encode("latin-1"))
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(re.search(rb"content-length: ([0-9]+)", head)[1])
        body = await reader.readexactly(length)
        writer.close()
        await writer.wait_closed()
        return head + body

    try:
        yield ask
    finally:
        listening.close()


@contextmanager
def nothing_waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Raise where this thread, which runs the event loop, would wait or compute for long."""
    loop = threading.get_ident()
    waits = [
        *(
            (Database, name)
            for name in ("transaction", "single", "reading", "run_all", "run_together")
        ),
        (Remembered, "get"),
        (SealedKey, "get"),
        (PortalPages, "page"),
        (AuthorizationEndpoint, "decide"),
    ]

    def guarded(real):
        def act(*arguments, **named):
            assert threading.get_ident() != loop, f"{real.__qualname__} in the event loop"
            return real(*arguments, **named)

        return act

    with monkeypatch.context() as patch:
        for owner, name in waits:
            patch.setattr(owner, name, guarded(getattr(owner, name)))
        yield


class Scene:
    """Applications, people and sessions of every kind."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.user = house.user()
        admission = house.provider.admission
        client = house.public_client()
        self.open = client.id
        self.subject = house.provider.endpoints.subjects.of(self.user.id, client)
        self.other = house.public_client(redirect_uris=["https://oa.example.cn/other?x=1"]).id
        self.aged = house.public_client(metadata=ClientMetadata(default_max_age=60)).id
        self.pushes = house.public_client(
            metadata=ClientMetadata(require_pushed_authorization_requests=True)
        ).id
        self.policies = {}
        for name, policy in {
            "consent": AccessPolicy(consent=True),
            "agreed": AccessPolicy(consent=True),
            "strong": AccessPolicy(least_level=Level.TWO_FACTORS),
            "city": AccessPolicy(rules=(AccessRule("city"),)),
            "province": AccessPolicy(rules=(AccessRule("province"),)),
            "natural": AccessPolicy(account=AccountKind.NATURAL),
            "legal": AccessPolicy(account=AccountKind.LEGAL),
            "known": AccessPolicy(least_real_name=RealName.STATED),
        }.items():
            self.policies[name] = house.public_client().id
            admission.access.change(self.policies[name], policy, actor="t")
        affiliation = admission.accounts.add(
            self.user, "county", Capacity.AGENT, actor="t", ends_at=None
        )
        sessions = house.provider.administration.sessions
        self.cookies = {
            kind: sessions.enter(self.user, PASSWORD, cookie=None)
            for kind in ("good", "ended", "legal")
        }
        sessions.end(self.cookies["ended"])
        self.cookies["legal"] = sessions.switch(self.cookies["legal"], affiliation.id)
        for name in ("gone", "begun"):
            other = house.user(name, password=None)
            self.cookies[name] = sessions.enter(other, PASSWORD, cookie=None)
            sessions._users.set_disabled(other.id, name == "gone")
        self.lacks_a_factor("begun")
        session = sessions.find(self.cookies["good"])[0]
        admission.consents.give(session, self.user, self.policies["agreed"], "profile email")
        house.clock.advance(seconds=90)

    def lacks_a_factor(self, name: str) -> None:
        store = self.house.provider.administration.sessions._store
        digest = opaque.digest(self.cookies[name])
        store.replace(digest, replace(store.find(digest), least=Level.TWO_FACTORS.acr))

    def code_of(self, answer: bytes):
        """What was stored for the code in an answer, without what was drawn."""
        shown = re.search(rb'code=([A-Za-z0-9_-]{43})|name="code" value="([^"]{43})"', answer)
        if shown is None:
            return None
        store = self.house.provider.endpoints.tokens._grants["authorization_code"]._granting.grants
        code = store.find_code(opaque.digest((shown[1] or shown[2]).decode()))
        return replace(code, digest=b"", grant=replace(code.grant, id=""))

    def hint(self, subject: str) -> str:
        """An ID token of ours, from long ago."""
        issuer = self.house.provider.issuers.ordinary
        claims = {"iss": issuer.identifier, "sub": subject, "exp": 1}
        return issuer.keys.sign(claims, issuer.keys.algorithms[0])

    def requests(self) -> Iterator[tuple[str, str, str | None]]:
        """Name, target and session of requests; those that begin with a code get one at once."""
        at_once: dict[str, dict[str, str | None]] = {
            "plain": {},
            "no state": {"state": None},
            "a state of any octets": {"state": "\0\r\nX: y&a=州"},
            "no nonce": {"nonce": None},
            "a level that the session has": {"acr_values": Level.PASSWORD.acr},
            "a voluntary level": {"acr_values": Level.HARDWARE_KEY.acr, "prompt": "none"},
            "young enough": {"max_age": "3600"},
            "silent": {"prompt": "none"},
            "unknown words": {"scope": "openid spoken", "ui_locales": "en", "what": "ever"},
            "a key": {"dpop_jkt": "j" * 43},
            "by form": {"response_mode": "form_post"},
            "single claims": {"claims": '{"userinfo":{"name":null}}'},
            "one person": {"claims": json.dumps({"id_token": {"sub": {"value": self.subject}}})},
            "a hint": {"id_token_hint": self.hint(self.subject), "prompt": "none"},
        }
        for name, changes in at_once.items():
            yield f"at once: {name}", flow(self.open, **changes).path, "good"
        other = flow(self.other, redirect_uri="https://oa.example.cn/other?x=1")
        yield "at once: a query of its own", other.path, "good"
        yield "at once: for natural persons", flow(self.policies["natural"]).path, "good"
        yield "for natural persons", flow(self.policies["natural"]).path, "legal"
        for kind in self.policies.keys() - {"natural"}:
            name = f"{'at once: ' if kind == 'agreed' else ''}policy {kind}"
            yield name, flow(self.policies[kind]).path, "good"
            silent = flow(self.policies[kind], prompt="none").path
            yield f"{name}, silent", silent, "good"
        agreed = self.policies["agreed"]
        yield "more than agreed", flow(agreed, scope="openid profile phone").path, "good"
        yield "agreed for oneself", flow(agreed).path, "legal"
        yield "agreed, asked again", flow(agreed, prompt="consent").path, "good"
        yield "for an organisation", flow(self.open).path, "legal"
        yield "a default age", flow(self.aged).path, "good"
        yield "to be pushed", flow(self.pushes).path, "good"
        for cookie in (None, "", "nobody", "ended", "gone", "begun"):
            yield f"session {cookie}", flow(self.open).path, cookie
            yield f"session {cookie}, silent", flow(self.open, prompt="none").path, cookie
        yield from self._unusual()
        yield from self._bad()

    def _unusual(self) -> Iterator[tuple[str, str, str | None]]:
        for changes in (
            {"prompt": "login"},
            {"prompt": "consent"},
            {"prompt": "select_account"},
            {"max_age": "0"},
            {"acr_values": Level.HARDWARE_KEY.acr},
            {"claims": '{"id_token":{"sub":{"value":"somebody"}}}'},
            {"claims": '{"id_token":{"acr":{"essential":true,"value":"none of ours"}}}'},
            {"claims": "{"},
            {"id_token_hint": "a.b.c"},
            {"id_token_hint": self.hint("somebody"), "prompt": "none"},
            {"id_token_hint": self.hint(self.subject)[:-4] + "AAAA"},
            {"request": "a.b.c"},
            {"request_uri": "https://oa.example.cn/r"},
            {"request_uri": "urn:ietf:params:oauth:request_uri:unknown"},
            {"resource": "https://api.example.cn"},
        ):
            yield f"unusual {changes}", flow(self.open, **changes).path, "good"

    def _bad(self) -> Iterator[tuple[str, str, str | None]]:
        for changes in (
            {"redirect_uri": None},
            {"redirect_uri": CALLBACK + "/"},
            {"redirect_uri": CALLBACK.upper()},
            {"response_type": None},
            {"response_type": "token"},
            {"response_mode": "fragment"},
            {"scope": "profile"},
            {"scope": None},
            {"code_challenge": None},
            {"code_challenge": "short"},
            {"code_challenge_method": "plain"},
            {"nonce": "n" * 513},
            {"nonce": "\0"},
            {"state": "s" * 4000},
            {"prompt": "none login"},
            {"prompt": "dance"},
            {"max_age": "-1"},
            {"dpop_jkt": "short"},
        ):
            yield f"bad {changes}"[:60], flow(self.open, **changes).path, "good"
        for client_id in (None, "", "nobody", "\0"):
            yield f"bad client {client_id}", flow(client_id).path, "good"
        good = flow(self.open)
        for name in good.parameters:
            twice = f"{good.path}&{urlencode({name: good.parameters[name]})}"
            yield f"bad {name} twice", twice, "good"
        yield "bad octets", f"{good.path}&state=%ff", "good"
        yield "bad many", good.path + "&a=b" * 64, "good"
        yield "bad empty", "/oidc/authorize", "good"
        yield "bad question", "/oidc/authorize?", "good"


def fail(error: Exception) -> NoReturn:
    raise error


def normal(answer: bytes) -> bytes:
    for pattern, name in _CHANCE:
        answer = pattern.sub(name, answer)
    return answer.replace(b"connection: close\r\n", b"")


@pytest.fixture
def house(database, audit, clock) -> House:
    return build(database, audit=audit, clock=clock)


def test_a_connection_answers_as_the_application_does_and_never_waits(house, monkeypatch):
    monkeypatch.setattr("core.remembered.SECONDS", 3600)  # so that nothing is forgotten meanwhile
    scene = Scene(house)
    decided, decide = [], AuthorizationEndpoint.decide

    def note(*arguments):
        decided.append(arguments)
        return decide(*arguments)

    def failing(error: Exception):
        def adding_code(*_):
            yield from apart(partial(fail, error))

        return adding_code

    def ended(*_):
        yield from ()
        return False

    async def both(ask, target: str, cookie: str | None) -> bytes:
        value = scene.cookies.get(cookie, cookie) if cookie is not None else None
        sent = [f"Cookie: __Host-yinxin-browser={'b' * 43}"]
        sent[0] += "" if value is None else f"; __Host-yinxin={value}"
        long = await ask(target, *sent, "Connection: close")
        decided.clear()
        with nothing_waits(monkeypatch):
            plain = await ask(target, *sent)
        assert b"connection: close" in long
        assert b"connection: close" not in plain
        assert normal(plain) == normal(long)
        assert scene.code_of(plain) == scene.code_of(long)
        return plain

    async def act() -> None:
        async with served(house) as ask:
            for name, target, cookie in scene.requests():
                answer = await both(ask, target, cookie)
                assert b" 500 " not in answer[:20], name
                if name.startswith("at once"):
                    assert not decided, name
                    assert scene.code_of(answer) is not None, name
                else:
                    assert decided or b" 400 " in answer[:20], name
            for error, status in (Unavailable("no database"), 503), (RuntimeError("secret"), 500):
                monkeypatch.setattr(SQLGrantStore, "adding_code", failing(error))
                answer = await both(ask, flow(scene.open).path, "good")
                assert answer.startswith(b"HTTP/1.1 %d " % status)
                assert b"secret" not in answer
            # It ended between the look at it and its code: then nobody is logged in.
            monkeypatch.setattr(SQLGrantStore, "adding_code", ended)
            silent = await both(ask, flow(scene.open, prompt="none").path, "good")
            assert b"error=login_required" in silent
            page = await both(ask, flow(scene.open).path, "good")
            assert b"location: /login?" in page

    monkeypatch.setattr(AuthorizationEndpoint, "decide", note)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(act(), 120))


def test_a_plain_request_counts_as_activity_and_does_not_wake_a_session_that_is_over(house):
    scene = Scene(house)
    store, digest = (
        house.provider.administration.sessions._store,
        opaque.digest(scene.cookies["good"]),
    )
    headers = f"Cookie: __Host-yinxin={scene.cookies['good']}"

    async def act() -> None:
        async with served(house) as ask:
            target = flow(scene.open, prompt="none").path
            for minutes in (10, 20, 0.5):
                before = house.clock.now()
                house.clock.advance(minutes=minutes)
                assert b"code=" in await ask(target, headers)
                seen = store.find(digest).seen_at
                assert seen == (house.clock.now() if minutes > 1 else before)
            # Two cookies of one name: the last one counts, as in the application.
            assert b"code=" in await ask(target, "Cookie: __Host-yinxin=a", headers)
            assert b"error=login_required" in await ask(target, headers, "Cookie: __Host-yinxin=a")
            house.clock.advance(hours=5)
            assert b"error=login_required" in await ask(target, headers)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(act(), 120))


def test_a_code_is_redeemed_by_the_connection_once_and_never_waits(house, database, monkeypatch):
    monkeypatch.setattr("core.remembered.SECONDS", 3600)
    scene = Scene(house)
    headers = f"Cookie: __Host-yinxin={scene.cookies['good']}"
    uris = ("https://oa.example.cn/out", None)
    hears = house.public_client(metadata=ClientMetadata(backchannel_logout_uri=uris[0]))
    longer, giving = [], Granting.giving

    def noted(*arguments, **named):
        longer.append(arguments)
        return giving(*arguments, **named)

    monkeypatch.setattr(Granting, "giving", noted)

    def taking_part():
        with database.reading() as connection:
            return [tuple(row) for row in connection.execute(select(participations))]

    async def redeem(ask, request, code: str, verifier: str) -> dict[str, str]:
        form = {"grant_type": "authorization_code", "code": code, "code_verifier": verifier}
        form |= {"client_id": request.client_id, "redirect_uri": CALLBACK}
        answer = await ask("/oidc/token", form=form)
        assert b"connection: close" not in answer
        return json.loads(answer.partition(b"\r\n\r\n")[2])

    async def act() -> None:
        async with served(house) as ask:
            for _ in range(4):  # the first ones have no pipe to the database
                request = flow(scene.open)
                answer = await ask(request.path, headers)
                code = re.search(rb"code=([A-Za-z0-9_-]{43})", answer)[1].decode()
                with nothing_waits(monkeypatch):
                    wrong = await redeem(ask, request, code, "w" * 43)
                    tokens = await redeem(ask, request, code, request.verifier)
                    again = await redeem(ask, request, code, request.verifier)
                assert wrong["error"] == again["error"] == "invalid_grant"
                assert tokens["id_token"].count(".") == 2
                store = house.provider.administration.access_tokens
                assert store.find(tokens["access_token"]) is None, "it ended with the second use"
            assert not longer, "used up under the lock of the audit log"
            # An application that hears of a logout takes part with the same two trips, also of a
            # code that an older release gave.
            for older in (False, True):
                request = flow(hears.id)
                answer = await ask(request.path, headers)
                code = re.search(rb"code=([A-Za-z0-9_-]{43})", answer)[1].decode()
                if older:
                    with database.transaction() as connection:
                        connection.execute(update(codes).values(subject=None))
                        connection.execute(delete(participations))
                with nothing_waits(monkeypatch):
                    wrong = await redeem(ask, request, code, "w" * 43)
                    assert wrong["error"] == "invalid_grant"
                assert taking_part() == []
                with nothing_waits(monkeypatch):
                    tokens = await redeem(ask, request, code, request.verifier)
                claims = json.loads(
                    base64.urlsafe_b64decode(tokens["id_token"].split(".")[1] + "==")
                )
                assert taking_part() == [
                    (claims["sid"], hears.id, "", "oidc", claims["sub"], *uris)
                ]
                assert len(longer) == older

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(act(), 120))
    assert house.audit.actions[-4:] == ["token.issued", "grant.revoked", *["token.issued"] * 2]
