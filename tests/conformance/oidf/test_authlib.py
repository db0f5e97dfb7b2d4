"""Authlib's client: keys instead of a secret, refresh, introspection, revocation."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from cryptography.hazmat.primitives import serialization

from authn.oidc.clientmetadata import ClientMetadata
from core.clock import SystemClock
from tests.conformance.oidf.conftest import register
from tests.conformance.oidf.relying_party import CALLBACK, Browser
from tests.conformance.oidf.served import Served, serving

pytestmark = pytest.mark.judge


@pytest.fixture(scope="module")
def now(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("authlib"), clock=SystemClock()) as running:
        running.house.user()
        yield running


def session_of(now: Served, method: str) -> OAuth2Session:
    key = now.keys["rsa"]  # Authlib signs assertions with RSA
    own = {"jwks": key.jwks} if method == "private_key_jwt" else {}
    grants = ("authorization_code", "refresh_token", "client_credentials")
    client = register(now, method, metadata=ClientMetadata(grant_types=grants, **own))
    pem = key.private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    session = OAuth2Session(
        client.client_id,
        client.secret or pem,
        token_endpoint_auth_method=method,
        revocation_endpoint_auth_method=method,
        scope="openid profile",
        redirect_uri=CALLBACK,
        code_challenge_method="S256",
        token_endpoint=f"{now.issuer}/oidc/token",
    )
    session.register_client_auth_method(
        PrivateKeyJWT(f"{now.issuer}/oidc/token", headers={"kid": key.kid})
    )
    session.verify, session.trust_env = str(now.trust), False
    now.opened.append(session)
    return session


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "private_key_jwt"])
def test_authlib_logs_in_refreshes_and_gives_back(now, method):
    session, verifier = session_of(now, method), secrets.token_urlsafe(48)
    url, state = session.create_authorization_url(
        f"{now.issuer}/oidc/authorize", code_verifier=verifier
    )
    answer = Browser(now).open(url)
    assert answer.status_code == 303, answer.text
    back = answer.headers["location"]
    endpoint = f"{now.issuer}/oidc/token"
    first = session.fetch_token(
        endpoint, authorization_response=back, state=state, code_verifier=verifier
    )
    userinfo = session.get(f"{now.issuer}/oidc/userinfo").json()
    assert userinfo["name"] == "张伟"
    second = session.refresh_token(endpoint, refresh_token=first["refresh_token"])
    assert second["access_token"] != first["access_token"]
    seen = session.introspect_token(f"{now.issuer}/oidc/introspect", token=second["access_token"])
    assert seen.json()["active"] is True
    revoked = session.revoke_token(f"{now.issuer}/oidc/revoke", token=second["refresh_token"])
    assert revoked.status_code == 200
    with pytest.raises(OAuthError, match="invalid_grant"):
        session.refresh_token(endpoint, refresh_token=second["refresh_token"])
