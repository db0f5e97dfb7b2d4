"""Commands on bulk requests: a table of people or devices, checked, issued and fetched."""

from __future__ import annotations

import hashlib
import io
import json
import sys
import time
import zipfile
from pathlib import Path
from typing import Any, Final

import click

from core.errors import Malformed, NotFound, Refused, Unavailable
from keystore.algorithms import KeyAlgorithm
from keystore.files import write_new
from keystore.package import open_package
from yinxin.cli.client import Client
from yinxin.cli.files import read_ascii, read_octets
from yinxin.cli.remote import PathTo, remote

_BAD_SHOWN: Final = 1000
_POLL_SECONDS: Final = 0.5
_PATIENT_POLLS: Final = 120
"""A minute in which nothing moves, and the batch says what it waits for."""
_WORKING: Final = ("checking", "issuing", "cancelling")
_FINISHED: Final = ("valid", "bad", "awaiting-pickup", "issued", "failed", "cancelled")


@click.group()
def bulk() -> None:
    """Certificates for a whole table of people or devices."""


@bulk.command("check")
@click.argument("table", type=PathTo)
@click.option("--profile", required=True)
@click.option("--issuer", required=True)
@click.option(
    "--key-algorithm",
    type=click.Choice(list(KeyAlgorithm)),
    help="Of the keys that are made for rows without a CSR; default: the profile's first.",
)
@click.option("--organisation", help="The branch that asks; default: the only one you have.")
@click.option("--label", default="", help="What to call the batch; default: the file's name.")
@remote
def check(
    client: Client,
    table: Path,
    *,
    profile: str,
    issuer: str,
    key_algorithm: str | None,
    organisation: str | None,
    label: str,
) -> None:
    """Upload a CSV or XLSX file, and list every row that would be refused. Issues nothing."""
    batch = client.post_octets(
        "/bulk",
        read_octets(table),
        profile=profile,
        issuer=issuer,
        key_algorithm=key_algorithm,
        organisation=organisation,
        label=label or table.name[:200],
    )
    batch = _watch(client, batch["id"])
    _show(batch)
    bad = client.get_json(f"/bulk/{batch['id']}/items", state="bad", limit=_BAD_SHOWN)
    for item in bad:
        click.echo(f"row {item['row']}: {item['reason']}", err=True)
    if bad:
        raise Refused(f"{batch['counts']['bad']} of {batch['rows']} rows are bad")


@bulk.command("unasked")
@click.argument("batch_id")
@remote
def unasked(client: Client, batch_id: str) -> None:
    """Go on without the authority's word on the rows that it has not seen.

    At a registration authority. The authority is heard when they are issued, one by one.
    """
    try:
        client.post(f"/bulk/{batch_id}/unasked", {})
    except NotFound as error:
        client.get_json(f"/bulk/{batch_id}")  # there is no such batch; or else:
        raise Refused(
            "the certificate authority checks its own tables itself: this is for a registration "
            "authority that runs apart (--server)"
        ) from error
    _show(_watch(client, batch_id))


@bulk.command("submit")
@click.argument("batch_id")
@click.option(
    "--recipient",
    type=PathTo,
    required=True,
    help="PEM of the certificate to which the result is encrypted (RSA or SM2).",
)
@remote
def submit(client: Client, batch_id: str, *, recipient: Path) -> None:
    """Ask for the certificates of a checked batch."""
    client.post(f"/bulk/{batch_id}/submit", {"recipient": read_ascii(recipient)})
    _show(_watch(client, batch_id))


@bulk.command("approve")
@click.argument("batch_id")
@remote
def approve(client: Client, batch_id: str) -> None:
    """Approve a whole batch, and watch it being issued."""
    client.post(f"/bulk/{batch_id}/approve", {})
    _show(_watch(client, batch_id))


@bulk.command("reject")
@click.argument("batch_id")
@click.option("--reason", required=True)
@remote
def reject(client: Client, batch_id: str, *, reason: str) -> None:
    """Reject a whole batch."""
    _show(client.post(f"/bulk/{batch_id}/reject", {"reason": reason}))


@bulk.command("list")
@remote
def list_batches(client: Client) -> None:
    """List the newest batches."""
    _show(client.get_json("/bulk"))


@bulk.command("status")
@click.argument("batch_id")
@click.option("--watch", is_flag=True, help="Show the progress until nothing more happens.")
@remote
def status(client: Client, batch_id: str, *, watch: bool) -> None:
    """Look at a batch."""
    _show(_watch(client, batch_id) if watch else client.get_json(f"/bulk/{batch_id}"))


@bulk.command("pause")
@click.argument("batch_id")
@remote
def pause(client: Client, batch_id: str) -> None:
    """Stop after the rows in hand."""
    _show(client.post(f"/bulk/{batch_id}/pause", {}))


@bulk.command("resume")
@click.argument("batch_id")
@remote
def resume(client: Client, batch_id: str) -> None:
    """Go on with a paused batch."""
    client.post(f"/bulk/{batch_id}/resume", {})
    _show(_watch(client, batch_id))


@bulk.command("cancel")
@click.argument("batch_id")
@remote
def cancel(client: Client, batch_id: str) -> None:
    """Issue no more of a batch; what is issued stays."""
    client.post(f"/bulk/{batch_id}/cancel", {})
    _show(_watch(client, batch_id))


@bulk.command("fetch")
@click.argument("batch_id")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True)
@remote
def fetch(client: Client, batch_id: str, *, out: Path) -> None:
    """Fetch the encrypted result, and confirm it: the service erases the private keys then."""
    package = client.take_octets(f"/bulk/{batch_id}/package")
    _new(out, package)
    digest = hashlib.sha256(package).hexdigest()
    _show(client.post(f"/bulk/{batch_id}/confirm", {"sha256": digest}))


@bulk.command("open")
@click.argument("package", type=PathTo)
@click.option("--key", type=PathTo, required=True, help="PEM of the recipient's key, PKCS#8.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True)
def open_(package: Path, *, key: Path, out: Path) -> None:
    """Open a package into a new directory."""
    opened = open_package(read_octets(package), private_key=read_ascii(key))
    try:
        out.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise Malformed(f"cannot make {out}: {error.strerror}") from error
    with zipfile.ZipFile(io.BytesIO(opened)) as archive:
        for name in archive.namelist():
            # Only what `ca.bulkpackage` writes: a name in one directory at most.
            parts = Path(name).parts
            if len(parts) > 2 or ".." in parts or Path(name).is_absolute():
                raise Malformed(f"the package holds a file of a strange name: {name!r}")
            if len(parts) == 2:
                (out / parts[0]).mkdir(mode=0o700, exist_ok=True)
            _new(out / name, archive.read(name))


def _watch(client: Client, batch_id: str) -> Any:
    """Show the progress of a batch until nothing more happens to it by itself."""
    batch = client.get_json(f"/bulk/{batch_id}")
    if batch["state"] not in _WORKING:
        return batch
    said, still = None, 0
    # On the standard error, so that what is printed is one JSON document.
    with click.progressbar(length=batch["rows"], label=batch["state"], file=sys.stderr) as bar:
        while True:
            done = sum(batch["counts"].get(state, 0) for state in _FINISHED)
            if batch["state"] == "issuing":
                done -= batch["counts"].get("valid", 0)
            bar.update(done - bar.pos)
            if batch["state"] not in _WORKING:
                return batch
            if batch["comment"] is not None and batch["comment"] != said:
                said = batch["comment"]
                click.echo(f"\n{said}", err=True)
            time.sleep(_POLL_SECONDS)
            before, batch = batch, client.get_json(f"/bulk/{batch_id}")
            still = still + 1 if said and batch["counts"] == before["counts"] else 0
            if still == _PATIENT_POLLS:
                raise Unavailable(
                    f"{said}. Nothing is lost, and the batch goes on by itself when it can: "
                    f"yinxin bulk status {batch_id} --watch"
                )


def _show(value: object) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def _new(path: Path, octets: bytes) -> None:
    try:
        write_new(path, octets)
    except OSError as error:
        raise Malformed(f"cannot write {path}: {error.strerror}") from error


COMMANDS: Final = (bulk,)
