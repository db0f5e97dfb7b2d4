"""Commands that open the state directory itself: the service, its settings, logs, clients, keys."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from ssl import DER_cert_to_PEM_cert
from typing import Final

import click

from authn.oidc.store import AuthMethod, IDTokenAlgorithm
from core.errors import NotFound
from yinxin.cli.context import Invocation, actor, local
from yinxin.cli.files import write_octets
from yinxin.describe import describe_settings
from yinxin.settings import effective


@click.command()
@local
def serve(invocation: Invocation) -> None:
    """Initialise on first start, and serve until Ctrl-C."""
    # The web framework takes a third of a second to import, and no other command needs it.
    from yinxin import serve as serving  # noqa: PLC0415

    serving.serve(invocation.settings, invocation.directory)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.option("--describe", is_flag=True, help="Every key with its default and meaning, Markdown.")
@local
def config(invocation: Invocation, *, as_json: bool, describe: bool) -> None:
    """Print the settings in force, without secrets."""
    if describe:
        click.echo(describe_settings(), nl=False)
        return
    tree = effective(invocation.settings)
    if as_json:
        click.echo(json.dumps(tree, ensure_ascii=False))
        return
    for section, values in tree.items():
        for key, value in _flat(values):
            click.echo(f"{section}.{key} = {json.dumps(value, ensure_ascii=False)}")


def _flat(tree: dict[str, object], prefix: str = "") -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for key, value in tree.items():
        path = f"{prefix}{key}"
        found += _flat(value, f"{path}.") if isinstance(value, dict) else [(path, value)]
    return found


# ---- clients -----------------------------------------------------------------------------------


@click.group()
def client() -> None:
    """Applications that log people in through us (OpenID relying parties)."""


@client.command("register")
@click.argument("name")
@click.option(
    "--redirect-uri",
    "redirect_uris",
    multiple=True,
    required=True,
    help="Exactly as the application sends it; may be given again.",
)
@click.option("--post-logout-redirect-uri", "logout_uris", multiple=True)
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
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@local
def client_register(
    invocation: Invocation,
    name: str,
    *,
    redirect_uris: Sequence[str],
    logout_uris: Sequence[str],
    client_id: str | None,
    auth_method: str,
    scopes: Sequence[str],
    id_token_algorithm: str,
    as_json: bool,
) -> None:
    """Register an application. Its secret is shown this once."""
    with invocation.ground() as ground:
        made, secret = ground.administration.clients.register(
            name,
            client_id=client_id,
            redirect_uris=redirect_uris,
            post_logout_redirect_uris=logout_uris,
            auth_method=AuthMethod(auth_method),
            allowed_scopes=scopes,
            id_token_algorithm=IDTokenAlgorithm(id_token_algorithm),
            actor=actor(),
        )
    shown = {"client_id": made.id, "client_secret": secret}
    if as_json:
        click.echo(json.dumps(shown))
        return
    for key, value in shown.items():
        click.echo(f"{key}\t{value or '-'}")


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


# ---- keys and CRLs ------------------------------------------------------------------------------


@click.command("key")
@local
def key_list(invocation: Invocation) -> None:
    """Print the keys of every backend: reference, algorithm. Never a private part."""
    with invocation.service() as service:
        for info in service.keystore.list_keys():
            click.echo(f"{info.ref}\t{info.algorithm}")


@click.command("crl")
@click.argument("issuer")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write DER here.")
@local
def crl_show(invocation: Invocation, issuer: str, out: Path | None) -> None:
    """Print (or write) the current CRL of ISSUER, making it if it is due."""
    with invocation.service() as service:
        record = service.crls.current(issuer)
    if out is not None:
        write_octets(out, record.der)
    click.echo(
        f"{issuer}: number {record.number}, {record.entries} entries, "
        f"next update {record.next_update.isoformat().replace('+00:00', 'Z')}"
    )


@click.command("trust")
@click.argument("issuer")
@local
def trust(invocation: Invocation, issuer: str) -> None:
    """Print the certificate of an issuer and those above it, PEM."""
    with invocation.service() as service:
        found = service.issuers.get(issuer)
        if found is None:
            raise NotFound(f"there is no issuer {issuer!r}: {', '.join(service.issuers)}")
    for certificate in (found.certificate, *found.chain):
        click.echo(DER_cert_to_PEM_cert(certificate), nl=False)


LOCAL_COMMANDS: Final = (serve, config, client, key_list, crl_show, trust)
