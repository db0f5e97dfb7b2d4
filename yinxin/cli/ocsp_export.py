"""``yinxin ocsp export``: answers as files."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Final

import click

from core.errors import NotFound
from yinxin.cli.context import Invocation, local
from yinxin.cli.ocsp import ocsp


@ocsp.command("export")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@local
def export(invocation: Invocation, directory: Path) -> None:
    """Sign the answer about every certificate and write it below DIRECTORY/ocsp.

    At the authority, whether it serves or not. Files are named by the request in base64, for a
    web server that decodes the path; run it again at least at half of the answers' validity, and
    after each revocation. What is young enough is kept.
    """
    from crl.ocsp.export import export_answers  # noqa: PLC0415 - most commands do without
    from crl.ocsp.issuers import IssuerTable, Known  # noqa: PLC0415
    from crl.ocsp.keeper import STORE_FILE, Keeper  # noqa: PLC0415
    from crl.ocsp.responder import Responder  # noqa: PLC0415
    from yinxin.local_status import answer_signers  # noqa: PLC0415

    config = invocation.settings.revocation.ocsp
    if not (invocation.directory / STORE_FILE).exists():
        raise NotFound("there is no status store yet: `yinxin serve` makes it")
    with (
        invocation.service() as service,
        closing(Keeper.open_store(invocation.directory.absolute(), config=config)) as store,
    ):
        ground = service.ground
        issuers: dict[str, Known] = dict(service.issuers)
        table: IssuerTable[Known] = IssuerTable(issuers.values())
        done = export_answers(
            store.statuses(),
            Responder(
                table, answer_signers(service), service.statuses, config=config, clock=ground.clock
            ),
            issuers,
            directory,
            validity=timedelta(hours=config.validity_hours),
            clock=ground.clock,
            progress=lambda count: click.echo(f"{count} answers", err=True),
        )
    click.echo(f"{done.written} written, {done.kept} kept, below {directory / 'ocsp'}")


COMMANDS: Final = (ocsp,)
