"""The table of exact paths chooses as the routes themselves would."""

from __future__ import annotations

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient

from yinxin.exact_paths import ExactPaths


def _app(*, table: bool) -> TestClient:
    router = APIRouter()
    for method, path, answer in (
        ("GET", "/exact", "exact"),
        ("POST", "/exact", "posted"),
        ("GET", "/exact", "never: it comes second"),
        ("GET", "/things/{thing}", "one thing"),
        ("GET", "/things/all", "never: a pattern before it takes the path"),
        ("PUT", "/things/all", "put"),
    ):

        def endpoint(answer: str = answer) -> str:
            return answer

        router.add_api_route(path, endpoint, methods=[method])
    app = FastAPI(redirect_slashes=False)
    app.router.routes.extend(router.routes)
    if table:
        app.router.routes.insert(0, ExactPaths(app.routes))
    return TestClient(app)


@pytest.mark.parametrize("path", ["/exact", "/things/all", "/things/7", "/exact/", "/none"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "HEAD"])
def test_a_table_changes_no_answer(method: str, path: str) -> None:
    alone, before = (_app(table=table).request(method, path) for table in (False, True))
    assert (before.status_code, before.content) == (alone.status_code, alone.content)
    assert before.headers.get("allow") == alone.headers.get("allow")


def test_a_table_answers_what_it_holds() -> None:
    app = _app(table=True)
    assert (app.get("/exact").json(), app.put("/things/all").json()) == ("exact", "put")
