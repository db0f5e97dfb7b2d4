"""The API of a small authority, as one caller after the other stands before it."""

from __future__ import annotations

from fastapi.testclient import TestClient

from core.identity import Principal, Role
from tests.unit.ca.csrs import make_csr, pem

BODY = {"csr": pem(make_csr()).decode(), "profile": "device", "issuer": "sm2-issuing"}


class Asker:
    """Stands where `authn.middleware` stands: sets the principal that the test wants."""

    def __init__(self, app) -> None:
        self.app = app
        self.role: Role | None = Role.BUSINESS
        self.anonymous = False
        self.name = "alice"

    async def __call__(self, scope, receive, send) -> None:
        if not self.anonymous:
            scope["yinxin.principal"] = Principal(self.name, self.role, "token")
        await self.app(scope, receive, send)


def issued(client: TestClient, **changes) -> str:
    body = {**BODY, "profile": "direct", **changes}
    answer = client.post("/requests", json=body)
    assert answer.status_code == 201, answer.text
    reference = answer.json()["certificate"]
    return f"/certificates/{reference['issuer']}/{reference['serial']}"
