"""Commands for one certificate in the place of another, and for a loss."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from yinxin.cli.certificates import certificate, where
from yinxin.cli.client import Client
from yinxin.cli.files import read_octets
from yinxin.cli.remote import PathTo, remote, show
from yinxin.cli.requests import csr_pem

_days = click.option("--days", type=int, help="Validity; default: the profile's.")
_csr = click.option(
    "--csr", type=PathTo, help="Of the new key; without it, the key comes with a pick-up."
)


@click.command("renew")
@click.argument("issuer")
@click.argument("serial")
@_days
@remote
def certificate_renew(client: Client, issuer: str, serial: str, *, days: int | None) -> None:
    """Ask for a new validity of the same key, inside the renewal window of the profile."""
    show(client.post(f"{where(issuer, serial)}/renew", _body(None, days)))


@click.command("rekey")
@click.argument("issuer")
@click.argument("serial")
@_csr
@_days
@remote
def certificate_rekey(
    client: Client, issuer: str, serial: str, *, csr: Path | None, days: int | None
) -> None:
    """Ask for a new key; the old certificate is revoked when the new one is issued."""
    show(client.post(f"{where(issuer, serial)}/rekey", _body(csr, days)))


@click.command("reissue")
@click.argument("issuer")
@click.argument("serial")
@_csr
@_days
@click.option(
    "--reason",
    type=click.Choice(["superseded", "keyCompromise"]),
    default="superseded",
    show_default=True,
    help="Why the old certificate is revoked.",
)
@remote
def certificate_reissue(
    client: Client, issuer: str, serial: str, *, csr: Path | None, days: int | None, reason: str
) -> None:
    """The medium is lost: ask for a new key; the old certificate is revoked by the review."""
    body = {**_body(csr, days), "reason": reason}
    show(client.post(f"{where(issuer, serial)}/reissue", body))


@click.command("report-lost")
@click.argument("issuer")
@click.argument("serial")
@remote
def certificate_report_lost(client: Client, issuer: str, serial: str) -> None:
    """Suspend a certificate at once; the review comes afterwards."""
    show(client.post(f"{where(issuer, serial)}/report-lost", {}))


def _body(csr: Path | None, days: int | None) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if csr is not None:
        body["csr"] = csr_pem(read_octets(csr))
    if days is not None:
        body["validity_days"] = days
    return body


@click.command("history")
@click.argument("issuer")
@click.argument("serial")
@remote
def certificate_history(client: Client, issuer: str, serial: str) -> None:
    """Show everything that is known about a certificate, or about its pair."""
    show(client.get_json(f"{where(issuer, serial)}/history"))


COMMANDS: Final = (
    certificate_history,
    certificate_renew,
    certificate_rekey,
    certificate_reissue,
    certificate_report_lost,
)
"""For the group ``certificate``."""

for command in COMMANDS:
    certificate.add_command(command)
