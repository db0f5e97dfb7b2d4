"""Which people may enter which application: organisations, capacities, levels, accounts.

An application without a policy is open to everybody who can log in. A policy with several
conditions wants all of them; of its rules, one will do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol, Self

from authn.accounts import AccountKind, Accounts, Affiliation, Capacity
from authn.levels import Level, level_of_word
from authn.people import People, RealName
from authn.store import User
from core.audit import AuditLog
from core.errors import Malformed, NotFound
from core.transaction import Transactions

MOST_RULES: Final = 1000
"""Of one application."""


@dataclass(frozen=True, slots=True)
class AccessRule:
    """Lets people of a branch in: of this organisation, and of all below it."""

    organisation: str
    capacity: Capacity | None = None
    """None: any."""


@dataclass(frozen=True, slots=True)
class AccessPolicy:
    """What an application asks of who enters it. The default lets everybody in."""

    least_level: Level = Level.PASSWORD
    account: AccountKind | None = None
    """Only natural persons, or only who acts for a legal person."""
    least_real_name: RealName = RealName.NONE
    rules: tuple[AccessRule, ...] = ()
    """Empty: every organisation, and people of none."""
    consent: bool = False
    """Whether people are asked before the application learns about them."""

    @property
    def admits_anybody(self) -> bool:
        """Whether anybody may enter for themselves, the level left aside."""
        legal = self.account is AccountKind.LEGAL
        return not legal and not self.least_real_name and not self.rules

    def encode(self) -> str:
        """Return it as JSON."""
        return json.dumps(
            {
                "least_level": self.least_level.word,
                "account": self.account,
                "least_real_name": int(self.least_real_name),
                "rules": [[one.organisation, one.capacity] for one in self.rules],
                "consent": self.consent,
            }
        )

    @classmethod
    def decode(cls, text: str) -> Self:
        """Return what `encode` was given."""
        kept: Mapping[str, Any] = json.loads(text)
        account = kept["account"]
        return cls(
            least_level=level_of_word(kept["least_level"]),
            account=None if account is None else AccountKind(account),
            least_real_name=RealName(kept["least_real_name"]),
            rules=tuple(
                AccessRule(organisation, None if capacity is None else Capacity(capacity))
                for organisation, capacity in kept["rules"]
            ),
            consent=kept["consent"],
        )


OPEN = AccessPolicy()


class Refusal(StrEnum):
    """Why somebody may not enter; the page knows a sentence for each."""

    LEVEL = "level"
    NATURAL = "natural"
    LEGAL = "legal"
    REAL_NAME = "real-name"
    ORGANISATION = "organisation"
    ACCOUNT = "account"
    """The organisation that the session acts for is gone."""


class AccessStore(Protocol):
    """Remembers policies."""

    def find(self, client_id: str) -> AccessPolicy:
        """Return the policy of an application; `OPEN` if nobody made one."""
        ...

    def recall(self, client_id: str) -> AccessPolicy | None:
        """Return what `find` would, if that is at hand: never waits."""
        ...

    def put(self, client_id: str, policy: AccessPolicy) -> None: ...


class ApplicationAccess:
    """Keeps the policies, and judges who wants to enter."""

    def __init__(
        self,
        store: AccessStore,
        accounts: Accounts,
        people: People,
        *,
        transactions: Transactions,
        audit: AuditLog,
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._people = people
        self._transactions = transactions
        self._audit = audit

    def policy(self, client_id: str) -> AccessPolicy:
        """Return the policy of an application."""
        return self._store.find(client_id)

    def recall_policy(self, client_id: str) -> AccessPolicy | None:
        """Return what `policy` would, if that is at hand: never waits."""
        return self._store.recall(client_id)

    def change(self, client_id: str, policy: AccessPolicy, *, actor: str) -> None:
        """Replace a policy. Raises `Malformed` for an organisation that there is not.

        It counts from the next time somebody enters; who is inside stays until then.
        """
        for rule in policy.rules:
            if self._accounts.directory.find(rule.organisation) is None:
                raise Malformed(f"there is no open organisation {rule.organisation}")
        with self._transactions.transaction():
            self._store.put(client_id, policy)
            detail = {"client": client_id, "policy": policy.encode()}
            self._audit.record("access.changed", actor=actor, detail=detail)

    def refusal(self, policy: AccessPolicy, account: str | None, user: User) -> Refusal | None:
        """Return why a person may not enter by an account, the level left aside; None: they may.

        `account`: an affiliation; None: for themselves.
        """
        if account is None and policy.admits_anybody:
            return None
        try:
            acting = self._accounts.acting(user, account)
        except NotFound:
            return Refusal.ACCOUNT
        kind = AccountKind.NATURAL if acting is None else AccountKind.LEGAL
        if policy.account not in (None, kind):
            return Refusal.LEGAL if kind is AccountKind.NATURAL else Refusal.NATURAL
        if policy.least_real_name and self._people.level_of(user) < policy.least_real_name:
            return Refusal.REAL_NAME
        mine = [acting] if acting is not None else self._accounts.list_of(user)
        if policy.rules and not any(self._lets_in(policy.rules, one) for one in mine):
            return Refusal.ORGANISATION
        return None

    def _lets_in(self, rules: Sequence[AccessRule], affiliation: Affiliation) -> bool:
        fitting = {
            rule.organisation for rule in rules if rule.capacity in (None, affiliation.capacity)
        }
        if not fitting or self._accounts.directory.find(affiliation.organisation) is None:
            return False
        return not fitting.isdisjoint(self._accounts.directory.above(affiliation.organisation))
