"""After an older database was put back: show and re-enter what local stores remember of it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from core.errors import Misconfigured, NotFound, Refused
from yinxin.cli.context import Invocation, actor, local
from yinxin.state import HostRole, State, hold, role_of

if TYPE_CHECKING:
    from core.db import Database
    from crl.ocsp.store import StatusStore
    from crl.reconcile import Forgotten

_SHOWN: Final = 20
_EVERY: Final = 100_000


@click.command()
@click.option(
    "--from",
    "source",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A copy of a node's store (made there by --copy); else this host's own.",
)
@click.option("--apply", "applies", is_flag=True, help="Re-enter it (at the authority), audited.")
@click.option(
    "--copy",
    "copy_to",
    type=click.Path(exists=False, path_type=Path),
    help="Write a copy of this host's store, to carry to the authority; do nothing else.",
)
@local
def reconcile(
    invocation: Invocation, *, source: Path | None, applies: bool, copy_to: Path | None
) -> None:
    """Hold the database against what this host, or a node, remembers of the status log.

    Stop `yinxin serve` here first. Without --apply nothing is changed: what the database forgot is
    listed, and the exit code is 3 if there is anything. With --apply (at the authority) it is
    re-entered: revocations with their date and reason, certificates that are lost with nothing but
    their status. When nothing is forgotten (any more), this host's store is made anew from the
    log at the next start.
    """
    state = State(invocation.directory.absolute())
    own = state.directory / "status.lmdb"
    with hold(state):
        if copy_to is not None:
            with closing(_open(invocation, own)) as store:
                store.copy(copy_to)
            return
        role = role_of(state)
        if applies and role is not HostRole.CA:
            raise Refused(f"this is the state of a {role}: --apply is for the authority")
        left = _compare(invocation, source or own, applies=applies)
        if left:
            click.echo(f"{left} forgotten; nothing was changed. --apply re-enters it.")
            raise SystemExit(3)
        if source is None and own.exists():
            own.unlink()
            click.echo("Nothing is forgotten. The store is made anew at the next start.")


def _compare(invocation: Invocation, path: Path, *, applies: bool) -> int:
    """Show what is forgotten, re-enter it if it `applies`; return how much is left."""
    from ca.sqlreconcile import SQLReconciliation  # noqa: PLC0415 - most commands do without
    from core.db import open_database  # noqa: PLC0415
    from crl.reconcile import find_forgotten  # noqa: PLC0415

    settings = invocation.settings
    url = settings.database.url or State(invocation.directory.absolute()).database_url
    with closing(open_database(url)) as database, closing(_open(invocation, path)) as store:
        walked = find_forgotten(store.statuses(), SQLReconciliation(database), _progress)
        found = list(walked)
        for one in found[:_SHOWN]:
            click.echo(f"{one.issuer} {one.serial:040x}: {one.known.state}, here {one.found}")
        if len(found) > _SHOWN:
            click.echo(f"… and {len(found) - _SHOWN} more")
        if not applies:
            return len(found)
        _reenter(database, found)
        click.echo(f"{len(found)} re-entered")
        return 0


def _reenter(database: Database, found: list[Forgotten]) -> None:
    from ca.sqlreconcile import SQLReconciliation  # noqa: PLC0415
    from ca.sqlstore import SQLCertificateStore  # noqa: PLC0415
    from core.audit_sql import SQLAuditLog  # noqa: PLC0415
    from core.clock import SystemClock  # noqa: PLC0415
    from crl.reconcile import reenter  # noqa: PLC0415

    clock = SystemClock()
    for one in found:
        reenter(
            one,
            store=SQLReconciliation(database),
            certificates=SQLCertificateStore(database),
            transactions=database,
            audit=SQLAuditLog(database, clock=clock),
            clock=clock,
            actor=actor(),
        )


def _open(invocation: Invocation, path: Path) -> StatusStore:
    from crl.ocsp.store import StatusStore  # noqa: PLC0415

    if not path.exists():
        raise NotFound(f"there is no status store {path}: nothing is remembered here")
    gibibytes = invocation.settings.revocation.ocsp.store_gibibytes
    try:
        return StatusStore.open(path, gibibytes=gibibytes, writable=True)
    except Misconfigured as error:
        raise Misconfigured(f"{path} is no status store of this release") from error


def _progress(done: int) -> None:
    if done % _EVERY == 0:
        click.echo(f"{done} compared", err=True)


COMMANDS: Final = (reconcile,)
