"""Strict DER."""

from __future__ import annotations

import pytest
from cryptography.hazmat import asn1
from hypothesis import given
from hypothesis import strategies as st

from core import der
from core.errors import Malformed

ALGORITHM = bytes.fromhex("300a06082a811ccf55018375")


def test_a_signed_object_comes_apart_as_it_was_joined() -> None:
    joined = der.signed_object(der.sequence(b"\x02\x01\x05"), ALGORITHM, b"signature")
    assert der.split_signed(joined, what="it") == (
        der.sequence(b"\x02\x01\x05"),
        ALGORITHM,
        b"signature",
    )


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\x30",
        b"\x30\x80\x00\x00",  # indefinite length
        b"\x30\x81\x03\x02\x01\x05",  # length not minimal
        der.sequence(ALGORITHM, ALGORITHM) + b"\x00",  # something after it
        der.sequence(der.sequence(), ALGORITHM, b"\x03\x02\x01\x80"),  # unused bits
    ],
)
def test_what_is_not_der_is_malformed(octets: bytes) -> None:
    with pytest.raises(Malformed, match="it"):
        der.split_signed(octets, what="it")


@given(st.binary(max_size=70_000))
def test_wrapping_makes_one_element_that_holds_its_contents(contents: bytes) -> None:
    wrapped = der.wrap(der.OCTET_STRING, contents)
    assert der.decode(bytes, wrapped, what="it") == contents


@given(st.binary(max_size=200))
def test_any_octets_parse_or_are_malformed(octets: bytes) -> None:
    try:
        tbs, algorithm, signature = der.split_signed(octets, what="it")
    except Malformed:
        return
    assert der.signed_object(tbs, algorithm, signature) == octets


def test_embedded_elements_stay_octet_for_octet() -> None:
    assert der.octets_of(der.verbatim(ALGORITHM)) == ALGORITHM
    with pytest.raises(Malformed):
        der.verbatim(ALGORITHM + b"\x00")


def test_a_bad_oid_is_malformed() -> None:
    assert der.oid("1.2.3").dotted_string == "1.2.3"
    with pytest.raises(Malformed):
        der.oid("9.9.9")


def test_bit_strings_are_whole_octets() -> None:
    assert der.bit_string(b"ab") == asn1.BitString(b"ab", 0)


@pytest.mark.parametrize(
    "octets",
    [
        "3000",
        "30063000300003",  # too long
        "3107300030000301" + "00",  # a SET
        "3009300030000302000100",  # one element more than it says
        "30083000300003020101",  # seven bits
        "3006300030000300",  # no octet of unused bits
        "30073000300004" + "0100",  # an OCTET STRING
        "300930003000030100" + "0500",  # four elements
        "30810730003000030100",  # a length that is not the shortest
    ],
)
def test_what_is_no_signed_object_is_refused(octets: str) -> None:
    with pytest.raises(Malformed):
        der.split_signed(bytes.fromhex(octets), what="the thing")
