"""Everything but the code at the token endpoint, and what other programs learn of tokens."""

from __future__ import annotations

import base64
import json
import threading
from datetime import timedelta

import jwt
import pytest

from authn.oidc.clientmetadata import ClientMetadata
from core.clock import SystemClock
from core.errors import Refused
from tests.integration.provider import (
    ISSUER,
    House,
    answer_of,
    build,
    flow,
    log_in,
    redeem,
)

REFRESHING = ClientMetadata(grant_types=("authorization_code", "refresh_token"))
MACHINE = ClientMetadata(grant_types=("client_credentials",))
API = "https://api.example.cn/"


@pytest.fixture
def house(sqlite_database, audit, clock) -> House:
    return build(sqlite_database, audit=audit, clock=clock)


@pytest.fixture
def signed_in(house):
    house.user()
    browser = house.browser()
    log_in(browser)
    return browser


def basic(client, secret: str) -> dict[str, str]:
    pair = base64.b64encode(f"{client.id}:{secret}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


def tokens_of(browser, client_id: str, **changes):
    request = flow(client_id, **changes)
    answer = redeem(browser, request, answer_of(browser.get(request.path))["code"])
    assert answer.status_code == 200, answer.text
    return answer.json()


def refresh(browser, client_id: str, token: str, **more: str):
    fields = {"grant_type": "refresh_token", "client_id": client_id, "refresh_token": token}
    return browser.post("/oidc/token", data=fields | more)


def userinfo(browser, access_token: str) -> int:
    headers = {"Authorization": f"Bearer {access_token}"}
    return browser.get("/oidc/userinfo", headers=headers).status_code


# ---- refresh tokens -----------------------------------------------------------------------------


def test_a_client_that_does_not_ask_for_refreshing_gets_no_refresh_token(house, signed_in):
    client = house.public_client()
    assert "refresh_token" not in tokens_of(signed_in, client.id)
    answer = refresh(signed_in, client.id, "yxr_x.y")
    assert answer.json()["error"] == "unauthorized_client"


def test_a_refresh_gives_the_same_person_new_tokens(house, signed_in):
    client = house.public_client(metadata=REFRESHING)
    first = tokens_of(signed_in, client.id)
    house.clock.advance(minutes=11)
    assert userinfo(signed_in, first["access_token"]) == 401
    second = refresh(signed_in, client.id, first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert userinfo(signed_in, second["access_token"]) == 200
    before, after = (
        jwt.decode(one["id_token"], options={"verify_signature": False}) for one in (first, second)
    )
    for claim in ("iss", "sub", "aud", "auth_time", "sid"):  # OIDC Core, 12.2
        assert before[claim] == after[claim]
    assert after["iat"] > before["iat"]
    assert "nonce" not in after


def test_an_old_refresh_token_ends_the_family(house, signed_in):
    client = house.public_client(metadata=REFRESHING)
    first = tokens_of(signed_in, client.id)
    second = refresh(signed_in, client.id, first["refresh_token"]).json()
    house.clock.advance(seconds=31)
    stolen = refresh(signed_in, client.id, first["refresh_token"])
    assert (stolen.status_code, stolen.json()["error"]) == (400, "invalid_grant")
    assert house.audit.actions[-1] == "grant.revoked"
    assert refresh(signed_in, client.id, second["refresh_token"]).status_code == 400
    assert userinfo(signed_in, second["access_token"]) == 401


def test_a_lost_answer_can_be_asked_for_again(house, signed_in):
    client = house.public_client(metadata=REFRESHING)
    first = tokens_of(signed_in, client.id)["refresh_token"]
    second = refresh(signed_in, client.id, first).json()["refresh_token"]
    house.clock.advance(seconds=30)
    assert refresh(signed_in, client.id, first).json()["refresh_token"] == second
    third = refresh(signed_in, client.id, second).json()["refresh_token"]
    assert refresh(signed_in, client.id, first).status_code == 400  # late, and no alarm
    assert refresh(signed_in, client.id, third).status_code == 200


def test_fifty_refreshes_at_once_raise_no_alarm(house, signed_in):
    client = house.public_client(metadata=REFRESHING)
    first = tokens_of(signed_in, client.id)["refresh_token"]
    together, answers = threading.Barrier(50), []

    def attempt() -> None:
        browser = house.browser()
        together.wait()
        answers.append(refresh(browser, client.id, first))

    threads = [threading.Thread(target=attempt) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {200}
    successors = {answer.json()["refresh_token"] for answer in answers}
    assert len(successors) == 1
    assert len({answer.json()["access_token"] for answer in answers}) == 50
    assert refresh(signed_in, client.id, successors.pop()).status_code == 200


def test_a_refresh_token_is_of_no_use_to_another_client(house, signed_in):
    mine = house.public_client(metadata=REFRESHING)
    other = house.public_client(metadata=REFRESHING)
    token = tokens_of(signed_in, mine.id)["refresh_token"]
    assert refresh(signed_in, other.id, token).json()["error"] == "invalid_grant"
    assert refresh(signed_in, mine.id, token).status_code == 200


@pytest.mark.parametrize("token", ["yxr_", "yxr_a.b", "yxr_" + "a" * 43, "yxr_a." * 60, "x"])
def test_a_made_up_refresh_token_is_refused(house, token):
    client = house.public_client(metadata=REFRESHING)
    assert refresh(house.browser(), client.id, token).json()["error"] == "invalid_grant"


def test_a_refresh_may_ask_for_less_and_not_for_more(house, signed_in):
    client = house.public_client(metadata=REFRESHING)
    token = tokens_of(signed_in, client.id, scope="openid email")["refresh_token"]
    less = refresh(signed_in, client.id, token, scope="openid").json()
    assert less["scope"] == "openid"
    more = refresh(signed_in, client.id, less["refresh_token"], scope="openid profile")
    assert more.json()["error"] == "invalid_scope"
    again = refresh(signed_in, client.id, less["refresh_token"]).json()
    assert again["scope"] == "email openid"


def test_a_refresh_token_ends_with_the_session_unless_it_is_for_offline_access(house, signed_in):
    scopes = ["openid", "offline_access"]
    client = house.public_client(metadata=REFRESHING, allowed_scopes=scopes)
    bound = tokens_of(signed_in, client.id, scope="openid")["refresh_token"]
    offline = tokens_of(signed_in, client.id, scope="openid offline_access")
    user = house.provider.administration.users.find_by_name("zhang.wei")
    house.provider.administration.users.end_sessions(user, reason="test", actor="t")
    assert refresh(signed_in, client.id, bound).status_code == 400
    assert userinfo(signed_in, offline["access_token"]) == 401
    house.clock.advance(hours=24)
    again = refresh(signed_in, client.id, offline["refresh_token"]).json()
    assert userinfo(signed_in, again["access_token"]) == 200
    house.provider.administration.users.set_disabled(user, disabled=True, actor="t")
    assert refresh(signed_in, client.id, again["refresh_token"]).status_code == 400


def test_a_refresh_token_does_not_live_for_ever(house, signed_in):
    scopes = ["openid", "offline_access"]
    client = house.public_client(metadata=REFRESHING, allowed_scopes=scopes)
    bound = tokens_of(signed_in, client.id, scope="openid")["refresh_token"]
    token = tokens_of(signed_in, client.id, scope="openid offline_access")["refresh_token"]
    for _ in range(3):
        house.clock.advance(days=9)
        token = refresh(signed_in, client.id, token).json()["refresh_token"]
    assert refresh(signed_in, client.id, bound).status_code == 400
    house.clock.advance(days=3)
    assert refresh(signed_in, client.id, token).status_code == 400


# ---- clients for themselves ---------------------------------------------------------------------


def machine(house, *, api: str | None = None, kind: str = "opaque"):
    if api is not None:
        house.client(
            client_id="the-api",
            redirect_uris=[],
            allowed_scopes=[],
            metadata=ClientMetadata(
                grant_types=(),
                resource=api,
                resource_scopes=("read", "write"),
                access_token_format=kind,
            ),
        )
    scopes = [] if api is None else ["read"]
    return house.client(redirect_uris=[], allowed_scopes=scopes, metadata=MACHINE)


def test_a_client_gets_a_token_of_its_own(house):
    client, secret = machine(house)
    answer = house.browser().post(
        "/oidc/token", data={"grant_type": "client_credentials"}, headers=basic(client, secret)
    )
    body = answer.json()
    assert (body["token_type"], body["scope"]) == ("Bearer", "")
    assert "id_token" not in body
    assert "refresh_token" not in body
    assert userinfo(house.browser(), body["access_token"]) == 403


def test_a_public_client_is_not_registered_for_credentials(house):
    with pytest.raises(Refused, match="no credentials"):
        house.public_client(metadata=MACHINE, redirect_uris=[], allowed_scopes=[])


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"scope": "write"}, "invalid_scope"),
        ({"resource": "https://other.example.cn/"}, "invalid_target"),
        ({"resource": [API, "https://other.example.cn/"]}, "invalid_target"),
    ],
)
def test_a_client_gets_no_more_than_it_is_registered_for(house, fields, error):
    client, secret = machine(house, api=API)
    asked = {"grant_type": "client_credentials"} | fields
    answer = house.browser().post("/oidc/token", data=asked, headers=basic(client, secret))
    assert answer.json()["error"] == error


def test_a_resource_server_gets_the_kind_of_token_it_asks_for(sqlite_database, audit):
    house = build(sqlite_database, audit=audit, clock=SystemClock())
    client, secret = machine(house, api=API, kind="jwt")
    asked = {"grant_type": "client_credentials", "resource": API, "scope": "read"}
    browser = house.browser()
    token = browser.post("/oidc/token", data=asked, headers=basic(client, secret)).json()
    keys = jwt.PyJWKSet.from_dict(browser.get("/oidc/jwks").json())
    header = jwt.get_unverified_header(token["access_token"])
    assert header["typ"] == "at+jwt"
    claims = jwt.decode(
        token["access_token"],
        keys[header["kid"]],
        algorithms=["ES256"],
        audience=API,
        issuer=ISSUER,
    )
    assert (claims["sub"], claims["client_id"], claims["scope"]) == (client.id, client.id, "read")
    assert {"iat", "exp", "jti"} <= claims.keys()


# ---- introspection and revocation ---------------------------------------------------------------


def introspect(house, client, secret: str, token: str):
    return house.browser().post(
        "/oidc/introspect", data={"token": token}, headers=basic(client, secret)
    )


def test_a_client_may_introspect_its_own_tokens_and_no_others(house, signed_in):
    client, secret = house.client(metadata=REFRESHING)
    other, other_secret = house.client()
    request = flow(client.id)
    code = answer_of(signed_in.get(request.path))["code"]
    fields = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": request.parameters["redirect_uri"],
        "code_verifier": request.verifier,
    }
    tokens = signed_in.post("/oidc/token", data=fields, headers=basic(client, secret)).json()
    access = introspect(house, client, secret, tokens["access_token"]).json()
    assert access["active"] is True
    assert (access["client_id"], access["username"]) == (client.id, "zhang.wei")
    assert access["token_type"] == "Bearer"
    refresh_token = introspect(house, client, secret, tokens["refresh_token"]).json()
    assert refresh_token["active"] is True
    for token in (tokens["access_token"], tokens["refresh_token"], "garbage", tokens["id_token"]):
        answer = introspect(house, other, other_secret, token)
        assert answer.json() == {"active": False}
    house.clock.advance(minutes=10)
    assert introspect(house, client, secret, tokens["access_token"]).json() == {"active": False}


@pytest.mark.parametrize("kind", ["opaque", "jwt"])
def test_a_resource_server_may_introspect_what_is_meant_for_it(house, kind):
    client, secret = machine(house, api=API, kind=kind)
    asked = {"grant_type": "client_credentials", "resource": API}
    token = house.browser().post("/oidc/token", data=asked, headers=basic(client, secret)).json()
    api = house.provider.administration.clients
    api_secret = api.rotate_secret("the-api", keep=timedelta(), actor="t")
    answer = introspect(house, api.get("the-api"), api_secret, token["access_token"]).json()
    assert (answer["active"], answer["aud"], answer["scope"]) == (True, API, "read")


def test_introspection_needs_a_client_that_authenticates(house):
    client = house.public_client()
    answer = house.browser().post("/oidc/introspect", data={"token": "x", "client_id": client.id})
    assert answer.status_code == 401
    assert house.browser().post("/oidc/introspect", data={"token": "x"}).status_code == 401


def revoke(browser, client_id: str, token: str) -> int:
    return browser.post("/oidc/revoke", data={"client_id": client_id, "token": token}).status_code


def test_a_client_gives_tokens_back(house, signed_in):
    client, other = house.public_client(metadata=REFRESHING), house.public_client()
    tokens = tokens_of(signed_in, client.id)
    for token in (tokens["access_token"], tokens["refresh_token"], "garbage"):
        assert revoke(signed_in, other.id, token) == 200
    assert userinfo(signed_in, tokens["access_token"]) == 200
    assert revoke(signed_in, client.id, tokens["access_token"]) == 200
    assert userinfo(signed_in, tokens["access_token"]) == 401
    again = refresh(signed_in, client.id, tokens["refresh_token"]).json()
    assert revoke(signed_in, client.id, again["refresh_token"]) == 200
    assert refresh(signed_in, client.id, again["refresh_token"]).status_code == 400
    assert userinfo(signed_in, again["access_token"]) == 401


# ---- two secrets --------------------------------------------------------------------------------


def test_the_old_secret_works_beside_the_new_one_for_a_while(house):
    client, old = machine(house)
    system = house.provider.administration.clients
    new = system.rotate_secret(client.id, keep=timedelta(hours=1), actor="t")

    def status(secret: str) -> int:
        fields = {"grant_type": "client_credentials"}
        return (
            house.browser()
            .post("/oidc/token", data=fields, headers=basic(client, secret))
            .status_code
        )

    assert [status(old), status(new)] == [200, 200]
    house.clock.advance(hours=1)
    assert [status(old), status(new)] == [401, 200]
    assert house.audit.actions[-1] == "secret.rotated"
    assert new not in json.dumps([str(event) for event in house.audit.events])
