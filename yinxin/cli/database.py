"""Commands of whoever owns the tables."""

from __future__ import annotations

from typing import Final

import click

from core.clock import SystemClock
from core.db import open_database
from core.errors import Refused
from yinxin.cli.context import Invocation, local
from yinxin.database import prepare_database
from yinxin.schema import grant, grants
from yinxin.state import State


@click.group()
def database() -> None:
    """The tables: bring them to this release, let a role use them."""


@database.command("upgrade")
@local
def database_upgrade(invocation: Invocation) -> None:
    """Migrate as database.owner_url (or database.url), and let the role of database.url in."""
    state = State(invocation.directory.absolute())
    prepare_database(invocation.settings, state, clock=SystemClock())
    click.echo("the tables are those of this release")


@database.command("grant")
@click.argument("role")
@click.option("--print", "as_text", is_flag=True, help="Print the statements instead.")
@local
def database_grant(invocation: Invocation, role: str, *, as_text: bool) -> None:
    """Let a PostgreSQL role use the tables, and only add to the audit chain."""
    if as_text:
        click.echo("".join(f"{statement};\n" for statement in grants(role)), nl=False)
        return
    settings = invocation.settings.database
    owner = settings.owner_url or settings.url
    if owner is None or not owner.startswith("postgresql"):
        raise Refused("only PostgreSQL has roles: set database.owner_url")
    opened = open_database(owner)
    try:
        grant(opened, role)
    finally:
        opened.close()
    click.echo(f"{role} may use the tables, and only add to the audit chain")


COMMANDS: Final = (database,)
