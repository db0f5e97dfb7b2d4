"""Commands on certificates: search, fetch, revoke, hold, release; issuers."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final

import click
from typing_extensions import override

from ca.reasons import RevocationReason
from ca.store import CertificateState
from core.errors import Refused
from yinxin.cli.client import Client
from yinxin.cli.files import write_octets
from yinxin.cli.remote import PAGE, remote, show, step

_REASONS: Final = [str(reason) for reason in RevocationReason if reason != "certificateHold"]
_INSTANT: Final = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"])
"""UTC."""


def where(issuer: str, serial: str) -> str:
    """Return the path of a certificate in the API."""
    return f"/certificates/{step(issuer)}/{step(serial.lower().replace(':', ''))}"


@click.group()
def certificate() -> None:
    """Certificates: search, fetch, revoke, hold, release."""


@certificate.command("list")
@click.option("--issuer")
@click.option("--serial", help="Hex, of any issuer.")
@click.option("--state", type=click.Choice([str(state) for state in CertificateState]))
@click.option("--profile")
@click.option("--text", help="Words of the subject: Latin by their beginning, Chinese by any part.")
@click.option("--fingerprint", help="SHA-256 over the certificate, hex.")
@click.option("--spki-fingerprint", help="SHA-256 over the public key, hex.")
@click.option("--requester")
@click.option("--organisation-id")
@click.option("--subject-id")
@click.option("--expires-after", type=_INSTANT)
@click.option("--expires-before", type=_INSTANT)
@click.option("--expires-within-days", type=click.IntRange(0, 36_600))
@click.option("--limit", default=PAGE, show_default=True)
@click.option("--cursor", help="Where the last page ended.")
@click.option("--csv", "form", flag_value="csv", help="Every match, as a table.")
@click.option("--xlsx", "form", flag_value="xlsx", help="Every match, as a workbook; needs --out.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="For a table.")
@remote
def certificate_list(
    client: Client,
    *,
    limit: int,
    cursor: str | None,
    form: str | None,
    out: Path | None,
    **criteria: str | int | datetime | None,
) -> None:
    """Search certificates: newest first, or soonest expiry first when a bound of it is given."""
    query = {name: _instant(value) for name, value in criteria.items()}
    if form == "xlsx" and out is None:
        raise Refused("a workbook is not for the screen: say where it goes with --out")
    if form is None:
        show(client.get_json("/certificates", limit=limit, cursor=cursor, **query))
        return
    octets = client.get("/certificates", format=form, **query)
    if out is None:
        click.echo(octets, nl=False)
    else:
        write_octets(out, octets)


def _instant(value: str | int | datetime | None) -> str | int | None:
    return f"{value.isoformat()}Z" if isinstance(value, datetime) else value


@certificate.command("show")
@click.argument("issuer")
@click.argument("serial")
@remote
def certificateshow(client: Client, issuer: str, serial: str) -> None:
    """Look at a certificate's record."""
    show(client.get_json(where(issuer, serial)))


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
    octets = client.get(where(issuer, serial), format=form)
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
    show(client.post(f"{where(issuer, serial)}/revoke", {"reason": reason}))


@certificate.command("hold")
@click.argument("issuer")
@click.argument("serial")
@remote
def certificate_hold(client: Client, issuer: str, serial: str) -> None:
    """Suspend a certificate, until it is released or revoked."""
    show(client.post(f"{where(issuer, serial)}/hold", {}))


@certificate.command("release")
@click.argument("issuer")
@click.argument("serial")
@remote
def certificate_release(client: Client, issuer: str, serial: str) -> None:
    """End a suspension."""
    show(client.post(f"{where(issuer, serial)}/release", {}))


class _Listing(click.Group):
    """`yinxin issuer` alone is `yinxin issuer list`."""

    @override
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] != "--help"):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Listing)
def issuer() -> None:
    """List the issuers."""


@issuer.command("list")
@remote
def issuer_list(client: Client) -> None:
    """List the issuers."""
    show(client.get_json("/issuers"))


COMMANDS: Final = (certificate, issuer)
