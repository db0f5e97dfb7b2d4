# ruff: noqa: RUF001 - Chinese text has Chinese punctuation
"""The pages in Chromium: journeys of administrators, and axe-core's verdict on every page."""

from __future__ import annotations

import re
import subprocess
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from hashlib import sha256
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests

from tests.judges.window import Chromium, Window
from tests.service import Service

PASSWORD = "correct horse battery"
STANDARD_ID = "1234567812345678"


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
            person.open(link)
            person.fill(password=PASSWORD, repeat=PASSWORD)
            person.press("保存")
            assert "口令已设置" in person.text()


def make_csr(directory: Path, name: str) -> str:
    key = directory / f"{name}.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "SM2", "-out", key], check=True)
    made = subprocess.run(
        [
            *("openssl", "req", "-new", "-key", key, "-sm3", "-subj", f"/C=CN/CN={name}"),
            *("-sigopt", f"distid:{STANDARD_ID}"),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    return made.stdout


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
        for names in (("a.example.gov.cn", "not_a_host!"), ("b.example.gov.cn", "c.example.cn")):
            table.write_text("CN,dns\n" + "".join(f"{name},{name}\n" for name in names))
            person.open("/console/bulk")
            person.unfold("上传文件")
            person.choose("file", table)
            person.fill(profile="device", issuer="sm2-issuing", key_algorithm="sm2", label="网关")
            person.press("上传文件")
            until(person, "待提交")
            assert ("不合格" in person.text()) is (names[1] == "not_a_host!")
        person.fill(recipient=certificate)
        person.press("提交签发")
        person.press("审核通过")
        until(person, "已完成")
        assert "2 / 2" in person.text()
        assert "下载结果包" in person.text()


def make_recipient(directory: Path) -> str:
    """The certificate for whom the package of a batch is encrypted."""
    made = subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=recipient"),
            *("-keyout", directory / "recipient.pem"),
            *("-addext", "keyUsage=critical,keyEncipherment"),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    return made.stdout


def until(person: Window, text: str) -> None:
    """Look again, as the page does by itself, until it says `text`."""
    for _ in range(240):
        if text in person.text():
            return
        time.sleep(0.5)
        person.open(person.path())
    raise AssertionError(person.text())


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


def test_a_certificate_logs_its_holder_in_until_it_is_reported_lost(
    service: Service, chromium: Chromium, chosen: None, tmp_path: Path
) -> None:
    """In English: applied for, approved, bound, logged in with, frozen, refused."""
    csr = make_csr(tmp_path, "wang")
    with (
        chromium.window(script=False, language="en-US") as business,
        chromium.window(script=False, language="en-US") as system,
    ):
        business.log_in("business", PASSWORD, button="Sign in")
        business.open("/console/requests/new?profile=device")
        business.fill(issuer="sm2-issuing", csr=csr)
        business.press("Submit")
        business.press("Approve")
        business.open(re.search(r'href="(/console/certificates/[^"]+)"', business.html())[1])
        certificate = business.path()
        system.log_in("system", PASSWORD, button="Sign in")
        system.open("/console/users")
        system.unfold("Create a user")
        system.fill(name="wang", display_name="Wang Wu")
        system.press("Create a user")
        pem = published(service, certificate)
        bind(service, user=system.path().rpartition("/")[2], certificate=pem)
        holder = system
        log_in_by_certificate(holder, pem, tmp_path)
        assert holder.path() == "/"
        assert "Wang Wu" in holder.text()
        business.follow("Hold")
        business.press("Hold")
        log_in_by_certificate(holder, pem, tmp_path)
        assert "The certificate login did not succeed" in holder.text()


def published(service: Service, page: str) -> str:
    """The certificate on a page of the console, as PEM."""
    where = page.removeprefix("/console")
    return call(service, "GET", f"{where}?format=pem", "business").text


def bind(service: Service, *, user: str, certificate: str) -> None:
    """Let a certificate log a user in."""
    body = {"user_id": user, "certificate": certificate}
    call(service, "POST", "/certificate-bindings", "system", json=body)


def call(service: Service, method: str, path: str, role: str, **how: Any) -> requests.Response:
    """Call the API, for what has no form."""
    answer = requests.request(
        method,
        f"{service.url}/api/v1{path}",
        headers={"Authorization": f"Bearer {service.token(role)}"},
        verify=str(service.root),
        timeout=60,
        **how,
    )
    assert answer.ok, answer.text
    return answer


def log_in_by_certificate(person: Window, certificate: str, directory: Path) -> None:
    """Sign the challenge with the key `wang.pem`, as the page explains it."""
    person.open("/login/certificate")
    challenge = directory / "login.txt"
    challenge.write_text(unescape(re.search(r'id="message"[^>]*>([^<]+)<', person.html())[1]))
    signed = subprocess.run(
        [
            *("openssl", "pkeyutl", "-sign", "-inkey", directory / "wang.pem", "-rawin"),
            *("-digest", "sm3", "-pkeyopt", f"distid:{STANDARD_ID}", "-in", challenge),
        ],
        check=True,
        capture_output=True,
    )
    person.fill(certificate=certificate, signature=b64encode(signed.stdout).decode())
    person.press("Sign in")


PAGES = {
    "business": (
        "/console",
        "/console/start",
        "/console/requests",
        "/console/requests/new?profile=device",
        "/console/certificates",
        "/console/bulk",
        "/console/massrevocations",
        "/console/organisations",
        "/console/subjects",
        "/console/subjects/new",
        "/console/rights",
        "/console/recoveries",
        "/console/profiles/device",
    ),
    "system": ("/console", "/console/clients", "/console/users", "/console/settings"),
    "audit": ("/console/audit", "/console/audit/verification", "/console/proposals", "/"),
}


def test_no_page_breaks_a_rule_of_axe_or_leaves_the_origin(
    chromium: Chromium, chosen: None
) -> None:
    found: dict[str, list[str]] = {}
    for role, pages in PAGES.items():
        with chromium.window() as person:
            person.log_in(role, PASSWORD)
            for page in pages:
                person.open(page)
                found[page] = person.judge()
    assert {page: faults for page, faults in found.items() if faults} == {}


def test_axe_and_the_ears_for_other_origins_can_say_no(chromium: Chromium) -> None:
    """The judge finds what is planted: a page of somebody else's making."""
    with chromium.window() as person:
        person.go("data:text/html,<main><img src='https://x.example/y'><p>x</main>")
        verdict = person.judge()
    assert any("image-alt" in one for one in verdict)
    assert any("leaves the origin: https://x.example/y" in one for one in verdict)
