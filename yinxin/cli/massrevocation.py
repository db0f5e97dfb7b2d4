"""Commands on revoking many certificates, and on blocked keys."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import Any, Final

import click

from ca.keycheck import spki_fingerprint
from ca.reasons import RevocationReason
from ca.tbs import parse_tbs
from core import der
from core.errors import Refused
from keystore import pem
from keystore.verify import normalise_spki
from yinxin.cli.client import Client
from yinxin.cli.control import show
from yinxin.cli.files import read_ascii, read_octets
from yinxin.cli.remote import PathTo, remote, step

_REASONS: Final = [
    str(reason)
    for reason in RevocationReason
    if reason not in {"certificateHold", "cACompromise", "aACompromise"}
]
_FINGERPRINT: Final = re.compile(r"[0-9a-f]{64}")
_WATCH_SECONDS: Final = 2


@click.command("revoke-many")
@click.option("--issuer")
@click.option("--profile")
@click.option("--organisation", help="Id of an organisation: its whole subtree.")
@click.option("--issued-after", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]))
@click.option("--issued-before", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]))
@click.option("--serials", type=PathTo, help="A file of serial numbers, one a line, hexadecimal.")
@click.option(
    "--same-key-as", type=PathTo, help="A certificate: everything with its key; the key is blocked."
)
@click.option("--reason", type=click.Choice(_REASONS), help="Required without --dry-run.")
@click.option("--dry-run", is_flag=True, help="Count, and show the first ones; change nothing.")
@click.option("--wait", is_flag=True, help="Show how far it is until it is done.")
@click.option("--yes", is_flag=True, help="Do not ask on the terminal, with the number of them.")
@remote
def revoke_many(
    client: Client,
    *,
    serials: Path | None,
    same_key_as: Path | None,
    reason: str | None,
    dry_run: bool,
    wait: bool,
    yes: bool,
    **chosen: Any,
) -> None:
    """Revoke every certificate of a selection; all options given must hold. Times are UTC."""
    for name in ("issued_after", "issued_before"):
        chosen[name] = None if chosen[name] is None else f"{chosen[name].isoformat()}Z"
    body = {name: value for name, value in chosen.items() if value is not None}
    if serials is not None:
        lines = read_ascii(serials).split()
        body["serials"] = [line.lower().replace(":", "") for line in lines]
    if same_key_as is not None:
        body["spki_fingerprint"] = _key_of(same_key_as)
    if dry_run:
        show(client.post("/mass-revocations/preview", body))
        return
    if reason is None:
        raise Refused("say why: --reason, or look first with --dry-run")
    if sys.stdin.isatty() and not yes:
        found = client.post("/mass-revocations/preview", body)
        # What is revoked stays revoked.
        click.confirm(f"Revoke {found['total']} certificates for good?", abort=True, err=True)
    made = client.post("/mass-revocations", body | {"reason": reason})
    show(made)
    if wait and made["state"] == "executed":
        _watch(client, made["proposal"])


def _watch(client: Client, job_id: str) -> None:
    job = client.get_json(f"/mass-revocations/{step(job_id)}")
    with click.progressbar(length=max(1, job["expected"]), label="revoked") as bar:
        while True:
            bar.update(min(job["expected"], job["revoked"] + job["refused"]) - bar.pos)
            if job["state"] == "done":
                break
            time.sleep(_WATCH_SECONDS)
            job = client.get_json(f"/mass-revocations/{step(job_id)}")
    show(job)


@click.group("mass-revocation")
def mass_revocation() -> None:
    """Revocations of many certificates, and how far they are."""


@mass_revocation.command("list")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 1000))
@remote
def mass_revocation_list(client: Client, *, limit: int) -> None:
    """List them, newest first."""
    show(client.get_json("/mass-revocations", limit=limit))


@mass_revocation.command("show")
@click.argument("job_id")
@remote
def mass_revocation_show(client: Client, job_id: str) -> None:
    """See how far one is. Its id is that of its proposal."""
    show(client.get_json(f"/mass-revocations/{step(job_id)}"))


@click.group("blocked-key")
def blocked_key() -> None:
    """Public keys that are never certified again."""


@blocked_key.command("add")
@click.argument("key")
@click.option("--reason", required=True)
@remote
def blocked_key_add(client: Client, key: str, *, reason: str) -> None:
    """Block a KEY for good: a certificate file, or SHA-256 of a SubjectPublicKeyInfo in hex."""
    fingerprint = key.lower() if _FINGERPRINT.fullmatch(key.lower()) else _key_of(Path(key))
    client.post("/blocked-keys", {"spki_fingerprint": fingerprint, "reason": reason})
    click.echo(f"blocked {fingerprint}")


@blocked_key.command("list")
@click.option("--after", default=0, help="Start behind this number.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 1000))
@remote
def blocked_key_list(client: Client, *, after: int, limit: int) -> None:
    """List blocked keys, oldest first."""
    show(client.get_json("/blocked-keys", after=after, limit=limit))


def _key_of(path: Path) -> str:
    octets = read_octets(path)
    if not octets.startswith(b"\x30"):
        octets = pem.decode(read_ascii(path), "CERTIFICATE")
    tbs, *_ = der.split_signed(octets, what=f"the certificate in {path}")
    return spki_fingerprint(normalise_spki(der.octets_of(parse_tbs(tbs).spki)))


COMMANDS: Final = (revoke_many, mass_revocation, blocked_key)
