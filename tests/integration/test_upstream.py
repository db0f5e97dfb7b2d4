"""Other systems that vouch for people: a second Yinxin, a provider that lies, and a real slapd."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import bonsai
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi.testclient import TestClient

from authn import cookies
from authn.oidc.store import AuthMethod
from authn.upstream.config import LDAPSourceConfig, OpenIDSourceConfig
from authn.upstream.directory import LDAPSource
from authn.upstream.openid import OpenIDSource
from core.identity import Role
from core.outbound import Answer
from keystore import keyref
from keystore.seal import Seal
from tests import databases
from tests.fakes.keys import MemoryKeyBackend
from tests.integration.provider import ISSUER, House, build, csrf_of, log_in
from tests.ports import free_ports
from tests.servers import localhost_certificate
from tests.unit.keystore.test_digests import MemorySealedKey

PROVINCE = "https://province.example.cn"
CALLBACK = f"{ISSUER}/login/upstream/province/callback"
SECURITY = "/account/security"


@pytest.fixture
def house(sqlite_database, audit, clock) -> House:
    return build(sqlite_database, audit=audit, clock=clock)


def source_for(house, caller, tmp_path, **changes) -> OpenIDSource:
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    if "secret" in changes:
        secret.write_text(changes.pop("secret"))
    values = {"name": "province", "title": "省统一身份认证", "issuer": PROVINCE,
              "client_id": "city", "client_secret_file": secret} | changes  # fmt: skip
    source = OpenIDSource(
        OpenIDSourceConfig(**values),
        caller,
        redirect_uri=CALLBACK,
        seal=Seal(MemoryKeyBackend(), keyref.parse("memory:object=s"), MemorySealedKey()),
        clock=house.clock,
    )
    house.provider.upstreams.openid["province"] = source
    return source


def current(house, browser):
    return house.provider.administration.sessions.find(browser.cookies.get(cookies.SESSION))


# ---- a second Yinxin ----------------------------------------------------------------------------


class Through:
    """Calls the other house without a network."""

    def __init__(self, app) -> None:
        self._client = TestClient(app, base_url=PROVINCE)

    def get(self, url: str) -> Answer:
        return self._answer(self._client.get(url.removeprefix(PROVINCE)))

    def post_form(self, url: str, fields) -> Answer:
        return self._answer(self._client.post(url.removeprefix(PROVINCE), data=fields))

    @staticmethod
    def _answer(response) -> Answer:
        return Answer(response.status_code, response.content)


@pytest.fixture
def province(audit, clock, tmp_path) -> Iterator[House]:
    database = databases.sqlite(tmp_path, "province.sqlite3")
    yield build(database, audit=audit, clock=clock, issuer=PROVINCE)
    database.close()


@pytest.fixture
def tied(house, province, tmp_path) -> OpenIDSource:
    """The city's house is a client of the province's."""
    _, secret = province.client(
        client_id="city", redirect_uris=[CALLBACK], auth_method=AuthMethod.POST
    )
    return source_for(house, Through(province.app), tmp_path, secret=secret)


def by_way_of_the_province(province, browser, where, name="zhang.wei"):
    """Follow a departure to the province, log in there, and bring the answer back."""
    there = TestClient(province.app, base_url=PROVINCE, follow_redirects=False)
    log_in(there, name=name)
    answer = there.get(where.removeprefix(PROVINCE)).headers["location"]
    assert answer.startswith(CALLBACK), answer
    return browser.get(answer.removeprefix(ISSUER))


def test_an_identity_is_tied_by_its_owner_and_logs_in_from_then_on(house, province, tied):
    mine, _ = house.user("zhang"), province.user()
    browser = house.browser()
    refused = by_way_of_the_province(
        province, browser, browser.get("/login/upstream/province?next=/x").headers["location"]
    )
    assert refused.status_code == 401
    assert 'href="/login?next=%2Fx"' in refused.text, "the way is not lost"
    assert current(house, browser) is None
    log_in(browser, name="zhang")
    page = browser.get(SECURITY)
    assert "省统一身份认证" in page.text
    # Chromium applies it to where the form's answer leads: the button did nothing at all.
    assert "form-action" not in page.headers["content-security-policy"]
    fields = {"csrf": csrf_of(page.text)}
    where = browser.post(f"{SECURITY}/upstream/province", data=fields).headers["location"]
    came = by_way_of_the_province(province, browser, where).headers["location"]
    assert "已关联" in browser.get(came).text
    assert house.audit.actions[-1] == "identity.linked"

    fresh = house.browser()
    where = fresh.get("/login/upstream/province?next=/x").headers["location"]
    assert by_way_of_the_province(province, fresh, where).headers["location"] == "/x"
    session, user = current(house, fresh)
    assert (user.id, session.amr, session.level.word) == (mine.id, "fed", "password")
    browser.post(f"{SECURITY}/upstream/province/unlink", data=fields)
    again = house.browser()
    where = again.get("/login/upstream/province").headers["location"]
    assert by_way_of_the_province(province, again, where).status_code == 401


def test_the_same_name_or_mail_ties_nothing(house, province, tied):
    house.user("zhang.wei", role=Role.SYSTEM)
    province.user("zhang.wei")
    tied.config = tied.config.model_copy(update={"provision": True})
    browser = house.browser()
    where = browser.get("/login/upstream/province").headers["location"]
    assert by_way_of_the_province(province, browser, where).status_code == 303
    _, user = current(house, browser)
    assert (user.name, user.role) == ("zhang.wei@province", None)
    assert user.email is None  # the province does not say that it was verified


def test_an_answer_counts_in_the_browser_that_asked_once(house, province, tied):
    province.user()
    tied.config = tied.config.model_copy(update={"provision": True})
    browser, other = house.browser(), house.browser()
    where = browser.get("/login/upstream/province").headers["location"]
    assert by_way_of_the_province(province, other, where).status_code == 401
    where = browser.get("/login/upstream/province").headers["location"]
    there = TestClient(province.app, base_url=PROVINCE, follow_redirects=False)
    log_in(there)
    answer = there.get(where.removeprefix(PROVINCE)).headers["location"].removeprefix(ISSUER)
    assert browser.get(answer).status_code == 303
    assert browser.get(answer).status_code == 401
    where = browser.get("/login/upstream/province").headers["location"]
    house.clock.advance(minutes=16)
    assert by_way_of_the_province(province, browser, where).status_code == 401


# ---- a provider that lies -----------------------------------------------------------------------

KEY, OTHER_KEY = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))


class Liar:
    """A provider whose ID token can be bent."""

    def __init__(self, clock) -> None:
        self.clock, self.nonce, self.claims = clock, "", {}
        self.key, self.algorithm, self.kid, self.issuer = KEY, "ES256", "k", PROVINCE

    def get(self, url: str) -> Answer:
        if url.endswith("openid-configuration"):
            body = {
                "issuer": self.issuer,
                "authorization_endpoint": f"{PROVINCE}/authorize",
                "token_endpoint": f"{PROVINCE}/token",
                "jwks_uri": f"{PROVINCE}/jwks",
                "authorization_response_iss_parameter_supported": True,
            }
            return Answer(200, json.dumps(body).encode())
        key = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(KEY.public_key()))
        return Answer(200, json.dumps({"keys": [key | {"kid": "k", "use": "sig"}]}).encode())

    def post_form(self, url: str, fields) -> Answer:
        now = int(self.clock.now().timestamp())
        claims = {"iss": PROVINCE, "sub": "s-1", "aud": "city", "iat": now, "exp": now + 300,
                  "nonce": self.nonce, "preferred_username": "li.na"} | self.claims  # fmt: skip
        kept = {name: value for name, value in claims.items() if value is not None}
        key = "" if self.algorithm == "none" else self.key
        token = jwt.encode(kept, key, algorithm=self.algorithm, headers={"kid": self.kid})
        return Answer(200, json.dumps({"id_token": token}).encode())


@pytest.fixture
def liar(house, tmp_path) -> Liar:
    made = Liar(house.clock)
    source_for(house, made, tmp_path, secret="x", provision=True)
    return made


def visit(house, liar, **changes):
    browser = house.browser()
    sent = browser.get("/login/upstream/province").headers["location"]
    asked = {name: values[0] for name, values in parse_qs(urlsplit(sent).query).items()}
    assert asked["code_challenge_method"] == "S256"
    liar.nonce = liar.nonce or asked["nonce"]
    answer = {"code": "c", "state": asked["state"], "iss": PROVINCE} | changes
    kept = {name: value for name, value in answer.items() if value is not None}
    return browser.get(f"/login/upstream/province/callback?{urlencode(kept)}")


def test_the_liar_is_believed_when_it_tells_the_truth(house, liar):
    assert visit(house, liar).status_code == 303
    assert house.provider.administration.users.find_by_name("li.na")


LIES: list[dict[str, object]] = [
    {"iss": "https://evil.example"}, {"aud": "other"}, {"aud": ["city", "other"]}, {"exp": 1},
    {"exp": None}, {"exp": "soon"}, {"iat": 4102444800}, {"nonce": "another"}, {"nonce": None},
    {"sub": ""}, {"sub": None}, {"sub": "x" * 256},
]  # fmt: skip


def test_a_token_with_one_wrong_claim_is_refused(house, liar):
    for claims in LIES:
        liar.nonce, liar.claims = "", claims
        assert visit(house, liar).status_code == 401, claims
    assert house.provider.administration.users.find_by_name("li.na") is None


def test_a_token_of_another_key_or_of_none_is_refused(house, liar):
    liar.key = OTHER_KEY
    assert visit(house, liar).status_code == 401
    liar.key, liar.kid = KEY, "unknown"
    assert visit(house, liar).status_code == 401
    liar.kid, liar.algorithm = "k", "none"
    assert visit(house, liar).status_code == 401
    liar.algorithm, liar.key = "HS256", "x" * 32
    assert visit(house, liar).status_code == 401


def test_an_answer_that_is_not_right_is_refused(house, liar):
    for changes in (
        {"iss": "https://evil.example"},
        {"iss": None},
        {"state": "x"},
        {"code": None},
        {"error": "access_denied", "code": None},
    ):
        liar.nonce = ""
        assert visit(house, liar, **changes).status_code == 401, changes


def test_a_provider_that_describes_itself_as_another_is_not_used(house, liar):
    liar.issuer = "https://evil.example"
    assert house.browser().get("/login/upstream/province").status_code == 503


# ---- a directory --------------------------------------------------------------------------------

SLAPD = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCertificateFile {folder}/localhost.pem
TLSCertificateKeyFile {folder}/localhost.pem
database mdb
suffix "dc=example"
rootdn "cn=admin,dc=example"
rootpw secret
directory {folder}/rows
"""
PEOPLE = (("li.na", "李娜", "a good password"), ("wang", "王*(芳", "another password"))


@pytest.fixture(scope="module")
def directory(tmp_path_factory) -> Iterator[LDAPSourceConfig]:
    folder: Path = tmp_path_factory.mktemp("slapd")
    trust = localhost_certificate(folder)
    (folder / "rows").mkdir()
    (folder / "slapd.conf").write_text(SLAPD.format(folder=folder))
    (folder / "password").touch(mode=0o600)
    (folder / "password").write_text("secret")
    (port,) = free_ports(1)
    process = subprocess.Popen(
        ["/usr/sbin/slapd", "-d", "0", "-f", folder / "slapd.conf",
         "-h", f"ldaps://127.0.0.1:{port}"],
    )  # fmt: skip
    config = LDAPSourceConfig(
        name="oa", title="办公目录", url=f"ldaps://127.0.0.1:{port}", trust_file=trust,
        bind_dn="cn=admin,dc=example", password_file=folder / "password", base="dc=example",
    )  # fmt: skip
    fill(config)
    yield config
    process.terminate()
    process.wait(timeout=60)


def fill(config: LDAPSourceConfig) -> None:
    client = LDAPSource(config)._client(config.bind_dn, "secret")
    for _ in range(600):
        try:
            connection = client.connect(timeout=30)
        except bonsai.LDAPError:
            time.sleep(0.1)
        else:
            break
    top = bonsai.LDAPEntry("dc=example")
    top["objectClass"], top["dc"], top["o"] = ["dcObject", "organization"], "example", "x"
    connection.add(top)
    for uid, name, password in PEOPLE:
        entry = bonsai.LDAPEntry(f"uid={uid},dc=example")
        entry["objectClass"] = "inetOrgPerson"
        entry["uid"], entry["cn"], entry["sn"], entry["userPassword"] = uid, name, name, password
        connection.add(entry)
    connection.close()


@pytest.fixture
def listed(house, directory) -> House:
    found = LDAPSource(directory.model_copy(update={"provision": True}))
    house.provider.upstreams.directories["oa"] = found
    return house


def by_directory(browser, name, password):
    page = browser.get("/login/directory/oa?next=/x")
    fields = {"csrf": csrf_of(page.text), "next": "/x", "name": name, "password": password}
    return browser.post("/login/directory/oa", data=fields)


def test_a_person_of_a_directory_logs_in_with_its_password(listed):
    assert "办公目录" in listed.browser().get("/login").text
    browser = listed.browser()
    assert by_directory(browser, "li.na", "a good password").headers["location"] == "/x"
    _, user = current(listed, browser)
    assert (user.name, user.display_name, user.password_hash) == ("li.na", "李娜", None)
    again = listed.browser()
    by_directory(again, "LI.NA", "a good password")
    assert current(listed, again)[1].id == user.id


WRONG = (
    ("li.na", "wrong"), ("li.na", ""), ("nobody", "a good password"), ("*", "a good password"),
    ("li.na)(uid=*", "a good password"), ("li*", "a good password"), ("x" * 200, "x"), ("", "x"),
)  # fmt: skip


def test_a_wrong_name_or_password_is_refused_and_no_filter(listed):
    for name, password in WRONG:
        assert by_directory(listed.browser(), name, password).status_code == 401, name
        assert listed.audit.actions[-1] == "login.failed"


def test_wrong_passwords_of_a_directory_lock_a_known_user(listed):
    browser = listed.browser()
    by_directory(browser, "li.na", "a good password")
    for _ in range(5):
        assert by_directory(listed.browser(), "li.na", "wrong").status_code == 401
    locked = by_directory(listed.browser(), "li.na", "a good password")
    unknown = by_directory(listed.browser(), "nobody", "a good password")
    assert (locked.status_code, unknown.status_code) == (401, 401)
    said = re.compile(r'<p class="(?:fault|note)".*?</p>')
    assert said.findall(locked.text) == said.findall(unknown.text)  # nor whose name it is
    assert "用户将锁定 15 分钟" in locked.text
    listed.clock.advance(minutes=15)
    assert by_directory(listed.browser(), "li.na", "a good password").status_code == 303


def test_a_local_user_ties_a_directory_account(house, directory):
    house.provider.upstreams.directories["oa"] = LDAPSource(directory)
    mine, browser = house.user("zhang"), house.browser()
    untied = by_directory(house.browser(), "wang", "another password")
    assert untied.status_code == 401
    assert "锁定" not in untied.text, "the password was right"
    log_in(browser, name="zhang")
    fields = {"csrf": csrf_of(browser.get(SECURITY).text), "name": "wang"}
    wrong = browser.post(f"{SECURITY}/upstream/oa", data=fields | {"password": "x"})
    assert wrong.status_code == 401
    assert "未能关联" in wrong.text
    assert "用户名或口令错误" in wrong.text
    assert f'href="{SECURITY}"' in wrong.text
    browser.post(f"{SECURITY}/upstream/oa", data=fields | {"password": "another password"})
    fresh = house.browser()
    by_directory(fresh, "wang", "another password")
    assert current(house, fresh)[1].id == mine.id


def test_a_directory_that_is_away_is_said_to_be_away(house, directory):
    gone = directory.model_copy(update={"url": f"ldaps://127.0.0.1:{free_ports(1)[0]}"})
    house.provider.upstreams.directories["oa"] = LDAPSource(gone)
    assert by_directory(house.browser(), "li.na", "a good password").status_code == 503
    house.user("zhang")
    browser = house.browser()
    log_in(browser, name="zhang")
    fields = {"csrf": csrf_of(browser.get(SECURITY).text), "name": "li.na", "password": "x"}
    away = browser.post(f"{SECURITY}/upstream/oa", data=fields)
    assert away.status_code == 503
    assert "对方系统暂时联系不上" in away.text
