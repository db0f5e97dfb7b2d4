"""Commands on pairs of certificates, pools and recoveries; and opening an envelope."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Final

import click

from core.errors import Malformed, Refused, TrustError
from keystore import pem, pin
from keystore.dialects import Dialect
from keystore.envelope_opening import open_for_holder
from keystore.escrow.identity import seal_password
from keystore.files import write_new
from yinxin.cli.client import Client
from yinxin.cli.files import read_ascii, read_octets, write_octets
from yinxin.cli.remote import PathTo, remote, show
from yinxin.cli.requests import request

_NewFile = click.Path(dir_okay=False, path_type=Path)


@request.command("pair")
@click.argument("request_id")
@click.option(
    "--format",
    "form",
    type=click.Choice(["json", *(dialect.value for dialect in Dialect)]),
    default="json",
    show_default=True,
    help="json says in `envelopes` which others this pair has.",
)
@click.option("--out", type=_NewFile, help="Where octets go; json is printed.")
@click.option(
    "--password-file", type=PathTo, help="For pkcs12: a file with mode 600, one line. Given once."
)
@remote
def request_pair(
    client: Client, request_id: str, *, form: str, out: Path | None, password_file: Path | None
) -> None:
    """Fetch both certificates and the enveloped encryption key of a pair."""
    if form == "json":
        show(client.get_json(f"/requests/{request_id}/pair"))
        return
    if out is None:
        raise Refused("say where the octets go: --out")
    if form == Dialect.PKCS12:
        _fetch_pkcs12(client, request_id, out=out, password_file=password_file)
        return
    write_octets(out, client.get(f"/requests/{request_id}/pair", format=form))


def _fetch_pkcs12(
    client: Client, request_id: str, *, out: Path, password_file: Path | None
) -> None:
    if password_file is None:
        raise Refused("say where the password is: --password-file")
    password = pin.from_file(password_file)().decode("ascii", "replace")
    shown = client.get_json("/pairs/key-management-identity")
    sealed = seal_password(
        password,
        transport_key=pem.public_key_of_pem(shown["transport_key"]),
        request_id=request_id,
    )
    _new(out, b"")  # before the key is given out: it is not given twice
    try:
        given = client.take_octets(
            f"/requests/{request_id}/pair/pkcs12",
            {"sealed_password": base64.b64encode(sealed).decode()},
        )
    except TrustError:
        out.unlink()
        raise
    write_octets(out, given)


@click.command("pool")
@remote
def pool(client: Client) -> None:
    """Count the keys that the key management centre holds."""
    show(client.get_json("/key-management/pools"))


@click.group()
def recovery() -> None:
    """Recoveries of escrowed keys: ask, approve by two or more, fetch once."""


@recovery.command("request")
@click.argument("request_id")
@click.option("--issuer", required=True, help="Of the signing certificate that receives the key.")
@click.option("--serial", required=True, help="Of the same certificate.")
@click.option("--reason", required=True)
@remote
def recovery_request(
    client: Client, request_id: str, *, issuer: str, serial: str, reason: str
) -> None:
    """Ask for the encryption key of a pair, for its holder."""
    body = {"issuer": issuer, "serial": serial.lower().replace(":", ""), "reason": reason}
    show(client.post(f"/requests/{request_id}/recovery", body))


@recovery.command("request-judicial")
@click.argument("spki_fingerprint")
@click.option("--recipient", type=PathTo, required=True, help="PEM of an SM2 public key.")
@click.option("--reason", required=True)
@remote
def recovery_judicial(
    client: Client, spki_fingerprint: str, *, recipient: Path, reason: str
) -> None:
    """Ask for the key of an encryption certificate, for an authority entitled to it."""
    body = {
        "spki_fingerprint": spki_fingerprint,
        "recipient": read_ascii(recipient),
        "reason": reason,
    }
    show(client.post("/key-management/recoveries", body))


@recovery.command("list")
@remote
def recovery_list(client: Client) -> None:
    """List recoveries, newest first."""
    show(client.get_json("/key-management/recoveries"))


@recovery.command("show")
@click.argument("recovery_id")
@remote
def recoveryshow(client: Client, recovery_id: str) -> None:
    """Look at a recovery."""
    show(client.get_json(f"/key-management/recoveries/{recovery_id}"))


@recovery.command("approve")
@click.argument("recovery_id")
@remote
def recovery_approve(client: Client, recovery_id: str) -> None:
    """Approve a recovery, as one of at least two officers."""
    show(client.post(f"/key-management/recoveries/{recovery_id}/approve", {}))


@recovery.command("reject")
@click.argument("recovery_id")
@remote
def recovery_reject(client: Client, recovery_id: str) -> None:
    """Reject a recovery."""
    show(client.post(f"/key-management/recoveries/{recovery_id}/reject", {}))


@recovery.command("deliver")
@click.argument("recovery_id")
@click.option("--out", type=_NewFile, required=True, help="A new file for the envelope.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["enveloped-key", "skf"]),
    default="enveloped-key",
    show_default=True,
)
@remote
def recovery_deliver(client: Client, recovery_id: str, *, out: Path, form: str) -> None:
    """Fetch a recovered key, enveloped. It is given once."""
    _new(out, b"")  # before the key is given out: it is not given twice
    try:
        given = client.post(f"/key-management/recoveries/{recovery_id}/deliver", {})
    except TrustError:
        out.unlink()
        raise
    octets = given[form.replace("-", "_")]
    if octets is None:
        octets = given["enveloped_key"]
        click.echo(f"{form} is for SM2 keys; this is CMS EnvelopedData", err=True)
    write_octets(out, base64.b64decode(octets))


@click.command("open-envelope")
@click.argument("envelope", type=PathTo)
@click.option(
    "--key", "signing_key", type=PathTo, required=True, help="PEM of the signing key, PKCS#8."
)
@click.option("--out", type=_NewFile, required=True, help="A new file for the encryption key.")
def open_envelope(envelope: Path, *, signing_key: Path, out: Path) -> None:
    """Open a key envelope (enveloped-key, csrresponse or skf) with a signing key in a file."""
    text = read_ascii(signing_key)
    _new(out, open_for_holder(read_octets(envelope), signing_key=text))


def _new(path: Path, octets: bytes) -> None:
    try:
        write_new(path, octets)
    except OSError as error:
        raise Malformed(f"cannot write {path}: {error.strerror}") from error


COMMANDS: Final = (pool, recovery, open_envelope)
