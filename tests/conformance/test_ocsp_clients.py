"""Real OCSP clients and the running responder: good is accepted, all else is not.

Each asks over the network, in its own way (docs/judges.md). Then a responder that lies is in the
place of ours, and each must refuse it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta

import pytest
from cryptography.x509 import ocsp

from core import der
from crl.ocsp.request import parse_request
from crl.ocsp.response import (
    ResponseContent,
    Single,
    by_key,
    encode_response,
    encode_response_data,
)
from crl.status import Standing, Status
from keystore.algorithms import KeyAlgorithm
from tests.conformance.relying import FAMILIES, Asked, Certified, Certifier, Tamper, lying, running
from tests.fakes.keys import memory_key
from tests.judges import JudgeSaysNo, gnutls, go_ocsp, java_pkix, nginx, nss, openssl, strongswan

pytestmark = pytest.mark.judge

CLIENTS: dict[str, Callable[[Certified, str], str]] = {
    "openssl": lambda one, url: openssl.ask_ocsp(url, *one.path),
    "ocsptool": lambda one, url: gnutls.ask_ocsp(url, *one.path),
    "java": lambda one, _: java_pkix.ask_ocsp(*one.path, nonce=False),
    "java-nonce": lambda one, _: java_pkix.ask_ocsp(*one.path, nonce=True),
    "nss": lambda one, _: nss.ask_ocsp(*one.path),
    "strongswan": lambda one, _: strongswan.ask_ocsp(*one.path),
    "nginx": lambda one, _: nginx.ask_ocsp(*one.path, key=one.key),
    "go": lambda one, url: go_ocsp.ask_ocsp(url, *one.path),
}
"""All but four take the address from the certificate."""


@pytest.fixture(scope="module")
def planes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Asked]]:
    with ExitStack() as stack:
        directory = tmp_path_factory.mktemp("planes")
        yield {name: stack.enter_context(running(directory, name)) for name in FAMILIES}


def says_no(client: str, one: Certified, url: str) -> bool:
    """Neither good nor revoked: a refusal, or the word "unknown"."""
    try:
        return CLIENTS[client](one, url) not in {"good", "revoked"}
    except JudgeSaysNo:
        return True


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_client_accepts_good_sees_revoked_and_fails_on_unknown(planes, family, client):
    asked = planes[family]
    assert CLIENTS[client](asked.good, asked.url) == "good"
    assert CLIENTS[client](asked.revoked, asked.url) == "revoked"
    assert says_no(client, asked.unknown, asked.url)


def turned_bit(_request: bytes, answer: bytes) -> bytes:
    signature = ocsp.load_der_ocsp_response(answer).signature
    assert answer.count(signature) == 1
    return answer.replace(signature, signature[:-1] + bytes((signature[-1] ^ 1,)))


def by_an_end_entity(asked: Asked) -> Tamper:
    """Say good of everything, signed by a certificate of the same CA that is no responder's."""
    signer = memory_key(KeyAlgorithm.EC_P256)
    impostor = asked.world.issue(f"{asked.family}-issuing", "impostor.example.cn")

    def tamper(request: bytes, _answer: bytes) -> bytes:
        now = asked.world.clock.now()
        (cert_id,) = parse_request(request).cert_ids
        tbs = encode_response_data(
            ResponseContent(
                responder_id=by_key(der.public_key_bits(signer.key.public_key)),
                produced_at=now,
                this_update=now - timedelta(seconds=30),
                next_update=now + timedelta(hours=1),
                singles=[Single(cert_id.der, Standing(Status.GOOD))],
                nonce=parse_request(request).nonce,
            )
        )
        return encode_response(tbs, signer.algorithm.identifier, signer.sign(tbs), impostor.der)

    return tamper


def about_another(asked: Asked, other: Certified) -> Tamper:
    """Give the true answer about `other`, whatever was asked."""

    def tamper(request: bytes, _answer: bytes) -> bytes:
        (cert_id,) = parse_request(request).cert_ids
        asked_serial, other_serial = (n.to_bytes(20, "big") for n in (cert_id.serial, other.serial))
        assert request.count(asked_serial) == 1
        return asked.world.responder.answer(request.replace(asked_serial, other_serial)).der

    return tamper


@pytest.mark.parametrize("lie", ["turned bit", "no responder", "about another"])
@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_refuses_a_responder_that_lies(planes, client, lie):
    asked = planes["ec"]
    tamper = {
        "turned bit": turned_bit,
        "no responder": by_an_end_entity(asked),
        "about another": about_another(asked, asked.good),
    }[lie]
    with lying(asked.world, tamper) as url:
        revoked = Certifier(asked.world, asked.family, url).revoked()
        assert says_no(client, revoked, f"{url}/ocsp")
