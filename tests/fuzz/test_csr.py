"""Any octets: the request parsers parse, or say Malformed (or another of our words)."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from ca.altnames import encode_alternative_names, parse_alternative_name, parse_general_names
from ca.csr import parse_csr
from ca.serials import from_hex, to_hex
from ca.tbs import parse_tbs
from core import der
from core.errors import TrustError
from keystore.cfca import decode_temporary_key
from tests.unit.ca.csrs import make_csr, pem

GOOD = make_csr(names=("dns:a.test", "ip:192.0.2.1"))


@given(st.binary(max_size=300))
def test_any_octets(octets: bytes) -> None:
    for parse in (parse_csr, parse_tbs, parse_general_names):
        with suppress(TrustError):
            parse(octets)


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_a_good_request_with_one_octet_changed(position: int, octet: int) -> None:
    changed = GOOD[:position] + bytes([octet]) + GOOD[position + 1 :]
    with suppress(TrustError):
        assert parse_csr(changed).der == GOOD


@given(st.binary(max_size=200), st.booleans())
def test_any_temporary_key(octets: bytes, wrapped: bool) -> None:
    inner = der.sequence(der.encode(1), der.encode(octets)) if wrapped else octets
    with suppress(TrustError):
        assert decode_temporary_key(inner)[-65] == 0x04


@given(st.text(max_size=80))
def test_any_pem(text: str) -> None:
    with suppress(TrustError):
        parse_csr(pem(GOOD).replace(b"\n", text.encode() + b"\n", 1))


@given(st.sampled_from(["dns", "ip", "email", "uri"]), st.text(max_size=60))
def test_an_alternative_name_that_is_taken_round_trips(kind: str, value: str) -> None:
    with suppress(TrustError):
        name = parse_alternative_name(f"{kind}:{value}")
        assert parse_general_names(encode_alternative_names([name])) == (name,)


@given(st.text(max_size=50))
def test_any_serial_text(text: str) -> None:
    with suppress(TrustError):
        assert from_hex(to_hex(from_hex(text))) == from_hex(text)
