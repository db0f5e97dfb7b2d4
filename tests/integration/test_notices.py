"""Expiry notices to real servers: mail over TLS with a login, and a webhook over https."""

from __future__ import annotations

import hmac
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from ca.notice_mail import DigestMail, HolderMail
from ca.notice_webhook import SIGNATURE_HEADER, Webhook, sign
from ca.notices import Channel, NobodyToTell, Notice, NoticeState
from ca.notices_config import MailConfig, WebhookConfig
from ca.serials import SerialNumber
from ca.store import CertificateRecord, CertificateState
from core.errors import Unavailable
from tests.fakes.clock import FakeClock
from tests.ports import free_ports
from tests.servers import localhost_certificate, server_context

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Inbox:
    """A mail server's mailbox."""

    def __init__(self) -> None:
        self.mails = []
        self.login: tuple[bytes, bytes] | None = None
        self.full = False

    async def handle_DATA(self, _server, _session, envelope) -> str:  # noqa: N802 - its name there
        if self.full:
            return "452 no room for wang@example.cn"
        self.mails.append((envelope.rcpt_tos, message_from_bytes(envelope.content, policy=default)))
        return "250 OK"

    def authenticate(self, _server, _session, _envelope, _mechanism, data) -> AuthResult:
        self.login = (data.login, data.password)
        return AuthResult(success=data.password == b"a password")


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    return localhost_certificate(tmp_path)


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def mail(pem: Path, inbox: Inbox, tmp_path: Path) -> Iterator[MailConfig]:
    password = tmp_path / "password"
    password.write_text("a password\n")
    password.chmod(0o600)
    (port,) = free_ports(1)
    controller = Controller(
        inbox,
        hostname="localhost",
        port=port,
        tls_context=server_context(pem),
        require_starttls=True,
        auth_required=True,
        authenticator=inbox.authenticate,
    )
    controller.start()
    yield MailConfig(
        host="localhost",
        port=port,
        trust_file=pem,
        user="yinxin",
        password_file=password,
        sender="ca@example.gov.cn",
        digest_to=("desk@example.gov.cn", "audit@example.gov.cn"),
    )
    controller.stop()


def certificate(*addresses: str) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(x509.Name([]))
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=9))
    )
    if addresses:
        names = x509.SubjectAlternativeName([x509.RFC822Name(one) for one in addresses])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def notice(number: int, *addresses: str) -> Notice:
    record = CertificateRecord(
        issuer="sm2-issuing",
        serial=SerialNumber(number),
        state=CertificateState.ISSUED,
        profile="smime",
        subject="CN=王小明\r\nBcc: evil@example.cn",
        not_before=NOW,
        not_after=NOW + timedelta(days=9),
        tbs=b"",
        der=certificate(*addresses),
        fingerprint=None,
        spki_fingerprint="",
        requester="",
        request_id=None,
        reserved_at=NOW,
        issued_at=NOW,
        revoked_at=None,
        reason=None,
    )
    return Notice(number, record, 30, Channel.MAIL, NoticeState.WAITING, 0, NOW)


def test_a_holder_is_told_in_two_languages_over_tls(mail: MailConfig, inbox: Inbox) -> None:
    HolderMail(mail).send([notice(5, "wang@example.cn")])
    assert inbox.login == (b"yinxin", b"a password")
    ((recipients, message),) = inbox.mails
    assert recipients == ["wang@example.cn"]
    assert message["Message-ID"] == "<yinxin.notice.5@example.gov.cn>"
    assert message["Subject"].startswith("证书即将到期")
    assert message["Bcc"] is None
    text = message.get_content()
    for word in ("2026-01-10 00:00 UTC", "王小明", "sm2-issuing", "请及时", "renewed in time"):
        assert word in text


def test_a_digest_lists_all_for_the_fixed_addresses(mail: MailConfig, inbox: Inbox) -> None:
    DigestMail(mail).send([notice(5), notice(6)])
    ((recipients, message),) = inbox.mails
    assert recipients == ["desk@example.gov.cn", "audit@example.gov.cn"]
    assert message.get_content().count("sm2-issuing") == 2


def test_a_certificate_without_an_address_has_nobody_to_tell(mail: MailConfig) -> None:
    with pytest.raises(NobodyToTell):
        HolderMail(mail).send([notice(5)])


def test_a_mail_server_that_is_not_trusted_or_refuses_is_asked_again_later(
    mail: MailConfig, inbox: Inbox, tmp_path: Path
) -> None:
    inbox.full = True
    with pytest.raises(Unavailable, match="SMTPDataError") as refused:
        HolderMail(mail).send([notice(5, "wang@example.cn")])
    assert "wang" not in str(refused.value)
    (tmp_path / "other").mkdir()
    stranger = mail.model_copy(update={"trust_file": localhost_certificate(tmp_path / "other")})
    with pytest.raises(Unavailable, match="SSLCertVerificationError"):
        HolderMail(stranger).send([notice(5, "wang@example.cn")])
    assert inbox.mails == []
    with pytest.raises(Unavailable):
        HolderMail(mail.model_copy(update={"port": 1})).send([notice(5, "wang@example.cn")])


class Hook(BaseHTTPRequestHandler):
    status = 204
    posted: list[tuple[str, bytes]] = []  # noqa: RUF012 - one server a test

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.posted.append((self.headers[SIGNATURE_HEADER], body))
        self.send_response(self.status)
        self.send_header("Location", "https://localhost:1/elsewhere")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hook(pem: Path, tmp_path: Path) -> Iterator[WebhookConfig]:
    Hook.posted, Hook.status = [], 204
    server = HTTPServer(("localhost", 0), Hook)
    server.socket = server_context(pem).wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    secret = tmp_path / "secret"
    secret.write_text("shared")
    secret.chmod(0o600)
    yield WebhookConfig(
        url=f"https://localhost:{server.server_port}/hook", secret_file=secret, trust_file=pem
    )
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_webhook_can_tell_who_posts_and_when(hook: WebhookConfig) -> None:
    Webhook(hook, clock=FakeClock(NOW)).send([notice(5), notice(6)])
    ((header, body),) = Hook.posted
    assert hmac.compare_digest(header, sign(b"shared", int(NOW.timestamp()), body))
    told = json.loads(body)["notices"]
    assert [one["id"] for one in told] == [5, 6]
    assert told[0]["not_after"] == "2026-01-10T00:00:00Z"


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_webhook_that_does_not_take_it_is_asked_again_later(
    hook: WebhookConfig, status: int
) -> None:
    Hook.status = status
    with pytest.raises(Unavailable, match=str(status)):
        Webhook(hook, clock=FakeClock(NOW)).send([notice(5)])
    assert len(Hook.posted) == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"host": "mail.example.cn", "security": "none"},
        {"host": "localhost", "security": "none", "user": "a", "password_file": "/p"},
        {"host": "mail.example.cn", "user": "a"},
        {"sender": "no address"},
        {"digest_to": ("a@b.cn\r\nBcc: c@d.cn",)},
    ],
)
def test_settings_that_would_send_in_clear_or_nowhere_are_refused(settings) -> None:
    with pytest.raises(ValueError, match=r"security|go together|not an address"):
        MailConfig(**settings)
