"""What commands over the API of a running service share: a client with the caller's own rights."""

from __future__ import annotations

import functools
import json
import re
import urllib.parse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import click

from core.errors import Refused
from yinxin.cli.client import Client
from yinxin.cli.context import Invocation
from yinxin.cli.files import read_ascii

PathTo = click.Path(exists=True, dir_okay=False, path_type=Path)
PAGE: Final = 100
"""How long a page of a list is, unless asked otherwise."""
_TOKEN: Final = re.compile(r"[A-Za-z0-9_.~+/=-]{20,200}")


def remote(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command a client as its first argument, and the options that make one."""

    @click.pass_context
    @functools.wraps(command)
    def connected(
        context: click.Context,
        /,
        *arguments: Any,
        server: str | None,
        token_file: Path | None,
        client_certificate: Path | None,
        trust: Path | None,
        **rest: Any,
    ) -> None:
        client = _client(context, server, token_file, client_certificate, trust)
        command(client, *arguments, **rest)

    options = (
        click.option(
            "--server",
            envvar="YINXIN_SERVER_URL",
            help="https://host:port; default: the one of the state directory's settings.",
        ),
        click.option(
            "--token-file",
            envvar="YINXIN_TOKEN_FILE",
            type=PathTo,
            help="A file with an API token.",
        ),
        click.option(
            "--client-certificate",
            type=PathTo,
            help="PEM with a certificate and its key, instead of a token.",
        ),
        click.option(
            "--trust",
            type=PathTo,
            help="PEM of the root to trust; default: rsa-root of the state directory, or the "
            "system's.",
        ),
    )
    for option in reversed(options):
        connected = option(connected)
    return connected


def _client(
    context: click.Context,
    server: str | None,
    token_file: Path | None,
    client_certificate: Path | None,
    trust: Path | None,
) -> Client:
    invocation = context.find_object(Invocation)
    assert invocation is not None  # noqa: S101  (the group sets it)
    if token_file is None and client_certificate is None:
        raise Refused(
            "say who asks: --token-file (see `yinxin token create`) or --client-certificate"
        )
    client = Client(
        server=server or invocation.settings.authn.issuer,
        token=None,
        trust=trust or our_root(invocation),
        certificate=client_certificate,
    )
    return client if token_file is None else replace(client, token=_token(token_file))


def _token(path: Path) -> str:
    text = read_ascii(path).strip()
    if _TOKEN.fullmatch(text) is None:
        raise Refused(f"{path} does not hold a token (see `yinxin token create`)")
    return text


def our_root(invocation: Invocation) -> Path | None:
    """Return the root that this state directory trusts, if it has one."""
    ours = invocation.directory / "trust" / "rsa-root.pem"
    return ours if ours.is_file() else None


def show(value: object) -> None:
    """Print a document of JSON."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def step(text: str) -> str:
    """Return one step of a path; without it, ``../x`` or ``a?b`` would name something else."""
    return urllib.parse.quote(text, safe="")
