"""The keys of an installation: list them, back them up in shares, put them back."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click
from pydantic import BaseModel

from core.errors import Refused, TrustError
from keystore import files, keyref, pin
from keystore.backup import (
    MAX_BACKUP_OCTETS,
    MAX_SHARE_OCTETS,
    Share,
    check_numbers,
    make_backup,
    parse_backup,
    parse_share,
    restore_backup,
)
from keystore.escrow.resealing import Resealing
from keystore.escrow.sqlstore import SQLEscrowStore
from keystore.escrow.vault import Vault
from yinxin.ceremonies import read_some
from yinxin.cli.context import Invocation, actor, local
from yinxin.keys import open_keys
from yinxin.state import hold, prepare_state
from yinxin.wiring import open_ground

_File = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group(invoke_without_command=True)
@click.pass_context
def key(context: click.Context) -> None:
    """Print the keys of every backend; back up the software keys in shares, and restore them."""
    if context.invoked_subcommand is None:
        context.invoke(key_list)


@key.command("list")
@local
def key_list(invocation: Invocation) -> None:
    """Print the keys of every backend: reference, algorithm. Never a private part."""
    with invocation.keystore() as keystore:
        for info in keystore.list_keys():
            click.echo(f"{info.ref}\t{info.algorithm}")


@key.command("backup")
@click.option("--shares", type=click.IntRange(2, 16), default=5, show_default=True)
@click.option("--threshold", type=click.IntRange(2, 16), default=3, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A new directory.")
@click.option(
    "--passphrase-file",
    "passphrase_files",
    type=_File,
    multiple=True,
    help="One for each share, in order; without them every holder is asked.",
)
@local
def key_backup(
    invocation: Invocation,
    *,
    shares: int,
    threshold: int,
    out: Path,
    passphrase_files: Sequence[Path],
) -> None:
    """Seal every software key in OUT, and split the key that opens it among holders."""
    if passphrase_files and len(passphrase_files) != shares:
        raise Refused(f"{shares} shares need {shares} passphrases, not {len(passphrase_files)}")
    check_numbers(threshold, shares)
    passphrases = [pin.from_file(path)() for path in passphrase_files]
    with _new_directory(out), invocation.ground() as ground, invocation.keystore() as keystore:
        parts = make_backup(
            keystore,
            threshold=threshold,
            passphrases=passphrases or [_chosen(number) for number in range(1, shares + 1)],
            now=ground.clock.now(),
            actor=actor(),
            transactions=ground.database,
            audit=ground.audit,
        )
        left_out = [
            one.ref for one in keystore.list_keys() if keyref.scheme_of(one.ref) != "software"
        ]
        for share in parts.shares:
            files.write_new(out / f"share-{share.number}.json", _json(share))
        files.write_new(out / "backup.json", _json(parts.backup))
    click.echo(f"{len(parts.backup.keys)} keys in {out}; {threshold} of {shares} shares open them")
    for ref in left_out:
        click.echo(f"not in it, back up its token: {ref}")


@key.command("restore")
@click.argument("backup", type=_File)
@click.argument("shares", type=_File, nargs=-1, required=True)
@click.option(
    "--passphrase-file",
    "passphrase_files",
    type=_File,
    multiple=True,
    help="One for each SHARE, in order; without them every holder is asked.",
)
@local
def key_restore(
    invocation: Invocation,
    backup: Path,
    shares: Sequence[Path],
    passphrase_files: Sequence[Path],
) -> None:
    """Put the keys of BACKUP back, with enough SHARES. The database comes back before."""
    if passphrase_files and len(passphrase_files) != len(shares):
        raise Refused(f"{len(shares)} shares need {len(shares)} passphrases")
    whole = parse_backup(read_some(backup, MAX_BACKUP_OCTETS))
    held = [parse_share(read_some(path, MAX_SHARE_OCTETS)) for path in shares]
    given = dict(zip((share.number for share in held), passphrase_files, strict=False))

    def passphrase_of(share: Share) -> bytes:
        path = given.get(share.number)
        question = f"Passphrase of share {share.number}: "
        return (pin.from_prompt(question) if path is None else pin.from_file(path))()

    state = prepare_state(invocation.directory)
    with hold(state):
        ground = open_ground(invocation.settings, state)
        try:
            if not ground.audit.list_events(limit=1):
                raise Refused("the database is empty: restore it before the keys that belong to it")
            keystore = open_keys(invocation.settings, state)
            restored = restore_backup(
                keystore,
                whole,
                held,
                passphrase_of=passphrase_of,
                actor=actor(),
                transactions=ground.database,
                audit=ground.audit,
            )
            keystore.close()
        finally:
            ground.close()
    click.echo(f"{restored} of {len(whole.keys)} keys restored; the others were there")


@key.command("reseal")
@local
def key_reseal(invocation: Invocation) -> None:
    """Put escrowed keys under the storage key of the settings, where they are under an older one.

    The centre may be running. After an interruption, the same command goes on.
    """
    with invocation.ground() as ground, invocation.keystore() as keystore:
        storage_key = keyref.parse(ground.settings.key_management.storage_key)
        store, vault = SQLEscrowStore(ground.database), Vault(keystore, storage_key)
        vault.prepare(in_use=store.count_under(storage_key) > 0)
        resealing = Resealing(store, vault, transactions=ground.database, audit=ground.audit)
        left = resealing.left()
        with click.progressbar(length=left, label="resealing", file=sys.stderr) as bar:
            while done := resealing.go_on(actor=actor()):
                bar.update(done)
    click.echo(f"{left} keys resealed; every escrowed key is under {storage_key}")


@contextmanager
def _new_directory(path: Path) -> Iterator[None]:
    """Make it before anything else: no backup is told of, or audited, that has nowhere to go."""
    try:
        path.mkdir(mode=0o700, parents=True)
        try:
            yield
        except (TrustError, KeyboardInterrupt):
            path.rmdir()
            raise
    except OSError as error:
        raise Refused(f"cannot write {path}: {error.strerror}") from error


def _chosen(number: int) -> bytes:
    first = pin.from_prompt(f"Passphrase for share {number}: ")()
    if pin.from_prompt("The same again: ")() != first:
        raise Refused(f"the two passphrases of share {number} differ; nothing was written")
    return first


def _json(part: BaseModel) -> bytes:
    return part.model_dump_json(indent=1).encode() + b"\n"


COMMANDS: Final = (key,)
