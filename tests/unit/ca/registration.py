"""The tree and the rights of a small authority, where every name but `nobody` is an operator."""

from __future__ import annotations

import hashlib

from ca.operations import ReviewsOfProfiles
from ca.organisations import Organisations
from ca.organisations_store import Level
from ca.reviews import Reviews
from ca.rightchanges import RightChanges
from ca.rights import Rights
from ca.sqlorganisations import SQLOrganisationStore
from ca.sqlreviews import SQLReviewRuleStore
from ca.sqlrights import SQLRightStore
from ca.sqlsubjects import SQLSubjectStore
from ca.subjects import Subjects
from core.audit import AuditLog
from core.clock import Clock
from core.config import ControlConfig
from core.db import Database
from tests.fakes.control import make_control


class Registration:
    """Province > city (杭州) > department (财政局); another city (宁波). Alice holds everything."""

    def __init__(
        self,
        database: Database,
        audit: AuditLog,
        clock: Clock,
        *,
        separate_steps: bool = True,
        rules: ControlConfig | None = None,
    ) -> None:
        self.database = database
        self.common = common = {"transactions": database, "audit": audit, "clock": clock}
        self.organisations = Organisations(SQLOrganisationStore(database), **common)
        self.rights = Rights(
            SQLRightStore(database),
            self.organisations,
            find_operator=lambda name: None if name == "nobody" else name,
            separate_steps=separate_steps,
            **common,
        )
        self.control = make_control(database, audit=audit, clock=clock, rules=rules)
        self.changes = RightChanges(self.rights, control=self.control)
        self.root = self.organisations.ensure_root("某省", actor="system")
        self.rights.give_everything("alice", actor="system")
        self.hangzhou = self.add(self.root.id, "city", "杭州市")
        self.finance = self.add(self.hangzhou.id, "department", "财政局")
        self.ningbo = self.add(self.root.id, "city", "宁波市")

    def add(self, parent: str, level: str, name: str, code: str | None = None):
        return self.organisations.create(parent, Level(level), name, code=code, actor="alice")

    def reviews(self, profiles):
        return Reviews(
            SQLReviewRuleStore(self.database),
            self.rights,
            self.organisations,
            profiles=profiles,
            default=ReviewsOfProfiles(profiles),
            **self.common,
        )

    def subjects(self) -> Subjects:
        return Subjects(
            SQLSubjectStore(self.database),
            self.organisations,
            digest=lambda text: hashlib.sha256(text.encode()).hexdigest(),
            **self.common,
        )
