"""The commands on people and on who may enter an application, without a process for each."""

from __future__ import annotations

import json
import re
import shlex
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from authn import opaque
from authn.levels import Level
from authn.oidc.clientbatch import ClientBatch
from authn.people import RealName
from core.errors import Conflict, Unavailable
from core.identity import Role
from tests.integration.provider import House, build, log_in
from tests.integration.test_second_factors import enrol
from yinxin.cli import main
from yinxin.cli.context import Invocation

NUMBER = "11010519491231002X"


@pytest.fixture
def house(sqlite_database, audit, clock, monkeypatch) -> House:
    made = build(sqlite_database, audit=audit, clock=clock)
    ground = SimpleNamespace(administration=made.provider.administration, database=sqlite_database)
    service = SimpleNamespace(ground=ground, provider=made.provider)
    settings = SimpleNamespace(authn=SimpleNamespace(issuer="https://ca.example.cn"))
    monkeypatch.setattr(Invocation, "ground", lambda _: nullcontext(ground))
    monkeypatch.setattr(Invocation, "service", lambda _: nullcontext(service))
    monkeypatch.setattr(Invocation, "settings", settings)
    return made


@pytest.fixture
def run(house):
    """Run a command that works; return what it prints, without the line's end."""

    def call(*words: str, given: str | None = None) -> str:
        done = CliRunner().invoke(main, words, input=given)
        assert done.exit_code == 0, done.output
        return done.output.removesuffix("\n")

    return call


@pytest.fixture
def refused(house):
    """Run a command that is refused; return the sentence it says."""

    def call(*words: str, given: str | None = None) -> str:
        done = CliRunner().invoke(main, words, input=given)
        assert isinstance(done.exception, SystemExit), done.exception
        assert done.exit_code != 0
        return done.output

    return call


def test_how_a_person_is_reached_is_replaced_as_a_whole(house, run, refused):
    user = house.user(password=None)
    phone, address = "+8613800138000", "北京市东城区某街1号"
    run("user", "contact", "zhang.wei", "--phone", phone, "--address", address)
    found = house.provider.administration.users.get(user.id)
    assert (found.email, found.phone, found.address) == (None, phone, address)
    action, actor, detail = house.audit.events[-1]
    assert (action, detail) == ("user.contact", {"user": "zhang.wei", "known": "phone address"})
    assert actor.startswith("local:")
    assert phone not in repr(house.audit.events)
    assert "+8613800138000" in refused("user", "contact", "zhang.wei", "--phone", "138")
    assert "yinxin user list" in refused("user", "contact", "li.na", "--phone", phone)
    assert house.provider.administration.users.get(user.id) == found


def test_lost_factors_are_reset_with_a_link(house, run, refused):
    user, browser = house.user(), house.browser()
    log_in(browser)
    enrol(house, browser)
    assert "--reason" in refused("user", "reset-factors", "zhang.wei")
    assert house.provider.one_time_passwords.is_enrolled(user)
    link = run("user", "reset-factors", "zhang.wei", "--reason", "手机丢失")
    assert not house.provider.one_time_passwords.is_enrolled(user)
    assert browser.get("/").status_code == 303
    assert house.browser().get(link.removeprefix("https://ca.example.cn")).status_code == 200
    assert "factors.reset" in house.audit.actions
    assert link.rpartition("/")[2] not in repr(house.audit.events)


def test_a_person_is_tied_to_an_organisation_until_a_day_ends(house, run, refused):
    house.user(password=None)
    made = run("user", "affiliate", "zhang.wei", "city", "agent", "--until", "2099-12-31")
    assert run("user", "affiliations", "zhang.wei").split("\t") == [
        made,
        "city",
        "agent",
        datetime(2100, 1, 1, tzinfo=UTC).isoformat(),
    ]
    assert "nowhere" in refused("user", "affiliate", "zhang.wei", "nowhere", "staff")
    assert "king" in refused("user", "affiliate", "zhang.wei", "city", "king")
    run("user", "unaffiliate", made)
    assert run("user", "affiliations", "zhang.wei") == ""
    assert "no such affiliation" in refused("user", "unaffiliate", made)


def test_a_name_is_verified_and_the_number_is_typed_unseen(house, run, refused):
    user = house.user(password=None)
    said = run("user", "verify", "zhang.wei", "3", "--identity-card", given=f"{NUMBER}\n")
    assert NUMBER not in said + repr(house.audit.events)
    assert house.provider.admission.people.level_of(user) is RealName.IN_PERSON
    assert "17 digits" in refused(
        "user", "verify", "zhang.wei", "3", "--identity-card", given="1\n"
    )
    assert "9" in refused("user", "verify", "zhang.wei", "9")


def test_what_is_not_given_of_an_access_policy_stays(house, run, refused):
    client = house.public_client().id
    told = run("client", "access", client, "--least-level", "two-factors", "--allow", "city:agent")
    assert json.loads(told) == {
        "least_level": Level.TWO_FACTORS.word,
        "account": None,
        "least_real_name": 0,
        "rules": [["city", "agent"]],
        "consent": False,
    }
    changed = json.loads(told) | {"account": "legal", "consent": True}
    assert json.loads(run("client", "access", client, "--account", "legal", "--consent")) == changed
    assert json.loads(run("client", "access", client)) == changed
    assert house.audit.actions.count("access.changed") == 2, "to look changes nothing"
    opened = changed | {"account": None, "rules": []}
    assert json.loads(run("client", "access", client, "--account", "any", "--everybody")) == opened
    for words, said in (
        (("--allow", "city", "--everybody"), "exclude each other"),
        (("--allow", "nowhere"), "nowhere"),
        (("--allow", "city:king"), "'king' is no capacity"),
        (("--least-level", "none"), "two-factors"),
    ):
        assert said in refused("client", "access", client, *words)
    assert json.loads(run("client", "access", client)) == opened
    assert "no such client" in refused("client", "access", "nobody")


@pytest.mark.parametrize(
    "name", ["", " ", "a\nb", "a\x00b", "\u202egnp.exe", "a\u2028b", "x" * 201, "\udcff"]
)
def test_a_name_is_one_line_that_shows_what_it_holds(house, refused, name):
    house.user(role=Role.SYSTEM)
    words = ["client", "register", name, "--redirect-uri", "https://oa.example.cn/callback"]
    assert "1 to 200 characters on one line" in refused(*words)
    assert "on one line" in refused("user", "create", "li.na", "--display-name", name)
    assert "on one line" in refused("token", "create", "zhang.wei", "--name", name)
    administration = house.provider.administration
    assert administration.users.find_by_name("li.na") is None
    assert not any(one.name == name for one in administration.clients.list_clients())


def test_a_refusal_of_a_very_long_word_is_not_as_long(house, refused):
    said = refused("user", "disable", "x" * 100_000)
    assert said.startswith("yinxin: there is no user 'xxx")
    assert len(said) < 2_100


def test_a_reason_in_octets_that_are_no_text_is_refused(house, refused, monkeypatch):
    house.user()

    def record(action: str, *, actor: str, detail: dict[str, str]) -> None:
        json.dumps(detail, ensure_ascii=False).encode()  # as the audit log of a database does

    monkeypatch.setattr(house.audit, "record", record)
    said = refused("user", "reset-factors", "zhang.wei", "--reason", "\udcff")
    assert said == "yinxin: an argument is not UTF-8\n"


def test_the_last_day_of_the_calendar_is_no_last_day(house, refused):
    house.user()
    words = ["user", "affiliate", "zhang.wei", "city", "staff", "--until", "9999-12-31"]
    assert "the last day is too late" in refused(*words)


@pytest.mark.parametrize("kept", ["[" * 100_000, '{"a":' * 100_000, "", "\udcff", "[]"])
def test_metadata_that_is_no_document_is_refused(tmp_path, house, refused, kept):
    file = tmp_path / "metadata.json"
    file.write_text(kept, encoding="utf-8", errors="surrogateescape")
    words = ["client", "register", "OA", "--redirect-uri", "https://oa.example.cn/callback"]
    assert str(file) in refused(*words, "--metadata", str(file))
    assert refused("client", "import", str(file), "--dry-run").startswith("yinxin: ")


def test_an_option_that_is_given_empty_is_not_an_option_left_out(house, refused):
    words = ["client", "register", "OA", "--redirect-uri", "https://oa.example.cn/callback"]
    assert "a client id has 3 to 64" in refused(*words, "--id", "")
    refused(*words, "--backchannel-logout-uri", "")
    refused(*words, "--frontchannel-logout-uri", "")


TABLE = """应用标识,应用名称,登录回调地址,退出通知地址,联系人
oa-portal,办公系统,https://oa.example.cn/cb https://oa.example.cn/cb2,https://oa.example.cn/bc,张伟;李娜
archive,档案系统,https://archive.example.cn/cb,,
"""


def test_applications_of_a_file_are_registered_all_or_none(house, run, refused, tmp_path):
    file, secrets = tmp_path / "apps.csv", tmp_path / "secrets.csv"
    clients = house.provider.administration.clients
    file.write_text(
        TABLE + "bad,无地址,http://plain.example.cn/cb,,\noa-portal,又一个,https://x.cn/cb,,\n"
    )
    said = refused("client", "import", str(file), "--secrets", str(secrets))
    assert "row 4 (bad)" in said
    assert "row 5 (oa-portal)" in said
    assert not secrets.exists()
    assert clients.list_clients() == []
    file.write_text("\ufeff" + TABLE)
    assert "2 applications can be registered" in run("client", "import", str(file), "--dry-run")
    assert clients.list_clients() == []
    run("client", "import", str(file), "--secrets", str(secrets))
    assert secrets.stat().st_mode & 0o777 == 0o600
    header, first, _ = secrets.read_text().splitlines()
    assert header == "client_id,client_secret"
    assert opaque.digest(first.removeprefix("oa-portal,")) == clients.get("oa-portal").secret_digest
    assert clients.get("oa-portal").metadata.contacts == ("张伟", "李娜")
    assert len(clients.get("oa-portal").redirect_uris) == 2


def test_a_file_of_applications_that_grew_registers_what_is_new(house, run, refused, tmp_path):
    file, secrets = tmp_path / "apps.csv", tmp_path / "secrets.csv"
    file.write_text(TABLE)
    run("client", "import", str(file), "--secrets", str(secrets))
    more = tmp_path / "more.csv"
    public = {"client_id": "app", "name": "移动端", "redirect_uris": ["https://m.example.cn/cb"]}
    file.write_text(
        json.dumps([{"client_id": "oa-portal", "name": "x"}, public | {"auth_method": "none"}])
    )
    assert "row 1 (oa-portal)" in refused("client", "import", str(file), "--secrets", str(more))
    taken = refused("client", "import", str(file), "--skip-known", "--secrets", str(secrets))
    assert "never replaced" in taken
    assert len(house.provider.administration.clients.list_clients()) == 2
    done = run("client", "import", str(file), "--skip-known", "--secrets", str(more))
    assert "1 applications are registered, 1 known" in done
    assert more.read_text().splitlines()[1] == "app,"
    for broken in (
        "[1]",
        "[{",
        "应用\nx\n",
        "client_id,client_id\n",
        "client_id\na,b\n",
        "name\nx\n",
    ):
        file.write_text(broken)
        assert "Traceback" not in refused("client", "import", str(file), "--dry-run")


def test_every_registration_that_a_page_shows_is_taken(house, run, tmp_path, monkeypatch):
    """As a newcomer copies them: docs/connect, one page after the other."""
    monkeypatch.chdir(tmp_path)
    pages = sorted((Path(__file__).parents[2] / "docs/connect").glob("*.md"))
    shown = {page.name: page.read_text(encoding="utf-8").replace("\\\n", " ") for page in pages}
    for text in shown.values():
        for name, body in re.findall(r"(?ms)^cat > (\S+) <<END\n(.*?)^END$", text):
            Path(name).write_text(body, encoding="utf-8")
    commands = {
        page: re.findall(r"^yinxin (client register .*)$", text, re.MULTILINE)
        for page, text in shown.items()
    }
    assert {page for page, found in commands.items() if not found} <= {"README.md"}
    for found in commands.values():
        for command in found:
            assert "client_id" in run(*shlex.split(command))
        for client in house.provider.administration.clients.list_clients():
            house.provider.administration.clients.remove(client.id, actor="system")


def test_the_sessions_of_everybody_are_ended(house, run, refused):
    for name in ("zhang.wei", "li.na"):
        house.user(name)
        for _ in range(2):
            log_in(house.browser(), name=name)
    assert "NAME" in refused("user", "end-sessions")
    assert "NAME" in refused("user", "end-sessions", "zhang.wei", "--everybody")
    assert run("user", "end-sessions", "zhang.wei") == "2 sessions ended"
    assert run("user", "end-sessions", "--everybody") == "2 sessions ended"
    assert run("user", "end-sessions", "--everybody") == "0 sessions ended"
    assert house.audit.actions.count("session.ended") == 4


def test_secrets_that_have_no_place_register_nothing(house, refused, tmp_path):
    file = tmp_path / "apps.csv"
    file.write_text(TABLE)
    nowhere = tmp_path / "none" / "secrets.csv"
    said = refused("client", "import", str(file), "--secrets", str(nowhere))
    assert said.startswith(f"yinxin: cannot write {nowhere}: ")
    assert house.provider.administration.clients.list_clients() == []


@pytest.mark.parametrize(("lost", "kept"), [(Unavailable("lost"), True), (Conflict("no"), False)])
def test_secrets_of_what_may_be_registered_are_kept(
    house, refused, monkeypatch, tmp_path, *, lost, kept
):
    """A connection that is lost at COMMIT does not tell whether that came through."""
    register = ClientBatch.register

    def torn(*one, **how):
        register(*one, **how)
        raise lost

    monkeypatch.setattr(ClientBatch, "register", torn)
    file, secrets = tmp_path / "apps.csv", tmp_path / "secrets.csv"
    file.write_text(TABLE)
    said = refused("client", "import", str(file), "--secrets", str(secrets))
    assert (f"keep {secrets}" in said, secrets.exists()) == (kept, kept)


@pytest.mark.parametrize("on", [True, False])
def test_who_registers_for_chinese_tokens_hears_that_they_are_off(house, run, monkeypatch, on):
    settings = SimpleNamespace(authn=SimpleNamespace(gm=SimpleNamespace(enabled=on)))
    monkeypatch.setattr(Invocation, "settings", settings)
    words = ["client", "register", "OA", "--redirect-uri", "https://oa.example.cn/callback"]
    said = run(*words, "--id-token-algorithm", "SGD_SM3_SM2")
    assert ("authn.gm.enabled" in said) is not on
