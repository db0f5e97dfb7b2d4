"""Commands of the registration desks: the steps of a request after its entry."""

from __future__ import annotations

from typing import Final

import click

from yinxin.cli.client import Client
from yinxin.cli.remote import remote, show, step
from yinxin.cli.requests import request


@request.command("make")
@click.argument("request_id")
@remote
def request_make(client: Client, request_id: str) -> None:
    """Make the certificate of a reviewed request, as another operator than its reviewer."""
    show(client.post(f"/requests/{step(request_id)}/make", {}))


OPERATION_COMMANDS: Final[tuple[click.Command, ...]] = ()
