"""Each judge of ID tokens can say no. The tokens here are PyJWT's, signed with keys of its own."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from tests.judges import JudgeSaysNo
from tests.judges.tokens import VERIFIERS

pytestmark = pytest.mark.judge

_ISSUER, _AUDIENCE = "https://op.example.test", "rp"


class Minted:
    """A key pair, its JWKS, and tokens made with it."""

    def __init__(self, algorithm: str) -> None:
        self._algorithm = algorithm
        if algorithm == "ES256":
            self._key: Any = ec.generate_private_key(ec.SECP256R1())
            public = ECAlgorithm.to_jwk(self._key.public_key())
        else:
            self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            public = RSAAlgorithm.to_jwk(self._key.public_key())
        self.jwks = {"keys": [{**json.loads(public), "kid": "k", "alg": algorithm, "use": "sig"}]}
        self.jwks["keys"][0].pop("key_ops", None)

    def token(self, **changed: Any) -> str:
        now = datetime.now(UTC)
        good = {"iss": _ISSUER, "aud": _AUDIENCE, "sub": "u", "iat": now, "exp": now + _MINUTE}
        claims = {**good, **changed}
        return jwt.encode(claims, self._key, self._algorithm, headers={"kid": "k"})


_MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module", params=["ES256", "RS256"])
def minted(request: pytest.FixtureRequest) -> Minted:
    return Minted(request.param)


@pytest.fixture(scope="module")
def forged(minted: Minted) -> str:
    header, payload, signature = minted.token().split(".")
    return ".".join((header, payload, ("B" if signature[0] == "A" else "A") + signature[1:]))


@pytest.mark.parametrize("judge", VERIFIERS)
def test_a_judge_of_tokens_accepts_the_good_and_refuses_the_bad(
    judge: str, minted: Minted, forged: str
) -> None:
    verify = VERIFIERS[judge]
    expected = {"jwks": minted.jwks, "issuer": _ISSUER, "audience": _AUDIENCE}
    assert verify(minted.token(), **expected)["sub"] == "u"
    past = datetime.now(UTC) - timedelta(hours=1)
    bad = (
        forged,
        minted.token(aud="another"),
        minted.token(iss="https://op.example.invalid"),
        minted.token(exp=past),
        Minted("ES256").token(),
    )
    for token in bad:
        with pytest.raises(JudgeSaysNo):
            verify(token, **expected)
