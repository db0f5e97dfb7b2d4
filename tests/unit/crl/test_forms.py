"""What is remembered of the paths of GETs: two spellings of each form of a known issuer."""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import quote

import pytest

from crl.ocsp import forms as module
from crl.ocsp.forms import RequestForms
from tests.fuzz.test_ocsp_plane import ISSUER, fuzzed_authority
from tests.unit.crl.requests import cert_id, request

SERIAL = 1 << 158 | 0xFBEFBE
"""Its base64 has characters that are escaped."""


def escaped(octets: bytes) -> bytes:
    return quote(b64encode(octets), safe="").encode()


@pytest.fixture
def forms() -> RequestForms:
    return RequestForms([ISSUER])


@pytest.mark.parametrize("spell", [b64encode, escaped])
def test_of_a_path_that_begins_as_one_before_only_the_rest_is_decoded(forms, spell, monkeypatch):
    first, second = (spell(request(cert_id(ISSUER, SERIAL + n))) for n in (0, 1))
    assert forms.key_in_path(first) == forms.key_of(request(cert_id(ISSUER, SERIAL)))
    decoded = []
    decode = module._decode
    monkeypatch.setattr(module, "_decode", lambda text: decoded.append(text) or decode(text))
    key = forms.key_in_path(second)
    assert key == forms.key_of(request(cert_id(ISSUER, SERIAL + 1)))
    assert forms.request_of(key) == request(cert_id(ISSUER, SERIAL + 1))
    assert [len(one) for one in decoded] == [28]


def test_nothing_is_remembered_of_others_and_of_other_spellings(forms):
    other = module.KnownIssuer("other", 8, fuzzed_authority())
    asked = b64encode(request(cert_id(ISSUER, SERIAL)))
    for path in (
        b64encode(request(cert_id(other, SERIAL))),
        b64encode(request(cert_id(ISSUER, SERIAL, "sha256")) + b"\0"),
        asked[:-1],
        b"%4D" + asked[1:],
        b"/" + asked,
        b"",
    ):
        assert forms.key_in_path(path) is None
    assert forms._spellings == {}


def test_the_memory_is_bounded(forms, monkeypatch):
    monkeypatch.setattr(module, "MAX_SPELLINGS", 3)
    for digest in ("sha1", "sha256", "sha384", "sha512", "sm3"):
        for serial in (1, 1 << 40, SERIAL):
            asked = request(cert_id(ISSUER, serial, digest))
            assert forms.key_in_path(b64encode(asked)) == forms.key_of(asked) is not None
            assert 1 <= len(forms._spellings) <= 3
