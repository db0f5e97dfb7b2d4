"""Stock OpenID Connect clients log in at the real running service, over TLS."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
import requests

from tests.conformance.browser import Browser
from tests.judges import JudgeSaysNo
from tests.judges.relying_party import Login, Registration, authlib, openid_client
from tests.judges.tokens import VERIFIERS
from tests.service import Service

pytestmark = pytest.mark.judge

_REDIRECT = "http://127.0.0.1:9/callback"  # nothing listens there: the browser stops before it
_CLIENTS = {"openid-client": openid_client, "Authlib": authlib}


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account, at a browser."""

    service: Service
    name: str
    password: str

    def __call__(self, url: str) -> str:
        browser = Browser(self.service.root)
        return browser.log_in(url, until=_REDIRECT, name=self.name, password=self.password)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    running = Service(tmp_path_factory.mktemp("oidc") / "state").start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def person(service: Service) -> Person:
    password = secrets.token_urlsafe(18)
    link = service.yinxin("user", "create", "zhang.wei", "--display-name", "张伟")
    Browser(service.root).submit(link, password=password, repeat=password)
    return Person(service, "zhang.wei", password)


@pytest.fixture(scope="module", params=["ES256", "RS256"])
def registration(request: pytest.FixtureRequest, service: Service) -> Registration:
    words = ("--redirect-uri", _REDIRECT, "--id-token-algorithm", request.param, "--json")
    made = json.loads(service.yinxin("client", "register", f"judge {request.param}", *words))
    return Registration(
        issuer=service.url,
        client_id=made["client_id"],
        client_secret=made["client_secret"],
        redirect_uri=_REDIRECT,
        trust=service.root,
        id_token_algorithm=request.param,
    )


@pytest.mark.parametrize("client", _CLIENTS)
def test_a_stock_client_completes_the_code_flow(
    client: str, registration: Registration, person: Person
) -> None:
    login = _CLIENTS[client](registration, person)
    assert login.claims["iss"] == registration.issuer
    assert login.userinfo["sub"] == login.claims["sub"]
    assert login.userinfo["name"] == "张伟"


@pytest.mark.parametrize("client", _CLIENTS)
def test_a_stock_client_refuses_a_provider_of_another_name(
    client: str, registration: Registration, person: Person
) -> None:
    elsewhere = replace(registration, issuer=f"{registration.issuer}/elsewhere")
    with pytest.raises((JudgeSaysNo, requests.HTTPError)):
        _CLIENTS[client](elsewhere, person)


@pytest.fixture(scope="module")
def login(registration: Registration, person: Person) -> Login:
    return authlib(registration, person)


@pytest.mark.parametrize("judge", VERIFIERS)
def test_a_library_verifies_our_id_token(
    judge: str, login: Login, registration: Registration, service: Service
) -> None:
    verify = VERIFIERS[judge]
    jwks = requests.get(f"{service.url}/oidc/jwks", verify=str(service.root), timeout=60).json()
    expected = {"jwks": jwks, "issuer": service.url, "audience": registration.client_id}
    assert verify(login.id_token, **expected)["sub"] == login.claims["sub"]

    head, body, signature = login.id_token.split(".")
    forged = f"{head}.{body}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"
    with pytest.raises(JudgeSaysNo):
        verify(forged, **expected)
    with pytest.raises(JudgeSaysNo):
        verify(login.id_token, **{**expected, "audience": "another"})
