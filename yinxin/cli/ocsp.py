"""``yinxin ocsp``: ask any responder about a certificate, and see how fast it is."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import click
from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from ca.lint_file import find_issuer, parse_file
from ca.serials import from_hex, to_hex
from core.clock import SystemClock
from core.errors import Refused
from crl.ocsp.question import Question, tbs_of
from crl.ocsp.verification import Verified, verify_answer
from keystore.algorithms import Digest
from yinxin.cli.bench import run_bench
from yinxin.cli.files import read_octets, write_octets
from yinxin.cli.responder import Reply, ask, parse_address

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_EXIT: Final = {"good": 0, "revoked": 2, "unknown": 3}


@dataclass(frozen=True, slots=True)
class _Asked:
    """Whom to ask, and what."""

    url: str
    question: Question


@click.group("ocsp")
def ocsp() -> None:
    """Ask OCSP responders: ours and anybody's. Needs no state directory and no service."""


def _about(command: Callable[..., None]) -> Callable[..., None]:
    """Add what `query` and `bench` have in common."""
    options = (
        click.argument("certificate", type=_FILE, required=False),
        click.option("--issuer", type=_FILE, help="The issuer's certificate, if FILE has it not."),
        click.option("--serial", help="In hex, instead of CERTIFICATE; needs --issuer and --url."),
        click.option("--url", help="The responder; else the certificate says it."),
        click.option(
            "--digest",
            type=click.Choice([one.value for one in Digest]),
            default=Digest.SHA1.value,
            show_default=True,
            help="The hash of the CertID.",
        ),
        click.option("--post", is_flag=True, help="POST instead of GET."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@ocsp.command("query")
@_about
@click.option("--no-nonce", is_flag=True, help="Ask as most clients do, and take cached answers.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Keep the answer, DER."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def query(*, no_nonce: bool, post: bool, out: Path | None, as_json: bool, **about: Any) -> None:
    """Ask about CERTIFICATE (PEM or DER), verify the answer, and explain it.

    Exit code: 0 good, 2 revoked, 3 unknown, 1 no answer that can be believed.
    """
    asked = _asked(**about, nonce=b"" if no_nonce else secrets.token_bytes(16))
    reply = ask(parse_address(asked.url), asked.question.request, post=post)
    if out is not None:
        write_octets(out, reply.body)
    now = SystemClock().now()
    found = verify_answer(reply.body, asked.question, now=now)
    told = _tell(asked, reply, found, now)
    if as_json:
        click.echo(json.dumps(told, ensure_ascii=False, indent=2))
    else:
        for name, value in told.items():
            if value is not None:
                click.echo(f"{name.replace('_', ' '):<16}{value}")
    sys.exit(_EXIT[found.status])


@ocsp.command("bench")
@_about
@click.option("--seconds", type=click.FloatRange(0.1, 3600), default=5.0, show_default=True)
@click.option("--connections", type=click.IntRange(1, 1000), default=16, show_default=True)
@click.option("--close", is_flag=True, help="A new connection for each request.")
def bench(*, post: bool, seconds: float, connections: int, close: bool, **about: Any) -> None:
    """Ask about CERTIFICATE again and again; print rate and latency.

    The first answer is verified, and every other must be a successful one of about its length.
    One thread in Python: it stops near 20,000 a second; `benchmarks/ocsp` goes further. Ask only
    a responder whose operator knows of it.
    """
    asked = _asked(**about, nonce=b"")
    address = parse_address(asked.url)
    reply = ask(address, asked.question.request, post=post)
    found = verify_answer(reply.body, asked.question, now=SystemClock().now())
    click.echo(f"{asked.url}: {found.status}; {connections} connections for {seconds:g} s ...")
    told = run_bench(
        address,
        asked.question.request,
        post=post,
        close=close,
        seconds=seconds,
        connections=connections,
    )
    for line in told.lines():
        click.echo(line)
    if told.bad:
        sys.exit(1)


def _asked(
    *,
    certificate: Path | None,
    issuer: Path | None,
    serial: str | None,
    url: str | None,
    digest: str,
    nonce: bytes,
) -> _Asked:
    given = () if issuer is None else parse_file(read_octets(issuer))
    if certificate is None:
        if serial is None or url is None or len(given) != 1:
            raise click.UsageError("name a CERTIFICATE, or --serial with --issuer and --url")
        return _Asked(url, Question(given[0], from_hex(serial), Digest(digest), nonce))
    if serial is not None:
        raise click.UsageError("--serial is for asking without a CERTIFICATE")
    first, *rest = parse_file(read_octets(certificate))
    found = find_issuer(first, (*given, *rest))
    if found is None:
        raise Refused(
            "the issuer of the certificate is not in the file: name it with --issuer, or give a "
            "file with the chain (`yinxin certificate fetch … --format chain`)"
        )
    question = Question(found, tbs_of(first).serial, Digest(digest), nonce)
    return _Asked(url or _responder_of(first), question)


def _responder_of(certificate: bytes) -> str:
    try:
        extensions = x509.load_der_x509_certificate(certificate).extensions
        access = extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except (ValueError, x509.ExtensionNotFound) as error:
        raise Refused("the certificate names no responder: name one with --url") from error
    for one in access:
        if one.access_method == AuthorityInformationAccessOID.OCSP:
            return str(one.access_location.value)
    raise Refused("the certificate names no responder: name one with --url")


def _tell(asked: _Asked, reply: Reply, found: Verified, now: datetime) -> dict[str, str | None]:
    question = asked.question
    nonce = None
    if question.nonce:
        nonce = "returned" if found.nonce_returned else "not returned: an answer from a cache"
    until = found.next_update
    left = None if until is None else f"{until.isoformat()} ({_hours(until - now)} from now)"
    return {
        "status": found.status,
        "revoked_at": None if found.revoked_at is None else found.revoked_at.isoformat(),
        "reason": found.reason,
        "serial": to_hex(question.serial),
        "responder": asked.url,
        "signed_by": _signer(found),
        "algorithm": found.algorithm.value,
        "produced_at": found.produced_at.isoformat(),
        "holds_from": found.this_update.isoformat(),
        "holds_until": left or "it does not say",
        "nonce": nonce,
        "cache_control": reply.fields.get("cache-control"),
        "took": f"{reply.seconds * 1000:.1f} ms",
    }


def _signer(found: Verified) -> str:
    if found.responder is None:
        return "the issuer itself"
    certificate = x509.load_der_x509_certificate(found.responder)
    ends = certificate.not_valid_after_utc.isoformat()
    return f"{certificate.subject.rfc4514_string()}, delegated until {ends}"


def _hours(span: timedelta) -> str:
    minutes = int(span.total_seconds() // 60)
    return f"{minutes // 60} h {minutes % 60} min"


COMMANDS: Final = (ocsp,)
