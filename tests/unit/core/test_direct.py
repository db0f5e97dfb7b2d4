"""Direct handlers: what they answer, what they leave to the route, and what they raise."""

from __future__ import annotations

import json

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, ConfigDict
from starlette.testclient import TestClient

from core.direct import DirectRoute, DirectRoutes, in_thread
from core.errors import Forbidden
from core.http import install_problem_handlers


class Wanted(BaseModel):
    model_config = ConfigDict(extra="forbid")
    number: int


def _client() -> TestClient:
    app = FastAPI()
    install_problem_handlers(app)

    def double(body: Wanted) -> dict[str, int]:
        return {"double": 2 * body.number}

    async def direct(request: Request) -> Response | None:
        if "x-forbidden" in request.headers:
            raise Forbidden("not you")
        if "x-broken" in request.headers:
            raise ZeroDivisionError
        try:
            body = Wanted.model_validate(json.loads(await request.body()))
        except ValueError:
            return None
        return Response(json.dumps(await in_thread(double, body) | {"direct": True}))

    app.add_api_route("/double", double, methods=["POST"])
    app.router.add_api_route("/quick", double, methods=["POST"], route_class_override=DirectRoute)
    route = app.routes[-1]
    assert isinstance(route, DirectRoute)
    route.direct = direct
    return TestClient(DirectRoutes(app), raise_server_exceptions=False)


def test_a_direct_handler_answers_and_others_are_let_be() -> None:
    with _client() as client:
        assert client.post("/quick", json={"number": 2}).json() == {"double": 4, "direct": True}
        assert client.post("/double", json={"number": 2}).json() == {"double": 4}
        assert client.get("/quick").status_code == 405


def test_what_it_does_not_understand_the_route_refuses() -> None:
    with _client() as client:
        for body in (b"{", b'{"number":"x"}', b'{"number":1,"more":1}', b""):
            answer = client.post(
                "/quick", content=body, headers={"Content-Type": "application/json"}
            )
            same = client.post(
                "/double", content=body, headers={"Content-Type": "application/json"}
            )
            assert answer.status_code == 400
            assert answer.json() == same.json()


def test_errors_are_translated_as_everywhere() -> None:
    with _client() as client:
        refused = client.post("/quick", headers={"X-Forbidden": "1"})
        assert (refused.status_code, refused.json()["detail"]) == (403, "not you")
        broken = client.post("/quick", headers={"X-Broken": "1"})
        assert (broken.status_code, broken.json()["type"]) == (500, "urn:yinxin:problem:internal")
