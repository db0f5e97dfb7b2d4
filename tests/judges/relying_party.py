"""Two relying parties from shelves: Authlib's client, and npm's openid-client at its default.

Each runs discovery, the authorization code flow with PKCE, the token request and userinfo. The
person at the browser is a callable: it is given the authorization URL, logs in, and returns the
URL that the provider sent the browser back to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from authlib.common.errors import AuthlibBaseError
from authlib.integrations.base_client import BaseApp, OAuth2Mixin, OpenIDMixin
from authlib.integrations.requests_client import OAuth2Session
from joserfc.errors import JoseError

from tests.judges import JudgeSaysNo
from tests.judges.node import Conversation

Person = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Registration:
    """What a client knows about itself and the provider."""

    issuer: str
    client_id: str
    client_secret: str
    redirect_uri: str
    trust: Path
    """PEM of the root under which the provider's TLS certificate is."""
    scope: str = "openid profile email"
    id_token_algorithm: str = "ES256"


@dataclass(frozen=True, slots=True)
class Login:
    """What a relying party holds in the end, checked by itself."""

    id_token: str
    claims: dict[str, Any]
    userinfo: dict[str, Any]


def openid_client(registration: Registration, person: Person) -> Login:
    """Log in with npm's openid-client."""
    with Conversation("openid-client.mjs", trust=registration.trust) as script:
        script.say(
            {
                "issuer": registration.issuer,
                "clientId": registration.client_id,
                "clientSecret": registration.client_secret,
                "redirectUri": registration.redirect_uri,
                "scope": registration.scope,
                "idTokenAlg": registration.id_token_algorithm,
            }
        )
        script.say({"callback": person(script.hear()["authorize"])})
        answer = script.hear()
    return Login(answer["idToken"], answer["claims"], answer["userinfo"])


class _AuthlibApp(OAuth2Mixin, OpenIDMixin, BaseApp):
    """Authlib's client, as its Flask integration puts it together."""

    client_cls = OAuth2Session


def authlib(registration: Registration, person: Person) -> Login:
    """Log in with Authlib."""
    app = _AuthlibApp(
        framework=None,
        name="judge",
        client_id=registration.client_id,
        client_secret=registration.client_secret,
        server_metadata_url=f"{registration.issuer}/.well-known/openid-configuration",
        client_kwargs={
            "scope": registration.scope,
            "code_challenge_method": "S256",
            "verify": str(registration.trust),
            "trust_env": False,  # or REQUESTS_CA_BUNDLE would replace it
        },
    )
    try:
        asked = app.create_authorization_url(registration.redirect_uri)
        answer = parse_qs(urlsplit(person(asked["url"])).query)
        if answer.get("state") != [asked["state"]] or answer.get("iss") != [registration.issuer]:
            raise JudgeSaysNo(f"Authlib: state or iss is wrong in {answer}")
        token = app.fetch_access_token(
            registration.redirect_uri,
            code=answer["code"][0],
            state=asked["state"],
            code_verifier=asked["code_verifier"],
        )
        claims = app.parse_id_token(token, nonce=asked["nonce"])
        userinfo = app.userinfo(token=token)
    except (AuthlibBaseError, JoseError, KeyError) as error:
        raise JudgeSaysNo(f"Authlib: {error!r}") from error
    return Login(token["id_token"], dict(claims), dict(userinfo))
