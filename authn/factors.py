"""What a person has enrolled, and what follows from it: least and greatest level."""

from __future__ import annotations

from authn.config import LoginConfig
from authn.factors_store import FactorStore
from authn.levels import Level, level_of_word
from authn.store import CertificateLoginStore, User


class Standards:
    """`authn.sessions.Standards`: whoever has a second factor is asked for it at every login."""

    def __init__(self, store: FactorStore, *, config: LoginConfig) -> None:
        self._store = store
        self._administrators = level_of_word(config.administrators_least)

    def least_level(self, user: User) -> Level:
        """Return the level below which a session of theirs is not complete.

        For administrators it may be set. Who lost a second factor is not let in without another.
        """
        has = user.factor_due or self._store.has_second_factor(user.id)
        own = Level.TWO_FACTORS if has else Level.PASSWORD
        return own if user.role is None else max(own, self._administrators)


class Enrolled:
    """`authn.oidc.interaction.Reach`."""

    def __init__(self, store: FactorStore, certificates: CertificateLoginStore) -> None:
        self._store = store
        self._certificates = certificates

    def reachable(self, user: User) -> Level:
        """Return the greatest level this person may reach.

        Whether a certificate that is bound by its subject lives in a device is seen only when it
        is shown: so a binding counts as the strongest level.
        """
        if self._certificates.has_binding(user.id):
            return Level.HARDWARE_KEY
        return Level.TWO_FACTORS if self._store.has_second_factor(user.id) else Level.PASSWORD
