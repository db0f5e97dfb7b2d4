"""Four libraries that verify ID tokens; a fifth, npm's jose, is in `tests.judges.node`."""

from __future__ import annotations

import json
from typing import Any

import jwt
from jose import exceptions as python_jose_errors
from jose import jwt as python_jose
from joserfc import jwk as joserfc_jwk
from joserfc import jwt as joserfc_jwt
from joserfc.errors import JoseError
from jwcrypto import jwk as jwcrypto_jwk
from jwcrypto import jwt as jwcrypto_jwt
from jwcrypto.common import JWException

from tests.judges import JudgeSaysNo, node

ALGORITHMS = ["ES256", "RS256"]


def pyjwt(token: str, *, jwks: Any, issuer: str, audience: str) -> dict[str, Any]:
    """Judge with PyJWT."""
    kid = jwt.get_unverified_header(token)["kid"]
    try:
        key = jwt.PyJWKSet.from_dict(jwks)[kid]
        claims: dict[str, Any] = jwt.decode(
            token, key, algorithms=ALGORITHMS, audience=audience, issuer=issuer
        )
    except (jwt.PyJWTError, KeyError) as error:
        raise JudgeSaysNo(f"PyJWT: {error!r}") from error
    return claims


def joserfc(token: str, *, jwks: Any, issuer: str, audience: str) -> dict[str, Any]:
    """Judge with joserfc."""
    claims = {
        "iss": {"essential": True, "value": issuer},
        "aud": {"essential": True, "value": audience},
    }
    try:
        keys = joserfc_jwk.KeySet.import_key_set(jwks)
        decoded = joserfc_jwt.decode(token, keys, algorithms=ALGORITHMS)
        joserfc_jwt.JWTClaimsRegistry(**claims).validate(decoded.claims)
    except (JoseError, ValueError) as error:
        raise JudgeSaysNo(f"joserfc: {error!r}") from error
    return decoded.claims


def jwcrypto(token: str, *, jwks: Any, issuer: str, audience: str) -> dict[str, Any]:
    """Judge with jwcrypto."""
    keys = jwcrypto_jwk.JWKSet.from_json(json.dumps(jwks))
    wanted = {"iss": issuer, "aud": audience, "exp": None}
    try:
        verified = jwcrypto_jwt.JWT(jwt=token, key=keys, algs=ALGORITHMS, check_claims=wanted)
    except (JWException, ValueError, KeyError) as error:
        raise JudgeSaysNo(f"jwcrypto: {error!r}") from error
    claims: dict[str, Any] = json.loads(verified.claims)
    return claims


def python_jose_library(token: str, *, jwks: Any, issuer: str, audience: str) -> dict[str, Any]:
    """Judge with python-jose."""
    options = {"verify_at_hash": False}  # it wants the access token, which is not judged here
    # Given a whole set it tries every key, and stumbles over one of another type.
    kid = python_jose.get_unverified_header(token)["kid"]
    key = next(item for item in jwks["keys"] if item["kid"] == kid)
    try:
        claims: dict[str, Any] = python_jose.decode(
            token, key, ALGORITHMS, options, audience=audience, issuer=issuer
        )
    except python_jose_errors.JOSEError as error:
        raise JudgeSaysNo(f"python-jose: {error!r}") from error
    return claims


VERIFIERS = {
    "PyJWT": pyjwt,
    "joserfc": joserfc,
    "jwcrypto": jwcrypto,
    "python-jose": python_jose_library,
    "npm jose": node.verify_id_token,
}
"""Every judge of ID tokens: (token, jwks, issuer, audience) to claims."""
