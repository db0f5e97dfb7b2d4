"""The keys of an application, fetched from its own server; and what FAPI 2.0 holds it to."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from authn import opaque
from authn.config import OIDCConfig
from authn.oidc.clientmetadata import ClientMetadata
from authn.oidc.pushed import PREFIX, PushedRequest
from authn.oidc.sqlrequests import SQLPushedRequestStore
from authn.oidc.sqlstore import SQLGrantStore
from authn.oidc.store import AuthMethod
from core.outbound import OutboundConfig, trusting
from tests.integration.provider import CONFIG, ISSUER, House, answer_of, build, flow, log_in
from tests.servers import localhost_certificate, server_context

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def jwk_of(key: ec.EllipticCurvePrivateKey, kid: str) -> dict[str, str]:
    known = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))
    return known | {"kid": kid, "alg": "ES256", "use": "sig"}


@dataclass
class Application:
    """An application's https server, and what it answers with."""

    port: int = 0
    status: int = 200
    body: bytes = b""
    asked: list[str] = field(default_factory=list)

    @property
    def jwks_uri(self) -> str:
        return f"https://localhost:{self.port}/jwks?v=1"

    def publish(self, *keys: dict[str, str]) -> None:
        self.status, self.body = 200, json.dumps({"keys": keys}).encode()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    return localhost_certificate(tmp_path_factory.mktemp("application"))


@pytest.fixture
def application(certificate) -> Iterator[Application]:
    made = Application()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append(self.path)
            self.send_response(made.status)
            self.send_header("Content-Length", str(len(made.body)))
            self.end_headers()
            self.wfile.write(made.body)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = server_context(certificate).wrap_socket(server.socket, server_side=True)
    made.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield made
    server.shutdown()
    server.server_close()


def register(house: House, application: Application) -> str:
    client, _ = house.client(
        auth_method=AuthMethod.PRIVATE_KEY_JWT,
        metadata=ClientMetadata(grant_types=("client_credentials",), jwks_uri=application.jwks_uri),
    )
    return client.id


def token(house: House, client_id: str, key: ec.EllipticCurvePrivateKey, kid: str):
    now = int(house.clock.now().timestamp())
    claims = {"iss": client_id, "sub": client_id, "aud": ISSUER, "iat": now, "exp": now + 60}
    signed = jwt.encode(claims | {"jti": str(uuid.uuid4())}, key, "ES256", {"kid": kid})
    fields = {"client_assertion_type": ASSERTION, "client_assertion": signed}
    return house.browser().post("/oidc/token", data={"grant_type": "client_credentials", **fields})


def test_keys_are_fetched_kept_and_fetched_again_for_a_new_one(
    sqlite_database, audit, clock, application, certificate
):
    trust = trusting(CONFIG.outbound, certificate.read_text())
    house = build(sqlite_database, audit=audit, clock=clock, trust=trust)
    one, two = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    application.publish(jwk_of(one, "one"))
    client_id = register(house, application)
    answer = token(house, client_id, one, "one")
    assert answer.status_code == 200, answer.text
    assert application.asked == ["/jwks?v=1"]
    assert token(house, client_id, one, "one").status_code == 200
    # An unknown key: asked again, and not more than once in half a minute.
    application.publish(jwk_of(two, "two"))
    assert token(house, client_id, two, "two").status_code == 401
    assert len(application.asked) == 1
    clock.advance(seconds=31)
    assert token(house, client_id, two, "two").status_code == 200
    assert token(house, client_id, one, "one").status_code == 401
    assert len(application.asked) == 2
    # A server that has nothing to say, when the keys are old.
    for status, body in ((503, b""), (200, b"<html>"), (200, b'{"keys": 1}')):
        application.status, application.body = status, body
        clock.advance(minutes=11)
        assert token(house, client_id, two, "two").json()["error"] == "invalid_client"
    application.publish(jwk_of(two, "two"))
    assert token(house, client_id, two, "two").status_code == 200


@pytest.mark.parametrize("how", ["network", "certificate"])
def test_a_server_outside_the_list_or_without_a_name_is_not_believed(  # noqa: PLR0917
    sqlite_database, audit, clock, application, certificate, how
):
    outbound = OutboundConfig(
        allowed_networks=["192.0.2.0/24" if how == "network" else "127.0.0.0/8"]
    )
    trust = trusting(outbound, certificate.read_text()) if how == "network" else None
    house = build(sqlite_database, audit=audit, clock=clock, trust=trust, outbound=outbound)
    key = ec.generate_private_key(ec.SECP256R1())
    application.publish(jwk_of(key, "one"))
    answer = token(house, register(house, application), key, "one")
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert application.asked == []


@pytest.mark.parametrize(("profile", "seconds"), [(None, 300), ("fapi2", 60)])
def test_a_code_of_a_fapi_client_lives_a_minute_whatever_the_setting_says(
    sqlite_database, audit, clock, profile, seconds
):
    oidc = OIDCConfig(code_seconds=300, signing_key="memory:object={name}")
    house = build(sqlite_database, audit=audit, clock=clock, oidc=oidc)
    house.user()
    browser = house.browser()
    log_in(browser)
    key = ec.generate_private_key(ec.SECP256R1())
    client, _ = house.client(
        auth_method=AuthMethod.PRIVATE_KEY_JWT,
        metadata=ClientMetadata(
            security_profile=profile,
            dpop_bound_access_tokens=True,
            jwks={"keys": [jwk_of(key, "one")]},
        ),
    )
    pushed, request = opaque.draw(PREFIX), flow(client.id)
    soon = clock.now() + timedelta(minutes=1)
    SQLPushedRequestStore(sqlite_database).add_pushed(
        PushedRequest(
            pushed.digest,
            client.id,
            tuple(request.parameters.items()),
            signed=False,
            expires_at=soon,
        )
    )
    short = flow(client.id)
    short.parameters.clear()
    short.parameters.update({"client_id": client.id, "request_uri": pushed.secret})
    code = answer_of(browser.get(short.path))["code"]
    found = SQLGrantStore(sqlite_database).find_code(opaque.digest(code))
    assert found.expires_at == clock.now() + timedelta(seconds=seconds)
