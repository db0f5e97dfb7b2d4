"""The command line: ``yinxin``.

Commands with the options --server and --token-file (request, certificate, profile, right ...)
call the API of a running service, and have the rights of the token they are given. The others
(serve, config, user, client, signing-key, audit ...) open the state directory, and act for whoever
owns it.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any, Final, NoReturn

import click
from typing_extensions import override

from core.errors import TrustError
from yinxin.cli.context import Invocation

_MODULES: Final = {
    "audit": ("audit",),
    "blocked-key": ("massrevocation",),
    "bulk": ("bulk",),
    "ceremony": ("ceremony",),
    "certificate": ("certificates", "replacements"),
    "check": ("check",),
    "client": ("applications", "admission"),
    "config": ("local",),
    "crl": ("local",),
    "database": ("database",),
    "health-check": ("health",),
    "host": ("host",),
    "issuer": ("certificates",),
    "key": ("keys",),
    "lint": ("lint",),
    "login": ("login",),
    "mass-revocation": ("massrevocation",),
    "notice": ("notices",),
    "ocsp": ("ocsp", "ocsp_export", "ocsp_nodes"),
    "open-envelope": ("key_management",),
    "organisation": ("organisations",),
    "pickup": ("operations",),
    "pool": ("key_management",),
    "profile": ("profiles",),
    "proposal": ("control",),
    "publication": ("publication",),
    "ra": ("ra",),
    "reconcile": ("reconcile",),
    "recovery": ("key_management",),
    "renewal": ("operations",),
    "request": ("requests", "key_management", "operations"),
    "review-rule": ("reviews",),
    "revoke-many": ("massrevocation",),
    "right": ("organisations",),
    "signing-key": ("signing_keys",),
    "serve": ("local",),
    "statistics": ("statistics",),
    "subject": ("subjects",),
    "token": ("accounts",),
    "trust": ("local",),
    "user": ("accounts", "admission"),
}
"""Where each command is, and then what adds to it. Imported when it is called: all of them
together cost a second of processor, and most commands only ask a running service."""
_LONGEST: Final = 2_000
"""Characters of a refusal: some name what they were given, and that may be a whole file."""


class _Yinxin(click.Group):
    """Finds commands by name, and says every refusal in one sentence with a non-zero exit code."""

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_MODULES)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        names = _MODULES.get(cmd_name)
        if names is None:
            return None
        modules = [import_module(f"yinxin.cli.{name}") for name in names]
        found: click.Command = next(one for one in modules[0].COMMANDS if one.name == cmd_name)
        return found

    @override
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except TrustError as error:
            _stop(str(error))
        except UnicodeEncodeError as error:
            # Octets of an argument that are not UTF-8 arrive as halves of surrogate pairs.
            if error.reason != "surrogates not allowed":
                raise
            _stop("an argument is not UTF-8")


def _stop(why: str) -> NoReturn:
    click.echo(f"yinxin: {why if len(why) <= _LONGEST else why[:_LONGEST] + ' …'}", err=True)
    sys.exit(1)


@click.group(cls=_Yinxin, help=(__doc__ or "").partition("\n\n")[2])
@click.version_option(package_name="yinxin")
@click.option(
    "--state", envvar="YINXIN_STATE", default="var", show_default=True, help="The state directory."
)
@click.option(
    "--config",
    "config_file",
    envvar="YINXIN_CONFIG",
    type=click.Path(dir_okay=False),
    help="A TOML file of settings; STATE/yinxin.toml is used when it exists.",
)
@click.pass_context
def main(context: click.Context, state: str, config_file: str | None) -> None:
    """Hold what every command needs."""
    context.obj = Invocation(state=state, config_file=config_file)
