"""Commands that open the state directory itself. The audit log names the person at the keyboard."""

from __future__ import annotations

import json
from pathlib import Path
from ssl import DER_cert_to_PEM_cert
from typing import Final

import click

from core.errors import NotFound
from yinxin.cli.context import Invocation, local
from yinxin.cli.files import write_octets
from yinxin.describe import describe_settings
from yinxin.settings import effective, flat
from yinxin.state import HostRole


@click.command()
@click.option(
    "--role",
    type=click.Choice([str(role) for role in HostRole]),
    default=str(HostRole.CA),
    show_default=True,
    help="ca: the authority; apart from it: km, a key management centre; ra, a registration "
    "authority; ocsp, an OCSP node.",
)
@local
def serve(invocation: Invocation, *, role: str) -> None:
    """Initialise on first start, and serve until Ctrl-C."""
    # The web framework takes a third of a second to import, and no other command needs it.
    from yinxin import serve as serving  # noqa: PLC0415

    serving.serve(invocation.settings, invocation.directory, HostRole(role))


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.option("--describe", is_flag=True, help="Every key with its default and meaning, Markdown.")
@local
def config(invocation: Invocation, *, as_json: bool, describe: bool) -> None:
    """Print the settings in force, without secrets."""
    if describe:
        click.echo(describe_settings(), nl=False)
        return
    tree = effective(invocation.settings)
    if as_json:
        click.echo(json.dumps(tree, ensure_ascii=False))
        return
    for key, value in flat(tree):
        click.echo(f"{key} = {json.dumps(value, ensure_ascii=False)}")


# ---- keys and CRLs ------------------------------------------------------------------------------


@click.command("crl")
@click.argument("issuer")
@click.option("--delta", is_flag=True, help="The delta CRL.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write DER here.")
@local
def crl_show(invocation: Invocation, issuer: str, delta: bool, out: Path | None) -> None:
    """Print (or write) the current CRL of ISSUER, making it if it is due.

    ISSUER/PARTITIONS/PARTITION is the CRL of a partition, like rsa-issuing/16/5.
    """
    with invocation.service() as service:
        crls = service.crls
        record = crls.current_delta(issuer) if delta else crls.current(issuer)
    if out is not None:
        write_octets(out, record.der)
    click.echo(
        f"{issuer}: number {record.number}, {record.entries} entries, "
        f"next update {record.next_update.isoformat().replace('+00:00', 'Z')}"
    )


@click.command("trust")
@click.argument("issuer")
@local
def trust(invocation: Invocation, issuer: str) -> None:
    """Print the certificate of an issuer and those above it, PEM."""
    with invocation.service() as service:
        found = service.issuers.get(issuer)
        if found is None:
            raise NotFound(f"there is no issuer {issuer!r}: {', '.join(service.issuers)}")
    for certificate in (found.certificate, *found.chain):
        click.echo(DER_cert_to_PEM_cert(certificate), nl=False)


COMMANDS: Final = (serve, config, crl_show, trust)
