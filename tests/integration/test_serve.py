"""The service as its administrator starts, stops, restarts and breaks it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPSConnection
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from cryptography import x509

from tests import forked
from tests.hosts import Caller, knock
from tests.service import Service, yinxin


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    running = Service(tmp_path_factory.mktemp("serve") / "var", fresh=True).start()
    yield running
    if running.process is not None:
        running.stop()


def call(service: Service, path: str, token: str | None = None, **how) -> tuple[int, bytes]:
    """Ask over https and return status and body, whatever the status."""
    context = ssl.create_default_context(cafile=service.root)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with closing(
        HTTPSConnection("localhost", service.https_port, context=context, timeout=60)
    ) as connection:
        connection.request(how.get("method", "GET"), path, body=how.get("body"), headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()


def is_open(path: str) -> bool:
    """What needs no login: logging in, and what proves itself by codes or by a key."""
    return "/login/certificate" in path or path in {"/api/v1/pickup", "/api/v1/renewal"}


def plain(service: Service, path: str) -> bytes:
    with urlopen(f"{service.revocation_url}{path}", timeout=60) as answer:
        return answer.read()


# ---- the first start ----------------------------------------------------------------------------


def test_the_first_start_makes_two_hierarchies_and_serves_their_crls(service: Service) -> None:
    for name, parent in (("sm2-issuing", "sm2-root"), ("rsa-issuing", "rsa-root")):
        certificate = x509.load_der_x509_certificate(plain(service, f"/ca/{name}.cer"))
        above = x509.load_der_x509_certificate(plain(service, f"/ca/{parent}.cer"))
        assert certificate.issuer == above.subject
        for issuer in (name, parent):
            crl = x509.load_der_x509_crl(plain(service, f"/crl/{issuer}.crl"))
            assert list(crl) == []


def test_every_issuer_has_a_delegated_ocsp_signer(service: Service) -> None:
    listed = service.yinxin("key")
    for issuer in ("sm2-root", "sm2-issuing", "rsa-root", "rsa-issuing"):
        assert f"software:object=ocsp-{issuer}-" in listed


def test_three_set_up_links_are_printed_once_and_no_password_exists(service: Service) -> None:
    said = service.log.read_text()
    links = re.findall(rf"{service.url}/setup/\S+", said)
    assert len(set(links)) == len(links) == 3
    users = [line.split("\t")[:3] for line in service.yinxin("user", "list").splitlines()]
    assert sorted(users) == [
        ["audit", "audit", "no password"],
        ["business", "business", "no password"],
        ["system", "system", "no password"],
    ]


def test_the_state_is_private(service: Service) -> None:
    assert service.state.stat().st_mode & 0o777 == 0o700
    assert (service.state / "yinxin.sqlite3").stat().st_mode & 0o777 == 0o600
    for key in (service.state / "keystore").iterdir():
        assert key.stat().st_mode & 0o777 == 0o600
    passphrase = (service.state / "passphrase").read_text().strip()
    assert passphrase not in service.log.read_text()
    assert b"PRIVATE KEY" not in b"".join(
        path.read_bytes() for path in service.state.rglob("*") if path.is_file()
    )


def test_the_discovery_document_and_the_openapi_document_are_open(service: Service) -> None:
    status, body = call(service, "/.well-known/openid-configuration")
    assert status == 200
    assert json.loads(body)["issuer"] == service.url
    status, body = call(service, "/api/openapi.json")
    assert status == 200
    assert "/api/v1/requests" in json.loads(body)["paths"]


def test_nothing_but_the_open_pages_answers_without_a_token(service: Service) -> None:
    paths = json.loads(call(service, "/api/openapi.json")[1])["paths"]
    doors = [
        (method.upper(), re.sub(r"\{[^}]*\}", "0", path))
        for path, methods in paths.items()
        if path.startswith(("/api/", "/metrics")) and not is_open(path)
        for method in methods
    ]
    assert len(doors) > 20
    context = ssl.create_default_context(cafile=service.root)
    with closing(
        HTTPSConnection("localhost", service.https_port, context=context, timeout=60)
    ) as connection:
        for method, path in doors:
            connection.request(method, path)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 401, (method, path)
    assert call(service, "/api/v1/certificates", "yx_" + "x" * 43)[0] == 401


def test_roles_open_their_own_doors_only(service: Service) -> None:
    """The matrix of roles and endpoints; a new endpoint must be added here to be merged."""
    s, b, a, k, j = "system", "business", "audit", "key", "judicial"
    for role in (k, j):
        service.yinxin("user", "create", role, "--display-name", role, "--role", role)
    allowed = {
        "GET /api/v1/requests/{request_id}/pair": {b},
        "POST /api/v1/requests/{request_id}/pair/pkcs12": {b},
        "GET /api/v1/pairs/key-management-identity": {b, a},
        "POST /api/v1/requests/{request_id}/recovery": {b},
        "GET /api/v1/key-management/pools": {k, a},
        "POST /api/v1/key-management/recoveries": {j},
        "GET /api/v1/key-management/recoveries": {k, b, j, a},
        "GET /api/v1/key-management/recoveries/{recovery_id}": {k, b, j, a},
        "POST /api/v1/key-management/recoveries/{recovery_id}/approve": {k},
        "POST /api/v1/key-management/recoveries/{recovery_id}/reject": {k},
        "POST /api/v1/key-management/recoveries/{recovery_id}/deliver": {b, j},
        "GET /api/v1/requests": {b, a},
        "POST /api/v1/requests": {b},
        "GET /api/v1/requests/{request_id}": {b, a},
        "POST /api/v1/requests/{request_id}/approve": {b},
        "POST /api/v1/requests/{request_id}/reject": {b},
        "POST /api/v1/requests/{request_id}/make": {b},
        "POST /api/v1/requests/{request_id}/pickup-resend": {b},
        "POST /api/v1/certificates/{issuer}/{serial}/report-lost": {b},
        "GET /api/v1/certificates/{issuer}/{serial}/history": {b, a},
        "GET /api/v1/my/certificates": {s, b, a, k, j},
        "GET /api/v1/my/certificates/{issuer}/{serial}/recoveries": {s, b, a, k, j},
        "POST /api/v1/my/certificates/{issuer}/{serial}/report-lost": {s, b, a, k, j},
        "POST /api/v1/certificates/{issuer}/{serial}/renew": {b},
        "POST /api/v1/certificates/{issuer}/{serial}/rekey": {b},
        "POST /api/v1/certificates/{issuer}/{serial}/reissue": {b},
        "GET /api/v1/certificates": {b, a},
        "GET /api/v1/certificates/{issuer}/{serial}": {b, a},
        "POST /api/v1/certificates/{issuer}/{serial}/revoke": {b},
        "POST /api/v1/certificates/{issuer}/{serial}/hold": {b},
        "POST /api/v1/certificates/{issuer}/{serial}/release": {b},
        "GET /api/v1/organisations": {s, b, a},
        "POST /api/v1/organisations": {b},
        "GET /api/v1/organisations/{organisation_id}": {s, b, a},
        "POST /api/v1/organisations/{organisation_id}/rename": {b},
        "POST /api/v1/organisations/{organisation_id}/move": {b},
        "POST /api/v1/organisations/{organisation_id}/close": {b},
        "GET /api/v1/rights": {b, a},
        "POST /api/v1/rights": {b},
        "DELETE /api/v1/rights/{right_id}": {b},
        "GET /api/v1/subjects": {b, a},
        "POST /api/v1/subjects": {b},
        "POST /api/v1/subjects/find": {b, a},
        "GET /api/v1/subjects/{subject_id}": {b, a},
        "POST /api/v1/subjects/{subject_id}/update": {b},
        "POST /api/v1/subjects/{subject_id}/move": {b},
        "GET /api/v1/statistics": {b, a},
        "GET /api/v1/statistics/overview": {b, a},
        "GET /api/v1/traffic": {s, b, a},
        "GET /api/v1/settings": {s, a},
        "GET /api/v1/bulk": {b, a},
        "POST /api/v1/bulk": {b},
        "GET /api/v1/bulk/{batch_id}": {b, a},
        "GET /api/v1/bulk/{batch_id}/items": {b, a},
        "POST /api/v1/bulk/{batch_id}/submit": {b},
        "POST /api/v1/bulk/{batch_id}/approve": {b},
        "POST /api/v1/bulk/{batch_id}/reject": {b},
        "POST /api/v1/bulk/{batch_id}/pause": {b},
        "POST /api/v1/bulk/{batch_id}/resume": {b},
        "POST /api/v1/bulk/{batch_id}/cancel": {b},
        "POST /api/v1/bulk/{batch_id}/package": {b},
        "POST /api/v1/bulk/{batch_id}/confirm": {b},
        "GET /api/v1/review-rules": {b, a},
        "POST /api/v1/review-rules": {b},
        "DELETE /api/v1/review-rules/{rule_id}": {b},
        "GET /api/v1/issuers": {s, b, a},
        "GET /api/v1/profiles": {s, b, a},
        "GET /api/v1/notices": {b, a},
        "GET /api/v1/publication": {s, a},
        "POST /api/v1/publication/retry": {s},
        "GET /api/v1/audit/events": {a},
        "GET /api/v1/audit/verification": {a},
        "GET /metrics": {s, a},
        "GET /api/v1/health-checks": {s, a},
        "GET /api/v1/revocation-status": {s, b, a},
        "POST /api/v1/profiles": {s},
        "GET /api/v1/profiles/{name}/versions": {s, b, a},
        "POST /api/v1/mass-revocations/preview": {b},
        "POST /api/v1/mass-revocations": {b},
        "GET /api/v1/mass-revocations": {b, a},
        "GET /api/v1/mass-revocations/{job_id}": {b, a},
        "POST /api/v1/blocked-keys": {b},
        "GET /api/v1/blocked-keys": {b, a},
        "GET /api/v1/proposals": {s, b, k, a},
        "GET /api/v1/proposals/{proposal_id}": {s, b, k, a},
        "POST /api/v1/proposals/{proposal_id}/approve": {s, b, k},
        "POST /api/v1/proposals/{proposal_id}/reject": {s, b, k},
        "POST /api/v1/clients": {s},
        "GET /api/v1/clients": {s, a},
        "GET /api/v1/clients/{client_id}": {s, a},
        "DELETE /api/v1/clients/{client_id}": {s},
        "POST /api/v1/users": {s},
        "GET /api/v1/users": {s, a},
        "GET /api/v1/users/{user_id}": {s, a},
        "POST /api/v1/users/{user_id}/role": {s},
        "POST /api/v1/users/{user_id}/credential": {s},
        "GET /api/v1/signing-keys": {s, a},
        "POST /api/v1/signing-keys/rotate": {s},
        "POST /api/v1/users/{user_id}/setup-link": {s},
        "POST /api/v1/users/{user_id}/end-sessions": {s},
        "GET /api/v1/sessions": {s, a},
        "POST /api/v1/sessions/{sid}/end": {s},
        "POST /api/v1/sessions/of-application/{client_id}/end": {s},
        "GET /api/v1/logout-queue": {s, a},
        "POST /api/v1/logout-queue/{client_id}/retry": {s},
        "POST /api/v1/logout-queue/{client_id}/drop": {s},
        "GET /api/v1/ceremonies": {s, a},
        "POST /api/v1/ceremonies/verify": {s, a},
        "POST /api/v1/users/{user_id}/disable": {s},
        "POST /api/v1/users/{user_id}/enable": {s},
        "POST /api/v1/certificate-bindings": {s},
        "GET /api/v1/certificate-bindings": {s, a},
        "DELETE /api/v1/certificate-bindings/{binding_id}": {s},
        "DELETE /api/v1/affiliations/{affiliation_id}": {s},
        "DELETE /api/v1/registration-tokens/{token_id}": {s},
        "GET /api/v1/clients/{client_id}/access": {s, a},
        "GET /api/v1/clients/{client_id}/trial": {s, a},
        "GET /api/v1/registration-tokens": {s},
        "GET /api/v1/users/{user_id}/affiliations": {s, a},
        "POST /api/v1/clients/{client_id}/secret": {s},
        "POST /api/v1/registration-tokens": {s},
        "POST /api/v1/users/{user_id}/affiliations": {s},
        "PUT /api/v1/clients/{client_id}": {s},
        "PUT /api/v1/clients/{client_id}/access": {s},
        "PUT /api/v1/users/{user_id}/real-name": {s},
        "PUT /api/v1/users/{user_id}/contact": {s},
        "POST /api/v1/users/{user_id}/reset-factors": {s},
        "GET /api/v1/whoami": {s, b, a, k, j},
    }
    paths = json.loads(call(service, "/api/openapi.json")[1])["paths"]
    published = {
        f"{method.upper()} {path}"
        for path, methods in paths.items()
        for method in methods
        if path.startswith(("/api/", "/metrics")) and not is_open(path)
    }
    assert published == set(allowed)
    for role in (s, b, a, k, j):
        for endpoint, forbidden in knock(Caller(service, role), sorted(allowed)).items():
            assert forbidden == (role not in allowed[endpoint]), (endpoint, role)


def test_ready_and_healthy_are_said_on_both_listeners(service: Service) -> None:
    assert call(service, "/readyz")[0] == 200
    assert json.loads(plain(service, "/healthz")) == {"status": "ok"}


def test_a_body_over_the_limit_is_refused(service: Service) -> None:
    token = service.token()
    status, body = call(service, "/api/v1/requests", token, method="POST", body=b"x" * 300_000)
    assert status == 413
    assert json.loads(body)["type"] == "urn:yinxin:problem:too-large"


# ---- certificates as identity -------------------------------------------------------------------


def issue(service: Service, work: Path, name: str) -> tuple[Path, str]:
    """Give `name` a certificate for logging in; return PEM with key, and the serial."""
    key, csr = work / f"{name}.key", work / f"{name}.csr"
    subprocess.run(
        ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", key, "-out", csr, "-subj", f"/C=CN/O=Test/CN={name}"],
        check=True, capture_output=True,
    )  # fmt: skip
    token = work / "token"
    token.write_text(service.token())
    asked = json.loads(
        service.yinxin(
            "request", "submit", csr, "--profile", "person-authentication",
            "--issuer", "rsa-issuing", "--token-file", token,
        )
    )  # fmt: skip
    made = json.loads(service.yinxin("request", "approve", asked["id"], "--token-file", token))
    serial = made["certificate"]["serial"]
    pem = service.yinxin("certificate", "fetch", "rsa-issuing", serial, "--token-file", token)
    both = work / f"{name}.pem"
    both.write_text(f"{pem}\n{key.read_text()}")
    return both, serial


def whoami(service: Service, certificate: Path | None, **headers: str) -> tuple[int, dict]:
    context = ssl.create_default_context(cafile=service.root)
    if certificate is not None:
        context.load_cert_chain(certificate)
    with closing(
        HTTPSConnection("localhost", service.mutual_tls_port, context=context, timeout=60)
    ) as connection:
        connection.request("GET", "/api/v1/whoami", headers=headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def test_a_client_certificate_is_an_identity_until_it_is_revoked(
    service: Service, tmp_path: Path
) -> None:
    certificate, serial = issue(service, tmp_path, "wang")
    assert whoami(service, certificate)[0] == 401, "not bound to anybody yet"
    service.yinxin("user", "create", "wang", "--display-name", "王", "--role", "business")
    service.yinxin("user", "bind-certificate", "wang", certificate)
    status, said = whoami(service, certificate)
    assert (status, said["name"], said["method"]) == (200, "wang", "certificate")
    token = tmp_path / "token"
    root = json.loads(service.yinxin("organisation", "list", "--token-file", token))["items"][0]
    service.yinxin(
        "right", "grant", "wang", root["id"], "--operation", "query", "--token-file", token
    )
    listed = service.yinxin(
        "certificate", "list", "--text", "wang", "--client-certificate", certificate,
        "--server", f"https://localhost:{service.mutual_tls_port}",
    )  # fmt: skip
    assert json.loads(listed)["items"][0]["serial"] == serial

    service.yinxin(
        "certificate", "revoke", "rsa-issuing", serial, "--reason", "keyCompromise",
        "--token-file", token,
    )  # fmt: skip
    assert whoami(service, certificate)[0] == 401
    crl = x509.load_der_x509_crl(plain(service, "/crl/rsa-issuing.crl"))
    assert crl.get_revoked_certificate_by_serial_number(int(serial, 16)) is not None


def test_the_machines_listener_wants_a_certificate_and_believes_no_header(
    service: Service, tmp_path: Path
) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):
        whoami(service, None)
    stranger = tmp_path / "stranger.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", stranger,
         "-out", tmp_path / "crt", "-subj", "/CN=system", "-days", "2"],
        check=True, capture_output=True,
    )  # fmt: skip
    stranger.write_text(stranger.read_text() + (tmp_path / "crt").read_text())
    with pytest.raises((ssl.SSLError, ConnectionError)):
        whoami(service, stranger)
    forged = "".join((service.state / "trust" / "rsa-issuing.pem").read_text().split("\n")[1:-2])
    request = Request(f"{service.url}/api/v1/whoami", headers={"X-Client-Certificate": forged})
    with pytest.raises(HTTPError, match="401") as refused:
        urlopen(request, context=ssl.create_default_context(cafile=service.root))
    refused.value.close()


# ---- audit --------------------------------------------------------------------------------------


def test_the_audit_log_is_whole_and_names_a_row_that_somebody_changed(service: Service) -> None:
    assert service.yinxin("audit", "verify").startswith("whole: ")
    token = service.token("audit")
    status, body = call(service, "/api/v1/audit/verification", token)
    assert status == 200
    assert json.loads(body)["whole"] is True
    events = json.loads(call(service, "/api/v1/audit/events?limit=1000", token)[1])
    actions = {event["action"] for event in events}
    assert {
        "issuer.created",
        "certificate.signing",
        "certificate.issued",
        "user.created",
    } <= actions


# ---- stopping and starting again ----------------------------------------------------------------


def test_a_second_start_uses_the_same_state_and_prints_no_link(service: Service) -> None:
    before = plain(service, "/ca/sm2-root.cer")
    keys = service.yinxin("key")
    jwks = call(service, "/oidc/jwks")[1]
    said = len(service.log.read_text())
    assert service.stop() == 0
    service.fresh = (
        False  # importing everything was shown by the first start, and costs five seconds
    )
    service.start()
    assert plain(service, "/ca/sm2-root.cer") == before
    assert service.yinxin("key") == keys
    assert call(service, "/oidc/jwks")[1] == jwks
    assert "/setup/" not in service.log.read_text()[said:]


def test_a_second_process_on_the_same_state_is_refused(service: Service) -> None:
    ports = {
        "YINXIN_SERVER__HTTPS_PORT": "1",
        "YINXIN_SERVER__MUTUAL_TLS_PORT": "1",
        "YINXIN_SERVER__HTTP_PORT": "1",
    }
    done = yinxin("--state", service.state, "serve", environment=ports, check=False)
    assert_one_sentence(done, "another yinxin")


def assert_one_sentence(done: subprocess.CompletedProcess[str], words: str) -> None:
    assert done.returncode == 1
    assert words in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Service:
    running = Service(tmp_path_factory.mktemp("stopped") / "var").start()
    running.stop()
    return running


def refuse(service: Service, words: str, **environment: str) -> None:
    done = yinxin(
        "--state", service.state, "serve",
        environment=service.environment | environment, check=False,
    )  # fmt: skip
    assert_one_sentence(done, words)


def test_a_busy_port_is_one_sentence(stopped: Service) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = str(busy.getsockname()[1])
        refuse(stopped, f"port {port}", YINXIN_SERVER__HTTP_PORT=port)


def test_a_wrong_passphrase_is_one_sentence_and_touches_nothing(stopped: Service) -> None:
    keystore = stopped.state / "keystore"
    before = {path: path.read_bytes() for path in keystore.iterdir()}
    refuse(stopped, "passphrase", YINXIN_PASSPHRASE="not the one")
    assert {path: path.read_bytes() for path in keystore.iterdir()} == before


def test_a_damaged_key_is_one_sentence(stopped: Service) -> None:
    key = stopped.state / "keystore" / "sm2-issuing.key"
    whole = key.read_bytes()
    key.write_bytes(whole[:-40])
    try:
        refuse(stopped, "sm2-issuing")
    finally:
        key.write_bytes(whole)


def test_a_state_from_a_newer_release_is_one_sentence(stopped: Service) -> None:
    import sqlite3

    def set_version(version: str) -> str:
        with sqlite3.connect(stopped.state / "yinxin.sqlite3") as connection:
            (old,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            connection.execute("UPDATE alembic_version SET version_num = ?", (version,))
        connection.close()
        return old

    old = set_version("9999")
    try:
        refuse(stopped, "newer release")
    finally:
        set_version(old)


def test_an_unusable_directory_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert_one_sentence(yinxin("--state", tmp_path / "file" / "var", "serve", check=False), "file")
    assert_one_sentence(
        yinxin("--state", tmp_path / "none", "user", "list", check=False), "holds no state"
    )


def test_an_unknown_setting_is_one_sentence(stopped: Service) -> None:
    refuse(stopped, "server.colour", YINXIN_SERVER__COLOUR="red")


def test_a_first_start_that_is_killed_is_finished_by_the_next(tmp_path: Path) -> None:
    service = Service(tmp_path / "var")
    words = ["--state", str(service.state), "serve"]
    for seconds in (0.4, 0.8, 1.2, 1.6, 2.0):
        process = forked.Forked(
            words, os.environ | service.environment, said=service.log, errors=service.log
        )
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        process.kill()
        process.wait(60)
    service.start()
    try:
        assert service.yinxin("audit", "verify").startswith("whole: ")
        users = {line.split("\t")[0] for line in service.yinxin("user", "list").splitlines()}
        assert users == {"system", "business", "audit"}
        assert service.yinxin("user", "setup-link", "audit").startswith(f"{service.url}/setup/")
        for name in ("sm2-issuing", "rsa-issuing"):
            x509.load_der_x509_crl(plain(service, f"/crl/{name}.crl"))
    finally:
        assert service.stop() == 0
