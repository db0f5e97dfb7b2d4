"""A pair at work: a TLCP handshake with both certificates, and the key that came enveloped."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ca.altnames import parse_alternative_name
from core.clock import SystemClock
from core.db import Database
from keystore.envelope import open_envelope
from keystore.envelope_opening import read_envelope
from tests.fakes.audit import MemoryAuditLog
from tests.fakes.clock import FakeClock
from tests.judges import JudgeSaysNo, gmssl
from tests.judges.octets import CERTIFICATE, pem
from tests.unit.ca.conftest import PROFILES, Authority
from tests.unit.ca.pairs import HOLDER
from tests.unit.ca.test_delivery import World

pytestmark = pytest.mark.judge


def test_gmssl_shakes_hands_with_a_pair_of_ours(
    sqlite_database: Database, audit: MemoryAuditLog
) -> None:
    # GmSSL's client takes authorities of at most ten years.
    short = {
        name: PROFILES[name].model_copy(update={"validity_days": 3_000})
        for name in ("root", "issuing-ca")
    }
    now: FakeClock = FakeClock(SystemClock().now())
    world = World(Authority(sqlite_database, now, audit, profiles={**PROFILES, **short}))
    names = (parse_alternative_name("ip:127.0.0.1"),)
    pair = world.km.pairs.get(world.issue(alternative_names=names))
    issuers = world.authority.issuers
    chain = (pair.signing.der, pair.encryption.der, issuers["sm2-issuing"].certificate)
    encryption_key = open_envelope(read_envelope(pair.enveloped), HOLDER.decrypt)
    server = gmssl.TLCPServer(
        chain="".join(pem(CERTIFICATE, certificate) for certificate in chain),
        signing_key=HOLDER.pkcs8(),
        encryption_key=encryption_key.pkcs8(),
    )
    trust = pem(CERTIFICATE, issuers["sm2-root"].certificate)
    gmssl.shake_hands(server, trust=trust)
    for changed, trusted in (
        (server, pem(CERTIFICATE, issuers["rsa-root"].certificate)),
        (replace(server, encryption_key=HOLDER.pkcs8()), trust),
        (replace(server, signing_key=encryption_key.pkcs8()), trust),
    ):
        with pytest.raises(JudgeSaysNo):
            gmssl.shake_hands(changed, trust=trusted)
