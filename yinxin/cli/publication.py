"""Commands on publishing to an LDAP directory."""

from __future__ import annotations

from typing import Final

import click

from yinxin.cli.client import Client
from yinxin.cli.remote import remote, show


@click.group()
def publication() -> None:
    """The LDAP directory: how far it is, and once more."""


@publication.command("status")
@remote
def publication_status(client: Client) -> None:
    """Say how far the directory is behind, and what it did not take."""
    show(client.get_json("/publication"))


@publication.command("retry")
@remote
def publication_retry(client: Client) -> None:
    """Try at once what the directory did not take."""
    show(client.post("/publication/retry", {}))


COMMANDS: Final = (publication,)
