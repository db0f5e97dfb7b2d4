"""Passkeys: a software authenticator that can lie, and Chromium with a virtual one."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace

import pytest

from authn import cookies
from authn.levels import Level
from core.clock import SystemClock
from tests.fakes.authenticator import USER_PRESENT, Authenticator
from tests.integration.browsing import serving
from tests.integration.provider import ISSUER, PASSWORD, House, build, csrf_of, log_in
from tests.judges.node import Conversation

SECURITY, HOST = "/account/security", "ca.example.cn"


@pytest.fixture
def house(sqlite_database, audit, clock) -> House:
    return build(sqlite_database, audit=audit, clock=clock)


def options_of(page) -> str:
    return html.unescape(re.search(r'data-options="([^"]+)"', page.text)[1])


def enrol(browser, authenticator, name="笔记本电脑"):
    page = browser.get(SECURITY)
    answer = authenticator.create(options_of(page))
    fields = {"csrf": csrf_of(page.text), "name": name, "credential": answer}
    return browser.post(f"{SECURITY}/passkeys", data=fields)


def use(browser, authenticator, *, options: str | None = None):
    page = browser.get("/login/passkey?next=/x")
    answer = authenticator.get(options or options_of(page))
    return send(browser, page, answer)


def send(browser, page, answer):
    fields = {"csrf": csrf_of(page.text), "next": "/x", "credential": answer}
    return browser.post("/login/passkey", data=fields)


@pytest.fixture
def authenticator(house) -> Authenticator:
    house.user()
    browser, made = house.browser(), Authenticator(ISSUER, HOST)
    log_in(browser)
    assert enrol(browser, made).status_code == 303
    assert "笔记本电脑" in browser.get(SECURITY).text
    return made


def test_a_passkey_logs_in_without_a_name_and_counts_as_two_factors(house, authenticator):
    browser = house.browser()
    assert use(browser, authenticator).headers["location"] == "/x"
    session, user = house.provider.administration.sessions.find(browser.cookies[cookies.SESSION])
    assert (user.name, session.level) == ("zhang.wei", Level.TWO_FACTORS)
    assert session.amr == "pop user mfa"
    assert house.audit.actions[-2:] == ["login.succeeded", "session.started"]


def test_a_browser_remembers_the_last_way_in_and_not_who_came(house, authenticator):
    browser = house.browser()
    assert "上次用" not in browser.get("/login").text
    use(browser, authenticator)
    page = browser.get("/login?next=/x").text
    assert 'class="button" href="/login/passkey?next=/x"' in page.replace("%2F", "/")
    assert "zhang.wei" not in page
    log_in(browser)
    assert "上次用" not in browser.get("/login").text


def test_with_a_passkey_enrolled_a_password_alone_is_not_enough(house, authenticator):
    browser = house.browser()
    log_in(browser)
    assert browser.get("/").status_code == 303
    assert "/login/passkey?next=" in browser.get("/login/step-up?next=/x").text
    assert use(browser, authenticator).status_code == 303
    assert browser.get("/").status_code == 200


def test_what_is_not_right_is_refused(house, authenticator):
    assert use(house.browser(), authenticator).status_code == 303
    bent = {
        "no verification": {"flags": USER_PRESENT},
        "origin": {"origin": "https://evil.example"},
        "rp": {"rp_id": "evil.example"},
        "copied": {"count": authenticator.count - 1},
        "unknown": {"credential_id": b"another"},
        "key": {"key": Authenticator(ISSUER, HOST).key},
    }
    for case, change in bent.items():
        assert use(house.browser(), replace(authenticator, **change)).status_code == 401, case
        assert house.audit.actions[-1] == "login.failed"
    assert use(house.browser(), authenticator).status_code == 303


def test_a_challenge_is_for_one_browser_once_and_for_five_minutes(house, authenticator):
    mine, other = house.browser(), house.browser()
    stolen = options_of(other.get("/login/passkey"))
    assert use(mine, authenticator, options=stolen).status_code == 401
    page = mine.get("/login/passkey")
    answer = authenticator.get(options_of(page))
    assert send(mine, page, answer).status_code == 303
    assert send(mine, page, answer).status_code == 401
    old = options_of(mine.get("/login/passkey"))
    house.clock.advance(minutes=5)
    assert use(mine, authenticator, options=old).status_code == 401


def test_a_disabled_user_has_no_passkey(house, authenticator):
    users = house.provider.administration.users
    users.set_disabled(users.find_by_name("zhang.wei"), disabled=True, actor="t")
    assert use(house.browser(), authenticator).status_code == 401


def test_nonsense_is_refused_and_not_an_error_of_ours(house):
    browser = house.browser()
    for answer in (
        "", "{", "[]", "null", '{"response": {}}', '{"response": {"clientDataJSON": "e30"}}',
        '{"response": {"clientDataJSON": "eyJjaGFsbGVuZ2UiOiAiw6kifQ"}}', "x" * 30_000,
    ):  # fmt: skip
        assert send(browser, browser.get("/login/passkey"), answer).status_code == 401, answer


def test_half_an_answer_is_refused(house, authenticator):
    browser = house.browser()
    for missing in ("authenticatorData", "signature", "rawId"):
        page = browser.get("/login/passkey")
        answer = json.loads(authenticator.get(options_of(page)))
        answer["response"].pop(missing, None)
        answer.pop(missing, None)
        assert send(browser, page, json.dumps(answer)).status_code == 401


def test_a_passkey_is_enrolled_once_and_removed_by_its_owner_only(house, authenticator):
    house.user("li.na")
    other, owner = house.browser(), house.browser()
    log_in(other, name="li.na")
    assert enrol(other, authenticator).status_code == 422
    use(owner, authenticator)
    path = re.search(r"/account/security/passkeys/[0-9a-f-]+/remove", owner.get(SECURITY).text)[0]
    fields = {"csrf": csrf_of(other.get(SECURITY).text), "name": "办公电脑"}
    named = path.replace("/remove", "/rename")
    assert other.post(path, data=fields).status_code == 404
    assert other.post(named, data=fields).status_code == 404
    fields["csrf"] = csrf_of(owner.get(SECURITY).text)
    assert owner.post(named, data=fields).status_code == 303
    assert "办公电脑" in owner.get(SECURITY).text
    assert owner.post(named, data=fields | {"name": "\u200b"}).status_code == 400
    assert "办公电脑" in owner.get(SECURITY).text
    assert owner.post(path, data=fields).status_code == 303
    assert use(house.browser(), authenticator).status_code == 401


@pytest.mark.judge
def test_chromium_enrols_and_uses_a_passkey_by_keyboard(sqlite_database, audit, tmp_path):
    house = build(sqlite_database, audit=audit, clock=SystemClock())
    house.user()
    with (
        serving(house.app, host=HOST, directory=tmp_path) as port,
        Conversation("passkey.mjs") as script,
    ):
        script.say({"port": port, "host": HOST, "profile": str(tmp_path / "profile"),
                    "name": "zhang.wei", "password": PASSWORD})  # fmt: skip
        seen = script.hear()
    assert "张伟" in seen["said"]
    assert seen["wide"] <= 390
    assert seen["refused"] == []
