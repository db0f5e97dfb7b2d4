"""Commands on expiry notices."""

from __future__ import annotations

from typing import Final

import click

from ca.notices import NoticeState
from yinxin.cli.client import Client
from yinxin.cli.remote import PAGE, remote, show


@click.group()
def notice() -> None:
    """Expiry notices: who was told what, and what waits."""


@notice.command("list")
@click.option("--state", type=click.Choice([str(state) for state in NoticeState]))
@click.option("--limit", default=PAGE, show_default=True)
@click.option("--cursor", help="Where the last page ended.")
@remote
def notice_list(client: Client, *, state: str | None, limit: int, cursor: str | None) -> None:
    """List notices, newest first."""
    show(client.get_json("/notices", state=state, limit=limit, cursor=cursor))


COMMANDS: Final = (notice,)
