"""Whatever octets are judged: findings come back, or `Malformed`; never another exception."""

from __future__ import annotations

from pathlib import Path
from ssl import PEM_cert_to_DER_cert

from hypothesis import given, settings
from hypothesis import strategies as st

from ca.lint import RULES
from ca.lint_file import find_issuer, parse_file
from ca.lint_shape import shape_of
from ca.lint_subject import read_certificate
from core.errors import Malformed

CORPUS = Path(__file__).parents[1] / "golden" / "lint"
GOOD = [
    PEM_cert_to_DER_cert((CORPUS / f"good/{name}.pem").read_text())
    for name in ("sm2-person", "rsa-leaf", "constrained-ca", "names-of-all-kinds")
]
ISSUER = PEM_cert_to_DER_cert((CORPUS / "good/sm2-issuing.pem").read_text())


def judge(octets: bytes) -> None:
    try:
        subject = read_certificate(octets, issuer=ISSUER)
    except Malformed:
        return
    for rule in RULES:
        assert rule.holds(subject) in (True, False)
    hash(shape_of(subject))
    find_issuer(octets, (ISSUER,))


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(GOOD),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_changed_octets(good: bytes, changes: list[tuple[int, int]]) -> None:
    octets = bytearray(good)
    for place, value in changes:
        octets[place % len(octets)] = value
    judge(bytes(octets))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_octets(octets: bytes) -> None:
    judge(octets)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_file(octets: bytes) -> None:
    try:
        parse_file(b"-----BEGIN CERTIFICATE-----" + octets + b"-----END CERTIFICATE-----")
    except Malformed:
        return
