"""JWTs that clients sign: assertions, request objects, DPoP proofs (RFC 7515, 7519; RFC 8725).

Strict: the algorithm must be one that the caller of this module allows, the key is never taken from
the token (except in a DPoP proof, whose caller asks for that), `crit` is refused because nothing
critical is understood, and everything has a limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import jwt

from authn.oidc import sm2jwk
from authn.oidc.clientmetadata import MOST_KEYS
from authn.oidc.store import Client, IDTokenAlgorithm
from core.errors import InvalidSignature, Malformed
from core.foreignjson import read_json

STRONG: Final = ("ES256", "PS256", "EdDSA")
"""What FAPI 2.0 Security Profile, 5.4.1 allows."""
ALL: Final = (*STRONG, "RS256")
GM: Final = (sm2jwk.ALGORITHM,)
"""What clients of the issuer for Chinese algorithms sign with."""

MOST_CHARACTERS: Final = 16_000
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_TYPES: Final = {"ES256": "EC", "PS256": "RSA", "RS256": "RSA", "EdDSA": "OKP"} | dict.fromkeys(
    GM, "EC"
)
_CURVES: Final = {"ES256": ("P-256",), "EdDSA": ("Ed25519",), GM[0]: (sm2jwk.CURVE,)}
_LEAST_RSA_BITS: Final = 2048
_MOST_RSA_CHARACTERS: Final = 1400  # 8192 bits in base64url
_JWS: Final = jwt.PyJWS(algorithms=list(ALL))
_JWS.register_algorithm(GM[0], sm2jwk.SM2Signatures())

JWK = Mapping[str, Any]


class Signed(NamedTuple):
    """A token whose signature is good, and nothing else checked."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]


def read_header(token: str, algorithms: Iterable[str]) -> Mapping[str, Any]:
    """Return the header of a compact JWS. Raises `Malformed`."""
    if len(token) > MOST_CHARACTERS or token.count(".") != 2:
        raise Malformed(f"it is not a compact JWS of at most {MOST_CHARACTERS} characters")
    try:
        header: dict[str, Any] = jwt.get_unverified_header(token)
    except (jwt.InvalidTokenError, RecursionError) as error:
        raise Malformed("its header cannot be read") from error
    if "crit" in header or "b64" in header:
        raise Malformed("its header has a critical extension, and none is understood (RFC 7515, 4)")
    if header.get("alg") not in tuple(algorithms):
        raise Malformed("its algorithm is not allowed here")
    return header


def verify(token: str, keys: Sequence[JWK], algorithms: Sequence[str]) -> Signed:
    """Return header and claims of a token signed by one of `keys`.

    Raises `Malformed` and `InvalidSignature`.
    """
    header = read_header(token, algorithms)
    name, kid = header["alg"], header.get("kid")
    fitting = [key for key in keys if fits(key, name)]
    named = [key for key in fitting if kid is not None and key.get("kid") == kid]
    for key in (named or [one for one in fitting if kid is None or "kid" not in one])[:MOST_KEYS]:
        try:
            payload = _JWS.decode(token, _loaded(key, name), algorithms=[name])
        except (jwt.InvalidTokenError, jwt.InvalidKeyError):
            continue
        return Signed(header, _claims(payload))
    raise InvalidSignature("no key of the client verifies its signature")


def offered(client: Client) -> tuple[str, ...]:
    """Return the algorithms that a client of its kind may sign with."""
    if client.id_token_algorithm is IDTokenAlgorithm.SM2:
        return GM
    return STRONG if client.metadata.is_fapi2 else ALL


def fits(key: JWK, algorithm: str) -> bool:
    """Whether a JWK can verify signatures of this algorithm (RFC 7517, 4)."""
    curves = _CURVES.get(algorithm)
    return (
        key.get("kty") == _TYPES[algorithm]
        and (curves is None or key.get("crv") in curves)
        and key.get("alg", algorithm) == algorithm
        and key.get("use", "sig") == "sig"
    )


def check_public(key: JWK) -> None:
    """Raises `Malformed` unless it is one public key that we understand."""
    if not isinstance(key, Mapping):
        raise Malformed("a JWK is a JSON object")
    if _PRIVATE & key.keys():
        raise Malformed("a JWK holds private or symmetric key material")
    if key.get("crv") == sm2jwk.CURVE:
        sm2jwk.spki_of_jwk(key)  # to verify, or to encrypt ID tokens to
        return
    name = next((one for one in ALL if fits(key, one)), None)
    if name is None:
        raise Malformed(f"a JWK is for none of {', '.join(ALL)}")
    _loaded(key, name)


def _loaded(key: JWK, algorithm: str) -> Any:
    if algorithm in GM:
        return sm2jwk.spki_of_jwk(key)
    if key.get("kty") == "RSA" and len(str(key.get("n", ""))) > _MOST_RSA_CHARACTERS:
        raise Malformed("an RSA key has more than 8192 bits")
    try:
        loaded = jwt.PyJWK(dict(key), algorithm=algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError) as error:
        raise Malformed("a JWK cannot be read") from error
    if key.get("kty") == "RSA" and loaded.key_size < _LEAST_RSA_BITS:
        raise Malformed(f"an RSA key has fewer than {_LEAST_RSA_BITS} bits")
    return loaded


def _claims(payload: bytes) -> Mapping[str, Any]:
    claims = read_json(payload, what="its payload")
    if not isinstance(claims, dict):
        raise Malformed("its claims are not a JSON object")
    return claims


def number(claims: Mapping[str, Any], name: str) -> float | None:
    """Return a NumericDate claim (RFC 7519, 2). Raises `Malformed`."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e11:
        raise Malformed(f"its {name} is not a time")
    return value


def is_unsigned(token: str) -> bool:
    """Whether a token says that nobody signed it (``alg: none``)."""
    try:
        return len(token) <= MOST_CHARACTERS and jwt.get_unverified_header(token)["alg"] == "none"
    except (jwt.InvalidTokenError, KeyError, RecursionError):
        return False


def unverified_subject(token: str) -> str:
    """Return `sub` of a token nobody has verified yet: to find whose keys verify it."""
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except (jwt.InvalidTokenError, RecursionError) as error:
        raise Malformed("it is not a JWT") from error
    subject = claims.get("sub")
    if not isinstance(subject, str):
        raise Malformed("its sub is not a text")
    return subject
