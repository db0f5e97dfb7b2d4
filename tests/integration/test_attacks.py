"""What strangers and administrators may send to the running service: an answer, never a fault.

On PostgreSQL, which is the stricter of the two databases about what it stores.
"""

from __future__ import annotations

import json
import secrets
import socket
import ssl
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.request import HTTPErrorProcessor, HTTPSHandler, Request, build_opener

import pytest

from keystore.algorithms import KeyAlgorithm
from tests.postgres import fresh_database
from tests.service import Service
from tests.unit.ca.csrs import make_csr, pem

pytestmark = pytest.mark.postgres

CSR = make_csr(KeyAlgorithm.RSA_3072)
BODY = {"csr": pem(CSR).decode(), "profile": "device", "issuer": "rsa-issuing"}
FORGED = {**BODY, "csr": pem(CSR[:-1] + bytes((CSR[-1] ^ 1,))).decode()}
ANSWER = {"nonce": "n", "certificate": "MAA=", "signature": "AA=="}
JSON, FORM = "application/json", "application/x-www-form-urlencoded"


class _NoRedirect(HTTPErrorProcessor):
    def http_response(self, request, response):
        return response

    https_response = http_response


@dataclass
class Target:
    service: Service
    tokens: dict[str, str]

    def __post_init__(self) -> None:
        self.context = ssl.create_default_context(cafile=self.service.root)
        self.opener = build_opener(HTTPSHandler(context=self.context), _NoRedirect)

    def call(self, method: str, path: str, body=None, *, role: str | None = None, kind: str = JSON):
        headers = {"Content-Type": kind}
        if role is not None:
            headers["Authorization"] = f"Bearer {self.tokens[role]}"
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = Request(self.service.url + path, data=data, headers=headers, method=method)
        with self.opener.open(request, timeout=30) as answer:
            return answer.status, answer.headers.get_content_type(), answer.read()

    def raw(self, octets: bytes) -> bytes:
        """Send octets as they are; return what comes until the server closes."""
        port = self.service.https_port
        with (
            socket.create_connection(("localhost", port), timeout=60) as plain,
            self.context.wrap_socket(plain, server_hostname="localhost") as sock,
        ):
            sock.sendall(octets)
            heard = bytearray()
            while part := sock.recv(65536):
                heard += part
        return bytes(heard)


@pytest.fixture(scope="module")
def target(tmp_path_factory, postgres_url: str) -> Iterator[Target]:
    url = fresh_database(postgres_url, f"attacked{secrets.token_hex(4)}")
    state = tmp_path_factory.mktemp("attacked") / "state"
    service = Service(state, {"YINXIN_DATABASE__URL": url}).start()
    yield Target(service, {role: service.token(role) for role in ("system", "business", "audit")})
    service.stop()


def _user(**changes):
    return {"name": f"u{secrets.token_hex(4)}", "display_name": "U"} | changes


ODD = [
    ("business", "POST", "/api/v1/requests", FORGED, 422),
    ("business", "POST", "/api/v1/requests", {**BODY, "profile": "root"}, 422),
    ("business", "POST", "/api/v1/requests", {**BODY, "profile": "issuing-ca"}, 422),
    ("business", "POST", "/api/v1/requests", {**BODY, "profile": "ocsp-signer"}, 422),
    ("business", "POST", "/api/v1/requests", {**BODY, "issuer": "rsa-root"}, 422),
    ("business", "POST", "/api/v1/requests", {**BODY, "csr": "\ud800"}, 400),
    ("business", "POST", "/api/v1/requests", b"[" * 100_000, 400),
    ("business", "POST", "/api/v1/requests", b'{"validity_days":' + b"9" * 5000 + b"}", 400),
    ("business", "POST", "/api/v1/requests", b'{"validity_days":1e999}', 400),
    ("business", "POST", "/api/v1/requests", b"x" * 300_000, 413),
    ("business", "POST", "/api/v1/requests/%00/approve", None, 400),
    ("business", "POST", "/api/v1/requests/%00/reject", {"reason": "a"}, 400),
    ("business", "POST", "/api/v1/certificates/%00/01/hold", None, 400),
    ("audit", "GET", "/api/v1/certificates?text=%00", None, 400),
    ("audit", "GET", "/api/v1/certificates?format=csv&text=%00", None, 400),
    ("audit", "GET", "/api/v1/audit/events?actor=%00", None, 400),
    ("audit", "GET", f"/api/v1/audit/events?after={1 << 63}", None, 400),
    ("system", "GET", "/api/v1/clients/%00", None, 400),
    ("system", "DELETE", "/api/v1/certificate-bindings/%00", None, 400),
    ("system", "POST", "/api/v1/users", _user(display_name="a\0b"), 400),
    ("system", "POST", "/api/v1/users", _user(email="a\0@b"), 400),
    ("system", "POST", "/api/v1/users/%00/disable", None, 400),
    (None, "GET", "/api/v1/requests", None, 401),
    (None, "TRACE", "/api/v1/requests", None, 405),
    (None, "POST", "/api/v1/login/certificate", {**ANSWER, "nonce": "\0"}, 401),
]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: f"{odd[1]} {odd[2]} {odd[4]}")
def test_an_odd_call_of_the_api_is_a_problem_of_the_caller(target: Target, odd) -> None:
    role, method, path, body, status = odd
    found, kind, said = target.call(method, path, body, role=role)
    assert (found, kind) == (status, "application/problem+json"), said


@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [
        ("/oidc/authorize?client_id=%00", None, "text/html"),
        ("/oidc/logout?client_id=%00&post_logout_redirect_uri=x", None, "text/html"),
        ("/setup/%00", None, "text/html"),
        ("/login", b"a=%ff", "text/html"),
        ("/oidc/token", b"grant_type=x&client_id=%00&client_secret=x", JSON),
        ("/oidc/token", b"\xff", JSON),
    ],
)
def test_an_odd_visit_is_answered_in_its_own_language(
    target: Target, path: str, body: bytes | None, kind: str
) -> None:
    method = "GET" if body is None else "POST"
    status, found, said = target.call(method, path, body, kind=FORM)
    assert 400 <= status < 500, said
    assert found == kind


def test_a_forged_certificate_is_not_bound(target: Target) -> None:
    pem_text = target.service.root.read_text()
    octets = bytearray(ssl.PEM_cert_to_DER_cert(pem_text))
    octets[-1] ^= 1
    users = json.loads(target.call("GET", "/api/v1/users", role="system")[2])
    body = {"user_id": users[0]["id"], "certificate": b64encode(octets).decode()}
    assert target.call("POST", "/api/v1/certificate-bindings", body, role="system")[0] == 422


def test_two_lengths_do_not_smuggle_a_second_request(target: Target) -> None:
    heard = target.raw(
        b"POST /oidc/token HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    )
    assert heard.startswith(b"HTTP/1.1 400")
    assert heard.count(b"HTTP/1.1") == 1


def test_an_address_in_a_header_is_not_believed(target: Target) -> None:
    body = json.dumps(ANSWER).encode()
    heard = target.raw(
        b"POST /api/v1/login/certificate HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        b"Content-Type: application/json\r\nX-Forwarded-For: 203.0.113.9\r\n"
        b"Forwarded: for=203.0.113.9\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    )
    assert heard.startswith(b"HTTP/1.1 401")
    path = "/api/v1/audit/events?action=login.failed"
    events = json.loads(target.call("GET", path, role="audit")[2])
    assert {event["detail"]["address"] for event in events} == {"127.0.0.1"}


def test_a_hundred_approvals_at_once_give_one_certificate(target: Target) -> None:
    said = target.call("POST", "/api/v1/requests", BODY, role="business")[2]
    place = f"/api/v1/requests/{json.loads(said)['id']}"

    def approve(_: int) -> int:
        return target.call("POST", f"{place}/approve", role="business")[0]

    with ThreadPoolExecutor(100) as threads:
        statuses = set(threads.map(approve, range(100)))
    assert 200 in statuses
    assert statuses <= {200, 409}
    events = json.loads(target.call("GET", "/api/v1/audit/events?limit=1000", role="audit")[2])
    reference = json.loads(target.call("GET", place, role="audit")[2])["certificate"]
    issued = [e for e in events if e["action"] == "certificate.issued"]
    assert [e["detail"]["serial"] for e in issued].count(reference["serial"]) == 1
    approvals = [e for e in events if e["action"] == "request.approved"]
    assert len(approvals) == 1


def test_no_secret_is_left_lying_about(target: Target) -> None:
    service = target.service
    secrets_known = [*target.tokens.values(), (service.state / "passphrase").read_text().strip()]
    started = service.log.read_text()
    after_start = started[started.index("Ready.") :]
    files = [p for p in service.state.rglob("*") if p.is_file() and p.name != "passphrase"]
    places = [after_start.encode(), *(path.read_bytes() for path in files)]
    rows = target.call("GET", "/api/v1/audit/events?limit=1000", role="audit")[2]
    for secret in secrets_known:
        assert not any(secret.encode() in octets for octets in (*places, rows))
    assert not any(b"PRIVATE KEY" in octets for octets in places)
    assert b"internal error" not in after_start.encode()
