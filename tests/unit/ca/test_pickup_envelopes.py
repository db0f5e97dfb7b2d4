"""The encryption key of a pair, picked up by two codes in every dialect that its profile allows."""

from __future__ import annotations

from base64 import b64decode, b64encode

import pytest
from fastapi.testclient import TestClient

from keystore import pem as keypem
from keystore import sm2
from keystore.dialects import Dialect
from keystore.envelope import decode_enveloped_key, open_envelope
from keystore.escrow.identity import seal_password
from tests.unit.ca.conftest import Authority
from tests.unit.ca.csrs import make_csr, pem
from tests.unit.ca.test_csr import OTHER, public_key_bits, temporary_key

CSR = pem(make_csr()).decode()
DOUBLE = pem(make_csr(attributes=temporary_key(public_key_bits(OTHER.public_key)))).decode()
PASSWORD = "a Password of 25 letters!"


@pytest.fixture
def authority(authority: Authority) -> Authority:
    """A profile that allows every dialect of SM2 keys, and one that allows SKF alone."""
    every = tuple(one for one in Dialect if one is not Dialect.ENVELOPED_DATA)
    signing = authority.profiles["device-dual-signing"]
    for name, allowed in (("all", every), ("skf", (Dialect.SKF,))):
        changed = {"name": name, "envelopes": allowed, "needs_approval": False}
        authority.profiles[name] = signing.model_copy(update=changed)
    return authority


def offered(client: TestClient, profile: str) -> dict[str, str]:
    subject = [{"type": "CN", "value": "gateway.example.test"}]
    body = {"profile": profile, "issuer": "sm2-issuing", "subject": subject}
    answer = client.post("/requests", json=body)
    assert answer.status_code == 202, answer.text
    codes = answer.json()["codes"]
    return {"reference": codes["reference"], "code": codes["code"]}


def test_every_dialect_of_the_profile_is_given_for_the_same_codes(client: TestClient) -> None:
    codes = offered(client, "all")
    given = client.post("/pickup", json={**codes, "csr": CSR}).json()
    assert given["state"] == "issued"
    wanted = [one for one in Dialect if one not in (Dialect.CFCA, Dialect.ENVELOPED_DATA)]
    assert set(given["envelopes"]) == set(wanted)
    seen = set()
    for dialect in wanted:
        body = {**codes, "csr": CSR, "format": dialect}
        if dialect is Dialect.PKCS12:
            sealed = seal_password(
                PASSWORD,
                transport_key=keypem.public_key_of_pem(given["transport_key"]),
                request_id=given["request"],
            )
            body["sealed_password"] = b64encode(sealed).decode()
        answer = client.post("/pickup", json=body)
        assert answer.status_code == 200, answer.text
        assert answer.json()["certificate"] == given["certificate"]
        seen.add(b64decode(answer.json()["envelope"]))
        if dialect is Dialect.PKCS12:
            again = client.post("/pickup", json=body)
            assert (again.status_code, "handed over" in again.text) == (409, True)
    assert len(seen) == len(wanted)


def test_what_the_profile_does_not_allow_is_refused_before_anything_is_issued(
    client: TestClient, authority: Authority
) -> None:
    codes = offered(client, "skf")
    answer = client.post("/pickup", json={**codes, "csr": CSR, "format": "csrresponse"})
    assert (answer.status_code, "can be fetched as skf" in answer.text) == (422, True)
    answer = client.post("/pickup", json={**codes, "csr": DOUBLE, "format": "cfca"})
    assert (answer.status_code, "leave the temporary public key out" in answer.text) == (422, True)
    assert client.get("/certificates?profile=skf").json()["items"] == []
    answer = client.post("/pickup", json={**codes, "csr": CSR, "format": "skf"})
    assert (answer.status_code, len(b64decode(answer.json()["envelope"]))) == (200, 388)


def test_one_certificate_has_no_envelope(client: TestClient) -> None:
    codes = offered(client, "direct")
    answer = client.post("/pickup", json={**codes, "csr": CSR, "format": "skf"})
    assert (answer.status_code, "gives one certificate" in answer.text) == (422, True)


def test_a_double_request_is_picked_up_to_its_temporary_key(client: TestClient) -> None:
    codes = offered(client, "all")
    answer = client.post("/pickup", json={**codes, "csr": DOUBLE, "format": "cfca"})
    assert answer.status_code == 200, answer.text
    given = answer.json()
    assert given["envelopes"] == ["cfca"]
    text = b64decode(given["envelope"])
    assert int(text[64:80]) == len(text[80:])
    key = open_envelope(decode_enveloped_key(b64decode(given["enveloped_key"])), OTHER.decrypt)
    assert isinstance(key, sm2.PrivateKey)
    other = client.post("/pickup", json={**codes, "csr": CSR})
    assert (other.status_code, "another temporary key" in other.text) == (409, True)
