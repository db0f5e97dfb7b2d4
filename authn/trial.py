"""Whether somebody could enter an application, answered without them: a login on trial.

Asks the same policy as a login does (`authn.oidc.interaction`), for each account the person may
act by. Nothing is kept, and the application hears nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from authn.access import AccessPolicy, ApplicationAccess, Refusal
from authn.accounts import Accounts, Affiliation
from authn.levels import Level
from authn.store import User


class Reach(Protocol):
    """Knows how strongly a person could log in, with what they have enrolled."""

    def reachable(self, user: User) -> Level: ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an application says to one account."""

    affiliation: Affiliation | None
    """For whom the person acts; None: for themselves."""
    refusal: Refusal | None
    """None: they may enter."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What would become of a login."""

    policy: AccessPolicy
    reachable: Level
    verdicts: Sequence[Verdict]
    """The person themselves first."""


class Trials:
    """Tries logins."""

    def __init__(self, access: ApplicationAccess, accounts: Accounts, reach: Reach) -> None:
        self._access = access
        self._accounts = accounts
        self._reach = reach

    def of(self, client_id: str, user: User) -> Trial:
        """Return what would become of this person's login at an application."""
        policy, reachable = self._access.policy(client_id), self._reach.reachable(user)
        acting = [one for one in self._accounts.list_of(user) if one.capacity.acts]

        def judge(affiliation: Affiliation | None) -> Verdict:
            if reachable < policy.least_level:
                return Verdict(affiliation, Refusal.LEVEL)
            account = None if affiliation is None else affiliation.id
            return Verdict(affiliation, self._access.refusal(policy, account, user))

        return Trial(policy, reachable, [judge(one) for one in (None, *acting)])
