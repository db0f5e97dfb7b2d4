"""Commands of the registration desks: the steps of a request after its entry."""

from __future__ import annotations

import json
from typing import Final

import click

from yinxin.cli.client import Client
from yinxin.cli.remote import remote, request, step


def _show(value: object) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


@request.command("make")
@click.argument("request_id")
@remote
def request_make(client: Client, request_id: str) -> None:
    """Make the certificate of a reviewed request, as another operator than its reviewer."""
    _show(client.post(f"/requests/{step(request_id)}/make", {}))


OPERATION_COMMANDS: Final[tuple[click.Command, ...]] = ()
