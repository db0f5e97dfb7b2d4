"""CMS SignedData as OpenSSL writes it, and turned octets of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InvalidSignature, Malformed, Refused
from keystore.certificates import public_key_of
from keystore.signeddata import SignedMessage, parse_signed_data
from tests.judges import gmsm

MESSAGE = b"yinxin-login:v1:https://ca.example.cn:nonce"
KEYS = {
    "rsa": ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    "ec": ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
}


class Signer:
    def __init__(self, folder: Path, kind: str) -> None:
        self.folder, self.key, self.certificate = folder, folder / "key.pem", folder / "cert.pem"
        self.openssl("genpkey", "-algorithm", *KEYS[kind], "-out", self.key)
        self.openssl(
            "req", "-x509", "-key", self.key, "-subj", "/CN=zhang", "-out", self.certificate
        )  # fmt: skip

    def openssl(self, *words: str | Path) -> bytes:
        done = subprocess.run(
            ["openssl", *map(str, words)], input=MESSAGE, capture_output=True, check=True
        )
        return done.stdout

    def sign(self, *options: str) -> bytes:
        return self.openssl(
            "cms", "-sign", "-binary", "-signer", self.certificate, "-inkey", self.key,
            "-outform", "DER", *options,
        )  # fmt: skip


@pytest.fixture(scope="module", params=KEYS)
def signer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return Signer(tmp_path_factory.mktemp("cms"), request.param)


def check(message: SignedMessage, text: bytes = MESSAGE) -> None:
    message.verify(text, spki=public_key_of(message.certificates[0]))


@pytest.mark.parametrize("options", [(), ("-nodetach",), ("-noattr",)])
def test_what_openssl_signs_is_verified(signer: Signer, options: tuple[str, ...]) -> None:
    message = parse_signed_data(signer.sign(*options))
    check(message)
    assert (message.content is None) == (options != ("-nodetach",))
    with pytest.raises(InvalidSignature):
        check(message, MESSAGE + b"x")


def test_a_digest_that_does_not_go_with_the_key_is_refused(tmp_path: Path) -> None:
    message = parse_signed_data(Signer(tmp_path, "ec").sign("-md", "sha384"))
    with pytest.raises(Refused, match="sha384"):
        check(message)


@pytest.mark.judge
@pytest.mark.parametrize("how", ["plain", "attributes", "detached"])
def test_what_gmsm_signs_with_sm2_is_verified(how: str) -> None:
    message = parse_signed_data(gmsm.sign_data(MESSAGE, how=how))
    check(message)
    assert (message.content, message.attributes) != (MESSAGE, None) or how == "plain"
    with pytest.raises(InvalidSignature):
        check(message, MESSAGE + b"x")


def test_signed_attributes_stand_for_their_content_only(signer: Signer) -> None:
    message = parse_signed_data(signer.sign())
    assert message.attributes is not None
    bare = SignedMessage(message.certificates, None, message.digest, None, message.signature)
    # RFC 5652, 11: the attributes given as the content would be signed, too; the login text is
    # ours and begins with our name, so that nobody can have it mean the other.
    check(bare, message.attributes)
    with pytest.raises(InvalidSignature):
        check(bare)


def test_sha1_and_a_message_without_its_certificate_are_refused(signer: Signer) -> None:
    with pytest.raises(Refused, match="digest"):
        parse_signed_data(signer.sign("-md", "sha1"))
    with pytest.raises(Malformed):
        parse_signed_data(signer.sign("-nocerts"))
    with pytest.raises(Malformed):
        parse_signed_data(signer.sign("-keyid"))


def test_two_signers_are_one_too_many(signer: Signer, tmp_path: Path) -> None:
    other = Signer(tmp_path, "ec")
    both = signer.sign("-signer", str(other.certificate), "-inkey", str(other.key))
    with pytest.raises(Refused, match="2 signers"):
        parse_signed_data(both)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_turned_octets_never_pass_and_never_crash(signer: Signer, data: st.DataObject) -> None:
    octets = bytearray(_signed_once(signer))
    at = data.draw(st.integers(0, len(octets) - 1))
    octets[at] ^= data.draw(st.integers(1, 255))
    try:
        message = parse_signed_data(bytes(octets))
        spki = public_key_of(_certificate(signer))
        message.verify(MESSAGE, spki=spki)
    except (Malformed, Refused, InvalidSignature):
        return
    # What is not signed may change: version, digest list, certificate signature, …
    assert message.signature in bytes(_signed_once(signer))


@given(st.binary(max_size=200))
def test_nonsense_is_malformed(octets: bytes) -> None:
    with pytest.raises(Malformed):
        parse_signed_data(octets)


_ONCE: dict[Path, bytes] = {}


def _signed_once(signer: Signer) -> bytes:
    if signer.folder not in _ONCE:
        _ONCE[signer.folder] = signer.sign()
    return _ONCE[signer.folder]


def _certificate(signer: Signer) -> bytes:
    return parse_signed_data(_signed_once(signer)).certificates[0]
