"""Commands on review rules."""

from __future__ import annotations

import json
from typing import Final

import click

from ca.reviews import REVIEWED
from yinxin.cli.client import Client
from yinxin.cli.remote import remote, step


def _show(value: object) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


@click.group("review-rule")
def review_rule() -> None:
    """Which operations need a review or a make step, by profile and branch."""


@review_rule.command("set")
@click.argument("operation", type=click.Choice([str(operation) for operation in REVIEWED]))
@click.argument("organisation_id")
@click.option("--profile", help="Default: every profile.")
@click.option("--review/--no-review", required=True, help="Whether somebody has to review it.")
@click.option("--make", is_flag=True, help="Whether somebody makes the certificate afterwards.")
@remote
def rule_set(
    client: Client,
    operation: str,
    organisation_id: str,
    *,
    profile: str | None,
    review: bool,
    make: bool,
) -> None:
    """Set which steps OPERATION needs in an organisation and all below it."""
    body = {"operation": operation, "organisation": organisation_id, "profile": profile}
    _show(client.post("/review-rules", {**body, "review": review, "make": make}))


@review_rule.command("list")
@remote
def rule_list(client: Client) -> None:
    """List review rules, oldest first."""
    _show(client.get_json("/review-rules"))


@review_rule.command("remove")
@click.argument("rule_id")
@remote
def rule_remove(client: Client, rule_id: str) -> None:
    """Let the rule above, or the profile, hold again."""
    client.delete(f"/review-rules/{step(rule_id)}")


COMMANDS: Final = (review_rule,)
