"""The pages of a person's certificates: apply, pick up, renew, report lost; nobody else's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ca.operations import Operation
from ca.requests import RequestState
from core.errors import Forbidden, Refused
from keystore.algorithms import KeyAlgorithm
from tests.integration.console import Browser, installation
from tests.judges.octets import REQUEST, pem
from tests.unit.ca.csrs import make_csr
from yinxin.wiring import Service

SIGNING_IN = "person-authentication/sm2-issuing"
SCRIPT = '<script>alert("x")</script>'


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Any]]:
    with installation(tmp_path_factory.mktemp("own")) as found:
        yield found


@pytest.fixture(scope="module")
def service(installed: tuple[Service, Any]) -> Service:
    return installed[0]


@pytest.fixture
def business(installed: tuple[Service, Any]) -> Browser:
    return Browser(*installed, "business")


def make_person(installed: tuple[Service, Any], name: str, display_name: str = "王伟") -> Browser:
    """Return the browser of a new user, who is signed in."""
    users = installed[0].ground.administration.users
    users.create_user(name, display_name=display_name, email=None, actor="system")
    return Browser(*installed, name)


def codes_for(business: Browser) -> dict[str, str]:
    """Approve the newest request; return what the registration office hands out."""
    path = re.search(r"/console/requests/[0-9a-f]{32}", business.page("/console/requests"))
    assert path is not None
    approved = business.post(f"{path[0]}/approve")
    found = re.findall(r'class="secret mono">([^<]+)<', approved.text)
    assert len(found) == 2, approved.text
    return dict(zip(("reference", "code"), found, strict=True))


def pick_up(person: Browser, codes: dict[str, str], csr: bytes | None = None) -> str:
    """Bring the codes and a key; return what the page says."""
    fields = {**codes, "csr": pem(REQUEST, csr or make_csr())}
    answer = person.post("/certificates/pickup", fields, at="/certificates/pickup")
    return unescape(answer.text)


def own_page(person: Browser) -> str:
    """Return the path of their first certificate."""
    found = re.search(r'href="(/certificates/[a-z0-9-]+/[0-9a-f]+)"', person.page("/certificates"))
    assert found is not None
    return found[1]


def have_one(installed: tuple[Service, Any], business: Browser, name: str) -> tuple[Browser, str]:
    """Let a new person apply and pick up; return their browser, and the certificate's page."""
    person = make_person(installed, name)
    person.done("/certificates", {"kind": SIGNING_IN}, at="/certificates")
    assert "此证书现在可以用来登录" in pick_up(person, codes_for(business))
    return person, own_page(person)


def test_what_was_applied_for_is_picked_up_and_logs_in_until_it_is_lost(
    installed: tuple[Service, Any], service: Service, business: Browser
) -> None:
    person = make_person(installed, "wang")
    person.done("/certificates", {"kind": SIGNING_IN}, at="/certificates")
    assert "待审核" in person.page("/certificates")
    again = person.post("/certificates", {"kind": SIGNING_IN}, at="/certificates")
    assert again.status_code == 409
    codes = codes_for(business)
    assert "待领取" in person.page("/certificates")
    assert "-----BEGIN CERTIFICATE-----" in pick_up(person, codes)

    certificate = own_page(person)
    octets = person.http.get(f"{certificate}/download").content
    shown = x509.load_pem_x509_certificate(octets)
    assert {part.value for part in shown.subject} == {"CN", "王伟", "wang"}
    assert "从未有人申请恢复" in person.page(certificate)
    challenged = service.provider.certificates
    assert challenged.user_of_certificate(shown.public_bytes(Encoding.DER)).name == "wang"

    person.done(f"{certificate}/report-lost", at=certificate)
    assert "已冻结" in person.page(certificate)
    with pytest.raises(Refused, match="revoked: certificateHold"):
        challenged.user_of_certificate(shown.public_bytes(Encoding.DER))
    assert "已先行冻结" in business.page(
        re.search(r"/console/requests/[0-9a-f]{32}", business.page("/console/requests"))[0]
    )


def test_a_lost_one_is_replaced_for_a_new_key_and_revoked(
    installed: tuple[Service, Any], business: Browser
) -> None:
    person, certificate = have_one(installed, business, "zhao")
    person.done(f"{certificate}/report-lost", at=certificate)
    person.done(f"{certificate}/new-key", at=certificate)
    codes = codes_for(business)
    other_key = make_csr(KeyAlgorithm.EC_P256)
    assert "此证书现在可以用来登录" in pick_up(person, codes, other_key)
    assert "已吊销" in person.page(certificate)
    page = person.page("/certificates")
    assert (page.count("已吊销"), page.count("有效 ·")) == (1, 1)


def test_a_renewal_has_its_time(installed: tuple[Service, Any], business: Browser) -> None:
    person, certificate = have_one(installed, business, "qian")
    assert f'action="{certificate}/renew"' not in person.page(certificate)
    early = person.post(f"{certificate}/renew", at=certificate)
    assert early.status_code == 422
    assert "it can be renewed from" in early.text


def test_nobody_sees_picks_up_or_freezes_what_is_another_s(
    installed: tuple[Service, Any], business: Browser
) -> None:
    _, certificate = have_one(installed, business, "sun")
    other = make_person(installed, "li", SCRIPT)
    other.page(certificate, status=404)
    assert other.http.get(f"{certificate}/download").status_code == 404
    for act in ("report-lost", "renew", "new-key"):
        assert other.post(f"{certificate}/{act}", at="/certificates").status_code == 404
    owner = make_person(installed, "zhou")
    owner.done("/certificates", {"kind": SIGNING_IN}, at="/certificates")
    codes = codes_for(business)
    assert "这两个代码属于另一个人的申请" in pick_up(other, codes)
    assert "-----BEGIN CERTIFICATE-----" in pick_up(owner, codes)


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "device/sm2-issuing"},
        {"kind": "person-authentication/sm2-root"},
        {"kind": "person-authentication"},
        {"kind": SIGNING_IN, "organisation": "0" * 32},
    ],
)
def test_what_is_not_offered_is_refused_and_leaves_nothing(
    installed: tuple[Service, Any], service: Service, fields: dict[str, str]
) -> None:
    user = service.ground.administration.users.find_by_name("business")
    assert user is not None
    person = Browser(*installed, "business")
    assert person.post("/certificates", fields, at="/certificates").status_code == 404
    assert "没有申请" in person.page("/certificates")


def test_nobody_reviews_what_they_asked_for_themselves(
    installed: tuple[Service, Any], service: Service
) -> None:
    """And an administrator's certificate is bound by their peers, not by the pick-up."""
    service.ground.administration.users.create_user(
        "clerk", display_name="办事员", email=None, actor="system", role="business"
    )
    clerk = Browser(*installed, "clerk")
    clerk.done("/certificates", {"kind": SIGNING_IN}, at="/certificates")
    record = service.enrollment.list_requests().items[0]
    assert (record.operation, record.state) == (Operation.APPLY, RequestState.PENDING)
    with pytest.raises(Forbidden, match="two people"):
        service.enrollment.approve(record.id, actor="clerk")
    codes = service.enrollment.approve(record.id, actor="business").codes
    assert codes is not None
    said = pick_up(clerk, {"reference": codes.reference, "code": codes.code})
    assert "此证书不用于登录本系统" in said


def test_wrong_codes_say_so_and_keep_the_request(installed: tuple[Service, Any]) -> None:
    person = make_person(installed, "wu")
    said = pick_up(person, {"reference": "0000-0000-0000", "code": "X"})
    assert "ask your registration office" in said
    assert "-----BEGIN CERTIFICATE REQUEST-----" in said
