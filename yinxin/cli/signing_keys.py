"""Commands on the keys that sign tokens, for who owns the state directory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import click

from authn.oidc.keyrotation import KeyRotation
from authn.oidc.sqlkeys import SQLSigningKeyStore
from authn.oidc.store import IDTokenAlgorithm
from yinxin.cli.context import Invocation, actor, local


@click.group("signing-key")
def signing_key() -> None:
    """Keys that sign ID tokens and logout tokens (docs/runbooks/signing-keys.md)."""


@signing_key.command("list")
@local
def signing_key_list(invocation: Invocation) -> None:
    """Print the keys: state, algorithm, kid, reference, signs from, signs until, gone at."""
    with _rotation(invocation) as rotation:
        for key, kid, state in rotation.list_keys():
            times = (key.signs_from, key.signs_until, key.gone_at)
            shown = "\t".join("-" if at is None else f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in times)
            click.echo(f"{state}\t{key.algorithm}\t{kid or '-'}\t{key.ref}\t{shown}")


@signing_key.command("rotate")
@click.option(
    "--algorithm",
    type=click.Choice([one.value for one in IDTokenAlgorithm]),
    default=IDTokenAlgorithm.ES256.value,
    show_default=True,
)
@click.option(
    "--now", "at_once", is_flag=True, help="The old key may be known to others: end it at once."
)
@local
def signing_key_rotate(invocation: Invocation, *, algorithm: str, at_once: bool) -> None:
    """Make a new key and publish it; it signs when clients have had the time to fetch it.

    A service that runs takes it up within five seconds.
    """
    with _rotation(invocation) as rotation:
        made = rotation.rotate(IDTokenAlgorithm(algorithm), at_once=at_once, actor=actor())
    click.echo(f"{made.ref}\tsigns from {made.signs_from:%Y-%m-%dT%H:%M:%SZ}")


@contextmanager
def _rotation(invocation: Invocation) -> Iterator[KeyRotation]:
    with invocation.ground() as ground, invocation.keystore() as keystore:
        yield KeyRotation(
            SQLSigningKeyStore(ground.database),
            keystore,
            config=ground.settings.authn,
            transactions=ground.database,
            audit=ground.audit,
            clock=ground.clock,
        )


COMMANDS: Final = (signing_key,)
