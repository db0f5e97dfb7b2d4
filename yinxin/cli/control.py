"""Commands on acts that several people have to agree to."""

from __future__ import annotations

import json
from typing import Final

import click

from core.control_store import Act, ProposalState
from yinxin.cli.client import Client
from yinxin.cli.remote import remote, step


def show(value: object) -> None:
    """Print an answer of the API."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


@click.group()
def proposal() -> None:
    """Proposals of acts under the control of several people: list, show, approve, reject."""


@proposal.command("list")
@click.option("--state", type=click.Choice([str(state) for state in ProposalState]))
@click.option("--act", type=click.Choice([str(act) for act in Act]))
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 1000))
@remote
def proposal_list(client: Client, *, state: str | None, act: str | None, limit: int) -> None:
    """List proposals, newest first."""
    show(client.get_json("/proposals", state=state, act=act, limit=limit))


@proposal.command("show")
@click.argument("proposal_id")
@remote
def proposal_show(client: Client, proposal_id: str) -> None:
    """Look at a proposal: what exactly would be done, and who agreed."""
    show(client.get_json(f"/proposals/{step(proposal_id)}"))


@proposal.command("approve")
@click.argument("proposal_id")
@remote
def proposal_approve(client: Client, proposal_id: str) -> None:
    """Approve a proposal of somebody else; the last approval needed does the act."""
    show(client.post(f"/proposals/{step(proposal_id)}/approve", {}))


@proposal.command("reject")
@click.argument("proposal_id")
@click.option("--reason", required=True)
@remote
def proposal_reject(client: Client, proposal_id: str, *, reason: str) -> None:
    """Reject a proposal, or take an own one back."""
    show(client.post(f"/proposals/{step(proposal_id)}/reject", {"reason": reason}))


COMMANDS: Final = (proposal,)
