"""Lost factors, the least level of administrators, and the one-time link that enrols anew."""

from __future__ import annotations

import base64
import re

import pytest

from authn.config import LoginConfig
from authn.levels import Level
from core.config import ControlConfig
from core.errors import Forbidden, Malformed
from core.identity import Role
from tests.integration.provider import House, answer_of, build, csrf_of, flow, log_in
from tests.integration.test_second_factors import SECURITY, code_of, enrol, post, step_up

NEW = "an entirely new passphrase"
REASON = "手机丢失"


@pytest.fixture
def house(sqlite_database, audit, clock) -> House:
    return build(sqlite_database, audit=audit, clock=clock)


def set_up(house, link: str, *, password: str = NEW, code: str | None = None, browser=None):
    """Use a one-time link; return the answer, and the secret that its page showed."""
    browser = browser or house.browser()
    page = browser.get(f"/setup/{link}")
    shown = re.search(r"secret=([A-Z2-7]+)", page.text)
    secret = b"" if shown is None else base64.b32decode(shown[1])
    fields = {"csrf": csrf_of(page.text), "password": password, "repeat": password}
    fields["code"] = code if code is not None or not secret else code_of(house, secret)
    return browser.post(f"/setup/{link}", data=fields), secret


def reset(house, user, *, actor: str = "sys.admin", reason: str = REASON) -> str:
    return house.provider.administration.factor_reset.reset(user, reason=reason, actor=actor)


@pytest.fixture
def enrolled(house):
    user, browser = house.user(), house.browser()
    log_in(browser)
    enrol(house, browser)
    house.clock.advance(seconds=30)
    return user, browser


def test_a_lost_factor_is_reset_and_the_link_enrols_another(house, enrolled):
    user, before = enrolled
    link = reset(house, user)
    assert before.get("/").status_code == 303
    said = next(event for event in house.audit.events if event[0] == "factors.reset")
    assert said[1:] == (
        "sys.admin",
        {"user": user.name, "reason": REASON, "generator": True, "passkeys": 0},
    )
    # The password is not changed yet, and is not enough.
    old = house.browser()
    log_in(old)
    assert old.get(SECURITY).headers["location"].startswith("/login?")
    answer, secret = set_up(house, link)
    assert answer.status_code == 200
    assert len(re.findall(r"(?:[a-z2-7]{4}-){3}[a-z2-7]{4}", answer.text)) == 10
    house.clock.advance(seconds=30)
    browser = house.browser()
    log_in(browser, password=NEW)
    assert browser.get("/").status_code == 303
    assert step_up(browser, code_of(house, secret)).status_code == 303
    assert browser.get("/").status_code == 200
    assert house.browser().get(f"/setup/{link}").status_code == 404
    # It is due no more: who wants to may do without again.
    assert post(browser, f"{SECURITY}/totp/remove").status_code == 303
    plain = house.browser()
    log_in(plain, password=NEW)
    assert plain.get("/").status_code == 200


@pytest.mark.parametrize("case", ["code", "password"])
def test_a_link_sets_both_or_neither(house, enrolled, case):
    link = reset(house, enrolled[0])
    browser = house.browser()
    wrong = {"code": "000000"} if case == "code" else {"password": "short"}
    answer, secret = set_up(house, link, browser=browser, **wrong)
    assert answer.status_code == 422
    # The page shows the same secret again: it is in the person's phone already.
    assert base64.b32encode(secret).decode() in answer.text
    fields = {"csrf": csrf_of(answer.text), "password": NEW, "repeat": NEW}
    code = code_of(house, secret)
    done = browser.post(f"/setup/{link}", data={**fields, "code": code})
    assert done.status_code == 200, done.text


def test_nobody_resets_their_own_factors_and_nobody_without_a_reason(house, enrolled):
    user, _ = enrolled
    with pytest.raises(Forbidden):
        reset(house, user, actor=user.name)
    for reason in ("", " ", "x" * 501):
        with pytest.raises(Malformed):
            reset(house, user, reason=reason)
    assert house.provider.one_time_passwords.is_enrolled(user)


def test_a_reset_over_the_api_gives_the_link(house, enrolled):
    user, _ = enrolled
    tokens = house.provider.administration.api_tokens
    path = f"/api/v1/users/{user.id}/reset-factors"
    answers = {}
    for role in Role:
        administrator = house.user(f"{role}.one", role=role, password=None)
        secret = tokens.create(administrator, name="t", days=1, actor="t")
        answers[role] = house.browser().post(
            path, json={"reason": REASON}, headers={"Authorization": f"Bearer {secret}"}
        )
    made = answers.pop(Role.SYSTEM)
    assert made.status_code == 201
    assert made.headers["cache-control"] == "no-store"
    assert {answer.status_code for answer in answers.values()} == {403}
    assert set_up(house, made.json()["url"].rpartition("/")[2])[0].status_code == 200


def test_a_reset_of_an_administrator_needs_the_approval_of_a_credential(
    sqlite_database, audit, clock
):
    rules = ControlConfig(role_change={"approvals": 1})
    house = build(sqlite_database, audit=audit, clock=clock, rules=rules)
    administrator = house.user("sys.one", role=Role.SYSTEM)
    with pytest.raises(Forbidden):
        reset(house, administrator)
    assert "factors.reset" not in audit.actions


# ---- the least level of administrators ----------------------------------------------------------


def strict(database, audit, clock, least: str) -> House:
    login = LoginConfig(administrators_least=least)
    return build(database, audit=audit, clock=clock, login=login)


def test_administrators_log_in_with_two_factors_where_that_is_set(sqlite_database, audit, clock):
    house = strict(sqlite_database, audit, clock, "two-factors")
    people, administration = house.user("li.na"), house.provider.administration
    assert people.role is None
    ordinary = house.browser()
    log_in(ordinary, name="li.na")
    assert ordinary.get("/").status_code == 200

    administrator = house.user("sys.one", role=Role.SYSTEM, password=None)
    link = administration.users.create_setup_link(administrator, actor="t")
    answer, secret = set_up(house, link)
    assert answer.status_code == 200
    house.clock.advance(seconds=30)
    browser = house.browser()
    log_in(browser, name="sys.one", password=NEW)
    assert browser.get("/").status_code == 303
    assert step_up(browser, code_of(house, secret)).status_code == 303
    assert browser.get("/").status_code == 200


def test_an_administrator_without_a_certificate_gets_nowhere_where_one_is_wanted(
    sqlite_database, audit, clock
):
    house = strict(sqlite_database, audit, clock, "certificate")
    house.user("sys.one", role=Role.SYSTEM)
    browser = house.browser()
    log_in(browser, name="sys.one")
    request = flow(house.public_client().id, prompt="none")
    assert answer_of(browser.get(request.path))["error"] == "login_required"
    page = browser.get("/login/step-up?next=/")
    assert "您没有登记过可以用于此步的认证方式" in page.text
    assert 'name="code"' not in page.text
    standards = house.provider.administration.standards
    assert standards.least_level(house.user("sys.two", role=Role.AUDIT)) is Level.CERTIFICATE


# ---- the QR code --------------------------------------------------------------------------------


def test_the_secret_is_shown_as_a_qr_code_and_as_text(house):
    house.user()
    browser = house.browser()
    log_in(browser)
    page = post(browser, f"{SECURITY}/totp")
    drawn = re.search(r"<svg.*?</svg>", page.text, re.DOTALL)
    assert drawn[0].count("<path") == 2  # the light and the dark
    assert "style=" not in drawn[0]  # our content security policy would drop it
    assert re.search(r'class="code">(?:[A-Z2-7]{4} ){7}[A-Z2-7]{4}<', page.text)
    assert "script-src" not in page.headers["content-security-policy"]
