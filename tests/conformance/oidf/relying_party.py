"""A relying party and its browser, on `requests`: nothing of ours on this side of the wire."""

from __future__ import annotations

import base64
import hashlib
import html
import math
import re
import secrets
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import jwt
import requests

from tests.conformance.oidf.served import ClientKey, Served
from tests.integration.provider import PASSWORD

_DESCRIPTION = r"[\x20\x21\x23-\x5b\x5d-\x7e]*"
CALLBACK = "https://rp.example.cn/callback"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
TIMEOUT = 30


class Browser:
    """Keeps cookies, follows redirects on the provider's site, and logs in when asked to."""

    def __init__(self, served: Served, *, name: str = "zhang.wei") -> None:
        self.served, self.name, self.logins = served, name, 0
        self.session = requests.Session()
        served.opened.append(self.session)
        self.session.verify = str(served.trust)
        self.session.trust_env = False

    def open(self, url: str, **how: Any) -> requests.Response:
        """Open an address and go on until there is a page, or the way leads to the client."""
        response = self.session.get(url, allow_redirects=False, timeout=TIMEOUT, **how)
        return self._go_on(response)

    def post(self, url: str, fields: dict[str, str]) -> requests.Response:
        response = self.session.post(url, data=fields, allow_redirects=False, timeout=TIMEOUT)
        return self._go_on(response)

    def _go_on(self, response: requests.Response) -> requests.Response:
        for _ in range(8):
            assert response.status_code not in (301, 302, 307, 308), "303 only (RFC 9700, 4.12)"
            if response.status_code == 303:
                target = urljoin(response.url, response.headers["location"])
                if not target.startswith(self.served.issuer + "/"):
                    return response
                response = self.session.get(target, allow_redirects=False, timeout=TIMEOUT)
            elif urlsplit(response.url).path == "/login" and response.status_code == 200:
                response = self._log_in(response)
            else:
                return response
        raise AssertionError("the browser was sent round and round")

    def _log_in(self, page: requests.Response) -> requests.Response:
        self.logins += 1
        fields = hidden_fields(page.text) | {"name": self.name, "password": PASSWORD}
        return self.session.post(
            self.served.issuer + "/login", data=fields, allow_redirects=False, timeout=TIMEOUT
        )


def hidden_fields(page: str) -> dict[str, str]:
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page)
    return {name: html.unescape(value) for name, value in found}


def answer_of(response: requests.Response, *, callback: str = CALLBACK) -> dict[str, str]:
    """What the client received: in its address or in a form."""
    if response.status_code == 303:
        location = response.headers["location"]
        assert location.startswith(callback), location
        assert "#" not in location
        values = parse_qs(urlsplit(location).query, strict_parsing=True)
        assert all(len(value) == 1 for value in values.values())
        return checked_answer({name: value[0] for name, value in values.items()})
    assert f'action="{callback}"' in response.text, response.text
    return checked_answer(hidden_fields(response.text))


def checked_answer(answer: dict[str, str]) -> dict[str, str]:
    """What every authorization response has to keep (RFC 6749, 4.1.2; RFC 9207, 2)."""
    assert ("code" in answer) != ("error" in answer), answer
    assert answer.keys() <= {"code", "error", "error_description", "state", "iss"}, answer
    if "code" in answer:
        assert_unguessable(answer["code"])
    assert re.fullmatch(_DESCRIPTION, answer.get("error_description", "-"))
    return answer


def assert_unguessable(secret: str) -> None:
    """As the suite estimates it: characters of RFC 6749, 128 bits of them, 96 of Shannon's."""
    assert re.fullmatch(r"[\x20-\x7e]+", secret)
    assert len(secret) * 8 >= 128
    times = Counter(secret).values()
    entropy = -sum(count * math.log2(count / len(secret)) for count in times)
    assert entropy >= 96, secret


def is_error_page(response: requests.Response) -> bool:
    """The person is told, and the browser is not sent anywhere."""
    return (
        response.status_code == 400
        and "location" not in response.headers
        and "text/html" in response.headers["content-type"]
    )


@dataclass
class RelyingParty:
    """One registered client, and how it talks to the provider."""

    served: Served
    client_id: str
    method: str
    secret: str | None = None
    key: ClientKey | None = None
    """Signs assertions and request objects, and is its TLS certificate."""
    proof_key: ClientKey | None = None
    """Signs DPoP proofs."""
    redirect_uri: str = CALLBACK
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    # ---- what it sends ----

    def request(self, **changes: str | None) -> dict[str, str]:
        digest = hashlib.sha256(self.verifier.encode()).digest()
        parameters = {
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "response_type": "code",
            "scope": "openid",
            "state": "st-" + secrets.token_urlsafe(8),
            "nonce": "no-" + secrets.token_urlsafe(8),
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        } | changes
        return {name: value for name, value in parameters.items() if value is not None}

    def url(self, parameters: dict[str, str]) -> str:
        return f"{self.served.issuer}/oidc/authorize?{urlencode(parameters)}"

    def now(self) -> int:
        return int(self.served.clock.now().timestamp())

    def assertion(self, *, algorithm: str | None = None, **changes: Any) -> str:
        now = self.now()
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.served.issuer,
            "iat": now,
            "exp": now + 60,
            "jti": secrets.token_urlsafe(16),
        } | changes
        kept = {name: value for name, value in claims.items() if value is not None}
        return self.key.sign(kept, algorithm=algorithm)

    def proof(
        self,
        url: str,
        *,
        method: str = "POST",
        token: str | None = None,
        key: ClientKey | None = None,
        header: dict[str, Any] | None = None,
        algorithm: str | None = None,
        **changes: Any,
    ) -> str:
        key = key or self.proof_key
        claims = {
            "jti": secrets.token_urlsafe(16),
            "htm": method,
            "htu": url,
            "iat": self.now(),
        }
        if token is not None:
            digest = hashlib.sha256(token.encode()).digest()
            claims["ath"] = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        kept = {name: value for name, value in (claims | changes).items() if value is not None}
        bare = {name: value for name, value in key.jwk.items() if name != "kid"}
        headers = {"typ": "dpop+jwt", "jwk": bare, "kid": None} | (header or {})
        return key.sign(kept, algorithm=algorithm, **headers)

    # ---- how it calls ----

    @property
    def over_tls(self) -> bool:
        """It calls where TLS asks for its certificate."""
        return "tls" in self.method or (self.key is not None and self.proof_key is None)

    def endpoint(self, name: str) -> str:
        origin = self.served.mutual_tls if self.over_tls else self.served.issuer
        return f"{origin}/oidc/{name}"

    def post(
        self, name: str, fields: dict[str, str], *, proof: str | None = "make", **credentials: Any
    ) -> requests.Response:
        """Call an endpoint as this client; `credentials` replace what it would show."""
        url, fields, headers = self.endpoint(name), dict(fields), {}
        if self.method == "client_secret_basic":
            pair = base64.b64encode(f"{self.client_id}:{self.secret}".encode()).decode()
            headers["Authorization"] = f"Basic {pair}"
        elif self.method == "client_secret_post":
            fields |= {"client_id": self.client_id, "client_secret": self.secret}
        elif self.method == "private_key_jwt":
            fields |= {"client_assertion_type": ASSERTION, "client_assertion": self.assertion()}
        else:
            fields.setdefault("client_id", self.client_id)
        if proof == "make":
            proof = self.proof(url) if self.proof_key is not None else None
        if proof is not None:
            headers["DPoP"] = proof
        fields = {
            name: value for name, value in (fields | credentials).items() if value is not None
        }
        return self.call("POST", url, data=fields, headers=headers)

    def call(self, method: str, url: str, **how: Any) -> requests.Response:
        cert = str(self.key.pem) if url.startswith(self.served.mutual_tls) else None
        with requests.Session() as session:
            session.trust_env = False
            return session.request(
                method,
                url,
                verify=str(self.served.trust),
                cert=cert,
                timeout=TIMEOUT,
                allow_redirects=False,
                **how,
            )

    def push(self, parameters: dict[str, str], **how: Any) -> requests.Response:
        return self.post("par", parameters, **how)

    def redeem(self, code: str, **changes: Any) -> requests.Response:
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": self.verifier,
        }
        return self.post("token", fields, **changes)

    def refresh(self, token: str, **changes: Any) -> requests.Response:
        return self.post(
            "token", {"grant_type": "refresh_token", "refresh_token": token}, **changes
        )

    def userinfo(self, token: str, *, method: str = "GET", **how: Any) -> requests.Response:
        url = self.endpoint("userinfo")
        headers = {"Authorization": f"Bearer {token}"}
        if self.proof_key is not None:
            headers = {
                "Authorization": f"DPoP {token}",
                "DPoP": self.proof(url, method=method, token=token),
            }
        headers |= how.pop("headers", {})
        return self.call(method, url, headers=headers, **how)

    # ---- whole flows ----

    def answer(self, browser: Browser, **changes: str | None) -> dict[str, str]:
        parameters = self.request(**changes)
        answer = answer_of(browser.open(self.url(parameters)), callback=self.redirect_uri)
        assert answer.get("state") == parameters.get("state")
        assert answer["iss"] == self.served.issuer
        return answer

    def log_in(self, browser: Browser, **changes: str | None) -> dict[str, Any]:
        """Do the whole flow; return the token response with the claims of the ID token."""
        changes = {"nonce": f"no-{secrets.token_urlsafe(8)}"} | changes
        answer = self.answer(browser, **changes)
        assert "code" in answer, answer
        tokens = self.redeem(answer["code"])
        assert tokens.status_code == 200, tokens.text
        return self.checked(tokens, **changes)

    def checked(self, response: requests.Response, **asked: str | None) -> dict[str, Any]:
        """The standard checks of a token response and its ID token (OIDC Core, 3.1.3)."""
        assert response.headers["content-type"].startswith("application/json")
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["pragma"] == "no-cache"
        body = response.json()
        assert_unguessable(body["access_token"])
        assert_unguessable(body.get("refresh_token", body["access_token"]))
        assert body["token_type"] in ("Bearer", "DPoP")
        assert body["expires_in"] > 0
        if "id_token" in body:
            body["claims"] = claims = self.verified(body["id_token"])
            digest = hashlib.sha256(body["access_token"].encode()).digest()[:16]
            assert claims["at_hash"] == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            if "nonce" in asked:
                assert claims.get("nonce") == asked["nonce"]
        return body

    def verified(self, token: str) -> dict[str, Any]:
        """Verify an ID token under the published keys, at the provider's time."""
        keys = self.call("GET", f"{self.served.issuer}/oidc/jwks").json()
        kids = [one["kid"] for one in keys["keys"]]
        assert len(set(kids)) == len(kids)
        assert not any({"d", "k", "p", "q", "dp", "dq", "qi"} & one.keys() for one in keys["keys"])
        header = jwt.get_unverified_header(token)
        key = jwt.PyJWKSet.from_dict(keys)[header["kid"]]
        claims = jwt.decode(
            token,
            key,
            algorithms=[header["alg"]],
            audience=self.client_id,
            issuer=self.served.issuer,
            options={"verify_exp": False, "verify_iat": False, "verify_nbf": False},
        )
        assert header["alg"] in ("RS256", "ES256")
        assert claims["iat"] <= self.now() < claims["exp"]
        assert claims["aud"] == self.client_id
        assert 0 < len(claims["sub"]) <= 255
        assert claims["sub"].isascii()
        assert {type(claims[name]) for name in ("exp", "iat", "auth_time")} == {int}
        assert claims["auth_time"] <= claims["iat"]
        assert all(isinstance(method, str) for method in claims["amr"])
        assert isinstance(claims["acr"], str)
        return claims
