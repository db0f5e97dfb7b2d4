"""What holds of every page and every form, console and portal: made from the routes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from authn.levels import CERTIFICATE, ONE_TIME_PASSWORD, PASSKEY, PASSWORD
from tests.integration.console import ORIGIN, installation
from tests.integration.everypage import NO_PAGES, ROLES, SCRIPT, Everything, routes
from yinxin.console import lists

STALE = ("表单已过期", "页面已过期")
FOREIGN = (
    {"origin": "https://evil.example"},
    {"origin": ORIGIN, "sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
)

READS = {
    "requests certificates bulk massrevocations": "business audit",
    "notices rights statistics subjects": "business audit",
    "clients users ceremonies sessions logouts settings signingkeys": "system audit",
    "organisations profiles revocation": "system business audit",
    "proposals": "system business audit key",
    "recoveries": "business audit key judicial",
    "audit": "audit",
    "start": "system business audit key judicial",
    "": "system business audit key judicial",
}
"""Who sees the pages of a section (docs/console.md)."""
NARROWER = {
    "/console/recoveries/{recovery_id}": "business audit key",
    "/console/requests/new": "business",
    "/console/subjects/new": "business",
}

ACTS = {
    "requests certificates bulk massrevocations organisations rights subjects": "business",
    "clients users sessions logouts signingkeys profiles revocation": "system",
    "proposals": "system business key",
    "ceremonies": "system audit",
    "zone": "system business audit key judicial",
}
"""Who may send the forms of a section."""
ACTS_OF_ONE = {
    "/console/recoveries/user": "business",
    "/console/recoveries/judicial": "judicial",
    "/console/recoveries/{recovery_id}/{act}": "key",
    "/console/subjects/find": "business audit",
}
ACT = {
    "certificates": "revoke",
    "bulk": "submit",
    "organisations": "close",
    "recoveries": "approve",
    "users": "disable",
}
"""One act of each section whose forms end in `{act}`."""
SAID_FIRST = {
    "/console/bulk": 400,
    "/console/ceremonies/verify": 400,
    "/console/recoveries/user": 404,
}
"""Where a file is missing, or the number of no request is given: that is said to everybody."""
LEAST_TRIED = 150
FIELDS = {"reason": "keyCompromise", "spki_fingerprint": "0" * 64, "recipient": "x", "name": "x"}


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everything]:
    with installation(tmp_path_factory.mktemp("everything")) as found:
        yield Everything(*found)


@pytest.fixture(scope="module")
def shown(everything: Everything) -> dict[str, Any]:
    """Every page, and what forms answered with at once, by routes."""
    return everything.shown()


def forms(everything: Everything) -> list[str]:
    return [path for method, path in routes(everything.service) if method == "POST"]


def address_of(everything: Everything, form: str) -> str:
    """Where a form is: of something that there is, if anything of the kind is."""
    pages = sorted(everything.pages, key=len, reverse=True)
    page = next((one for one in pages if "{" in one and form.startswith(f"{one}/")), None)
    if page is not None:
        form = everything.pages[page][1].partition("?")[0] + form.removeprefix(page)
    form = form.replace("{act}", ACT.get(section_of(form), "x"))
    return re.sub(r"\{\w+\}", "x", form)


def section_of(route: str) -> str:
    return route.removeprefix("/console").strip("/").partition("/")[0]


def who(table: dict[str, str], section: str) -> set[str]:
    """Return the roles that a table has for a section."""
    return {
        role for key, roles in table.items() if section in key.split(" ") for role in roles.split()
    }


def test_every_page_is_known(everything: Everything) -> None:
    """A new page needs a line in `everypage` to be merged: then everything here holds of it."""
    pages = {path for method, path in routes(everything.service) if method == "GET"}
    pages = {path for path in pages if not path.startswith("/static/")}
    assert pages == everything.pages.keys() | NO_PAGES.keys()


def test_every_page_is_shown(shown: dict[str, Any]) -> None:
    expected = {"GET /login/refused": 403, "POST /console/clients": 201}
    statuses = {route: answer.status_code for route, answer in shown.items()}
    assert {r: s for r, s in statuses.items() if s != 200} == expected


def test_no_form_is_taken_that_was_forged(everything: Everything) -> None:
    """Cross-site request forgery: right cookies; no token, another browser's, another site's."""
    service, before = everything.service, everything.service.ground.audit.head()
    tokens = everything.tokens()
    taken = []
    for form in forms(everything):
        who = "business" if form.startswith("/console") else "li"
        forged = [("", {}), ("0" * 64, {}), *((tokens[who], how) for how in FOREIGN)]
        for token, headers in forged:
            answer = everything.at[who].http.post(
                address_of(everything, form),
                data={"csrf": token, "reason": "keyCompromise"},
                headers={"accept-language": "zh-CN", **headers},
            )
            if answer.status_code != 403 or not any(word in answer.text for word in STALE):
                taken.append((form, headers, answer.status_code))
    assert taken == []
    assert service.ground.audit.head() == before


def test_forms_of_ours_are_taken(everything: Everything) -> None:
    """As browsers send them: with Fetch Metadata; without; and with an Origin of ours or none."""
    fields = {"zone": "Asia/Shanghai", "here": "/console"}
    ours = ({"sec-fetch-site": "same-origin", "origin": "null"}, {"origin": "null"}, {})
    for headers in (*ours, {"origin": ORIGIN}):
        assert everything.at["audit"].done("/console/zone", fields, headers=headers)


def test_no_role_sees_a_page_by_its_address(everything: Everything) -> None:
    """Every page of the console for every role, for people without one, and for strangers."""
    for route, (_, address) in everything.pages.items():
        if not route.startswith("/console"):
            continue
        allowed = set(NARROWER.get(route, "").split()) or who(READS, section_of(route))
        seen = {role: everything.show(role, address).status_code for role in ROLES}
        # An auditor is told that there is nothing to confirm: nobody but business acts.
        assert {role for role, status in seen.items() if status in (200, 409)} == allowed, route
        assert {status for role, status in seen.items() if role not in allowed} <= {403}, route
        for stranger, where in (("li", "/"), ("nobody", "/login?next=")):
            answer = everything.show(stranger, address)
            assert answer.headers["location"].startswith(where), (route, stranger)


def test_no_role_acts_by_the_address_of_a_form(everything: Everything) -> None:
    """Every form of the console, with its token, from every role that may not send it."""
    tried, tokens = 0, everything.tokens()
    for form in forms(everything):
        if not form.startswith("/console"):
            continue
        allowed = set(ACTS_OF_ONE.get(form, "").split()) or who(ACTS, section_of(form))
        assert allowed, form
        for role in set(ROLES) - allowed:
            before = everything.service.ground.audit.head()
            answer = everything.at[role].http.post(
                address_of(everything, form), data={**FIELDS, "csrf": tokens[role]}
            )
            assert answer.status_code == SAID_FIRST.get(form, 403), (form, role, answer.status_code)
            assert everything.service.ground.audit.head() == before, (form, role)
            tried += 1
    assert tried > LEAST_TRIED


def test_no_form_is_taken_from_nobody(everything: Everything) -> None:
    for form in forms(everything):
        if form.startswith("/console"):
            answer = everything.at["nobody"].http.post(address_of(everything, form))
            assert answer.headers["location"].startswith("/login?next="), form


def test_a_session_that_somebody_planted_is_worth_nothing(everything: Everything) -> None:
    """Fixation: each way of signing in, and each factor after it, ends in a new cookie."""
    sessions = everything.service.ground.administration.sessions
    for planted in ("A" * 43, everything.enter("li", PASSWORD)):
        cookie = planted
        for method in (PASSWORD, ONE_TIME_PASSWORD, PASSKEY, CERTIFICATE):
            before, cookie = cookie, everything.enter("clerk", method, cookie=cookie)
            assert sessions.find(before) is None
            found = sessions.find(cookie)
            assert found is not None
            assert found[1].name == "clerk"


def test_no_page_can_be_framed_or_kept(shown: dict[str, Any], everything: Everything) -> None:
    """Clickjacking; and what is shown to one person is in no cache. Refusals, too."""
    refused = {"GET unknown": everything.show("business", "/console/requests/unknown")}
    refused["GET no section"] = everything.show("li", "/certificates/sm2-issuing/00")
    for route, answer in (shown | refused).items():
        assert_guarded(route, answer.headers)


def assert_guarded(route: str, headers: Any) -> None:
    """Nobody frames it, keeps it, or has it load what is not ours."""
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy, route
    assert "frame-ancestors 'none'" in policy, route
    assert "unsafe" not in policy, route
    assert headers["x-frame-options"] == "DENY", route
    assert headers["x-content-type-options"] == "nosniff", route
    assert headers["referrer-policy"] == "no-referrer", route
    assert headers["cache-control"] == "no-store", route


def test_a_script_that_somebody_typed_is_text(shown: dict[str, Any]) -> None:
    """Stored script: every name, label, reason and subject of this installation is one."""
    for route, answer in shown.items():
        assert_no_script(route, answer.text)
    as_text = [route for route, answer in shown.items() if "&lt;script&gt;" in answer.text]
    assert len(as_text) > 30, "the installation is not full of scripts"


def test_a_script_in_an_address_is_text(everything: Everything) -> None:
    """Reflected script: in every parameter that any page reads."""
    query = dict.fromkeys(PARAMETERS, SCRIPT)
    for route, (who, address) in everything.pages.items():
        path = address.partition("?")[0]
        for chosen in (query, {**query, "cursor": "", "state": "", "after": ""}):
            answer = everything.at[who].http.get(path, params=chosen)
            assert answer.status_code < 500, route
            assert_no_script(route, answer.text)
            assert SCRIPT not in answer.headers.get("location", ""), route


PARAMETERS = (
    *("after", "client", "cursor", "done", "fingerprint", "issuer", "kind", "lang", "level"),
    *("login_hint", "name", "next", "operator", "profile", "reason", "scope", "serial", "state"),
    *("text", "ui_locales", "under", "user", "user_code", "why", "actor", "action", "object"),
)


def test_a_script_in_a_form_is_text(everything: Everything) -> None:
    """Reflected script: what a form is refused with shows what was entered."""
    fields = dict.fromkeys((*PARAMETERS, *FIELDS_TYPED), SCRIPT)
    tokens = everything.tokens()
    for form in forms(everything):
        who = "business" if form.startswith("/console") else "li"
        address = re.sub(r"\{\w+\}", "x", form)
        answer = everything.at[who].http.post(address, data={**fields, "csrf": tokens[who]})
        assert answer.status_code < 500, form
        assert_no_script(form, answer.text)
        assert SCRIPT not in answer.headers.get("location", ""), form
        if form == "/logout":
            everything.at[who] = everything.browser(who, CERTIFICATE)
            tokens = everything.tokens()


FIELDS_TYPED = (
    *("password", "repeat", "old", "code", "reference", "csr", "certificate", "here", "zone"),
    *("algorithm", "label", "operation", "organisation", "steps", "redirect_uris", "email"),
)


def assert_no_script(route: str, text: str) -> None:
    """Scripts are files of ours; no tag has a handler."""
    assert SCRIPT not in text, route
    assert re.search(r"<script(?! src=\"/static/[a-z_]+\.js\")", text) is None, route
    assert re.search(r"<[^>]+\son[a-z]+=", text) is None, route
    assert "javascript:" not in text, route
    assert "object at 0x" not in text, f"{route} shows what is no word"


# ---- lists ---------------------------------------------------------------------------------------

Listing = dict[str, tuple[str, str]]
"""Who sees a list, and where it is, by its route."""
NO_LISTS = {
    "/console": "the overview",
    "/console/audit/verification": "one verdict",
    "/console/notices": "empty here: nothing ends soon; test_notices_of_the_console",
    "/console/revocation": "one row an issuer",
    "/console/settings": "one row an issuer, and one a setting",
    "/console/start": "steps",
    "/console/statistics": "sums; the export has them all",
    "/console/bulk/{batch_id}": "rows of a file, in its order",
}
TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d\d:\d\d")
"""A time as a page shows it."""
BARE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d(?!\d)(?!(:\d\d(\.\d+)?)? ?[A-Z+-])")
"""A time without its zone."""


@pytest.fixture(scope="module")
def listing(everything: Everything, shown: dict[str, Any]) -> Listing:
    """Return the lists: pages at their own address that have a table, and no reason to be none."""
    return {
        route: (who, route)
        for route, (who, address) in everything.pages.items()
        if address == route and route.startswith("/console") and route not in NO_LISTS
        if "<table" in shown[f"GET {route}"].text
    }


def rows(text: str) -> list[str]:
    body = re.search(r"<tbody>(.*?)</tbody>", text, re.DOTALL)
    assert body is not None
    # Without its times: when somebody was seen last moves on while pages are turned.
    return re.findall(r"<tr>(.*?)</tr>", TIME.sub("", body[1]), re.DOTALL)


def orders(text: str) -> list[str]:
    """Return what the headings of a list sort by."""
    return re.findall(r'<a class="sort" href="[^"]*[?&;]sort=(-?[a-z_]+)', text)


def test_there_are_lists(listing: Listing) -> None:
    assert len(listing) >= 16


def test_every_list_sorts_by_a_click_and_says_how(
    everything: Everything, listing: Listing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "SHOWN", 900)
    for route, (who, address) in listing.items():
        first = everything.show(who, address).text
        assert first.count("aria-sort=") <= 1, route
        assert orders(first), route
        for order in {name.removeprefix("-") for name in orders(first)}:
            found = {}
            for sort, said in ((order, "ascending"), (f"-{order}", "descending")):
                answer = everything.at[who].http.get(address, params={"sort": sort})
                assert answer.status_code == 200, (route, sort, answer.text)
                assert f'aria-sort="{said}"' in answer.text, (route, sort)
                found[sort] = rows(answer.text)
            assert sorted(found[order]) == sorted(found[f"-{order}"]), (route, order)
            assert found[order] == found[f"-{order}"][::-1], (route, order)


def test_an_order_that_a_list_does_not_have_is_refused(
    everything: Everything, listing: Listing
) -> None:
    for route, (who, address) in listing.items():
        answer = everything.at[who].http.get(address, params={"sort": "password_hash"})
        assert answer.status_code == 400, route
        assert "sort: not" in answer.text, route


def test_every_list_pages_and_nothing_is_shown_twice(
    everything: Everything, listing: Listing, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = 0
    for route, (who, address) in listing.items():
        monkeypatch.setattr(lists, "SHOWN", 900)
        whole = rows(everything.show(who, address).text)
        monkeypatch.setattr(lists, "SHOWN", max(1, len(whole) // 3))
        for order in ("", orders(everything.show(who, address).text)[-1]):
            there, seen = f"{address}?sort={order}" if order else address, list[str]()
            while there:
                text = everything.show(who, there).text
                seen += rows(text)
                following = re.search(r'<a rel="next" href="([^"]+)"', text)
                there = following[1].replace("&amp;", "&") if following else ""
                assert len(seen) <= len(whole), (route, order)
            assert sorted(seen) == sorted(whole), (route, order)
            several += len(whole) > 1
    assert several > 15


def test_every_list_is_searched_and_exported(everything: Everything, listing: Listing) -> None:
    for route, (who, address) in listing.items():
        text = everything.show(who, address).text
        assert '<form class="filters"' in text, route
        assert "format=csv" in text, route
        table: Any = everything.at[who].http.get(address, params={"format": "csv"})
        assert table.headers["content-type"].startswith("text/csv"), route
        assert "attachment" in table.headers["content-disposition"], route
        assert len(table.text.splitlines()) > 1, route


def test_every_time_has_its_zone(shown: dict[str, Any]) -> None:
    times = 0
    for route, answer in shown.items():
        text = re.sub(r"<[^>]*>", " ", answer.text)
        times += len(TIME.findall(text))
        assert BARE.search(text) is None, (route, BARE.search(text))
    assert times > 30


def test_what_ends_something_says_so_and_asks(shown: dict[str, Any]) -> None:
    ends = re.compile(r"/(revoke|end|unbind|withdraw|remove|unlink|report-lost|new-key)$")
    asked = set()
    for route, answer in shown.items():
        if "/console" in route:
            continue
        folded = "".join(re.findall(r"<details.*?</details>", answer.text, re.DOTALL))
        for action in re.findall(r'<form[^>]* action="([^"]*)"', answer.text):
            if ends.search(action):
                block = folded.partition(f'action="{action}"')[0].rpartition("<details")[2]
                assert 'class="note"' in block, (route, action)
                asked.add(ends.search(action)[1])
    assert {"revoke", "end", "report-lost", "unbind"} <= asked, asked
