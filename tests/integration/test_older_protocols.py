"""CAS and forward authentication: the same sessions, and told of the same logout."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree as ET

import pytest

from authn.access import AccessPolicy
from authn.levels import Level
from authn.oidc.clientmetadata import ClientMetadata
from core.errors import Conflict, Refused
from tests.integration.provider import ISSUER, build, csrf_of, log_in

SERVICE = "https://oa.example.cn/cas/entry?app=1"
ORIGIN = "https://old.example.cn"
CAS = "{http://www.yale.edu/tp/cas}"


@pytest.fixture
def house(sqlite_database, audit, clock):
    made = build(sqlite_database, audit=audit, clock=clock)
    made.user()
    return made


@pytest.fixture
def cas_client(house):
    return house.client(redirect_uris=[], metadata=ClientMetadata(cas_services=[SERVICE]))[0]


def follow_login(browser, answer):
    """Log in where we are sent, and give the answer of the way back."""
    page = browser.get(answer.headers["location"])
    next_path = page.text.split('name="next" value="')[1].split('"')[0].replace("&amp;", "&")
    fields = {"csrf": csrf_of(page.text), "next": next_path}
    fields |= {"name": "zhang.wei", "password": "correct horse battery"}
    back = browser.post("/login", data=fields)
    assert back.status_code == 303, back.text
    return browser.get(back.headers["location"])


def ticket_of(answer) -> str:
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"].startswith(SERVICE + "&ticket=ST-")
    ticket = parse_qs(urlsplit(answer.headers["location"]).query)["ticket"][0]
    assert re.fullmatch(r"ST-[A-Za-z0-9-]{32,}", ticket), "CAS 3.0, 3.7; mod_auth_cas insists"
    return ticket


def validated(browser, ticket, *, path="/cas/p3/serviceValidate", service=SERVICE, **more):
    answer = browser.get(path, params={"service": service, "ticket": ticket, **more})
    assert answer.status_code == 200
    return ET.fromstring(answer.text)  # noqa: S314 - our own


def test_a_person_enters_by_cas_and_the_application_learns_who_it_is(house, cas_client):
    browser = house.browser()
    asked = browser.get("/cas/login", params={"service": SERVICE})
    ticket = ticket_of(follow_login(browser, asked))
    answer = validated(browser, ticket)
    assert answer.findtext(f".//{CAS}user") == "zhang.wei"
    assert answer.findtext(f".//{CAS}attributes/{CAS}displayName") == "张伟"
    again = validated(browser, ticket)
    assert again.find(f"{CAS}authenticationFailure").get("code") == "INVALID_TICKET"
    second = ticket_of(browser.get("/cas/login", params={"service": SERVICE}))
    plain = validated(browser, second, path="/cas/serviceValidate")
    assert plain.find(f".//{CAS}attributes") is None


@pytest.mark.parametrize(
    ("service", "status"), [(SERVICE + "&x=1", 404), ("https://evil.example.cn/", 404)]
)
def test_a_service_is_compared_character_for_character(house, cas_client, service, status):
    browser = house.browser()
    log_in(browser)
    answer = browser.get("/cas/login", params={"service": service})
    assert answer.status_code == status
    assert "未在此登记" in answer.text
    assert "location" not in answer.headers


BELOW = "https://portal.example.cn/private/"
TRICKS = (
    "https://portal.example.cn/private",
    "https://portal.example.cn/privatex/",
    "https://portal.example.cn/private/../admin",
    "https://portal.example.cn/private/..",
    "https://portal.example.cn/private/%2e%2e/admin",
    "https://portal.example.cn/private/a%2f..%2fadmin",
    "https://portal.example.cn/private/a%5C..",
    "https://portal.example.cn/private//evil.example",
    "https://portal.example.cn/private/;jsessionid=1",
    "https://portal.example.cn:444/private/",
    "http://portal.example.cn/private/",
    "https://portal.example.cn@evil.example/private/",
    "https://evil.example/https://portal.example.cn/private/",
    "https://portal.example.cn/private/\\..",
    "https://portal.example.cn/private/#x",
    f"below {BELOW}",
)


def test_a_portal_is_entered_at_any_address_below_its_prefix(house):
    deeper = f"{BELOW}hr/"
    metadata = ClientMetadata(cas_prefixes=[BELOW])
    portal, _ = house.client(redirect_uris=[], metadata=metadata)
    hr, _ = house.client(redirect_uris=[], metadata=ClientMetadata(cas_prefixes=[deeper]))
    browser, entry = house.browser(), house.provider.entry
    log_in(browser)
    for service in (BELOW, f"{BELOW}news/1?id=2&name=%E5%BC%A0", f"{BELOW}a.b/~c"):
        answer = browser.get("/cas/login", params={"service": service})
        ticket = parse_qs(urlsplit(answer.headers["location"]).query)["ticket"][0]
        refused = validated(browser, ticket, service=f"{BELOW}other")
        assert refused.find(f"{CAS}authenticationFailure") is not None, "it is for one address"
        answer = browser.get("/cas/login", params={"service": service})
        ticket = parse_qs(urlsplit(answer.headers["location"]).query)["ticket"][0]
        good = validated(browser, ticket, service=service)
        assert good.findtext(f".//{CAS}user") == "zhang.wei"
        assert entry.client_of_service(service).id == portal.id
    assert entry.client_of_service(f"{deeper}x").id == hr.id, "the longest decides"
    for service in TRICKS:
        refused = browser.get("/cas/login", params={"service": service})
        assert refused.status_code == 404, service
    for prefix in (
        "https://x.cn/a",
        "https://x.cn",
        "https://x.cn/a/?b/",
        "https://x.cn/a//",
        "/a/",
    ):
        with pytest.raises(Refused):
            house.client(redirect_uris=[], metadata=ClientMetadata(cas_prefixes=[prefix]))
    with pytest.raises(Conflict):
        house.client(redirect_uris=[], metadata=metadata)


def test_a_ticket_is_good_at_its_own_service_soon_and_when_renewed(house, cas_client, clock):
    other = "https://hr.example.cn/"
    house.client(redirect_uris=[], metadata=ClientMetadata(cas_services=[other]))
    browser = house.browser()
    log_in(browser)

    def ticket(**more):
        return ticket_of(browser.get("/cas/login", params={"service": SERVICE, **more}))

    for changes in ({"service": other}, {"renew": "true"}):
        refused = validated(browser, ticket(), **changes)
        assert refused.find(f"{CAS}authenticationFailure") is not None
    late = ticket()
    clock.advance(seconds=31)
    assert validated(browser, late).find(f"{CAS}authenticationFailure") is not None
    clock.advance(seconds=5)
    asked = browser.get("/cas/login", params={"service": SERVICE, "renew": "true"})
    assert asked.headers["location"].startswith("/login?")
    clock.advance(seconds=5)
    fresh = ticket_of(follow_login(browser, asked))
    assert validated(browser, fresh, renew="true").findtext(f".//{CAS}user") == "zhang.wei"


@pytest.mark.parametrize("seconds", [0, 60])
def test_nobody_says_for_themselves_that_they_came_from_the_login(
    house, cas_client, clock, seconds
):
    browser = house.browser()
    log_in(browser)
    now = int(clock.now().timestamp())
    clock.advance(seconds=seconds)
    asked = {"service": SERVICE, "renew": "true"}
    answer = browser.get("/cas/login", params=asked | {"after": str(now)})
    assert answer.headers["location"].startswith("/login?")
    sent = browser.get("/cas/login", params=asked).headers["location"]
    (next_path,) = parse_qs(urlsplit(sent).query)["next"]
    (mark,) = parse_qs(urlsplit(next_path).query)["sent"]
    other = house.client(redirect_uris=[], metadata=ClientMetadata(cas_services=["https://x.cn/"]))
    for more in (
        {"sent": str(now)},
        {"sent": mark},
        {"sent": f"{mark[:-1]}{'A' if mark[-1] != 'A' else 'B'}"},
        {"sent": ""},
    ):
        answer = browser.get("/cas/login", params=asked | more)
        assert answer.headers["location"].startswith("/login?"), more
    # A mark of one application is none at another, also after a login.
    log_in(browser)
    answer = browser.get("/cas/login", params=asked | {"service": "https://x.cn/", "sent": mark})
    assert answer.headers["location"].startswith("/login?"), other
    assert ticket_of(browser.get("/cas/login", params=asked | {"sent": mark}))


def test_validation_at_the_address_for_proxies_and_no_proxy_tickets(house, cas_client):
    """CAS 3.0, 2.6 and 2.7: Java's client validates there, whoever came."""
    browser = house.browser()
    log_in(browser)
    for path in ("/cas/proxyValidate", "/cas/p3/proxyValidate"):
        ticket = ticket_of(browser.get("/cas/login", params={"service": SERVICE}))
        answer = validated(browser, ticket, path=path, pgtUrl="https://oa.example.cn/proxy")
        assert answer.findtext(f".//{CAS}user") == "zhang.wei"
        assert answer.find(f".//{CAS}proxyGrantingTicket") is None
    refused = browser.get("/cas/proxy", params={"pgt": "PGT-1", "targetService": SERVICE})
    failure = ET.fromstring(refused.text).find(f"{CAS}proxyFailure")  # noqa: S314 - our own
    assert failure.get("code") == "UNAUTHORIZED_SERVICE"


def test_a_ticket_comes_by_post_where_the_portal_asks_so(house, cas_client):
    browser = house.browser()
    asked = browser.get("/cas/login", params={"service": SERVICE, "method": "POST"})
    page = follow_login(browser, asked)
    assert page.status_code == 200
    ticket = re.search(r'name="ticket" value="(ST-[^"]+)"', page.text)[1]
    assert f'action="{SERVICE}"' in page.text
    assert validated(browser, ticket).findtext(f".//{CAS}user") == "zhang.wei"


def test_gateway_does_not_ask(house, cas_client):
    asked = house.browser().get("/cas/login", params={"service": SERVICE, "gateway": "true"})
    assert asked.headers["location"] == SERVICE


def test_json_answers_too(house, cas_client):
    browser = house.browser()
    log_in(browser)
    ticket = ticket_of(browser.get("/cas/login", params={"service": SERVICE}))
    asked = {"service": SERVICE, "ticket": ticket, "format": "JSON"}
    answer = browser.get("/cas/p3/serviceValidate", params=asked).json()
    assert answer["serviceResponse"]["authenticationSuccess"]["user"] == "zhang.wei"
    failed = browser.get("/cas/serviceValidate", params={"format": "JSON"}).json()
    assert failed["serviceResponse"]["authenticationFailure"]["code"] == "INVALID_REQUEST"


def test_a_logout_is_queued_with_the_ticket(house, cas_client):
    browser = house.browser()
    log_in(browser)
    ticket = ticket_of(browser.get("/cas/login", params={"service": SERVICE}))
    validated(browser, ticket)
    gone = browser.get("/cas/logout", params={"service": SERVICE})
    assert gone.headers["location"] == SERVICE
    sender = house.provider.sender
    (delivery,) = sender._queue.list_due(house.clock.now(), limit=1, busy=[])
    written = sender._messages.form_of(delivery)["logoutRequest"]
    message = ET.fromstring(written)  # noqa: S314 - our own
    assert message.findtext("{urn:oasis:names:tc:SAML:2.0:protocol}SessionIndex") == ticket
    assert delivery.uri == SERVICE
    assert (
        browser.get("/cas/login", params={"service": SERVICE})
        .headers["location"]
        .startswith("/login")
    )
    elsewhere = browser.get("/cas/logout", params={"service": "https://evil.example.cn"})
    assert "location" not in elsewhere.headers


def test_the_policy_of_an_application_holds_for_cas_too(house, cas_client):
    policy = AccessPolicy(least_level=Level.HARDWARE_KEY)
    house.provider.admission.access.change(cas_client.id, policy, actor="t")
    browser = house.browser()
    log_in(browser)
    answer = browser.get("/cas/login", params={"service": SERVICE})
    assert answer.headers["location"].startswith("/login/refused?")


# ---- an application behind a proxy --------------------------------------------------------------


@pytest.fixture
def gate_client(house):
    return house.client(redirect_uris=[], metadata=ClientMetadata(gate_origins=[ORIGIN]))[0]


PROXY = {"X-Forwarded-Host": "old.example.cn"}


def enter(house, browser, application, path="/page?a=1"):
    started = application.get("/gate/start", params={"to": path}, headers=PROXY)
    location = started.headers["location"]
    assert location.startswith(f"{ISSUER}/gate/authorize?")
    log_in(browser)
    back = browser.get(location.removeprefix(ISSUER)).headers["location"]
    assert back.startswith(f"{ORIGIN}/.yinxin/callback?")
    return urlsplit(back).query


def test_an_address_of_cas_is_no_origin_of_a_proxy_nor_the_other_way_round(house, gate_client):
    house.client(
        redirect_uris=[], metadata=ClientMetadata(cas_services=[SERVICE], cas_prefixes=[BELOW])
    )
    browser = house.browser()
    log_in(browser)
    for origin in (SERVICE, f"below {BELOW}"):
        for path in ("authorize", "again"):
            asked = {"origin": origin, "to": "/", "state": "s"}
            assert browser.get(f"/gate/{path}", params=asked).status_code == 404, path
    assert browser.get("/cas/login", params={"service": ORIGIN}).status_code == 404


def test_a_proxy_asks_who_it_is_and_hears_no_at_once_after_logout(house, gate_client):
    browser, application = house.browser(), house.browser()
    assert application.get("/gate/check", headers=PROXY).status_code == 401
    query = enter(house, browser, application)
    entered = application.get(f"/gate/callback?{query}", headers=PROXY)
    assert entered.headers["location"] == "/page?a=1"
    allowed = application.get("/gate/check", headers=PROXY)
    assert allowed.status_code == 200
    assert allowed.headers["remote-user"] == "zhang.wei"
    assert allowed.headers["remote-name"] == "%E5%BC%A0%E4%BC%9F"
    other = {"X-Forwarded-Host": "other.example.cn"}
    assert application.get("/gate/check", headers=other).status_code == 401
    user = house.provider.administration.users.find_by_name("zhang.wei")
    house.provider.administration.users.end_sessions(user, actor="t")
    assert application.get("/gate/check", headers=PROXY).status_code == 401


def test_the_way_back_belongs_to_the_browser_that_set_out(house, gate_client):
    browser, application, victim = house.browser(), house.browser(), house.browser()
    query = enter(house, browser, application)
    lost = victim.get(f"/gate/callback?{query}", headers=PROXY)
    assert lost.headers["location"].startswith(f"{ISSUER}/gate/again?")
    assert "set-cookie" not in lost.headers
    said = victim.get(lost.headers["location"])
    assert said.status_code == 403
    assert f'href="{ORIGIN}/page?a=1"' in said.text, "it leads to the application, not round"
    # The ticket was not spent by the other browser, and is by the first use.
    entered = application.get(f"/gate/callback?{query}", headers=PROXY)
    assert entered.headers["location"] == "/page?a=1"
    spent = application.get(f"/gate/callback?{query}", headers=PROXY)
    assert spent.headers["location"].startswith(f"{ISSUER}/gate/again?")


def test_a_proxy_says_where_the_browser_was_as_it_came(house, gate_client):
    """A proxy puts $request_uri behind ``to=`` unescaped: what is in it is the application's."""
    browser, application = house.browser(), house.browser()
    wanted = "/list?year=2026&name=%E5%BC%A0&to=%2Fx"
    started = application.get(f"/gate/start?to={wanted}", headers=PROXY)
    log_in(browser)
    location = started.headers["location"].removeprefix(ISSUER)
    back = urlsplit(browser.get(location).headers["location"]).query
    entered = application.get(f"/gate/callback?{back}", headers=PROXY)
    assert entered.headers["location"] == wanted


def test_who_leaves_an_application_behind_a_proxy_is_asked_and_comes_back(house):
    metadata = ClientMetadata(gate_origins=[ORIGIN])
    bye = f"{ORIGIN}/bye"
    client, _ = house.client(redirect_uris=[], post_logout_redirect_uris=[bye], metadata=metadata)
    browser, application = house.browser(), house.browser()
    application.get(f"/gate/callback?{enter(house, browser, application)}", headers=PROXY)
    location = application.get("/gate/logout", headers=PROXY).headers["location"]
    asked = browser.get(location.removeprefix(ISSUER))
    assert asked.status_code == 200
    fields = {"csrf": csrf_of(asked.text), "client_id": client.id, "post_logout_redirect_uri": bye}
    assert browser.post("/oidc/logout/confirm", data=fields).headers["location"] == bye
    assert application.get("/gate/check", headers=PROXY).status_code == 401
    stranger = {"X-Forwarded-Host": "other.example.cn"}
    plain = application.get("/gate/logout", headers=stranger).headers["location"]
    assert plain == f"{ISSUER}/oidc/logout"


def test_use_behind_the_proxy_keeps_the_session_alive(house, gate_client, clock):
    browser, application = house.browser(), house.browser()
    application.get(f"/gate/callback?{enter(house, browser, application)}", headers=PROXY)
    for _ in range(4):
        clock.advance(minutes=20)
        assert application.get("/gate/check", headers=PROXY).status_code == 200
    clock.advance(minutes=31)
    assert application.get("/gate/check", headers=PROXY).status_code == 401


@pytest.mark.parametrize("path", ["//evil.example.cn", "/\\evil.example.cn", "https://evil.cn", ""])
def test_the_way_back_is_on_the_application(house, gate_client, path):
    query = enter(house, house.browser(), house.browser(), path=path)
    assert parse_qs(query)["to"] == ["/"]


def test_addresses_are_checked_and_belong_to_one_client(house, gate_client):
    for origin in ("https://old.example.cn/", "http://127.0.0.1", "https://old.example.cn/x"):
        with pytest.raises(Refused):
            house.client(redirect_uris=[], metadata=ClientMetadata(gate_origins=[origin]))
    with pytest.raises(Conflict):
        house.client(redirect_uris=[], metadata=ClientMetadata(gate_origins=[ORIGIN]))
