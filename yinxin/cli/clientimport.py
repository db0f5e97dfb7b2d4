"""``yinxin client import``: hundreds of applications from one file."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click
from pydantic import ValidationError

from authn.oidc.clientbatch import ClientBatch, Registered, RowsRefused, Wanted
from authn.schemas import NewClient
from ca.bulkfile import read_table
from core.errors import Malformed, Refused, TooLarge, Unavailable
from keystore.files import write_new
from yinxin.cli.context import Invocation, actor, local
from yinxin.cli.files import read_octets
from yinxin.cli.remote import PathTo

_MOST_OCTETS: Final = 16 * 1024 * 1024
_MOST_ROWS: Final = 5000
_PLAIN: Final = ("client_id", "name", "auth_method", "id_token_algorithm")
_LISTS: Final = ("redirect_uris", "post_logout_redirect_uris", "scopes")
_METADATA: Final = ("backchannel_logout_uri", "frontchannel_logout_uri", "client_uri")
_METADATA_LISTS: Final = ("cas_services", "cas_prefixes", "gate_origins")
_CONTACTS: Final = "contacts"
_COLUMNS: Final = (*_PLAIN, *_LISTS, *_METADATA, *_METADATA_LISTS, _CONTACTS)
_CHINESE: Final = {
    "应用标识": "client_id",
    "应用名称": "name",
    "认证方式": "auth_method",
    "登录回调地址": "redirect_uris",
    "退出后返回地址": "post_logout_redirect_uris",
    "范围": "scopes",
    "退出通知地址": "backchannel_logout_uri",
    "前端退出通知地址": "frontchannel_logout_uri",
    "CAS地址": "cas_services",
    "CAS地址前缀": "cas_prefixes",
    "代理应用来源": "gate_origins",
    "联系人": _CONTACTS,
}
"""What officials write at the head of a column, for what it is called here."""


@click.command("import")
@click.argument("file", type=PathTo)
@click.option(
    "--secrets",
    type=click.Path(path_type=Path),
    help="A new file for the secrets, readable by its owner only.",
)
@click.option("--dry-run", is_flag=True, help="Judge every row, and register nothing.")
@click.option("--skip-known", is_flag=True, help="Pass over ids that are registered already.")
@local
def client_import(
    invocation: Invocation, file: Path, *, secrets: Path | None, dry_run: bool, skip_known: bool
) -> None:
    """Register every application of a CSV, XLSX or JSON FILE: all of them, or none.

    The secrets are written to --secrets, this once (docs/connect/README.md).
    """
    if secrets is None and not dry_run:
        raise click.UsageError("give --secrets FILE, or --dry-run")
    try:
        wanted = _read(file)
        with invocation.ground() as ground:
            clients = ground.administration.clients
            batch = ClientBatch(clients, ground.database, actor(), skip_known=skip_known)
            if dry_run or secrets is None:
                found = batch.check(wanted)
            else:
                found = _register(batch, wanted, secrets)
    except RowsRefused as error:
        for fault in error.faults:
            click.echo(fault, err=True)
        raise
    verb = "can be" if dry_run else "are"
    click.echo(f"{len(found.secrets)} applications {verb} registered, {len(found.known)} known")
    if not dry_run:
        click.echo(f"their secrets are in {secrets}: hand them out, then remove it")


def _register(batch: ClientBatch, wanted: Sequence[Wanted], secrets: Path) -> Registered:
    written = False

    def keep(found: Registered) -> None:
        nonlocal written
        try:
            write_new(secrets, _table(found.secrets))
        except OSError as error:
            raise Refused(f"cannot write {secrets}: {error.strerror}; nothing was done") from error
        written = True

    try:
        return batch.register(wanted, keep=keep)
    except Unavailable as error:
        if not written:
            raise
        # Lost while it became durable, or before: these may be the only copies.
        raise Unavailable(
            f"{error}; keep {secrets} until you have looked whether they are registered"
        ) from error
    except BaseException:
        if written:  # the transaction did not become durable: these are the secrets of nobody
            secrets.unlink(missing_ok=True)
        raise


def _table(secrets: Mapping[str, str | None]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(("client_id", "client_secret"))
    writer.writerows((client_id, secret or "") for client_id, secret in secrets.items())
    return text.getvalue().encode()


def _read(path: Path) -> list[Wanted]:
    if path.stat().st_size > _MOST_OCTETS:
        raise TooLarge(f"{path} has more than {_MOST_OCTETS} octets")
    octets = read_octets(path)
    is_json = octets.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")
    found = list(_json_rows(octets) if is_json else _table_rows(octets))
    if not found:
        raise Malformed(f"{path} names no application")
    if len(found) > _MOST_ROWS:
        raise TooLarge(f"{path} has more than {_MOST_ROWS} applications")
    faults: list[str] = []
    wanted: list[Wanted] = []
    for row, values in found:
        try:
            wanted.append(Wanted(row, NewClient.model_validate(values)))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(step) for step in first["loc"]) or "the whole"
            faults.append(f"row {row}: {where}: {first['msg']}")
    if faults:
        raise RowsRefused(faults)
    return wanted


def _json_rows(octets: bytes) -> Iterable[tuple[int, Any]]:
    """Bodies of ``POST /api/v1/clients``, in a list."""
    try:
        items = json.loads(octets.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise Malformed(f"the file cannot be read as JSON: {error}") from error
    return enumerate(items, start=1)


def _table_rows(octets: bytes) -> Iterable[tuple[int, dict[str, Any]]]:
    numbered = enumerate(read_table(octets, max_columns=len(_COLUMNS)), start=1)
    columns = [_column(cell) for cell in next(numbered, (1, ()))[1]]
    if len(set(columns)) != len(columns):
        raise Malformed("the header names a column twice")
    for row, line in numbered:
        cells = ["" if cell is None else str(cell).strip() for cell in line]
        if any(cells[len(columns) :]):
            raise Malformed(f"row {row} has more cells than the header has columns")
        given = {name: cell for name, cell in zip(columns, cells, strict=False) if cell}
        if given:
            yield row, _values(given)


def _column(cell: object) -> str:
    text = re.sub(r"\s", "", str(cell or ""))
    name = _CHINESE.get(text, text.lower())
    if name not in _COLUMNS:
        raise Malformed(f"the header has {text[:40]!r}, which is not one of {', '.join(_COLUMNS)}")
    return name


def _values(given: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {name: given[name] for name in _PLAIN if name in given}
    values |= {name: given[name].split() for name in _LISTS if name in given}
    metadata: dict[str, Any] = {name: given[name] for name in _METADATA if name in given}
    metadata |= {name: given[name].split() for name in _METADATA_LISTS if name in given}
    if _CONTACTS in given:
        people = re.split(r"[\n;\uff1b]", given[_CONTACTS])
        metadata[_CONTACTS] = [one.strip() for one in people if one.strip()]
    return values | {"metadata": metadata}
