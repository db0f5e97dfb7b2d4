"""A certificate that is read by comparing is judged as one that is read as a whole."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509

from ca import lint
from ca.issuer import Issuer
from ca.lint import Linter
from ca.lint_frame import Framed, take_apart
from ca.tbs import Extension, encode_extension, encode_tbs
from core.errors import TrustError
from keystore import softkey
from keystore.algorithms import KeyAlgorithm, SignatureAlgorithm
from tests.unit.ca.conftest import Authority
from tests.unit.ca.test_lint import fields_of, tbs_of

IDENTIFIER = SignatureAlgorithm.SM2_SM3.identifier
SKI = x509.SubjectKeyIdentifier.oid


@pytest.fixture
def issuer(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Issuer:
    # Whatever the shape: pkilint has nothing to do with frames, and takes its time.
    monkeypatch.setattr(lint, "pkix_findings", lambda _: ())
    return authority.issuers["sm2-issuing"]


def apart(issuer: Issuer, tbs: bytes) -> Framed | None:
    return take_apart(tbs, signature_algorithm=IDENTIFIER, issuer=issuer.certificate)


def verdict(linter: Linter, issuer: Issuer, tbs: bytes) -> str:
    try:
        linter.check_tbs(tbs, signature_algorithm=IDENTIFIER, issuer=issuer.certificate)
    except TrustError as error:
        return f"{type(error).__name__}: {error}"
    return ""


def test_whatever_octet_is_wrong_is_found_as_without_frames(
    authority: Authority, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tbs_of(authority, subject=(("C", "CN"), ("CN", "one.example.test")))
    second = tbs_of(authority, subject=(("C", "CN"), ("CN", "two.example.test")))
    linter, known = Linter(), 0
    assert verdict(linter, issuer, first) == verdict(linter, issuer, second) == ""
    frames = set(linter._frames)
    wrong = [
        second[:at] + bytes((second[at] ^ 0x21,)) + second[at + 1 :] for at in range(len(second))
    ]
    with_frames = []
    for octets in wrong:
        framed = apart(issuer, octets)
        known += framed is not None and framed.frame in frames
        with_frames.append(verdict(linter, issuer, octets))
    monkeypatch.setattr(lint, "take_apart", lambda *_, **__: None)
    assert with_frames == [verdict(Linter(), issuer, octets) for octets in wrong]
    assert 100 < known < len(second) / 2  # serial, times, subject, key and its identifier


def test_certificates_in_one_frame_are_not_decoded_as_a_whole(
    authority: Authority, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tbs_of(authority)
    fields = fields_of(first)
    other = replace(fields, serial=fields.serial ^ 0xFF, not_after=fields.not_after - timedelta(1))
    linter = Linter()
    assert verdict(linter, issuer, first) == ""
    monkeypatch.setattr(lint, "read_tbs", None)
    assert verdict(linter, issuer, encode_tbs(other)) == ""
    wrong = replace(fields, serial=1 << 40)
    assert "x509.serial-random" in verdict(linter, issuer, encode_tbs(wrong))
    another_key = replace(fields, spki=softkey.generate(KeyAlgorithm.SM2).public_key)
    assert "x509.ski-derived" in verdict(linter, issuer, encode_tbs(another_key))


def test_a_frame_with_two_marks_is_never_known(authority: Authority, issuer: Issuer) -> None:
    """Somebody writes the octets before a key identifier into another extension."""
    fields = fields_of(tbs_of(authority))
    planted = encode_extension(
        Extension(
            oid=SKI,
            critical=False,
            value=b"\x04\x14" + hashlib.sha1(b"x", usedforsecurity=False).digest(),
        )
    )
    inside = Extension(oid=x509.ObjectIdentifier("1.2.3"), critical=False, value=planted)
    octets = encode_tbs(replace(fields, extensions=(encode_extension(inside), *fields.extensions)))
    framed = apart(issuer, octets)
    assert framed is not None
    assert not framed.may_be_known
    linter = Linter()
    assert verdict(linter, issuer, octets) == ""
    assert not linter._frames


def test_what_broke_a_rule_leaves_no_frame(authority: Authority, issuer: Issuer) -> None:
    linter = Linter(accepted=["x509.serial-random"])
    octets = encode_tbs(replace(fields_of(tbs_of(authority)), serial=1 << 40))
    assert verdict(linter, issuer, octets) == ""
    assert not linter._frames
