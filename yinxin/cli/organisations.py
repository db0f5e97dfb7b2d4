"""Commands on the tree of organisations and on rights."""

from __future__ import annotations

import getpass
import json
from typing import Any, Final

import click

from ca.operations import Operation
from ca.organisations_store import Level
from ca.rights_store import Step
from yinxin.cli.client import Client
from yinxin.cli.context import Invocation
from yinxin.cli.remote import remote, step

_PAGE: Final = 100


def _show(value: object) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


@click.group()
def organisation() -> None:
    """The tree of organisations: province, city, county, department, unit."""


@organisation.command("add")
@click.argument("parent")
@click.argument("name")
@click.option("--level", required=True, type=click.Choice([str(level) for level in Level]))
@click.option("--code", help="行政区划代码 or 统一社会信用代码.")
@remote
def organisation_add(
    client: Client, parent: str, name: str, *, level: str, code: str | None
) -> None:
    """Add an organisation below PARENT (an id)."""
    body = {"parent": parent, "level": level, "name": name, "code": code}
    _show(client.post("/organisations", body))


@organisation.command("list")
@click.option("--parent", help="Only what stands directly under this id.")
@click.option("--under", help="Only the subtree of this id.")
@click.option("--text", help="Part of the name, or the code.")
@click.option("--limit", default=_PAGE, show_default=True)
@click.option("--cursor", help="Where the last page ended.")
@remote
def organisation_list(client: Client, **query: Any) -> None:
    """List organisations, oldest first."""
    _show(client.get_json("/organisations", **query))


@organisation.command("show")
@click.argument("organisation_id")
@remote
def organisation_show(client: Client, organisation_id: str) -> None:
    """Look at an organisation: what it stands under, and its history."""
    _show(client.get_json(f"/organisations/{step(organisation_id)}"))


@organisation.command("rename")
@click.argument("organisation_id")
@click.argument("name")
@remote
def organisation_rename(client: Client, organisation_id: str, name: str) -> None:
    """Give an organisation another name."""
    _show(client.post(f"/organisations/{step(organisation_id)}/rename", {"name": name}))


@organisation.command("move")
@click.argument("organisation_id")
@click.argument("parent")
@remote
def organisation_move(client: Client, organisation_id: str, parent: str) -> None:
    """Put an organisation, with all below it, under PARENT."""
    where = f"/organisations/{step(organisation_id)}/move"
    _show(client.post(where, {"parent": parent}))


@organisation.command("close")
@click.argument("organisation_id")
@remote
def organisation_close(client: Client, organisation_id: str) -> None:
    """Issue nothing new under an organisation from now on."""
    _show(client.post(f"/organisations/{step(organisation_id)}/close", {}))


# ---- rights --------------------------------------------------------------------------------------


@click.group()
def right() -> None:
    """What operators may do, where, and with which profiles."""


@right.command("grant")
@click.argument("operator")
@click.argument("organisation_id")
@click.option("--profile", "profiles", multiple=True, help="May be given again; default: all.")
@click.option(
    "--operation",
    "operations",
    multiple=True,
    type=click.Choice([str(operation) for operation in Operation]),
    help="May be given again; default: all.",
)
@click.option(
    "--step",
    "steps",
    multiple=True,
    type=click.Choice([str(step) for step in Step]),
    help="May be given again; default: none.",
)
@remote
def right_grant(
    client: Client,
    operator: str,
    organisation_id: str,
    *,
    profiles: tuple[str, ...],
    operations: tuple[str, ...],
    steps: tuple[str, ...],
) -> None:
    """Give OPERATOR a right over an organisation and all below it."""
    body: dict[str, Any] = {"operator": operator, "organisation": organisation_id, "steps": steps}
    if profiles:
        body["profiles"] = profiles
    if operations:
        body["operations"] = operations
    _show(client.post("/rights", body))


@right.command("revoke")
@click.argument("right_id")
@remote
def right_revoke(client: Client, right_id: str) -> None:
    """Take a right away."""
    if (proposed := client.delete(f"/rights/{step(right_id)}")) is not None:
        _show(proposed)


@right.command("list")
@click.option("--operator", help="Only the rights of this operator.")
@click.option("--limit", default=_PAGE, show_default=True)
@click.option("--cursor", help="Where the last page ended.")
@remote
def right_list(client: Client, **query: Any) -> None:
    """List rights, oldest first."""
    _show(client.get_json("/rights", **query))


@right.command("restore")
@click.argument("operator")
@click.make_pass_decorator(Invocation)
def right_restore(invocation: Invocation, operator: str) -> None:
    """Give OPERATOR the whole tree, as the owner of the state directory: when nobody else can."""
    with invocation.ground() as ground:
        made = ground.registration.rights.give_everything(
            operator, actor=f"local:{getpass.getuser()}"
        )
    click.echo(f"{made.operator} may do everything in the whole tree (right {made.id})")


COMMANDS: Final = (organisation, right)
