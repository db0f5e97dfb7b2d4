"""Everything of a registration authority that runs apart, put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from authn.assembly import Provider
from ca.acts import Branch
from ca.asking import Asking
from ca.branch import FollowedBranch
from ca.desk import Desk
from ca.pickup import PickupOffers
from ca.profiles import load_profiles
from ca.sqlasking import SQLAskingStore
from ca.sqlbulk import SQLBulkStore
from ca.sqldesk import SQLDeskStore
from ca.sqlorganisations import SQLOrganisationStore
from ca.sqlpickup import SQLPickupStore
from core.audit_export import AuditExporter
from core.identity import SYSTEM_ACTOR, Role
from keystore.registry import KeyStore
from yinxin.audit_key import AuditKey
from yinxin.auditing import make_exporter
from yinxin.bulk import Bulk
from yinxin.deskbulk import assemble_desk_bulk
from yinxin.directory import OurDirectory
from yinxin.roles.beside import NoCertificateLogin
from yinxin.wiring import Ground


@dataclass(frozen=True, slots=True)
class DeskService:
    """Everything of a registration authority."""

    ground: Ground
    keystore: KeyStore
    audit_key: AuditKey
    exporter: AuditExporter
    desk: Desk
    bulk: Bulk
    asking: Asking
    branch: FollowedBranch
    provider: Provider

    @classmethod
    def open(cls, ground: Ground, keystore: KeyStore) -> Self:
        """Put it together, and make what the first start makes. Raises `Misconfigured`."""
        settings, database = ground.settings, ground.database
        audit_key = AuditKey.open(keystore)
        profiles = load_profiles(settings.ca.profiles_directory)
        pickups = PickupOffers(
            SQLPickupStore(database),
            config=settings.ca.pickup,
            audit=ground.audit,
            clock=ground.clock,
        )
        return cls(
            ground=ground,
            keystore=keystore,
            audit_key=audit_key,
            exporter=make_exporter(
                settings.audit, ground.audit, audit_key, hostname=settings.server.public_host
            ),
            desk=Desk(
                SQLDeskStore(database),
                pickups=pickups,
                profiles=profiles,
                separate_approver=settings.ca.separate_approver,
                review_changes=settings.registration.review_changes,
                accept_empty_sm2_id=settings.ca.accept_empty_sm2_id,
                transactions=database,
                audit=ground.audit,
                clock=ground.clock,
            ),
            bulk=assemble_desk_bulk(ground, keystore, pickups=pickups, profiles=profiles),
            asking=Asking(
                SQLAskingStore(database),
                SQLBulkStore(database),
                transactions=database,
                audit=ground.audit,
            ),
            branch=FollowedBranch(
                SQLOrganisationStore(database),
                transactions=database,
                audit=ground.audit,
                clock=ground.clock,
            ),
            provider=Provider.assemble(
                settings.authn,
                database,
                ground.administration,
                keystore=keystore,
                directory=OurDirectory(ground.registration.organisations),
                verifier=NoCertificateLogin(),
                audit=ground.audit,
                clock=ground.clock,
            ),
        )

    @property
    def known(self) -> str | None:
        """The fingerprint of the branch that was followed last, since the start."""
        return self.branch.known

    def follow(self, branch: Branch) -> None:
        """Follow the authority's tree; the first time, the operators there are get all of it."""
        registration = self.ground.registration
        with self.ground.database.transaction():
            self.branch.follow(branch)
            if registration.rights.nobody_has_any():
                for user in self.ground.administration.users.list_users():
                    if user.role is Role.BUSINESS and not user.disabled:
                        registration.rights.give_everything(user.name, actor=SYSTEM_ACTOR)
