"""One service: two processes that answer https on one port, and one that answers OCSP.

Who is asked is chosen by stopping the other for a moment: it accepts nothing then.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import re
import secrets
import signal
import socket
import ssl
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from email.message import Message
from hashlib import sha256
from http.client import HTTPConnection, HTTPSConnection
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any, LiteralString, NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit

import psycopg
import pytest
from cryptography import x509

from core.db import open_database
from tests import keystore_softhsm as softhsm
from tests import postgres
from tests.conformance.oidf.relying_party import hidden_fields
from tests.hosts import Caller
from tests.integration.test_ocsp_node import GOOD, REVOKED, Hosts, certificate, children, wait
from tests.ports import free_ports
from tests.service import Service, yinxin
from yinxin.config import ServerConfig
from yinxin.database import warn_of_few_connections

pytestmark = [pytest.mark.hsm, pytest.mark.postgres]

CALLBACK = "https://rp.example.cn/callback"
PASSWORD = "correct horse battery 7"
FIRST, SECOND, WORKER = "process 1", "process 2", "worker 1"


class Shown(NamedTuple):
    """What TLS says of a connection."""

    serial: int
    """Of the certificate."""
    session: ssl.SSLSession
    resumed: bool


class Answer(NamedTuple):
    status: int
    headers: Message
    text: str

    def cookies(self, before: dict[str, str] | None = None) -> dict[str, str]:
        """The header of who got this answer, and had these cookies before it."""
        kept: SimpleCookie = SimpleCookie((before or {}).get("Cookie", ""))
        for line in self.headers.get_all("set-cookie", []):
            kept.load(line)
        return {"Cookie": "; ".join(f"{name}={one.value}" for name, one in kept.items())}


@dataclass
class Several:
    service: Service
    system: Caller
    tls: ssl.SSLContext

    def pid(self, name: str) -> int | None:
        """The process of this name, if it runs."""
        for pid in children(self.service):
            with contextlib.suppress(OSError):  # it ended meanwhile
                if Path(f"/proc/{pid}/comm").read_text().strip() == name:
                    return pid
        return None

    def connect(self, name: str | None = None, *, seconds: float = 30) -> HTTPSConnection:
        """Connect to this one of the two, or to whichever accepts."""
        connection = HTTPSConnection(
            "localhost", self.service.https_port, context=self.tls, timeout=seconds
        )
        with contextlib.nullcontext() if name is None else self._stopped(name):
            connection.connect()
        return connection

    @contextmanager
    def _stopped(self, but: str) -> Iterator[None]:
        # For no longer than a handshake: what is stopped may have locked a row.
        pid = self.pid(SECOND if but == FIRST else FIRST)
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        try:
            wait(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] == "T")
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def ask(self, name: str | None, method: str, url: str, **how: Any) -> Answer:
        """Ask one of them; `fields` go as a form."""
        headers, fields = how.get("headers", {}), how.get("fields")
        if fields is not None:
            headers = headers | {"Content-Type": "application/x-www-form-urlencoded"}
        parts = urlsplit(url)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        with closing(self.connect(name, seconds=how.get("seconds", 30))) as connection:
            body = None if fields is None else urlencode(fields)
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read().decode())

    def at(self, name: str, user: Caller) -> Caller:
        """The same user, who asks this process."""
        asking = copy.copy(user)
        asking.connect = lambda: self.connect(name)
        return asking

    def call(self, name: str, user: Caller, method: str, path: str, body: object = None) -> Any:
        """Call the API at one of them."""
        return self.at(name, user)(method, path, body)

    def execute(self, statement: LiteralString, *values: str) -> Any:
        """Run a statement at the database; return what it returns first."""
        url = self.service.environment["YINXIN_DATABASE__URL"].replace("+psycopg", "")
        with psycopg.connect(url) as connection:
            row = connection.execute(statement, values).fetchone()
            assert row is not None
            return row[0]

    def metric(self, name: str, metric: str) -> float:
        """The sum of a metric, as one of them says it."""
        authorization = {"Authorization": f"Bearer {self.system.token}"}
        text = self.ask(name, "GET", "/metrics", headers=authorization).text
        found = [line for line in text.splitlines() if line.startswith(metric)]
        return sum(float(line.rpartition(" ")[2]) for line in found)

    def shown(self, name: str, session: ssl.SSLSession | None = None) -> Shown:
        """Make a connection to one of them, in a session begun before."""
        with (
            self._stopped(name),
            socket.create_connection(("localhost", self.service.https_port), timeout=30) as plain,
            self.tls.wrap_socket(plain, server_hostname="localhost", session=session) as tls,
        ):
            tls.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            while tls.recv(4096):
                pass  # tickets come with the answer
            der = tls.getpeercert(binary_form=True)
            assert der is not None
            assert tls.session is not None
            serial = x509.load_der_x509_certificate(der).serial_number
            return Shown(serial, tls.session, bool(tls.session_reused))


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Iterator[Several]:
    database = postgres.fresh_database(postgres_url, f"p{secrets.token_hex(8)}")
    environment = {
        "YINXIN_DATABASE__URL": database,
        "YINXIN_SERVER__PROCESSES": "2",
        "YINXIN_SERVER__STRICT_TRANSPORT_SECONDS": "31536000",
        "YINXIN_REVOCATION__OCSP__WORKERS": "1",
        # Each process logs in to the token by itself.
        "YINXIN_KEYSTORE__PKCS11__MODULE": str(softhsm.module()),
        "YINXIN_KEYSTORE__PKCS11__TOKEN": softhsm.LABEL,
        "YINXIN_PKCS11_PIN": softhsm.PIN,
        "YINXIN_FIRST_START__RSA_KEY": f"pkcs11:token={softhsm.LABEL};object={{name}}",
        # Nobody listens there.
        "YINXIN_AUDIT__SYSLOG__HOST": "localhost",
        "YINXIN_AUDIT__SYSLOG__PORT": str(free_ports(1)[0]),
        "YINXIN_AUDIT__SYSLOG__PROTOCOL": "tcp",
        "YINXIN_AUDIT__SYSLOG__ALLOW_PLAIN_TCP": "true",
    }
    work = tmp_path_factory.mktemp("processes")
    (work / "tokens").mkdir()
    configuration = f"directories.tokendir = {work / 'tokens'}\nlog.level = ERROR\n"
    (work / "softhsm2.conf").write_text(configuration)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(work / "softhsm2.conf"))
        softhsm.initialise()
        service = Service(work / "var", environment).start()
        wait(lambda: "Ready." in service.log.read_text())
        yield Several(
            service,
            Caller(service, "system"),
            ssl.create_default_context(cafile=service.root),
        )
        if service.process is not None:
            assert service.stop() == 0


def test_browsers_are_told_to_come_by_https_only_where_that_is_set(several: Several) -> None:
    for name in (FIRST, SECOND):
        for path in ("/login", "/oidc/jwks", "/nowhere"):
            headers = several.ask(name, "GET", several.service.url + path).headers
            assert headers.get_all("strict-transport-security") == ["max-age=31536000"], path
    # RFC 6797, 7.2: not over plain http.
    with closing(HTTPConnection("localhost", several.service.http_port)) as connection:
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        assert answer.status == 200
        assert "strict-transport-security" not in answer.headers
    assert ServerConfig().https_headers == ()


def choose_password(several: Several, link: str) -> None:
    """Use a set-up link: the page of one process, the form at the other."""
    page = several.ask(FIRST, "GET", link)
    fields = hidden_fields(page.text) | {"password": PASSWORD, "repeat": PASSWORD}
    done = several.ask(SECOND, "POST", link, fields=fields, headers=page.cookies())
    assert done.status < 400, done.text


ISSUED = "yinxin_certificates_issued_total"
TOKENS = 'yinxin_tokens_issued_total{grant_type="authorization_code"}'


def test_a_code_of_one_process_is_redeemed_once_at_the_other(several: Several) -> None:
    name = f"u{secrets.token_hex(4)}"
    link = several.service.yinxin("user", "create", name, "--display-name", "张伟")
    choose_password(several, link)
    made = several.system("POST", "/clients", {"name": "app", "redirect_uris": [CALLBACK]})
    client = made["client"]["client_id"]
    pair = b64encode(f"{client}:{made['client_secret']}".encode()).decode()
    verifier = secrets.token_urlsafe(48)
    challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    asked = {
        "client_id": client,
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": "openid",
        "state": "s" * 20,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    issued = several.metric(FIRST, TOKENS)
    # The page is of one process, the password is given to the other, the code is the first's.
    answer = several.ask(FIRST, "GET", f"/oidc/authorize?{urlencode(asked)}")
    place, begun = answer.headers["location"], answer.cookies()
    page = several.ask(SECOND, "GET", place, headers=begun)
    begun = page.cookies(begun)
    fields = hidden_fields(page.text) | {"name": name, "password": PASSWORD}
    answer = several.ask(SECOND, "POST", urlsplit(place).path, fields=fields, headers=begun)
    assert answer.status == 303, answer.text
    answer = several.ask(FIRST, "GET", answer.headers["location"], headers=answer.cookies(begun))
    assert answer.headers["location"].startswith(CALLBACK), answer.text
    (code,) = parse_qs(urlsplit(answer.headers["location"]).query)["code"]
    grant = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CALLBACK,
        "code_verifier": verifier,
    }

    def redeem(process: str) -> Answer:
        headers = {"Authorization": f"Basic {pair}"}
        return several.ask(process, "POST", "/oidc/token", fields=grant, headers=headers)

    answer = redeem(SECOND)
    assert answer.status == 200, answer.text
    token = {"Authorization": f"Bearer {json.loads(answer.text)['access_token']}"}
    assert several.ask(FIRST, "GET", "/oidc/userinfo", headers=token).status == 200
    assert redeem(FIRST).status == 400
    for process in (FIRST, SECOND):
        # The code came a second time, so its tokens ended: at both.
        assert several.ask(process, "GET", "/oidc/userinfo", headers=token).status == 401
        # Counted by the second, and said by either.
        assert several.metric(process, TOKENS) == issued + 1


def test_a_session_of_tls_begun_at_one_goes_on_at_the_other(several: Several) -> None:
    before = several.shown(FIRST)
    after = several.shown(SECOND, before.session)
    assert not before.resumed
    assert after.resumed
    assert after.serial == before.serial


def test_what_one_process_issues_and_revokes_ocsp_says_at_once(several: Several) -> None:
    business = Caller(several.service, "business")
    before = several.metric(FIRST, ISSUED)
    for process in (FIRST, SECOND):
        asked = certificate(
            Hosts(several.service, several.service, several.at(process, business), "")
        )
        assert asked.says(several.service, GOOD)
    path = f"/certificates/rsa-issuing/{asked.serial}"
    several.call(SECOND, business, "POST", f"{path}/revoke", {"reason": "keyCompromise"})
    assert wait(lambda: asked.says(several.service, REVOKED)) < 2
    for process in (FIRST, SECOND):
        assert several.call(process, business, "GET", path)["state"] == "revoked"
        assert several.metric(process, ISSUED) == before + 2
        assert several.metric(process, "yinxin_certificates_revoked_total") >= 1
        # A worker publishes twice a second.
        wait(lambda: several.metric(process, "yinxin_ocsp_answers_total") >= 2)  # noqa: B023


def test_the_console_says_at_each_process_what_ocsp_answers_now(several: Several) -> None:
    business = Caller(several.service, "business")
    asked = certificate(Hosts(several.service, several.service, business, ""))
    choose_password(several, several.service.yinxin("user", "setup-link", "business"))
    page = several.ask(FIRST, "GET", "/login?next=/console")
    fields = hidden_fields(page.text) | {"name": "business", "password": PASSWORD}
    begun = several.ask(SECOND, "POST", "/login", fields=fields, headers=page.cookies())
    cookies = begun.cookies(page.cookies())
    path = f"/certificates/rsa-issuing/{asked.serial}"

    def says(process: str) -> list[str]:
        text = several.ask(process, "GET", f"/console{path}", headers=cookies).text
        return re.findall(r"OCSP 现在的回答</dt>\s*<dd[^>]*>\s*(?:<[^>]*>)*\s*(\w+)", text)

    good = says(FIRST)
    assert len(good) == 1
    assert says(SECOND) == good
    several.call(SECOND, business, "POST", f"{path}/hold", {})
    held = says(SECOND)
    assert held not in ([], good)
    assert says(FIRST) == held


def test_each_process_warns_of_what_the_first_cannot_export(several: Several) -> None:
    def warns(process: str) -> bool:
        return "audit/syslog" in several.ask(process, "GET", "/readyz").text

    wait(lambda: warns(FIRST) and warns(SECOND))


def test_a_new_certificate_of_tls_reaches_every_process(several: Several) -> None:
    before = several.shown(SECOND).serial
    business = Caller(several.service, "business")
    path = f"/certificates/rsa-issuing/{before:040x}/revoke"
    several.call(SECOND, business, "POST", path, {"reason": "superseded"})
    # The first looks twice a minute, and when it starts.
    first = several.pid(FIRST)
    assert first is not None
    os.kill(first, signal.SIGKILL)
    wait(lambda: several.shown(FIRST).serial != before)
    after = several.shown(FIRST).serial
    wait(lambda: several.shown(SECOND).serial == after)


@pytest.mark.parametrize("victim", [SECOND, FIRST, WORKER])
def test_what_is_killed_comes_back_and_the_others_go_on(several: Several, victim: str) -> None:
    issued, killed = several.metric(SECOND, ISSUED), several.pid(victim)
    assert killed is not None
    several.execute(_BEING_ISSUED, secrets.token_hex(20))
    os.kill(killed, signal.SIGKILL)
    # What it was accepting in that moment ends with it.
    wait(lambda: several.pid(victim) != killed)
    began, asked = time.monotonic(), 0
    while several.pid(victim) is None or asked < 10:
        assert several.ask(None, "GET", "/healthz").status == 200
        asked += 1
        assert time.monotonic() - began < 60
    if victim != WORKER:
        wait(lambda: several.ask(victim, "GET", "/healthz", seconds=0.5).status == 200)
        # It counts on from where the one before it was.
        assert several.metric(victim, ISSUED) >= issued
        assert several.ask(victim, "GET", "/readyz").status == 200
    # What the others were issuing meanwhile was not interrupted.
    looked = "SELECT count(*) FROM audit_events WHERE action = %s"
    assert several.execute(looked, "certificate.interrupted") == 0


_BEING_ISSUED = """
    INSERT INTO certificates (issuer, serial, state, profile, subject, not_before, not_after, tbs,
        spki_fingerprint, requester, reserved_at)
    SELECT issuer, %s, 'reserved', profile, subject, not_before, not_after, tbs,
        spki_fingerprint, requester, now() FROM certificates WHERE profile = 'device' LIMIT 1
    RETURNING 1"""


def test_other_roles_have_one_process(tmp_path: Path) -> None:
    environment = {
        "YINXIN_DATABASE__URL": "postgresql+psycopg://nobody@localhost/none",
        "YINXIN_SERVER__PROCESSES": "2",
    }
    words = ("--state", tmp_path / "var", "serve", "--role", "km")
    refused = yinxin(*words, environment=environment, check=False)
    assert refused.returncode != 0
    assert "server.processes is for the authority: leave it out at a km" in refused.stderr


def test_the_log_says_that_postgresql_allows_too_few_connections(
    postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(open_database(postgres.fresh_database(postgres_url, "few"))) as database:
        warn_of_few_connections(database, processes=3)
        assert not caplog.records
        warn_of_few_connections(database, processes=4)  # of 200
    (line,) = caplog.records
    assert (line.__dict__["allowed"], line.__dict__["opened"]) == (200, 264)
