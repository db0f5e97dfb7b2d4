"""Any octets handed to the keystore's parsers parse, or raise one of our errors."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidSignature, Malformed, Misconfigured, Refused
from keystore import keyref, sm2_forms, softkey, verify, wrap
from keystore.algorithms import KeyAlgorithm, SignatureAlgorithm
from tests.fakes.keys import memory_key

KEYS = [KeyAlgorithm.SM2, KeyAlgorithm.RSA_2048, KeyAlgorithm.EC_P256, KeyAlgorithm.ED25519]


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """The octets of something real, with a few of them changed, cut or added."""
    octets = bytearray(whole)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(octets) - 1))
        match draw(st.integers(0, 2)):
            case 0:
                octets[place] ^= draw(st.integers(1, 255))
            case 1:
                del octets[place]
            case _:
                octets.insert(place, draw(st.integers(0, 255)))
    return bytes(octets)


@given(st.sampled_from(KEYS).flatmap(lambda a: damaged(memory_key(a).key.public_key)))
def test_a_damaged_public_key_parses_or_is_refused(spki: bytes) -> None:
    with contextlib.suppress(Malformed, Refused):
        again = verify.normalise_spki(spki)
        assert verify.normalise_spki(again) == again


@given(st.binary(max_size=200))
def test_any_octets_are_a_public_key_or_refused(octets: bytes) -> None:
    with contextlib.suppress(Malformed, Refused):
        verify.parse(octets)


@given(st.sampled_from(list(SignatureAlgorithm)), st.binary(max_size=300))
def test_no_octets_are_a_signature(algorithm: SignatureAlgorithm, octets: bytes) -> None:
    for key in KEYS:
        try:
            verify.verify_signature(memory_key(key).key.public_key, algorithm, b"m", octets)
        except InvalidSignature:
            continue
        raise AssertionError("octets out of the air verify")


@given(st.binary(max_size=200), st.booleans())
def test_any_octets_are_a_ciphertext_or_malformed(octets: bytes, hash_last: bool) -> None:
    with contextlib.suppress(Malformed):
        sm2_forms.decode_cipher(octets)
    with contextlib.suppress(Malformed):
        sm2_forms.decode_cipher(sm2_forms.cipher_from_raw(octets, hash_last=hash_last))


@given(st.data())
def test_a_damaged_private_key_parses_or_is_malformed(data: st.DataObject) -> None:
    algorithm = data.draw(st.sampled_from([KeyAlgorithm.SM2, KeyAlgorithm.EC_P256]))
    octets = data.draw(damaged(_PKCS8[algorithm]))
    with contextlib.suppress(Malformed, Refused):
        assert softkey.load(algorithm, octets).algorithm is algorithm


@given(st.text(max_size=80))
def test_any_text_is_a_key_reference_or_malformed(text: str) -> None:
    with contextlib.suppress(Malformed):
        assert keyref.parse(text) == text


@given(st.text(max_size=200))
def test_any_text_is_a_header_or_a_misconfiguration(text: str) -> None:
    with contextlib.suppress(Misconfigured):
        wrap.parse_header(text, where="it")


_PKCS8 = {
    algorithm: softkey.generate(algorithm).pkcs8()
    for algorithm in (KeyAlgorithm.SM2, KeyAlgorithm.EC_P256)
}
