"""Commands on applications, for who owns the state directory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

import click
from pydantic import ValidationError

from authn.oidc.clientmetadata import ClientMetadata
from authn.oidc.store import AuthMethod, IDTokenAlgorithm
from authn.schemas import ClientView
from core.errors import Malformed
from yinxin.cli.clientimport import client_import
from yinxin.cli.context import Invocation, actor, local
from yinxin.cli.remote import PathTo


@click.group()
def client() -> None:
    """Applications that log people in through us (OpenID relying parties)."""


@client.command("register")
@click.argument("name")
@click.option(
    "--redirect-uri",
    "redirect_uris",
    multiple=True,
    help="Exactly as the application sends it; may be given again.",
)
@click.option("--post-logout-redirect-uri", "logout_uris", multiple=True)
@click.option("--backchannel-logout-uri", help="Posted to when a session ends.")
@click.option("--cas-service", "cas_services", multiple=True, help="Enters by CAS at this service.")
@click.option("--cas-prefix", "cas_prefixes", multiple=True, help="Or at any service below this.")
@click.option("--gate-origin", "gate_origins", multiple=True, help="Behind a proxy that asks us.")
@click.option("--frontchannel-logout-uri", help="Loaded by a browser that logs out.")
@click.option("--id", "client_id", help="Default: a random UUID.")
@click.option(
    "--auth-method",
    type=click.Choice([method.value for method in AuthMethod]),
    default=AuthMethod.BASIC.value,
    show_default=True,
    help="How it authenticates; none: a public client, PKCE alone.",
)
@click.option(
    "--scope", "scopes", multiple=True, default=("openid", "profile", "email"), show_default=True
)
@click.option(
    "--id-token-algorithm",
    default=IDTokenAlgorithm.ES256.value,
    show_default=True,
    type=click.Choice([item.value for item in IDTokenAlgorithm]),
)
@click.option(
    "--metadata",
    "metadata_file",
    type=PathTo,
    help="JSON file with grant types, keys, resource … (docs/oidc.md), in the names of RFC 7591.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@local
def client_register(
    invocation: Invocation,
    name: str,
    *,
    redirect_uris: Sequence[str],
    logout_uris: Sequence[str],
    backchannel_logout_uri: str | None,
    frontchannel_logout_uri: str | None,
    cas_services: Sequence[str],
    cas_prefixes: Sequence[str],
    gate_origins: Sequence[str],
    client_id: str | None,
    auth_method: str,
    scopes: Sequence[str],
    id_token_algorithm: str,
    metadata_file: Path | None,
    as_json: bool,
) -> None:
    """Register an application. Its secret is shown this once."""
    with invocation.ground() as ground:
        made, secret = ground.administration.clients.register(
            name,
            client_id=client_id,
            redirect_uris=redirect_uris,
            post_logout_redirect_uris=logout_uris,
            metadata=_metadata(
                metadata_file,
                backchannel_logout_uri=backchannel_logout_uri,
                frontchannel_logout_uri=frontchannel_logout_uri,
                cas_services=tuple(cas_services),
                cas_prefixes=tuple(cas_prefixes),
                gate_origins=tuple(gate_origins),
            ),
            auth_method=AuthMethod(auth_method),
            allowed_scopes=scopes,
            id_token_algorithm=IDTokenAlgorithm(id_token_algorithm),
            actor=actor(),
        )
    shown = {"client_id": made.id, "client_secret": secret}
    if made.id_token_algorithm is IDTokenAlgorithm.SM2 and not invocation.settings.authn.gm.enabled:
        click.echo("nobody can log in to it before authn.gm.enabled is true", err=True)
    if as_json:
        click.echo(json.dumps(shown))
        return
    for key, value in shown.items():
        click.echo(f"{key}\t{value or '-'}")


def _metadata(path: Path | None, **options: str | tuple[str, ...] | None) -> ClientMetadata:
    given = {name: value for name, value in options.items() if value not in (None, ())}
    try:
        kept = {} if path is None else json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(kept, dict):
            raise Malformed(f"{path} is not a JSON object")
        return ClientMetadata.model_validate(kept | given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"]) or "the whole"
        raise Malformed(f"{path or 'the options'}: {where}: {first['msg']}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise Malformed(f"{path} cannot be read as JSON: {error}") from error


@client.command("show")
@click.argument("client_id")
@local
def client_show(invocation: Invocation, client_id: str) -> None:
    """Print what an application is registered with, as JSON."""
    with invocation.ground() as ground:
        found = ground.administration.clients.get(client_id)
    view = ClientView.of(found)
    click.echo(view.model_dump_json(indent=2, exclude_defaults=True))


@client.command("rotate-secret")
@click.argument("client_id")
@click.option(
    "--keep-old-hours",
    default=24,
    show_default=True,
    type=click.IntRange(0, 720),
    help="How long the old secret works beside the new one; 0 after a compromise.",
)
@local
def client_rotate_secret(invocation: Invocation, client_id: str, *, keep_old_hours: int) -> None:
    """Print a new secret of an application. It is shown this once."""
    with invocation.ground() as ground:
        secret = ground.administration.clients.rotate_secret(
            client_id, keep=timedelta(hours=keep_old_hours), actor=actor()
        )
    click.echo(secret)


@client.command("list")
@local
def client_list(invocation: Invocation) -> None:
    """Print applications: id, method, name, redirect URIs."""
    with invocation.ground() as ground:
        for item in ground.administration.clients.list_clients():
            click.echo(
                f"{item.id}\t{item.auth_method}\t{item.name}\t{' '.join(item.redirect_uris)}"
            )


@client.command("remove")
@click.argument("client_id")
@local
def client_remove(invocation: Invocation, client_id: str) -> None:
    """Remove an application; its tokens stop working at once."""
    with invocation.ground() as ground:
        ground.administration.clients.remove(client_id, actor=actor())


client.add_command(client_import)

COMMANDS: Final = (client,)
