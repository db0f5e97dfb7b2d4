"""One served provider for every module, with the clients that their plans register."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from authn.oidc.clientmetadata import ClientMetadata
from authn.oidc.store import AuthMethod, IDTokenAlgorithm
from tests.conformance.oidf.relying_party import CALLBACK, Browser, RelyingParty
from tests.conformance.oidf.served import Served, serving

SCOPES = ["openid", "profile", "email", "phone", "address", "offline_access"]
PHONE = "+861082345678;ext=12"
ADDRESS = "北京市东城区某街1号"


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("oidf")) as running:
        running.house.provider.administration.users.change_contact(
            running.house.user(), email="zw@example.cn", phone=PHONE, address=ADDRESS, actor="plan"
        )
        yield running


@pytest.fixture(scope="session")
def signed_in(served: Served) -> Browser:
    """A browser that is logged in already; modules that turn the clock far use their own."""
    browser = Browser(served)
    browser.open(f"{served.issuer}/login?next=%2F")
    assert browser.logins == 1
    return browser


@pytest.fixture
def browser(served: Served) -> Browser:
    """A browser that nobody has used."""
    return Browser(served)


def register(served: Served, method: str, **changes) -> RelyingParty:
    values = {
        "redirect_uris": [CALLBACK],
        "actor": "plan",
        "allowed_scopes": SCOPES,
        "auth_method": AuthMethod(method),
        "id_token_algorithm": IDTokenAlgorithm.RS256,
        "metadata": ClientMetadata(grant_types=("authorization_code", "refresh_token")),
    }
    clients = served.house.provider.administration.clients
    client, secret = clients.register("conformance", **(values | changes))
    return RelyingParty(served, client.id, method, secret=secret)


@pytest.fixture(scope="session")
def rp(served: Served) -> RelyingParty:
    """The client of plan A: client_secret_basic."""
    return register(served, "client_secret_basic")


@pytest.fixture(scope="session")
def second_rp(served: Served) -> RelyingParty:
    return register(served, "client_secret_basic")
