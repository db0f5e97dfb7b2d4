"""The HTTP edge: one translation of errors, limits, and who is asking."""

from __future__ import annotations

import asyncio
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI
from pydantic import BaseModel, Field
from starlette.testclient import TestClient

from core import errors
from core.http import (
    BodyLimit,
    RequestId,
    install_problem_handlers,
    principal,
    require_role,
    status_of,
)
from core.identity import Principal, Role


class Secret(BaseModel):
    password: int


class Named(BaseModel):
    organisation: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    level: Annotated[str, Field(pattern=r"^[a-z]+$")] = "city"


def make_app(asking: Principal | None = None) -> TestClient:
    app = FastAPI()
    install_problem_handlers(app)

    @app.get("/raise/{name}")
    def raise_it(name: str) -> None:
        kind = getattr(errors, name)
        raise kind("why", retry_after=7) if name == "Throttled" else kind("why")

    @app.get("/crash")
    def crash() -> None:
        raise ZeroDivisionError("inner detail")

    @app.post("/echo")
    def echo(secret: Secret) -> int:
        return secret.password

    @app.post("/named")
    def named(one: Named) -> str:
        return one.organisation

    @app.get("/who")
    def who(asking: Principal = Depends(principal)) -> str:  # noqa: B008, FAST002
        return asking.name

    @app.get("/audit", dependencies=[Depends(require_role(Role.AUDIT))])
    def audit() -> str:
        return "read"

    async def with_principal(scope, receive, send):
        if asking is not None:
            scope["yinxin.principal"] = asking
        await app(scope, receive, send)

    return TestClient(
        RequestId(BodyLimit(with_principal, octets=100)), raise_server_exceptions=False
    )


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("Malformed", 400),
        ("Unauthenticated", 401),
        ("Forbidden", 403),
        ("NotFound", 404),
        ("Conflict", 409),
        ("TooLarge", 413),
        ("ProfileViolation", 422),
        ("InvalidSignature", 422),
        ("Throttled", 429),
        ("AuditUnavailable", 503),
        ("Misconfigured", 500),
    ],
)
def test_every_error_has_one_status_and_a_problem_document(name: str, status: int) -> None:
    answer = make_app().get(f"/raise/{name}")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


def test_the_errors_that_invite_a_retry_say_when() -> None:
    client = make_app()
    assert client.get("/raise/Throttled").headers["retry-after"] == "7"
    assert client.get("/raise/Unavailable").headers["retry-after"] == "5"
    assert "Bearer" in client.get("/raise/Unauthenticated").headers["www-authenticate"]


def test_nothing_internal_leaves() -> None:
    answer = make_app().get("/crash")
    assert answer.status_code == 500
    assert "inner detail" not in answer.text
    assert "Zero" not in answer.text
    assert "why" not in make_app().get("/raise/Misconfigured").text


def test_a_refused_input_is_not_echoed() -> None:
    answer = make_app().post("/echo", json={"password": "hunter2"})
    assert answer.status_code == 400
    assert "password" in answer.json()["detail"]
    assert "hunter2" not in answer.text


def test_a_pattern_that_people_meet_is_said_in_words() -> None:
    said = make_app().post("/named", json={"organisation": "杭州", "level": "1"}).json()["detail"]
    assert said.startswith("body.organisation: should be an id: 32 hexadecimal digits, lowercase; ")
    assert "body.level: String should match pattern" in said


def test_a_body_is_counted_as_announced_and_as_it_arrives() -> None:
    client = make_app()
    assert client.post("/echo", content=b"x" * 101).status_code == 413
    assert client.post("/echo", content=iter([b"x" * 60, b"x" * 60])).status_code == 413
    assert client.post("/echo", json={"password": 5}).json() == 5


def test_a_body_with_two_lengths_is_refused_and_the_connection_ends() -> None:
    both = {"Content-Length": "4", "Transfer-Encoding": "chunked"}
    answer = make_app().post("/echo", content=b"x" * 4, headers=both)
    assert answer.status_code == 400
    assert answer.headers["connection"] == "close"


def test_a_body_that_does_not_arrive_is_not_waited_for() -> None:
    sent = []

    async def app(_scope, _receive, _send) -> None:
        raise AssertionError("the body is not there yet")

    async def receive():
        await asyncio.Event().wait()

    async def send(message) -> None:
        sent.append(message)

    limited = BodyLimit(app, octets=100, seconds=0.01)
    asyncio.run(limited({"type": "http", "headers": []}, receive, send))
    assert sent[0]["status"] == 408


def test_an_unknown_page_is_a_problem_document_too() -> None:
    assert make_app().get("/nowhere").json()["title"] == "Not Found"
    assert make_app().delete("/who").status_code == 405


def test_who_asks_comes_from_the_scope_only() -> None:
    assert make_app().get("/who").status_code == 401
    assert make_app(Principal("li", Role.AUDIT, "token")).get("/who").json() == "li"


def test_a_role_opens_its_own_doors_only() -> None:
    assert make_app(Principal("li", Role.AUDIT, "token")).get("/audit").status_code == 200
    for role in (Role.SYSTEM, Role.BUSINESS, None):
        assert make_app(Principal("li", role, "token")).get("/audit").status_code == 403


def test_an_error_of_our_own_that_has_no_status_is_internal() -> None:
    assert status_of(errors.TrustError("x")) == 500
