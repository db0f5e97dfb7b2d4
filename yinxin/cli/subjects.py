"""Commands on subjects: people, organisations, devices."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any, Final

import click

from ca.subjects_store import IdentifierType, SubjectKind
from core.errors import Refused
from yinxin.cli.client import Client
from yinxin.cli.remote import remote, step

_PAGE: Final = 100
_MAX_IDENTIFIER: Final = 100
_KINDS: Final = [str(kind) for kind in SubjectKind]


def _show(value: object) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def _identifier(text: str) -> str:
    """Return the value, from standard input for ``-``: what is typed stays in a shell's history."""
    if text != "-":
        return text
    return sys.stdin.readline(_MAX_IDENTIFIER).strip()


def _identified(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--identifier", required=True, help="-: the first line of standard input."),
        click.option(
            "--identifier-type",
            required=True,
            type=click.Choice([str(kind) for kind in IdentifierType]),
        ),
        click.option("--kind", required=True, type=click.Choice(_KINDS)),
    ):
        command = option(command)
    return command


def _described(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option(
            "--contact", "contacts", multiple=True, metavar="NAME=VALUE", help="Up to ten."
        ),
        click.option("--email"),
    ):
        command = option(command)
    return command


def _contacts(given: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for item in given:
        name, equals, value = item.partition("=")
        if not equals:
            raise Refused(f"{item!r} is not NAME=VALUE")
        found[name] = value
    return found


@click.group()
def subject() -> None:
    """People, organisations and devices that certificates are for."""


@subject.command("add")
@click.argument("organisation_id")
@click.argument("name")
@_identified
@_described
@remote
def subject_add(
    client: Client, organisation_id: str, name: str, *, contacts: tuple[str, ...], **given: Any
) -> None:
    """Keep a subject that belongs to an organisation."""
    body = {**given, "organisation": organisation_id, "name": name}
    body |= {"identifier": _identifier(given["identifier"]), "contacts": _contacts(contacts)}
    _show(client.post("/subjects", body))


@subject.command("find")
@_identified
@remote
def subject_find(client: Client, **given: Any) -> None:
    """Find a subject by its identifier."""
    body = {**given, "identifier": _identifier(given["identifier"])}
    _show(client.post("/subjects/find", body))


@subject.command("list")
@click.option("--kind", type=click.Choice(_KINDS))
@click.option("--under", help="Only the subtree of this organisation's id.")
@click.option("--text", help="The beginning of the name.")
@click.option("--limit", default=_PAGE, show_default=True)
@click.option("--cursor", help="Where the last page ended.")
@remote
def subject_list(client: Client, **query: Any) -> None:
    """List subjects, newest first."""
    _show(client.get_json("/subjects", **query))


@subject.command("show")
@click.argument("subject_id")
@remote
def subject_show(client: Client, subject_id: str) -> None:
    """Look at a subject, and where it belonged."""
    _show(client.get_json(f"/subjects/{step(subject_id)}"))


@subject.command("update")
@click.argument("subject_id")
@click.argument("name")
@_described
@remote
def subject_update(
    client: Client, subject_id: str, name: str, *, email: str | None, contacts: tuple[str, ...]
) -> None:
    """Replace name, email and contacts of a subject."""
    body = {"name": name, "email": email, "contacts": _contacts(contacts)}
    _show(client.post(f"/subjects/{step(subject_id)}/update", body))


@subject.command("move")
@click.argument("subject_id")
@click.argument("organisation_id")
@remote
def subject_move(client: Client, subject_id: str, organisation_id: str) -> None:
    """Let a subject belong to another organisation."""
    where = f"/subjects/{step(subject_id)}/move"
    _show(client.post(where, {"organisation": organisation_id}))


COMMANDS: Final = (subject,)
