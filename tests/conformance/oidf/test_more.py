"""Devices, token exchange, self-registration, over TLS; and what must not work."""

from __future__ import annotations

import json
import secrets
from base64 import b64encode
from datetime import timedelta

import pytest

from authn.oidc.clientmetadata import ClientMetadata, GrantType
from authn.oidc.store import AuthMethod, IDTokenAlgorithm
from tests.conformance.oidf.conftest import register
from tests.conformance.oidf.relying_party import (
    CALLBACK,
    Browser,
    answer_of,
    hidden_fields,
    is_error_page,
)

pytestmark = pytest.mark.judge

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


# ---- devices (RFC 8628) -------------------------------------------------------------------------


@pytest.fixture
def television(served):
    return register(
        served,
        "none",
        redirect_uris=[],
        metadata=ClientMetadata(grant_types=(DEVICE, "refresh_token")),
    )


def ask(television, device_code: str):
    television.served.clock.advance(seconds=5)
    return television.post("token", {"grant_type": DEVICE, "device_code": device_code})


def say(browser: Browser, codes: dict[str, str], answer: str):
    page = browser.open(codes["verification_uri_complete"])
    assert codes["user_code"] in page.text
    fields = hidden_fields(page.text) | {"answer": answer}
    return browser.post(f"{browser.served.issuer}/device", fields)


def test_a_person_connects_a_device(television, browser):
    codes = television.post("device_authorization", {"scope": "openid profile"}).json()
    assert codes["interval"] == 5
    assert ask(television, codes["device_code"]).json()["error"] == "authorization_pending"
    hurried = television.post("token", {"grant_type": DEVICE, "device_code": codes["device_code"]})
    assert hurried.json()["error"] == "slow_down"
    assert "设备已连接" in say(browser, codes, "allow").text
    assert browser.logins == 1
    tokens = television.checked(ask(television, codes["device_code"]))
    assert television.userinfo(tokens["access_token"]).json()["name"] == "张伟"
    assert television.refresh(tokens["refresh_token"]).status_code == 200
    assert ask(television, codes["device_code"]).json()["error"] == "invalid_grant"


def test_a_person_refuses_a_device(television, signed_in):
    codes = television.post("device_authorization", {}).json()
    say(signed_in, codes, "deny")
    assert ask(television, codes["device_code"]).json()["error"] == "access_denied"


def test_a_device_code_ends_and_is_of_no_use_to_another_client(served, television, signed_in):
    other = register(
        served, "none", redirect_uris=[], metadata=ClientMetadata(grant_types=(DEVICE,))
    )
    codes = television.post("device_authorization", {}).json()
    assert ask(other, codes["device_code"]).json()["error"] == "invalid_grant"
    served.clock.advance(minutes=10)
    assert ask(television, codes["device_code"]).json()["error"] == "expired_token"
    assert signed_in.open(codes["verification_uri_complete"]).status_code in (401, 404, 200)


def test_a_device_never_administers(served):
    client = register(
        served,
        "none",
        redirect_uris=[],
        allowed_scopes=["openid", "admin"],
        metadata=ClientMetadata(grant_types=(DEVICE,)),
    )
    answer = client.post("device_authorization", {"scope": "openid admin"})
    assert answer.json()["error"] == "invalid_scope"


def test_user_codes_cannot_be_guessed_for_long(served):
    guesser = Browser(served)
    guesser.open(f"{served.issuer}/login?next=%2F")
    statuses = {
        guesser.open(f"{served.issuer}/device?user_code=BCDF-{index:04d}").status_code
        for index in range(25)
    }
    assert 429 in statuses
    served.clock.advance(minutes=5)


# ---- token exchange (RFC 8693) ------------------------------------------------------------------


def api(served, name: str, *, scopes=("read",), **metadata):
    uri = f"https://{name}-{secrets.token_hex(4)}.example.cn/"
    return uri, register(
        served,
        "client_secret_basic",
        redirect_uris=[],
        allowed_scopes=list(metadata.pop("allowed", [])),
        metadata=ClientMetadata(
            resource=uri, resource_scopes=scopes, **({"grant_types": ()} | metadata)
        ),
    )


def exchange(client, token: str, resource: str, **more: str):
    fields = {
        "grant_type": EXCHANGE,
        "subject_token": token,
        "subject_token_type": ACCESS_TOKEN,
        "resource": resource,
    }
    return client.post("token", fields | more)


def test_a_resource_server_calls_another_for_the_person(served, signed_in):
    back_uri, back = api(served, "back", scopes=("back.read",), access_token_format="jwt")
    front_uri, front = api(
        served, "front", scopes=("front.read",), allowed=["back.read"], grant_types=(EXCHANGE,)
    )
    portal = register(served, "client_secret_basic", allowed_scopes=["openid", "front.read"])
    tokens = portal.log_in(signed_in, scope="openid front.read", resource=front_uri)
    answer = exchange(front, tokens["access_token"], back_uri)
    body = answer.json()
    assert (body["issued_token_type"], body["scope"]) == (ACCESS_TOKEN, "back.read")
    seen = back.post("introspect", {"token": body["access_token"]}).json()
    assert (seen["active"], seen["username"], seen["act"]) == (
        True,
        "zhang.wei",
        {"sub": front.client_id},
    )
    # Not for whom it is: neither the portal nor a stranger can exchange, or be exchanged for more.
    assert exchange(portal, tokens["access_token"], back_uri).json()["error"] == (
        "unauthorized_client"
    )
    wider = exchange(front, tokens["access_token"], back_uri, scope="front.read")
    assert wider.json()["error"] == "invalid_scope"
    again = exchange(front, body["access_token"], back_uri)
    assert again.json()["error"] == "invalid_grant"
    portal.post("revoke", {"token": tokens["refresh_token"]})
    assert back.post("introspect", {"token": body["access_token"]}).json() == {"active": False}


# ---- self-registration (RFC 7591, 7592) ---------------------------------------------------------


@pytest.fixture
def initial(served) -> str:
    tokens = served.house.provider.endpoints.initial_tokens
    return tokens.create("test", uses=1, days=1, actor="t")


def enrol(rp, bearer: str, **changes):
    document = {
        "client_name": "自助应用",
        "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", "refresh_token"],
        "scope": "openid profile admin",
        "unknown_member": True,
    } | changes
    url = f"{rp.served.issuer}/oidc/register"
    return rp.call("POST", url, json=document, headers={"Authorization": f"Bearer {bearer}"})


def test_an_application_registers_itself_and_logs_somebody_in(rp, initial, signed_in):
    made = enrol(rp, initial)
    assert made.status_code == 201, made.text
    body = made.json()
    assert body["scope"] == "openid profile"  # the administration is for nobody to take
    client = type(rp)(rp.served, body["client_id"], "client_secret_basic", body["client_secret"])
    assert client.log_in(signed_in)["claims"]["sub"]
    own = {"Authorization": f"Bearer {body['registration_access_token']}"}
    url = body["registration_client_uri"]
    assert "client_secret" not in rp.call("GET", url, headers=own).json()
    changed = body | {"client_name": "改名"}
    assert rp.call("PUT", url, headers=own, json=changed).json()["client_name"] == "改名"
    assert client.log_in(signed_in)["claims"]["sub"]  # its secret is the same
    assert rp.call("GET", url, headers={"Authorization": "Bearer x"}).status_code == 401
    assert rp.call("DELETE", url, headers=own).status_code == 204
    assert is_error_page(signed_in.open(client.url(client.request())))
    assert enrol(rp, initial).status_code == 401  # it was good for one


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"redirect_uris": ["https://*.example.cn/"]}, "invalid_redirect_uri"),
        ({"redirect_uris": "https://rp.example.cn"}, "invalid_client_metadata"),
        ({"grant_types": ["client_credentials"]}, "invalid_client_metadata"),
        ({"grant_types": ["password"]}, "invalid_client_metadata"),
        ({"response_types": ["token"]}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "invalid_client_metadata"),
        ({"jwks": {"keys": [{"kty": "oct", "k": "AAAA"}]}}, "invalid_client_metadata"),
        ({"jwks_uri": "http://169.254.169.254/"}, "invalid_client_metadata"),
        ({"logo_uri": "javascript:alert(1)"}, "invalid_client_metadata"),
        ({"contacts": ["\ud800"]}, "invalid_request"),
    ],
)
def test_a_bad_registration_is_refused_and_costs_nothing(rp, initial, changes, error):
    refused = enrol(rp, initial, **changes)
    assert (refused.status_code, refused.json()["error"]) == (400, error), refused.text
    assert enrol(rp, initial).status_code == 201


def test_what_only_an_administrator_gives_is_not_taken_and_not_lost(rp, served, initial):
    """A public `sub` joins people; an address of CAS is somebody's by its registration alone."""
    asked = {
        "subject_type": "public",
        "sector_identifier": "everybody",
        "cas_services": ["https://victim.example.cn/cas"],
        "gate_origins": ["https://victim.example.cn"],
        "resource": "https://victim.example.cn/api",
    }
    body = enrol(rp, initial, **asked).json()
    clients = served.house.provider.administration.clients
    made = clients.get(body["client_id"])
    assert body["subject_type"] == made.metadata.subject_type == "pairwise"
    assert made.metadata.entries == ()
    assert (made.metadata.resource, made.metadata.sector_identifier) == (None, None)
    # An administrator gives more; the application renames itself and keeps it.
    given = made.metadata.model_copy(
        update={
            "sector_identifier": "group",
            "grant_types": (*made.metadata.grant_types, GrantType.CLIENT_CREDENTIALS),
        }
    )
    clients.change(
        made.id,
        made.name,
        actor="admin",
        redirect_uris=made.redirect_uris,
        auth_method=made.auth_method,
        post_logout_redirect_uris=(),
        allowed_scopes=["openid", "profile", "account"],
        id_token_algorithm=made.id_token_algorithm,
        metadata=given,
    )
    own = {"Authorization": f"Bearer {body['registration_access_token']}"}
    url = body["registration_client_uri"]
    shown = rp.call("GET", url, headers=own).json()
    changed = rp.call("PUT", url, headers=own, json=shown | {"client_name": "改名"})
    assert changed.status_code == 200, changed.text
    after = clients.get(made.id)
    assert after.name == "改名"
    assert after.metadata.sector_identifier == "group"
    assert "client_credentials" in after.metadata.grant_types
    assert after.scopes == {"openid", "profile", "account"}
    rp.call("DELETE", url, headers=own)


# ---- what must not work -------------------------------------------------------------------------


def test_several_tabs_log_in_side_by_side(rp, browser):
    pages = [
        browser.session.get(rp.url(rp.request(state=f"tab{tab}")), timeout=30) for tab in "abc"
    ]
    for tab, page in zip("cab", [pages[2], pages[0], pages[1]], strict=True):
        assert answer_of(browser._go_on(page))["state"] == f"tab{tab}"


def test_a_login_begun_in_one_browser_does_not_end_in_another(rp, served, signed_in):
    victim = Browser(served)
    page = victim.session.get(rp.url(rp.request()), timeout=30)
    next_path = hidden_fields(page.text)["next"]
    assert is_error_page(signed_in.open(served.issuer + next_path))


def test_a_flow_cookie_cannot_be_moved_or_changed(rp, served, browser):
    page = browser.session.get(rp.url(rp.request()), timeout=30)
    path = hidden_fields(page.text)["next"]
    name = "__Host-yinxin-flow-" + path.rpartition("/")[2]
    value = browser.session.cookies.get(name)
    thief = Browser(served)
    other = path[:-1] + ("A" if path[-1] != "A" else "B")
    for target, cookie in ((other, value), (path, value[:-8] + "AAAAAAAA"), (path, "")):
        headers = {"Cookie": f"__Host-yinxin-flow-{target.rpartition('/')[2]}={cookie}"}
        assert is_error_page(thief.open(served.issuer + target, headers=headers))


@pytest.mark.parametrize(
    "uri",
    [
        CALLBACK + "/../evil",
        CALLBACK + "?x=1",
        CALLBACK + "#f",
        CALLBACK.upper(),
        CALLBACK.replace("https", "http"),
        CALLBACK.replace("rp.example.cn", "rp.example.cn.evil.example"),
        CALLBACK.replace("https://", "https://evil.example@"),
        CALLBACK.replace("/callback", "%2f..%2fcallback"),
        "//rp.example.cn/callback",
        "javascript:alert(1)",
    ],
)
def test_no_trick_with_the_redirect_uri_leads_anywhere(rp, signed_in, uri):
    assert is_error_page(signed_in.open(rp.url(rp.request(redirect_uri=uri))))


@pytest.mark.parametrize(
    "header",
    [
        {"jwk": {"kty": "EC", "crv": "P-256", "x": "A", "y": "A"}},
        {"jku": "https://evil.example/jwks"},
        {"x5u": "https://evil.example/x5c"},
        {"kid": "two"},
    ],
)
def test_a_key_that_a_token_brings_along_is_not_believed(served, header):
    client = register(
        served,
        "private_key_jwt",
        metadata=ClientMetadata(
            grant_types=("authorization_code", "client_credentials"), jwks=served.keys["one"].jwks
        ),
    )
    client.key = served.keys["one"]
    now = client.now()
    claims = {
        "iss": client.client_id,
        "sub": client.client_id,
        "aud": served.issuer,
        "exp": now + 60,
        "jti": secrets.token_hex(8),
    }
    forged = served.keys["two"].sign(claims, **({"kid": None} | header))
    answer = client.post("token", {"grant_type": "client_credentials"}, client_assertion=forged)
    assert answer.status_code == 401
    good = client.key.sign(claims, jku="https://evil.example/jwks")
    critical = client.key.sign(claims, crit=["exp"])
    fields = {"grant_type": "client_credentials"}
    assert client.post("token", fields, client_assertion=critical).status_code == 401
    assert client.post("token", fields, client_assertion=good).status_code == 200


def test_a_public_key_is_no_secret_for_an_hmac(served):
    client = register(
        served, "private_key_jwt", metadata=ClientMetadata(jwks=served.keys["one"].jwks)
    )
    client.key = served.keys["one"]
    head, body, _ = client.assertion().split(".")
    import base64
    import hashlib
    import hmac

    from cryptography.hazmat.primitives import serialization

    pem = client.key.private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    header = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "kid": "one"}).encode())
    signing_input = header.rstrip(b"=") + b"." + body.encode()
    digest = base64.urlsafe_b64encode(hmac.digest(pem, signing_input, hashlib.sha256))
    forged = (signing_input + b"." + digest.rstrip(b"=")).decode()
    assert head not in forged
    answer = client.push(client.request(), client_assertion=forged)
    assert answer.status_code == 401


def test_an_id_token_is_no_access_token(rp, signed_in):
    assert rp.userinfo(rp.log_in(signed_in)["id_token"]).status_code == 401


def test_a_token_for_a_resource_server_is_of_no_use_here(served, signed_in):
    uri, _ = api(served, "only")
    portal = register(served, "client_secret_basic")
    token = portal.log_in(signed_in, resource=uri)["access_token"]
    assert portal.userinfo(token).status_code == 401


def test_two_clients_do_not_know_the_same_sub(rp, second_rp, signed_in):
    subjects = {client.log_in(signed_in)["claims"]["sub"] for client in (rp, second_rp)}
    assert len(subjects) == 2
    user = rp.served.house.provider.administration.users.find_by_name("zhang.wei")
    assert user.id not in subjects


def test_a_nonce_of_ours_is_asked_for_when_it_is_required(served):
    from authn.oidc.answers import error_answer
    from authn.oidc.binding import SenderBinding
    from authn.oidc.caller import Caller
    from authn.oidc.dpop import Proofs
    from authn.oidc.errors import OAuthError
    from authn.oidc.grant import Confirmation, Grant
    from authn.oidc.store import AccessToken

    proofs = Proofs(
        type("Replays", (), {"first_use": lambda *_, **__: True})(),
        lambda _purpose: b"k" * 32,
        nonce_required=True,
        clock=served.clock,
    )
    holder = register(served, "none")
    holder.proof_key = served.keys["one"]
    url = f"{served.issuer}/oidc/token"
    with pytest.raises(OAuthError) as refused:
        proofs.check(Caller(url=url, proofs=(holder.proof(url),)))
    nonce = refused.value.headers["DPoP-Nonce"]
    assert proofs.check(Caller(url=url, proofs=(holder.proof(url, nonce=nonce),))) is not None
    with pytest.raises(OAuthError):
        proofs.check(Caller(url=url, proofs=(holder.proof(url, nonce="guess"),)))
    # Where a token is shown it is a challenge (RFC 9449, 9): clients look for it there.
    grant = Grant(id="g", client_id=holder.client_id, user_id=None, sid=None)
    bound = AccessToken(b"", grant, served.clock.now(), Confirmation("jkt", "x"))
    with pytest.raises(OAuthError) as challenged:
        SenderBinding(proofs).check_token(
            bound, "t", Caller(url=url, proofs=(holder.proof(url, token="t"),)), "dpop"
        )
    assert error_answer(challenged.value).status_code == 401
    headers = challenged.value.headers
    assert headers["WWW-Authenticate"].startswith("DPoP ")
    assert 'error="use_dpop_nonce"' in headers["WWW-Authenticate"]
    assert headers["DPoP-Nonce"] == nonce


def test_the_method_of_a_client_is_pinned(served, rp):
    fields = {"grant_type": "refresh_token", "refresh_token": "x"}
    posted = rp.call(
        "POST",
        f"{served.issuer}/oidc/token",
        data=fields | {"client_id": rp.client_id, "client_secret": rp.secret},
    )
    assert (posted.status_code, posted.json()["error"]) == (401, "invalid_client")
    assert AuthMethod(rp.method) is AuthMethod.BASIC


def test_half_a_surrogate_pair_in_what_a_client_signs_is_refused(served, signed_in):
    r"""``"\ud800"`` is JSON and no text: nothing of ours can store it or send it on."""
    half = "\ud800"
    client = register(
        served,
        "private_key_jwt",
        metadata=ClientMetadata(grant_types=("client_credentials",), jwks=served.keys["one"].jwks),
        redirect_uris=[],
    )
    client.key = client.proof_key = served.keys["one"]
    fields = {"grant_type": "client_credentials"}
    asserted = client.post("token", fields, client_assertion=client.assertion(jti=half))
    assert (asserted.status_code, asserted.json()["error"]) == (401, "invalid_client")
    for claim in ("jti", "nonce"):
        proof = client.proof(client.endpoint("token"), **{claim: half})
        proven = client.post("token", fields, proof=proof)
        assert (proven.status_code, proven.json()["error"]) == (400, "invalid_dpop_proof")
    signing = register(served, "none", metadata=ClientMetadata(jwks=served.keys["one"].jwks))
    signing.key = served.keys["one"]
    for changes in ({"state": half}, {"login_hint": half, "prompt": "login"}):
        inside = signing.key.sign(signing.request() | {"aud": served.issuer} | changes)
        answer = answer_of(signed_in.open(signing.url(signing.request(request=inside))))
        assert answer["error"] == "invalid_request_object"


def test_userinfo_says_how_to_show_a_token(served, rp, signed_in):
    """RFC 6750, 3 and 3.1: nothing is wrong with nothing, and a token is shown in one way."""
    url = f"{served.issuer}/oidc/userinfo"
    nothing = rp.call("GET", url)
    assert nothing.status_code == 401
    assert nothing.headers["www-authenticate"].startswith('Bearer realm="yinxin", DPoP ')
    assert "error=" not in nothing.headers["www-authenticate"]
    token = rp.log_in(signed_in)["access_token"]
    bearer = {"Authorization": f"Bearer {token}"}
    twice = rp.call("POST", url, data={"access_token": token}, headers=bearer)
    assert (twice.status_code, twice.json()["error"]) == (400, "invalid_request")
    wrong = rp.call("GET", url, headers={"Authorization": f"Bearer {token}x"})
    assert 'error="invalid_token"' in wrong.headers["www-authenticate"]


def test_two_authorization_headers_are_refused(served, rp):
    """A proxy may look at the other one."""
    import http.client
    import ssl
    from urllib.parse import urlsplit

    context = ssl.create_default_context(cafile=served.trust)
    port = urlsplit(served.issuer).port
    connection = http.client.HTTPSConnection("localhost", port, context=context)
    connection.putrequest("POST", "/oidc/token")
    body = b"grant_type=refresh_token&refresh_token=x"
    pair = b64encode(f"{rp.client_id}:{rp.secret}".encode()).decode()
    for name, value in (
        ("Authorization", f"Basic {pair}"),
        ("Authorization", "Basic eDp5"),
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Content-Length", str(len(body))),
    ):
        connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    assert (answer.status, json.load(answer)["error"]) == (400, "invalid_request")
    connection.close()


def test_introspection_names_nobody_whom_userinfo_would_not_name(served, signed_in):
    """Two applications could join by it whom they know by two `sub`."""
    client = register(served, "client_secret_basic")
    for scope, named in (("openid", False), ("openid profile", True)):
        token = client.log_in(signed_in, scope=scope)["access_token"]
        told = client.post("introspect", {"token": token}).json()
        assert told["active"] is True
        assert ("username" in told) is named


def test_whoever_is_answered_401_is_told_how_to_authenticate(served, rp):
    """RFC 9110, 15.5.2, whatever the reason is."""
    public = register(served, "none")
    for answer in (
        public.post("introspect", {"token": "x"}),
        rp.post("introspect", {"token": "x"}, client_id="other"),
        public.call("POST", public.endpoint("token"), data={"grant_type": "refresh_token"}),
    ):
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        assert answer.headers["www-authenticate"] == 'Basic realm="yinxin"'


def test_a_logout_token_is_no_hint(served, rp, signed_in):
    keys = served.house.provider.issuers.ordinary.keys
    claims = {"iss": served.issuer, "aud": rp.client_id, "sub": "x"}
    for typ, good in (("JWT", True), ("logout+jwt", False), ("at+jwt", False)):
        hint = keys.sign(claims, IDTokenAlgorithm.RS256, typ=typ)
        answer = rp.answer(signed_in, id_token_hint=hint, prompt="none")
        assert answer["error"] == ("login_required" if good else "invalid_request")


def test_a_secret_that_is_being_replaced_goes_on_when_its_client_is_changed(served):
    client = register(
        served,
        "client_secret_basic",
        redirect_uris=[],
        metadata=ClientMetadata(grant_types=("client_credentials",)),
    )
    clients = served.house.provider.administration.clients
    clients.rotate_secret(client.client_id, keep=timedelta(days=1), actor="t")
    fields = {"grant_type": "client_credentials"}
    assert client.post("token", fields).status_code == 200
    known = clients.get(client.client_id)
    clients.change(
        known.id,
        "another name",
        actor="t",
        redirect_uris=(),
        auth_method=known.auth_method,
        post_logout_redirect_uris=(),
        allowed_scopes=sorted(known.scopes),
        id_token_algorithm=known.id_token_algorithm,
        metadata=known.metadata,
    )
    assert client.post("token", fields).status_code == 200
