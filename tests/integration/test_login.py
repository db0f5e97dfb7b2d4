"""Passwords, certificates, sessions and setup through the pages, as a browser meets them."""

from __future__ import annotations

import base64
import re
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import event

from authn import cookies
from authn.oidc.clientmetadata import ClientMetadata
from core.errors import NotFound
from core.identity import Role
from keystore import sm2_forms
from keystore.algorithms import KeyAlgorithm
from keystore.certificates import public_key_of
from keystore.signeddata import parse_signed_data
from tests.fakes.keys import memory_key
from tests.integration.provider import (
    ISSUER,
    PASSWORD,
    House,
    answer_of,
    build,
    csrf_of,
    flow,
    log_in,
)
from tests.judges import gmsm


@pytest.fixture
def house(sqlite_database, audit, clock) -> House:
    return build(sqlite_database, audit=audit, clock=clock)


def signed_in(browser) -> bool:
    return browser.get("/").status_code == 200


# ---- passwords ----------------------------------------------------------------------------------


def test_a_login_sets_a_cookie_that_other_hosts_and_scripts_cannot_touch(house):
    house.user()
    browser = house.browser()
    response = log_in(browser)
    assert (response.status_code, response.headers["location"]) == (303, "/")
    cookie = response.headers["set-cookie"]
    assert cookie.startswith(f"{cookies.SESSION}=")
    for attribute in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"):
        assert attribute in cookie
    assert "Domain" not in cookie
    assert "张伟" in browser.get("/").text


@pytest.mark.parametrize("case", ["unknown", "wrong", "disabled", "not set up", "odd name"])
def test_every_failure_looks_the_same(house, case):
    user = house.user(password=None if case == "not set up" else PASSWORD)
    if case == "disabled":
        house.provider.administration.users.set_disabled(user, disabled=True, actor="t")
    name = {"unknown": "nobody", "odd name": "a b\x00"}.get(case, user.name)
    response = log_in(house.browser(), name=name, password="wrong" if case == "wrong" else PASSWORD)
    assert response.status_code == 401
    assert "用户名或口令错误" in response.text
    assert cookies.SESSION + "=" not in response.headers.get("set-cookie", "")
    assert house.audit.actions[-1] == "login.failed"


def test_an_unknown_name_costs_as_many_writes_as_a_known_one(house, sqlite_database):
    house.user()
    commits = []
    event.listen(sqlite_database.engine, "commit", commits.append)
    browser, seen = house.browser(), []
    for name in ("zhang.wei", "nobody", "a b\x00"):
        commits.clear()
        assert log_in(browser, name=name, password="wrong").status_code == 401
        seen.append(len(commits))
    assert len(set(seen)) == 1


def test_five_failures_lock_for_fifteen_minutes_even_across_a_restart(house, sqlite_database):
    house.user()
    for _ in range(5):
        assert log_in(house.browser(), password="wrong").status_code == 401
    assert log_in(house.browser()).status_code == 401
    again = build(sqlite_database, audit=house.audit, clock=house.clock, keystore=house.keystore)
    house.clock.advance(minutes=14, seconds=59)
    assert log_in(again.browser()).status_code == 401
    house.clock.advance(seconds=1)
    assert log_in(again.browser()).status_code == 303


def test_a_success_forgives_earlier_failures(house):
    house.user()
    for _ in range(3):
        for _ in range(4):
            log_in(house.browser(), password="wrong")
        assert log_in(house.browser()).status_code == 303


def test_an_address_that_guesses_many_names_is_slowed_down(house):
    house.user()
    statuses = [log_in(house.browser(), name=f"n{i}").status_code for i in range(21)]
    assert statuses == [401] * 20 + [429]
    throttled = log_in(house.browser())
    assert throttled.headers["retry-after"] == "3"
    assert log_in(house.browser(address="192.0.2.2")).status_code == 303
    house.clock.advance(seconds=3)
    assert log_in(house.browser()).status_code == 303


def test_a_busy_office_behind_one_address_is_not_slowed_down(house):
    house.user()
    assert {log_in(house.browser()).status_code for _ in range(25)} == {303}


def test_a_login_form_of_another_site_is_refused(house):
    house.user()
    attacker, victim = house.browser(), house.browser()
    stolen = csrf_of(attacker.get("/login").text)
    fields = {"name": "zhang.wei", "password": PASSWORD, "next": "/"}
    for csrf in (stolen, "", "0" * 64):
        victim.get("/login")
        response = victim.post("/login", data={**fields, "csrf": csrf})
        assert response.status_code == 403
        assert not signed_in(victim)


def test_who_comes_back_to_a_login_that_is_over_is_not_sent_to_an_administrator(house):
    """The browser's way back leads there, and so does a bookmark."""
    house.user()
    browser = house.browser()
    request = flow(house.public_client().id)
    sent = browser.get(request.path).headers["location"]
    next_path = parse_qs(urlsplit(sent).query)["next"][0]
    log_in(browser, next_path=next_path)
    assert "code" in answer_of(browser.get(next_path))
    assert "您已登录" in browser.get(sent).text
    gone = browser.get(next_path)
    assert gone.status_code == 400
    assert "请从应用重新进入" in gone.text
    assert "联系该应用的管理员" not in gone.text


def test_a_browser_without_cookies_is_told_so(house):
    house.user()
    browser = house.browser()
    csrf = csrf_of(browser.get("/login").text)
    browser.cookies.clear()
    refused = browser.post("/login", data={"csrf": csrf, "name": "zhang.wei", "password": PASSWORD})
    assert refused.status_code == 403
    assert "Cookie" in refused.text


def test_a_page_of_ones_own_leads_to_the_login_and_back(house):
    house.user()
    browser = house.browser()
    sent = browser.get("/account?lang=zh").headers["location"]
    assert sent == "/login?next=%2Faccount%3Flang%3Dzh"
    log_in(browser, next_path="/account?lang=zh")
    assert browser.get("/account").status_code == 200


def test_a_planted_session_cookie_is_worth_nothing_after_the_login(house):
    house.user()
    attacker = house.browser()
    log_in(attacker)
    planted = attacker.cookies[cookies.SESSION]
    victim = house.browser()
    victim.cookies.set(cookies.SESSION, planted, domain="ca.example.cn")
    log_in(victim)
    assert victim.cookies[cookies.SESSION] != planted
    assert not signed_in(attacker)


@pytest.mark.parametrize(
    "path",
    ["//evil.example", "/\\evil.example", "https://evil.example", "\t//evil.example", "/a\r\nX: y"],
)
def test_next_never_leads_to_another_site(house, path):
    house.user()
    assert log_in(house.browser(), next_path=path).headers["location"] == "/"


# ---- sessions -----------------------------------------------------------------------------------


def test_a_session_ends_after_thirty_idle_minutes(house):
    house.user()
    browser = house.browser()
    log_in(browser)
    house.clock.advance(minutes=29)
    assert signed_in(browser)
    house.clock.advance(minutes=29)
    assert signed_in(browser)
    house.clock.advance(minutes=30)
    assert not signed_in(browser)


def test_a_session_ends_after_twelve_hours_however_busy(house):
    house.user()
    browser = house.browser()
    log_in(browser)
    for _ in range(35):
        house.clock.advance(minutes=20)
        assert signed_in(browser)
    house.clock.advance(minutes=20)
    assert not signed_in(browser)


def test_logout_ends_the_session_and_not_only_the_cookie(house):
    house.user()
    browser, copy = house.browser(), house.browser()
    log_in(browser)
    copy.cookies.set(cookies.SESSION, browser.cookies[cookies.SESSION])
    assert signed_in(copy)
    page = browser.get("/")
    assert browser.post("/logout", data={"csrf": csrf_of(page.text)}).status_code == 200
    assert not signed_in(copy)
    assert house.audit.actions[-1] == "session.ended"


def test_disabling_a_user_ends_their_sessions(house):
    user = house.user()
    browser = house.browser()
    log_in(browser)
    house.provider.administration.users.set_disabled(user, disabled=True, actor="t")
    assert not signed_in(browser)


# ---- setup --------------------------------------------------------------------------------------


def test_a_setup_link_works_once_and_only_the_newest(house):
    user = house.user(password=None, role=Role.AUDIT)
    users = house.provider.administration.users
    old = users.create_setup_link(user, actor="t")
    link = users.create_setup_link(user, actor="t")
    browser = house.browser()
    assert browser.get(f"/setup/{old}").status_code == 404
    page = browser.get(f"/setup/{link}")
    assert page.headers["referrer-policy"] == "no-referrer"
    fields = {"csrf": csrf_of(page.text), "password": PASSWORD, "repeat": PASSWORD}
    assert browser.post(f"/setup/{link}", data=fields | {"csrf": ""}).status_code == 403
    assert browser.post(f"/setup/{link}", data=fields | {"repeat": "x"}).status_code == 422
    short = {"password": "short", "repeat": "short"}
    assert browser.post(f"/setup/{link}", data=fields | short).status_code == 422
    assert browser.post(f"/setup/{link}", data=fields).status_code == 200
    assert browser.post(f"/setup/{link}", data=fields).status_code == 404
    assert log_in(browser).status_code == 303
    assert "审计管理员" in browser.get("/").text


def test_a_setup_link_expires_after_72_hours(house):
    user = house.user(password=None)
    link = house.provider.administration.users.create_setup_link(user, actor="t")
    house.clock.advance(hours=72)
    assert house.browser().get(f"/setup/{link}").status_code == 404


# ---- API tokens ---------------------------------------------------------------------------------


def test_an_administrator_makes_a_token_sees_it_once_and_revokes_it(house):
    house.user(role=Role.SYSTEM)
    browser = house.browser()
    log_in(browser)
    csrf = csrf_of(browser.get("/").text)
    shown = browser.post("/tokens", data={"csrf": csrf, "name": "ci", "days": "1"}).text
    token = shown.split('id="secret" class="code">')[1].split("<")[0]
    headers = {"Authorization": f"Bearer {token}"}
    assert house.browser().get("/api/v1/clients", headers=headers).status_code == 200
    home = browser.get("/").text
    assert token not in home
    action = home.split('action="/tokens/')[1].split('"')[0]
    assert browser.post(f"/tokens/{action}", data={"csrf": csrf}).status_code == 303
    assert house.browser().get("/api/v1/clients", headers=headers).status_code == 401


def test_a_token_expires_and_a_user_without_a_role_gets_none(house):
    administration = house.provider.administration
    token = administration.api_tokens.create(
        house.user(role=Role.BUSINESS), name="ci", days=1, actor="t"
    )
    headers = {"Authorization": f"Bearer {token}"}
    assert house.browser().get("/api/v1/whoami", headers=headers).json()["role"] == "business"
    assert house.browser().get("/api/v1/clients", headers=headers).status_code == 403
    house.clock.advance(days=1)
    assert house.browser().get("/api/v1/whoami", headers=headers).status_code == 401
    house.user("plain")
    browser = house.browser()
    log_in(browser, name="plain")
    csrf = csrf_of(browser.get("/").text)
    fields = {"csrf": csrf, "name": "ci", "days": "1"}
    assert browser.post("/tokens", data=fields).status_code == 403


def test_the_api_registers_clients_users_and_shows_secrets_once(house):
    token = house.provider.administration.api_tokens.create(
        house.user(role=Role.SYSTEM), name="ci", days=1, actor="t"
    )
    browser = house.browser()
    browser.headers["Authorization"] = f"Bearer {token}"
    body = {"name": "OA", "client_id": "oa-1", "redirect_uris": ["https://oa.example.cn/cb"]}
    created = browser.post("/api/v1/clients", json=body)
    assert created.status_code == 201
    assert len(created.json()["client_secret"]) == 43
    assert created.json()["client_secret"] not in browser.get("/api/v1/clients/oa-1").text
    assert browser.post("/api/v1/clients", json=body).status_code == 409
    wild = body | {"client_id": "two", "redirect_uris": ["https://*.example.cn/cb"]}
    assert browser.post("/api/v1/clients", json=wild).status_code == 422
    assert browser.delete("/api/v1/clients/oa-1").status_code == 204
    assert browser.get("/api/v1/clients/oa-1").status_code == 404

    user = browser.post("/api/v1/users", json={"name": "Li.Na", "display_name": "李娜"}).json()
    assert user["name"] == "li.na"
    link = browser.post(f"/api/v1/users/{user['id']}/setup-link").json()["url"]
    assert browser.get(link.removeprefix(ISSUER)).status_code == 200


# ---- certificates -------------------------------------------------------------------------------


def sign_challenge(browser, signer, *, raw: bool = False) -> dict[str, str]:
    challenge = browser.post("/api/v1/login/certificate/challenge").json()
    signature = signer.sign(challenge["message"].encode())
    if raw:
        r, s = sm2_forms.decode_signature(signature)
        signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return {
        "nonce": challenge["nonce"],
        "certificate": base64.b64encode(b"certificate").decode(),
        "signature": base64.b64encode(signature).decode(),
    }


def bind(house, algorithm: KeyAlgorithm):
    signer = memory_key(algorithm)
    house.verifier.add(b"certificate", signer.key.public_key)
    user = house.user()
    house.provider.certificates.bind_presented(user, [b"certificate"], actor="t")
    return signer


@pytest.mark.parametrize(
    ("algorithm", "raw"),
    [
        (KeyAlgorithm.SM2, False),
        (KeyAlgorithm.SM2, True),
        (KeyAlgorithm.RSA_3072, False),
        (KeyAlgorithm.EC_P256, False),
    ],
)
def test_a_signed_challenge_logs_in(house, algorithm, raw):
    signer = bind(house, algorithm)
    browser = house.browser()
    answer = sign_challenge(browser, signer, raw=raw)
    response = browser.post("/api/v1/login/certificate", json=answer)
    assert response.json() == {"user": "zhang.wei"}
    assert "证书" in browser.get("/").text
    assert browser.post("/api/v1/login/certificate", json=answer).status_code == 401


@pytest.mark.judge
@pytest.mark.parametrize("how", ["attributes", "detached"])
def test_a_cms_message_logs_in(house, how):
    browser = house.browser()
    challenge = browser.post("/api/v1/login/certificate/challenge").json()
    octets = gmsm.sign_data(challenge["message"].encode(), how=how)
    certificate = parse_signed_data(octets).certificates[0]
    house.verifier.add(certificate, public_key_of(certificate))
    house.provider.certificates.bind_presented(house.user(), [certificate], actor="t")
    answer = {"nonce": challenge["nonce"], "signature": base64.b64encode(octets).decode()}
    assert browser.post("/api/v1/login/certificate", json=answer).json() == {"user": "zhang.wei"}
    again = browser.post("/api/v1/login/certificate/challenge").json()
    answer["nonce"] = again["nonce"]
    assert browser.post("/api/v1/login/certificate", json=answer).status_code == 401


def test_the_page_logs_in_with_a_certificate_too(house):
    signer = bind(house, KeyAlgorithm.SM2)
    browser = house.browser()
    page = browser.get("/login/certificate", params={"next": "/?x=1"}).text
    message = page.split('class="code">')[1].split("<")[0]
    assert message.startswith(f"yinxin-login:v1:{ISSUER}:")
    fields = {
        "csrf": csrf_of(page),
        "next": "/?x=1",
        "nonce": message.rsplit(":", 1)[1],
        "certificate": base64.b64encode(b"certificate").decode(),
        "signature": base64.b64encode(signer.sign(message.encode())).decode(),
    }
    response = browser.post("/login/certificate", data=fields)
    assert (response.status_code, response.headers["location"]) == (303, "/?x=1")


def test_a_challenge_belongs_to_one_browser(house):
    signer = bind(house, KeyAlgorithm.SM2)
    answer = sign_challenge(house.browser(), signer)
    thief = house.browser()
    thief.get("/login")
    assert thief.post("/api/v1/login/certificate", json=answer).status_code == 401
    assert not signed_in(thief)


def test_a_challenge_lasts_five_minutes(house):
    signer = bind(house, KeyAlgorithm.SM2)
    browser = house.browser()
    answer = sign_challenge(browser, signer)
    house.clock.advance(minutes=5)
    assert browser.post("/api/v1/login/certificate", json=answer).status_code == 401


@pytest.mark.parametrize("case", ["signature", "revoked", "unbound", "disabled"])
def test_what_does_not_hold_does_not_log_in(house, case):
    signer = bind(house, KeyAlgorithm.SM2)
    browser = house.browser()
    if case == "signature":
        signer = memory_key(KeyAlgorithm.RSA_3072)
    if case == "revoked":
        house.verifier.known.clear()
    if case == "unbound":
        binding = house.provider.certificates.list_bindings()[0]
        house.provider.certificates.unbind(binding.id, actor="t")
    if case == "disabled":
        users = house.provider.administration.users
        users.set_disabled(users.find_by_name("zhang.wei"), disabled=True, actor="t")
    answer = sign_challenge(browser, signer)
    assert browser.post("/api/v1/login/certificate", json=answer).status_code == 401
    assert not signed_in(browser)
    assert house.audit.actions[-1] == "login.failed"


# ---- pages --------------------------------------------------------------------------------------


def test_pages_speak_the_language_that_is_asked_for(house):
    browser = house.browser()
    assert "用户名" in browser.get("/login").text
    assert "User name" in browser.get("/login", headers={"Accept-Language": "en,zh;q=0.5"}).text
    assert "User name" in browser.get("/login?lang=en").text
    assert "User name" in browser.get("/login").text  # remembered


def test_pages_forbid_what_they_do_not_need(house):
    response = house.browser().get("/login")
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'")
    assert "frame-ancestors 'none'" in policy
    assert "form-action" not in policy  # the login may end at a client
    assert response.headers["cache-control"] == "no-store"
    gone = house.browser().get("/setup/none").headers["content-security-policy"]
    assert "form-action 'self'" in gone


def test_what_people_type_is_escaped(house):
    user = house.provider.administration.users.create_user(
        "x", display_name="<script>alert(1)</script>", actor="t"
    )
    link = house.provider.administration.users.create_setup_link(user, actor="t")
    assert "<script>" not in house.browser().get(f"/setup/{link}").text
    attack = house.browser().get("/login", params={"next": '/"><script>'})
    assert "<script>" not in attack.text


def test_an_administrator_is_bound_to_the_key_and_others_to_the_subject(house):
    first, second = memory_key(KeyAlgorithm.SM2), memory_key(KeyAlgorithm.EC_P256)
    certificates = house.provider.certificates
    for name, role, subject in (("li", None, b"0\x00"), ("chief", Role.SYSTEM, b"1\x00")):
        old, new = name.encode(), f"new {name}".encode()
        house.verifier.add(old, first.key.public_key, subject=subject)
        house.verifier.add(new, second.key.public_key, subject=subject)
        user = house.user(name, role=role, password=None)
        certificates.bind_presented(user, [old], actor="t")
        assert certificates.user_of_certificate(old).name == name
    assert certificates.user_of_certificate(b"new li").name == "li"
    with pytest.raises(NotFound, match="bound with its key"):
        certificates.user_of_certificate(b"new chief")


# ---- for what, and what then --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "said"), [("zh", "登录后进入"), ("en", "sign in to go on to")]
)
def test_a_login_says_for_which_application_it_is(house, language, said):
    """By its registered name, out of the sealed flow or of whose address it is."""
    portal = ClientMetadata(cas_prefixes=["https://old.example.cn/p/"])
    gate = ClientMetadata(gate_origins=["https://behind.example.cn"])
    clients = house.provider.administration.clients
    for name, metadata in (("旧<门>户", portal), ("代理应用", gate)):
        clients.register(name, redirect_uris=[], metadata=metadata, actor="t")
    browser = house.browser()
    application = house.public_client().id
    sent = browser.get(flow(application).path).headers["location"]
    flow_path = parse_qs(urlsplit(sent).query)["next"][0]
    ways = [
        (flow_path, "OA"),
        ("/cas/login?service=https%3A%2F%2Fold.example.cn%2Fp%2Fa", "旧&lt;门&gt;户"),
        ("/gate/authorize?origin=https%3A%2F%2Fbehind.example.cn&to=%2F", "代理应用"),
    ]
    for next_path, name in ways:
        for page in ("/login", "/login/password", "/login/certificate", "/login/passkey"):
            shown = browser.get(page, params={"next": next_path, "lang": language}).text
            assert said in shown, (page, next_path)
            assert f"<strong>{name}</strong>" in shown, (page, next_path)
    house.user()
    wrong = log_in(browser, password="wrong", next_path=flow_path)
    assert "<strong>OA</strong>" in wrong.text


@pytest.mark.parametrize(
    "next_path",
    [
        "/",
        "/?client_id=OA&name=OA",
        "/oidc/continue/0000000000000000",
        "/oidc/authorize?client_id={}",
        "/cas/login?service=https%3A%2F%2Fold.example.cn%2Felsewhere",
        "/cas/login?service=https%3A%2F%2Fold.example.cn%2Fp%2F&service=https%3A%2F%2Fevil.example",
        "/gate/authorize?origin=https%3A%2F%2Fevil.example",
        "/device?user_code=ABCD-EFGH&client=OA",
    ],
)
def test_nobody_writes_a_name_onto_the_login_page(house, next_path):
    client, _ = house.client(
        metadata=ClientMetadata(cas_prefixes=["https://old.example.cn/p/"]), redirect_uris=[]
    )
    shown = house.browser().get("/login", params={"next": next_path.format(client.id)})
    assert shown.status_code == 200
    assert "登录后进入" not in shown.text


def test_the_flow_of_another_browser_names_nothing(house):
    mine, other = house.browser(), house.browser()
    sent = mine.get(flow(house.public_client().id).path).headers["location"]
    assert "<strong>OA</strong>" in mine.get(sent).text
    assert "登录后进入" not in other.get(sent).text


def test_too_many_attempts_says_when_to_come_again_and_leads_back(house):
    house.user()
    for number in range(21):
        last = log_in(house.browser(), name=f"n{number}", next_path="/account")
    assert last.status_code == 429
    assert "尝试过于频繁。请在 3 秒后再试。" in last.text
    browser = house.browser()
    fields = {"csrf": csrf_of(browser.get("/login/password?lang=en").text), "next": "/account"}
    fields |= {"name": "zhang.wei", "old": "x", "password": "y", "repeat": "y"}
    slowed = browser.post("/login/password", data=fields)
    assert (slowed.status_code, slowed.headers["retry-after"]) == (429, "3")
    assert "Try again in 3 s." in slowed.text
    assert 'href="/login/password?next=%2Faccount&amp;name=zhang.wei"' in slowed.text


def test_what_is_said_of_a_lock_is_said_of_every_name(house):
    house.user()
    for _ in range(5):
        log_in(house.browser(), password="wrong")
    said = re.compile(r'<p class="(?:fault|note)".*?</p>')
    locked, unknown = (log_in(house.browser(), name=one) for one in ("zhang.wei", "nobody"))
    assert said.findall(locked.text) == said.findall(unknown.text)
    assert "用户将锁定 15 分钟。" in locked.text


@pytest.mark.parametrize(
    ("path", "leads"),
    [
        ("/login", "/login?next=%2Faccount&amp;login_hint=zhang.wei"),
        ("/login/password", "/login/password?next=%2Faccount&amp;name=zhang.wei"),
        ("/login/certificate", "/login/certificate?next=%2Faccount"),
        ("/login/passkey", "/login/passkey?next=%2Faccount"),
        ("/login/step-up", "/account"),
        ("/login/consent", "/account"),
        ("/login/select", "/account"),
        ("/account/switch", "/account"),
        ("/setup/0123456789", "/setup/0123456789"),
        ("/account/security/totp", "/account/security"),
        ("/logout", "/"),
        ("/device", "/device"),
    ],
)
def test_a_form_that_is_too_old_leads_to_where_it_is_made_anew(house, path, leads):
    house.user()
    browser = house.browser()
    log_in(browser)
    fields = {"csrf": "0" * 64, "name": "zhang.wei", "next": "/account"}
    old = browser.post(path, data=fields)
    assert old.status_code == 403
    assert "表单已过期" in old.text
    assert f'<a href="{leads}">重新打开页面</a>' in old.text
    assert browser.post("/login", data=fields | {"next": "//evil.example"}).status_code == 403
