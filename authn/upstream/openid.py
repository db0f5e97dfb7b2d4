"""An OpenID provider as identity source: we are its relying party (OIDC Core, 3.1; RFC 9700).

Code flow with PKCE, state and nonce. What is under way travels in a sealed cookie, bound to the
state: an answer counts only in the browser that asked, once asked, from the issuer that was asked.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol
from urllib.parse import urlencode

import jwt

from authn import opaque
from authn.upstream.config import OpenIDSourceConfig
from authn.upstream.links import Claimed
from core.clock import Clock
from core.errors import BackendUnavailable, Refused, Unauthenticated, Unavailable
from core.outbound import Answer
from keystore import pin
from keystore.seal import Seal

COOKIE: Final = "__Host-yinxin-upstream-"
_LASTS: Final = timedelta(minutes=15)
_KEPT: Final = timedelta(hours=1)
"""How long metadata and keys of the other side are believed."""
_LEEWAY: Final = timedelta(seconds=60)
_ALGORITHMS: Final = ("RS256", "RS384", "PS256", "ES256", "ES384", "EdDSA")
_ABOUT: Final = "login upstream"
_CLAIMS: Final = json.dumps(
    {
        "id_token": dict.fromkeys(("preferred_username", "name", "email", "email_verified")),
    },
    separators=(",", ":"),
)
"""OIDC Core, 5.5: what would else be at userinfo. Who does not know the parameter ignores it."""


class Caller(Protocol):
    """Calls other places (`core.outbound.Outbound`)."""

    def get(self, url: str) -> Answer: ...

    def post_form(self, url: str, fields: dict[str, str]) -> Answer: ...


@dataclass(frozen=True, slots=True)
class Visit:
    """A login that is under way elsewhere."""

    source: str
    state: str
    nonce: str
    verifier: str
    next_path: str
    until: int
    user_id: str | None = None
    """Who wants to tie the identity to their account; None: somebody logs in."""


@dataclass(frozen=True, slots=True)
class Departure:
    """Where to send the browser, and what it has to keep."""

    location: str
    cookie_name: str
    cookie: str


class OpenIDSource:
    """Sends people to the provider and judges what they bring back."""

    def __init__(
        self,
        config: OpenIDSourceConfig,
        caller: Caller,
        *,
        redirect_uri: str,
        seal: Seal,
        clock: Clock,
    ) -> None:
        self.config = config
        self._caller = caller
        self._redirect_uri = redirect_uri
        self._seal = seal
        self._clock = clock
        self._metadata: tuple[datetime, dict[str, Any]] | None = None
        self._keys: tuple[datetime, jwt.PyJWKSet] | None = None

    def depart(self, next_path: str, *, user_id: str | None = None) -> Departure:
        """Begin a login there. Raises `Unavailable` when the provider cannot be reached."""
        until = int((self._clock.now() + _LASTS).timestamp())
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        visit = Visit(self.config.name, state, nonce, verifier, next_path, until, user_id)
        digest = hashlib.sha256(verifier.encode()).digest()
        asked = {
            "response_type": "code",
            "client_id": self.config.client_id,
            "redirect_uri": self._redirect_uri,
            "scope": " ".join(self.config.scopes),
            "state": state,
            "nonce": nonce,
            "claims": _CLAIMS,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        endpoint = self._endpoint("authorization_endpoint")
        joint = "&" if "?" in endpoint else "?"
        sealed = self._seal.seal(json.dumps(asdict(visit)).encode(), about=_ABOUT)
        return Departure(
            f"{endpoint}{joint}{urlencode(asked)}",
            cookie_name(state),
            base64.urlsafe_b64encode(sealed).decode(),
        )

    def arrive(self, answer: dict[str, str], cookie: str) -> tuple[Visit, Claimed]:
        """Judge what came back. Raises `Unauthenticated`, and `Unavailable`."""
        visit = self._open(cookie)
        if not opaque.equal(visit.state, answer.get("state", "")):
            raise Unauthenticated("this answer belongs to another login; try again")
        self._require_issuer(answer.get("iss"))
        if "error" in answer or not answer.get("code"):
            raise Unauthenticated("the other system did not let you in")
        token = self._redeem(answer["code"], visit.verifier)
        return visit, self._claimed(self._verified(token, visit.nonce))

    def way_of(self, cookie: str) -> str | None:
        """Return where a login of this browser led to, whatever became of it; None: not known."""
        try:
            return self._read(cookie).next_path
        except Unauthenticated:
            return None

    def _read(self, cookie: str) -> Visit:
        try:
            sealed = base64.urlsafe_b64decode(cookie.encode("ascii"))
            return Visit(**json.loads(self._seal.open(sealed, about=_ABOUT)))
        except (ValueError, TypeError, BackendUnavailable) as error:
            raise Unauthenticated("this login began in another browser; try again") from error

    def _open(self, cookie: str) -> Visit:
        visit = self._read(cookie)
        late = self._clock.now().timestamp() > visit.until
        if late or visit.source != self.config.name:
            raise Unauthenticated("this login took too long; try again")
        return visit

    def _require_issuer(self, said: str | None) -> None:
        """RFC 9207, 2.4: against answers of another provider (mix-up)."""
        promised = self._described().get("authorization_response_iss_parameter_supported") is True
        if said != self.config.issuer and (said is not None or promised):
            raise Unauthenticated("this answer is from another system than was asked")

    def _redeem(self, code: str, verifier: str) -> str:
        secret = pin.from_file(self.config.client_secret_file)().decode().strip()
        answer = self._caller.post_form(
            self._endpoint("token_endpoint"),
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": self._redirect_uri,
                "client_id": self.config.client_id,
                "client_secret": secret,
                "code_verifier": verifier,
            },
        )
        token = _object(answer).get("id_token") if answer.status == 200 else None
        if not isinstance(token, str):
            raise Unauthenticated("the other system gave no identity for this answer")
        return token

    def _verified(self, token: str, nonce: str) -> dict[str, Any]:
        """OIDC Core, 3.1.3.7. The time is judged by our clock, not by the library's."""
        try:
            header = jwt.get_unverified_header(token)
            key = self._key(str(header.get("kid", "")), str(header.get("alg", "")))
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[str(header["alg"])],
                audience=self.config.client_id,
                issuer=self.config.issuer,
                options={
                    "require": ["iss", "sub", "aud", "exp", "iat"],
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except (jwt.InvalidTokenError, KeyError, TypeError, ValueError) as error:
            raise Unauthenticated("the identity that came back does not verify") from error
        now = self._clock.now().timestamp()
        expires, issued = claims["exp"], claims["iat"]
        for moment in (expires, issued):
            if not isinstance(moment, int | float) or isinstance(moment, bool):
                raise Unauthenticated("the identity that came back has no time")
        slack = _LEEWAY.total_seconds()
        if now > expires + slack or issued > now + slack:
            raise Unauthenticated("the identity that came back is too old; try again")
        if claims["aud"] not in (self.config.client_id, [self.config.client_id]):
            raise Unauthenticated("the identity that came back is for others, too")
        if not opaque.equal(str(claims.get("nonce", "")), nonce):
            raise Unauthenticated("the identity that came back belongs to another login")
        return claims

    def _claimed(self, claims: dict[str, Any]) -> Claimed:
        subject = claims["sub"]
        if not isinstance(subject, str) or not 1 <= len(subject) <= 255:
            raise Unauthenticated("the identity that came back has no subject")
        email = claims.get("email") if claims.get("email_verified") is True else None
        return Claimed(
            source=self.config.name,
            subject=subject,
            name=_text(claims.get("preferred_username")),
            display_name=_text(claims.get("name")),
            email=_text(email),
        )

    def _key(self, kid: str, algorithm: str) -> jwt.PyJWK:
        if algorithm not in _ALGORITHMS:
            raise jwt.InvalidTokenError("an algorithm that is not taken")
        for newest in (False, True):  # the other side may have changed its keys a moment ago
            for key in self._published(newest=newest).keys:
                named = key.key_id == kid if kid else True
                if named and key.public_key_use in (None, "sig") and key.key_type != "oct":
                    return key
        raise jwt.InvalidTokenError("a key that the provider does not publish")

    def _published(self, *, newest: bool) -> jwt.PyJWKSet:
        now, known = self._clock.now(), self._keys
        fresh = known is not None and now < known[0] + (timedelta(minutes=1) if newest else _KEPT)
        if known is not None and fresh:
            return known[1]
        answer = self._caller.get(self._endpoint("jwks_uri"))
        try:
            found = jwt.PyJWKSet.from_dict(_object(answer))
        except jwt.PyJWTError as error:
            raise Unavailable("the keys of the other system cannot be read") from error
        self._keys = (now, found)
        return found

    def _endpoint(self, name: str) -> str:
        found = self._described().get(name)
        if not isinstance(found, str) or not found.startswith("https://"):
            raise Unavailable(f"the other system describes no {name}")
        return found

    def _described(self) -> dict[str, Any]:
        now, known = self._clock.now(), self._metadata
        if known is not None and now < known[0] + _KEPT:
            return known[1]
        url = f"{self.config.issuer.rstrip('/')}/.well-known/openid-configuration"
        try:
            found = _object(self._caller.get(url))
        except Refused as error:  # its network is not allowed: a matter of the settings
            raise Unavailable(str(error)) from error
        if found.get("issuer") != self.config.issuer:
            # OIDC Discovery, 4.3
            raise Unavailable("the other system describes itself as another issuer")
        self._metadata = (now, found)
        return found


def cookie_name(state: str) -> str:
    """Return the cookie of a login that is under way; each has its own, for several tabs."""
    return COOKIE + hashlib.sha256(state.encode()).hexdigest()[:12]


def _object(answer: Answer) -> dict[str, Any]:
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise Unavailable("the other system did not answer with JSON") from error
    if not isinstance(found, dict):
        raise Unavailable("the other system did not answer with a JSON object")
    return found


def _text(value: Any) -> str | None:
    return value.strip()[:200] if isinstance(value, str) and value.strip() else None
