# ruff: noqa: RUF001 - Chinese text has Chinese punctuation
"""The pages in Chromium: journeys of administrators, and axe-core's verdict on every page."""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from hashlib import sha256
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests

from tests.conformance.people import (
    PASSWORD,
    apply_for,
    choose_password,
    found,
    log_in_by_certificate,
    make_csr,
    make_recipient,
    newcomer,
    newest,
    own_certificate,
    pick_up,
    until,
)
from tests.integration.console import installation
from tests.integration.everypage import Everything
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
def chosen(service: Service, chromium: Chromium) -> None:
    """The three administrators open their set-up links, without script, and choose passwords."""
    links = re.findall(r"https://\S+(/setup/\S+)", service.log.read_text())
    assert len(links) == 3
    with chromium.window(script=False) as person:
        for link in links:
            choose_password(person, link)


@pytest.fixture(scope="module")
def system(chromium: Chromium, chosen: None) -> Window:
    """A system administrator, signed in, without script."""
    window = chromium.window(script=False)
    window.log_in("system", PASSWORD)
    return window


@pytest.fixture(scope="module")
def business(chromium: Chromium, chosen: None) -> Window:
    """A business administrator, signed in, without script."""
    window = chromium.window(script=False)
    window.log_in("business", PASSWORD)
    return window


def test_from_nothing_to_the_first_certificate_and_its_loss(
    service: Service, chromium: Chromium, chosen: None, tmp_path: Path
) -> None:
    """Without script: first steps, entry, review, the certificate, frozen, revoked."""
    with chromium.window(script=False) as person:
        person.log_in("business", PASSWORD)
        person.open("/console/start")
        assert "建立机构树" in person.text()
        person.open("/console/requests/new?profile=device")
        person.fill(issuer="sm2-issuing", csr=make_csr(tmp_path, "vpn.example.gov.cn"))
        person.press("提交")
        assert "待审核" in person.text()
        person.press("审核通过")
        assert "已签发" in person.text()
        person.open(re.search(r'href="(/console/certificates/[^"]+)"', person.html())[1])
        certificate = person.path()
        assert "正常（good）" in person.text()
        person.follow("冻结")
        assert "之后可以解冻" in person.text()
        person.press("冻结")
        assert "已冻结" in person.text()
        person.follow("吊销")
        person.fill(reason="keyCompromise")
        person.press("吊销")
        assert person.path() == certificate
        assert "已吊销（revoked）" in person.text()


def test_in_english_an_application_is_registered_and_refused_ones_say_why(
    service: Service, chromium: Chromium, chosen: None
) -> None:
    with chromium.window(language="en-US", width=390) as person:
        person.log_in("system", PASSWORD, button="Sign in")
        person.open("/console/clients")
        person.unfold("Register an application")
        person.fill(name="Office", client_id="office", redirect_uris="http://plain.example/cb")
        person.press("Register an application")
        assert "Refused by the rules" in person.text()
        person.open("/console/clients")
        person.unfold("Register an application")
        person.fill(name="Office", client_id="office", redirect_uris="https://oa.example/cb")
        person.press("Register an application")
        assert "Client secret (shown this once)" in person.text()


def test_many_at_once_are_previewed_decided_and_made(
    service: Service, chromium: Chromium, chosen: None, tmp_path: Path
) -> None:
    """A bad row is marked and stops the file; the mended file is issued and fetched."""
    certificate = make_recipient(tmp_path)
    table = tmp_path / "gateways.csv"
    with chromium.window(script=False) as person:
        person.log_in("business", PASSWORD)
        hundred = [f"{number}.example.gov.cn" for number in range(100)]
        for names in (["a.example.gov.cn", "not_a_host!"], hundred):
            table.write_text("CN,dns\n" + "".join(f"{name},{name}\n" for name in names))
            person.open("/console/bulk")
            person.unfold("上传文件")
            person.choose("file", table)
            person.fill(profile="device", issuer="sm2-issuing", key_algorithm="sm2", label="网关")
            person.press("上传文件")
            until(person, "待提交")
            assert ("不合格" in person.text()) is ("not_a_host!" in names)
        person.fill(recipient=certificate)
        person.press("提交签发")
        person.press("审核通过")
        until(person, "已完成")
        assert "100 / 100" in person.text()
        assert "下载结果包" in person.text()


def test_an_application_is_registered_and_logged_in_to(
    service: Service, chromium: Chromium, chosen: None
) -> None:
    """Without script: registered, logged in to, consented to; the code is worth a token."""
    callback = f"{service.url}/callback"
    with chromium.window(script=False) as person:
        person.log_in("system", PASSWORD)
        person.open("/console/clients")
        person.unfold("登记应用")
        person.fill(name="办公系统", client_id="oa-portal", redirect_uris=callback)
        person.press("登记应用")
        secret = re.search(r'class="secret mono">([^<]{20,})<', person.html())[1]
    verifier = "v" * 43
    asked = {
        "client_id": "oa-portal",
        "response_type": "code",
        "scope": "openid profile",
        "redirect_uri": callback,
        "state": "s" * 22,
        "prompt": "consent",
        "code_challenge_method": "S256",
        "code_challenge": urlsafe_b64encode(sha256(verifier.encode()).digest()).decode()[:43],
    }
    with chromium.window(script=False) as person:
        person.open(f"/oidc/authorize?{urlencode(asked)}")
        person.fill(name="audit", password=PASSWORD)
        person.press("登录")
        assert "办公系统" in person.text()
        person.press("同意")
        landed = person.url()
    assert landed.startswith(f"{callback}?")
    answer = parse_qs(urlsplit(landed).query)
    assert answer["state"] == [asked["state"]]
    exchange = {"grant_type": "authorization_code", "redirect_uri": callback}
    told = requests.post(
        f"{service.url}/oidc/token",
        data=exchange | {"code": answer["code"][0], "code_verifier": verifier},
        auth=("oa-portal", secret),
        verify=str(service.root),
        timeout=30,
    )
    assert "id_token" in told.json(), told.text


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
        wang.press("挂失")
        assert "已挂失，证书已冻结" in wang.text()
        log_in_by_certificate(elsewhere, pem, tmp_path / "wang.pem")
        assert "证书登录未成功" in elsewhere.text()


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


def test_no_page_breaks_a_rule_of_axe_or_leaves_the_origin(
    chromium: Chromium, tmp_path: Path
) -> None:
    """Every page of the console and the portal, at both widths and in both colours."""
    with installation(tmp_path) as found, chromium.window() as person:
        everything = Everything(*found)
        files, judged = everything.files(), 0
        for route, answer in everything.shown().items():
            headers = {name: answer.headers[name] for name in SENT}
            # Chromium calls a refusal an error of the page, and it is a page as any other.
            person.show(answer.request.url.path, answer.text, headers=headers, files=files)
            assert person.judge() == [], route
            judged += 1
    assert judged > 60


SENT = ("content-type", "content-security-policy")
"""The headers that a page is judged with."""


def test_axe_and_the_ears_for_other_origins_can_say_no(chromium: Chromium) -> None:
    """The judge finds what is planted: a page of somebody else's making."""
    with chromium.window() as person:
        person.go("data:text/html,<main><img src='https://x.example/y'><p>x</main>")
        verdict = person.judge()
    assert any("image-alt" in one for one in verdict)
    assert any("leaves the origin: https://x.example/y" in one for one in verdict)
