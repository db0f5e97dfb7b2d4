"""Logout as the OpenID Foundation's suite asks for it; tests are named as its modules.

C is RP-initiated, D back-channel, E front-channel logout (docs/oidc.md). The application that is
told is a real https server.
"""

from __future__ import annotations

import json
import threading
import time
from html import unescape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
import pytest
from joserfc import jws
from joserfc.jwk import KeySet

from authn.oidc.clientmetadata import ClientMetadata
from core.clock import SystemClock
from core.errors import Refused
from core.outbound import trusting
from tests.integration.provider import CONFIG, ISSUER, answer_of, build, flow, log_in, redeem
from tests.servers import localhost_certificate, server_context

BYE = "https://oa.example.cn/bye"


class Application:
    """Takes what is posted to it."""

    def __init__(self, directory) -> None:
        self.received: list[tuple[str, str]] = []
        self.status = 200
        self.certificate = localhost_certificate(directory)
        application = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                application.received.append((self.headers["content-type"], body))
                self.send_response(application.status)
                self.send_header("Content-Length", "0")
                if application.status == 302:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *_words) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.socket = server_context(self.certificate).wrap_socket(
            self.server.socket, server_side=True
        )
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"https://localhost:{self.server.server_port}/backchannel"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def listening(tmp_path_factory):
    opened = Application(tmp_path_factory.mktemp("application"))
    yield opened
    opened.close()


@pytest.fixture
def application(listening):
    listening.received.clear()
    listening.status = 200
    return listening


@pytest.fixture
def house(sqlite_database, audit, application):
    trust = trusting(CONFIG.outbound, ssl_pem(application))
    made = build(sqlite_database, audit=audit, clock=SystemClock(), trust=trust)
    yield made
    made.provider.outbound.close()


def ssl_pem(application) -> str:
    text = application.certificate.read_text()
    return text[: text.index("-----BEGIN PRIVATE KEY-----")]


@pytest.fixture
def entered(house, application):
    """A person, logged in at an application with every channel; and its ID token."""
    house.user()
    client = house.public_client(
        metadata=ClientMetadata(backchannel_logout_uri=application.url),
    )
    browser = house.browser()
    log_in(browser)
    return browser, client, enter(browser, client)


def enter(browser, client) -> str:
    request = flow(client.id)
    code = answer_of(browser.get(request.path))["code"]
    return redeem(browser, request, code).json()["id_token"]


def end(browser, **parameters: str | None):
    given = {name: value for name, value in parameters.items() if value is not None}
    return browser.get("/oidc/logout?" + urlencode(given))


def silent(browser, client) -> dict[str, str]:
    return answer_of(browser.get(flow(client.id, prompt="none").path))


def deliver(house, application, count: int = 1) -> list[tuple[str, str]]:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        house.provider.sender.run_once()
        if len(application.received) >= count:
            time.sleep(0.01)
            house.provider.sender.run_once()
            return application.received
        time.sleep(0.005)
    raise AssertionError(f"only {application.received}")


def token_of(received: tuple[str, str]) -> str:
    kind, body = received
    assert kind == "application/x-www-form-urlencoded"
    fields = parse_qs(body)
    assert list(fields) == ["logout_token"]
    return fields["logout_token"][0]


# ---- C: RP-initiated logout ---------------------------------------------------------------------


def test_oidcc_rp_initiated_logout_discovery_endpoint_verification(house):
    document = house.browser().get("/.well-known/openid-configuration").json()
    assert document["end_session_endpoint"].startswith(ISSUER)


def test_oidcc_rp_initiated_logout(entered):
    browser, client, hint = entered
    gone = end(browser, id_token_hint=hint, post_logout_redirect_uri=BYE, state="x y&z")
    assert gone.status_code == 303
    assert gone.headers["location"] == f"{BYE}?state=x+y%26z"
    assert silent(browser, client)["error"] == "login_required"


@pytest.mark.parametrize("uri", ["https://oa.example.cn/other", BYE + "?foo=bar"])
def test_oidcc_rp_initiated_logout_bad_post_logout_redirect_uri(entered, uri):
    # ... and oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri
    browser, client, hint = entered
    page = end(browser, id_token_hint=hint, post_logout_redirect_uri=uri)
    assert page.status_code == 400
    assert "location" not in page.headers
    assert "code" in silent(browser, client)


def test_oidcc_rp_initiated_logout_modified_id_token_hint(entered):
    browser, client, hint = entered
    _, claims, _ = hint.split(".")
    unsigned = jwt.utils.base64url_encode(json.dumps({"alg": "none"}).encode()).decode()
    page = end(browser, id_token_hint=f"{unsigned}.{claims}.", post_logout_redirect_uri=BYE)
    assert page.status_code == 400
    assert "location" not in page.headers
    assert BYE not in page.text
    assert "code" in silent(browser, client)


def test_oidcc_rp_initiated_logout_bad_id_token_hint(entered):
    browser, client, _ = entered
    forged = jwt.encode({"iss": ISSUER, "aud": client.id, "sub": "x"}, "k" * 32, algorithm="HS256")
    page = end(browser, id_token_hint=forged, post_logout_redirect_uri=BYE)
    assert page.status_code == 400
    assert "location" not in page.headers
    assert BYE not in page.text
    assert "code" in silent(browser, client)


def test_oidcc_rp_initiated_logout_no_id_token_hint(entered):
    browser, client, _ = entered
    page = end(browser, post_logout_redirect_uri=BYE)
    assert page.status_code == 400
    assert "location" not in page.headers
    named = end(browser, post_logout_redirect_uri=BYE, client_id=client.id)
    assert named.status_code == 200  # the person is asked
    assert "location" not in named.headers
    assert "code" in silent(browser, client)


@pytest.mark.parametrize("state", [None, "only"])
def test_oidcc_rp_initiated_logout_no_params(entered, state):
    # ... and oidcc-rp-initiated-logout-only-state: nothing proves who asks, so the person is asked
    browser, client, _ = entered
    page = end(browser, state=state)
    assert page.status_code == 200
    csrf = page.text.split('name="csrf" value="')[1].split('"')[0]
    gone = browser.post("/oidc/logout/confirm", data={"csrf": csrf})
    assert gone.status_code == 200
    assert silent(browser, client)["error"] == "login_required"


def test_oidcc_rp_initiated_logout_no_post_logout_redirect_uri(entered):
    browser, client, hint = entered
    assert end(browser, id_token_hint=hint).status_code == 200
    assert silent(browser, client)["error"] == "login_required"


def test_oidcc_rp_initiated_logout_no_state(entered):
    browser, client, hint = entered
    gone = end(browser, id_token_hint=hint, post_logout_redirect_uri=BYE)
    assert gone.headers["location"] == BYE
    assert silent(browser, client)["error"] == "login_required"


# ---- D: back-channel logout ---------------------------------------------------------------------


def test_oidcc_backchannel_logout_discovery_endpoint_verification(house):
    document = house.browser().get("/.well-known/openid-configuration").json()
    assert document["backchannel_logout_supported"] is True
    assert document["backchannel_logout_session_supported"] is True


def test_oidcc_backchannel_rp_initiated_logout(house, application, entered):
    browser, client, hint = entered
    gone = end(browser, id_token_hint=hint, post_logout_redirect_uri=BYE, state="s")
    assert gone.headers["location"] == f"{BYE}?state=s"
    token = token_of(deliver(house, application)[0])

    keys = KeySet.import_key_set(browser.get("/oidc/jwks").json())
    verified = jws.deserialize_compact(token, keys, algorithms=["ES256", "RS256"])
    assert verified.headers()["typ"] == "logout+jwt"
    claims = json.loads(verified.payload)
    id_claims = jwt.decode(hint, options={"verify_signature": False})
    assert claims["iss"] == ISSUER
    assert claims["aud"] == client.id
    assert abs(claims["iat"] - time.time()) < 60
    assert 0 < claims["exp"] - claims["iat"] <= 120
    assert claims["jti"]
    assert claims["events"] == {"http://schemas.openid.net/event/backchannel-logout": {}}
    assert "nonce" not in claims
    assert (claims["sub"], claims["sid"]) == (id_claims["sub"], id_claims["sid"])
    assert silent(browser, client)["error"] == "login_required"


@pytest.mark.parametrize(
    "how", ["administrator", "disabled", "password", "portal", "replaced", "certificate", "role"]
)
def test_however_a_session_ends_the_application_is_told_and_its_tokens_end(
    house, application, entered, how
):
    from authn.levels import SessionCertificate

    browser, client, hint = entered
    sid = jwt.decode(hint, options={"verify_signature": False})["sid"]
    administration = house.provider.administration
    user = administration.users.find_by_name("zhang.wei")
    request = flow(client.id)
    access = redeem(browser, request, answer_of(browser.get(request.path))["code"]).json()
    bearer = {"Authorization": f"Bearer {access['access_token']}"}
    assert browser.get("/oidc/userinfo", headers=bearer).status_code == 200
    if how == "administrator":
        assert administration.users.end_sessions(user, actor="t") == 1
    elif how == "disabled":
        administration.users.set_disabled(user, disabled=True, actor="t")
    elif how == "password":
        link = administration.users.create_setup_link(user, actor="t")
        administration.users.complete_setup(link, "another horse battery")
    elif how == "portal":
        page = browser.get("/")
        csrf = page.text.split('name="csrf" value="')[1].split('"')[0]
        browser.post("/logout", data={"csrf": csrf})
    elif how == "replaced":
        house.user("li.na")
        log_in(browser, name="li.na")
    elif how == "role":
        house.provider.administration.users.end_sessions(user, actor="t", reason="role")
    else:
        store = administration.sessions._store
        store.add_certificate(sid, SessionCertificate("sm2-issuing", "a1"))
        assert administration.sessions.end_of_certificates("sm2-issuing", ["a1"]) == 1
    told = token_of(deliver(house, application)[0])
    assert jwt.decode(told, options={"verify_signature": False})["sid"] == sid
    assert browser.get("/oidc/userinfo", headers=bearer).status_code == 401
    assert ("session.ended", how) in [
        (action, detail.get("reason")) for action, _, detail in house.audit.events
    ] or how in {"portal", "role"}


def test_a_session_that_times_out_is_told_too(sqlite_database, audit, clock, application):
    trust = trusting(CONFIG.outbound, ssl_pem(application))
    house = build(sqlite_database, audit=audit, clock=clock, trust=trust)
    house.user()
    client = house.public_client(metadata=ClientMetadata(backchannel_logout_uri=application.url))
    browser = house.browser()
    log_in(browser)
    enter(browser, client)
    assert house.provider.administration.sessions.end_timed_out() == 0
    clock.advance(minutes=30)
    assert house.provider.administration.sessions.end_timed_out() == 1
    deliver(house, application)
    house.provider.outbound.close()
    assert audit.events[-1][2]["reason"] == "timeout"


def test_a_redirect_is_not_followed_and_the_message_stays(house, application, entered):
    browser, _, hint = entered
    application.status = 302
    end(browser, id_token_hint=hint)
    deliver(house, application)
    assert len(application.received) == 1
    application.status = 200
    time.sleep(1.05)
    deliver(house, application, 2)


def test_an_address_outside_the_allowed_networks_is_not_called(application):
    from core.outbound import Outbound, OutboundConfig

    config = OutboundConfig(allowed_networks=["10.0.0.0/8", "::ffff:127.0.0.0/104"])
    caller = Outbound(config, trusting(config, ssl_pem(application)))
    with pytest.raises(Refused, match="allowed_networks"):
        caller.post_form(application.url, {"a": "b"})
    assert application.received == []


@pytest.mark.parametrize(
    "uri",
    ["http://oa.example.cn/bc", "https://a@oa.example.cn/bc", "https://oa.example.cn/bc#x", "x"],
)
def test_a_back_channel_is_https_and_plain(house, uri):
    with pytest.raises(Refused):
        house.client(metadata=ClientMetadata(backchannel_logout_uri=uri))


# ---- E: front-channel logout --------------------------------------------------------------------


def test_oidcc_frontchannel_logout_discovery_endpoint_verification(house):
    document = house.browser().get("/.well-known/openid-configuration").json()
    assert document["frontchannel_logout_supported"] is True
    assert document["frontchannel_logout_session_supported"] is True


def test_oidcc_frontchannel_rp_initiated_logout(house):
    house.user()
    frame = "https://oa.example.cn/frontchannel?tenant=1"
    client = house.public_client(metadata=ClientMetadata(frontchannel_logout_uri=frame))
    browser = house.browser()
    log_in(browser)
    hint = enter(browser, client)
    page = end(browser, id_token_hint=hint, post_logout_redirect_uri=BYE, state="s")
    assert page.status_code == 200
    shown = unescape(page.text.split('<iframe class="unseen" src="')[1].split('"')[0])
    query = parse_qs(urlsplit(shown).query)
    sid = jwt.decode(hint, options={"verify_signature": False})["sid"]
    assert shown.startswith(frame)
    assert (query["iss"], query["sid"], query["tenant"]) == ([ISSUER], [sid], ["1"])
    assert "frame-src https://oa.example.cn" in page.headers["content-security-policy"]
    assert f'content="3; url={BYE}?state=s"' in page.text
    # A refresh waits until every frame has answered, which a dead application never does.
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert browser.get(page.text.split('<script src="')[1].split('"')[0]).status_code == 200
    assert silent(browser, client)["error"] == "login_required"


def test_a_front_channel_is_on_the_host_of_the_application(house):
    with pytest.raises(Refused, match="redirect URIs"):
        house.client(
            metadata=ClientMetadata(frontchannel_logout_uri="https://elsewhere.example.cn/fc")
        )
