# ruff: noqa: RUF001 - Chinese text has Chinese punctuation
"""Journeys in Chromium: whole walks of administrators and people, without script but for one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest

from tests.conformance.people import (
    PASSWORD,
    apply_for,
    begin_step,
    choose_password,
    enrol_generator,
    enter,
    found,
    log_in_by_certificate,
    make_csr,
    make_recipient,
    newcomer,
    newest,
    own_certificate,
    pick_up,
    redeem,
    register_application,
    secret_of,
    sign_in,
    until,
    upload_batch,
    want_made,
)
from tests.hosts import Caller
from tests.judges.window import Chromium, Window
from tests.service import Service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    running = Service(tmp_path_factory.mktemp("pages") / "var").start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def chromium(service: Service) -> Iterator[Chromium]:
    with Chromium(service.url) as browser:
        yield browser


@pytest.fixture(scope="module")
def administrators(service: Service, chromium: Chromium) -> dict[str, Window]:
    """Open the three set-up links, choose passwords, sign in: without script, each at a window."""
    links = re.findall(
        r"(system|business|audit) +https://\S+?(/setup/\S+)", service.log.read_text()
    )
    windows = {name: chromium.window(script=False) for name, _ in links}
    assert len(windows) == 3
    for name, link in links:
        choose_password(windows[name], link)
        sign_in(windows[name], name)
        assert "建立机构树" in windows[name].text() or name != "business"
    return windows


@pytest.fixture(scope="module")
def system(administrators: dict[str, Window]) -> Window:
    return administrators["system"]


@pytest.fixture(scope="module")
def business(administrators: dict[str, Window]) -> Window:
    return administrators["business"]


@pytest.fixture(scope="module")
def root(business: Window) -> str:
    """The organisation that there is at the beginning."""
    business.open("/console/organisations")
    return found(r'href="/console/organisations/([0-9a-f]+)"', business.html())


def test_from_the_set_up_links_to_the_first_certificate_and_the_first_login_at_an_application(
    service: Service,
    chromium: Chromium,
    administrators: dict[str, Window],
    root: str,
    tmp_path: Path,
) -> None:
    """One walk along the first steps, without script; at its end nothing is left to do."""
    system, business = administrators["system"], administrators["business"]
    begin_step(business, "登记第二种登录方式")
    enrol_generator(business)
    begin_step(business, "建立机构树")
    business.open(f"/console/organisations/{root}")
    business.unfold("增设下级机构")
    business.fill(name="示例市大数据局", level="city")
    business.press("保存")
    begin_step(business, "查看证书模板")
    assert "device" in business.text()
    begin_step(business, "录入第一份证书申请")
    business.fill(profile="device")
    business.press("选择模板")
    business.fill(issuer="sm2-issuing", csr=make_csr(tmp_path, "vpn.example.gov.cn"))
    business.press("提交")
    begin_step(business, "签发第一张证书")
    business.follow("vpn.example.gov.cn")
    business.press("审核通过")
    assert "已签发" in business.text()
    certificate = found(r'href="(/console/certificates/[^"]+)"', business.html())
    business.open("/console/start")
    assert "全部完成" in business.text()

    begin_step(system, "接入第一个应用")
    register_application(system, "办公系统", "oa-portal", f"{service.url}/callback", "登记应用")
    secret = secret_of(system)
    system.follow("测试登录")
    system.fill(user="audit")
    system.press("测试")
    assert "可以进入" in system.text()
    with chromium.window(script=False) as person:
        landed = enter(
            person, service, "oa-portal", name="audit", words=("登录", "办公系统", "同意")
        )
    assert "id_token" in redeem(service, landed, ("oa-portal", secret))

    business.open(certificate)
    assert "正常（good）" in business.text()
    business.follow("冻结")
    assert "之后可以解冻" in business.text()
    business.press("冻结")
    assert "已冻结" in business.text()
    business.follow("吊销")
    business.fill(reason="keyCompromise")
    business.press("吊销")
    assert business.path() == certificate
    assert "已吊销（revoked）" in business.text()


def test_in_english_an_application_is_registered_and_logged_in_to(
    service: Service, chromium: Chromium, administrators: dict[str, Window]
) -> None:
    """With script, on a narrow screen; what the rules refuse says why."""
    callback = f"{service.url}/callback"
    with chromium.window(language="en-US", width=390) as person:
        person.log_in("system", PASSWORD, button="Sign in")
        person.open("/console/clients")
        for address in ("http://plain.example/cb", callback):
            register_application(person, "Office", "office", address, "Register an application")
            assert ("Refused by the rules" in person.text()) is (address != callback)
            if address != callback:
                person.open("/console/clients")
        assert "Client secret (shown this once)" in person.text()
        secret = secret_of(person)
    with chromium.window(language="en-US", width=390) as person:
        landed = enter(
            person, service, "office", name="audit", words=("Sign in", "Office", "Agree")
        )
        assert "id_token" in redeem(service, landed, ("office", secret))
        person.open("/account")
        assert "Office" in person.text()


def test_many_at_once_are_previewed_decided_and_made(business: Window, tmp_path: Path) -> None:
    """Without script: a bad row is marked and stops the file; the mended one is issued."""
    certificate = make_recipient(tmp_path)
    upload_batch(business, tmp_path, ["a.example.gov.cn", "not_a_host!"])
    assert "不合格" in business.text()
    upload_batch(business, tmp_path, [f"{number}.example.gov.cn" for number in range(100)])
    assert "不合格" not in business.text()
    business.fill(recipient=certificate)
    business.press("提交签发")
    business.press("审核通过")
    until(business, "已完成")
    assert "100 / 100" in business.text()
    assert "下载结果包" in business.text()


def test_a_person_applies_picks_up_logs_in_and_is_refused_after_the_loss(
    chromium: Chromium, system: Window, business: Window, tmp_path: Path
) -> None:
    """Without script."""
    wang = newcomer(chromium, system, "wang")
    apply_for(wang, "person-authentication")
    newest(business, "requests")
    business.press("审核通过")
    pick_up(wang, business, make_csr(tmp_path, "wang"))
    assert "此证书现在可以用来登录" in wang.text()
    pem = unescape(found(r"(-----BEGIN CERTIFICATE-----[^<]+)<", wang.html()))
    with chromium.window(script=False) as elsewhere:
        log_in_by_certificate(elsewhere, pem, tmp_path / "wang.pem")
        assert elsewhere.path() == "/"
        assert "用户wang" in elsewhere.text()
        own_certificate(wang)
        wang.unfold("挂失")
        wang.press("确认")
        assert "已挂失，证书已冻结" in wang.text()
        log_in_by_certificate(elsewhere, pem, tmp_path / "wang.pem")
        assert "证书登录未成功" in elsewhere.text()


def test_what_was_reviewed_is_made_by_somebody_else_and_signs_its_person_in(
    service: Service,
    chromium: Chromium,
    administrators: dict[str, Window],
    root: str,
    tmp_path: Path,
) -> None:
    """Without script: apply, review, make with the request of the medium, log in with it."""
    system, business = administrators["system"], administrators["business"]
    maker = newcomer(chromium, system, "maker", "business")
    want_made(business, root, "person-authentication", maker="maker")
    sun = newcomer(chromium, system, "sun")
    apply_for(sun, "person-authentication")
    request = newest(business, "requests")
    business.press("审核通过")
    assert "已签发" not in business.text()
    maker.open(request)
    maker.fill(csr=make_csr(tmp_path, "sun"))
    maker.press("制证")
    assert "已签发" in maker.text()
    certificate = own_certificate(sun)
    sun.press("用此证书登录")
    pem = Caller(service, "business")("GET", f"{certificate}?format=pem").decode()
    with chromium.window(script=False) as elsewhere:
        log_in_by_certificate(elsewhere, pem, tmp_path / "sun.pem")
        assert "用户sun" in elsewhere.text()
    business.open("/console/rights")
    business.unfold("删除")  # the rule: nobody else wants it
    business.press("确认")


def test_a_key_is_recovered_with_two_officers_and_its_holder_sees_it(
    chromium: Chromium, system: Window, business: Window, tmp_path: Path
) -> None:
    """Without script: a pair is picked up; asked for, approved twice, fetched once."""
    holder = newcomer(chromium, system, "zhao")
    officers = [newcomer(chromium, system, name, "key") for name in ("officer-a", "officer-b")]
    apply_for(holder, "person-dual-signing")
    request = newest(business, "requests").rpartition("/")[2]
    business.press("审核通过")
    pick_up(holder, business, make_csr(tmp_path, "zhao"))
    certificate = own_certificate(holder)
    signing = found(r'href="/console/certificates/([^"]+)"', shown(business, request))
    business.open("/console/recoveries")
    business.unfold("申请恢复（用户）")
    business.fill(request_id=request, certificate=signing, reason="介质损坏")
    business.press("提交申请")
    recovery = business.path()
    for officer in officers:
        officer.open(recovery)
        officer.press("批准")
    business.open(recovery)
    business.press("领取密钥（仅一次）")
    assert "加密的私钥" in business.text()
    business.open(recovery)
    assert "加密的私钥" not in business.text()
    holder.open(certificate)
    assert "用户恢复 · 已交付" in holder.text()
    assert "officer-a，officer-b" in holder.text()


def shown(person: Window, request: str) -> str:
    """Open a request; return its page."""
    person.open(f"/console/requests/{request}")
    return person.html()
