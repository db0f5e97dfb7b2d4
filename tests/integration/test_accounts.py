"""Natural and legal persons, who may enter an application, consent, and a person's own page."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest

from authn import cookies
from authn.access import AccessPolicy, AccessRule
from authn.accounts import AccountKind, Capacity
from authn.levels import Level
from authn.oidc.clientmetadata import ClientMetadata
from authn.people import RealName
from core.errors import Conflict, Malformed, NotFound
from tests.integration.provider import House, answer_of, build, csrf_of, flow, log_in, redeem

NUMBER = "11010519491231002X"
SCOPE = "openid profile account"


@pytest.fixture
def house(sqlite_database, audit, clock) -> House:
    return build(sqlite_database, audit=audit, clock=clock)


@pytest.fixture
def user(house):
    return house.user()


@pytest.fixture
def browser(house, user):
    made = house.browser()
    log_in(made)
    return made


@pytest.fixture
def client(house):
    return house.public_client(allowed_scopes=("openid", "profile", "email", "account", "identity"))


def affiliate(house, user, organisation, capacity, **how):
    return house.provider.admission.accounts.add(user, organisation, capacity, actor="t", **how)


def allow(house, client, **policy):
    house.provider.admission.access.change(client.id, AccessPolicy(**policy), actor="t")


def post(browser, page, path, **fields):
    """Send a form of `page`, wherever it goes."""
    csrf = csrf_of(browser.get(page).text)
    return browser.post(path, data={"csrf": csrf, **fields})


def switch(browser, account: str, next_path: str = "/account"):
    return post(browser, "/account", "/account/switch", account=account, next=next_path)


def claims_of(browser, request, response):
    tokens = redeem(browser, request, answer_of(response)["code"]).json()
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    return browser.get("/oidc/userinfo", headers=headers)


def enter(browser, client, scope=SCOPE, **parameters):
    request = flow(client.id, scope=scope, **parameters)
    return request, browser.get(request.path)


# ---- accounts -----------------------------------------------------------------------------------


def test_a_person_acts_for_an_organisation_and_claims_say_for_which(house, user, browser, client):
    affiliate(house, user, "city", Capacity.STAFF)
    agent = affiliate(house, user, "county", Capacity.AGENT)
    claims = claims_of(browser, *enter(browser, client)).json()
    assert (claims["account_type"], claims["real_name_level"]) == ("natural", 0)
    assert sorted(one["capacity"] for one in claims["affiliations"]) == ["agent", "staff"]
    assert switch(browser, agent.id).status_code == 303
    assert claims_of(browser, *enter(browser, client)).json()["organization"] == {
        "id": "county", "name": "county人民政府", "capacity": "agent",
    }  # fmt: skip
    assert switch(browser, "").status_code == 303
    assert claims_of(browser, *enter(browser, client)).json()["account_type"] == "natural"


def test_a_switch_ends_what_was_given_in_the_other_name(house, user, browser, client):
    agent = affiliate(house, user, "county", Capacity.LEGAL_REPRESENTATIVE)
    request, response = enter(browser, client)
    tokens = redeem(browser, request, answer_of(response)["code"]).json()
    old = browser.cookies[cookies.SESSION]
    switch(browser, agent.id)
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert browser.get("/oidc/userinfo", headers=headers).status_code == 401
    assert house.provider.administration.sessions.find(old) is None
    assert "session.switched" in house.audit.actions


def test_nobody_acts_for_what_is_not_theirs(house, user, browser):
    other = house.user("li.na")
    theirs = affiliate(house, other, "county", Capacity.AGENT)
    staff = affiliate(house, user, "city", Capacity.STAFF)
    over = affiliate(
        house, user, "elsewhere", Capacity.AGENT, ends_at=house.clock.now().replace(year=2099)
    )
    house.provider.admission.accounts.remove(over.id, actor="t")
    for account in (theirs.id, staff.id, over.id, "nonsense"):
        assert switch(browser, account).status_code == 404
    assert switch(browser, "", next_path="//evil.example").headers["location"] == "/"


def test_when_an_affiliation_ends_its_sessions_end(house, user, browser):
    agent = affiliate(house, user, "county", Capacity.AGENT)
    switch(browser, agent.id)
    assert browser.get("/").status_code == 200
    house.provider.admission.accounts.remove(agent.id, actor="t")
    assert browser.get("/").status_code == 303


def test_affiliations_are_checked(house, user):
    affiliate(house, user, "city", Capacity.STAFF)
    with pytest.raises(Conflict):
        affiliate(house, user, "city", Capacity.STAFF)
    with pytest.raises(NotFound):
        affiliate(house, user, "nowhere", Capacity.STAFF)
    with pytest.raises(Malformed):
        affiliate(house, user, "county", Capacity.AGENT, ends_at=house.clock.now())


# ---- prompt=select_account ----------------------------------------------------------------------


def ask_for_account(browser, client, **parameters):
    request, response = enter(browser, client, prompt="select_account", **parameters)
    location = urlsplit(response.headers["location"])
    return request, location.path, parse_qs(location.query).get("next", [""])[0]


def select(browser, next_path: str, account: str = ""):
    page = f"/login/select?next={next_path}"
    return post(browser, page, "/login/select", account=account, next=next_path)


def test_a_person_chooses_as_whom_they_enter(house, user, browser, client):
    agent = affiliate(house, user, "county", Capacity.AGENT)
    request, page, next_path = ask_for_account(browser, client)
    assert page == "/login/select"
    shown = browser.get(f"{page}?next={next_path}").text
    assert "county人民政府" in shown
    assert "/login?next=" in shown
    went_on = select(browser, next_path, agent.id)
    claims = claims_of(browser, request, browser.get(went_on.headers["location"])).json()
    assert claims["organization"]["id"] == "county"
    # The same account again: the session stays, and nobody is asked twice for one request.
    sid = browser.cookies[cookies.SESSION]
    request, _, next_path = ask_for_account(browser, client)
    went_on = select(browser, next_path, agent.id)
    assert "code" in answer_of(browser.get(went_on.headers["location"]))
    assert browser.cookies[cookies.SESSION] == sid
    request, page, _ = ask_for_account(browser, client)
    assert page == "/login/select"


def test_somebody_else_may_log_in_instead_and_is_asked_only_with_a_choice(house, user, client):
    affiliate(house, house.user("li.na"), "county", Capacity.AGENT)
    browser = house.browser()
    log_in(browser)
    for name, asked in (("li.na", True), ("zhang.wei", False)):
        _, _, next_path = ask_for_account(browser, client)
        again = log_in(browser, name=name, next_path=next_path).headers["location"]
        page = browser.get(again).headers["location"]
        assert page.startswith("/login/select?fresh=1")
        then = browser.get(page)
        assert (then.status_code == 200) is asked
        if not asked:
            assert "code" in answer_of(browser.get(then.headers["location"]))


def test_an_account_is_chosen_for_a_request_of_this_browser_only(house, user, browser, client):
    theirs = affiliate(house, house.user("li.na"), "county", Capacity.AGENT)
    _, _, next_path = ask_for_account(browser, client)
    assert select(browser, next_path, theirs.id).status_code == 404
    assert browser.post("/login/select", data={"next": next_path}).status_code == 403
    other = house.browser()
    log_in(other)
    assert select(other, next_path).status_code == 400
    assert select(other, "/account").status_code == 400


# ---- who may enter ------------------------------------------------------------------------------


REFUSALS = (
    ({"rules": (AccessRule("elsewhere"),)}, "organisation"),
    ({"rules": (AccessRule("province", Capacity.AGENT),)}, "organisation"),
    ({"account": AccountKind.LEGAL}, "legal"),
    ({"least_real_name": RealName.VERIFIED}, "real-name"),
    ({"least_level": Level.CERTIFICATE}, "level"),
)


def test_who_does_not_fit_is_refused_with_the_reason(house, user, browser):
    scopes, contacts = ("openid", "profile", "email", "account"), ("oa-admin@example.cn",)
    metadata = ClientMetadata(contacts=contacts)
    client = house.public_client(allowed_scopes=scopes, metadata=metadata)
    affiliate(house, user, "county", Capacity.STAFF)
    for policy, reason in REFUSALS:
        allow(house, client, **policy)
        _, response = enter(browser, client)
        location = urlsplit(response.headers["location"])
        assert location.path == "/login/refused"
        assert parse_qs(location.query)["reason"] == [reason]
        page = browser.get(response.headers["location"])
        assert page.status_code == 403
        assert "OA" in page.text
        assert "oa-admin@example.cn" in page.text, "whom to ask"
        assert ("/account/security" in page.text) is False
        assert ("该应用要求" in page.text and "<strong>证书" in page.text) is (reason == "level")
        back = re.search(r'href="(/oidc/continue/[^"]+/refuse)"', page.text)[1]
        answer = answer_of(browser.get(back))
        assert (answer["error"], answer["state"]) == ("access_denied", "s-1")
        _, silent = enter(browser, client, prompt="none")
        assert answer_of(silent)["error"] == "access_denied"


def test_who_fits_enters(house, user, browser, client):
    affiliate(house, user, "county", Capacity.STAFF)
    house.provider.admission.people.verify(user, RealName.IN_PERSON, identity_card=None, actor="t")
    allow(
        house,
        client,
        rules=(AccessRule("elsewhere"), AccessRule("city", Capacity.STAFF)),
        account=AccountKind.NATURAL,
        least_real_name=RealName.VERIFIED,
    )
    assert claims_of(browser, *enter(browser, client)).json()["real_name_level"] == 3


def test_the_account_in_use_decides(house, user, browser, client):
    affiliate(house, user, "city", Capacity.STAFF)
    agent = affiliate(house, user, "elsewhere", Capacity.AGENT)
    allow(house, client, account=AccountKind.LEGAL, rules=(AccessRule("elsewhere"),))
    _, refused = enter(browser, client)
    page = browser.get(refused.headers["location"])
    assert f'value="{agent.id}"' in page.text  # the page that refuses offers the switch
    switch(browser, agent.id)
    assert "code" in answer_of(enter(browser, client)[1])


def test_a_policy_names_organisations_that_there_are(house, client):
    with pytest.raises(Malformed):
        allow(house, client, rules=(AccessRule("nowhere"),))


# ---- consent ------------------------------------------------------------------------------------


def consent(browser, response, answer="agree"):
    where = response.headers["location"]
    assert urlsplit(where).path == "/login/consent", where
    query = {name: values[0] for name, values in parse_qs(urlsplit(where).query).items()}
    page = browser.get(where)
    assert page.status_code == 200
    fields = {"csrf": csrf_of(page.text), "answer": answer} | query
    sent = browser.post("/login/consent", data=fields)
    return browser.get(sent.headers["location"])


def test_consent_is_asked_once_kept_and_taken_back(house, user, browser, client):
    allow(house, client, consent=True)
    _, silent = enter(browser, client, prompt="none")
    assert answer_of(silent)["error"] == "consent_required"
    request, response = enter(browser, client)
    claims_url = "/oidc/userinfo"
    tokens = redeem(browser, request, answer_of(consent(browser, response))["code"]).json()
    assert "code" in answer_of(enter(browser, client)[1])
    assert "profile" in house.provider.admission.consents.list_of(user)[0].scope
    done = post(browser, "/account", "/account/consents/withdraw", client=client.id)
    assert done.status_code == 303
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert browser.get(claims_url, headers=headers).status_code == 401
    assert urlsplit(enter(browser, client)[1].headers["location"]).path == "/login/consent"


def test_who_does_not_agree_sends_the_application_away(house, browser, client):
    allow(house, client, consent=True)
    back = consent(browser, enter(browser, client)[1], answer="disagree")
    assert answer_of(back)["error"] == "access_denied"


def test_prompt_consent_asks_again_and_once(house, browser, client):
    for _ in range(2):
        _, response = enter(browser, client, prompt="consent")
        assert "code" in answer_of(consent(browser, response))
        house.clock.advance(minutes=1)


def test_an_identity_number_needs_scope_and_consent_and_leaves_a_trace(
    house, user, browser, client, sqlite_database
):
    house.provider.admission.people.verify(user, RealName.VERIFIED, identity_card=NUMBER, actor="t")
    assert "identity_number" not in claims_of(browser, *enter(browser, client)).json()
    request, response = enter(browser, client, scope="openid identity")
    claims = claims_of(browser, request, consent(browser, response)).json()
    assert (claims["identity_type"], claims["identity_number"]) == ("identity-card", NUMBER)
    assert NUMBER not in claims["sub"]
    assert house.audit.actions[-1] == "identity.released"
    with sqlite_database.reading() as connection:
        row = connection.exec_driver_sql("SELECT * FROM people").one()
    assert all(NUMBER.encode() not in bytes(str(value), "utf-8") for value in row)
    assert NUMBER not in str(house.audit.events)


def test_one_identity_is_one_user(house, user):
    people = house.provider.admission.people
    people.verify(user, RealName.VERIFIED, identity_card=NUMBER, actor="t")
    with pytest.raises(Conflict):
        people.verify(house.user("li.na"), RealName.STATED, identity_card=NUMBER, actor="t")
    with pytest.raises(Malformed) as refused:
        people.verify(user, RealName.VERIFIED, identity_card="123", actor="t")
    assert "123" not in str(refused.value)
    assert people.verify(user, RealName.IN_PERSON, identity_card=None, actor="t").identity_sealed


# ---- the person's own page ----------------------------------------------------------------------


def test_a_person_sees_and_ends_their_sessions_and_certificates(house, user, browser):
    other = house.browser()
    log_in(other)
    house.verifier.add(b"certificate", b"spki")
    house.provider.certificates.bind_presented(user, [b"certificate"], actor="t")
    page = browser.get("/account").text
    assert page.count("/end") == 2
    mine = house.provider.administration.sessions.find(browser.cookies[cookies.SESSION])[0].sid
    theirs = next(
        sid for sid in re.findall(r"/account/sessions/([0-9a-f-]+)/end", page) if sid != mine
    )
    ended = post(browser, "/account", f"/account/sessions/{theirs}/end").headers["location"]
    assert "会话已结束" in browser.get(ended).text
    assert other.get("/").status_code == 303
    unbind = re.search(r"/account/certificates/[0-9a-f-]+/unbind", page)[0]
    assert post(browser, "/account", unbind).status_code == 303
    assert not house.provider.certificates.list_of(user)
    signed_out = post(browser, "/account", f"/account/sessions/{mine}/end")
    assert "您已退出登录" in signed_out.text
    assert cookies.SESSION not in browser.cookies


def test_a_person_sees_an_application_that_asked_for_no_consent_and_ends_it(house, browser, client):
    assert "OA" not in browser.get("/account").text
    request, response = enter(browser, client)
    tokens = redeem(browser, request, answer_of(response)["code"]).json()
    page = browser.get("/account").text
    assert page.count("OA") >= 2, "among the applications, and at the session"
    done = post(browser, "/account", "/account/consents/withdraw", client=client.id)
    assert done.status_code == 303
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert browser.get("/oidc/userinfo", headers=headers).status_code == 401
    assert "OA" not in browser.get("/account").text


def test_an_end_is_offered_for_what_can_be_ended_and_not_for_what_hears_of_logouts(house, browser):
    metadata = ClientMetadata(frontchannel_logout_uri="https://oa.example.cn/out")
    client = house.public_client(metadata=metadata)
    request, response = enter(browser, client, scope="openid")
    redeem(browser, request, answer_of(response)["code"])
    assert f'value="{client.id}"' in browser.get("/account").text
    post(browser, "/account", "/account/consents/withdraw", client=client.id)
    page = browser.get("/account").text
    assert f'value="{client.id}"' not in page
    assert client.name in page, "at the session, since it is told when that ends"


def test_an_administrator_ends_the_sessions_of_an_application(house, browser, client):
    sessions, other = house.provider.administration.sessions, house.browser()
    log_in(other)
    enter(browser, client)
    (entered,) = sessions.list_live(None, client_id=client.id, after=None, limit=9)
    assert entered[0].sid == sessions.find(browser.cookies[cookies.SESSION])[0].sid
    assert sessions.end_of_application(client.id, actor="sys") == 1
    assert browser.get("/").status_code == 303
    assert other.get("/").status_code == 200
    assert sessions.end_of_application(client.id, actor="sys") == 0


def test_nobody_ends_what_is_another_persons(house, browser):
    other = house.user("li.na")
    stranger = house.browser()
    log_in(stranger, name="li.na")
    house.verifier.add(b"certificate", b"spki")
    binding = house.provider.certificates.bind_presented(other, [b"certificate"], actor="t")
    sid = house.provider.administration.sessions.list_of(other)[0].sid
    for path in (
        f"/account/sessions/{sid}/end",
        f"/account/certificates/{binding.id}/unbind",
        "/account/consents/withdraw",
    ):
        assert post(browser, "/account", path, client="x").status_code == 404
    assert stranger.get("/").status_code == 200


def test_every_form_carries_a_token(browser):
    for path in (
        "/account/switch",
        "/account/consents/withdraw",
        "/login/consent",
        "/account/sessions/x/end",
    ):
        assert browser.post(path, data={"csrf": "0" * 64}).status_code == 403


def test_what_a_resource_server_gives_is_agreed_to_as_well(house, browser):
    """Its scopes are not about people, and still they are asked for and kept."""
    orders = ClientMetadata(resource="https://orders.example.cn", resource_scopes=("orders.read",))
    house.client(redirect_uris=[], metadata=orders.model_copy(update={"grant_types": ()}))
    client = house.public_client(allowed_scopes=("openid", "orders.read"))
    allow(house, client, consent=True)
    asked = {"scope": "openid orders.read", "resource": "https://orders.example.cn"}
    _, response = enter(browser, client, **asked)
    page = browser.get(response.headers["location"])
    assert "orders.read" in page.text
    assert "code" in answer_of(consent(browser, response))
    assert "code" in answer_of(enter(browser, client, **asked)[1])
    assert "orders.read" in browser.get("/account").text


def test_who_is_asked_for_nothing_but_the_login_is_told_so(house, browser, client):
    allow(house, client, consent=True)
    _, response = enter(browser, client, scope="openid")
    assert "确认是您本人" in browser.get(response.headers["location"]).text
    assert "code" in answer_of(consent(browser, response))
    assert "code" in answer_of(enter(browser, client, scope="openid")[1])
