"""Code and PKCE from discovery to userinfo, and everything that must not work."""

from __future__ import annotations

import base64
import json
import secrets
import threading
from urllib.parse import urlsplit

import jose.jwt
import jwcrypto.jwk
import jwcrypto.jwt
import jwt
import pytest
from joserfc import jwk as joserfc_jwk
from joserfc import jwt as joserfc_jwt

from authn.oidc.store import AuthMethod, IDTokenAlgorithm
from core.clock import SystemClock
from core.identity import Role
from tests.integration.provider import (
    CALLBACK,
    ISSUER,
    House,
    answer_of,
    build,
    csrf_of,
    flow,
    log_in,
    redeem,
)


@pytest.fixture
def house(sqlite_database, audit, clock) -> House:
    return build(sqlite_database, audit=audit, clock=clock)


@pytest.fixture
def signed_in(house):
    house.user()
    browser = house.browser()
    log_in(browser)
    return browser


def code_of(browser, request) -> str:
    answer = answer_of(browser.get(request.path))
    assert "code" in answer, answer
    return answer["code"]


def test_a_person_logs_in_and_the_client_learns_who_it_is(house):
    user = house.user()
    client = house.public_client()
    browser, request = house.browser(), flow(client.id)
    discovery = browser.get("/.well-known/openid-configuration").json()
    assert discovery["issuer"] == ISSUER
    assert browser.get("/.well-known/oauth-authorization-server").json() == discovery

    first = browser.get(request.path)
    assert first.status_code == 303
    assert first.headers["location"].startswith("/login?next=%2Foidc%2Fcontinue%2F")
    page = browser.get(first.headers["location"])
    next_path = page.text.split('name="next" value="')[1].split('"')[0].replace("&amp;", "&")
    back = log_in(browser, next_path=next_path)
    assert back.status_code == 303
    answer = answer_of(browser.get(back.headers["location"]))
    assert (answer["state"], answer["iss"]) == ("s-1", ISSUER)

    tokens = redeem(browser, request, answer["code"])
    assert tokens.headers["cache-control"] == "no-store"
    body = tokens.json()
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 600)
    headers = {"Authorization": f"Bearer {body['access_token']}"}
    for method in ("GET", "POST"):
        claims = browser.request(method, "/oidc/userinfo", headers=headers).json()
        assert claims == {
            "sub": house.provider.endpoints.subjects.of(user.id, client),
            "name": "张伟",
            "preferred_username": "zhang.wei",
            "email": "zw@example.cn",
        }
    assert house.audit.actions[-3:] == ["login.succeeded", "session.started", "token.issued"]


@pytest.mark.parametrize(
    "algorithm", [one for one in IDTokenAlgorithm if one is not IDTokenAlgorithm.SM2]
)
def test_four_libraries_verify_the_id_token(sqlite_database, audit, algorithm):
    house = build(sqlite_database, audit=audit, clock=SystemClock())
    house.user()
    browser = house.browser()
    log_in(browser)
    client = house.public_client(id_token_algorithm=algorithm)
    request = flow(client.id)
    tokens = redeem(browser, request, code_of(browser, request)).json()
    token, access = tokens["id_token"], tokens["access_token"]
    keys = browser.get("/oidc/jwks").json()
    name = algorithm.value

    key = next(key for key in jwt.PyJWKSet.from_dict(keys).keys if key.algorithm_name == name)
    claims = jwt.decode(token, key, algorithms=[name], audience=client.id, issuer=ISSUER)
    assert (claims["nonce"], claims["amr"]) == ("n-1", ["pwd"])
    action, _, detail = house.audit.events[-1]
    assert (action, detail["grant"]) == ("token.issued", claims["jti"])

    key_set = joserfc_jwk.KeySet.import_key_set(keys)
    assert joserfc_jwt.decode(token, key_set, algorithms=[name]).claims == claims
    checked = jwcrypto.jwt.JWT(
        jwt=token,
        key=jwcrypto.jwk.JWKSet.from_json(json.dumps(keys)),
        algs=[name],
        check_claims={"aud": client.id, "iss": ISSUER},
        expected_type="JWS",
    )
    assert json.loads(checked.claims) == claims
    # python-jose stops at the first key of another type, so its users pick the key by kid.
    kid = jose.jwt.get_unverified_header(token)["kid"]
    picked = next(key for key in keys["keys"] if key["kid"] == kid)
    decoded = jose.jwt.decode(
        token, picked, algorithms=[name], audience=client.id, issuer=ISSUER, access_token=access
    )
    assert decoded == claims


def test_no_library_takes_a_token_whose_claims_were_changed(house, signed_in):
    client = house.public_client()
    request = flow(client.id)
    token = redeem(signed_in, request, code_of(signed_in, request)).json()["id_token"]
    header, _, signature = token.split(".")
    forged = base64.urlsafe_b64encode(b'{"sub":"root"}').rstrip(b"=").decode()
    keys = signed_in.get("/oidc/jwks").json()
    key = jwt.PyJWKSet.from_dict(keys).keys[0]
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(f"{header}.{forged}.{signature}", key, algorithms=["ES256"])
    key_set = joserfc_jwk.KeySet.import_key_set(keys)
    with pytest.raises(Exception, match="bad_signature"):
        joserfc_jwt.decode(f"{header}.{forged}.{signature}", key_set, algorithms=["ES256"])


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "invalid_request"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"scope": "profile"}, "invalid_scope"),
        ({"scope": "openid admin"}, "invalid_scope"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"prompt": "dance"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"request": "e30."}, "invalid_request_object"),
        ({"request": "eyJhbGciOiJub25lIn0.e30."}, "request_not_supported"),
        ({"claims": "{"}, "invalid_request"),
        ({"claims": '{"userinfo": 1}'}, "invalid_request"),
        ({"dpop_jkt": "short"}, "invalid_request"),
        ({"resource": "https://nobody.example.cn/"}, "invalid_target"),
        ({"request_uri": "https://evil.example"}, "request_uri_not_supported"),
        ({"nonce": "n" * 513}, "invalid_request"),
        ({"nonce": "n" * 7000}, "invalid_request"),
        ({"id_token_hint": "x.y.z"}, "invalid_request"),
    ],
)
def test_a_bad_request_is_sent_back_to_the_client(house, signed_in, changes, error):
    answer = answer_of(signed_in.get(flow(house.public_client().id, **changes).path))
    assert answer["error"] == error
    assert (answer["state"], answer["iss"]) == ("s-1", ISSUER)
    assert "code" not in answer


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "nobody"},
        {"client_id": None},
        {"redirect_uri": None},
        {"redirect_uri": CALLBACK + "/"},
        {"redirect_uri": CALLBACK + "?x=1"},
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": "https://oa.example.cn@evil.example/callback"},
    ],
)
def test_nobody_is_redirected_to_an_address_that_is_not_registered(house, signed_in, changes):
    response = signed_in.get(flow(**({"client_id": house.public_client().id} | changes)).path)
    assert response.status_code == 400
    assert "location" not in response.headers


@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
def test_a_repeated_address_is_shown_and_not_followed(house, signed_in, name):
    request = flow(house.public_client().id)
    response = signed_in.get(f"{request.path}&{name}=https%3A%2F%2Fevil.example")
    assert response.status_code == 400


@pytest.mark.parametrize("name", ["scope", "state", "nonce", "code_challenge"])
def test_a_repeated_parameter_is_refused(house, signed_in, name):
    request = flow(house.public_client().id)
    answer = answer_of(signed_in.get(f"{request.path}&{name}=other"))
    assert answer["error"] == "invalid_request"
    assert ("state" in answer) is (name != "state")


def test_prompt_none_without_a_session_shows_no_page(house):
    answer = answer_of(house.browser().get(flow(house.public_client().id, prompt="none").path))
    assert answer["error"] == "login_required"


@pytest.mark.parametrize("changes", [{"prompt": "login"}, {"max_age": "0"}])
@pytest.mark.parametrize("seconds", [5, 0], ids=["later", "in the second of the login before"])
def test_a_fresh_login_is_asked_once_and_then_enough(house, signed_in, changes, seconds):
    request = flow(house.public_client().id, **changes)
    house.clock.advance(seconds=seconds)
    first = signed_in.get(request.path)
    assert first.headers["location"].startswith("/login?")
    page = signed_in.get(first.headers["location"])
    next_path = page.text.split('name="next" value="')[1].split('"')[0].replace("&amp;", "&")
    assert signed_in.get(next_path).headers["location"].startswith("/login?")  # not logged in yet
    house.clock.advance(seconds=seconds)
    back = log_in(signed_in, next_path=next_path)
    assert "code" in answer_of(signed_in.get(back.headers["location"]))
    assert signed_in.get(next_path).status_code == 400  # a bookmark of that address is nothing


def test_a_post_becomes_a_get_so_that_the_cookie_arrives(house):
    request = flow(house.public_client().id)
    response = house.browser().post("/oidc/authorize", data=request.parameters)
    assert response.status_code == 303
    assert response.headers["location"] == request.path


def test_a_post_that_no_get_can_carry_is_refused_on_a_page(house):
    request = flow(house.public_client().id, request="a" * 11_000)
    browser = house.browser()
    assert browser.post("/oidc/authorize", data=request.parameters).status_code == 303
    request = flow(request.client_id, request="a" * 12_000)
    refused = browser.post("/oidc/authorize", data=request.parameters)
    assert refused.status_code == 400
    assert "RFC 9126" in refused.text
    refused = browser.post("/oidc/logout", data={"state": "a" * 12_000})
    assert (refused.status_code, "too long" in refused.text) == (400, True)


@pytest.mark.parametrize(
    "changes",
    [
        {"code_verifier": secrets.token_urlsafe(48)},
        {"code_verifier": ""},
        {"code_verifier": "short"},
        {"redirect_uri": "https://oa.example.cn/other"},
        {"redirect_uri": ""},
        {"code": "guess"},
    ],
)
def test_a_code_needs_everything_it_is_bound_to(house, signed_in, changes):
    request = flow(house.public_client().id)
    response = redeem(signed_in, request, code_of(signed_in, request), **changes)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")


def test_a_code_lasts_sixty_seconds(house, signed_in):
    request = flow(house.public_client().id)
    code = code_of(signed_in, request)
    house.clock.advance(seconds=60)
    assert redeem(signed_in, request, code).json()["error"] == "invalid_grant"
    second = flow(request.client_id)
    code = code_of(signed_in, second)
    house.clock.advance(seconds=59)
    assert redeem(signed_in, second, code).status_code == 200


def test_a_code_of_another_client_is_refused_and_stays_good(house, signed_in):
    mine, other = house.public_client(), house.public_client()
    request = flow(mine.id)
    code = code_of(signed_in, request)
    assert redeem(signed_in, request, code, client_id=other.id).status_code == 400
    assert redeem(signed_in, request, code).status_code == 200


def test_a_code_used_twice_costs_the_tokens_it_gave(house, signed_in):
    request = flow(house.public_client().id)
    code = code_of(signed_in, request)
    access = redeem(signed_in, request, code).json()["access_token"]
    assert redeem(signed_in, request, code).json()["error"] == "invalid_grant"
    userinfo = signed_in.get("/oidc/userinfo", headers={"Authorization": f"Bearer {access}"})
    assert userinfo.status_code == 401
    assert 'error="invalid_token"' in userinfo.headers["www-authenticate"]
    assert house.audit.actions[-1] == "grant.revoked"


def test_twenty_redemptions_at_once_give_one_success(house, signed_in):
    request = flow(house.public_client().id)
    code = code_of(signed_in, request)
    together, statuses = threading.Barrier(20), []

    def attempt() -> None:
        browser = house.browser()
        together.wait()
        statuses.append(redeem(browser, request, code).status_code)

    threads = [threading.Thread(target=attempt) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] + [400] * 19


@pytest.mark.parametrize("method", [AuthMethod.BASIC, AuthMethod.POST])
def test_a_confidential_client_uses_its_own_method_and_secret(house, signed_in, method):
    client, secret = house.client(auth_method=method)

    def attempt(used: AuthMethod, value: str) -> int:
        request = flow(client.id)
        fields = {
            "grant_type": "authorization_code",
            "code": code_of(signed_in, request),
            "redirect_uri": CALLBACK,
            "code_verifier": request.verifier,
        }
        headers = {}
        if used is AuthMethod.BASIC:
            pair = base64.b64encode(f"{client.id}:{value}".encode()).decode()
            headers["Authorization"] = f"Basic {pair}"
        if used is AuthMethod.POST:
            fields |= {"client_id": client.id, "client_secret": value}
        if used is AuthMethod.NONE:
            fields |= {"client_id": client.id}
        response = signed_in.post("/oidc/token", data=fields, headers=headers)
        if response.status_code == 401:
            assert response.json()["error"] == "invalid_client"
            assert response.headers["www-authenticate"].startswith("Basic")
        return response.status_code

    assert attempt(method, secret) == 200
    assert attempt(method, secret + "x") == 401
    for other in set(AuthMethod) - {method}:
        assert attempt(other, secret) == 401


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("grant_type=password", "invalid_client"),
        ("client_id={id}&grant_type=password", "unsupported_grant_type"),
        ("client_id={id}", "invalid_request"),
        ("client_id={id}&client_id={id}&grant_type=authorization_code", "invalid_request"),
        ("client_id={id}&grant_type=authorization_code&code=%ff", "invalid_request"),
    ],
)
def test_the_token_endpoint_says_what_is_wrong_in_oauth_words(house, body, error):
    text = body.format(id=house.public_client().id)
    response = house.browser().post(
        "/oidc/token",
        content=text,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert response.json()["error"] == error


def test_an_administrator_gets_the_admin_scope_and_may_use_the_api(house):
    house.user(role=Role.SYSTEM)
    house.user("plain")
    client = house.provider.administration.clients.ensure_console([CALLBACK], actor="t")
    for name, role in (("zhang.wei", "system"), ("plain", None)):
        browser = house.browser()
        log_in(browser, name=name)
        request = flow(client.id, scope="openid admin")
        tokens = redeem(browser, request, code_of(browser, request)).json()
        whoami = browser.get(
            "/api/v1/whoami", headers={"Authorization": f"Bearer {tokens['access_token']}"}
        )
        if role is None:
            assert tokens["scope"] == "openid"
            assert whoami.status_code == 401
        else:
            assert whoami.json() == {"name": name, "role": role, "method": "token"}


def test_the_session_cookie_alone_does_not_administer(house):
    house.user(role=Role.SYSTEM)
    browser = house.browser()
    log_in(browser)
    assert browser.get("/api/v1/clients").status_code == 401


def test_a_client_logs_the_person_out_with_the_id_token(house, signed_in):
    request = flow(house.public_client().id)
    tokens = redeem(signed_in, request, code_of(signed_in, request)).json()
    response = signed_in.get(
        "/oidc/logout",
        params={
            "id_token_hint": tokens["id_token"],
            "post_logout_redirect_uri": "https://oa.example.cn/bye",
            "state": "z",
        },
    )
    assert response.headers["location"] == "https://oa.example.cn/bye?state=z"
    assert signed_in.get(request.path).headers["location"].startswith("/login?")
    userinfo = signed_in.get(
        "/oidc/userinfo", headers={"Authorization": f"Bearer {tokens['access_token']}"}
    )
    assert userinfo.status_code == 401
    assert house.audit.actions[-1] == "session.ended"


def test_without_proof_the_person_is_asked_before_they_are_logged_out(house, signed_in):
    client = house.public_client()
    uri = "https://oa.example.cn/bye"
    asked = signed_in.get(
        "/oidc/logout", params={"client_id": client.id, "post_logout_redirect_uri": uri}
    )
    assert asked.status_code == 200
    assert "session.ended" not in house.audit.actions
    forged = {"client_id": client.id, "post_logout_redirect_uri": uri, "csrf": "0" * 64}
    assert csrf_of(signed_in.post("/oidc/logout/confirm", data=forged).text)  # asked again
    assert "session.ended" not in house.audit.actions
    done = signed_in.post("/oidc/logout/confirm", data=forged | {"csrf": csrf_of(asked.text)})
    assert done.headers["location"] == uri
    assert house.audit.actions[-1] == "session.ended"


def test_logout_never_redirects_to_an_unregistered_address(house, signed_in):
    response = signed_in.get(
        "/oidc/logout",
        params={
            "client_id": house.public_client().id,
            "post_logout_redirect_uri": "https://evil.example/",
        },
    )
    assert response.status_code == 400
    assert "session.ended" not in house.audit.actions


def test_a_removed_client_takes_its_tokens_along(house, signed_in):
    client = house.public_client()
    request = flow(client.id)
    access = redeem(signed_in, request, code_of(signed_in, request)).json()["access_token"]
    house.provider.administration.clients.remove(client.id, actor="t")
    userinfo = signed_in.get("/oidc/userinfo", headers={"Authorization": f"Bearer {access}"})
    assert userinfo.status_code == 401


def test_a_redirect_uri_keeps_its_own_query(house, signed_in):
    uri = CALLBACK + "?tenant=1"
    client = house.public_client(redirect_uris=[uri])
    location = signed_in.get(flow(client.id, redirect_uri=uri).path).headers["location"]
    assert urlsplit(location).query.startswith("tenant=1&code=")


def test_nothing_secret_is_audited(house, signed_in):
    client, secret = house.client(auth_method=AuthMethod.POST)
    request = flow(client.id)
    code = code_of(signed_in, request)
    tokens = redeem(signed_in, request, code, client_secret=secret).json()
    written = json.dumps(house.audit.events)
    for value in (secret, code, tokens["access_token"], tokens["id_token"], "correct horse"):
        assert value not in written


@pytest.mark.parametrize("path", ["/oidc/authorize", "/oidc/logout"])
def test_what_cannot_be_read_is_told_to_the_person_on_a_page(house, path):
    browser = house.browser()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for answer in (
        browser.get(f"{path}?client_id=%FF"),
        browser.get(f"{path}?{'a=1&' * 65}"),
        browser.post(path, content=b"\xff", headers=form),
        browser.post(path, json={}),
    ):
        assert answer.status_code == 400
        assert answer.headers["content-type"].startswith("text/html")
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


def test_a_token_endpoint_that_cannot_write_says_so_in_oauth_words(house, signed_in):
    client = house.public_client()
    request = flow(client.id)
    code = code_of(signed_in, request)
    house.audit.broken = True
    answer = redeem(signed_in, request, code)
    assert answer.status_code == 503
    assert answer.json()["error"] == "temporarily_unavailable"
    assert answer.headers["retry-after"] == "5"
    house.audit.broken = False
    assert redeem(signed_in, request, code).status_code == 200
