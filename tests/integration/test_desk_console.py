"""The console of a registration authority apart: its journeys, and what holds of every page."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.conformance.people import make_recipient
from tests.integration import deskconsole, offers
from tests.integration import test_every_page as every
from tests.integration.browsing import make_certificate
from tests.integration.console import ORIGIN, Browser
from tests.integration.deskconsole import ISSUED, OFFICE, desk_installation
from tests.integration.everypage import SCRIPT, Everything, routes
from tests.judges.octets import REQUEST, pem
from tests.unit.ca.csrs import make_csr
from yinxin.deskservice import DeskService

CERTIFICATE = f"/console/certificates/sm2-issuing/{ISSUED}"


class Apart(Everything):
    """Every page of a registration authority, where all that was typed is a script."""

    service: DeskService

    def _fill(self) -> None:
        self.root = deskconsole.CITY
        business = self.at["business"]
        grant = {"operator": "clerk", "organisation": OFFICE, "steps": "entry"}
        business.done("/console/rights", grant)
        self._enter("device", CN=SCRIPT)
        self._reject(self._enter("device", CN=SCRIPT))
        coded = {"profile": "device", "issuer": "sm2-issuing", "subject-CN": SCRIPT}
        coded = business.done("/console/requests/new", coded).partition("?")[0]
        self._answer("/console/requests/{request_id}/approve", business.post(f"{coded}/approve"))
        table = f"CN,dns\n{SCRIPT},bad_host!\na.example.gov.cn,a.example.gov.cn\n".replace('"', "")
        fields = {"profile": "device", "issuer": "sm2-issuing", "label": SCRIPT}
        made = business.post("/console/bulk", fields, files={"file": ("a.csv", table.encode())})
        self.service.bulk.worker.run()
        self.pages |= {
            "/console/requests/new": ("business", "/console/requests/new?profile=device"),
            "/console/requests/{request_id}": ("business", coded),
            "/console/bulk/{batch_id}": ("business", made.headers["location"]),
            "/console/organisations/{organisation_id}": (
                "business",
                f"/console/organisations/{OFFICE}",
            ),
            "/console/certificates/{issuer}/{serial}/{act}": ("business", f"{CERTIFICATE}/revoke"),
        }
        for who, paths in AT_THEIR_ROUTE.items():
            self.pages |= {f"/console{path}": (who, f"/console{path}") for path in paths.split()}
        self.pages["/console"] = ("business", "/console")

    def _reject(self, request: str) -> None:
        self.at["business"].done(f"{request}/reject", {"reason": SCRIPT})


AT_THEIR_ROUTE = {
    "business": "/bulk /certificates /organisations /requests /rights /start /statistics",
    "system": "/users",
    "audit": "/audit",
}
NO_PAGES = {"/console/bulk/{batch_id}/rows.csv", "/console/requests/{request_id}/files/{name}"}
ALIKE = ("audit", "clients", "logouts", "proposals", "sessions", "signingkeys", "users", "zone")
"""Sections that are the authority's, to the line: `test_every_page` has all of their pages."""


def differs(route: str) -> bool:
    return every.section_of(route) not in ALIKE


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apart]:
    with desk_installation(tmp_path_factory.mktemp("apart"), SCRIPT) as found:
        yield Apart(*found)


@pytest.fixture(scope="module")
def business(apart: Apart) -> Browser:
    return apart.at["business"]


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> str:
    directory: Path = tmp_path_factory.mktemp("chain")
    return make_certificate("gateway.example.gov.cn", directory, "given")[0].read_text()


def enter(browser: Browser, name: str) -> str:
    csr = pem(REQUEST, make_csr(subject=(("CN", name),), names=(f"dns:{name}",)))
    fields = {"profile": "device", "issuer": "sm2-issuing", "csr": csr}
    return browser.done("/console/requests/new", fields).partition("?")[0]


# ---- journeys -----------------------------------------------------------------------------------


def test_a_request_is_entered_reviewed_answered_and_acted_upon(
    apart: Apart, business: Browser, chain: str
) -> None:
    request = enter(business, "gateway.example.gov.cn")
    page = business.page(request)
    assert "CN=gateway.example.gov.cn" in page, "who reviews sees what is asked for"
    assert "dns:gateway.example.gov.cn" in page
    assert "gateway.example.gov.cn" in business.page("/console/requests?subject=gateway")
    business.done(f"{request}/approve")
    assert "等待认证机构处理" in business.page(request)
    deskconsole.answer(apart.service, chain)
    page = business.page(request)
    assert "已完成" in page
    assert business.http.get(f"{request}/files/chain").text == chain
    for name in ("enveloped_key", "requester", "x"):
        business.page(f"{request}/files/{name}", status=404)

    assert f'href="{CERTIFICATE}/revoke"' in page
    asked = business.page(f"{CERTIFICATE}/revoke")
    assert "吊销后不能恢复" in asked
    assert f'href="{request}"' in asked
    act = business.done(f"{CERTIFICATE}/revoke", {"reason": "keyCompromise"}).partition("?")[0]
    acts = deskconsole.answer(apart.service, chain, refused="不是本分支的证书")
    assert [(one.operation, one.serial, one.reason) for one in acts] == [
        ("revoke", ISSUED, "keyCompromise")
    ]
    page = business.page(act)
    assert "认证机构不予受理" in page
    assert "不是本分支的证书" in page
    assert ISSUED in business.page(f"/console/requests?serial={ISSUED}&operation=revoke")


def test_a_certificate_is_named_as_people_copy_its_number(business: Browser) -> None:
    query = {"issuer": "sm2-issuing", "serial": " 0A:1B 2c", "act": "hold"}
    answer = business.http.get("/console/certificates", params=query)
    assert answer.headers["location"] == "/console/certificates/sm2-issuing/0a1b2c/hold"
    assert "0a1b2c" in business.page(answer.headers["location"])
    for wrong in ("0a1g", "x/y", "../audit", "0" * 99):
        answer = business.http.get("/console/certificates", params={**query, "serial": wrong})
        if answer.status_code == 303:
            answer = business.http.get(answer.headers["location"])
        assert answer.status_code in (404, 422, 400), wrong
    business.page(f"{CERTIFICATE}/report-lost", status=404)
    assert business.post(f"{CERTIFICATE}/report-lost").status_code == 404


def test_a_table_waits_for_the_authority_or_goes_on_without_it(
    apart: Apart, business: Browser, tmp_path: Path
) -> None:
    fields = {"profile": "device", "issuer": "sm2-issuing", "label": "窗口终端"}
    table = b"CN,dns\nt1.example.gov.cn,t1.example.gov.cn\nt2.example.gov.cn,t2.example.gov.cn\n"
    made = business.post("/console/bulk", fields, files={"file": ("a.csv", table)})
    batch = made.headers["location"]
    apart.service.bulk.worker.run()
    apart.service.asking.not_asked("the authority does not answer")
    page = business.page(batch)
    assert "待认证机构检查" in page
    assert "0 / 2" in page
    assert "the authority does not answer" in page
    assert business.http.get(batch).headers["refresh"] == "3"
    business.done(f"{batch}/unasked")
    apart.service.bulk.worker.run()
    page = business.page(batch)
    assert "2 / 2" in page
    assert "提交签发" in page
    assert business.post(f"{batch}/submit", {"recipient": "x"}).status_code == 400

    business.done(f"{batch}/submit", {"recipient": make_recipient(tmp_path)})
    business.done(f"{batch}/approve")
    apart.service.bulk.worker.run()
    page = business.page(batch)
    assert "已完成" in page
    assert "待领取" in page
    package = business.post(f"{batch}/package")
    name = package.headers["content-disposition"].partition('"')[2].rstrip('"')
    assert name.endswith(f"-{hashlib.sha256(package.content).hexdigest()}.p7m")
    for wrong, status in (("", 400), (name[:-10], 400), (f"{'0' * 64}.p7m", 422)):
        answer = business.post(f"{batch}/confirm", {"package": wrong})
        assert answer.status_code == status, (wrong, answer.text[-900:])
    business.done(f"{batch}/confirm", {"package": name})
    assert business.post(f"{batch}/package").status_code == 409


def test_a_form_takes_a_table_as_long_as_the_api_does(business: Browser) -> None:
    fields = {"profile": "device", "issuer": "sm2-issuing"}
    table = b"CN,dns\n" + b"".join(b"%032d.example.gov.cn,\n" % n for n in range(9_000))
    files = {"file": ("a.csv", table)}
    assert len(table) > 400_000
    batch = business.post("/console/bulk", fields, files=files).headers["location"]
    assert "0 / 9000" in business.page(batch)
    business.done(f"{batch}/cancel")
    for path in ("/console/requests/new", f"{batch}/submit"):
        assert business.post(path, fields, files=files).status_code == 413, path
    stranger = TestClient(business.http.app, base_url=ORIGIN, follow_redirects=False)
    assert stranger.post("/console/bulk", files=files).status_code == 413


def test_before_the_first_exchange_the_pages_say_what_is_missing(business: Browser) -> None:
    rights = business.service.ground.registration.rights
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(type(rights), "scope", lambda *_, **__: frozenset())
        assert "您还没有任何机构的权限" in business.page("/console")
        assert "首次与认证机构连通后自动收到" in business.page("/console/start")


# ---- what is shown ------------------------------------------------------------------------------


def test_every_operation_has_a_page_or_a_reason_and_every_page_is_known(apart: Apart) -> None:
    served = routes(apart.service)
    pages = {path for method, path in served if method == "GET" and differs(path)}
    assert pages == {path for path in apart.pages if differs(path)} | NO_PAGES
    app = apart.at["audit"].http.app
    document = TestClient(app, base_url=ORIGIN).get("/api/openapi.json").json()
    published = {
        f"{method.upper()} {path.removeprefix('/api/v1')}"
        for path, methods in document["paths"].items()
        for method in methods
        if path.startswith("/api/v1/")
    }
    offered = {one: page for one, page in offers.PAGES.items() if one in published}
    offered |= offers.AT_A_DESK
    assert published == offered.keys() | (published & offers.REASONS.keys())
    console = {page for page in offered.values() if " /console" in page}
    assert console <= {f"{method} {path}" for method, path in served}


def test_what_the_authority_alone_can_do_is_not_there(apart: Apart) -> None:
    menu = set(re.findall(r'<li><a href="(/console[^"]*)"', apart.at["audit"].page("/console")))
    names = "bulk statistics organisations rights proposals clients users sessions logouts"
    names += " signingkeys audit"
    shown = {"/console", "/console/requests", *(f"/console/{name}" for name in names.split())}
    assert menu == shown
    for gone in ("massrevocations", "subjects", "profiles", "recoveries", "ceremonies"):
        apart.at["business"].page(f"/console/{gone}", status=404)
    branch = apart.at["business"].page(f"/console/organisations/{OFFICE}")
    assert '<form method="post" action="/console/organisations' not in branch
    request = apart.pages["/console/requests/{request_id}"][1]
    assert apart.at["business"].http.post(f"{request}/make").status_code == 404


# ---- what holds of every page -------------------------------------------------------------------


def test_every_page_is_shown_and_a_script_is_text(apart: Apart) -> None:
    shown = apart.shown()
    assert {one.status_code for one in shown.values()} == {200}
    shown["GET unknown"] = apart.show("business", "/console/requests/unknown")
    for route, one in shown.items():
        every.assert_guarded(route, one.headers)
        every.assert_no_script(route, one.text)
        text = re.sub(r"<[^>]*>", " ", one.text)
        assert every.BARE.search(text) is None, route
    assert sum("&lt;script&gt;" in one.text for one in shown.values()) >= 10
    every.test_a_script_in_an_address_is_text(apart)


def test_no_form_is_taken_that_was_forged_or_from_whom_it_is_not_for(
    apart: Apart, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = [path for method, path in routes(apart.service) if method == "POST" and differs(path)]
    monkeypatch.setattr(every, "forms", lambda _: ours)
    every.test_no_form_is_taken_that_was_forged(apart)
    every.test_no_form_is_taken_from_nobody(apart)
    monkeypatch.setattr(every, "LEAST_TRIED", 35)
    every.test_no_role_acts_by_the_address_of_a_form(apart)


def test_no_role_sees_a_page_by_its_address(apart: Apart, monkeypatch: pytest.MonkeyPatch) -> None:
    for route in ("/console/certificates", "/console/certificates/{issuer}/{serial}/{act}"):
        monkeypatch.setitem(every.NARROWER, route, "business")
    every.test_no_role_sees_a_page_by_its_address(apart)


def test_every_list_is_searched_sorted_and_exported(
    apart: Apart, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = {
        route: where
        for route, where in apart.pages.items()
        if where[1] == route and route not in every.NO_LISTS and differs(route)
        if "<table" in apart.show(*where).text
    }
    assert len(listing) == 4, listing.keys()
    every.test_every_list_sorts_by_a_click_and_says_how(apart, listing, monkeypatch)
    every.test_every_list_is_searched_and_exported(apart, listing)
