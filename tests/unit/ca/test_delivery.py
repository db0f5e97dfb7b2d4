"""Handing a pair over: which dialects a profile allows, and what reaches whom, how often."""

from __future__ import annotations

from base64 import b64decode

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12 as readable

from ca.altnames import parse_alternative_name
from ca.delivery import PairDelivery
from core.errors import Conflict, Malformed, NotFound, ProfileViolation, Refused, Unavailable
from keystore import sm2
from keystore.algorithms import KeyAlgorithm
from keystore.certificates import public_key_of
from keystore.dialects import Dialect
from keystore.envelope_opening import read_envelope
from keystore.escrow.identity import seal_password
from keystore.escrow.store import KeyState
from tests.fakes.keys import memory_key
from tests.unit.ca.conftest import Authority, request
from tests.unit.ca.pairs import HOLDER, AwayEscrow, key_management
from tests.unit.ca.test_enrollment import make_service

TEMPORARY = sm2.PrivateKey.from_scalar(0x59276E27D506861A16680F3AD9C02DCC)
PASSWORD = "a Password of 25 letters!"
_D = Dialect


class World:
    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        signing = authority.profiles["device-dual-signing"]
        every = tuple(dialect for dialect in _D if dialect is not _D.ENVELOPED_DATA)
        for name, allowed in (("device-dual-all", every), ("device-dual-skf", (_D.SKF,))):
            changed = {"name": name, "envelopes": allowed}
            authority.profiles[name] = signing.model_copy(update=changed)
        self.km = key_management(authority)
        self.service = make_service(authority, pairs=self.km.pairs)
        self.delivery = PairDelivery(
            self.km.pairs, profiles=authority.profiles, issuers=authority.issuers
        )

    def issue(self, profile: str = "device-dual-signing", **changes) -> str:
        rsa = profile.endswith("-rsa")
        key = memory_key(KeyAlgorithm.RSA_2048).key.public_key if rsa else HOLDER.public_key
        names = (parse_alternative_name("dns:gw.example.test"),)
        wanted = request(**{"spki": key, "alternative_names": names, **changes})
        issuer = "rsa-issuing" if rsa else "sm2-issuing"
        request_id = self.service.submit(wanted, profile=profile, issuer=issuer).id
        self.service.approve(request_id, actor="bob")
        return request_id

    def fetch(self, request_id: str, dialect: Dialect) -> bytes:
        return self.delivery.fetch(request_id, dialect, actor="alice")

    def pkcs12(self, request_id: str, password: str = PASSWORD, *, about: str | None = None):
        sealed = seal_password(
            password,
            transport_key=self.km.pairs.identity().transport_key,
            request_id=about or request_id,
        )
        return self.delivery.fetch(request_id, _D.PKCS12, actor="alice", sealed_password=sealed)

    def encryption_key(self, request_id: str) -> bytes:
        return public_key_of(self.km.pairs.get(request_id).encryption.der)


@pytest.fixture
def world(authority: Authority) -> World:
    return World(authority)


# ---- what a profile allows ----------------------------------------------------------------------


def test_a_profile_that_says_nothing_allows_what_needs_the_holders_key(world: World) -> None:
    allowed = world.delivery.dialects(world.km.pairs.get(world.issue()))
    assert allowed == (_D.CSR_RESPONSE, _D.ENVELOPED_KEY, _D.SKF, _D.SIGNED_AND_ENVELOPED)


def test_a_dialect_that_the_profile_does_not_allow_is_refused_with_those_it_does(
    world: World,
) -> None:
    request_id = world.issue()
    before = list(world.authority.audit.actions)
    for dialect in (_D.PKCS12, _D.ENVELOPED_DATA, _D.CFCA):
        with pytest.raises(ProfileViolation, match=f"csrresponse, .*; not as {dialect}"):
            world.fetch(request_id, dialect)
    rsa = world.issue("person-dual-signing-rsa", alternative_names=())
    with pytest.raises(ProfileViolation, match="as enveloped-data, pkcs12; not as skf"):
        world.fetch(rsa, _D.SKF)
    assert world.authority.audit.actions[: len(before)] == before
    with pytest.raises(NotFound):
        world.fetch("0" * 32, _D.SKF)


def test_three_dialects_are_one_envelope(world: World) -> None:
    request_id = world.issue()
    kept = world.km.pairs.get(request_id).enveloped
    assert world.fetch(request_id, _D.ENVELOPED_KEY) == kept
    for dialect in (_D.SKF, _D.CSR_RESPONSE):
        assert read_envelope(world.fetch(request_id, dialect)) == read_envelope(kept)


# ---- what the centre writes ---------------------------------------------------------------------


def test_an_envelope_of_the_centre_is_audited_with_its_dialect(world: World) -> None:
    request_id = world.issue()
    world.authority.audit.events.clear()
    world.fetch(request_id, _D.SIGNED_AND_ENVELOPED)
    (event,) = world.authority.audit.events
    action, actor, detail = event
    assert (action, actor) == ("escrow-key.enveloped", "alice")
    assert detail["dialect"] == "signed-and-enveloped"


def test_the_centre_keeps_its_certificate(world: World) -> None:
    request_id = world.issue()
    certificate = world.km.pairs.identity().certificate
    assert certificate in world.fetch(request_id, _D.SIGNED_AND_ENVELOPED)
    assert key_management(world.authority).pairs.identity().certificate == certificate


def test_without_the_centre_its_dialects_wait_and_the_others_do_not(world: World) -> None:
    request_id = world.issue()
    world.km.pairs._escrow = AwayEscrow()
    with pytest.raises(Unavailable):
        world.fetch(request_id, _D.SIGNED_AND_ENVELOPED)
    assert world.fetch(request_id, _D.SKF)


def test_a_key_that_moved_to_history_is_not_enveloped_any_more(world: World) -> None:
    request_id = world.issue()
    world.km.centre.retire(request_id)
    with pytest.raises(Conflict, match="history"):
        world.fetch(request_id, _D.SIGNED_AND_ENVELOPED)


# ---- PKCS#12 ------------------------------------------------------------------------------------


def test_a_pkcs12_file_is_given_once(world: World) -> None:
    request_id = world.issue("device-dual-all")
    assert world.pkcs12(request_id)
    for _ in range(2):
        with pytest.raises(Conflict, match="handed over"):
            world.pkcs12(request_id)
    # The holder of the signing key still has the other ways.
    assert world.fetch(request_id, _D.SIGNED_AND_ENVELOPED)


def test_the_password_is_for_the_centre_and_for_one_request(world: World) -> None:
    one, other = world.issue("device-dual-all"), world.issue("device-dual-all")
    with pytest.raises(Malformed, match="sealed for another request"):
        world.pkcs12(one, about=other)
    with pytest.raises(Malformed, match="does not open"):
        world.delivery.fetch(
            one,
            _D.PKCS12,
            actor="alice",
            sealed_password=seal_password(
                PASSWORD, transport_key=HOLDER.public_key, request_id=one
            ),
        )
    for bad in (b"", b"x" * 513, b"\x30\x00"):
        with pytest.raises(Malformed):
            world.delivery.fetch(one, _D.PKCS12, actor="alice", sealed_password=bad)
    with pytest.raises(Refused, match="with a sealed password"):
        world.fetch(one, _D.PKCS12)
    with pytest.raises(Malformed, match="12 to 128"):
        world.pkcs12(one, "short")
    assert world.pkcs12(one), "what was refused did not count"


def test_a_weak_password_is_refused_by_the_centre_too(world: World) -> None:
    request_id = world.issue("device-dual-all")
    transport = world.km.pairs.identity().transport_key
    sealed = sm2.encrypt(
        transport, b"yinxin pkcs12 password\0" + request_id.encode() + b"\0password"
    )
    with pytest.raises(Malformed, match="12 to 128"):
        world.delivery.fetch(request_id, _D.PKCS12, actor="alice", sealed_password=sealed)


# ---- RSA ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", [KeyAlgorithm.RSA_2048, KeyAlgorithm.RSA_3072])
def test_an_rsa_pair_has_a_key_of_the_same_size(world: World, algorithm: KeyAlgorithm) -> None:
    request_id = world.issue("device-dual-signing-rsa", spki=memory_key(algorithm).key.public_key)
    pair = world.km.pairs.get(request_id)
    assert pair.algorithm is algorithm
    opened = readable.load_pkcs12(world.pkcs12(request_id), PASSWORD.encode())
    assert opened.key.key_size == int(algorithm.removeprefix("rsa-"))
    assert opened.cert.certificate.public_bytes(serialization.Encoding.DER) == pair.encryption.der
    assert len(opened.additional_certs) == 2


def test_an_rsa_key_is_not_enveloped_to_sm2_and_the_other_way_round(world: World) -> None:
    centre, rsa = world.km.centre, memory_key(KeyAlgorithm.RSA_2048).key.public_key
    for algorithm, key in ((KeyAlgorithm.SM2, rsa), (KeyAlgorithm.RSA_2048, HOLDER.public_key)):
        with pytest.raises(Refused, match="is not enveloped to"):
            centre.assign("r", algorithm=algorithm, signing_key=key, actor="alice")
    with pytest.raises(Refused, match="encryption keys are sm2, rsa-2048, rsa-3072"):
        centre.assign("r", algorithm=KeyAlgorithm.RSA_4096, signing_key=rsa, actor="alice")
    assert sum(centre.count_keys().values()) == 0


def test_rsa_keys_are_made_ahead_after_the_first_was_asked_for(world: World) -> None:
    centre = world.km.centre
    centre.refill()
    assert centre.count_keys(KeyAlgorithm.RSA_2048)[KeyState.STANDBY] == 0
    world.issue("device-dual-signing-rsa")
    assert centre.refill() >= 2
    assert centre.count_keys(KeyAlgorithm.RSA_2048)[KeyState.STANDBY] == 2
    assert centre.count_keys(KeyAlgorithm.RSA_3072)[KeyState.STANDBY] == 0


def test_an_rsa_key_is_recovered_for_an_rsa_signing_certificate_only(world: World) -> None:
    lost = world.issue("device-dual-signing-rsa")
    sm2_pair = world.km.pairs.get(world.issue())
    signing = world.km.pairs.get(lost).signing
    where = {"issuer": sm2_pair.signing.issuer, "serial": sm2_pair.signing.serial}
    with pytest.raises(Refused, match="not enveloped to one of sm2"):
        world.km.pairs.request_recovery(lost, **where, reason="lost", actor="alice")
    recovery = world.km.pairs.request_recovery(
        lost, issuer=signing.issuer, serial=signing.serial, reason="lost", actor="alice"
    )
    for officer in ("o1", "o2"):
        world.km.recoveries.approve(recovery.id, actor=officer)
    # openssl opens such a message in tests/conformance/test_envelopes.py
    assert world.km.recoveries.deliver(recovery.id, actor="alice")[:2] == b"\x30\x82"


# ---- double requests ----------------------------------------------------------------------------


def test_the_key_of_a_double_request_goes_to_the_temporary_key(world: World) -> None:
    request_id = world.issue(temporary_key=TEMPORARY.public_key)
    pair = world.km.pairs.get(request_id)
    assert world.delivery.dialects(pair) == (_D.CFCA,)
    text = world.fetch(request_id, _D.CFCA)
    assert int(text[64:80]) == len(text[80:])
    assert b64decode(text[80:], validate=True)
    with pytest.raises(ProfileViolation, match="as cfca; not as csrresponse"):
        world.fetch(request_id, _D.CSR_RESPONSE)


def test_a_profile_without_that_dialect_refuses_a_double_request(world: World) -> None:
    with pytest.raises(ProfileViolation, match="leave the temporary public key out"):
        world.issue("device-dual-skf", temporary_key=TEMPORARY.public_key)
    assert sum(world.km.centre.count_keys().values()) == 0
