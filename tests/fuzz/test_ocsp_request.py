"""OCSP requests and paths: they parse, or they are Malformed."""

from __future__ import annotations

from base64 import b64encode
from contextlib import suppress
from urllib.parse import quote

from hypothesis import example, given
from hypothesis import strategies as st

from core import der
from core.errors import Malformed, TooLarge
from crl.ocsp.path import decode_path
from crl.ocsp.request import parse_request
from tests.unit.crl.requests import HASHES, cert_id_of, nonce, request

SERIALS = st.integers(-(1 << 200), 1 << 200)
CERT_IDS = st.builds(
    cert_id_of,
    st.binary(max_size=40),
    st.binary(max_size=40),
    SERIALS,
    st.sampled_from(sorted(HASHES)),
    null=st.booleans(),
)
GOOD = request(cert_id_of(b"name", b"key", 4711), extensions=(nonce(b"n" * 16),))


@given(st.binary(max_size=300))
@example(b"\x30\x04\x30\x02\x30\x00")
def test_any_octets_parse_or_are_malformed(octets: bytes):
    with suppress(Malformed):
        assert parse_request(octets).cert_ids


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_a_request_with_one_octet_changed_parses_or_is_malformed(place: int, octet: int):
    changed = GOOD[:place] + bytes((octet,)) + GOOD[place + 1 :]
    with suppress(Malformed):
        parsed = parse_request(changed)
        assert all(one.der in changed for one in parsed.cert_ids)


@given(st.lists(CERT_IDS, min_size=1, max_size=8), st.none() | st.binary(min_size=1, max_size=128))
def test_what_was_built_is_what_is_parsed(cert_ids: list[bytes], value: bytes | None):
    extensions = () if value is None else (nonce(value),)
    parsed = parse_request(request(*cert_ids, extensions=extensions))
    assert [one.der for one in parsed.cert_ids] == cert_ids
    assert parsed.nonce == (None if value is None else der.encode(value))


@given(st.binary(max_size=200))
def test_any_path_decodes_or_is_malformed(path: bytes):
    with suppress(Malformed, TooLarge):
        decode_path(path)


@given(st.binary(min_size=1, max_size=200), st.sampled_from(["", "/", "/+", "/+="]))
def test_the_octets_of_a_request_survive_the_path(octets: bytes, safe: str):
    octets = b"\x30" + octets  # as every request begins
    path = quote(b64encode(octets).decode(), safe=safe)
    assert decode_path(path.encode()) == octets
