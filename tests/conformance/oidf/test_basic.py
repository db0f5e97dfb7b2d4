"""Plan `oidcc-basic-certification-test-plan` (and its form post twin), module by module.

The names are those of the OpenID Foundation's conformance suite (docs/conformance.md).
"""

from __future__ import annotations

import base64
import json

import pytest
import requests

from authn.levels import Level
from tests.conformance.oidf.conftest import ADDRESS, PHONE, register
from tests.conformance.oidf.relying_party import (
    CALLBACK,
    Browser,
    RelyingParty,
    answer_of,
    is_error_page,
)

pytestmark = pytest.mark.judge


@pytest.fixture(params=["query", "form_post"])
def mode(request: pytest.FixtureRequest) -> dict[str, str | None]:
    """Plan A, and the form post plan: the same modules with another response mode."""
    return {"response_mode": None if request.param == "query" else request.param}


def test_oidcc_server(rp, signed_in, mode):
    tokens = rp.log_in(signed_in, **mode)
    userinfo = rp.userinfo(tokens["access_token"])
    assert userinfo.status_code == 200
    assert userinfo.json()["sub"] == tokens["claims"]["sub"]
    assert {"nonce", "auth_time", "at_hash", "acr", "sid"} <= tokens["claims"].keys()


def test_oidcc_response_type_missing(rp, signed_in, mode):
    answer = rp.answer(signed_in, response_type=None, **mode)
    assert answer["error"] in ("unsupported_response_type", "invalid_request")


def test_oidcc_idtoken_signature(rp, signed_in):
    token = rp.log_in(signed_in)["id_token"]
    header = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))
    assert header["alg"] == "RS256"
    keys = requests.get(
        f"{rp.served.issuer}/oidc/jwks", verify=str(rp.served.trust), timeout=10
    ).json()["keys"]
    assert header["kid"] in [key["kid"] for key in keys]
    assert len({key["kid"] for key in keys}) == len(keys)
    assert not any({"d", "k", "p", "q"} & key.keys() for key in keys)
    assert all(key["use"] == "sig" and key["alg"] for key in keys)


def test_oidcc_idtoken_unsigned(rp):
    document = rp.call("GET", f"{rp.served.issuer}/.well-known/openid-configuration").json()
    assert "none" not in document["id_token_signing_alg_values_supported"]


def assert_userinfo(answer: requests.Response, claims: dict[str, object]) -> None:
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json()["sub"] == claims["sub"]


def test_oidcc_userinfo_get(rp, signed_in):
    tokens = rp.log_in(signed_in)
    assert_userinfo(rp.userinfo(tokens["access_token"]), tokens["claims"])


def test_oidcc_userinfo_post_header(rp, signed_in):
    tokens = rp.log_in(signed_in)
    assert_userinfo(rp.userinfo(tokens["access_token"], method="POST"), tokens["claims"])


def test_oidcc_userinfo_post_body(rp, signed_in):
    tokens = rp.log_in(signed_in)
    url = f"{rp.served.issuer}/oidc/userinfo"
    answer = rp.call("POST", url, data={"access_token": tokens["access_token"]})
    assert_userinfo(answer, tokens["claims"])


def test_oidcc_ensure_request_without_nonce_succeeds_for_code_flow(rp, signed_in, mode):
    tokens = rp.log_in(signed_in, nonce=None, **mode)
    assert "nonce" not in tokens["claims"]
    assert rp.userinfo(tokens["access_token"]).json()["sub"] == tokens["claims"]["sub"]


@pytest.fixture(scope="session")
def known(served, signed_in) -> dict[str, object]:
    """What userinfo says for all scopes."""
    everything = register(served, "client_secret_basic", allowed_scopes=sorted(ALL_SCOPES))
    tokens = everything.log_in(signed_in, scope=" ".join(sorted(ALL_SCOPES)))
    return everything.userinfo(tokens["access_token"]).json()


ALL_SCOPES = {"openid", "profile", "email", "phone", "address"}


def test_oidcc_scope_profile(rp, signed_in):
    token = rp.log_in(signed_in, scope="openid profile")["access_token"]
    claims = rp.userinfo(token).json()
    assert claims["name"] == "张伟"
    assert claims["preferred_username"] == "zhang.wei"
    assert "email" not in claims


def test_oidcc_scope_email(rp, signed_in):
    token = rp.log_in(signed_in, scope="openid email")["access_token"]
    claims = rp.userinfo(token).json()
    assert claims["email"] == "zw@example.cn"
    assert "name" not in claims


def test_oidcc_scope_address(rp, signed_in):
    token = rp.log_in(signed_in, scope="openid address")["access_token"]
    claims = rp.userinfo(token).json()
    assert claims.keys() == {"sub", "address"}
    assert claims["address"] == {"formatted": ADDRESS}


def test_oidcc_scope_phone(rp, signed_in):
    token = rp.log_in(signed_in, scope="openid phone")["access_token"]
    claims = rp.userinfo(token).json()
    assert claims.keys() == {"sub", "phone_number"}
    assert claims["phone_number"] == PHONE


def test_oidcc_scope_all(known):
    about = {"name", "preferred_username", "email", "phone_number", "address"}
    assert {"sub"} | about <= known.keys()


def test_oidcc_alternate_happy_flow(rp, signed_in, mode):
    parameters = rp.request(scope="email profile openid", **mode)
    turned = dict(reversed(parameters.items()))
    answer = answer_of(signed_in.open(rp.url(turned)))
    assert answer["state"] == parameters["state"]
    tokens = rp.checked(rp.redeem(answer["code"]), nonce=parameters["nonce"])
    assert set(tokens["scope"].split()) == {"openid", "profile", "email"}
    assert rp.userinfo(tokens["access_token"]).json()["email"] == "zw@example.cn"


@pytest.mark.parametrize("display", ["page", "popup"])
def test_oidcc_display_page_and_oidcc_display_popup(rp, signed_in, display):
    rp.log_in(signed_in, display=display)


def test_oidcc_prompt_login(rp, browser):
    first = rp.log_in(browser)
    rp.served.clock.advance(seconds=2)
    second = rp.log_in(browser, prompt="login")
    assert browser.logins == 2
    assert second["claims"]["auth_time"] > first["claims"]["auth_time"]
    assert second["claims"]["sub"] == first["claims"]["sub"]


def test_oidcc_prompt_none_not_logged_in(rp, browser, mode):
    assert rp.answer(browser, prompt="none", **mode)["error"] == "login_required"


def test_oidcc_prompt_none_logged_in(rp, browser, mode):
    first = rp.log_in(browser)
    second = rp.log_in(browser, prompt="none", **mode)
    for claim in ("sub", "auth_time"):
        assert first["claims"][claim] == second["claims"][claim]
    assert browser.logins == 1


def test_oidcc_max_age_1(rp, browser):
    first = rp.log_in(browser)
    rp.served.clock.advance(seconds=2)
    second = rp.log_in(browser, max_age="1")
    assert browser.logins == 2
    assert second["claims"]["auth_time"] > first["claims"]["auth_time"]
    assert second["claims"]["sub"] == first["claims"]["sub"]


def test_a_maximum_age_of_nothing_asks_for_a_login_however_young_the_session_is(rp, browser):
    """OIDC Core, 3.1.2.1: max_age=0 is prompt=login. The clock stands still here."""
    rp.log_in(browser)
    rp.log_in(browser, max_age="0")
    assert browser.logins == 2
    assert rp.answer(browser, max_age="0", prompt="none")["error"] == "login_required"


def test_oidcc_max_age_10000(rp, browser):
    first = rp.log_in(browser, max_age="15000")
    rp.served.clock.advance(seconds=2)
    second = rp.log_in(browser, max_age="10000")
    assert browser.logins == 1
    assert second["claims"]["auth_time"] == first["claims"]["auth_time"]


def test_oidcc_ensure_request_with_unknown_parameter_succeeds(rp, signed_in, mode):
    rp.log_in(signed_in, extra="foobar", **mode)


def test_oidcc_id_token_hint(rp, browser):
    first = rp.log_in(browser)
    rp.served.clock.advance(seconds=2)
    second = rp.log_in(browser, prompt="none", id_token_hint=first["id_token"])
    for claim in ("sub", "auth_time"):
        assert first["claims"][claim] == second["claims"][claim]
    assert browser.logins == 1
    stranger = first["id_token"][:-6] + "AAAAAA"
    refused = rp.answer(browser, prompt="none", id_token_hint=stranger)
    assert refused["error"] == "invalid_request"


def test_oidcc_login_hint(rp, browser):
    page = browser.session.get(rp.url(rp.request(login_hint="zhang.wei")), timeout=30)
    assert 'value="zhang.wei"' in page.text
    rp.log_in(browser, login_hint="zhang.wei")


def test_oidcc_ui_locales(rp, served, browser):
    page = browser.session.get(rp.url(rp.request(ui_locales="en")), timeout=30)
    assert '<html lang="en">' in page.text
    rp.log_in(browser, ui_locales="se en")


def test_oidcc_claims_locales(rp, signed_in):
    rp.log_in(signed_in, claims_locales="se")


def test_oidcc_ensure_request_with_acr_values_succeeds(rp, signed_in):
    asked = Level.PASSWORD.acr
    assert rp.log_in(signed_in, acr_values=f"{asked} other")["claims"]["acr"] == asked


def test_oidcc_codereuse(rp, signed_in):
    code = rp.answer(signed_in)["code"]
    assert rp.redeem(code).status_code == 200
    again = rp.redeem(code)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")


def test_oidcc_codereuse_30seconds(rp, signed_in):
    code = rp.answer(signed_in)["code"]
    token = rp.redeem(code).json()["access_token"]
    rp.served.clock.advance(seconds=30)
    again = rp.redeem(code)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert rp.userinfo(token).status_code == 401


def test_oidcc_ensure_registered_redirect_uri(rp, signed_in, mode):
    for uri in ("https://rp.example.cn/callback/other", "https://evil.example/callback"):
        assert is_error_page(signed_in.open(rp.url(rp.request(redirect_uri=uri, **mode))))


def test_oidcc_ensure_post_request_succeeds(rp, signed_in, mode):
    parameters = rp.request(**mode)
    answer = answer_of(signed_in.post(f"{rp.served.issuer}/oidc/authorize", parameters))
    assert answer["state"] == parameters["state"]
    rp.checked(rp.redeem(answer["code"]), nonce=parameters["nonce"])


def test_oidcc_server_client_secret_post(served, signed_in, mode):
    register(served, "client_secret_post").log_in(signed_in, **mode)


def test_oidcc_request_uri_unsigned_supported_correctly_or_rejected_as_unsupported(
    rp, signed_in, mode
):
    answer = rp.answer(signed_in, request_uri="https://rp.example.cn/request.jwt", **mode)
    assert "code" not in answer
    assert answer["error"] == "request_uri_not_supported"


def unsigned(claims: dict[str, object]) -> str:
    parts = ({"alg": "none"}, claims)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts]
    return f"{encoded[0].decode()}.{encoded[1].decode()}."


def test_oidcc_unsigned_request_object_supported_correctly_or_rejected_as_unsupported(
    rp, signed_in, mode
):
    answer = rp.answer(signed_in, request=unsigned(rp.request()), **mode)
    assert answer["error"] == "request_not_supported"


def test_oidcc_claims_essential(rp, signed_in):
    asked = {"userinfo": {"name": {"essential": True}}, "id_token": {"email": None}}
    tokens = rp.log_in(signed_in, claims=json.dumps(asked))
    assert rp.userinfo(tokens["access_token"]).json()["name"] == "张伟"
    assert tokens["claims"]["email"] == "zw@example.cn"


def test_oidcc_ensure_request_object_with_redirect_uri(served, signed_in):
    signing = register(served, "client_secret_basic", metadata=_with_keys(served))
    signing.key = served.keys["one"]
    other = signing.request(redirect_uri="https://evil.example/callback")
    inside = signing.key.sign(signing.request() | {"aud": served.issuer})
    assert "code" in answer_of(signed_in.open(signing.url(other | {"request": inside})))
    outside = signing.key.sign(other | {"aud": served.issuer})
    assert is_error_page(signed_in.open(signing.url(signing.request(request=outside))))
    # What is signed counts: state, nonce and scope as well.
    within = signing.request(scope="openid email")
    request = signing.key.sign(within | {"aud": served.issuer})
    landed = answer_of(signed_in.open(signing.url(signing.request(request=request))))
    assert landed["state"] == within["state"]
    told = signing.checked(signing.redeem(landed["code"]), nonce=within["nonce"])
    assert told["scope"] == "email openid"


def _with_keys(served):
    from authn.oidc.clientmetadata import ClientMetadata

    return ClientMetadata(jwks=served.keys["one"].jwks)


def test_oidcc_refresh_token(rp, second_rp, signed_in):
    first = rp.log_in(signed_in)
    stolen = second_rp.refresh(first["refresh_token"])
    assert (stolen.status_code, stolen.json()["error"]) == (400, "invalid_grant")
    rp.served.clock.advance(seconds=2)
    second = rp.checked(rp.refresh(first["refresh_token"]))
    assert second["access_token"] != first["access_token"]
    for claim in ("iss", "sub", "aud", "auth_time", "acr", "amr", "sid"):
        assert second["claims"][claim] == first["claims"][claim]
    assert second["claims"]["iat"] > first["claims"]["iat"]
    # OIDC Core, 12.2: the nonce of the first is not required, and another one is wrong.
    assert second["claims"].get("nonce") in (None, first["claims"]["nonce"])
    assert rp.userinfo(second["access_token"]).status_code == 200


def test_oidcc_ensure_request_with_valid_pkce_succeeds(rp, signed_in, mode):
    rp.log_in(signed_in, **mode)


def test_the_form_is_for_the_client_alone_and_needs_no_inline_script(
    rp: RelyingParty, signed_in: Browser
):
    page = signed_in.open(rp.url(rp.request(response_mode="form_post")))
    policy = page.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert page.headers["cache-control"] == "no-store"
    assert f'action="{CALLBACK}"' in page.text
