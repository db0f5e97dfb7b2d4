"""Key envelopes: written one way, read in many, and read by engines that are not ours."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import gmssl_pyx
import pytest

from core import der
from core.errors import Malformed
from keystore import pem, sm2, sm2_forms, sm4
from keystore.envelope import (
    decode_enveloped_key,
    encode_enveloped_key,
    envelop,
    open_envelope,
)
from keystore.envelope_forms import (
    CSRResponse,
    decode_csr_response,
    decode_skf_blob,
    encode_csr_response,
    encode_skf_blob,
)
from keystore.envelope_opening import open_for_holder, read_envelope
from tests.golden.envelopes.regenerate import ENCRYPTION, HERE, SIGNING

SIGNER = sm2.PrivateKey.from_scalar(SIGNING)
KEY = sm2.PrivateKey.from_scalar(ENCRYPTION)
SCALAR = ENCRYPTION.to_bytes(32, "big")
STRANGER = sm2.PrivateKey.generate()
GOLDEN = sorted(path for path in HERE.iterdir() if path.suffix in (".der", ".blob"))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.name)
def test_every_form_met_in_the_field_opens(path: Path) -> None:
    signing = (HERE / "signing-key.pem").read_text()
    opened = open_for_holder(path.read_bytes(), signing_key=signing)
    assert pem.decode(opened.decode(), "PRIVATE KEY") == KEY.pkcs8()
    with pytest.raises(Malformed):
        open_envelope(read_envelope(path.read_bytes()), STRANGER.decrypt)


def test_we_write_one_form() -> None:
    octets = (HERE / "enveloped-key.der").read_bytes()
    enveloped = decode_enveloped_key(octets)
    assert encode_enveloped_key(enveloped) == octets
    blob = (HERE / "skf.blob").read_bytes()
    assert len(blob) == 388
    assert encode_skf_blob(enveloped) == blob
    assert decode_skf_blob(blob) == enveloped
    response = (HERE / "csr-response.der").read_bytes()
    assert encode_csr_response(decode_csr_response(response)) == response


def test_two_envelopes_of_one_key_share_nothing_secret() -> None:
    first, second = (envelop(KEY, recipient=SIGNER.public_key) for _ in range(2))
    assert first.cipher != second.cipher
    assert first.encrypted != second.encrypted
    assert SCALAR not in encode_enveloped_key(first)


def test_gmssl_opens_the_sm2_part_and_encrypts_the_key_alike() -> None:
    enveloped = envelop(KEY, recipient=SIGNER.public_key)
    key = gmssl_pyx.sm2_decrypt(SIGNING.to_bytes(32, "big"), enveloped.cipher)
    assert len(key) == sm4.KEY_OCTETS
    # One block in counter mode over zeros is that block in ECB mode.
    blocks = [
        gmssl_pyx.sm4_ctr_encrypt(key, SCALAR[start : start + 16], bytes(16)) for start in (0, 16)
    ]
    assert b"".join(blocks) == enveloped.encrypted


def test_openssl_opens_our_envelope(tmp_path: Path) -> None:
    enveloped = envelop(KEY, recipient=SIGNER.public_key)
    (tmp_path / "cipher").write_bytes(enveloped.cipher)
    (tmp_path / "encrypted").write_bytes(enveloped.encrypted)
    key = subprocess.run(
        ["openssl", "pkeyutl", "-decrypt", "-inkey", HERE / "signing-key.pem",
         "-in", tmp_path / "cipher"],
        check=True, capture_output=True,
    ).stdout  # fmt: skip
    scalar = subprocess.run(
        ["openssl", "enc", "-d", "-sm4-ecb", "-nopad", "-K", key.hex(),
         "-in", tmp_path / "encrypted"],
        check=True, capture_output=True,
    ).stdout  # fmt: skip
    assert scalar == SCALAR


def test_an_envelope_by_gmssl_opens() -> None:
    point = sm2_forms.point_of_spki(SIGNER.public_key)
    key = bytes(range(16))
    cipher = gmssl_pyx.sm2_encrypt(point[1:], key)
    ours = envelop(KEY, recipient=SIGNER.public_key)
    theirs = replace(ours, cipher=cipher, encrypted=sm4.encrypt_blocks(key, SCALAR))
    assert open_envelope(theirs, SIGNER.decrypt).pkcs8() == KEY.pkcs8()


def test_an_envelope_whose_public_key_is_another_is_refused() -> None:
    enveloped = envelop(KEY, recipient=SIGNER.public_key)
    swapped = replace(enveloped, point=sm2_forms.point_of_spki(STRANGER.public_key))
    with pytest.raises(Malformed, match="does not open"):
        open_envelope(swapped, SIGNER.decrypt)
    changed = bytes([enveloped.encrypted[0] ^ 1]) + enveloped.encrypted[1:]
    with pytest.raises(Malformed, match="does not open"):
        open_envelope(replace(enveloped, encrypted=changed), SIGNER.decrypt)
    short = replace(enveloped, cipher=sm2.encrypt(SIGNER.public_key, b"short"))
    with pytest.raises(Malformed, match="does not open"):
        open_envelope(short, SIGNER.decrypt)


def test_what_is_not_an_envelope_is_malformed() -> None:
    good = envelop(KEY, recipient=SIGNER.public_key)
    aes = der.sequence(bytes.fromhex("0609608648016503040101"))
    for bad in (
        der.sequence(aes, good.cipher, b"\x03\x02\x00\x00", b"\x03\x02\x00\x00"),
        encode_enveloped_key(replace(good, encrypted=bytes(33))),
        encode_enveloped_key(replace(good, point=bytes(65))),
        encode_enveloped_key(good) + b"\x00",
    ):
        with pytest.raises(Malformed):
            decode_enveloped_key(bad)
    with pytest.raises(Malformed, match="32 octets"):
        encode_skf_blob(replace(good, encrypted=bytes(48)))


@pytest.mark.parametrize(
    ("place", "octets"),
    [
        (0, b"\x02"),  # version
        (4, b"\x01\x01"),  # SM1
        (8, b"\x00\x02"),  # 512 bits
        (80, b"\x01"),  # a public key longer than 256 bits
        (372 - 4, b"\x11"),  # says one octet more than there is
    ],
)
def test_a_foreign_skf_blob_is_malformed(place: int, octets: bytes) -> None:
    blob = encode_skf_blob(envelop(KEY, recipient=SIGNER.public_key))
    with pytest.raises(Malformed):
        decode_skf_blob(blob[:place] + octets + blob[place + len(octets) :])
    with pytest.raises(Malformed, match="too short"):
        decode_skf_blob(blob[:372])


def test_a_csr_response_holds_one_certificate_of_each_kind() -> None:
    enveloped = envelop(KEY, recipient=SIGNER.public_key)
    empty = encode_csr_response(CSRResponse(b"", der.sequence(), enveloped))
    with pytest.raises(Malformed, match="one signing"):
        decode_csr_response(empty)


def test_sm4_gcm_binds_what_it_is_told() -> None:
    key = bytes(16)
    sealed = sm4.seal(key, b"secret", about=b"a")
    assert sm4.unseal(key, sealed, about=b"a") == b"secret"
    assert (
        gmssl_pyx.sm4_gcm_decrypt(key, sealed[:12], b"a", sealed[12:-16], sealed[-16:]) == b"secret"
    )
    for bad, about in (
        (sealed, b"b"),
        (sealed[:-1] + bytes((sealed[-1] ^ 1,)), b"a"),
        (b"short", b"a"),
    ):
        with pytest.raises(ValueError, match="it "):
            sm4.unseal(key, bad, about=about)
    # GB/T 32907, A.1
    example = bytes.fromhex("0123456789abcdeffedcba9876543210")
    assert sm4.encrypt_blocks(example, example).hex() == "681edf34d206965e86b3e94f536e4246"


@pytest.mark.parametrize("text", ["", "-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----"])
def test_pem_is_one_block_of_its_kind(text: str) -> None:
    with pytest.raises(Malformed):
        pem.public_key_of_pem(text)
    assert (
        pem.public_key_of_pem(pem.encode(b"octets" * 20, "PUBLIC KEY").decode()) == b"octets" * 20
    )
    with pytest.raises(Malformed):
        pem.public_key_of_pem(pem.encode(b"octets", "PRIVATE KEY").decode())
