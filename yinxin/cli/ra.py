"""Commands on registration authorities that run apart, at their certificate authority."""

from __future__ import annotations

import getpass
from typing import Final

import click

from ca.profiles import load_profiles
from core.errors import Malformed, NotFound
from core.peer import check_fingerprints, check_peer_url
from yinxin.cli.context import Invocation, local
from yinxin.registrars import open_registrars


@click.group()
def ra() -> None:
    """Registration authorities that run apart: who they are, and what is theirs."""


@ra.command("add")
@click.argument("name")
@click.option("--key", required=True, help="What `yinxin host key` prints there.")
@click.option("--organisation", required=True, help="The id of the top of its branch.")
@click.option(
    "--profile", "profiles", multiple=True, required=True, help="One it may ask for; repeat."
)
@click.option("--url", help="https://host:port, to fetch its acts there; else it brings them.")
@local
def ra_add(
    invocation: Invocation,
    name: str,
    *,
    key: str,
    organisation: str,
    profiles: tuple[str, ...],
    url: str | None,
) -> None:
    """Register NAME for a branch and some profiles."""
    try:
        check_fingerprints((key,))
        checked = None if url is None else check_peer_url(url)
    except ValueError as error:
        raise Malformed(str(error)) from error
    known = load_profiles(invocation.settings.ca.profiles_directory)
    for profile in profiles:
        if profile not in known or not known[profile].requestable:
            raise NotFound(f"there is no profile {profile} that can be asked for")
    with invocation.ground() as ground:
        open_registrars(ground).add(
            name,
            key=key,
            organisation=organisation,
            profiles=[known[profile] for profile in profiles],
            url=checked,
            actor=f"local:{getpass.getuser()}",
        )


@ra.command("list")
@local
def ra_list(invocation: Invocation) -> None:
    """Print them: name, key, organisation, address."""
    with invocation.ground() as ground:
        for item in open_registrars(ground).list_registrars():
            click.echo(f"{item.name}\t{item.key}\t{item.organisation}\t{item.url or '-'}")


@ra.command("remove")
@click.argument("name")
@local
def ra_remove(invocation: Invocation, name: str) -> None:
    """Accept nothing from NAME any more."""
    with invocation.ground() as ground:
        open_registrars(ground).remove(name, actor=f"local:{getpass.getuser()}")


COMMANDS: Final = (ra,)
