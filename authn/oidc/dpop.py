"""Proof of possession of a key by the caller (DPoP, RFC 9449)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from authn.oidc import clientjws
from authn.oidc.caller import Caller
from authn.oidc.errors import OAuthError
from authn.oidc.grant import Confirmation
from authn.oidc.purposekeys import PurposeKeys
from authn.oidc.replays import Replays
from core.clock import Clock
from core.errors import InvalidSignature, Malformed

ALGORITHMS: Final = clientjws.STRONG
NONCE_HEADER: Final = "DPoP-Nonce"
_WINDOW: Final = timedelta(seconds=60)
"""A proof is good so long before and after its `iat`."""
_NONCE_SECONDS: Final = 120
_THUMBPRINT: Final = {"EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n")}
_OKP: Final = ("crv", "kty", "x")
_PURPOSE: Final = "DPoP nonces"


class InvalidProof(OAuthError):
    """RFC 9449, 5 and 7.1."""

    def __init__(self, description: str) -> None:
        super().__init__("invalid_dpop_proof", f"the DPoP proof is refused: {description}")


class Proofs:
    """Checks proofs; each is good once, within a minute of its time."""

    def __init__(
        self, replays: Replays, keys: PurposeKeys, *, nonce_required: bool, clock: Clock
    ) -> None:
        self._replays = replays
        self._keys = keys
        self._nonce_required = nonce_required
        self._clock = clock

    def check(self, caller: Caller, *, access_token: str | None = None) -> Confirmation | None:
        """Return the key that the caller proved to hold; None if there is no proof.

        Raises `OAuthError` invalid_dpop_proof and use_dpop_nonce.
        """
        if not caller.proofs:
            return None
        if len(caller.proofs) > 1:
            raise InvalidProof("there are two DPoP headers")
        try:
            return self._check(caller, caller.proofs[0], access_token)
        except (Malformed, InvalidSignature) as error:
            raise InvalidProof(str(error)) from error

    def nonce(self) -> str:
        """Return a nonce that is good now, and for some minutes."""
        return self._nonce_of(self._slot())

    def _check(self, caller: Caller, proof: str, access_token: str | None) -> Confirmation:
        header = clientjws.read_header(proof, ALGORITHMS)
        if header.get("typ") != "dpop+jwt":
            raise Malformed("its typ is not dpop+jwt")
        key = header.get("jwk")
        if not isinstance(key, dict):
            raise Malformed("its header has no jwk")
        clientjws.check_public(key)
        bare = {name: value for name, value in key.items() if name != "kid"}
        claims = clientjws.verify(proof, [bare], ALGORITHMS).claims
        if claims.get("htm") != caller.method:
            raise Malformed("its htm is another method")
        if not _same(claims.get("htu"), caller.url):
            raise Malformed("its htu is another address")
        self._check_nonce(claims)
        if access_token is not None and claims.get("ath") != _hash(access_token):
            raise Malformed("its ath is not of this access token")
        confirmation = Confirmation("jkt", jwk_thumbprint(key))
        self._check_fresh(claims, confirmation.thumbprint)
        return confirmation

    def _check_nonce(self, claims: Mapping[str, Any]) -> None:
        nonce = claims.get("nonce")
        if nonce is None and not self._nonce_required:
            return
        good = [self._nonce_of(self._slot() - age) for age in range(2)]
        if not isinstance(nonce, str) or not any(
            hmac.compare_digest(nonce.encode(), one.encode()) for one in good
        ):
            raise OAuthError(
                "use_dpop_nonce",
                "repeat the request with the nonce of this answer",
                headers={NONCE_HEADER: self.nonce()},
            )

    def _check_fresh(self, claims: Mapping[str, Any], thumbprint: str) -> None:
        now, iat, jti = self._clock.now(), clientjws.number(claims, "iat"), claims.get("jti")
        if not isinstance(jti, str) or not 1 <= len(jti) <= 256:
            raise Malformed("its jti is not a text of 1 to 256 characters")
        if iat is None or abs(now - datetime.fromtimestamp(iat, UTC)) > _WINDOW:
            raise Malformed("its iat is missing or not now")
        expires_at = datetime.fromtimestamp(iat, UTC) + 2 * _WINDOW
        if not self._replays.first_use("dpop", thumbprint, jti, expires_at=expires_at):
            raise Malformed("its jti was used before")

    def _slot(self) -> int:
        return int(self._clock.now().timestamp()) // _NONCE_SECONDS

    def _nonce_of(self, slot: int) -> str:
        return _base64url(hmac.digest(self._keys(_PURPOSE), str(slot).encode(), "sha256"))


def jwk_thumbprint(key: Mapping[str, Any]) -> str:
    """Return the thumbprint of a JWK (RFC 7638, 3)."""
    members = {name: key.get(name) for name in _THUMBPRINT.get(str(key.get("kty")), _OKP)}
    canonical = json.dumps(members, sort_keys=True, separators=(",", ":"))
    return _base64url(hashlib.sha256(canonical.encode()).digest())


def _same(htu: object, url: str) -> bool:
    """RFC 9449, 4.3 (9): compared without query and fragment, normalised (RFC 3986, 6.2)."""
    if not isinstance(htu, str) or len(htu) > 2000:
        return False
    try:
        return _normal(htu) == _normal(url)
    except ValueError:
        return False


def _normal(url: str) -> tuple[str, str, int | None, str]:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme.lower() == "https" else None)
    if parts.username is not None:
        raise ValueError("an address with user information")
    return parts.scheme.lower(), (parts.hostname or "").lower(), port, parts.path


def _hash(access_token: str) -> str:
    return _base64url(hashlib.sha256(access_token.encode()).digest())


def _base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
