"""The revocation service over HTTP: what clients send, and what caches may keep."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509 import ocsp
from fastapi import FastAPI
from starlette.testclient import TestClient

from core.http import install_problem_handlers
from crl.ocsp.responder import Responder
from crl.routes import make_router
from tests.unit.crl.requests import cert_id, cert_id_of, nonce, request
from tests.unit.crl.world import World

OCSP = "application/ocsp-response"


@pytest.fixture
def client(world: World, tmp_path: Path) -> Iterator[TestClient]:
    keeper = world.make_keeper(tmp_path)
    keeper.follower.follow()
    app = FastAPI(redirect_slashes=False)
    install_problem_handlers(app)
    app.router.routes.extend(
        make_router(
            keeper.plane(), world.schedule, world.issuers, config=world.config, clock=world.clock
        ).routes
    )
    with TestClient(app, follow_redirects=False) as opened:
        yield opened
    keeper.close()


@pytest.fixture
def question(world: World) -> bytes:
    return ask(world)


def ask(world: World, **options) -> bytes:
    issued = world.issue("ec-issuing")
    return request(cert_id(world.issuers["ec-issuing"], issued.serial), **options)


def status(octets: bytes) -> ocsp.OCSPResponseStatus:
    return ocsp.load_der_ocsp_response(octets).response_status


@pytest.mark.parametrize("path", ["/ocsp", "/ocsp/"])
@pytest.mark.parametrize("content_type", ["application/ocsp-request", "text/plain", None])
def test_post_is_answered_whatever_the_content_type_says(client, question, path, content_type):
    headers = {} if content_type is None else {"Content-Type": content_type}
    answer = client.post(path, content=question, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (200, OCSP)
    assert status(answer.content) is ocsp.OCSPResponseStatus.SUCCESSFUL


def test_a_chunked_body_is_answered(client, question):
    answer = client.post("/ocsp", content=iter([question[:10], question[10:]]))
    assert status(answer.content) is ocsp.OCSPResponseStatus.SUCCESSFUL


@pytest.mark.parametrize("lead", ["", "/", "//"])
@pytest.mark.parametrize("safe", ["", "/", "/+="])
def test_get_answers_the_same_as_post_in_every_spelling(client, world, lead, safe):
    posted = b""
    text = ""
    while "/" not in text or "+" not in text:
        posted = ask(world)
        text = b64encode(posted).decode()
    answer = client.get(f"/ocsp/{lead}{quote(text, safe=safe)}")
    assert answer.status_code == 200
    assert answer.content == client.post("/ocsp", content=posted).content


def test_double_slashes_inside_base64_survive_the_routing(client, world):
    # Nonces are chosen until the base64 has "//"; about 6 of 1000 requests have it by themselves.
    for number in range(10_000):
        value = b"n" * 15 + b"\xff" * 6 + number.to_bytes(2, "big")
        text = b64encode(ask_again(world, value)).decode()
        if "//" in text:
            break
    answer = client.get(f"/ocsp/{text}")
    assert status(answer.content) is ocsp.OCSPResponseStatus.SUCCESSFUL


def ask_again(world: World, value: bytes) -> bytes:
    certificate = x509.load_der_x509_certificate(world.issuers["ec-issuing"].certificate)
    asked = cert_id(world.issuers["ec-root"], certificate.serial_number)
    return request(asked, extensions=(nonce(value),))


def test_head_is_get_without_a_body(client, question):
    answer = client.head("/ocsp/" + quote(b64encode(question).decode(), safe=""))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == OCSP


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_other_methods_are_405_and_say_which_are_allowed(client, method):
    for path, allowed in (("/ocsp", "POST"), ("/ocsp/MA==", "GET"), ("/crl/ec-root.crl", "GET")):
        answer = client.request(method, path)
        assert answer.status_code == 405
        assert allowed in answer.headers["allow"]


@pytest.mark.parametrize(
    "body", [b"", b"\x30", b"\x30\x80\x00\x00", b"GET / HTTP/1.0\r\n\r\n", b"\x00" * 5000]
)
def test_what_is_no_request_gets_the_five_octets_and_no_cache_keeps_them(client, body):
    answer = client.post("/ocsp", content=body)
    assert answer.status_code == 200
    assert answer.content.hex() == "30030a0101"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == OCSP


def test_a_body_of_a_megabyte_is_malformed(client, question):
    answer = client.post("/ocsp", content=question.ljust(1 << 20, b"\x00"))
    assert answer.content.hex() == "30030a0101"


def test_a_path_that_is_not_base64_is_malformed(client):
    assert client.get("/ocsp/!!!!").content.hex() == "30030a0101"
    assert client.get("/ocsp/").content.hex() == "30030a0101"


def test_unauthorized_is_not_cached_because_the_certificate_may_be_issued_next(client, world):
    foreign = cert_id_of(b"name", b"key", 4711)
    answer = client.post("/ocsp", content=request(foreign))
    assert answer.content.hex() == "30030a0106"
    assert answer.headers["cache-control"] == "no-store"
    answer = client.post("/ocsp", content=request(cert_id(world.issuers["ec-issuing"], 4711)))
    response = ocsp.load_der_ocsp_response(answer.content)
    assert response.certificate_status is ocsp.OCSPCertStatus.UNKNOWN
    assert answer.headers["cache-control"] == "no-store"


def test_try_later_says_when(client, question, world):
    world.keystore.broken = True
    answer = client.post("/ocsp", content=question)
    assert answer.status_code == 200
    assert answer.content.hex() == "30030a0103"
    assert answer.headers["retry-after"] == "5"
    assert answer.headers["cache-control"] == "no-store"


def test_an_unexpected_error_is_ocsp_too_and_never_a_page(client, question, world, monkeypatch):
    def fail(*_: object) -> None:
        raise RuntimeError("a secret of the inside")

    monkeypatch.setattr(Responder, "answer_for", fail)
    answer = client.post("/ocsp", content=question)
    assert answer.status_code == 500
    assert answer.content.hex() == "30030a0102"
    assert answer.headers["content-type"] == OCSP
    assert answer.headers["cache-control"] == "no-store"


def test_a_good_answer_may_be_cached_for_an_hour_and_validated(client, question):
    path = "/ocsp/" + quote(b64encode(question).decode(), safe="")
    answer = client.get(path)
    assert answer.headers["cache-control"] == "max-age=3600, public, no-transform, must-revalidate"
    # The world's clock: 2026-11-22 08:00:00 UTC, thisUpdate a minute before.
    assert answer.headers["last-modified"] == "Sun, 22 Nov 2026 07:59:00 GMT"
    assert answer.headers["expires"] == "Mon, 23 Nov 2026 07:59:00 GMT"
    etag = answer.headers["etag"]
    for known in (etag, f'W/{etag}, "x"', "*"):
        again = client.get(path, headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == etag
    assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_max_age_ends_an_hour_before_next_update(client, world):
    (record,) = world.crl_store.list_delegates("ec-issuing")
    question = ask(world)
    world.clock.advance(seconds=(record.not_after - world.clock.now()).total_seconds() - 3660)
    answer = client.post("/ocsp", content=question)
    assert answer.headers["cache-control"].startswith("max-age=60, ")
    world.clock.advance(seconds=3000)
    answer = client.post("/ocsp", content=question)
    assert answer.headers["cache-control"].startswith("max-age=0, ")


def test_an_answer_to_a_nonce_is_for_nobody_else(client, world):
    answer = client.post("/ocsp", content=ask(world, extensions=(nonce(b"n" * 16),)))
    assert status(answer.content) is ocsp.OCSPResponseStatus.SUCCESSFUL
    assert answer.headers["cache-control"] == "no-store"
    assert "etag" not in answer.headers


def test_the_crl_has_its_type_and_validators(client, world):
    answer = client.get("/crl/ec-issuing.crl")
    assert answer.headers["content-type"] == "application/pkix-crl"
    assert answer.headers["cache-control"].startswith("max-age=300, public")
    assert answer.headers["last-modified"] == "Sun, 22 Nov 2026 08:00:00 GMT"
    assert answer.headers["expires"] == "Sun, 29 Nov 2026 08:00:00 GMT"
    assert len(x509.load_der_x509_crl(answer.content)) == 0
    known = {"If-None-Match": answer.headers["etag"]}
    assert client.get("/crl/ec-issuing.crl", headers=known).status_code == 304
    world.revoke(world.issue("ec-issuing"))
    renewed = client.get("/crl/ec-issuing.crl", headers=known)
    assert renewed.status_code == 200
    assert len(x509.load_der_x509_crl(renewed.content)) == 1


def test_ca_certificates_come_as_der_pem_and_chain(client, world):
    issuing, root = (
        x509.load_der_x509_certificate(world.issuers[name].certificate)
        for name in ("ec-issuing", "ec-root")
    )
    cer = client.get("/ca/ec-issuing.cer")
    assert cer.headers["content-type"] == "application/pkix-cert"
    assert x509.load_der_x509_certificate(cer.content) == issuing
    pem = client.get("/ca/ec-issuing.pem")
    assert x509.load_pem_x509_certificate(pem.content) == issuing
    p7c = client.get("/ca/ec-issuing.p7c")
    assert p7c.headers["content-type"] == "application/pkcs7-mime"
    assert set(pkcs7.load_der_pkcs7_certificates(p7c.content)) == {issuing, root}
    known = {"If-None-Match": p7c.headers["etag"]}
    assert client.get("/ca/ec-issuing.p7c", headers=known).status_code == 304


@pytest.mark.parametrize("path", ["/crl/no.crl", "/ca/no.cer", "/ca/no.pem", "/ca/no.p7c"])
def test_an_issuer_we_do_not_have_is_404(client, path):
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


# ---- CRLs and CA certificates -------------------------------------------------------------------


def test_a_crl_is_compressed_for_who_asks(client, world):
    world.revoke(world.issue("ec-issuing"))
    plain = client.get("/crl/ec-issuing.crl", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    squeezed = client.get("/crl/ec-issuing.crl", headers={"Accept-Encoding": "br, gzip;q=0.5"})
    assert squeezed.headers["content-encoding"] == "gzip"
    assert int(squeezed.headers["content-length"]) != len(plain.content)
    assert squeezed.content == plain.content
    assert plain.headers["vary"] == squeezed.headers["vary"] == "Accept-Encoding"
    # Two representations, two tags; each is recognised again.
    tags = [answer.headers["etag"] for answer in (plain, squeezed)]
    assert len(set(tags)) == 2
    for tag, coding in zip(tags, ("identity", "gzip"), strict=True):
        headers = {"If-None-Match": tag, "Accept-Encoding": coding}
        assert client.get("/crl/ec-issuing.crl", headers=headers).status_code == 304
    refused = client.get("/crl/ec-issuing.crl", headers={"Accept-Encoding": "gzip;q=0"})
    assert "content-encoding" not in refused.headers


def test_who_has_the_crl_of_this_second_is_told_so(client, world):
    first = client.get("/crl/ec-issuing.crl")
    headers = {"If-Modified-Since": first.headers["last-modified"]}
    assert client.get("/crl/ec-issuing.crl", headers=headers).status_code == 304
    world.clock.advance(seconds=1)
    world.revoke(world.issue("ec-issuing"))
    assert client.get("/crl/ec-issuing.crl", headers=headers).status_code == 200
    assert client.get("/crl/ec-issuing.crl", headers={"If-Modified-Since": "x"}).status_code == 200
    # With a tag, the date does not count (RFC 9110, 13.1.3).
    both = {"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT", "If-None-Match": '"other"'}
    assert client.get("/crl/ec-issuing.crl", headers=both).status_code == 200


def test_partitions_and_deltas_have_addresses_of_their_own(client, world):
    world.partition("ec-issuing", 4)
    answer = client.get("/crl/ec-issuing/4/3.crl")
    assert answer.headers["content-type"] == "application/pkix-crl"
    assert answer.content == world.schedule.current("ec-issuing/4/3").der
    for path in ("ec-issuing/4/4", "ec-issuing/8/1", "ec-issuing.delta", "ec-issuing/4/3.delta"):
        assert client.get(f"/crl/{path}.crl").status_code == 404


def test_every_date_is_in_gmt(client, question, world):
    answers = (
        client.post("/ocsp", content=question),
        client.get("/crl/ec-issuing.crl"),
        client.get("/ca/ec-issuing.cer"),
    )
    for answer in answers:
        for field in ("last-modified", "expires"):
            assert answer.headers[field].endswith(" GMT")
