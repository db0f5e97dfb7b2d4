"""The command for statistics."""

from __future__ import annotations

import json
from typing import Any, Final

import click

from yinxin.cli.client import Client
from yinxin.cli.remote import remote


@click.command("statistics")
@click.option("--organisation", help="An id; default: the only one that you may count.")
@click.option("--profile", help="Only this one.")
@click.option("--first", help="A month like 2026-01; default: eleven months ago.")
@click.option("--last", help="A month like 2026-12; default: in twelve months.")
@click.option("--csv", "as_csv", is_flag=True, help="The same lines as a table.")
@remote
def statistics(client: Client, *, as_csv: bool, **query: Any) -> None:
    """Count certificates by branch, profile, state and month."""
    if as_csv:
        click.echo(client.get("/statistics", format="csv", **query), nl=False)
    else:
        counted = client.get_json("/statistics", **query)
        click.echo(json.dumps(counted, ensure_ascii=False, indent=2))


COMMANDS: Final = (statistics,)
