"""ID tokens as JWS (RFC 7515), signed by the keystore through PyJWT.

PyJWT builds the header and the compact form; the signature comes from a `Signer`, so the key never
leaves its backend. The JWKS is made once: parsing keys for each request is what made other
providers slow.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa, utils
from cryptography.hazmat.primitives.serialization import load_der_public_key
from jwt.algorithms import Algorithm
from typing_extensions import override

from authn.oidc.store import IDTokenAlgorithm
from core import der
from core.errors import InvalidSignature, Malformed, Misconfigured
from keystore import verify
from keystore.algorithms import KeyAlgorithm, SignatureAlgorithm
from keystore.backend import Signer

Claims = Mapping[str, Any]

_P256_OCTETS: Final = 32


class _Keystore(Algorithm):
    """How PyJWT signs with a `Signer` and verifies under its public key."""

    @override
    def prepare_key(self, key: Any) -> Any:
        return key

    @override
    def sign(self, msg: bytes, key: Any) -> bytes:
        signer: Signer = key
        signature = signer.sign(msg)
        return _to_raw(signature) if signer.algorithm is _ECDSA else signature

    @override
    def verify(self, msg: bytes, key: Any, sig: bytes) -> bool:
        signer: Signer = key
        try:
            signature = _from_raw(sig) if signer.algorithm is _ECDSA else sig
            verify.verify_signature(signer.key.public_key, signer.algorithm, msg, signature)
        except InvalidSignature:
            return False
        return True

    @staticmethod
    @override
    def to_jwk(key_obj: Any, as_dict: bool = False) -> Any:
        members = _public_members(key_obj)
        return members if as_dict else json.dumps(members)

    @staticmethod
    @override
    def from_jwk(jwk: Any) -> Any:
        # PyJWT's class demands this method; keys reach us through the keystore only.
        raise jwt.InvalidKeyError("keys are not taken from a JWK here")


_ECDSA: Final = SignatureAlgorithm.ECDSA_SHA256
_NAMES: Final = {
    (KeyAlgorithm.EC_P256, _ECDSA): IDTokenAlgorithm.ES256,
    (KeyAlgorithm.RSA_2048, SignatureAlgorithm.RSA_SHA256): IDTokenAlgorithm.RS256,
    (KeyAlgorithm.RSA_3072, SignatureAlgorithm.RSA_SHA256): IDTokenAlgorithm.RS256,
    (KeyAlgorithm.RSA_4096, SignatureAlgorithm.RSA_SHA256): IDTokenAlgorithm.RS256,
}


class SigningKeys:
    """The keys of the provider: the first of each algorithm signs, all of them are published.

    An SM2 key is refused here: one in the JWKS makes go-jose and joserfc reject the whole set,
    and with it every token (docs/divergences.md).
    """

    def __init__(self, signers: Sequence[Signer]) -> None:
        self._by_algorithm: dict[IDTokenAlgorithm, tuple[str, Signer]] = {}
        self._by_kid: dict[str, tuple[IDTokenAlgorithm, Signer]] = {}
        keys = []
        for signer in signers:
            name = _NAMES.get((signer.key.algorithm, signer.algorithm))
            if name is None:
                raise Misconfigured(
                    f"ID tokens are signed with ES256 or RS256, not with {signer.key.ref} "
                    f"({signer.key.algorithm}, {signer.algorithm})"
                )
            members = _public_members(signer)
            kid = _thumbprint(members)
            keys.append({**members, "kid": kid, "use": "sig", "alg": name.value})
            self._by_algorithm.setdefault(name, (kid, signer))
            self._by_kid[kid] = (name, signer)
        if IDTokenAlgorithm.RS256 not in self._by_algorithm:
            # OIDC Core, 15.1 and Discovery, 3: RS256 must be among them.
            raise Misconfigured("the provider needs an RSA key for RS256 (OIDC Discovery, 3)")
        self.jwks = json.dumps({"keys": keys}, separators=(",", ":")).encode()
        """The JWK Set document (RFC 7517, 5)."""
        self._jws = jwt.PyJWS(algorithms=[])
        for name in IDTokenAlgorithm:
            self._jws.register_algorithm(name, _Keystore())

    @property
    def algorithms(self) -> tuple[IDTokenAlgorithm, ...]:
        """What a client may choose."""
        return tuple(self._by_algorithm)

    def sign(self, claims: Claims, algorithm: IDTokenAlgorithm, *, typ: str = "JWT") -> str:
        """Return the compact JWS. Raises `Misconfigured`, and `BackendUnavailable`."""
        if algorithm not in self._by_algorithm:
            raise Misconfigured(f"there is no key for {algorithm}")
        kid, signer = self._by_algorithm[algorithm]
        payload = json.dumps(claims, separators=(",", ":")).encode()
        key: Any = signer
        return self._jws.encode(payload, key, algorithm=algorithm, headers={"kid": kid, "typ": typ})

    def read_hint(self, token: str, *, issuer: str) -> Claims:
        """Return the claims of an ID token that we signed, however long ago.

        For `id_token_hint` only, where expiry does not matter (OIDC RP-Initiated Logout, 2): it
        never authenticates anybody. Raises `Malformed`.
        """
        try:
            kid = jwt.get_unverified_header(token).get("kid", "")
            name, signer = self._by_kid[kid]
            key: Any = signer
            payload = self._jws.decode(token, key, algorithms=[name])
            claims = json.loads(payload)
        except (jwt.InvalidTokenError, KeyError, ValueError, TypeError) as error:
            raise Malformed("the id_token_hint is not an ID token of ours") from error
        if not isinstance(claims, dict) or claims.get("iss") != issuer:
            raise Malformed("the id_token_hint is not an ID token of ours")
        return claims


def half_hash(text: str) -> str:
    """Return the left half of SHA-256, base64url: `at_hash` for ES256 and RS256 alike."""
    return _base64url(hashlib.sha256(text.encode("ascii")).digest()[:16])


def _public_members(signer: Signer) -> dict[str, str]:
    """Return exactly the members that RFC 7638, 3.2 hashes."""
    spki = signer.key.public_key
    if signer.key.algorithm is KeyAlgorithm.EC_P256:
        point = der.public_key_bits(spki)
        x, y = point[1 : 1 + _P256_OCTETS], point[1 + _P256_OCTETS :]
        return {"crv": "P-256", "kty": "EC", "x": _base64url(x), "y": _base64url(y)}
    key = load_der_public_key(spki)
    if not isinstance(key, rsa.RSAPublicKey):
        raise Misconfigured(f"{signer.key.ref} has no RSA key")
    numbers = key.public_numbers()
    return {"e": _base64url_int(numbers.e), "kty": "RSA", "n": _base64url_int(numbers.n)}


def _thumbprint(members: Mapping[str, str]) -> str:
    canonical = json.dumps(members, sort_keys=True, separators=(",", ":"))
    return _base64url(hashlib.sha256(canonical.encode()).digest())


def _to_raw(signature: bytes) -> bytes:
    # RFC 7518, 3.4: r and s as 32 octets each, not DER.
    r, s = utils.decode_dss_signature(signature)
    return r.to_bytes(_P256_OCTETS, "big") + s.to_bytes(_P256_OCTETS, "big")


def _from_raw(raw: bytes) -> bytes:
    if len(raw) != 2 * _P256_OCTETS:
        raise InvalidSignature("an ES256 signature has 64 octets")
    r, s = (int.from_bytes(part, "big") for part in (raw[:_P256_OCTETS], raw[_P256_OCTETS:]))
    return utils.encode_dss_signature(r, s)


def _base64url_int(number: int) -> str:
    return _base64url(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def _base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
