"""Commands on certificate profiles."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from core.errors import Refused
from yinxin.cli.client import Client
from yinxin.cli.control import show
from yinxin.cli.remote import PathTo, remote, step


@click.group()
def profile() -> None:
    """Certificate profiles: list, propose others, see their versions."""


@profile.command("list")
@remote
def profile_list(client: Client) -> None:
    """List the profiles that can be asked for."""
    show(client.get_json("/profiles"))


@profile.command("propose")
@click.argument("files", type=PathTo, nargs=-1, required=True)
@remote
def profile_propose(client: Client, files: tuple[Path, ...]) -> None:
    """Propose the profiles in FILES (TOML), together; shows what would change."""
    texts = []
    for path in files:
        try:
            texts.append(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise Refused(f"cannot read {path}: {error}") from error
    proposed = client.post("/profiles", {"profiles": texts})
    click.echo(proposed["summary"])
    click.echo(f"{proposed['state']}: proposal {proposed['proposal']}")


@profile.command("versions")
@click.argument("name")
@remote
def profile_versions(client: Client, name: str) -> None:
    """List the versions of a profile that were decided, oldest first."""
    show(client.get_json(f"/profiles/{step(name)}/versions"))


COMMANDS: Final = (profile,)
