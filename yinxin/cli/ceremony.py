"""Key ceremonies: from a reviewed file to a CA certificate and a signed transcript."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from ca.ceremony_plan import Plan, hashes_of
from keystore import pem
from yinxin.ceremonies import CeremonyDesk, Files, outside_cas, read_ca, verify
from yinxin.cli.context import Invocation, actor, local
from yinxin.cli.files import read_ascii, write_octets

_File = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def ceremony() -> None:
    """Make a CA certificate from one reviewed file: keys, plan, run, verify."""


@ceremony.command("keys")
@click.argument("file", type=_File)
@local
def ceremony_keys(invocation: Invocation, file: Path) -> None:
    """Make the key, and fix serial number and validity in FILE.lock. Signs nothing."""
    with invocation.service() as service:
        lock = CeremonyDesk(service, actor=actor()).keys(Files(file))
    click.echo(f"key\t{lock.key or 'of the other CA'}")
    click.echo(f"public key SHA-256\t{hashlib.sha256(bytes.fromhex(lock.public_key)).hexdigest()}")
    click.echo(f"serial\t{lock.serial}")


@ceremony.command("plan")
@click.argument("file", type=_File)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the TBS here.")
@local
def ceremony_plan(invocation: Invocation, file: Path, out: Path | None) -> None:
    """Show exactly what would be signed, its hashes and the lint's result. Changes nothing."""
    with invocation.service() as service:
        plan = CeremonyDesk(service, actor=actor()).plan(Files(file))
        key = service.audit_key.signer.key.public_key
    if out is not None:
        write_octets(out, plan.tbs)
    for name, value in _shown(plan):
        click.echo(f"{name}\t{value}")
    click.echo(f"audit key SHA-256\t{hashlib.sha256(key).hexdigest()}")


@ceremony.command("propose")
@click.argument("file", type=_File)
@local
def ceremony_propose(invocation: Invocation, file: Path) -> None:
    """Ask for the approvals that control.ca_certificate wants; print the proposal's id."""
    with invocation.service() as service:
        click.echo(CeremonyDesk(service, actor=actor()).propose(Files(file)).id)


@ceremony.command("run")
@click.argument("file", type=_File)
@click.option("--plan", "approved", required=True, help="The plan's hash that reviewers approved.")
@local
def ceremony_run(invocation: Invocation, file: Path, approved: str) -> None:
    """Sign what was approved; write FILE.pem and FILE.transcript. A killed run is run again."""
    where = Files(file)
    with invocation.service() as service:
        _, made = CeremonyDesk(service, actor=actor()).run(where, approved=approved)
    click.echo(f"SHA-256\t{hashlib.sha256(made.der).hexdigest()}")
    click.echo(f"written\t{where.result}\t{where.transcript}")


@ceremony.command("import")
@click.argument("file", type=_File)
@click.option("--certificate", type=_File, required=True, help="What the outside root issued.")
@click.option("--above", type=_File, multiple=True, required=True, help="Parent first, root last.")
@local
def ceremony_import(
    invocation: Invocation, file: Path, *, certificate: Path, above: Sequence[Path]
) -> None:
    """Take up the certificate that an outside root issued for a `request` ceremony."""
    with invocation.service() as service:
        described, _ = Files(file).read()
        outside_cas(service).take_up(
            described, read_ca(certificate), [read_ca(path) for path in above], actor=actor()
        )
        service.issuers.refresh()
        service.ensure_delegates()
    click.echo(f"issuer\t{described.description.name}")


@ceremony.command("import-cross")
@click.argument("issuer")
@click.option("--certificate", type=_File, required=True, help="The cross-certificate.")
@click.option("--by", type=_File, required=True, help="The certificate of the CA that issued it.")
@local
def ceremony_import_cross(
    invocation: Invocation, issuer: str, *, certificate: Path, by: Path
) -> None:
    """Serve an outside CA's certificate of ISSUER's key beside its chain (/ca/ISSUER.p7c)."""
    with invocation.service() as service:
        outside_cas(service).add_cross_certificate(
            issuer, read_ca(certificate), read_ca(by), actor=actor()
        )


@ceremony.command("audit-key")
@local
def ceremony_audit_key(invocation: Invocation) -> None:
    """Print the public key that signs transcripts and checkpoints, PEM."""
    with invocation.service() as service:
        key = service.audit_key.signer.key.public_key
    click.echo(pem.encode(key, "PUBLIC KEY").decode(), nl=False)


@ceremony.command("verify")
@click.argument("transcript", type=_File)
@click.option("--audit-key", type=_File, help="PEM of the audit key it must be signed by.")
def ceremony_verify(transcript: Path, audit_key: Path | None) -> None:
    """Prove a transcript with public material only; exit 1 when anything does not hold."""
    found = verify(transcript, audit_key=None if audit_key is None else read_ascii(audit_key))
    click.echo(f"holds: {found.act} {found.name}")
    click.echo(f"plan\t{found.plan}")
    click.echo(f"tbs SHA-256\t{found.tbs_sha256}")
    if found.fingerprint is not None:
        click.echo(f"certificate SHA-256\t{found.fingerprint}")
    if audit_key is None:
        click.echo(
            f"signed by\t{found.key_fingerprint}  (compare with the minutes, or --audit-key)"
        )


def _shown(plan: Plan) -> list[tuple[str, object]]:
    description, prepared = plan.ceremony.description, plan.prepared
    shown: list[tuple[str, object]] = [("act", description.act), ("name", description.name)]
    if prepared is not None:
        shown += [
            ("subject", prepared.subject),
            ("issuer", description.issuer or "itself"),
            ("profile", prepared.profile),
            ("serial", f"{prepared.serial:040x}"),
            ("not before", prepared.not_before.isoformat()),
            ("not after", prepared.not_after.isoformat()),
        ]
        if description.takes_over_at is not None:
            at = description.takes_over_at.isoformat()
            shown.append(("takes over", f"{description.succeeds} at {at}"))
        shown.append(("lint", "passed"))
    hashes = hashes_of(plan.tbs)
    return [
        *shown,
        ("tbs SM3", hashes["tbs_sm3"]),
        ("tbs SHA-256", hashes["tbs_sha256"]),
        ("plan", plan.digest),
    ]


COMMANDS: Final = (ceremony,)
