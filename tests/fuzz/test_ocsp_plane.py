"""The hand-written parsers of the data plane beside the strict ones."""

from __future__ import annotations

import h11
from hypothesis import example, given
from hypothesis import strategies as st

from core import der
from core.errors import Malformed
from crl.ocsp.head import parse_head
from crl.ocsp.request import parse_request
from crl.ocsp.walk import find_cert_id
from tests.fuzz.test_ocsp_request import CERT_IDS, GOOD
from tests.unit.crl.requests import cert_id_of, request

SIMPLE = request(cert_id_of(b"name", b"key", 4711))


def agrees(octets: bytes) -> None:
    """What the walk finds is what the parser finds, or else the CertID itself is not valid."""
    found = find_cert_id(octets)
    try:
        parsed = parse_request(octets)
    except Malformed:
        # The plane compares with CertIDs that were parsed, so this one will equal none of them.
        assert found is None or not is_cert_id(found)
        return
    if found is not None:
        assert [one.der for one in parsed.cert_ids] == [found]
        assert parsed.nonce is None


def is_cert_id(octets: bytes) -> bool:
    try:
        return [one.der for one in parse_request(request(octets)).cert_ids] == [octets]
    except Malformed:
        return False


@given(st.binary(max_size=140))
@example(b"\x30\x09\x30\x07\x30\x05\x30\x03\x30\x01\x00")
def test_any_octets_are_walked_as_they_are_parsed(octets: bytes):
    agrees(octets)


@given(st.sampled_from([SIMPLE, GOOD]), st.data())
def test_a_request_with_octets_changed_is_walked_as_it_is_parsed(octets: bytes, data):
    changed = bytearray(octets)
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, 2))
    agrees(bytes(changed[: len(changed) - cut]) + data.draw(st.binary(max_size=2)))


@given(st.lists(st.binary(max_size=30), max_size=6), st.integers(0, 5))
def test_sequences_in_sequences_are_walked_as_they_are_parsed(parts: list[bytes], depth: int):
    octets = der.sequence(*parts)
    for _ in range(depth):
        octets = der.sequence(octets)
    agrees(octets)


@given(CERT_IDS)
def test_the_simple_request_is_found_when_its_lengths_are_short(cert_id: bytes):
    octets = request(cert_id)
    assert find_cert_id(octets) == (cert_id if len(octets) < 130 else None)


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
