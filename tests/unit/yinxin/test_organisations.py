"""What the first start, and the first start of this release on older state, put into the tree."""

from __future__ import annotations

import pytest

import yinxin.schema  # noqa: F401 - every table, before a database is made
from authn.administration import Administration
from authn.config import AuthnConfig
from ca.config import CAConfig
from core.db import Database
from core.errors import NotFound
from core.identity import Role
from tests.fakes.audit import MemoryAuditLog
from tests.fakes.clock import FakeClock
from tests.fakes.control import make_control
from yinxin.organisations import Registration, ensure_rights


@pytest.fixture
def administration(
    sqlite_database: Database, audit: MemoryAuditLog, clock: FakeClock
) -> Administration:
    config = AuthnConfig(issuer="https://localhost:8443")
    control = make_control(sqlite_database, audit=audit, clock=clock)
    return Administration.assemble(
        config, sqlite_database, control=control, audit=audit, clock=clock
    )


@pytest.fixture
def registration(
    sqlite_database: Database,
    administration: Administration,
    audit: MemoryAuditLog,
    clock: FakeClock,
) -> Registration:
    config = CAConfig(revocation_url="http://localhost:8080")
    users = administration.users
    control = make_control(sqlite_database, audit=audit, clock=clock)
    return Registration.assemble(
        config, sqlite_database, users, control=control, audit=audit, clock=clock
    )


def test_every_business_administrator_there_is_keeps_the_whole_tree_once(
    sqlite_database: Database, administration: Administration, registration: Registration
) -> None:
    users = administration.users
    for name, role in (("wang", Role.BUSINESS), ("li", Role.BUSINESS), ("zhao", Role.SYSTEM)):
        users.create_user(name, display_name=name, role=role, actor="system")
    gone = users.create_user("gone", display_name="x", role=Role.BUSINESS, actor="system")
    users.set_disabled(gone, disabled=True, actor="system")
    for _ in range(2):
        ensure_rights(registration, users, sqlite_database, organization="某省")
        users_later = users.find_by_name("late")
        if users_later is None:
            users.create_user("late", display_name="x", role=Role.BUSINESS, actor="system")
    assert registration.organisations.root().name == "某省"
    given = registration.rights.list_rights(operator=None, scope=None).items
    assert [right.operator for right in given] == ["li", "wang"]
    assert registration.rights.scope("wang") is None
    assert registration.rights.scope("late") == frozenset()


def test_rights_are_for_business_administrators_by_their_login_name(
    sqlite_database: Database, administration: Administration, registration: Registration
) -> None:
    users = administration.users
    for name, role in (("wang", Role.BUSINESS), ("zhao", Role.AUDIT)):
        users.create_user(name, display_name=name, role=role, actor="system")
    ensure_rights(registration, users, sqlite_database, organization="某省")
    assert registration.rights.give_everything(" WANG ", actor="local:root").operator == "wang"
    with pytest.raises(NotFound, match="no business administrator 'zhao'"):
        registration.rights.give_everything("zhao", actor="local:root")
