"""npm's openid-client v6 at its default strictness, by every method and for every grant."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

import jwt
import pytest

from authn.oidc import device
from authn.oidc.clientmetadata import ClientMetadata
from core.clock import SystemClock
from tests.conformance.oidf.conftest import register
from tests.conformance.oidf.relying_party import CALLBACK, Browser, hidden_fields
from tests.conformance.oidf.served import Served, serving
from tests.judges import JudgeSaysNo
from tests.judges.node import Conversation

pytestmark = pytest.mark.judge

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
PEOPLE = ("authorization_code", "refresh_token")


@pytest.fixture(scope="module")
def now(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A provider at the time of day: openid-client looks at the clock."""
    with serving(tmp_path_factory.mktemp("openid-client"), clock=SystemClock()) as running:
        running.house.user()
        yield running


@pytest.fixture(scope="module")
def browser(now: Served) -> Browser:
    made = Browser(now)
    made.open(f"{now.issuer}/login?next=%2F")
    return made


def job_of(now: Served, work: str, method: str, **metadata) -> dict[str, object]:
    key = now.keys["one"]
    own = {
        "private_key_jwt": {"jwks": key.jwks},
        "self_signed_tls_client_auth": {"jwks": key.jwks},
        "tls_client_auth": {"tls_client_auth_subject_dn": "CN=one,O=Test"},
    }.get(method, {})
    client = register(now, method, metadata=ClientMetadata(**own | metadata))
    private = jwt.get_algorithm_by_name("ES256").to_jwk(key.private, as_dict=True)
    private.pop("key_ops", None)
    return {
        "work": work,
        "issuer": now.issuer,
        "clientId": client.client_id,
        "secret": client.secret,
        "method": method,
        "jwk": {**private, "kid": key.kid},
        "pem": str(key.pem) if "tls" in method else None,
        "redirectUri": CALLBACK,
        "scope": "openid profile",
        "idTokenAlg": "RS256",
    }


@pytest.mark.parametrize(
    ("method", "how", "metadata"),
    [
        ("client_secret_basic", {}, {}),
        ("client_secret_post", {"par": True}, {}),
        ("none", {"dpop": True}, {}),
        ("private_key_jwt", {"par": True, "dpop": True}, {"security_profile": "fapi2"}),
        ("tls_client_auth", {"par": True}, {"security_profile": "fapi2"}),
        ("self_signed_tls_client_auth", {}, {}),
    ],
)
def test_a_person_logs_in_and_out(now, browser, method, how, metadata):
    bound = "dpop_bound" if how.get("dpop") else "tls_client_certificate_bound"
    if "tls" in method or how.get("dpop"):
        metadata = metadata | {f"{bound}_access_tokens": True}
    job = job_of(now, "person", method, grant_types=PEOPLE, **metadata) | how
    with Conversation("oauth-client.mjs", trust=now.trust) as script:
        script.say(job)
        answer = browser.open(script.hear()["authorize"])
        script.say({"callback": answer.headers["location"]})
        heard = script.hear()
    assert heard["claims"]["sub"] == heard["userinfo"]["sub"] == heard["refreshed"]
    assert heard["userinfo"]["name"] == "张伟"
    assert heard["tokenType"] == ("dpop" if how.get("dpop") else "bearer")
    if method != "none":
        assert (heard["before"]["active"], heard["after"]["active"]) == (True, False)
    assert heard["logout"].startswith(f"{now.issuer}/oidc/logout?")


@pytest.mark.parametrize("method", ["client_secret_basic", "private_key_jwt"])
def test_a_machine_gets_a_token(now, method):
    job = job_of(now, "machine", method, grant_types=("client_credentials",))
    with Conversation("oauth-client.mjs", trust=now.trust) as script:
        script.say(job | {"dpop": method == "private_key_jwt"})
        assert script.hear()["tokenType"] == ("dpop" if method == "private_key_jwt" else "bearer")


def test_a_device_gets_a_token(now, browser, monkeypatch):
    monkeypatch.setattr(device, "INTERVAL", 1)  # else five seconds pass until it asks again
    job = job_of(now, "device", "none", grant_types=(DEVICE,))
    with Conversation("oauth-client.mjs", trust=now.trust) as script:
        script.say(job)
        codes = script.hear()
        page = browser.open(codes["verification_uri_complete"])
        fields = hidden_fields(page.text) | {"answer": "allow"}
        assert browser.post(f"{now.issuer}/device", fields).ok
        script.say({})
        assert script.hear()["claims"]["aud"] == job["clientId"]


def test_it_says_no_to_an_answer_of_another_issuer(now, browser):
    job = job_of(now, "person", "client_secret_basic", grant_types=PEOPLE)
    with Conversation("oauth-client.mjs", trust=now.trust) as script:
        script.say(job)
        answer = browser.open(script.hear()["authorize"]).headers["location"]
        forged = answer.replace(urlencode({"iss": now.issuer}), "iss=https%3A%2F%2Fevil.example")
        assert forged != answer
        script.say({"callback": forged})
        with pytest.raises(JudgeSaysNo, match="iss"):
            script.hear()
