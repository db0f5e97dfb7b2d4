"""The database itself refuses to change the audit chain: by triggers, and by what a role may do."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from core.audit_sql import SQLAuditLog
from core.db import Database, open_database
from core.errors import Misconfigured
from tests import postgres
from tests.fakes.clock import FakeClock
from tests.service import Service, yinxin
from yinxin.schema import grants, upgrade

CHANGES = (
    "UPDATE audit_events SET actor = 'wu' WHERE sequence = 1",
    "DELETE FROM audit_events WHERE sequence = 2",
    "DELETE FROM audit_events",
    "UPDATE audit_checkpoints SET sequence = 7",
    "DELETE FROM audit_checkpoints",
    "DELETE FROM audit_head",
    "UPDATE audit_head SET sequence = 1",
)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def migrated(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/x.sqlite3"
    else:
        server = request.getfixturevalue("postgres_url")
        url = postgres.fresh_database(server, f"a{secrets.token_hex(8)}")
    opened = open_database(url)
    upgrade(opened)
    yield opened
    opened.close()


def test_not_even_the_owner_changes_the_chain(migrated: Database, clock: FakeClock) -> None:
    class Signer:
        def sign(self, message: bytes) -> bytes:
            return b"s"

        def verify(self, message: bytes, signature: bytes) -> None:
            assert signature == b"s"

    log = SQLAuditLog(migrated, clock=clock)
    log.initialise()
    for _ in range(3):
        log.record("thing.done", actor="li", detail={})
    log.checkpoint(Signer())
    changes = list(CHANGES)
    if migrated.engine.dialect.name == "postgresql":
        changes += [f"TRUNCATE audit_{name}" for name in ("events", "checkpoints", "head")]
    else:
        changes.append("INSERT OR REPLACE INTO audit_events SELECT * FROM audit_events")
        changes.append("INSERT OR REPLACE INTO audit_checkpoints SELECT * FROM audit_checkpoints")
    for change in changes:
        with pytest.raises(DBAPIError), migrated.transaction() as connection:
            connection.execute(text(change))
    log.record("thing.done", actor="li", detail={})
    assert (log.verify(Signer()).fault, log.verify(Signer()).rows) == (None, 4)


@pytest.fixture(scope="module")
def roles(postgres_url: str) -> tuple[str, str]:
    """Return the urls of the owner and of a role that owns nothing."""
    owner = postgres.fresh_database(postgres_url, f"a{secrets.token_hex(8)}")
    with psycopg.connect(owner.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE ROLE yinxin_service LOGIN")
    return owner, owner.replace("yinxin@", "yinxin_service@")


@pytest.fixture(scope="module")
def service(roles: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that runs as a role which may only add to the audit chain, and exports it."""
    directory = tmp_path_factory.mktemp("role")
    running = Service(
        directory / "var",
        environment={
            "YINXIN_DATABASE__URL": roles[1],
            "YINXIN_AUDIT__FILE__DIRECTORY": str(directory / "audit"),
        },
    )
    refused = yinxin(
        "--state", running.state, "serve", environment=running.environment, check=False
    )
    assert (refused.returncode, "yinxin database upgrade" in refused.stderr) == (1, True)
    owner = {"YINXIN_DATABASE__OWNER_URL": roles[0]}
    yinxin("--state", running.state, "database", "upgrade", environment=running.environment | owner)
    yield running.start()
    if running.process is not None:
        running.stop()


@pytest.mark.postgres
def test_the_service_runs_as_a_role_that_cannot_change_what_was_audited(
    service: Service, roles: tuple[str, str]
) -> None:
    before = json.loads(service.yinxin("audit", "list", "--limit", "1"))
    service.yinxin("user", "create", "li", "--display-name", "李", "--role", "business")
    assert service.yinxin("audit", "verify").startswith("whole: ")
    with psycopg.connect(roles[1].replace("+psycopg", ""), autocommit=True) as connection:
        for change in (*CHANGES[:6], "TRUNCATE audit_events", "DROP TABLE audit_events"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(change)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("ALTER TABLE audit_events DISABLE TRIGGER ALL")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("UPDATE alembic_version SET version_num = '0'")
    assert json.loads(service.yinxin("audit", "list", "--limit", "1")) == before


@pytest.mark.postgres
def test_what_was_exported_verifies_anywhere_and_finds_what_the_owner_removes(
    service: Service, roles: tuple[str, str], tmp_path: Path
) -> None:
    assert service.stop() == 0
    exported = service.state.parent / "audit"
    said = service.yinxin("audit", "verify")
    assert f"the same as {exported}" in said
    key = tmp_path / "audit.pem"
    key.write_text(service.yinxin("audit", "key") + "\n")
    alone = yinxin("audit", "verify-export", exported, "--key", key)
    assert alone.stdout.startswith("whole: up to row ")

    with psycopg.connect(roles[0].replace("+psycopg", ""), autocommit=True) as owner:
        owner.execute("ALTER TABLE audit_events DISABLE TRIGGER ALL")
        owner.execute("ALTER TABLE audit_checkpoints DISABLE TRIGGER ALL")
        owner.execute("ALTER TABLE audit_head DISABLE TRIGGER ALL")
        last = owner.execute("SELECT max(sequence) FROM audit_events").fetchone()[0]
        owner.execute("DELETE FROM audit_events WHERE sequence = %s", (last,))
        owner.execute("DELETE FROM audit_checkpoints WHERE sequence = %s", (last,))
        owner.execute(
            "UPDATE audit_head SET (sequence, hash) = (SELECT sequence, hash FROM audit_events "
            "WHERE sequence = %s)",
            (last - 1,),
        )
    found = yinxin(
        "--state", service.state, "audit", "verify", environment=service.environment, check=False
    )
    assert found.returncode == 1
    assert f"row {last} was removed from the database" in found.stderr


def test_a_role_has_the_name_of_a_role() -> None:
    for name in ('x"; DROP TABLE users; --', "", "Ä", "x" * 64):
        with pytest.raises(Misconfigured, match="role"):
            grants(name)
    printed = yinxin("database", "grant", "yinxin_service", "--print").stdout
    assert (
        'REVOKE UPDATE, DELETE ON audit_events, audit_checkpoints FROM "yinxin_service";' in printed
    )
