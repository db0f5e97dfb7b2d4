"""Every spelling of base64 in the path that clients were seen to use."""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import quote

import pytest

from core.errors import Malformed, TooLarge
from crl.ocsp.path import decode_path

# Chosen so that the base64 has "+", "/", "//" and padding.
AWKWARD = bytes.fromhex("300b00fbefbeffffff01")
TEXT = b64encode(AWKWARD).decode()


def test_the_sample_has_everything_that_clients_stumble_over():
    assert "+" in TEXT
    assert "//" in TEXT
    assert TEXT.endswith("=")


@pytest.mark.parametrize(
    "spelling",
    [
        TEXT,
        quote(TEXT, safe=""),  # Java, nginx
        quote(TEXT, safe="/"),  # NSS
        quote(TEXT, safe="/+"),
        quote(TEXT, safe="="),
        quote(TEXT, safe="").replace("%2F", "%2f").replace("%2B", "%2b"),
        TEXT.replace("+", " "),  # a proxy that decoded a form
        TEXT.replace("+", "%20"),
        TEXT.rstrip("="),
        "/" + TEXT,  # the URL in the certificate ends in "/", and the client adds one
        "//" + TEXT,
        "%2F" + TEXT,
    ],
)
def test_every_spelling_gives_the_same_octets(spelling: str):
    assert decode_path(spelling.encode()) == AWKWARD


@pytest.mark.parametrize("path", [b"!!!!", b"MAf*", b"A", b"MA%", b"M\xc3\xa4==", b"MA==MA=="])
def test_what_is_not_base64_is_malformed(path: bytes):
    with pytest.raises(Malformed):
        decode_path(path)


def test_a_path_longer_than_any_request_is_not_decoded():
    with pytest.raises(TooLarge):
        decode_path(b"A" * 20_000)
