"""What a one-time link does: a password, and a second factor where one is wanted, in one step."""

from __future__ import annotations

from authn.factors import Enrolled, Standards
from authn.levels import Level
from authn.store import User, UserStore
from authn.totp import OneTimePasswords
from authn.users import Users


class Setup:
    """Opens links and completes them."""

    def __init__(
        self,
        users: Users,
        store: UserStore,
        one_time_passwords: OneTimePasswords,
        standards: Standards,
        reach: Enrolled,
    ) -> None:
        self._users = users
        self._store = store
        self._one_time_passwords = one_time_passwords
        self._standards = standards
        self._reach = reach

    def find(self, token: str) -> User | None:
        """Return whose link it is, while it can be used."""
        return self._users.find_by_setup_link(token)

    def offer(self, user: User, *, anew: bool) -> str | None:
        """Return the secret of the generator to enrol; None: the password is all that is wanted.

        `anew`: another secret than was offered before, for whoever opens the page again.
        """
        if not self._wants_factor(user):
            return None
        known = None if anew else self._one_time_passwords.offered(user)
        return known or self._one_time_passwords.offer(user)

    def complete(self, token: str, password: str, code: str, *, address: str) -> list[str]:
        """Set the password, and enrol the generator that was offered, both or neither.

        Returns the recovery codes, if one was. Raises `Refused` (the password), `NotFound` (the
        link was used or is too old) and `Unauthenticated` (the code).
        """
        codes: list[str] = []

        def enrol(user: User) -> None:
            # A wrong code undoes its own count: whoever has the link was shown the secret.
            codes.extend(self._one_time_passwords.confirm(user, code, address=address))
            self._store.set_factor_due(user.id, False)

        user = self._users.find_by_setup_link(token)
        wanted = user is not None and self._wants_factor(user)
        self._users.complete_setup(token, password, also=enrol if wanted else None)
        return codes

    def _wants_factor(self, user: User) -> bool:
        """Where a certificate is wanted, somebody else binds it: a generator would not do."""
        if user.factor_due:
            return not self._one_time_passwords.is_enrolled(user)
        least = self._standards.least_level(user)
        return least is Level.TWO_FACTORS and self._reach.reachable(user) < least
