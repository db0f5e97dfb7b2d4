"""Encrypted ID tokens with Chinese algorithms (RFC 7516 with the names of GM/T 0125.3).

A fresh SM4 key encrypts the signed token in GCM mode (``SGD_SM4_GCM``), and is itself encrypted to
the SM2 key of the client (``SGD_SM2_3``). We do not have the text of GM/T 0125; how the ciphertext
of the key is written is a setting (docs/gm-tokens.md).
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from typing import Any, Final

from authn.oidc.clientmetadata import ClientMetadata
from authn.oidc.sm2jwk import CURVE, spki_of_jwk
from authn.oidc.store import IDTokenAlgorithm
from core.errors import Malformed
from keystore import sm2, sm2_forms, sm4

KEY_ALGORITHM: Final = "SGD_SM2_3"
CONTENT_ALGORITHM: Final = "SGD_SM4_GCM"
_NONCE: Final = 12
_TAG: Final = 16
_COORDINATE: Final = 32


def encryption_key(jwks: Mapping[str, Any] | None) -> tuple[str | None, bytes] | None:
    """Return `kid` and SubjectPublicKeyInfo of the SM2 key in a client's JWKS that encrypts.

    Raises `Malformed` for a key that is none.
    """
    keys = (jwks or {}).get("keys", [])
    for key in keys if isinstance(keys, list) else []:
        if not isinstance(key, dict) or key.get("crv") != CURVE:
            continue
        if key.get("use", "enc") == "enc":
            kid = key.get("kid")
            return (kid if isinstance(kid, str) else None), spki_of_jwk(key)
    return None


def check_encryption(metadata: ClientMetadata, signed_with: IDTokenAlgorithm) -> None:
    """Raises `Malformed` for a client that wants encryption and gives no key for it."""
    if metadata.id_token_encrypted_response_alg is None:
        return
    if signed_with is not IDTokenAlgorithm.SM2 or encryption_key(metadata.jwks) is None:
        raise Malformed(
            "encrypted ID tokens need id_token_algorithm SGD_SM3_SM2, and an SM2 key in jwks "
            "(kty EC, crv SM2-P-256, use enc)"
        )


def encrypt(token: str, *, kid: str | None, spki: bytes, raw: bool) -> str:
    """Return the compact JWE around a signed token (RFC 7519, 5.2: ``cty`` is JWT)."""
    header = {"alg": KEY_ALGORITHM, "enc": CONTENT_ALGORITHM, "cty": "JWT"}
    if kid is not None:
        header["kid"] = kid
    protected = _encoded(json.dumps(header, separators=(",", ":")).encode())
    content_key = secrets.token_bytes(sm4.KEY_OCTETS)
    sealed_key = sm2.encrypt(spki, content_key)
    if raw:
        sealed_key = _to_raw(sealed_key)
    # RFC 7516, 5.1: the protected header, as ASCII, is the additional authenticated data.
    sealed = sm4.seal(content_key, token.encode("ascii"), about=protected.encode("ascii"))
    parts = (sealed_key, sealed[:_NONCE], sealed[_NONCE:-_TAG], sealed[-_TAG:])
    return ".".join((protected, *map(_encoded, parts)))


def _to_raw(ciphertext: bytes) -> bytes:
    """Turn SM2Cipher (GM/T 0009, 7.2) into 04, x, y, C3, C2."""
    parts = sm2_forms.decode_cipher(ciphertext)
    x, y = (number.to_bytes(_COORDINATE, "big") for number in (parts.x, parts.y))
    return b"\x04" + x + y + parts.hash + parts.cipher_text


def _encoded(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")
