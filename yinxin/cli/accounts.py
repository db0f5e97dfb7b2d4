"""Commands on users, their API tokens and applications, for who owns the state directory.

The audit log names the person at the keyboard. Administrators are changed as everywhere: where the
settings ask for approvals, these commands propose (docs/control.md).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from authn.answers import parse_certificates
from authn.breached import breached_lines
from authn.store import User
from core.control_store import Proposal, ProposalState
from core.errors import NotFound, Refused
from core.identity import Role
from yinxin.cli.context import Invocation, actor, local
from yinxin.cli.files import read_ascii

_ROLE = click.Choice([role.value for role in Role])


@click.group()
def user() -> None:
    """People who may log in."""


@user.command("create")
@click.argument("name")
@click.option("--display-name", required=True)
@click.option("--email")
@click.option("--role", type=_ROLE)
@local
def user_create(
    invocation: Invocation, name: str, display_name: str, email: str | None, role: str | None
) -> None:
    """Create a user and print a one-time link with which they choose a password."""
    with invocation.ground() as ground:
        users, roles = ground.administration.users, ground.administration.roles
        if role is None:
            users.create_user(name, display_name=display_name, email=email, actor=actor())
        elif not _done(
            roles.create(
                name, display_name=display_name, role=Role(role), email=email, actor=actor()
            )
        ):
            return
        created = _known(name, users.find_by_name(name))
        click.echo(_link(invocation, users.create_setup_link(created, actor=actor())))


@user.command("contact")
@click.argument("name")
@click.option("--email")
@click.option("--phone", help="E.164, like +8613800138000.")
@click.option("--address")
@local
def user_contact(
    invocation: Invocation, name: str, email: str | None, phone: str | None, address: str | None
) -> None:
    """Say where NAME is reached; what is left out is not known any more."""
    with invocation.ground() as ground:
        users = ground.administration.users
        found = _known(name, users.find_by_name(name))
        users.change_contact(found, email=email, phone=phone, address=address, actor=actor())


@user.command("setup-link")
@click.argument("name")
@local
def user_setup_link(invocation: Invocation, name: str) -> None:
    """Print a new one-time set-up link; the password chosen with it replaces the old one."""
    with invocation.ground() as ground:
        administration = ground.administration
        found = _known(name, administration.users.find_by_name(name))
        token = administration.roles.offer_setup_link(found, actor=actor())
        click.echo(_link(invocation, token))


@user.command("reset-factors")
@click.argument("name")
@click.option("--reason", required=True, help="Why; it is written to the audit log.")
@local
def user_reset_factors(invocation: Invocation, name: str, reason: str) -> None:
    """Take the lost second factors of NAME away and print a one-time link that enrols another."""
    with invocation.ground() as ground:
        administration = ground.administration
        found = _known(name, administration.users.find_by_name(name))
        token = administration.factor_reset.reset(found, reason=reason, actor=actor())
        click.echo(_link(invocation, token))


@user.command("propose-credential")
@click.argument("name")
@local
def user_propose_credential(invocation: Invocation, name: str) -> None:
    """Propose one new set-up link or binding for an administrator, where that needs approval."""
    with invocation.ground() as ground:
        administration = ground.administration
        found = _known(name, administration.users.find_by_name(name))
        _done(administration.roles.propose_credential(found, actor=actor()))


@user.command("role")
@click.argument("name")
@click.argument("role", type=click.Choice([*(role.value for role in Role), "none"]))
@local
def user_role(invocation: Invocation, name: str, role: str) -> None:
    """Give a user another role, or none; sessions and tokens end with the old one."""
    with invocation.ground() as ground:
        administration = ground.administration
        found = _known(name, administration.users.find_by_name(name))
        wanted = None if role == "none" else Role(role)
        _done(administration.roles.assign(found, wanted, actor=actor()))


def _link(invocation: Invocation, token: str) -> str:
    return f"{invocation.settings.authn.issuer}/setup/{token}"


@user.command("list")
@local
def user_list(invocation: Invocation) -> None:
    """Print users: name, role, state, display name."""
    with invocation.ground() as ground:
        for found in ground.administration.users.list_users():
            ready = "ready" if found.password_hash else "no password"
            state = "disabled" if found.disabled else ready
            click.echo(f"{found.name}\t{found.role or '-'}\t{state}\t{found.display_name}")


@user.command("disable")
@click.argument("name")
@local
def user_disable(invocation: Invocation, name: str) -> None:
    """Lock a user out; sessions and tokens end."""
    _set_disabled(invocation, name, disabled=True)


@user.command("end-sessions")
@click.argument("name", required=False)
@click.option("--everybody", is_flag=True, help="Of all users, yours too.")
@local
def user_end_sessions(invocation: Invocation, name: str | None, *, everybody: bool) -> None:
    """End every session of a user; the applications they entered are told."""
    if (name is None) != everybody:
        raise click.UsageError("give the NAME of a user, or --everybody")
    with invocation.ground() as ground:
        administration = ground.administration
        users = administration.users
        if name is None:
            ended = administration.sessions.end_of_everybody(actor=actor())
        else:
            ended = users.end_sessions(_known(name, users.find_by_name(name)), actor=actor())
    click.echo(f"{ended} sessions ended")


@user.command("enable")
@click.argument("name")
@local
def user_enable(invocation: Invocation, name: str) -> None:
    """Let a disabled user in again."""
    _set_disabled(invocation, name, disabled=False)


def _set_disabled(invocation: Invocation, name: str, *, disabled: bool) -> None:
    with invocation.ground() as ground:
        administration = ground.administration
        found = _known(name, administration.users.find_by_name(name))
        proposal = administration.roles.set_disabled(found, disabled=disabled, actor=actor())
        if proposal is not None:
            _done(proposal)


def _done(proposal: Proposal) -> bool:
    """Say what others have to agree to, if they have to."""
    if proposal.state is ProposalState.EXECUTED:
        return True
    click.echo(f"proposed {proposal.id}: needs {proposal.needed} approvals (yinxin proposal)")
    return False


@user.command("breached-file")
@click.argument("passwords", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("target", type=click.Path(dir_okay=False, path_type=Path))
def user_breached_file(passwords: Path, target: Path) -> None:
    """Make `authn.password.breached_file` from a list of PASSWORDS, one a line (UTF-8)."""
    try:
        with passwords.open("rb") as source, target.open("xb") as made:
            made.writelines(
                line + b"\n" for line in breached_lines(line.rstrip(b"\r\n") for line in source)
            )
    except OSError as error:
        raise Refused(f"cannot write {target} from {passwords}: {error.strerror}") from error


@user.command("bind-certificate")
@click.argument("name")
@click.argument("certificate", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@local
def user_bind(invocation: Invocation, name: str, certificate: Path) -> None:
    """Let the holder of a certificate of ours log in as NAME (every certificate of its subject)."""
    with invocation.service() as service:
        administration = service.ground.administration
        found = _known(name, administration.users.find_by_name(name))
        chain = parse_certificates(read_ascii(certificate))
        with administration.roles.credential(found, actor=actor()):
            binding = service.provider.certificates.bind_presented(found, chain, actor=actor())
    click.echo(f"bound to {found.name}: subjects of {binding.issuer} with this name")


@click.group()
def token() -> None:
    """API tokens of administrators."""


@token.command("create")
@click.argument("administrator")
@click.option("--name", required=True, help="What it is for.")
@click.option("--days", default=30, show_default=True, type=click.IntRange(1, 366))
@local
def token_create(invocation: Invocation, administrator: str, name: str, days: int) -> None:
    """Print a new token for an administrator. It is shown this once."""
    with invocation.ground() as ground:
        administration = ground.administration
        found = _known(administrator, administration.users.find_by_name(administrator))
        click.echo(administration.api_tokens.create(found, name=name, days=days, actor=actor()))


@token.command("list")
@click.argument("administrator")
@local
def token_list(invocation: Invocation, administrator: str) -> None:
    """Print the tokens of an administrator: id, name, expiry (UTC)."""
    with invocation.ground() as ground:
        administration = ground.administration
        found = _known(administrator, administration.users.find_by_name(administrator))
        for item in administration.api_tokens.list_of(found):
            click.echo(f"{item.id}\t{item.name}\t{item.expires_at.isoformat()}")


@token.command("revoke")
@click.argument("administrator")
@click.argument("token_id")
@local
def token_revoke(invocation: Invocation, administrator: str, token_id: str) -> None:
    """Make a token stop working at once."""
    with invocation.ground() as ground:
        administration = ground.administration
        found = _known(administrator, administration.users.find_by_name(administrator))
        administration.api_tokens.revoke(found, token_id)


def _known(name: str, found: User | None) -> User:
    if found is None:
        raise NotFound(f"there is no user {name!r}; `yinxin user list` shows them")
    return found


COMMANDS: Final = (user, token)
