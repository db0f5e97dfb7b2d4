"""Commands of the desks and of subscribers: requests without a key, make, pick-up, renewal."""

from __future__ import annotations

import base64
import secrets
import sys
import time
from pathlib import Path
from typing import Any, Final

import click

from core.errors import Malformed, Refused, Unavailable
from keystore import pem, pin
from keystore.dialects import Dialect
from keystore.escrow.identity import seal_password
from keystore.files import write_new
from yinxin.cli.client import Client
from yinxin.cli.context import Invocation
from yinxin.cli.files import read_ascii, read_octets
from yinxin.cli.remote import PathTo, our_root, remote, show, step
from yinxin.cli.requests import csr_pem, request

_ATTEMPTS: Final = 30
_PAUSE_SECONDS: Final = 2
_NewFile = click.Path(dir_okay=False, path_type=Path)


@request.command("enter")
@click.option("--profile", required=True)
@click.option("--issuer", required=True)
@click.option(
    "--subject",
    "subject",
    multiple=True,
    required=True,
    metavar="TYPE=VALUE",
    help="Such as CN=王伟; once for each attribute.",
)
@click.option("--alternative-name", "names", multiple=True, help="dns:…, ip:…, email:… or uri:…")
@click.option("--days", type=int, help="Validity; default: the profile's.")
@click.option("--organisation", help="Where it belongs; default: the only place you may apply.")
@remote
def request_enter(
    client: Client,
    *,
    profile: str,
    issuer: str,
    subject: tuple[str, ...],
    names: tuple[str, ...],
    days: int | None,
    organisation: str | None,
) -> None:
    """Enter a request without a key: its subscriber brings it to a pick-up, or its maker."""
    body: dict[str, Any] = {
        "profile": profile,
        "issuer": issuer,
        "subject": [_attribute(text) for text in subject],
        "alternative_names": names,
    }
    if days is not None:
        body["validity_days"] = days
    if organisation is not None:
        body["organisation"] = organisation
    show(client.post("/requests", body, Idempotency_Key=secrets.token_hex(16)))


@request.command("make")
@click.argument("request_id")
@click.option("--csr", type=PathTo, help="Of the medium, for a request entered without a key.")
@remote
def request_make(client: Client, request_id: str, *, csr: Path | None) -> None:
    """Make the certificate of a reviewed request, as another operator than its reviewer."""
    body = {} if csr is None else {"csr": csr_pem(read_octets(csr))}
    show(client.post(f"/requests/{step(request_id)}/make", body))


@request.command("resend")
@click.argument("request_id")
@remote
def request_resend(client: Client, request_id: str) -> None:
    """Make new codes for a pick-up; the old ones end. They are printed once."""
    show(client.post(f"/requests/{step(request_id)}/pickup-resend", {}))


@click.command("pickup")
@click.argument("csr", type=PathTo)
@click.option("--reference", required=True, help="The reference number.")
@click.option(
    "--code-file", type=PathTo, help="A file with the authorisation code; default: ask for it."
)
@click.option("--out", type=_NewFile, required=True, help="A new file for certificate and chain.")
@click.option("--encryption-out", type=_NewFile, help="A new file; of a pair.")
@click.option("--envelope-out", type=_NewFile, help="A new file; of a pair.")
@click.option(
    "--format",
    "form",
    type=click.Choice([dialect.value for dialect in Dialect]),
    help="Of the envelope; default: SM2EnvelopedKey, or for RSA EnvelopedData.",
)
@click.option(
    "--password-file", type=PathTo, help="For pkcs12: a file with mode 600, one line. Given once."
)
@click.option("--server", envvar="YINXIN_SERVER_URL", help="https://host:port")
@click.option("--trust", type=PathTo, help="PEM of the root to trust.")
@click.make_pass_decorator(Invocation)
def pickup(
    invocation: Invocation,
    csr: Path,
    *,
    reference: str,
    code_file: Path | None,
    out: Path,
    encryption_out: Path | None,
    envelope_out: Path | None,
    form: str | None,
    password_file: Path | None,
    server: str | None,
    trust: Path | None,
) -> None:
    """Fetch a certificate for the key of a CSR, with the two codes. Needs no login.

    If the answer is lost, the same command with the same key gives the same certificate.
    """
    # Never an argument: everybody on the host can read those.
    code = (
        click.prompt("Authorisation code", hide_input=sys.stdin.isatty())
        if code_file is None
        else read_ascii(code_file).strip()
    )
    client = Client(
        server=server or invocation.settings.authn.issuer,
        token=None,
        trust=trust or our_root(invocation),
    )
    body = {"reference": reference, "code": code, "csr": csr_pem(read_octets(csr))}
    if form is not None:
        body["format"] = form
    if form == Dialect.PKCS12:
        body["sealed_password"] = _sealed(client, body, password_file)
    _keep(_collected(client, body), out, encryption_out, envelope_out)


@click.command("renewal")
@click.option("--client-certificate", type=PathTo, help="PEM with the certificate and its key.")
@click.option("--csr", type=PathTo, help="Of a new key, or of the old one without --client-…")
@click.option("--issuer", help="Of the certificate, without --client-certificate.")
@click.option("--serial", help="Of the same certificate.")
@click.option("--out", type=_NewFile, required=True, help="A new file for certificate and chain.")
@click.option("--encryption-out", type=_NewFile, help="A new file; of a pair.")
@click.option("--envelope-out", type=_NewFile, help="A new file; of a pair.")
@click.option("--server", envvar="YINXIN_SERVER_URL", help="https://host:port")
@click.option("--trust", type=PathTo, help="PEM of the root to trust.")
@click.make_pass_decorator(Invocation)
def renewal(
    invocation: Invocation,
    *,
    client_certificate: Path | None,
    csr: Path | None,
    issuer: str | None,
    serial: str | None,
    out: Path,
    encryption_out: Path | None,
    envelope_out: Path | None,
    server: str | None,
    trust: Path | None,
) -> None:
    """Renew one's own certificate, by showing it or with a CSR signed with its key.

    To show it, --server names the port for client certificates. Where an operator reviews it
    first, repeat the command later.
    """
    client = Client(
        server=server or invocation.settings.authn.issuer,
        token=None,
        trust=trust or our_root(invocation),
        certificate=client_certificate,
    )
    body: dict[str, Any] = {"issuer": issuer, "serial": serial}
    if csr is not None:
        body["csr"] = csr_pem(read_octets(csr))
    given = client.post("/renewal", {key: value for key, value in body.items() if value})
    if given["certificate"] is None:
        click.echo(f"request {given['request']} is {given['state']}: repeat this later")
        return
    _keep(given, out, encryption_out, envelope_out)


def _collected(client: Client, body: dict[str, str]) -> dict[str, Any]:
    """Pick up; at a registration authority that runs apart, wait for its authority's answer."""
    for attempt in range(_ATTEMPTS):
        given: dict[str, Any] = client.post("/pickup", body)
        if given["certificate"] is not None and ("format" not in body or given["envelope"]):
            return given
        if attempt == 0:
            click.echo("the certificate authority is being asked ...", err=True)
        time.sleep(_PAUSE_SECONDS)
    raise Unavailable(
        "the certificate authority has not answered yet: the key is taken, so repeat the same "
        "command later"
    )


def _sealed(client: Client, body: dict[str, str], password_file: Path | None) -> str:
    """Return the password, sealed for the request of the two codes: a first call says which."""
    if password_file is None:
        raise Refused("say where the password is: --password-file")
    password = pin.from_file(password_file)().decode("ascii", "replace")
    asked = {name: value for name, value in body.items() if name != "format"}
    given = _collected(client, asked)
    if given["transport_key"] is None:
        raise Refused(f"this can be had as {', '.join(given['envelopes']) or 'one certificate'}")
    sealed = seal_password(
        password,
        transport_key=pem.public_key_of_pem(given["transport_key"]),
        request_id=given["request"],
    )
    return base64.b64encode(sealed).decode()


def _keep(
    given: dict[str, Any], out: Path, encryption_out: Path | None, envelope_out: Path | None
) -> None:
    """Write what was delivered, to new files."""
    if given["enveloped_key"] is not None:
        if encryption_out is None or envelope_out is None:
            raise Refused(
                "this is a pair: call again with --encryption-out and --envelope-out, too"
            )
        _write(encryption_out, given["encryption_certificate"].encode())
        _write(envelope_out, base64.b64decode(given["envelope"] or given["enveloped_key"]))
    _write(out, given["chain"].encode())


def _attribute(text: str) -> dict[str, str]:
    kind, equals, value = text.partition("=")
    if not equals:
        raise Refused(f"{text!r} is not TYPE=VALUE")
    return {"type": kind, "value": value}


def _write(path: Path, octets: bytes) -> None:
    try:
        write_new(path, octets)
    except OSError as error:
        raise Malformed(f"cannot write {path}: {error.strerror}") from error


COMMANDS: Final = (pickup, renewal)
