"""Commands on accounts and on who may enter an application, for who owns the state directory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import click

from authn.access import AccessPolicy, AccessRule
from authn.accounts import AccountKind, Capacity
from authn.levels import LEVEL_WORDS, level_of_word
from authn.people import RealName
from authn.store import User
from core.errors import Malformed, NotFound
from yinxin.cli.accounts import user
from yinxin.cli.applications import client
from yinxin.cli.context import Invocation, actor, local
from yinxin.wiring import Ground

_CAPACITIES: Final = [capacity.value for capacity in Capacity]


@user.command("affiliate")
@click.argument("name")
@click.argument("organisation")
@click.argument("capacity", type=click.Choice(_CAPACITIES))
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="The last day, UTC.")
@local
def user_affiliate(
    invocation: Invocation, name: str, organisation: str, capacity: str, until: datetime | None
) -> None:
    """Tie a user to an ORGANISATION (its id); agents and legal representatives may act for it."""
    with invocation.service() as service:
        made = service.provider.admission.accounts.add(
            _known(service.ground, name),
            organisation,
            Capacity(capacity),
            ends_at=None if until is None else _end_of(until),
            actor=actor(),
        )
        click.echo(made.id)


def _end_of(day: datetime) -> datetime:
    try:
        return day.replace(tzinfo=UTC) + timedelta(days=1)
    except OverflowError as error:
        raise Malformed("the last day is too late; without --until there is none") from error


@user.command("affiliations")
@click.argument("name")
@local
def user_affiliations(invocation: Invocation, name: str) -> None:
    """Print a user's affiliations: id, organisation, capacity, end."""
    with invocation.service() as service:
        for one in service.provider.admission.accounts.list_of(_known(service.ground, name)):
            end = "-" if one.ends_at is None else one.ends_at.isoformat()
            click.echo(f"{one.id}\t{one.organisation}\t{one.capacity}\t{end}")


@user.command("unaffiliate")
@click.argument("affiliation_id")
@local
def user_unaffiliate(invocation: Invocation, affiliation_id: str) -> None:
    """Untie a user; sessions that act in the name of the organisation end."""
    with invocation.service() as service:
        service.provider.admission.accounts.remove(affiliation_id, actor=actor())


@user.command("verify")
@click.argument("name")
@click.argument("level", type=click.IntRange(0, 3))
@click.option("--identity-card", is_flag=True, help="Ask for the number of the identity card.")
@local
def user_verify(invocation: Invocation, name: str, level: int, identity_card: bool) -> None:
    """Say how well a user's name was verified: 0 not, 1 stated, 2 verified, 3 in person."""
    number = click.prompt("Identity card", hide_input=True) if identity_card else None
    with invocation.service() as service:
        service.provider.admission.people.verify(
            _known(service.ground, name), RealName(level), identity_card=number, actor=actor()
        )


@client.command("access")
@click.argument("client_id")
@click.option("--least-level", type=click.Choice(LEVEL_WORDS))
@click.option("--account", type=click.Choice([*(kind.value for kind in AccountKind), "any"]))
@click.option("--least-real-name", type=click.IntRange(0, 3))
@click.option(
    "--allow",
    "rules",
    multiple=True,
    help="ORGANISATION or ORGANISATION:CAPACITY, with all below it; may be given again.",
)
@click.option("--everybody", is_flag=True, help="Of every organisation, and of none.")
@click.option("--consent/--no-consent", default=None)
@local
def client_access(
    invocation: Invocation,
    client_id: str,
    *,
    least_level: str | None,
    account: str | None,
    least_real_name: int | None,
    rules: Sequence[str],
    everybody: bool,
    consent: bool | None,
) -> None:
    """Say who may enter an application, and print it; what is not given stays."""
    if rules and everybody:
        raise Malformed("--allow and --everybody exclude each other")
    with invocation.service() as service:
        access = service.provider.admission.access
        found = service.ground.administration.clients.get(client_id)
        old = access.policy(found.id)
        kind = None if account in (None, "any") else AccountKind(account)
        new = AccessPolicy(
            least_level=old.least_level if least_level is None else level_of_word(least_level),
            account=old.account if account is None else kind,
            least_real_name=old.least_real_name
            if least_real_name is None
            else RealName(least_real_name),
            rules=() if everybody else tuple(map(_rule, rules)) or old.rules,
            consent=old.consent if consent is None else consent,
        )
        if new != old:
            access.change(found.id, new, actor=actor())
        click.echo(new.encode())


def _rule(text: str) -> AccessRule:
    organisation, _, capacity = text.partition(":")
    if capacity and capacity not in _CAPACITIES:
        raise Malformed(f"{capacity!r} is no capacity; {', '.join(_CAPACITIES)} are")
    return AccessRule(organisation, Capacity(capacity) if capacity else None)


def _known(ground: Ground, name: str) -> User:
    found = ground.administration.users.find_by_name(name)
    if found is None:
        raise NotFound(f"there is no user {name!r}; `yinxin user list` shows them")
    return found
