"""One-time passwords, recovery codes and step-up through the pages, as a browser meets them."""

from __future__ import annotations

import base64
import json
import re

import pytest

from authn import cookies
from authn.levels import Level
from authn.totp import code_at, step_of
from tests.integration.provider import (
    PASSWORD,
    House,
    answer_of,
    build,
    csrf_of,
    flow,
    log_in,
    redeem,
)

SECURITY = "/account/security"


@pytest.fixture
def house(sqlite_database, audit, clock) -> House:
    return build(sqlite_database, audit=audit, clock=clock)


def post(browser, path, **fields):
    csrf = csrf_of(browser.get("/account/security").text)
    return browser.post(path, data={"csrf": csrf, **fields})


def enrol(house, browser) -> tuple[bytes, list[str]]:
    """Enrol a generator; return its secret and the recovery codes."""
    page = post(browser, f"{SECURITY}/totp")
    secret = base64.b32decode(re.search(r"secret=([A-Z2-7]+)", page.text)[1])
    done = post(browser, f"{SECURITY}/totp/confirm", code=code_of(house, secret))
    assert done.status_code == 200, done.text
    return secret, re.findall(r"(?:[a-z2-7]{4}-){3}[a-z2-7]{4}", done.text)


def code_of(house, secret: bytes, *, steps: int = 0) -> str:
    return code_at(secret, step_of(house.clock.now()) + steps)


def step_up(browser, code: str, *, where: str = "/login/step-up?next=/", next_path: str = "/"):
    page = browser.get(where)
    assert page.status_code == 200, page.headers
    fields = {"csrf": csrf_of(page.text), "next": next_path, "level": "", "code": code}
    return browser.post("/login/step-up", data=fields)


@pytest.fixture
def enrolled(house):
    user = house.user()
    browser = house.browser()
    log_in(browser)
    secret, codes = enrol(house, browser)
    house.clock.advance(seconds=30)
    return user, secret, codes


def test_rfc_6238_appendix_b() -> None:
    secret = b"12345678901234567890"
    assert [code_at(secret, seconds // 30) for seconds in (59, 1111111109, 20000000000)] == [
        "287082",
        "081804",
        "353130",
    ]


def test_a_person_with_a_generator_is_asked_for_it_at_every_login(house, enrolled):
    _, secret, codes = enrolled
    assert len(set(codes)) == 10
    browser = house.browser()
    assert log_in(browser, next_path="/x").headers["location"] == "/x"
    assert browser.get("/").headers["location"] == "/login"
    assert browser.get("/login?next=/x").headers["location"] == "/login/step-up?next=%2Fx"
    before = browser.cookies[cookies.SESSION]
    assert step_up(browser, code_of(house, secret), next_path="/x").headers["location"] == "/x"
    assert browser.cookies[cookies.SESSION] != before
    assert browser.get("/").status_code == 200
    assert house.audit.actions[-2:] == ["login.succeeded", "session.strengthened"]


def test_an_unfinished_login_opens_nothing(house, enrolled):
    browser = house.browser()
    log_in(browser)
    sent = browser.get(SECURITY).headers["location"]
    assert sent == "/login?next=%2Faccount%2Fsecurity"
    assert browser.get(sent).headers["location"].startswith("/login/step-up?")
    request = flow(house.public_client().id)
    assert browser.get(request.path).headers["location"].startswith("/login?")
    silent = flow(request.client_id, prompt="none")
    assert answer_of(browser.get(silent.path))["error"] == "login_required"


@pytest.mark.parametrize("case", ["replayed", "old", "early", "wrong", "not digits", "empty"])
def test_a_code_is_good_once_and_near_its_time(house, enrolled, case):
    _, secret, _ = enrolled
    browser = house.browser()
    log_in(browser)
    if case == "replayed":
        other = house.browser()
        log_in(other)
        assert step_up(other, code_of(house, secret)).status_code == 303
    code = {
        "replayed": code_of(house, secret),
        "old": code_of(house, secret, steps=-2),
        "early": code_of(house, secret, steps=2),
        "wrong": f"{(int(code_of(house, secret)) + 1) % 1_000_000:06d}",
        "not digits": "\u0661\u0662\u0663\u0664\u0665\u0666",
        "empty": "",
    }[case]
    assert step_up(browser, code).status_code == 401
    assert browser.get("/").status_code == 303
    assert house.audit.actions[-1] == "login.failed"


def test_five_wrong_codes_lock_the_factor_and_a_right_password_does_not_forgive_them(
    house, enrolled
):
    _, secret, _ = enrolled
    for _ in range(5):
        browser = house.browser()
        assert log_in(browser).status_code == 303
        assert step_up(browser, "000000").status_code == 401
    assert step_up(browser, code_of(house, secret)).status_code == 429
    house.clock.advance(minutes=15)
    assert step_up(browser, code_of(house, secret)).status_code == 303


def test_a_recovery_code_works_once(house, enrolled):
    _, _, codes = enrolled
    first, second = house.browser(), house.browser()
    log_in(first)
    log_in(second)
    assert step_up(first, codes[0].upper().replace("-", " ")).status_code == 303
    assert "恢复码\uff1a9" in first.get(SECURITY).text
    assert step_up(second, codes[0]).status_code == 401
    assert step_up(second, codes[1]).status_code == 303


def test_a_second_factor_belongs_to_the_person_who_logged_in(house, enrolled):
    _, secret, _ = enrolled
    house.user("li.na")
    browser = house.browser()
    log_in(browser, name="li.na")
    fields = {"csrf": csrf_of(browser.get(SECURITY).text), "code": code_of(house, secret)}
    assert browser.post("/login/step-up", data=fields).status_code == 401
    assert house.browser().get("/login/step-up").headers["location"].startswith("/login?")


def test_factors_change_only_after_a_recent_login(house, enrolled):
    _, secret, _ = enrolled
    browser = house.browser()
    log_in(browser)
    step_up(browser, code_of(house, secret))
    house.clock.advance(minutes=11)
    late = post(browser, f"{SECURITY}/totp/remove")
    assert late.headers["location"].startswith("/login?why=confirm_first")
    assert "重新登录" in browser.get(late.headers["location"]).text
    log_in(browser)
    assert post(browser, f"{SECURITY}/totp/remove").status_code == 303
    assert house.audit.actions[-1] == "factor.removed"
    fresh = house.browser()
    log_in(fresh)
    assert fresh.get("/").status_code == 200


def test_a_wrong_code_at_enrolment_does_not_begin_again(house):
    """The secret is in the phone by then."""
    house.user()
    browser = house.browser()
    log_in(browser)
    page = post(browser, f"{SECURITY}/totp")
    secret = re.search(r"secret=([A-Z2-7]+)", page.text)[1]
    wrong = post(browser, f"{SECURITY}/totp/confirm", code="000000")
    assert wrong.status_code == 401
    assert secret in wrong.text
    assert "校准手机的时间" in wrong.text
    right = code_of(house, base64.b32decode(secret))
    assert post(browser, f"{SECURITY}/totp/confirm", code=right).status_code == 200


def test_the_secret_is_not_in_the_database_in_clear(house, enrolled, sqlite_database):
    _, secret, codes = enrolled
    with sqlite_database.reading() as connection:
        rows = connection.exec_driver_sql("SELECT sealed FROM totp_factors").all()
        kept = connection.exec_driver_sql("SELECT digest FROM recovery_codes").all()
    assert len(rows) == 1
    assert secret not in rows[0][0]
    assert all(codes[0].encode() not in row[0] for row in kept)


# ---- acr ----------------------------------------------------------------------------------------


def claims_of(browser, request, response):
    body = redeem(browser, request, answer_of(response)["code"]).json()
    payload = body["id_token"].split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def test_step_up_asks_only_for_what_is_missing(house):
    house.user()
    browser = house.browser()
    log_in(browser)
    secret, _ = enrol(house, browser)
    weak = house.browser()
    log_in(weak)
    page = weak.get("/login/step-up?next=/").text
    assert "您的账号启用了第二步验证" in page
    assert "/login/certificate?" not in page, "none is bound"
    step_up(weak, code_of(house, secret, steps=1))
    request = flow(house.public_client().id, acr_values=Level.TWO_FACTORS.acr)
    claims = claims_of(weak, request, weak.get(request.path))
    assert (claims["acr"], claims["amr"]) == (Level.TWO_FACTORS.acr, ["pwd", "otp", "mfa"])


def test_a_client_that_wants_a_certificate_sends_a_password_login_to_step_up(house):
    user = house.user()
    house.verifier.add(b"certificate", b"spki")
    house.provider.certificates.bind_presented(user, [b"certificate"], actor="t")
    browser = house.browser()
    log_in(browser)
    essential = {"id_token": {"acr": {"essential": True, "value": Level.CERTIFICATE.acr}}}
    request = flow(house.public_client().id, claims=json.dumps(essential))
    sent = browser.get(request.path).headers["location"]
    assert sent.startswith("/login/step-up?level=certificate&next=%2Foidc%2Fcontinue%2F")
    page = browser.get(sent)
    assert "此应用要求使用证书登录" in page.text
    assert "<strong>OA</strong>" in page.text, "which application, by its registered name"
    assert 'name="code"' not in page.text
    assert "/login/certificate?" in page.text
    assert "/login/passkey?" not in page.text, "none is enrolled"
    silent = flow(request.client_id, prompt="none", claims=json.dumps(essential))
    assert answer_of(browser.get(silent.path))["error"] == "login_required"


@pytest.mark.parametrize("value", [Level.CERTIFICATE.acr, "urn:example:loa4"])
def test_an_essential_acr_out_of_reach_is_said_to_the_client(house, value):
    house.user()
    browser = house.browser()
    log_in(browser)
    wanted = {"id_token": {"acr": {"essential": True, "value": value}}}
    request = flow(house.public_client().id, claims=json.dumps(wanted))
    answer = answer_of(browser.get(request.path))
    assert answer["error"] == "unmet_authentication_requirements"


def test_a_voluntary_acr_out_of_reach_is_no_reason_to_refuse(house):
    house.user()
    browser = house.browser()
    log_in(browser)
    request = flow(house.public_client().id, acr_values=Level.HARDWARE_KEY.acr)
    assert claims_of(browser, request, browser.get(request.path))["acr"] == Level.PASSWORD.acr


def test_a_certificate_in_hardware_is_the_strongest_level(house):
    from authn.certlogin import VerifiedCertificate, method_of

    soft = VerifiedCertificate(b"0\x00", "sm2-issuing", 1, b"spki", "f")
    hard = VerifiedCertificate(b"0\x00", "sm2-issuing", 1, b"spki", "f", in_hardware=True)
    assert (method_of(soft).level, method_of(soft).amr) == (Level.CERTIFICATE, ("pop",))
    assert (method_of(hard).level, method_of(hard).amr) == (Level.HARDWARE_KEY, ("hwk",))


def test_a_person_who_logs_in_again_keeps_the_session_of_their_applications(house):
    house.user()
    browser = house.browser()
    log_in(browser)
    request = flow(house.public_client().id)
    first = claims_of(browser, request, browser.get(request.path))
    house.clock.advance(minutes=5)
    log_in(browser)
    again = flow(request.client_id)
    second = claims_of(browser, again, browser.get(again.path))
    assert second["sid"] == first["sid"]
    assert second["auth_time"] == first["auth_time"] + 300


# ---- changing the password ----------------------------------------------------------------------


def change_password(browser, old, new, *, repeat=None):
    page = browser.get("/login/password?name=zhang.wei")
    fields = {"csrf": csrf_of(page.text), "name": "zhang.wei", "old": old, "next": "/"}
    fields |= {"password": new, "repeat": new if repeat is None else repeat}
    return browser.post("/login/password", data=fields)


def test_a_person_changes_the_password_and_every_session_ends(house):
    house.user()
    browser, other = house.browser(), house.browser()
    log_in(browser)
    log_in(other)
    assert change_password(browser, "wrong", "another good password").status_code == 422
    assert change_password(browser, PASSWORD, "short").status_code == 422
    assert change_password(browser, PASSWORD, "another good one", repeat="x").status_code == 422
    assert change_password(browser, PASSWORD, PASSWORD).status_code == 422
    assert change_password(browser, PASSWORD, "another good password").status_code == 303
    assert browser.get("/").status_code == 200
    assert other.get("/").status_code == 303
    assert log_in(other).status_code == 401
    assert "password.changed" in house.audit.actions


def test_a_password_that_is_too_old_has_to_be_changed_first(house):
    house.user()
    policy = house.provider.administration.password_policy
    policy._config = policy._config.model_copy(update={"max_age_days": 90})
    house.clock.advance(days=90)
    browser = house.browser()
    sent = log_in(browser, next_path="/x").headers["location"]
    assert sent == "/login/password?name=zhang.wei&why=password_expired&next=%2Fx"
    page = browser.get(sent)
    assert page.status_code == 200
    assert "您的口令已过期" in page.text
    assert cookies.SESSION not in browser.cookies
    assert change_password(browser, PASSWORD, "another good password").status_code == 303
    assert log_in(browser, password="another good password").headers["location"] == "/"
