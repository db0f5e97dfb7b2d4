"""The command line: ``yinxin``.

Commands that open the state directory (serve, config, audit, check, crl, user, client, token, key,
host, ra) act for whoever owns that directory. Commands on certificates (request, bulk, certificate,
issuer, profile, recovery, pool, proposal, organisation, right, review-rule) call the API of a
running service and have the rights of the token they are given.
"""

from __future__ import annotations

import sys
from typing import Any

import click
from typing_extensions import override

from core.errors import TrustError
from yinxin.cli.accounts import ACCOUNT_COMMANDS
from yinxin.cli.audit import AUDIT_COMMANDS
from yinxin.cli.bulk import BULK_COMMANDS
from yinxin.cli.ceremony import CEREMONY_COMMANDS
from yinxin.cli.certificates import CERTIFICATE_COMMANDS, certificate
from yinxin.cli.check import CHECK_COMMANDS
from yinxin.cli.context import Invocation
from yinxin.cli.control import CONTROL_COMMANDS
from yinxin.cli.database import DATABASE_COMMANDS
from yinxin.cli.health import HEALTH_COMMANDS
from yinxin.cli.host import HOST_COMMANDS
from yinxin.cli.key_management import KEY_COMMANDS
from yinxin.cli.keys import KEYS_COMMANDS
from yinxin.cli.lint import LINT_COMMANDS
from yinxin.cli.local import LOCAL_COMMANDS
from yinxin.cli.login import login
from yinxin.cli.massrevocation import MASS_REVOCATION_COMMANDS
from yinxin.cli.notices import NOTICE_COMMANDS
from yinxin.cli.operations import OPERATION_COMMANDS
from yinxin.cli.organisations import ORGANISATION_COMMANDS
from yinxin.cli.profiles import PROFILE_COMMANDS
from yinxin.cli.publication import PUBLICATION_COMMANDS
from yinxin.cli.ra import RA_COMMANDS
from yinxin.cli.replacements import REPLACEMENT_COMMANDS
from yinxin.cli.requests import REQUEST_COMMANDS
from yinxin.cli.reviews import REVIEW_COMMANDS
from yinxin.cli.statistics import STATISTICS_COMMANDS
from yinxin.cli.subjects import SUBJECT_COMMANDS


class _Sentences(click.Group):
    """Says every refusal in one sentence, with a non-zero exit code."""

    @override
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except TrustError as error:
            click.echo(f"yinxin: {error}", err=True)
            sys.exit(1)


@click.group(cls=_Sentences, help=(__doc__ or "").partition("\n\n")[2])
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


for command in (
    *LOCAL_COMMANDS,
    *ACCOUNT_COMMANDS,
    *AUDIT_COMMANDS,
    *DATABASE_COMMANDS,
    login,
    *REQUEST_COMMANDS,
    *BULK_COMMANDS,
    *CERTIFICATE_COMMANDS,
    *HEALTH_COMMANDS,
    *KEY_COMMANDS,
    *KEYS_COMMANDS,
    *CONTROL_COMMANDS,
    *MASS_REVOCATION_COMMANDS,
    *PROFILE_COMMANDS,
    *CEREMONY_COMMANDS,
    *HOST_COMMANDS,
    *RA_COMMANDS,
    *OPERATION_COMMANDS,
    *NOTICE_COMMANDS,
    *PUBLICATION_COMMANDS,
    *ORGANISATION_COMMANDS,
    *LINT_COMMANDS,
    *CHECK_COMMANDS,
    *REVIEW_COMMANDS,
    *SUBJECT_COMMANDS,
    *STATISTICS_COMMANDS,
):
    main.add_command(command)
for command in REPLACEMENT_COMMANDS:
    certificate.add_command(command)
