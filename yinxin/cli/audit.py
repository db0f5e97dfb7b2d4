"""Commands on the audit log: read it, verify it, verify what was exported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import click

from core.audit_file import PATTERN
from core.audit_reading import compare, first_row, verify_export
from core.errors import Refused
from keystore import pem
from yinxin.audit_key import AuditKey, AuditPublicKey
from yinxin.cli.context import Invocation, local
from yinxin.cli.files import read_ascii
from yinxin.cli.remote import PathTo

_Export = click.Path(exists=True, path_type=Path)


@click.group()
def audit() -> None:
    """Read and verify the audit log."""


@audit.command("verify")
@click.option(
    "--export",
    type=_Export,
    help="Exported file or directory to compare with; default: audit.file.directory.",
)
@local
def audit_verify(invocation: Invocation, *, export: Path | None) -> None:
    """Walk the whole chain, and compare it with what was exported; exit 1 and name bad rows."""
    beside = export or _present(invocation.settings.audit.file.directory)
    with invocation.ground() as ground, invocation.keystore() as keystore:
        log, key = ground.audit, AuditKey.open(keystore)
        verdict = log.verify(key)
        faults = [] if verdict.fault is None else [verdict.fault]
        if beside is not None:
            exported = verify_export(beside, key)
            faults += [] if exported.fault is None else [f"the export: {exported.fault}"]
            faults += compare(beside, log.walk(after=first_row(beside) - 1))
    _judge(faults)
    click.echo(f"whole: {verdict.rows} events, {verdict.checkpoints} signed checkpoints")
    if beside is not None:
        click.echo(f"the same as {beside}")


@audit.command("verify-export")
@click.argument("export", type=_Export)
@click.option("--key", type=PathTo, required=True, help="PEM of the audit key (yinxin audit key).")
def audit_verify_export(export: Path, *, key: Path) -> None:
    """Verify exported files with the public audit key alone, on any machine."""
    verdict = verify_export(export, AuditPublicKey(pem.public_key_of_pem(read_ascii(key))))
    _judge([] if verdict.fault is None else [verdict.fault])
    click.echo(f"whole: up to row {verdict.rows}, {verdict.checkpoints} signed checkpoints")


@audit.command("key")
@local
def audit_key(invocation: Invocation) -> None:
    """Print the public key that checkpoints are verified with, PEM."""
    with invocation.keystore() as keystore:
        click.echo(pem.encode(AuditKey.open(keystore).public_key, "PUBLIC KEY"), nl=False)


def _present(directory: Path | None) -> Path | None:
    return directory if directory is not None and any(directory.glob(PATTERN)) else None


def _judge(faults: list[str]) -> None:
    if faults:
        raise Refused(f"the audit log was tampered with: {'; '.join(faults)}")


@audit.command("list")
@click.option("--after", default=0, help="Start behind this sequence number.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 100_000))
@click.option("--action", help="Only this action, like certificate.issued.")
@click.option("--actor", help="Only this actor.")
@local
def audit_list(
    invocation: Invocation, after: int, limit: int, action: str | None, actor: str | None
) -> None:
    """Print events, oldest first, one JSON object a line. Times are UTC."""
    with invocation.ground() as ground:
        events = ground.audit.list_events(after=after, limit=limit, action=action, actor=actor)
    for event in events:
        line = {
            "sequence": event.sequence,
            "at": event.at.isoformat().replace("+00:00", "Z"),
            "action": event.action,
            "actor": event.actor,
            "detail": json.loads(event.detail),
            "hash": event.hash.hex(),
        }
        click.echo(json.dumps(line, ensure_ascii=False))


COMMANDS: Final = (audit,)
