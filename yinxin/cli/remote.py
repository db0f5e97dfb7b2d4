"""Commands on certificates, over the API of a running service, with the caller's own rights."""

from __future__ import annotations

import base64
import functools
import json
import re
import secrets
import urllib.parse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import click

from ca.reasons import RevocationReason
from ca.requests import RequestState
from ca.store import CertificateState
from core.errors import Refused
from yinxin.cli.client import Client
from yinxin.cli.context import Invocation
from yinxin.cli.files import read_ascii, read_octets, write_octets
from yinxin.cli.login import log_in

PathTo = click.Path(exists=True, dir_okay=False, path_type=Path)
_PAGE: Final = 100
_TOKEN: Final = re.compile(r"[A-Za-z0-9_.~+/=-]{20,200}")
_REASONS: Final = [str(reason) for reason in RevocationReason if reason != "certificateHold"]


def remote(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command a client as its first argument, and the options that make one."""

    @click.pass_context
    @functools.wraps(command)
    def connected(
        context: click.Context,
        /,
        *arguments: Any,
        server: str | None,
        token_file: Path | None,
        client_certificate: Path | None,
        trust: Path | None,
        **rest: Any,
    ) -> None:
        client = _client(context, server, token_file, client_certificate, trust)
        command(client, *arguments, **rest)

    options = (
        click.option(
            "--server",
            envvar="YINXIN_SERVER_URL",
            help="https://host:port; default: the one of the state directory's settings.",
        ),
        click.option(
            "--token-file",
            envvar="YINXIN_TOKEN_FILE",
            type=PathTo,
            help="A file with an API token.",
        ),
        click.option(
            "--client-certificate",
            type=PathTo,
            help="PEM with a certificate and its key, instead of a token.",
        ),
        click.option(
            "--trust",
            type=PathTo,
            help="PEM of the root to trust; default: rsa-root of the state directory, or the "
            "system's.",
        ),
    )
    for option in reversed(options):
        connected = option(connected)
    return connected


def _client(
    context: click.Context,
    server: str | None,
    token_file: Path | None,
    client_certificate: Path | None,
    trust: Path | None,
) -> Client:
    invocation = context.find_object(Invocation)
    assert invocation is not None  # noqa: S101  (the group sets it)
    if token_file is None and client_certificate is None:
        raise Refused(
            "say who asks: --token-file (see `yinxin token create`) or --client-certificate"
        )
    client = Client(
        server=server or invocation.settings.authn.issuer,
        token=None,
        trust=trust or _our_root(invocation),
        certificate=client_certificate,
    )
    return client if token_file is None else replace(client, token=_token(token_file))


def _token(path: Path) -> str:
    text = read_ascii(path).strip()
    if _TOKEN.fullmatch(text) is None:
        raise Refused(f"{path} does not hold a token (see `yinxin token create`)")
    return text


def _our_root(invocation: Invocation) -> Path | None:
    ours = invocation.directory / "trust" / "rsa-root.pem"
    return ours if ours.is_file() else None


def _show(value: object) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def _where(issuer: str, serial: str) -> str:
    return f"/certificates/{step(issuer)}/{step(serial.lower().replace(':', ''))}"


def step(text: str) -> str:
    """Return one step of a path; without it, ``../x`` or ``a?b`` would name something else."""
    return urllib.parse.quote(text, safe="")


@click.command()
@click.option("--server", envvar="YINXIN_SERVER_URL", help="https://host:port")
@click.option("--trust", type=PathTo, help="PEM of the root to trust.")
@click.option(
    "--token-file",
    envvar="YINXIN_TOKEN_FILE",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write the token.",
)
@click.make_pass_decorator(Invocation)
def login(
    invocation: Invocation, *, server: str | None, trust: Path | None, token_file: Path
) -> None:
    """Sign in as an administrator through the browser; the token lasts some minutes."""
    log_in(
        server or invocation.settings.authn.issuer,
        trust=trust or _our_root(invocation),
        token_file=token_file,
    )


# ---- requests ------------------------------------------------------------------------------------


@click.group()
def request() -> None:
    """Requests for certificates: submit, approve, reject."""


@request.command("submit")
@click.argument("csr", type=PathTo)
@click.option("--profile", required=True)
@click.option("--issuer", required=True)
@click.option(
    "--alternative-name",
    "names",
    multiple=True,
    help="dns:…, ip:…, email:… or uri:…; replaces those of the CSR.",
)
@click.option(
    "--identity",
    "identity",
    multiple=True,
    metavar="NAME=VALUE",
    help="An identity extension of the profile.",
)
@click.option("--days", type=int, help="Validity; default: the profile's.")
@click.option("--idempotency-key", help="Default: a random one, so that a retry is safe.")
@remote
def request_submit(
    client: Client,
    csr: Path,
    *,
    profile: str,
    issuer: str,
    names: tuple[str, ...],
    identity: tuple[str, ...],
    days: int | None,
    idempotency_key: str | None,
) -> None:
    """Submit a PKCS#10 request (PEM or DER)."""
    body: dict[str, Any] = {
        "csr": _pem(read_octets(csr)),
        "profile": profile,
        "issuer": issuer,
    }
    if names:
        body["alternative_names"] = names
    if identity:
        body["identity"] = dict(_pair(item) for item in identity)
    if days is not None:
        body["validity_days"] = days
    key = idempotency_key or secrets.token_hex(16)
    if not key.isascii() or not key.isprintable():
        raise Refused("an idempotency key is printable ASCII")
    _show(client.post("/requests", body, Idempotency_Key=key))


def _pem(octets: bytes) -> str:
    if octets.startswith(b"\x30"):
        body = base64.encodebytes(octets).decode()
        return f"-----BEGIN CERTIFICATE REQUEST-----\n{body}-----END CERTIFICATE REQUEST-----\n"
    return octets.decode("ascii", errors="replace")


def _pair(item: str) -> tuple[str, str]:
    name, equals, value = item.partition("=")
    if not equals:
        raise Refused(f"{item!r} is not NAME=VALUE")
    return name, value


@request.command("list")
@click.option("--state", type=click.Choice([str(state) for state in RequestState]))
@click.option("--limit", default=_PAGE, show_default=True)
@click.option("--cursor", help="Where the last page ended.")
@remote
def request_list(
    client: Client,
    *,
    state: str | None,
    limit: int,
    cursor: str | None,
) -> None:
    """List requests, newest first."""
    _show(client.get_json("/requests", state=state, limit=limit, cursor=cursor))


@request.command("show")
@click.argument("request_id")
@remote
def request_show(client: Client, request_id: str) -> None:
    """Look at a request."""
    _show(client.get_json(f"/requests/{step(request_id)}"))


@request.command("approve")
@click.argument("request_id")
@remote
def request_approve(client: Client, request_id: str) -> None:
    """Approve a request; its certificate is issued unless another step comes first.

    May be repeated.
    """
    _show(client.post(f"/requests/{step(request_id)}/approve", {}))


@request.command("reject")
@click.argument("request_id")
@click.option("--reason", required=True)
@remote
def request_reject(client: Client, request_id: str, *, reason: str) -> None:
    """Reject a request."""
    _show(client.post(f"/requests/{step(request_id)}/reject", {"reason": reason}))


# ---- certificates --------------------------------------------------------------------------------


@click.group()
def certificate() -> None:
    """Certificates: search, fetch, revoke, hold, release."""


@certificate.command("list")
@click.option("--issuer")
@click.option("--state", type=click.Choice([str(state) for state in CertificateState]))
@click.option("--profile")
@click.option("--text", help="Anywhere in the subject.")
@click.option("--expires-within-days", type=click.IntRange(0, 36_600))
@click.option("--limit", default=_PAGE, show_default=True)
@click.option("--cursor", help="Where the last page ended.")
@click.option("--csv", "as_csv", is_flag=True, help="Every match, as a table.")
@remote
def certificate_list(
    client: Client,
    *,
    issuer: str | None,
    state: str | None,
    profile: str | None,
    text: str | None,
    expires_within_days: int | None,
    limit: int,
    cursor: str | None,
    as_csv: bool,
) -> None:
    """Search certificates, newest first."""
    query: dict[str, str | int | None] = {"issuer": issuer, "state": state, "profile": profile}
    query |= {"text": text, "expires_within_days": expires_within_days}
    if as_csv:
        click.echo(client.get("/certificates", format="csv", **query), nl=False)
    else:
        _show(client.get_json("/certificates", limit=limit, cursor=cursor, **query))


@certificate.command("show")
@click.argument("issuer")
@click.argument("serial")
@remote
def certificate_show(client: Client, issuer: str, serial: str) -> None:
    """Look at a certificate's record."""
    _show(client.get_json(_where(issuer, serial)))


@certificate.command("fetch")
@click.argument("issuer")
@click.argument("serial")
@click.option(
    "--format",
    "form",
    type=click.Choice(["pem", "der", "chain", "p7c"]),
    default="pem",
    show_default=True,
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Default: print.")
@remote
def certificate_fetch(
    client: Client,
    issuer: str,
    serial: str,
    *,
    form: str,
    out: Path | None,
) -> None:
    """Fetch a certificate."""
    octets = client.get(_where(issuer, serial), format=form)
    if out is not None:
        write_octets(out, octets)
    else:
        click.echo(octets, nl=False)


@certificate.command("revoke")
@click.argument("issuer")
@click.argument("serial")
@click.option(
    "--reason",
    required=True,
    type=click.Choice(_REASONS),
)
@remote
def certificate_revoke(
    client: Client,
    issuer: str,
    serial: str,
    *,
    reason: str,
) -> None:
    """Revoke a certificate for good. May be repeated."""
    _show(client.post(f"{_where(issuer, serial)}/revoke", {"reason": reason}))


@certificate.command("hold")
@click.argument("issuer")
@click.argument("serial")
@remote
def certificate_hold(client: Client, issuer: str, serial: str) -> None:
    """Suspend a certificate, until it is released or revoked."""
    _show(client.post(f"{_where(issuer, serial)}/hold", {}))


@certificate.command("release")
@click.argument("issuer")
@click.argument("serial")
@remote
def certificate_release(client: Client, issuer: str, serial: str) -> None:
    """End a suspension."""
    _show(client.post(f"{_where(issuer, serial)}/release", {}))


@click.command()
@remote
def issuer(client: Client) -> None:
    """List the issuers."""
    _show(client.get_json("/issuers"))


@click.command()
@remote
def profile(client: Client) -> None:
    """List the profiles that can be asked for."""
    _show(client.get_json("/profiles"))


REMOTE_COMMANDS: Final = (login, request, certificate, issuer, profile)
