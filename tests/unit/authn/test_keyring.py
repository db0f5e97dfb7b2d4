"""Rotation of signing keys, by a fake clock."""

from __future__ import annotations

import json

import jwt
import pytest

from authn.config import AuthnConfig
from authn.oidc.jwt import half_hash
from authn.oidc.keyring import KeyRing
from authn.oidc.keyrotation import KeyRotation
from authn.oidc.sqlkeys import SQLSigningKeyStore
from authn.oidc.store import IDTokenAlgorithm
from core.errors import Malformed, Misconfigured, NotFound, Refused
from keystore import sm2_forms, verify
from keystore.algorithms import SignatureAlgorithm
from tests.fakes.keys import MemoryKeyBackend

ES256, SM2 = IDTokenAlgorithm.ES256, IDTokenAlgorithm.SM2
ISSUER = "https://ca.example.cn"
CONFIG = AuthnConfig(
    issuer=ISSUER, oidc={"signing_key": "memory:object={name}"}, gm={"enabled": True}
)


@pytest.fixture
def keystore():
    return MemoryKeyBackend()


@pytest.fixture
def new_ring(sqlite_database, keystore, audit, clock):
    def make(config: AuthnConfig = CONFIG) -> KeyRing:
        return KeyRing(
            SQLSigningKeyStore(sqlite_database),
            keystore,
            config=config,
            transactions=sqlite_database,
            audit=audit,
            clock=clock,
        )

    return make


@pytest.fixture
def ring(new_ring):
    return new_ring()


def kids(keys) -> list[str]:
    return [one["kid"] for one in json.loads(keys.jwks)["keys"]]


def signed_by(ring, algorithm=ES256) -> tuple[str, str]:
    keys = ring.gm_keys if algorithm is SM2 else ring.keys
    token = keys.sign({"iss": ISSUER, "sub": "x"}, algorithm)
    return token, jwt.get_unverified_header(token)["kid"]


def states(ring, algorithm=ES256) -> list[str]:
    return [state for key, _, state in ring.list_keys() if key.algorithm is algorithm]


def test_every_key_says_what_it_is_for(ring):
    for keys, algorithms in ((ring.keys, ["ES256", "RS256"]), (ring.gm_keys, ["SGD_SM3_SM2"])):
        published = json.loads(keys.jwks)["keys"]
        assert [one["alg"] for one in published] == algorithms
        assert all(one["use"] == "sig" and len(one["kid"]) == 43 for one in published)
        assert not any({"d", "p", "k"} & set(one) for one in published)


def test_a_new_key_is_published_before_it_signs_and_the_old_one_after(ring, clock, audit):
    token, first = signed_by(ring)
    ring.rotate(ES256, at_once=False, actor="li.na")
    assert states(ring) == ["signing", "announced"]
    second = next(kid for key, kid, state in ring.list_keys() if state == "announced")
    assert second in kids(ring.keys)
    assert signed_by(ring)[1] == first

    clock.advance(hours=24)
    ring.refresh()
    assert signed_by(ring)[1] == second
    assert states(ring) == ["retiring", "signing"]
    assert first in kids(ring.keys)
    assert ring.keys.read_hint(token, issuer=ISSUER)["sub"] == "x"

    clock.advance(hours=13)
    ring.refresh()
    assert first not in kids(ring.keys)
    with pytest.raises(Malformed):
        ring.keys.read_hint(token, issuer=ISSUER)
    assert audit.actions == ["signingkey.rotated"]


def test_an_emergency_ends_the_old_key_and_what_it_signed_at_once(ring):
    token, first = signed_by(ring)
    ring.rotate(ES256, at_once=False, actor="t")
    ring.rotate(ES256, at_once=True, actor="t")
    assert states(ring) == ["gone", "gone", "signing"]
    assert signed_by(ring)[1] != first
    assert first not in kids(ring.keys)
    assert len(kids(ring.keys)) == 2
    with pytest.raises(Malformed):
        ring.keys.read_hint(token, issuer=ISSUER)


def test_one_rotation_at_a_time(ring):
    ring.rotate(ES256, at_once=False, actor="t")
    with pytest.raises(Refused, match="announced already"):
        ring.rotate(ES256, at_once=False, actor="t")


def test_a_key_that_is_gone_is_destroyed(ring, keystore, clock, audit):
    ring.rotate(ES256, at_once=True, actor="t")
    old = ring.list_keys()[0][0].ref
    assert ring.destroy_gone() == 1
    assert ring.destroy_gone() == 0
    with pytest.raises(NotFound):
        keystore.signer(old)
    assert audit.actions == ["signingkey.rotated", "signingkey.destroyed"]


def test_another_node_takes_up_what_one_rotated(ring, new_ring):
    other = new_ring()
    ring.rotate(ES256, at_once=True, actor="t")
    assert signed_by(other)[1] != signed_by(ring)[1]
    other.refresh()
    assert signed_by(other)[1] == signed_by(ring)[1]


def test_after_a_restart_the_same_keys_sign(ring, new_ring):
    ring.rotate(ES256, at_once=True, actor="t")
    assert signed_by(new_ring())[1] == signed_by(ring)[1]


@pytest.mark.parametrize("encoding", ["raw", "der"])
def test_chinese_tokens_are_signed_as_configured(new_ring, encoding):
    ring = new_ring(
        CONFIG.model_copy(update={"gm": CONFIG.gm.model_copy(update={"signature": encoding})})
    )
    token, kid = signed_by(ring, SM2)
    head, body, tail = token.split(".")
    octets = jwt.utils.base64url_decode(tail)
    assert (len(octets) == 64) is (encoding == "raw")
    jwk = json.loads(ring.gm_keys.jwks)["keys"][0]
    assert (jwk["kid"], jwk["crv"]) == (kid, "SM2-P-256")
    point = b"\x04" + jwt.utils.base64url_decode(jwk["x"]) + jwt.utils.base64url_decode(jwk["y"])
    verify.verify_signature(
        sm2_forms.spki_of_point(point),
        SignatureAlgorithm.SM2_SM3,
        f"{head}.{body}".encode(),
        sm2_forms.signature_from_raw(octets) if encoding == "raw" else octets,
    )
    assert ring.gm_keys.read_hint(token, issuer=ISSUER)["sub"] == "x"
    with pytest.raises(Malformed):
        ring.keys.read_hint(token, issuer=ISSUER)
    switched = CONFIG.gm.model_copy(update={"signature": "der" if encoding == "raw" else "raw"})
    after = new_ring(CONFIG.model_copy(update={"gm": switched}))
    assert after.gm_keys.read_hint(token, issuer=ISSUER)["sub"] == "x"


def test_the_hash_of_an_access_token_is_by_the_algorithm_of_the_id_token():
    assert half_hash("a", ES256) != half_hash("a", SM2)
    assert len(half_hash("a", SM2)) == 22


def test_without_the_issuer_there_is_no_chinese_key(new_ring, keystore):
    ring = new_ring(
        CONFIG.model_copy(update={"gm": CONFIG.gm.model_copy(update={"enabled": False})})
    )
    assert ring.gm_keys is None
    assert not any("sm2" in info.ref for info in keystore.list_keys())
    with pytest.raises(Refused, match=r"gm\.enabled"):
        ring.rotate(SM2, at_once=False, actor="t")


def test_a_key_that_is_lost_stops_the_start_and_is_replaced(ring, new_ring, keystore, audit):
    """Without one way out a lost key of tokens would stop the authority, too."""
    lost = ring.list_keys()[0][0]
    _, before = signed_by(ring, lost.algorithm)
    keystore.destroy(lost.ref)
    with pytest.raises(Misconfigured, match=f"rotate --now --algorithm {lost.algorithm}`"):
        new_ring()
    rotation = KeyRotation(
        ring._store,
        keystore,
        config=CONFIG,
        transactions=ring._transactions,
        audit=audit,
        clock=ring._clock,
    )
    assert [kid for key, kid, _ in rotation.list_keys() if key == lost] == [""]
    made = rotation.rotate(lost.algorithm, at_once=True, actor="sys")
    assert signed_by(new_ring(), lost.algorithm)[1] != before
    assert made.ref != lost.ref
