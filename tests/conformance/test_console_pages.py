# ruff: noqa: RUF001 - Chinese text has Chinese punctuation
"""The pages in Chromium: journeys of administrators, and axe-core's verdict on every page."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.judges.window import Window
from tests.service import Service

PASSWORD = "correct horse battery"
STANDARD_ID = "1234567812345678"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    running = Service(tmp_path_factory.mktemp("pages") / "var").start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def chosen(service: Service) -> None:
    """The three administrators open their set-up links, without script, and choose passwords."""
    links = re.findall(r"https://\S+(/setup/\S+)", service.log.read_text())
    assert len(links) == 3
    with Window(service.url, script=False) as person:
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
    service: Service, chosen: None, tmp_path: Path
) -> None:
    """Without script: first steps, entry, review, the certificate, frozen, revoked."""
    with Window(service.url, script=False) as person:
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
    service: Service, chosen: None
) -> None:
    with Window(service.url, language="en-US", width=390) as person:
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


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_no_page_breaks_a_rule_of_axe_or_leaves_the_origin(
    service: Service, chosen: None, width: int, scheme: str
) -> None:
    found: dict[str, object] = {}
    for role, pages in PAGES.items():
        with Window(service.url, width=width, scheme=scheme) as person:
            person.log_in(role, PASSWORD)
            for page in pages:
                person.open(page)
                verdict = person.judge()
                if verdict["axe"] or verdict["faults"] or verdict["overflow"] > 0:
                    found[page] = verdict
    assert found == {}


def test_axe_and_the_ears_for_other_origins_can_say_no(service: Service, chosen: None) -> None:
    """The judge finds what is planted: a page of somebody else's making."""
    with Window("data:") as person:
        person._do("open", path="data:text/html,<main><img src='https://x.example/y'><p>x</main>")
        verdict = person.judge()
    assert any(one.startswith("image-alt") for one in verdict["axe"])
