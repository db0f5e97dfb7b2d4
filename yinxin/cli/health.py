"""Checking an installation, for people and for monitoring."""

from __future__ import annotations

import json
import sys
from typing import Final

import click

from yinxin.cli.context import Invocation, local
from yinxin.health.findings import Level, worst_of
from yinxin.health.run import check_installation
from yinxin.state import State


@click.command("health-check")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@local
def health_check(invocation: Invocation, *, as_json: bool) -> None:
    """Look at every part of this installation; say what is wrong and what to do.

    Exit code: 0 all is well, 1 a warning, 2 something critical, 3 it could not be found out.
    """
    if not invocation.has_state:
        click.echo(f"yinxin: {invocation.directory} holds no state to look at", err=True)
        sys.exit(Level.UNKNOWN)
    findings = check_installation(invocation.settings, State(invocation.directory.absolute()))
    level = worst_of(findings)
    if as_json:
        checks = [
            {"check": one.check, "level": one.level.name.lower(), "says": one.says}
            | ({} if one.remedy is None else {"remedy": one.remedy})
            for one in findings
        ]
        document = {"level": level.name.lower(), "checks": checks}
        click.echo(json.dumps(document, ensure_ascii=False, indent=2))
    else:
        for one in findings:
            click.echo(f"{one.level.name.lower():<9} {one.check:<17} {one.says}")
            if one.remedy is not None:
                click.echo(f"{'':<28}{one.remedy}")
    sys.exit(level)


COMMANDS: Final = (health_check,)
