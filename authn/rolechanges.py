"""Administrators under control: made, changed, disabled and given credentials by more than one.

Everything that could put a line of administration into other hands goes through here. Users
without a role are nobody's administrators, and need no approval.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from authn.apitokens import APITokens
from authn.store import CertificateLoginStore, User, UserStore
from authn.users import Users
from core.audit import AuditLog
from core.control import DualControl
from core.control_store import Act, Proposal
from core.errors import Conflict, Forbidden, Malformed
from core.identity import Role
from core.transaction import Transactions

_ACT: Final = Act.ROLE_CHANGE


class RoleChanges:
    """Changes who holds which role. With no approvals asked for, everything happens at once."""

    def __init__(
        self,
        users: Users,
        store: UserStore,
        bindings: CertificateLoginStore,
        tokens: APITokens,
        *,
        control: DualControl,
        transactions: Transactions,
        audit: AuditLog,
    ) -> None:
        self._users = users
        self._store = store
        self._bindings = bindings
        self._tokens = tokens
        self._control = control
        self._transactions = transactions
        self._audit = audit
        control.register(_ACT, self._execute)

    def create(
        self, name: str, *, display_name: str, role: Role, email: str | None, actor: str
    ) -> Proposal:
        """Propose a new administrator. Raises `Malformed`, and `Conflict` for a name in use."""
        draft = self._users.draft(name, display_name=display_name, email=email, role=role)
        if self._store.find_by_name(draft.name) is not None:
            raise Conflict(f"there is a user {draft.name!r} already")
        wanted = {"display_name": draft.display_name, "email": email, "role": str(role)}
        summary = f"create the user {draft.name} ({draft.display_name}) with the role {role}"
        return self._propose("create", draft.name, wanted, summary, actor)

    def assign(self, user: User, role: Role | None, *, actor: str) -> Proposal:
        """Propose another role, or none. Sessions and tokens of the user end with the old one."""
        if role is user.role:
            raise Conflict(f"{user.name} has the role {_word(role)} already")
        summary = f"change the role of {user.name} from {_word(user.role)} to {_word(role)}"
        wanted = {"from": user.role, "to": role}
        return self._propose("assign", user.name, wanted, summary, actor)

    def set_disabled(self, user: User, *, disabled: bool, actor: str) -> Proposal | None:
        """Lock a person out or let them in again; None: done at once, for who has no role."""
        if user.role is None:
            self._users.set_disabled(user, disabled=disabled, actor=actor)
            return None
        change = "disable" if disabled else "enable"
        summary = f"{change} the user {user.name}, who has the role {user.role}"
        return self._propose(change, user.name, {}, summary, actor)

    def propose_credential(self, user: User, *, actor: str) -> Proposal:
        """Propose that the proposer may make one set-up link or one binding for this user.

        It waits, approved, until it is used. Raises `Malformed` where no approval is needed.
        """
        if not self._is_guarded(user):
            raise Malformed(f"a new credential for {user.name} needs no approval")
        summary = f"give {user.name}, who has the role {user.role}, a new credential"
        return self._control.propose(
            Act.CREDENTIAL, _credential(user), summary=summary, actor=actor
        )

    def offer_setup_link(self, user: User, *, actor: str) -> str:
        """Return a one-time set-up token, as `Users.create_setup_link`.

        Raises `Forbidden` when that would put an administrator's line into one person's hands.
        """
        with self.credential(user, actor=actor):
            return self._users.create_setup_link(user, actor=actor)

    @contextmanager
    def credential(self, user: User, *, actor: str) -> Iterator[None]:
        """Give one new credential inside; the approval it may need is used up with it.

        Raises `Forbidden`.
        """
        with self._transactions.transaction():
            self._spend(user, actor)
            yield

    def _spend(self, user: User, actor: str) -> None:
        if not self._is_guarded(user):
            return
        approved = self._control.find_approved(Act.CREDENTIAL, _credential(user))
        if approved is None or approved.requester != actor:
            raise Forbidden(
                f"{user.name} is an administrator with credentials: propose new ones "
                "(yinxin user propose-credential), and have that approved"
            )
        self._control.use(approved.id, outcome="used for one credential")

    def _is_guarded(self, user: User) -> bool:
        if user.role is None or self._control.rule(Act.CREDENTIAL).approvals == 0:
            return False
        # The first credential belongs to the creation, which was approved.
        bound = any(binding.user_id == user.id for binding in self._bindings.list_bindings())
        return user.password_hash is not None or bound

    def _propose(
        self, change: str, name: str, wanted: dict[str, Any], summary: str, actor: str
    ) -> Proposal:
        parameters = {"change": change, "user": name, **wanted}
        return self._control.propose(_ACT, parameters, summary=summary, actor=actor)

    def _execute(self, proposal: Proposal) -> str:
        wanted, actor = proposal.arguments(), proposal.requester
        name = wanted["user"]
        if wanted["change"] == "create":
            self._users.create_user(
                name,
                display_name=wanted["display_name"],
                email=wanted["email"],
                role=Role(wanted["role"]),
                actor=actor,
            )
            return f"created {name}"
        user = self._users.find_by_name(name)
        if user is None:
            raise Conflict(f"there is no user {name!r} any more")
        if wanted["change"] == "assign":
            self._assign(user, _role(wanted["from"]), _role(wanted["to"]), actor=actor)
            return f"changed the role of {name}"
        self._users.set_disabled(user, disabled=wanted["change"] == "disable", actor=actor)
        return f"{wanted['change']}d {name}"

    def _assign(self, user: User, old: Role | None, new: Role | None, *, actor: str) -> None:
        if user.role is not old:
            raise Conflict(f"{user.name} has another role than when this was proposed")
        self._store.set_role(user.id, new)
        self._tokens.remove_all(user)
        self._users.end_sessions(user, reason="role", actor=actor)
        detail = {"user": user.name, "from": old, "to": new}
        self._audit.record("role.changed", actor=actor, detail=detail)


def _credential(user: User) -> dict[str, str]:
    return {"user": user.name, "id": user.id}


def _role(value: str | None) -> Role | None:
    return None if value is None else Role(value)


def _word(role: Role | None) -> str:
    return "none" if role is None else str(role)
