"""SM2 keys as JWK (``kty: EC``, ``crv: SM2-P-256``), and SM2 signatures in a JWS."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

from jwt.algorithms import Algorithm
from typing_extensions import override

from core.errors import InvalidSignature, Malformed
from keystore import sm2, sm2_forms, verify
from keystore.algorithms import SignatureAlgorithm

CURVE: Final = "SM2-P-256"
ALGORITHM: Final = "SGD_SM3_SM2"
_COORDINATE: Final = 32


def spki_of_jwk(key: Mapping[str, Any]) -> bytes:
    """Return the SubjectPublicKeyInfo of an SM2 key in JWK form. Raises `Malformed`."""
    try:
        x, y = (_decoded(str(key[name])) for name in ("x", "y"))
    except (KeyError, ValueError, binascii.Error) as error:
        raise Malformed("an SM2 key has x and y in base64url") from error
    if len(x) != _COORDINATE or len(y) != _COORDINATE:
        raise Malformed("a coordinate of an SM2 key has 32 octets")
    spki = sm2_forms.spki_of_point(b"\x04" + x + y)
    sm2.public_key(spki)  # not on the curve: refused here, and not at the first use
    return spki


class SM2Signatures(Algorithm):
    """How PyJWT verifies what a client signed with SM2: r and s, or SEQUENCE, by its length."""

    @override
    def prepare_key(self, key: Any) -> Any:
        return key

    @override
    def sign(self, msg: bytes, key: Any) -> bytes:
        raise NotImplementedError("clients sign; we only verify here")

    @override
    def verify(self, msg: bytes, key: Any, sig: bytes) -> bool:
        try:
            signature = sm2_forms.signature_from_raw(sig) if len(sig) == 2 * _COORDINATE else sig
            verify.verify_signature(key, SignatureAlgorithm.SM2_SM3, msg, signature)
        except (InvalidSignature, Malformed):
            return False
        return True

    @staticmethod
    @override
    def to_jwk(key_obj: Any, as_dict: bool = False) -> Any:
        raise NotImplementedError("keys of clients are not written")

    @staticmethod
    @override
    def from_jwk(jwk: Any) -> Any:
        return spki_of_jwk(jwk)


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
