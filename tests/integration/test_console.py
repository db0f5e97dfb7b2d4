# ruff: noqa: RUF001 - Chinese text has Chinese punctuation
"""The administrators' console: journeys, roles, forms, and what a page may hold."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from authn.logout.sqlstore import SQLParticipationStore
from authn.logout.store import Channel, Participation
from core.errors import Forbidden
from tests.integration import offers
from tests.integration.console import ORIGIN, Browser, installation
from tests.integration.everypage import SCRIPT, routes
from tests.judges.octets import REQUEST, pem
from tests.unit.ca.csrs import make_csr
from yinxin.console import places
from yinxin.console.api import Problem, path_of
from yinxin.console.sections import SECTIONS
from yinxin.wiring import Service


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Any]]:
    with installation(tmp_path_factory.mktemp("console")) as found:
        yield found


@pytest.fixture(scope="module")
def service(installed: tuple[Service, Any]) -> Service:
    return installed[0]


@pytest.fixture(scope="module")
def app(installed: tuple[Service, Any]) -> Any:
    return installed[1]


@pytest.fixture
def business(service: Service, app) -> Browser:
    return Browser(service, app, "business")


@pytest.fixture
def system(service: Service, app) -> Browser:
    return Browser(service, app, "system")


@pytest.fixture
def audit(service: Service, app) -> Browser:
    return Browser(service, app, "audit")


def enter(browser: Browser, name: str) -> str:
    """Enter a request for a device; return its page."""
    fields = {
        "profile": "device",
        "issuer": "sm2-issuing",
        "csr": pem(REQUEST, make_csr(subject=(("CN", name),))),
    }
    return browser.done("/console/requests/new", fields).partition("?")[0]


def issue(browser: Browser, name: str) -> str:
    """Have a certificate issued; return its page."""
    request = enter(browser, name)
    browser.done(f"{request}/approve")
    found = re.search(
        r'href="(/console/certificates/sm2-issuing/[0-9a-f]{40})"', browser.page(request)
    )
    assert found is not None
    return found[1]


# ---- journeys -----------------------------------------------------------------------------------


def test_a_request_is_entered_approved_and_its_certificate_revoked(business: Browser) -> None:
    request = enter(business, "vpn.example.gov.cn")
    assert "vpn.example.gov.cn" in business.page("/console/requests?state=pending")
    business.done(f"{request}/approve")
    assert "已签发" in business.page(request)
    certificate = re.search(r'href="(/console/certificates/[^"]+)"', business.page(request))[1]
    page = business.page(certificate)
    assert "正常（good）" in page
    assert "SM2 with SM3 (1.2.156.10197.1.501)" in page
    assert "SM2, 256 bit" in page
    assert "clientAuth, 1.3.6.1.5.5.7.3.17" in page, "a usage without a name shows its number"

    assert "吊销后不能恢复" in business.page(f"{certificate}/revoke")
    business.done(f"{certificate}/revoke", {"reason": "keyCompromise"})
    page = business.page(certificate)
    assert "已吊销（revoked）" in page
    assert "密钥泄露" in page
    business.page(f"{certificate}/hold", status=409)


def test_a_rejected_request_says_why(business: Browser) -> None:
    request = enter(business, "rejected.example.gov.cn")
    business.done(f"{request}/reject", {"reason": "单位名称有误"})
    page = business.page(request)
    assert "已拒绝" in page
    assert "单位名称有误" in page


def test_held_and_released(business: Browser) -> None:
    certificate = issue(business, "held.example.gov.cn")
    business.done(f"{certificate}/hold")
    assert "已冻结" in business.page(certificate)
    business.done(f"{certificate}/release")
    assert "正常（good）" in business.page(certificate)


def test_a_request_without_a_key_gives_two_codes_once(business: Browser) -> None:
    fields = {"profile": "device", "issuer": "sm2-issuing", "subject-CN": "later.example.gov.cn"}
    request = business.done("/console/requests/new", fields).partition("?")[0]
    answer = business.post(f"{request}/approve")
    assert answer.status_code == 200
    assert "领取两码" in answer.text
    assert "领取两码" not in business.page(request)


def test_codes_are_shown_to_who_may_not_look_at_the_organisation(
    business: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = re.search(
        r'href="/console/organisations/([0-9a-f]{32})"', business.page("/console/organisations")
    )[1]
    fields = {"profile": "device", "issuer": "sm2-issuing", "subject-CN": "apart.example.gov.cn"}
    request = business.done("/console/requests/new", fields | {"organisation": place})

    def refuse(*_: object, **__: object) -> None:
        raise Forbidden("not there")

    monkeypatch.setattr("ca.routes_organisations.require_sight", refuse)
    answer = business.post(f"{request.partition('?')[0]}/approve")
    assert answer.status_code == 200
    assert "领取两码" in answer.text
    assert place in answer.text


def test_downloads_have_a_name_and_the_octets(business: Browser) -> None:
    certificate = issue(business, "download.example.gov.cn")
    answer = business.http.get(f"{certificate}/download?format=pem")
    assert answer.text.startswith("-----BEGIN CERTIFICATE-----")
    assert "attachment" in answer.headers["content-disposition"]


def test_a_list_is_exported_and_no_cell_is_a_formula(business: Browser) -> None:
    fields = {
        "profile": "device",
        "issuer": "sm2-issuing",
        "subject-CN": "=1+2",
        "alternative_names": "dns:formula.example.gov.cn",
    }
    business.done("/console/requests/new", fields)
    table = business.http.get("/console/requests?format=csv")
    assert table.text.startswith("\ufeff")
    assert ",=1+2" not in table.text
    assert "'=1+2" in table.text


def test_the_tree_is_grown_renamed_and_shown(business: Browser) -> None:
    root = re.search(
        r'href="(/console/organisations/[0-9a-f]{32})"', business.page("/console/organisations")
    )[1]
    city = business.done(f"{root}/add", {"level": "city", "name": "杭州市"}).partition("?")[0]
    business.done(f"{city}/rename", {"name": "杭州市数据局"})
    page = business.page(city)
    assert "杭州市数据局" in page
    assert "更名" in page
    assert "杭州市数据局" in business.page(root)


def test_a_person_is_registered_and_found_by_the_identifier(business: Browser) -> None:
    root = re.search(
        r"/console/organisations/([0-9a-f]{32})", business.page("/console/organisations")
    )[1]
    number = "11010519491231002X"
    fields = {
        "kind": "person",
        "identifier_type": "identity-card",
        "identifier": number,
        "name": "张三",
        "organisation": root,
        "contact-phone": "0571-1",
    }
    person = business.done("/console/subjects/new", fields).partition("?")[0]
    page = business.page(person)
    assert "…002X" in page
    assert number not in page
    wanted = {k: fields[k] for k in ("kind", "identifier_type", "identifier")}
    assert business.done("/console/subjects/find", wanted) == person


def test_a_bulk_file_shows_its_bad_rows(business: Browser, service: Service) -> None:
    table = "CN,dns\nok.example.gov.cn,ok.example.gov.cn\nbad.example.gov.cn,not_a_host!\n"
    answer = business.post(
        "/console/bulk",
        {"profile": "device", "issuer": "sm2-issuing", "key_algorithm": "sm2", "label": "first"},
        files={"file": ("devices.csv", table.encode())},
    )
    assert answer.status_code == 303, answer.text
    batch = answer.headers["location"]
    assert business.http.get(batch).headers["refresh"] == "3"
    assert "refresh" not in business.http.get(f"{batch}?refresh=no").headers
    service.bulk.worker.run()
    page = business.page(f"{batch}?state=bad")
    assert "不合格" in page
    assert "ok.example.gov.cn" not in page


def test_an_application_shows_its_secret_once(system: Browser) -> None:
    fields = {
        "name": "办公系统",
        "client_id": "oa-portal",
        "redirect_uris": "https://oa.example.gov.cn/callback",
        "auth_method": "client_secret_basic",
        "scopes": ["openid", "profile"],
    }
    made = system.post("/console/clients", fields)
    assert made.status_code == 201, made.text
    secret = re.search(r'class="secret mono">([^<]{20,})<', made.text)[1]
    assert secret not in system.page("/console/clients/oa-portal")
    assert system.done("/console/clients/oa-portal/remove") == "/console/clients?done=1"
    system.page("/console/clients/oa-portal", status=404)


def test_what_was_refused_comes_back_to_be_mended(system: Browser) -> None:
    fields = {
        "name": "办公系统",
        "redirect_uris": "http://plain.example.gov.cn/cb\nhttps://b.example.gov.cn/cb",
        "auth_method": "client_secret_basic",
        "scopes": ["openid", "email"],
    }
    refused = system.post("/console/clients", fields)
    assert refused.status_code == 422
    assert "地址须以 https:// 开头" in refused.text
    assert 'name="name" value="办公系统"' in refused.text
    assert "登录回调地址" in refused.text
    assert refused.text.count('name="scopes"') == 2


def test_what_an_application_was_not_told_is_seen_tried_again_and_given_up(
    installed: tuple[Service, Any], system: Browser
) -> None:
    ground = installed[0].ground
    store = SQLParticipationStore(ground.database)
    gone = Participation("s-9", "gone", "", Channel.OIDC, "u", "https://oa.example.cn/bc", None)
    store.take_part(gone)
    store.close(["s-9"], ground.clock.now())
    assert "gone" in system.page("/console/logouts")
    system.done("/console/logouts/gone/retry")
    system.done("/console/logouts/gone/drop")
    assert ">gone<" not in system.page("/console/logouts")
    assert system.post("/console/logouts/gone/drop").status_code == 404


def test_an_older_portal_is_registered_on_the_page_and_keeps_what_the_api_gave(
    system: Browser,
) -> None:
    """CAS, logout and contacts have fields; what has none stays when those change."""
    fields = {
        "name": "老门户",
        "client_id": "old-portal",
        "auth_method": "client_secret_basic",
        "id_token_algorithm": "RS256",
        "scopes": ["openid"],
        "cas_services": "https://old.example.gov.cn/cas\nhttps://old.example.gov.cn/cas2",
        "gate_origins": "https://behind.example.gov.cn",
        "contacts": "张伟 0571-1",
    }
    made = system.post("/console/clients", fields)
    assert made.status_code == 201, made.text
    page = system.page("/console/clients/old-portal")
    assert "https://old.example.gov.cn/cas2" in page
    assert "RS256" in page
    clients = system.service.ground.administration.clients
    known = clients.get("old-portal")
    kept = known.metadata.model_copy(update={"default_max_age": 600})
    more = {"redirect_uris": [], "auth_method": known.auth_method, "post_logout_redirect_uris": []}
    more |= {"allowed_scopes": ["openid"], "id_token_algorithm": known.id_token_algorithm}
    clients.change("old-portal", known.name, metadata=kept, actor="t", **more)
    assert "default_max_age: 600" in system.page("/console/clients/old-portal")
    system.done("/console/clients/old-portal/change", fields | {"contacts": "", "gate_origins": ""})
    changed = clients.get("old-portal").metadata
    assert changed.contacts == changed.gate_origins == ()
    assert len(changed.cas_services) == 2
    assert changed.default_max_age == 600


def test_an_organisation_that_is_not_listed_is_found_by_name(
    business: Browser, system: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A city has more organisations than a list to choose from."""
    root = re.search(
        r"/console/organisations/([0-9a-f]{32})", business.page("/console/organisations")
    )
    assert root is not None
    above = f"/console/organisations/{root[1]}"
    for name in ("甲局", "乙局", "丙局"):
        business.done(f"{above}/add", {"level": "city", "name": name})
    listed = business.page("/console/organisations?text=丙局")
    found = re.search(r'/console/organisations/([0-9a-f]{32})"[^>]*>丙局', listed)
    assert found is not None
    fields = {"name": "卫健", "client_id": "health", "scopes": ["openid"], "auth_method": "none"}
    system.post("/console/clients", fields | {"redirect_uris": "https://h.example.gov.cn/cb"})
    here, last = "/console/clients/health/access", found[1]
    level = {"least_level": "password"}
    first = {"organisation-1": root[1], "capacity-1": ""}
    system.done(here, level | first | {"organisation-2": last, "capacity-2": "agent"})
    policy = system.service.provider.admission.access.policy("health")
    assert [(one.organisation, one.capacity) for one in policy.rules] == [
        (root[1], None),
        (last, "agent"),
    ], "what is left empty keeps its place"
    monkeypatch.setattr(places, "PAGE", 1)
    page = system.page(here)
    assert "请先按名称查找" in page
    assert f'value="{last}" selected>丙局<' in page, "what is chosen keeps its name"
    assert ">乙局<" not in page
    assert ">乙局<" in system.page(f"{here}?find=乙局")
    for browser, path in (
        (business, "/console/requests/new?profile=tls-server"),
        (business, "/console/subjects/new"),
        (business, "/console/bulk"),
        (business, "/console/massrevocations"),
        (business, "/console/statistics"),
        (business, "/console/rights"),
        (business, f"/console/organisations/{last}"),
    ):
        page = browser.page(path)
        assert "请先按名称查找" in page, path
        assert ">乙局</option>" not in page, path
        page = browser.page(f"{path}{'&' if '?' in path else '?'}find=乙局")
        assert ">乙局</option>" in page, path
        assert ('name="profile" value="tls-server"' in page) == ("profile=" in path), "kept"


def test_an_application_is_opened_to_as_many_organisations_as_a_city_has(
    business: Browser, system: Browser
) -> None:
    listed = business.page("/console/organisations")
    root = re.search(r"/console/organisations/([0-9a-f]{32})", listed)
    assert root is not None
    for at in range(40):
        fields = {"level": "city", "name": f"众局{at:02}"}
        business.done(f"/console/organisations/{root[1]}/add", fields)
    listed = business.page("/console/organisations?text=众局")
    many = re.findall(r'/console/organisations/([0-9a-f]{32})"[^>]*>众局', listed)
    assert len(many) == 40
    fields = {"name": "众", "client_id": "many", "scopes": ["openid"], "auth_method": "none"}
    system.post("/console/clients", fields | {"redirect_uris": "https://m.example.gov.cn/cb"})
    here = "/console/clients/many/access"
    level = {"least_level": "password", "capacity-several": "agent"}
    system.done(here, level | {"several": many})
    lines = {f"organisation-{at}": one for at, one in enumerate(many, 1)}
    lines |= {f"capacity-{at}": "agent" for at in range(1, 41)}
    page = system.page(here)
    assert page.count(" selected>众局") == 40
    more = {"organisation-41": root[1], "capacity-41": "", "organisation-1": ""}
    system.done(here, level | lines | more)
    policy = system.service.provider.admission.access.policy("many")
    assert [(one.organisation, one.capacity) for one in policy.rules] == [
        *((one, "agent") for one in many[1:]),
        (root[1], None),
    ]


def test_a_user_gets_a_link_and_is_locked_out(system: Browser) -> None:
    person = system.done("/console/users", {"name": "wang", "display_name": "王五"})
    link = system.post(f"{person.partition('?')[0]}/setup-link")
    assert "/setup/" in link.text
    system.done(f"{person.partition('?')[0]}/disable")
    assert "已停用" in system.page(person)


def test_how_a_user_is_reached_is_changed(system: Browser) -> None:
    person = user_page(system, "reached")
    system.done(f"{person}/contact", {"email": "r@example.gov.cn", "phone": "+8613800138000"})
    page = system.page(person)
    assert "r@example.gov.cn" in page
    assert "+8613800138000" in page
    assert system.post(f"{person}/contact", {"phone": "x" * 40}).status_code == 400


def test_lost_factors_are_reset_in_a_form_that_asks_why(service: Service, system: Browser) -> None:
    person = user_page(system, "lost")
    assert 'name="reason"' in system.page(person)
    assert system.post(f"{person}/reset-factors", {"reason": " "}).status_code == 400
    shown = system.post(f"{person}/reset-factors", {"reason": "手机丢失"})
    link = re.search(r"/setup/([A-Za-z0-9_-]{43})", shown.text)[1]
    found = service.ground.administration.users.find_by_setup_link(link)
    assert found.name == "lost"
    assert link not in system.page(person)


def test_the_auditor_reads_and_verifies(audit: Browser) -> None:
    assert "issuer.created" in audit.page("/console/audit?sort=sequence")
    newest = audit.page("/console/audit")
    assert "会话开始" in newest, "events have names"
    assert "issuer.created" not in newest
    assert "审计链完整" in audit.page("/console/audit/verification")
    assert '"sequence"' not in audit.http.get("/console/audit?format=csv").text
    assert "正常" in audit.page("/console")


# ---- people, applications, keys ------------------------------------------------------------------


def user_page(system: Browser, name: str) -> str:
    """Create a user; return their page."""
    fields = {"name": name, "display_name": f"{name} {SCRIPT}"}
    return system.done("/console/users", fields).partition("?")[0]


def test_a_certificate_is_bound_to_a_user_and_unbound(system: Browser, business: Browser) -> None:
    certificate = issue(business, "bound.example.gov.cn")
    text = business.http.get(f"{certificate}/download?format=pem").text
    person = user_page(system, "bound")
    system.done(f"{person}/bindings", {"certificate": text})
    page = system.page(f"{person}/identities")
    binding = re.search(rf'action="({person}/bindings/[^"]+/remove)"', page)[1]
    system.done(binding)
    assert binding not in system.page(f"{person}/identities")


def test_a_person_belongs_to_an_organisation_and_is_verified(
    system: Browser, business: Browser
) -> None:
    root = re.search(
        r"/console/organisations/([0-9a-f]{32})", business.page("/console/organisations")
    )[1]
    person = user_page(system, "affiliated")
    tie = {"organisation": root, "capacity": "agent", "ends_on": "2100-01-01"}
    system.done(f"{person}/affiliations", tie)
    page = system.page(f"{person}/identities")
    assert "经办人" in page
    assert "2100-01-01" in page
    number = "11010519491231002X"
    system.done(f"{person}/real-name", {"level": "3", "identity_card": number})
    assert number not in system.page(f"{person}/identities")
    system.done(re.search(rf'action="({person}/affiliations/[^"]+/remove)"', page)[1])
    assert "2100-01-01" not in system.page(f"{person}/identities")


def test_who_may_enter_an_application_is_said_in_a_form(
    system: Browser, business: Browser, audit: Browser
) -> None:
    root = re.search(
        r"/console/organisations/([0-9a-f]{32})", business.page("/console/organisations")
    )[1]
    fields = {"name": "财务", "client_id": "finance", "redirect_uris": "https://f.example.cn/cb"}
    system.post("/console/clients", {**fields, "scopes": ["openid"]})
    policy = {
        "least_level": "certificate",
        "account": "legal",
        "least_real_name": "2",
        "consent": "on",
        "organisation-1": root,
        "capacity-1": "agent",
        "organisation-2": "",
    }
    system.done("/console/clients/finance/access", policy)
    page = audit.page("/console/clients/finance/access")
    for chosen in ("certificate", "legal", "2", root, "agent"):
        assert f'value="{chosen}" selected' in page
    assert 'name="consent" checked' in page


def test_an_application_is_changed_and_gets_a_new_secret(system: Browser) -> None:
    fields = {"name": "人事", "client_id": "staff", "redirect_uris": "https://s.example.cn/cb"}
    system.post("/console/clients", {**fields, "scopes": ["openid"]})
    changed = {"name": "人事系统", "redirect_uris": "https://s.example.cn/2"}
    kept = {"scopes": ["openid", "email"], "auth_method": "client_secret_basic"}
    system.done("/console/clients/staff/change", changed | kept)
    page = system.page("/console/clients/staff")
    assert "人事系统" in page
    assert "https://s.example.cn/2" in page
    made = system.post("/console/clients/staff/secret", {"keep_old_hours": "0"})
    secret = re.search(r'class="secret mono">([^<]{20,})<', made.text)[1]
    assert secret not in system.page("/console/clients/staff")


def test_who_is_signed_in_is_listed_and_signed_out(service: Service, app, system: Browser) -> None:
    user_page(system, "leaving")
    leaving = Browser(service, app, "leaving")
    assert leaving.http.get("/").status_code == 200
    page = system.page("/console/sessions?user=leaving")
    assert "leaving" in system.http.get("/console/sessions?format=csv").text
    system.done(re.search(r'action="(/console/sessions/[^"]+/end)"', page)[1])
    assert leaving.http.get("/").headers["location"] == "/login"
    assert "没有符合条件的记录" in system.page("/console/sessions?user=leaving")


def test_a_signing_key_is_rotated_and_a_registration_let_in(system: Browser) -> None:
    before = system.page("/console/signingkeys").count('class="mono"')
    algorithm = re.search(r"<option>(\w+)</option>", system.page("/console/signingkeys"))[1]
    system.done("/console/signingkeys/rotate", {"algorithm": algorithm})
    assert system.page("/console/signingkeys").count('class="mono"') == before + 1
    made = system.post(
        "/console/signingkeys/tokens", {"name": "大数据局", "uses": "2", "days": "3"}
    )
    secret = re.search(r'class="secret mono">([^<]{20,})<', made.text)[1]
    page = system.page("/console/signingkeys")
    assert secret not in page
    assert "大数据局" in page
    system.done(re.search(r'action="(/console/signingkeys/tokens/[^"]+/withdraw)"', page)[1])
    assert "大数据局" not in system.page("/console/signingkeys")


def test_statistics_are_drawn_and_exported(business: Browser) -> None:
    issue(business, "counted.example.gov.cn")
    page = business.page("/console/statistics")
    assert '<rect class="bar"' in page
    assert "每月签发" in page
    assert ",issued," in business.http.get("/console/statistics?format=csv").text
    assert business.page("/console/notices?state=sent")


def test_a_transcript_that_is_none_is_refused_with_its_reason(audit: Browser) -> None:
    answer = audit.post("/console/ceremonies/verify", files={"file": ("x", b'{"what": "x"}\n')})
    assert answer.status_code == 400
    assert "transcript" in answer.text


def test_a_loss_is_reported_at_the_desk(business: Browser) -> None:
    certificate = issue(business, "lost.example.gov.cn")
    assert "立即冻结" in business.page(f"{certificate}/report-lost")
    request = business.done(f"{certificate}/report-lost").partition("?")[0]
    assert "已先行冻结" in business.page(request)
    assert "已冻结" in business.page(certificate)


# ---- who may do what ----------------------------------------------------------------------------


def test_nobody_is_sent_to_the_login_page_and_back(service: Service, app) -> None:
    stranger = Browser(service, app, None)
    answer = stranger.http.get("/console/certificates?text=%E5%BC%A0")
    assert answer.status_code == 303
    assert (
        answer.headers["location"]
        == "/login?next=%2Fconsole%2Fcertificates%3Ftext%3D%25E5%25BC%25A0"
    )


def test_a_person_without_a_role_is_sent_home(service: Service, app) -> None:
    users = service.ground.administration.users
    users.create_user("li", display_name="李四", email=None, actor="system")
    answer = Browser(service, app, "li").http.get("/console")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/"


@pytest.mark.parametrize("role", ["system", "business", "audit"])
def test_every_page_is_refused_or_shown_as_the_menu_says(service: Service, app, role: str) -> None:
    browser = Browser(service, app, role)
    menu = set(re.findall(r'<li><a href="(/console[^"]*)"', browser.page("/console")))
    for section in SECTIONS:
        answer = browser.http.get(section.href)
        assert answer.status_code == (200 if section.href in menu else 403), section
    assert len(menu) > 4


def test_every_operation_of_the_api_has_a_page_or_a_reason(service: Service, app) -> None:
    """A new operation needs a line in `offers` to be merged."""
    document = TestClient(app, base_url=ORIGIN).get("/api/openapi.json").json()
    published = {
        f"{method.upper()} {path.removeprefix('/api/v1')}"
        for path, methods in document["paths"].items()
        for method in methods
        if path.startswith("/api/v1/")
    }
    assert published == offers.PAGES.keys() | offers.REASONS.keys()
    assert not offers.PAGES.keys() & offers.REASONS.keys()
    assert set(offers.PAGES.values()) <= {f"{method} {path}" for method, path in routes(service)}


# ---- forms --------------------------------------------------------------------------------------


def test_the_api_takes_no_session(business: Browser) -> None:
    assert business.http.get("/api/v1/certificates").status_code == 401


@pytest.mark.parametrize("segment", ["..", "a/b", "", "x?y", "../audit", "a%2fb", "x\r\n"])
def test_an_address_never_leads_to_another_route(segment: str) -> None:
    with pytest.raises(Problem) as refused:
        path_of("certificates", segment)
    assert refused.value.status == 404


# ---- what a page holds --------------------------------------------------------------------------


def test_what_people_enter_is_text_and_never_markup(business: Browser) -> None:
    root = re.search(
        r"/console/organisations/[0-9a-f]{32}", business.page("/console/organisations")
    )[0]
    business.done(f"{root}/add", {"level": "city", "name": SCRIPT})
    for path in (root, f"/console/certificates?text={SCRIPT}", f"/console/requests?state={SCRIPT}"):
        answer = business.http.get(path)
        assert SCRIPT not in answer.text
        assert "<script" not in answer.text


def test_times_show_the_zone_of_the_viewer(business: Browser) -> None:
    enter(business, "zone.example.gov.cn")
    assert "+08:00" in business.page("/console/requests")
    business.done("/console/zone", {"zone": "UTC", "here": "/console/requests"})
    assert "+00:00" in business.page("/console/requests")


def test_both_languages(business: Browser) -> None:
    assert "Work queue" in business.page("/console/requests?lang=en")
    assert '<html lang="en">' in business.page("/console")
    assert "工作队列" in business.page("/console/requests?lang=zh")


# ---- first steps, many at once, the system ------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "step"),
    [("system", "接入第一个应用"), ("business", "建立机构树"), ("audit", "验证审计链")],
)
def test_first_steps_say_what_is_done(service: Service, app, role: str, step: str) -> None:
    page = Browser(service, app, role).page("/console/start")
    assert step in page
    assert "已完成" in page


def test_an_administrator_who_chose_a_password_is_led_to_the_first_steps(
    service: Service, app
) -> None:
    administration = service.ground.administration
    user = administration.users.find_by_name("audit")
    token = administration.users.create_setup_link(user, actor="system")
    stranger = Browser(service, app, None)
    password = {"password": "correct horse battery", "repeat": "correct horse battery"}
    answer = stranger.post(f"/setup/{token}", password, at=f"/setup/{token}")
    assert 'href="/login?next=/console/start"' in answer.text


def test_a_selection_shows_what_it_hits_before_it_is_revoked(business: Browser) -> None:
    certificate = issue(business, "many.example.gov.cn")
    chosen = {"issuer": "sm2-issuing", "serials": certificate.rpartition("/")[2]}
    shown = business.post("/console/massrevocations/preview", chosen)
    assert "many.example.gov.cn" in shown.text
    where = business.done("/console/massrevocations", {**chosen, "reason": "superseded"})
    assert "已执行" in business.page(where)
    business.done(
        "/console/massrevocations/blocked-keys", {"spki_fingerprint": "0" * 64, "reason": "泄露"}
    )
    assert "0" * 64 in business.page("/console/massrevocations")


def test_settings_are_shown_without_secrets(system: Browser, audit: Browser) -> None:
    for browser in (system, audit):
        page = browser.page("/console/settings")
        assert "server.https_port" in page
        assert "rsa-issuing" in page


def test_the_state_of_the_revocation_service_is_shown(system: Browser, business: Browser) -> None:
    for browser in (system, business):
        page = browser.page("/console/revocation")
        assert "rsa-issuing" in page
        assert "OCSP" in page


def test_health_checks_are_said_in_the_language_of_the_page(system: Browser) -> None:
    page = system.page("/console?lang=zh")
    assert "审计检查点" in page
    assert "以下操作一个人即可完成" in page
    page = system.page("/console?lang=en")
    assert "audit-checkpoint" in page
    assert "one person alone can do" in page
    system.page("/console?lang=zh")
