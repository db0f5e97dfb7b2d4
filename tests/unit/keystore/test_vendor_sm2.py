"""SM2 by vendors' mechanism numbers, against a fake module only (docs/hsm.md)."""

from __future__ import annotations

import pytest

from core.errors import BackendUnavailable, Refused
from keystore import keyref
from keystore.algorithms import KeyAlgorithm, SignatureAlgorithm
from keystore.config import VendorSM2Config
from keystore.verify import verify_signature
from tests.fakes import keystore_vendor as vendor

REF = keyref.make("pkcs11", token="fake", object="sm2-root")


@pytest.mark.parametrize(
    ("config", "answers_raw"),
    [
        (vendor.SANSEC, True),
        (vendor.SANSEC, False),  # "detect" takes either
        (vendor.TASS, False),
        (vendor.IBM, True),
        (vendor.XIHSM, True),
    ],
)
def test_a_vendors_signature_becomes_an_x509_signature(
    config: VendorSM2Config, answers_raw: bool
) -> None:
    backend = vendor.VendorToken(config, answers_raw=answers_raw).backend()
    info = backend.generate(REF, KeyAlgorithm.SM2)
    signer = backend.signer(REF)
    for turn in range(20):  # r and s of fewer than 32 octets come up sometimes
        message = f"message {turn}".encode()
        verify_signature(info.public_key, SignatureAlgorithm.SM2_SM3, message, signer.sign(message))


@pytest.mark.parametrize(
    "answer", [b"", bytes(64), b"\xff" * 64, b"\x30\x06\x02\x01\x00\x02\x01\x01", bytes(63)]
)
def test_an_answer_that_is_no_signature_does_not_leave_the_keystore(answer: bytes) -> None:
    token = vendor.VendorToken(vendor.SANSEC)
    backend = token.backend()
    backend.generate(REF, KeyAlgorithm.SM2)
    signer = backend.signer(REF)
    token.broken_answer = answer
    with pytest.raises(BackendUnavailable, match="no sm2-sm3 signature"):
        signer.sign(b"message")


def test_without_a_vendor_sm2_is_refused_with_the_setting() -> None:
    token = vendor.VendorToken(vendor.SANSEC)
    token.vendor = None  # type: ignore[assignment]  # the backend is given none
    with pytest.raises(Refused, match=r"keystore\.pkcs11\.sm2"):
        token.backend().generate(REF, KeyAlgorithm.SM2)
