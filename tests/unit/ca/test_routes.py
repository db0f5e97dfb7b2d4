from __future__ import annotations

import csv
import subprocess
from io import BytesIO
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from openpyxl import load_workbook

from ca.exports import TABLE_TYPES
from core.identity import Role
from keystore.algorithms import KeyAlgorithm
from tests.unit.ca.conftest import URL
from tests.unit.ca.csrs import make_csr, pem
from tests.unit.ca.door import BODY, Asker, issued

_OCTETS = make_csr()
FORGED = pem(_OCTETS[:-1] + bytes((_OCTETS[-1] ^ 1,))).decode()
PATHS = [
    ("GET", "/requests"),
    ("GET", "/requests/x"),
    ("POST", "/requests"),
    ("POST", "/requests/x/approve"),
    ("POST", "/requests/x/reject"),
    ("GET", "/certificates"),
    ("GET", "/certificates/sm2-issuing/01"),
    ("POST", "/certificates/sm2-issuing/01/revoke"),
    ("POST", "/certificates/sm2-issuing/01/hold"),
    ("POST", "/certificates/sm2-issuing/01/release"),
    ("GET", "/organisations"),
    ("POST", "/organisations"),
    ("GET", "/rights"),
    ("POST", "/rights"),
    ("GET", "/review-rules"),
    ("POST", "/review-rules"),
    ("GET", "/issuers"),
    ("GET", "/profiles"),
]


def test_submit_approve_fetch_revoke(client: TestClient) -> None:
    answer = client.post("/requests", json=BODY)
    assert (answer.status_code, answer.json()["state"]) == (202, "pending")
    place = answer.headers["Location"].removeprefix("/api/v1")
    assert client.get(place).json() == answer.json()
    approved = client.post(f"{place}/approve").json()
    reference = approved["certificate"]
    certificate = f"/certificates/{reference['issuer']}/{reference['serial']}"
    assert client.get(certificate).json()["state"] == "issued"
    revoked = client.post(f"{certificate}/revoke", json={"reason": "keyCompromise"})
    assert revoked.json()["reason"] == "keyCompromise"
    assert client.post(f"{certificate}/release").status_code == 409


def test_reject_says_why(client: TestClient) -> None:
    place = f"/requests/{client.post('/requests', json=BODY).json()['id']}"
    answer = client.post(f"{place}/reject", json={"reason": "wrong department"})
    assert (answer.json()["state"], answer.json()["comment"]) == ("rejected", "wrong department")


def test_an_idempotency_key_with_another_body_is_409(client: TestClient) -> None:
    headers = {"Idempotency-Key": "k"}
    first = client.post("/requests", json=BODY, headers=headers)
    again = client.post("/requests", json={**BODY, "validity_days": None}, headers=headers)
    assert again.json() == first.json()
    other = client.post("/requests", json={**BODY, "validity_days": 3}, headers=headers)
    assert other.status_code == 409
    assert other.headers["content-type"] == "application/problem+json"


def test_subject_and_names_can_be_replaced(client: TestClient) -> None:
    place = issued(
        client,
        subject=[{"type": "CN", "value": "其他"}],
        alternative_names=["dns:other.test"],
        validity_days=7,
    )
    assert client.get(place).json()["subject"] == "CN=其他"
    assert b"other.test" in client.get(place, params={"format": "der"}).content


@pytest.mark.parametrize(
    ("form", "accept"),
    [
        ("pem", "application/x-pem-file"),
        ("der", "application/pkix-cert"),
        ("chain", "application/pem-certificate-chain"),
        ("p7c", "application/pkcs7-mime"),
    ],
)
def test_a_certificate_comes_in_every_form(client: TestClient, form: str, accept: str) -> None:
    place = issued(client)
    by_query = client.get(place, params={"format": form})
    by_header = client.get(place, headers={"Accept": f"{accept};q=0.9, */*"})
    assert by_query.content == by_header.content
    assert by_query.headers["content-type"] == accept


@pytest.mark.openssl
def test_openssl_reads_chain_and_pkcs7(client: TestClient, tmp_path: Path) -> None:
    csr = pem(make_csr(KeyAlgorithm.RSA_2048)).decode()
    place = issued(client, csr=csr, issuer="rsa-issuing")
    chain = client.get(place, params={"format": "chain"}).text
    assert chain.count("BEGIN CERTIFICATE") == 2
    (tmp_path / "c.p7c").write_bytes(client.get(place, params={"format": "p7c"}).content)
    shown = subprocess.run(
        ["openssl", "pkcs7", "-inform", "DER", "-in", "c.p7c", "-print_certs", "-noout"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert shown.count("subject=") == 3


def test_search_pages_and_filters(client: TestClient) -> None:
    places = [issued(client, subject=[{"type": "CN", "value": f"设备{n}"}]) for n in range(3)]
    page = client.get("/certificates", params={"limit": 2, "issuer": "sm2-issuing"}).json()
    assert [item["subject"] for item in page["items"]] == ["CN=设备2", "CN=设备1"]
    rest = client.get(
        "/certificates",
        params={"limit": 2, "issuer": "sm2-issuing", "cursor": page["next_cursor"]},
    ).json()
    assert [item["serial"] for item in rest["items"]] == [places[0].rpartition("/")[2]]
    soon = client.get("/certificates", params={"expires_within_days": 1}).json()
    assert soon["items"] == []


def test_the_table_is_complete_and_no_formula(client: TestClient, asker: Asker) -> None:
    issued(client, subject=[{"type": "CN", "value": "a,b"}])
    text = client.get("/certificates", params={"format": "csv"}).text
    rows = list(csv.DictReader(text.splitlines()))
    assert len(rows) == 5
    assert rows[0]["subject"] == "CN=a\\,b"


def test_the_workbook_holds_every_match_and_no_formula(client: TestClient) -> None:
    issued(client, subject=[{"type": "CN", "value": "=1+2"}])
    answer = client.get("/certificates", params={"format": "xlsx", "text": "2"})
    assert answer.headers["content-type"] == TABLE_TYPES["xlsx"]
    rows = list(load_workbook(BytesIO(answer.content)).active.iter_rows(values_only=True))
    assert rows[0][:3] == ("issuer", "serial", "state")
    assert [row[4] for row in rows[1:]] == ["CN==1\\+2"]
    assert all(cell is None or isinstance(cell, str) for row in rows for cell in row)
    assert all(not (cell or "").startswith("=") for row in rows for cell in row)


def test_a_workbook_that_would_be_too_long_is_refused(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ca.exports.MAX_SHEET_ROWS", 2)
    answer = client.get("/certificates", params={"format": "xlsx"})
    assert (answer.status_code, "csv" in answer.json()["detail"]) == (413, True)


@pytest.mark.parametrize(
    "criteria",
    [
        {"serial": "xyz"},
        {"cursor": "1-2-3"},
        {"text": "-"},
        {"expires_after": "2026-01-01T00:00:00"},
        {"nonsense": "1"},
    ],
)
def test_a_criterion_that_cannot_be_read_is_refused(
    refused: TestClient, criteria: dict[str, str]
) -> None:
    assert refused.get("/certificates", params=criteria).status_code == 400


def test_a_certificate_is_found_by_each_of_its_numbers(client: TestClient) -> None:
    serial = issued(client).rpartition("/")[2]
    (found,) = client.get("/certificates", params={"serial": serial.upper()}).json()["items"]
    for name in ("fingerprint", "spki_fingerprint"):
        colons = ":".join(found[name][at : at + 2] for at in range(0, 64, 2))
        asked = client.get("/certificates", params={name: colons}).json()
        assert found in asked["items"]
        assert {item[name] for item in asked["items"]} == {found[name]}


def test_a_table_that_cannot_be_made_is_an_error_and_not_half_a_table(client: TestClient) -> None:
    answer = client.get("/certificates", params={"format": "csv", "text": "\0"})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


def test_issuers_and_profiles_are_listed(client: TestClient, asker: Asker) -> None:
    asker.role = Role.SYSTEM
    issuers = {item["name"]: item for item in client.get("/issuers").json()}
    assert issuers["rsa-issuing"]["crl_url"] == f"{URL}/crl/rsa-issuing.crl"
    assert issuers["sm2-root"]["kind"] == "root"
    names = {item["name"] for item in client.get("/profiles").json()}
    assert {"device", "smime"} <= names
    assert not names & {"root", "issuing-ca", "ocsp-signer"}


@pytest.fixture
def caller(lasting_app: FastAPI) -> Asker:
    return Asker(lasting_app)


@pytest.fixture
def refused(caller: Asker) -> TestClient:
    """A client of one API for all: nothing is changed through it."""
    return TestClient(caller, base_url="http://testserver/api/v1")


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_nobody_comes_in_without_authentication(
    refused: TestClient, caller: Asker, method: str, path: str
) -> None:
    caller.anonymous = True
    assert refused.request(method, path).status_code == 401


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_the_auditor_reads_and_changes_nothing(
    refused: TestClient, caller: Asker, method: str, path: str
) -> None:
    caller.role = Role.AUDIT
    status = refused.request(method, path).status_code
    assert status in ((403,) if method == "POST" else (200, 404))


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_a_person_without_a_role_does_nothing(
    refused: TestClient, caller: Asker, method: str, path: str
) -> None:
    caller.role = None
    assert refused.request(method, path).status_code == 403


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"csr": "x"}, 400, "not valid DER"),
        ({"csr": FORGED}, 422, "does not verify under its own public key"),
        ({"csr": "x" * 90_001}, 400, "at most 90000"),
        ({"profile": "nothing"}, 404, "no profile"),
        ({"issuer": "sm2-root"}, 422, "is root"),
        ({"extra": 1}, 400, "Extra inputs"),
        ({"subject": []}, 422, "requires CN"),
        ({"alternative_names": ["dns:*"]}, 422, "not a DNS name"),
        ({"validity_days": 4000}, 422, "1 to 1095"),
    ],
)
def test_a_bad_submission_is_a_problem_that_says_what(
    refused: TestClient, changes, status: int, words: str
) -> None:
    answer = refused.post("/requests", json={**BODY, **changes})
    assert answer.status_code == status
    assert words in answer.json()["detail"]


def test_a_serial_that_is_no_serial_is_malformed(refused: TestClient) -> None:
    assert refused.get("/certificates/sm2-issuing/xyz").status_code == 400
    assert refused.get("/certificates/sm2-issuing/00").status_code == 404


def test_the_description_has_examples_and_problems(refused: TestClient) -> None:
    paths = refused.get("http://testserver/openapi.json").json()["paths"]
    for path, operations in paths.items():
        for operation in operations.values():
            assert operation["summary"], path
    submit = paths["/api/v1/requests"]["post"]
    assert "application/problem+json" in submit["responses"]["409"]["content"]
