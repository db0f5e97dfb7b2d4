"""Plan `fapi2-security-profile-final-test-plan`, plain_fapi: module by module, in its variants.

Each module is a function with the module's name behind ``test_``, its dashes as underscores, and
without the prefix ``fapi2-security-profile-final-`` (docs/conformance.md).
"""

from __future__ import annotations

import secrets
import ssl
from dataclasses import replace

import pytest
import requests

from authn.oidc.clientmetadata import ClientMetadata
from tests.conformance.oidf.conftest import register
from tests.conformance.oidf.relying_party import (
    Browser,
    RelyingParty,
    answer_of,
    hidden_fields,
    is_error_page,
)
from tests.conformance.oidf.served import Served

pytestmark = pytest.mark.judge


def fapi_client(served: Served, auth: str, constraint: str, key: str) -> RelyingParty:
    held = served.keys[key]
    client = register(
        served,
        auth,
        metadata=ClientMetadata(
            grant_types=("authorization_code", "refresh_token"),
            security_profile="fapi2",
            jwks=held.jwks if auth != "tls_client_auth" else None,
            tls_client_auth_subject_dn=f"CN={key},O=Test" if auth == "tls_client_auth" else None,
            dpop_bound_access_tokens=constraint == "dpop",
            tls_client_certificate_bound_access_tokens=constraint == "mtls",
        ),
    )
    client.key = held
    client.proof_key = (
        served.keys["rsa" if key == "one" else "one"] if constraint == "dpop" else None
    )
    return client


VARIANTS = [
    ("private_key_jwt", "dpop"),
    ("private_key_jwt", "mtls"),
    ("tls_client_auth", "dpop"),
    ("self_signed_tls_client_auth", "mtls"),
]


@pytest.fixture(scope="session", params=VARIANTS, ids="+".join)
def rp(request: pytest.FixtureRequest, served: Served) -> RelyingParty:
    """A client in every variant of client authentication and sender constraint."""
    return fapi_client(served, *request.param, "one")


@pytest.fixture(scope="session")
def one(served: Served) -> RelyingParty:
    """private_key_jwt and DPoP, for modules that do not depend on the variant."""
    return fapi_client(served, "private_key_jwt", "dpop", "one")


@pytest.fixture(scope="session")
def two(served: Served) -> RelyingParty:
    return fapi_client(served, "private_key_jwt", "dpop", "two")


def pushed(rp: RelyingParty, **changes: str | None) -> str:
    answer = rp.push(rp.request(**changes))
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert 5 <= body["expires_in"] < 600
    assert len(body["request_uri"]) > 60
    return body["request_uri"]


def short(rp: RelyingParty, request_uri: str, **more: str) -> str:
    return rp.url({"client_id": rp.client_id, "request_uri": request_uri} | more)


def code_of(rp: RelyingParty, browser: Browser, **changes: str | None) -> str:
    answer = answer_of(browser.open(short(rp, pushed(rp, **changes))))
    assert answer["iss"] == rp.served.issuer
    assert "code" in answer, answer
    return answer["code"]


def tokens_of(rp: RelyingParty, browser: Browser, **changes: str | None) -> dict:
    return rp.checked(rp.redeem(code_of(rp, browser, **changes)))


def refused(answer: requests.Response, *errors: str, status: int = 400) -> None:
    assert answer.status_code == status, answer.text
    assert answer.json()["error"] in errors


# ---- for everybody ------------------------------------------------------------------------------


def test_discovery_end_point_verification(one):
    document = one.call("GET", f"{one.served.issuer}/.well-known/openid-configuration").json()
    assert document["authorization_response_iss_parameter_supported"] is True
    assert document["pushed_authorization_request_endpoint"].startswith("https://")
    methods = document["token_endpoint_auth_methods_supported"]
    assert {"private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth"} <= set(methods)
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert document["tls_client_certificate_bound_access_tokens"] is True
    assert set(document["dpop_signing_alg_values_supported"]) <= {"ES256", "PS256", "EdDSA"}
    assert {"ES256", "PS256"} <= set(document["token_endpoint_auth_signing_alg_values_supported"])
    aliases = document["mtls_endpoint_aliases"]
    assert aliases["token_endpoint"].startswith(one.served.mutual_tls)


def test_happy_flow(rp, signed_in):
    tokens = tokens_of(rp, signed_in)
    assert tokens["token_type"] == ("DPoP" if rp.proof_key else "Bearer")
    assert rp.userinfo(tokens["access_token"]).json()["sub"] == tokens["claims"]["sub"]


def test_user_rejects_authentication(one, browser):
    page = browser.open(short(one, pushed(one, prompt="consent")))
    fields = hidden_fields(page.text) | {"answer": "disagree"}
    answer = answer_of(browser.post(f"{one.served.issuer}/login/consent", fields))
    assert answer["error"] == "access_denied"
    assert answer["iss"] == one.served.issuer
    assert "code" not in answer


def test_ensure_authorization_request_without_state_success(one, signed_in):
    answer = answer_of(signed_in.open(short(one, pushed(one, state=None))))
    assert "code" in answer
    assert "state" not in answer


def test_ensure_authorization_request_without_nonce_success(one, signed_in):
    assert "nonce" not in tokens_of(one, signed_in, nonce=None)["claims"]


@pytest.mark.parametrize("length", [64, 384])
def test_ensure_authorization_request_with_64_char_nonce_success_and_with_long_nonce(
    one, signed_in, length
):
    nonce = secrets.token_hex(length // 2)
    assert tokens_of(one, signed_in, nonce=nonce)["claims"]["nonce"] == nonce


def test_ensure_authorization_request_with_long_state(one, browser):
    state = secrets.token_urlsafe(750)  # 1000 characters, through the login page
    answer = answer_of(browser.open(short(one, pushed(one, state=state))))
    assert answer["state"] == state


def test_ensure_other_scope_order_succeeds(one, signed_in):
    tokens_of(one, signed_in, scope="email openid")


def test_test_claims_parameter_identity_claims(one, signed_in):
    tokens = tokens_of(one, signed_in, claims='{"id_token":{"name":{"essential":true}}}')
    assert tokens["claims"]["name"] == "张伟"


def test_access_token_type_header_case_sensitivity(one, signed_in):
    token = tokens_of(one, signed_in)["access_token"]
    for scheme in ("dpop", "DPOP", "DpOp"):
        assert one.userinfo(token, headers={"Authorization": f"{scheme} {token}"}).ok


def test_ensure_different_nonce_and_state_outside_are_ignored(one, signed_in):
    """`ensure-different-nonce-inside-and-outside-request-object`, `ensure-different-state-…`."""
    parameters = one.request()
    uri = one.push(parameters).json()["request_uri"]
    answer = answer_of(signed_in.open(short(one, uri, nonce="other", state="other")))
    assert answer["state"] == parameters["state"]
    claims = one.checked(one.redeem(answer["code"]))["claims"]
    assert claims["nonce"] == parameters["nonce"]


def test_state_only_outside_request_object_not_used(one, signed_in):
    answer = answer_of(signed_in.open(short(one, pushed(one, state=None), state="other")))
    assert "state" not in answer


def test_ensure_request_object_without_redirect_uri_fails(one):
    refused(one.push(one.request(redirect_uri=None)), "invalid_request")


def test_ensure_redirect_uri_in_authorization_request(one):
    refused(one.push(one.request(redirect_uri=None)), "invalid_request")


def test_plain_fapi_tolerate_unregistered_redirect_uri(one):
    other = "https://rp.example.cn/" + secrets.token_urlsafe(8)
    refused(one.push(one.request(redirect_uri=other)), "invalid_request")


def test_ensure_unsigned_authorization_request_without_using_par_fails(one, signed_in):
    assert answer_of(signed_in.open(one.url(one.request())))["error"] == "invalid_request"


def test_ensure_response_type_code_idtoken_fails(one):
    refused(one.push(one.request(response_type="code id_token")), "unsupported_response_type")


def test_ensure_response_type_token_fails(one):
    refused(one.push(one.request(response_type="token")), "unsupported_response_type")


def test_ensure_client_id_in_token_endpoint(rp, two, signed_in):
    code = code_of(rp, signed_in)
    refused(rp.redeem(code, client_id=two.client_id), "invalid_client", status=401)


def test_ensure_holder_of_key_required(rp, served, signed_in):
    code = code_of(rp, signed_in)
    if rp.proof_key is not None:
        refused(rp.redeem(code, proof=None), "invalid_dpop_proof")
        return
    plain = f"{served.issuer}/oidc/token"  # here TLS asks for no certificate
    fields = {"grant_type": "authorization_code", "code": code, "client_id": rp.client_id}
    if rp.method == "private_key_jwt":
        fields |= {"client_assertion_type": _TYPE, "client_assertion": rp.assertion()}
    refused_status = 400 if rp.method == "private_key_jwt" else 401
    refused(
        rp.call("POST", plain, data=fields),
        "invalid_request",
        "invalid_client",
        status=refused_status,
    )


_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def test_ensure_holder_of_key_required_tls_versions(served):
    with pytest.raises(ssl.SSLError):
        _handshake(served, ssl.TLSVersion.TLSv1_1)
    assert _handshake(served, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"


def _handshake(served: Served, newest: ssl.TLSVersion) -> str | None:
    import socket
    import warnings
    from urllib.parse import urlsplit

    context = ssl.create_default_context(cafile=served.trust)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = newest
    port = urlsplit(served.issuer).port or 0
    with (
        socket.create_connection(("127.0.0.1", port), timeout=60) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as wrapped,
    ):
        return wrapped.version()


def test_ensure_authorization_code_is_bound_to_client(rp, two, signed_in):
    code = code_of(rp, signed_in)
    stranger = replace(two, verifier=rp.verifier)
    refused(stranger.redeem(code), "invalid_grant")
    assert rp.redeem(code).status_code == 200


def test_attempt_reuse_authorization_code_after_one_second(rp, signed_in):
    code = code_of(rp, signed_in)
    token = rp.redeem(code).json()["access_token"]
    rp.served.clock.advance(seconds=1)
    refused(rp.redeem(code), "invalid_grant")
    assert rp.userinfo(token).status_code == 401


def test_ensure_token_endpoint_fails_with_expired_auth_code(one, signed_in):
    code = code_of(one, signed_in)
    one.served.clock.advance(seconds=60)
    refused(one.redeem(code), "invalid_grant")


def test_refresh_token(rp, two, signed_in):
    first = tokens_of(rp, signed_in)
    refused(two.refresh(first["refresh_token"]), "invalid_grant")
    second = rp.checked(rp.refresh(first["refresh_token"]))
    assert second["refresh_token"] == first["refresh_token"]  # FAPI 2.0: no rotation
    assert rp.userinfo(second["access_token"]).status_code == 200
    if rp.proof_key is not None:
        refused(rp.refresh(first["refresh_token"], proof=None), "invalid_dpop_proof")
    if rp.method == "private_key_jwt":
        nobody = rp.refresh(first["refresh_token"], client_assertion=None)
        assert nobody.status_code == 401


# ---- private_key_jwt ----------------------------------------------------------------------------


def asserting(rp: RelyingParty, browser: Browser, assertion: str | None) -> requests.Response:
    return rp.redeem(code_of(rp, browser), client_assertion=assertion)


def test_ensure_signed_client_assertion_with_rs256_fails(served, signed_in):
    held = fapi_client(served, "private_key_jwt", "dpop", "rsa")
    assert held.redeem(code_of(held, signed_in)).status_code == 200  # PS256 is good
    weak = held.assertion(algorithm="RS256")
    refused(asserting(held, signed_in, weak), "invalid_client", status=401)


def test_ensure_client_assertion_in_token_endpoint(one, signed_in):
    answer = one.redeem(code_of(one, signed_in), client_assertion=None, client_assertion_type=None)
    refused(answer, "invalid_client", status=401)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda rp: rp.assertion(exp=rp.now() - 300, iat=rp.now() - 360),
        lambda rp: rp.assertion(aud="https://other.example.cn"),
        lambda rp: rp.assertion(sub=None),
        lambda rp: rp.assertion(iss="other"),
        lambda rp: rp.assertion(jti=None),
        lambda rp: rp.assertion(exp=None),
        lambda rp: rp.assertion()[:-8] + "AAAAAAAA",
    ],
    ids=[
        "with-exp-is-5-minutes-in-past-fails",
        "with-wrong-aud-fails",
        "with-no-sub-fails",
        "another-iss",
        "no-jti",
        "no-exp",
        "bad-signature",
    ],
)
def test_ensure_client_assertion_with(one, signed_in, spoil):
    """`ensure-client-assertion-with-exp-is-5-minutes-in-past-fails`, `…-wrong-aud`, `…-no-sub`."""
    refused(asserting(one, signed_in, spoil(one)), "invalid_client", status=401)


def test_an_assertion_is_good_once(one):
    assertion = one.assertion()
    assert one.push(one.request(), client_assertion=assertion).status_code == 201
    refused(one.push(one.request(), client_assertion=assertion), "invalid_client", status=401)


@pytest.mark.parametrize("seconds", [8, 61])
def test_par_ensure_jwt_client_assertions_nbf(one, seconds):
    """`…-nbf-8-seconds-in-the-future-is-accepted`, `…-nbf-over-60-seconds-in-the-future-fails`."""
    assertion = one.assertion(nbf=one.now() + seconds)
    answer = one.push(one.request(), client_assertion=assertion)
    assert answer.status_code == (201 if seconds == 8 else 401)


@pytest.mark.parametrize("audience", ["array", "par-endpoint-url", "token-endpoint-url"])
def test_par_test_audience_fails(one, audience):
    """`par-test-array-as-audience-fails`, `…-par-endpoint-url-…`, `…-token-endpoint-url-…`."""
    value = {
        "array": [one.served.issuer],
        "par-endpoint-url": f"{one.served.issuer}/oidc/par",
        "token-endpoint-url": f"{one.served.issuer}/oidc/token",
    }[audience]
    answer = one.push(one.request(), client_assertion=one.assertion(aud=value))
    refused(answer, "invalid_client", status=401)


# ---- pushed requests ----------------------------------------------------------------------------


def test_par_ensure_reused_request_uri_prior_to_auth_completion_succeeds(one, browser):
    uri = pushed(one)
    for _ in range(2):
        page = browser.session.get(short(one, uri), timeout=30)
        assert page.url.startswith(f"{one.served.issuer}/login")
    assert "code" in answer_of(browser.open(short(one, uri)))


def test_par_attempt_reuse_request_uri(one, signed_in):
    uri = pushed(one)
    assert "code" in answer_of(signed_in.open(short(one, uri)))
    assert is_error_page(signed_in.open(short(one, uri)))


def test_par_attempt_to_use_expired_request_uri(one, signed_in):
    uri = pushed(one)
    one.served.clock.advance(seconds=90)
    assert is_error_page(signed_in.open(short(one, uri)))


def test_par_attempt_to_use_request_uri_for_different_client(one, two, signed_in):
    assert is_error_page(signed_in.open(short(two, pushed(one))))


def test_par_authorization_request_containing_request_uri_form_param(one):
    refused(one.push(one.request(request_uri=pushed(one))), "invalid_request")


def test_par_attempt_invalid_http_method(one):
    for method in ("GET", "PUT"):
        assert one.call(method, one.endpoint("par")).status_code == 405


def test_par_ensure_pkce_required(one):
    without = one.request(code_challenge=None, code_challenge_method=None)
    refused(one.push(without), "invalid_request")


def test_ensure_pkce_code_verifier_required(one, signed_in):
    refused(one.redeem(code_of(one, signed_in), code_verifier=None), "invalid_grant")


def test_incorrect_pkce_code_verifier_rejected(one, signed_in):
    wrong = secrets.token_urlsafe(48)
    refused(one.redeem(code_of(one, signed_in), code_verifier=wrong), "invalid_grant")


def test_par_plain_pkce_rejected(one):
    plain = one.request(code_challenge=one.verifier[:43], code_challenge_method="plain")
    refused(one.push(plain), "invalid_request")


def test_par_without_duplicate_parameters(one, signed_in):
    assert "code" in answer_of(signed_in.open(short(one, pushed(one))))


# ---- DPoP ---------------------------------------------------------------------------------------


def test_check_dpop_proof_nbf_exp(one, signed_in):
    url = one.endpoint("token")
    proof = one.proof(url, nbf=one.now() + 3600, exp=one.now() - 3600)
    assert one.redeem(code_of(one, signed_in), proof=proof).status_code == 200


@pytest.mark.parametrize("seconds", [-10, 10])
def test_ensure_dpopproof_with_iat_10seconds_before_and_after_succeeds(one, signed_in, seconds):
    proof = one.proof(one.endpoint("token"), iat=one.now() + seconds)
    assert one.redeem(code_of(one, signed_in), proof=proof).status_code == 200


def test_ensure_mismatched_dpop_jkt_fails(one):
    refused(one.push(one.request(dpop_jkt="A" * 43)), "invalid_dpop_proof", "invalid_request")


def test_ensure_token_endpoint_fails_with_mismatched_dpop_proof_jkt(one, signed_in):
    code = code_of(one, signed_in)  # bound to the key of the proof at the PAR endpoint
    other = one.proof(one.endpoint("token"), key=one.served.keys["two"])
    refused(one.redeem(code, proof=other), "invalid_dpop_proof", "invalid_grant")


def jkt_of(one: RelyingParty, name: str) -> str:
    from joserfc.jwk import import_key

    key = {part: value for part, value in one.served.keys[name].jwk.items() if part != "kid"}
    return import_key(key).thumbprint()


def with_jkt(one: RelyingParty, browser: Browser, name: str) -> str:
    answer = one.push(one.request(dpop_jkt=jkt_of(one, name)), proof=None)
    return answer_of(browser.open(short(one, answer.json()["request_uri"])))["code"]


def test_ensure_token_endpoint_fails_with_mismatched_dpop_jkt(one, signed_in):
    code = with_jkt(one, signed_in, "two")
    refused(one.redeem(code), "invalid_dpop_proof", "invalid_grant")


def test_ensure_dpopproof_at_par_endpoint_binding_success(one, signed_in):
    assert one.redeem(code_of(one, signed_in)).status_code == 200


def test_ensure_dpop_auth_code_binding_success(one, signed_in):
    assert one.redeem(with_jkt(one, signed_in, "rsa")).status_code == 200


def test_dpop_negative_tests(one, signed_in):
    token = tokens_of(one, signed_in)["access_token"]
    url = one.endpoint("userinfo")

    def ask(proof: str | None = None, **how) -> int:
        given = proof or one.proof(url, method="GET", token=token, **how)
        return one.userinfo(token, headers={"DPoP": given}).status_code

    def changed(**header) -> int:
        return ask(header=header)

    host = f"LOCALHOST:{url.split(':')[2]}"
    good = [
        {"htu": url + "?a=b#c"},
        {"htu": url},
        {"unknown": "extra"},
        {"htu": f"HTTPS://{host}"},
        {"jti": "first-" + secrets.token_urlsafe(8)},
    ]
    assert [ask(**how) for how in good] == [200] * len(good)
    private = {**one.proof_key.jwk, "d": "AAAA"}
    bad = [
        ask("not-a-jwt"),
        ask(".."),
        changed(typ=None),
        changed(typ="JWT"),
        changed(jwk=None),
        changed(jwk=private),
        changed(jwk={"kty": "oct", "k": "AAAA"}),
        changed(crit=["exp"]),
        *(ask(**{name: None}) for name in ("jti", "htm", "htu", "iat", "ath")),
        ask(algorithm="RS256"),
        ask(_unsigned(one.proof(url, method="GET", token=token))),
        ask(one.proof(url, method="GET", token=token)[:-6] + "AAAAAA"),
        ask(htm="POST"),
        ask(htu=url + "/other"),
        ask(htu="https://evil.example/oidc/userinfo"),
        ask(iat=one.now() - 3600),
        ask(iat=one.now() + 3600),
        ask(ath="A" * 43),
        ask(key=one.served.keys["two"]),
    ]
    assert set(bad) == {401}
    once = one.proof(url, method="GET", token=token)
    assert (ask(once), ask(once)) == (200, 401)
    spoilt = one.userinfo(token, headers={"DPoP": once})
    challenge = spoilt.headers["www-authenticate"]  # RFC 9449, 7.1
    assert challenge.startswith("DPoP ")
    assert 'error="invalid_dpop_proof"' in challenge
    assert 'algs="ES256 PS256 EdDSA"' in challenge
    bare = one.call("GET", url, headers={"Authorization": f"DPoP {token}"})
    bearer = one.call("GET", url, headers={"Authorization": f"Bearer {token}"})
    assert {bare.status_code, bearer.status_code} == {401}
    assert bearer.headers["www-authenticate"].startswith("DPoP")
    assert ask() == 200


def _unsigned(proof: str) -> str:
    from tests.conformance.oidf.served import decoded
    from tests.conformance.oidf.test_basic import unsigned

    return unsigned(decoded(proof))


def test_two_proofs_are_refused(one, signed_in):
    import http.client
    from urllib.parse import urlsplit

    token = tokens_of(one, signed_in)["access_token"]
    context = ssl.create_default_context(cafile=one.served.trust)
    connection = http.client.HTTPSConnection(
        "localhost", urlsplit(one.served.issuer).port, context=context
    )
    connection.putrequest("GET", "/oidc/userinfo")
    connection.putheader("Authorization", f"DPoP {token}")
    for _ in range(2):
        proof = one.proof(one.endpoint("userinfo"), method="GET", token=token)
        connection.putheader("DPoP", proof)
    connection.endheaders()
    assert connection.getresponse().status == 401
    connection.close()


def test_a_token_bound_to_a_certificate_is_of_no_use_with_another(served, signed_in):
    held = fapi_client(served, "self_signed_tls_client_auth", "mtls", "one")
    token = tokens_of(held, signed_in)["access_token"]
    thief = replace(held, key=served.keys["two"])
    assert thief.userinfo(token).status_code == 401
    without = held.call(
        "GET", f"{served.issuer}/oidc/userinfo", headers={"Authorization": f"Bearer {token}"}
    )
    assert without.status_code == 401
    assert held.userinfo(token).status_code == 200
