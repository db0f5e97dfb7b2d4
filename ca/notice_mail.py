"""Expiry notices by mail (RFC 5321, RFC 3207), Chinese first and English second."""

# ruff: noqa: RUF001 - Chinese text has Chinese punctuation.

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from email.message import EmailMessage
from email.policy import SMTP
from typing import Final

from cryptography import x509

from ca.notices import NobodyToTell, Notice
from ca.notices_config import ADDRESS, MailConfig
from ca.serials import to_hex
from core.errors import Unavailable
from keystore import pin

_TIMEOUT_SECONDS: Final = 15
_DIGEST: Final = 100
_ONE: Final = """\
您的证书将于 {end} 到期，请及时办理延期或换发。

  主体    {subject}
  用途    {profile}
  颁发者  {issuer}
  序列号  {serial}

Your certificate expires at {end}. Please have it renewed in time.

  subject        {subject}
  profile        {profile}
  issuer         {issuer}
  serial number  {serial}
"""
_MANY: Final = """\
以下 {count} 张证书即将到期（世界时）：
The following {count} certificates expire soon (UTC):

{lines}
"""


class HolderMail:
    """Tells the addresses in the certificate."""

    batch: Final = 1

    def __init__(self, config: MailConfig) -> None:
        self._config = config

    def send(self, notices: Sequence[Notice]) -> None:
        """Raises `NobodyToTell` for a certificate without an address, and `Unavailable`."""
        with _connection(self._config) as server:
            for notice in notices:
                record = notice.certificate
                addresses = addresses_of(record.der)
                if not addresses:
                    raise NobodyToTell("the certificate has no e-mail address")
                text = _ONE.format(
                    end=_time(notice),
                    subject=record.subject,
                    profile=record.profile,
                    issuer=record.issuer,
                    serial=to_hex(record.serial),
                )
                title = f"证书即将到期 Certificate expires in {notice.days} days or less"
                _deliver(
                    server, self._config, addresses, title=title, text=text, number=f"{notice.id}"
                )


class DigestMail:
    """Tells fixed addresses about all that is due, in one mail."""

    batch: Final = _DIGEST

    def __init__(self, config: MailConfig) -> None:
        self._config = config

    def send(self, notices: Sequence[Notice]) -> None:
        """Raises `Unavailable`."""
        lines = "\n".join(
            f"  {_time(one)}  {one.certificate.issuer}  {to_hex(one.certificate.serial)}  "
            f"{one.certificate.subject}"
            for one in notices
        )
        text = _MANY.format(count=len(notices), lines=lines)
        title = f"{len(notices)} 张证书即将到期 {len(notices)} certificates expire soon"
        with _connection(self._config) as server:
            _deliver(
                server,
                self._config,
                self._config.digest_to,
                title=title,
                text=text,
                number=f"digest.{notices[0].id}.{notices[-1].id}",
            )


def addresses_of(certificate: bytes | None) -> tuple[str, ...]:
    """Return the addresses that mail can be sent to: rfc822Name, in ASCII (RFC 5280, 4.2.1.6)."""
    if certificate is None:
        return ()
    try:
        names = x509.load_der_x509_certificate(certificate).extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
    except x509.ExtensionNotFound:
        return ()
    found = names.value.get_values_for_type(x509.RFC822Name)
    return tuple(address for address in found if ADDRESS.fullmatch(address))


def _time(notice: Notice) -> str:
    return notice.certificate.not_after.strftime("%Y-%m-%d %H:%M UTC")


@contextmanager
def _connection(config: MailConfig) -> Iterator[smtplib.SMTP]:
    if config.host is None:
        raise Unavailable("no mail server is configured (notices.mail.host)")
    password = None if config.password_file is None else pin.from_file(config.password_file)()
    try:
        trust = ssl.create_default_context(cafile=config.trust_file)
        if config.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                config.host, config.port, timeout=_TIMEOUT_SECONDS, context=trust
            )
        else:
            server = smtplib.SMTP(config.host, config.port, timeout=_TIMEOUT_SECONDS)
        with server:
            if config.security == "starttls":
                server.starttls(context=trust)
            if config.user is not None and password is not None:
                server.login(config.user, password.decode())
            yield server
    except (OSError, smtplib.SMTPException, UnicodeDecodeError) as error:
        # Never the server's words: they may quote addresses or what was sent.
        raise Unavailable(
            f"the mail server {config.host} did not take the message: {type(error).__name__}"
        ) from error


def _deliver(
    server: smtplib.SMTP,
    config: MailConfig,
    addresses: Sequence[str],
    *,
    title: str,
    text: str,
    number: str,
) -> None:
    message = EmailMessage(policy=SMTP)
    message["From"] = config.sender
    message["To"] = ", ".join(addresses)
    message["Subject"] = title
    # The same after a crash, so that the second of two can be told from a new one.
    message["Message-ID"] = f"<yinxin.notice.{number}@{config.sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834, 5
    message.set_content(text)
    server.send_message(message)
