"""Two nodes on one PostgreSQL: what one of them does holds at the other.

Each has its own connections, caches and rings of keys, as two processes have; database, keystore
and clock are all that they share.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx2
import jwt
import pytest
from fastapi.testclient import TestClient

from authn.oidc.clientmetadata import ClientMetadata
from authn.oidc.store import IDTokenAlgorithm
from core.db import Database, open_database
from tests import databases
from tests.fakes.audit import MemoryAuditLog
from tests.fakes.clock import FakeClock
from tests.fakes.keys import MemoryKeyBackend
from tests.integration.provider import (
    CONFIG,
    ISSUER,
    Flow,
    House,
    answer_of,
    build,
    flow,
    log_in,
    redeem,
)

pytestmark = pytest.mark.postgres

REFRESHING = ClientMetadata(grant_types=("authorization_code", "refresh_token"))


@dataclass
class Pair:
    """Two nodes, and one browser that a load balancer sends to either."""

    a: House
    b: House
    at_a: TestClient
    at_b: TestClient

    def log_in(self) -> None:
        """Log in at the first node."""
        log_in(self.at_a)
        self.follow()

    def follow(self) -> None:
        """Be sent to the other node: the same cookies."""
        self.at_b.cookies.clear()
        self.at_b.cookies.update(self.at_a.cookies)

    def code(self, request: Flow) -> str:
        """Ask for a code at the first node."""
        return answer_of(self.at_a.get(request.path))["code"]


def other_connections(database: Database) -> Database:
    return open_database(database.engine.url.render_as_string(hide_password=False))


@pytest.fixture
def nodes(postgres_url: str, audit: MemoryAuditLog, clock: FakeClock) -> Iterator[Pair]:
    keystore = MemoryKeyBackend()
    one = databases.on_postgres(postgres_url)
    two = other_connections(one)
    a, b = (build(each, audit=audit, clock=clock, keystore=keystore) for each in (one, two))
    a.user()
    with a.browser() as at_a, b.browser() as at_b:
        yield Pair(a, b, at_a, at_b)
    two.close()
    one.close()


def refresh(node: TestClient, client_id: str, token: str) -> httpx2.Response:
    fields = {"grant_type": "refresh_token", "client_id": client_id, "refresh_token": token}
    return node.post("/oidc/token", data=fields)


def open_pipes(nodes: Pair, request: Flow) -> None:
    """Ask until each node has a pipe to the database: what is asked before goes to threads."""
    for house, node in ((nodes.a, nodes.at_a), (nodes.b, nodes.at_b)):
        asking, ends = house.provider.endpoints.carrier._database._asking, time.monotonic() + 60
        while not asking.pipes._open:
            assert time.monotonic() < ends
            assert redeem(node, request, "of nobody").status_code == 400


def all_at_once(
    nodes: Pair, times: int, ask: Callable[[TestClient], httpx2.Response]
) -> list[httpx2.Response]:
    """Ask both nodes by turns, so often and at the same moment."""
    together = threading.Barrier(times)

    def attempt(number: int) -> httpx2.Response:
        together.wait(60)
        return ask((nodes.at_a, nodes.at_b)[number % 2])

    with ThreadPoolExecutor(times) as threads:
        return list(threads.map(attempt, range(times)))


def userinfo(node: TestClient, access_token: str) -> int:
    answer = node.get("/oidc/userinfo", headers={"Authorization": f"Bearer {access_token}"})
    return answer.status_code


def test_a_code_of_one_node_is_redeemed_once_at_the_other(nodes: Pair) -> None:
    nodes.log_in()
    request = flow(nodes.a.public_client().id)
    code = nodes.code(request)
    tokens = redeem(nodes.at_b, request, code).json()
    assert userinfo(nodes.at_a, tokens["access_token"]) == 200
    assert redeem(nodes.at_a, request, code).json()["error"] == "invalid_grant"
    assert userinfo(nodes.at_b, tokens["access_token"]) == 401, "a replay costs the tokens"


def test_of_twenty_redemptions_at_once_at_two_nodes_one_succeeds(nodes: Pair) -> None:
    nodes.log_in()
    request = flow(nodes.a.public_client().id)
    open_pipes(nodes, request)
    code = nodes.code(request)
    answers = all_at_once(nodes, 20, lambda node: redeem(node, request, code))
    assert sorted(one.status_code for one in answers) == [200] + [400] * 19


def test_fifty_refreshes_at_once_at_two_nodes_raise_no_alarm(nodes: Pair) -> None:
    nodes.log_in()
    client = nodes.a.public_client(metadata=REFRESHING)
    request = flow(client.id)
    open_pipes(nodes, request)
    first = redeem(nodes.at_b, request, nodes.code(request)).json()["refresh_token"]
    answers = all_at_once(nodes, 50, lambda node: refresh(node, client.id, first))
    assert {one.status_code for one in answers} == {200}
    (second,) = {one.json()["refresh_token"] for one in answers}
    assert len({one.json()["access_token"] for one in answers}) == 50
    nodes.a.clock.advance(seconds=31)
    assert refresh(nodes.at_b, client.id, first).status_code == 400, "it comes too late"
    assert refresh(nodes.at_a, client.id, second).status_code == 400, "the family has ended"


def test_the_key_of_subjects_is_not_opened_in_the_event_loop(nodes: Pair) -> None:
    """A token device that does not answer would hold up everybody."""
    nodes.log_in()
    client = nodes.a.public_client(metadata=REFRESHING, id_token_algorithm=IDTokenAlgorithm.ES256)
    request = flow(client.id)
    open_pipes(nodes, request)
    first = redeem(nodes.at_a, request, nodes.code(request)).json()["refresh_token"]
    subjects = nodes.b.provider.endpoints.tokens._grants["refresh_token"]._granting.subjects
    real, in_loop = subjects._keys, []

    def keys(purpose: str) -> bytes:
        in_loop.append(asyncio._get_running_loop() is not None)
        return real(purpose)

    subjects._keys = keys
    second = refresh(nodes.at_b, client.id, first).json()["refresh_token"]
    assert in_loop == [False], "the first use opens it, apart"
    assert refresh(nodes.at_b, client.id, second).status_code == 200
    assert in_loop == [False, True], "it is in memory since"


def test_a_logout_at_one_node_ends_the_session_at_the_other(nodes: Pair) -> None:
    nodes.log_in()
    request = flow(nodes.a.public_client().id)
    tokens = redeem(nodes.at_b, request, nodes.code(request)).json()
    silent = flow(request.client_id, prompt="none")
    assert "code" in answer_of(nodes.at_b.get(silent.path))
    assert nodes.at_a.get("/oidc/logout", params={"id_token_hint": tokens["id_token"]}).is_success
    # The cookie of the other node's browser is still there; the session is not.
    assert answer_of(nodes.at_b.get(silent.path))["error"] == "login_required"
    assert userinfo(nodes.at_b, tokens["access_token"]) == 401


def kids(node: TestClient) -> set[str]:
    return {key["kid"] for key in node.get("/oidc/jwks").json()["keys"]}


def signed_by(id_token: str, client_id: str, *, published: TestClient) -> str:
    """Verify with the keys that a node publishes; return which it was."""
    keys = jwt.PyJWKSet.from_dict(published.get("/oidc/jwks").json())
    kid: str = jwt.get_unverified_header(id_token)["kid"]
    jwt.decode(
        id_token,
        keys[kid].key,
        algorithms=["ES256"],
        audience=client_id,
        issuer=ISSUER,
        options={"verify_exp": False, "verify_iat": False},  # the clock is the test's
    )
    return kid


@pytest.mark.parametrize("at_once", [False, True])
def test_both_nodes_publish_and_use_a_key_that_one_of_them_made(
    nodes: Pair, clock: FakeClock, *, at_once: bool
) -> None:
    ring, before = nodes.a.provider.ring, kids(nodes.at_b)
    ring.rotate(IDTokenAlgorithm.ES256, at_once=at_once, actor="t")
    (new,) = kids(nodes.at_a) - before
    nodes.b.provider.ring.refresh()  # a job of every node, each 5 s
    assert kids(nodes.at_b) == kids(nodes.at_a)
    if not at_once:
        assert before < kids(nodes.at_b), "what the old key signed can be verified"
        clock.advance(minutes=CONFIG.oidc.key_announce_minutes)
        for node in (nodes.a, nodes.b):
            node.provider.ring.refresh()
    nodes.log_in()
    client = nodes.a.public_client(id_token_algorithm=IDTokenAlgorithm.ES256)
    for redeems, publishes in ((nodes.at_a, nodes.at_b), (nodes.at_b, nodes.at_a)):
        request = flow(client.id)
        tokens = redeem(redeems, request, nodes.code(request)).json()
        assert signed_by(tokens["id_token"], client.id, published=publishes) == new
