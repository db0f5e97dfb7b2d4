"""Envelopes of ours before judges, in every dialect that one of them reads."""

from __future__ import annotations

import pytest
from cryptography import x509

from ca.csr import parse_csr
from core.clock import SystemClock
from core.db import Database
from keystore import softkey
from keystore.algorithms import KeyAlgorithm
from keystore.dialects import Dialect
from tests.fakes.audit import MemoryAuditLog
from tests.fakes.clock import FakeClock
from tests.fakes.keys import memory_key
from tests.judges import JudgeSaysNo, gmsm, openssl
from tests.unit.ca.conftest import Authority
from tests.unit.ca.pairs import HOLDER
from tests.unit.ca.test_delivery import PASSWORD, World
from tests.unit.keystore.test_pkcs12 import shared_key

pytestmark = pytest.mark.judge
_D = Dialect


@pytest.fixture
def world(sqlite_database: Database, audit: MemoryAuditLog) -> World:
    now: FakeClock = FakeClock(SystemClock().now())  # gmsm looks at its own clock
    return World(Authority(sqlite_database, now, audit))


@pytest.mark.parametrize("dialect", [_D.CSR_RESPONSE, _D.ENVELOPED_KEY, _D.SIGNED_AND_ENVELOPED])
def test_gmsm_opens_an_envelope(world: World, dialect: Dialect) -> None:
    request_id = world.issue()
    envelope = world.fetch(request_id, dialect)
    key = HOLDER.pkcs8()
    assert gmsm.open_envelope(dialect, envelope, key=key) == world.encryption_key(request_id)
    other = memory_key(KeyAlgorithm.SM2).private.pkcs8()
    with pytest.raises(JudgeSaysNo):
        gmsm.open_envelope(dialect, envelope, key=other)


def test_gmsm_refuses_a_message_with_another_signature(world: World) -> None:
    one, two = (
        world.fetch(request_id, _D.SIGNED_AND_ENVELOPED)
        for request_id in (world.issue(), world.issue())
    )
    spliced = one[: len(one) - 64] + two[len(two) - 64 :]
    with pytest.raises(JudgeSaysNo):
        gmsm.open_envelope(_D.SIGNED_AND_ENVELOPED, spliced, key=HOLDER.pkcs8())


def test_gmsm_asks_with_a_double_request_and_opens_the_answer(world: World) -> None:
    asked = gmsm.make_double_request("gw.example.test")
    csr = parse_csr(asked.csr)
    assert csr.subject == (("C", "CN"), ("CN", "gw.example.test"))
    request_id = world.issue(
        spki=csr.spki, subject=csr.subject, temporary_key=csr.temporary_key, alternative_names=()
    )
    text = world.fetch(request_id, _D.CFCA)
    opened = gmsm.open_envelope(_D.CFCA, text, key=asked.temporary_key)
    assert opened == world.encryption_key(request_id)
    with pytest.raises(JudgeSaysNo):
        gmsm.open_envelope(_D.CFCA, text, key=asked.signing_key)


def test_openssl_cms_opens_an_rsa_envelope_and_a_recovered_one(world: World) -> None:
    request_id = world.issue("device-dual-signing-rsa")
    holder = shared_key(KeyAlgorithm.RSA_2048).pkcs8()
    pair = world.km.pairs.get(request_id)
    recovery = world.km.pairs.request_recovery(
        request_id,
        issuer=pair.signing.issuer,
        serial=pair.signing.serial,
        reason="lost",
        actor="alice",
    )
    for officer in ("o1", "o2"):
        world.km.recoveries.approve(recovery.id, actor=officer)
    recovered = world.km.recoveries.deliver(recovery.id, actor="alice")
    for message in (world.fetch(request_id, _D.ENVELOPED_DATA), recovered):
        opened = softkey.load(pair.algorithm, openssl.decrypt_cms(message, key=holder))
        assert opened.public_key == world.encryption_key(request_id)
    # The message names its recipient as the certificate does.
    certificate = x509.load_der_x509_certificate(pair.signing.der)
    identifier = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    assert identifier.value.digest in recovered
    with pytest.raises(JudgeSaysNo):
        openssl.decrypt_cms(recovered, key=shared_key(KeyAlgorithm.RSA_3072).pkcs8())


@pytest.mark.parametrize("profile", ["device-dual-all", "device-dual-signing-rsa"])
def test_openssl_opens_the_pkcs12_file_of_a_pair(world: World, profile: str) -> None:
    request_id = world.issue(profile)
    opened = openssl.open_pkcs12(world.pkcs12(request_id), PASSWORD)
    assert opened.public_key == world.encryption_key(request_id)
    assert opened.certificates[0] == world.km.pairs.get(request_id).encryption.der
    assert len(opened.certificates) == 3
