"""Any octets handed to the readers of key envelopes parse, or raise Malformed."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from core.errors import Malformed
from keystore import pem, sm2
from keystore.envelope import decode_enveloped_key, encode_enveloped_key, envelop, open_envelope
from keystore.envelope_forms import (
    CSRResponse,
    decode_csr_response,
    decode_skf_blob,
    encode_csr_response,
    encode_skf_blob,
)
from keystore.envelope_opening import read_envelope
from tests.fuzz.test_keystore import damaged

SIGNER, KEY = sm2.PrivateKey.generate(), sm2.PrivateKey.generate()
ENVELOPE = envelop(KEY, recipient=SIGNER.public_key)
FORMS = (
    encode_enveloped_key(ENVELOPE),
    encode_skf_blob(ENVELOPE),
    encode_csr_response(CSRResponse(b"\x30\x00", b"\x30\x00", ENVELOPE)),
)


@given(st.sampled_from(FORMS).flatmap(damaged))
def test_a_damaged_envelope_gives_the_right_key_or_none(octets: bytes) -> None:
    with contextlib.suppress(Malformed):
        opened = open_envelope(read_envelope(octets), SIGNER.decrypt)
        assert opened.pkcs8() == KEY.pkcs8()


@given(st.binary(max_size=500))
def test_any_octets_are_an_envelope_or_malformed(octets: bytes) -> None:
    for decode in (decode_enveloped_key, decode_csr_response, decode_skf_blob):
        with contextlib.suppress(Malformed):
            decode(octets)


@given(damaged(FORMS[0]))
def test_what_parses_is_written_as_it_was_read_or_in_our_form(octets: bytes) -> None:
    with contextlib.suppress(Malformed):
        once = decode_enveloped_key(octets)
        assert decode_enveloped_key(encode_enveloped_key(once)) == once


@given(st.text(max_size=200))
def test_any_text_is_pem_or_malformed(text: str) -> None:
    with contextlib.suppress(Malformed):
        pem.public_key_of_pem(text)
