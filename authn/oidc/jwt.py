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
from dataclasses import dataclass
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa, utils
from cryptography.hazmat.primitives.serialization import load_der_public_key
from jwt.algorithms import Algorithm
from typing_extensions import override

from authn.config import GMConfig
from authn.oidc.store import IDTokenAlgorithm
from core import der
from core.errors import InvalidSignature, Malformed, Misconfigured
from keystore import verify
from keystore.algorithms import KeyAlgorithm, SignatureAlgorithm
from keystore.backend import InMemory, KeyInfo, Signer

Claims = Mapping[str, Any]

_json: Final = json.JSONEncoder(separators=(",", ":")).encode
_P256_OCTETS: Final = 32


class _Keystore(Algorithm):
    """How PyJWT signs with a `Signer` and verifies under its public key."""

    @override
    def prepare_key(self, key: Any) -> Any:
        return key

    def __init__(self, *, sm2_raw: bool = True) -> None:
        self._raw = {_ECDSA, _SM2} if sm2_raw else {_ECDSA}

    @override
    def sign(self, msg: bytes, key: Any) -> bytes:
        signer: Signer = key
        signature = signer.sign(msg)
        return _to_raw(signature) if signer.algorithm in self._raw else signature

    @override
    def verify(self, msg: bytes, key: Any, sig: bytes) -> bool:
        signer: Signer = key
        try:
            # SM2: a token from before `authn.gm.signature` was switched is still one of ours.
            raw = signer.algorithm is _ECDSA or (
                signer.algorithm is _SM2 and len(sig) == 2 * _P256_OCTETS
            )
            signature = _from_raw(sig) if raw else sig
            verify.verify_signature(signer.key.public_key, signer.algorithm, msg, signature)
        except InvalidSignature:
            return False
        return True

    @staticmethod
    @override
    def to_jwk(key_obj: Any, as_dict: bool = False) -> Any:
        members = public_members(key_obj.key)
        return members if as_dict else json.dumps(members)

    @staticmethod
    @override
    def from_jwk(jwk: Any) -> Any:
        # PyJWT's class demands this method; keys reach us through the keystore only.
        raise jwt.InvalidKeyError("keys are not taken from a JWK here")


_ECDSA: Final = SignatureAlgorithm.ECDSA_SHA256
_SM2: Final = SignatureAlgorithm.SM2_SM3
_ID_TOKEN: Final = "JWT"  # noqa: S105 - a word of the standard
"""`typ` of ID tokens; every other token that we sign says what it is (RFC 8725, 3.11)."""
_NAMES: Final = {
    (KeyAlgorithm.EC_P256, _ECDSA): IDTokenAlgorithm.ES256,
    (KeyAlgorithm.RSA_2048, SignatureAlgorithm.RSA_SHA256): IDTokenAlgorithm.RS256,
    (KeyAlgorithm.RSA_3072, SignatureAlgorithm.RSA_SHA256): IDTokenAlgorithm.RS256,
    (KeyAlgorithm.RSA_4096, SignatureAlgorithm.RSA_SHA256): IDTokenAlgorithm.RS256,
}
_CURVES: Final = {KeyAlgorithm.EC_P256: "P-256", KeyAlgorithm.SM2: "SM2-P-256"}
"""Names of curves; that of SM2 is in no registry of the IETF (GM/T 0125.4)."""
_GM_NAMES: Final = {(KeyAlgorithm.SM2, _SM2): IDTokenAlgorithm.SM2}


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """A key in the JWKS; `signs` says whether it also signs now."""

    signer: Signer
    signs: bool = True


@dataclass(frozen=True, slots=True)
class _Ring:
    """What is in force, replaced as a whole."""

    signing: Mapping[IDTokenAlgorithm, tuple[str, Signer]]
    verifying: Mapping[str, tuple[IDTokenAlgorithm, Signer]]
    jwks: bytes
    at_once: frozenset[IDTokenAlgorithm]
    """With which signing waits for nobody, and takes a tenth of a millisecond."""


class SigningKeys:
    """The keys of an issuer: the first of each algorithm that signs does, all are published.

    An SM2 key is refused without `gm`: one in the JWKS makes go-jose and joserfc reject the whole
    set, and with it every token (docs/divergences.md). With `gm` there are SM2 keys and no others.
    """

    def __init__(self, keys: Sequence[PublishedKey], *, gm: GMConfig | None = None) -> None:
        self._gm = gm is not None
        self._jws = jwt.PyJWS(algorithms=[])
        for name in IDTokenAlgorithm:
            self._jws.register_algorithm(
                name, _Keystore(sm2_raw=gm is None or gm.signature == "raw")
            )
        self._ring = self._made(keys)

    def replace(self, keys: Sequence[PublishedKey]) -> None:
        """Use and publish these from now on."""
        self._ring = self._made(keys)

    @property
    def jwks(self) -> bytes:
        """The JWK Set document (RFC 7517, 5), made once for each change."""
        return self._ring.jwks

    def _made(self, published: Sequence[PublishedKey]) -> _Ring:
        signing: dict[IDTokenAlgorithm, tuple[str, Signer]] = {}
        verifying: dict[str, tuple[IDTokenAlgorithm, Signer]] = {}
        documents = []
        for key in published:
            signer = key.signer
            name = self._name_of(signer)
            members = public_members(signer.key)
            kid = _thumbprint(members)
            documents.append({**members, "kid": kid, "use": "sig", "alg": name.value})
            if key.signs:
                signing.setdefault(name, (kid, signer))
            verifying[kid] = (name, signer)
        if not self._gm and IDTokenAlgorithm.RS256 not in signing:
            # OIDC Core, 15.1 and Discovery, 3: RS256 must be among them.
            raise Misconfigured("the provider needs an RSA key for RS256 (OIDC Discovery, 3)")
        jwks = _json({"keys": documents}).encode()
        at_once = frozenset(
            name
            for name, (_, signer) in signing.items()
            if name is IDTokenAlgorithm.ES256 and isinstance(signer, InMemory)
        )
        return _Ring(signing, verifying, jwks, at_once)

    def _name_of(self, signer: Signer) -> IDTokenAlgorithm:
        names = _GM_NAMES if self._gm else _NAMES
        name = names.get((signer.key.algorithm, signer.algorithm))
        if name is None:
            wanted = "SM2" if self._gm else "ES256 or RS256"
            raise Misconfigured(
                f"ID tokens are signed with {wanted} here, not with {signer.key.ref} "
                f"({signer.key.algorithm}, {signer.algorithm})"
            )
        return name

    @property
    def algorithms(self) -> tuple[IDTokenAlgorithm, ...]:
        """What a client may choose."""
        return tuple(self._ring.signing)

    def signs_at_once(self, algorithm: IDTokenAlgorithm) -> bool:
        """Whether `sign` may be called where nothing may wait."""
        return algorithm in self._ring.at_once

    def sign(self, claims: Claims, algorithm: IDTokenAlgorithm, *, typ: str = _ID_TOKEN) -> str:
        """Return the compact JWS. Raises `Misconfigured`, and `BackendUnavailable`."""
        if algorithm not in self._ring.signing:
            raise Misconfigured(f"there is no key for {algorithm}")
        kid, signer = self._ring.signing[algorithm]
        payload = _json(claims).encode()
        key: Any = signer
        return self._jws.encode(payload, key, algorithm=algorithm, headers={"kid": kid, "typ": typ})

    def read_hint(self, token: str, *, issuer: str) -> Claims:
        """Return the claims of an ID token that we signed, however long ago.

        For `id_token_hint` only, where expiry does not matter (OIDC RP-Initiated Logout, 2): it
        never authenticates anybody. Raises `Malformed`.
        """
        try:
            header = jwt.get_unverified_header(token)
            if header.get("typ") != _ID_TOKEN:  # a logout token, or an access token
                raise Malformed("the id_token_hint is not an ID token of ours")
            kid = header.get("kid", "")
            name, signer = self._ring.verifying[kid]
            key: Any = signer
            payload = self._jws.decode(token, key, algorithms=[name])
            claims = json.loads(payload)
        except (jwt.InvalidTokenError, KeyError, ValueError, TypeError) as error:
            raise Malformed("the id_token_hint is not an ID token of ours") from error
        if not isinstance(claims, dict) or claims.get("iss") != issuer:
            raise Malformed("the id_token_hint is not an ID token of ours")
        return claims


def half_hash(text: str, algorithm: IDTokenAlgorithm) -> str:
    """Return the left half of the hash of `algorithm`, base64url: `at_hash` (OIDC Core, 3.1.3.6).

    SHA-256 for ES256 and RS256 alike, SM3 for SGD_SM3_SM2.
    """
    octets = text.encode("ascii")
    if algorithm is IDTokenAlgorithm.SM2:
        return _base64url(hashlib.new("sm3", octets).digest()[:16])
    return _base64url(hashlib.sha256(octets).digest()[:16])


def key_id(key: KeyInfo) -> str:
    """Return the `kid` of a key: its thumbprint (RFC 7638), by SHA-256 whatever the key is."""
    return _thumbprint(public_members(key))


def public_members(key: KeyInfo) -> dict[str, str]:
    """Return exactly the members that RFC 7638, 3.2 hashes."""
    curve = _CURVES.get(key.algorithm)
    if curve is not None:
        point = der.public_key_bits(key.public_key)
        x, y = point[1 : 1 + _P256_OCTETS], point[1 + _P256_OCTETS :]
        return {"crv": curve, "kty": "EC", "x": _base64url(x), "y": _base64url(y)}
    loaded = load_der_public_key(key.public_key)
    if not isinstance(loaded, rsa.RSAPublicKey):
        raise Misconfigured(f"{key.ref} has no RSA key")
    numbers = loaded.public_numbers()
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
        raise InvalidSignature("a signature of this kind has 64 octets")
    r, s = (int.from_bytes(part, "big") for part in (raw[:_P256_OCTETS], raw[_P256_OCTETS:]))
    return utils.encode_dss_signature(r, s)


def _base64url_int(number: int) -> str:
    return _base64url(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def _base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
