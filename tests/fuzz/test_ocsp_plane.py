"""The hand-written parsers of the data plane beside the strict ones."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from urllib.parse import quote

import h11
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import example, given
from hypothesis import strategies as st
from typing_extensions import override

from core.errors import Malformed
from crl.ocsp.forms import RequestForms
from crl.ocsp.head import parse_head
from crl.ocsp.layout import KnownIssuer, answer_key, cert_id_forms, is_certificates
from crl.ocsp.path import decode_path
from crl.ocsp.request import parse_request
from tests.fuzz.test_ocsp_request import GOOD
from tests.unit.crl.requests import cert_id, request


def fuzzed_authority() -> bytes:
    """Any certificate: its name and its key are what counts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "CA")])
    now = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now)
    constraints = x509.BasicConstraints(ca=True, path_length=None)
    made = builder.add_extension(constraints, critical=True).sign(key, hashes.SHA256())
    return made.public_bytes(Encoding.DER)


ISSUER = KnownIssuer("ec", 7, fuzzed_authority())
SIMPLE = request(cert_id(ISSUER, 4711))
SHA256 = request(cert_id(ISSUER, 1 << 158, "sha256"))


FORMS = cert_id_forms(ISSUER)
READER = RequestForms([ISSUER])


def agrees(octets: bytes) -> None:
    """A key that is found without parsing is the key of what the parser finds."""
    found = READER.key_of(octets)
    try:
        parsed = parse_request(octets)
    except Malformed:
        # Every octet but the serial number is as it should be, so it is a number that no answer
        # is kept under: one that is not written as short as it can be, or negative.
        assert found is None or not is_certificates(found)
        return
    if found is not None and is_certificates(found):
        (one,) = parsed.cert_ids
        assert parsed.nonce is None
        assert answer_key(one.der, ISSUER.number, one.serial) == found


@given(st.binary(max_size=140))
@example(b"\x30\x09\x30\x07\x30\x05\x30\x03\x30\x01\x00")
def test_any_octets_are_walked_as_they_are_parsed(octets: bytes):
    agrees(octets)


@given(st.sampled_from([SIMPLE, SHA256, GOOD]), st.data())
def test_a_request_with_octets_changed_is_walked_as_it_is_parsed(octets: bytes, data):
    changed = bytearray(octets)
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, 2))
    agrees(bytes(changed[: len(changed) - cut]) + data.draw(st.binary(max_size=2)))


@given(st.sampled_from(FORMS), st.binary(min_size=20, max_size=20))
def test_any_serial_number_behind_a_known_form_is_walked_as_it_is_parsed(form, serial: bytes):
    agrees(form.head + serial[: form.length - len(form.head)])


@given(st.integers(1, (1 << 159) - 1), st.sampled_from(["sha1", "sha256", "sm3", "sha512"]))
def test_the_simple_request_is_found(serial: int, digest: str):
    octets = request(cert_id(ISSUER, serial, digest))
    found = READER.key_of(octets)
    assert found is not None
    agrees(octets)


class Forgetful(dict):
    """Remembers nothing."""

    @override
    def __setitem__(self, _key: bytes, _value: object) -> None:
        pass


LEARNT, STRICT = RequestForms([ISSUER]), RequestForms([ISSUER])
STRICT._spellings = Forgetful()
PIECES = st.sampled_from([b"", b"=", b"%", b"%2F", b"%2f", b"%3D", b"+", b"/", b"A", b" ", b"%41"])


def spelt(octets: bytes, *, escaped: bool) -> bytes:
    text = b64encode(octets)
    return quote(text, safe="").encode() if escaped else text


@given(
    st.integers(1, (1 << 159) - 1),
    st.sampled_from(["sha1", "sha256", "sm3"]),
    st.booleans(),
    st.booleans(),
    st.data(),
)
def test_a_path_that_begins_as_one_before_is_read_as_if_it_were_the_first(
    serial, digest, escaped, other_escaped, data
):
    octets = request(cert_id(ISSUER, serial, digest))
    assert LEARNT.key_in_path(spelt(octets, escaped=escaped)) == READER.key_of(octets)
    kept_octets = len(octets) - data.draw(st.integers(0, 30))
    other = octets[:kept_octets] + data.draw(st.binary(max_size=31))
    path = spelt(other, escaped=other_escaped)
    for _ in range(data.draw(st.integers(0, 2))):
        begin = data.draw(st.integers(0, len(path)))
        end = begin + data.draw(st.integers(0, 2))
        path = path[:begin] + data.draw(PIECES) + path[end:]
    found = LEARNT.key_in_path(path)
    assert found == STRICT.key_in_path(path)
    if found is not None:
        assert READER.key_of(decode_path(path)) == found
        assert not is_certificates(found) or READER.request_of(found) == decode_path(path)


NAMES = st.sampled_from(
    ["Host", "Connection", "Content-Length", "If-None-Match", "Expect", "X", "Transfer-Encoding"]
)
VALUES = st.sampled_from(["close", "keep-alive", "4", "04", "+4", '"a"', "", "chunked", " x "])
LINES = st.lists(
    st.tuples(NAMES | st.text(max_size=5), VALUES | st.text(max_size=5)).map(": ".join), max_size=4
)
TARGETS = st.sampled_from(["/ocsp", "/ocsp/", "/ocsp/MFUw", "/ocsp//M+/=", "/ocsp/%4d", "/crl"])


@given(
    st.sampled_from(["GET", "HEAD", "POST", "PUT"]) | st.text(max_size=4),
    TARGETS | st.text(max_size=10),
    st.sampled_from(["HTTP/1.1", "HTTP/1.0", "HTTP/2.0"]),
    LINES,
)
@example("GET", "/ocsp/MFUw", "HTTP/1.1", ["Host: x"])
@example("POST", "/ocsp", "HTTP/1.1", ["Host: x", "Content-Length: 4"])
@example("POST", "/ocsp", "HTTP/1.0", ["Content-Length: 04", "Connection: x, close"])
def test_a_head_that_is_taken_means_the_same_to_h11(method, target, version, lines):
    octets = "\r\n".join([f"{method} {target} {version}", *lines, "", ""]).encode()
    if octets.find(b"\r\n\r\n") + 4 != len(octets):
        return
    head = parse_head(octets)
    if head is None:
        return
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(octets + b"\x00" * head.body_octets)
    event = connection.next_event()
    assert isinstance(event, h11.Request)
    assert event.target == (b"/ocsp/" + head.encoded if head.encoded is not None else event.target)
    assert (event.method == b"POST") == (head.encoded is None)
    assert (event.method != b"HEAD") == head.send_body
    body = b""
    while isinstance(following := connection.next_event(), h11.Data):
        body += following.data
    assert isinstance(following, h11.EndOfMessage)
    assert len(body) == head.body_octets
    assert connection.trailing_data[0] == b""
    options = [v.lower() for n, v in event.headers if n == b"connection"]
    close = any(b"close" in [word.strip() for word in v.split(b",")] for v in options)
    assert head.close == (close or event.http_version == b"1.0")
