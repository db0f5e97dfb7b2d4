"""The registration authority's tree and rights, and what the first start puts into them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from authn.users import Users
from ca.config import CAConfig
from ca.operations import ReviewsOfProfiles
from ca.organisations import Organisations
from ca.profiles import CertificateProfile
from ca.reviews import Reviews
from ca.rightchanges import RightChanges
from ca.rights import Rights
from ca.sqlorganisations import SQLOrganisationStore
from ca.sqlreviews import SQLReviewRuleStore
from ca.sqlrights import SQLRightStore
from core.audit import AuditLog
from core.clock import Clock
from core.control import DualControl
from core.db import Database
from core.identity import SYSTEM_ACTOR, Role
from core.transaction import Transactions


@dataclass(frozen=True, slots=True)
class Registration:
    """The tree of organisations, and who may do what in it."""

    organisations: Organisations
    rights: Rights
    changes: RightChanges

    @classmethod
    def assemble(
        cls,
        config: CAConfig,
        database: Database,
        users: Users,
        *,
        control: DualControl,
        audit: AuditLog,
        clock: Clock,
    ) -> Self:
        """Put it together over `database`."""
        organisations = Organisations(
            SQLOrganisationStore(database), transactions=database, audit=audit, clock=clock
        )

        def find_operator(name: str) -> str | None:
            found = users.find_by_name(name)
            return found.name if found is not None and found.role is Role.BUSINESS else None

        rights = Rights(
            SQLRightStore(database),
            organisations,
            find_operator=find_operator,
            separate_steps=config.separate_steps,
            transactions=database,
            audit=audit,
            clock=clock,
        )
        return cls(organisations, rights, RightChanges(rights, control=control))


def open_reviews(
    registration: Registration,
    database: Database,
    profiles: Mapping[str, CertificateProfile],
    *,
    transactions: Transactions,
    audit: AuditLog,
    clock: Clock,
) -> Reviews:
    """Return the review rules over these profiles."""
    return Reviews(
        SQLReviewRuleStore(database),
        registration.rights,
        registration.organisations,
        profiles=profiles,
        default=ReviewsOfProfiles(profiles),
        transactions=transactions,
        audit=audit,
        clock=clock,
    )


def ensure_rights(
    registration: Registration, users: Users, transactions: Database, *, organization: str
) -> None:
    """Make the root, and let every business administrator there is do everything in it, once.

    A first start has one of them. State that an older release made may have several: they keep
    what they could do before there were rights.
    """
    with transactions.transaction():
        registration.organisations.ensure_root(organization, actor=SYSTEM_ACTOR)
        if registration.rights.nobody_has_any():
            for user in users.list_users():
                if user.role is Role.BUSINESS and not user.disabled:
                    registration.rights.give_everything(user.name, actor=SYSTEM_ACTOR)
