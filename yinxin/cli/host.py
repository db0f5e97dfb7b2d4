"""Commands on the identity of a host: its key, and the certificate that the authority gives it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import click

from core.errors import Refused
from yinxin.cli.context import Invocation
from yinxin.cli.files import read_ascii, write_octets
from yinxin.host_identity import (
    ensure_host_key,
    fingerprint_of,
    install_identity,
    make_host_request,
)
from yinxin.keys import open_keys
from yinxin.state import HostRole, claim_role, prepare_state, role_of

_pass = click.make_pass_decorator(Invocation)
_File = click.Path(exists=True, dir_okay=False, path_type=Path)
_OTHERS: Final = [str(role) for role in HostRole if role is not HostRole.CA]


@click.group()
def host() -> None:
    """This host's own key and certificate, by which other hosts know it."""


@host.command("key")
@_pass
def host_key(invocation: Invocation) -> None:
    """Print the fingerprint of this host's key, for the settings of its peers."""
    with invocation.keystore() as keystore:
        click.echo(fingerprint_of(ensure_host_key(keystore)))


@host.command("request")
@click.option("--role", required=True, type=click.Choice(_OTHERS), help="What this host will be.")
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path))
@_pass
def host_request(invocation: Invocation, *, role: str, out: Path) -> None:
    """Write a certificate request for this host; on a new state directory, make its keystore."""
    os.umask(0o077)
    state = prepare_state(invocation.directory)
    claim_role(state, HostRole(role))
    keystore = open_keys(invocation.settings, state)
    try:
        request = make_host_request(keystore, host=invocation.settings.server.public_host)
    finally:
        keystore.close()
    write_octets(out, request)


@host.command("install")
@click.argument("chain", type=_File)
@click.option("--root", required=True, type=_File, help="PEM of the root above it.")
@_pass
def host_install(invocation: Invocation, chain: Path, *, root: Path) -> None:
    """Install the certificate that the authority issued: a PEM chain, this host's first."""
    os.umask(0o077)
    with invocation.keystore() as keystore:
        state = prepare_state(invocation.directory)
        if role_of(state) is HostRole.CA:
            raise Refused("this is an authority, which makes certificates for itself")
        identity = install_identity(state, keystore, chain=read_ascii(chain), root=read_ascii(root))
    click.echo(f"installed; valid until {identity.not_after:%Y-%m-%d}")


COMMANDS: Final = (host,)
