from __future__ import annotations

import pytest
from sqlalchemy import text

from ca.subjects import Identifier, Particulars, Subjects
from ca.subjects_store import IdentifierType, SubjectKind, SubjectQuery
from core.db import Database
from core.errors import AuditUnavailable, Conflict, Malformed, NotFound
from tests.fakes.audit import MemoryAuditLog
from tests.fakes.clock import FakeClock
from tests.unit.ca.registration import Registration

CARD = Identifier(SubjectKind.PERSON, IdentifierType.IDENTITY_CARD, "11010519491231002X")
WHO = Particulars("张三", "zhang@example.cn", {"phone": "0571-1"})


@pytest.fixture
def registration(
    sqlite_database: Database, audit: MemoryAuditLog, clock: FakeClock
) -> Registration:
    return Registration(sqlite_database, audit, clock)


@pytest.fixture
def subjects(registration: Registration) -> Subjects:
    return registration.subjects()


def named(kind: str, type_: str, value: str) -> Identifier:
    return Identifier(SubjectKind(kind), IdentifierType(type_), value)


def test_a_person_is_kept_once_and_found_by_the_card(
    subjects: Subjects, registration: Registration
) -> None:
    made = subjects.create(CARD, registration.finance.id, WHO, actor="alice")
    again = Identifier(CARD.kind, CARD.type, " 11010519491231002x")
    assert subjects.find(again) == subjects.get(made.id) == made
    with pytest.raises(Conflict, match="identity-card is kept already"):
        subjects.create(again, registration.ningbo.id, WHO, actor="alice")
    assert subjects.find(named("person", "passport", CARD.value)) is None


def test_the_number_of_a_card_is_nowhere(
    subjects: Subjects, registration: Registration, audit: MemoryAuditLog
) -> None:
    made = subjects.create(CARD, registration.finance.id, WHO, actor="alice")
    passport = named("person", "passport", "e12345678")
    subjects.create(passport, registration.finance.id, WHO, actor="alice")
    assert (made.identifier_tail, made.identifier) != ("002X", CARD.value)
    with registration.database.reading() as connection:
        tables = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'"))
        rows = [
            str(row)
            for name in tables.scalars().all()
            for row in connection.execute(text(f'SELECT * FROM "{name}"'))  # noqa: S608 - own names
        ]
    kept = " ".join(rows) + str(audit.events)
    assert "张三" in kept, "the search looks at the right rows"
    for secret in (CARD.value, CARD.value[:-1], "E12345678"):
        assert secret not in kept
    for wrong in ("110105194912310021", "11010519491231002"):
        with pytest.raises(Malformed) as refused:
            subjects.create(
                named("person", "identity-card", wrong), registration.finance.id, WHO, actor="a"
            )
        assert wrong not in str(refused.value)


@pytest.mark.parametrize(
    ("identifier", "words"),
    [
        (named("person", "credit-code", "914403001922038216"), "a person is told by"),
        (named("organisation", "credit-code", "914403001922038217"), "check digit"),
        (named("device", "identity-card", CARD.value), "a device is told by"),
        (named("device", "device-number", "a b"), "printable ASCII"),
        (named("device", "device-number", "x" * 65), "1 to 64"),
        (named("person", "passport", "护照"), "printable ASCII"),
    ],
)
def test_an_identifier_fits_its_kind(
    subjects: Subjects, registration: Registration, identifier: Identifier, words: str
) -> None:
    with pytest.raises(Malformed, match=words):
        subjects.create(identifier, registration.finance.id, WHO, actor="alice")


def test_a_move_keeps_where_it_was(
    subjects: Subjects, registration: Registration, clock: FakeClock, audit: MemoryAuditLog
) -> None:
    made = subjects.create(CARD, registration.finance.id, WHO, actor="alice")
    clock.advance(days=1)
    for _ in range(2):
        subjects.move(made.id, registration.ningbo.id, actor="li")
    born, moved = subjects.history(made.id)
    assert (born.before, born.after, born.actor) == (None, registration.finance.id, "alice")
    assert (moved.before, moved.after) == (registration.finance.id, registration.ningbo.id)
    assert (moved.at, moved.actor) == (clock.now(), "li")
    assert subjects.get(made.id).organisation == registration.ningbo.id
    assert audit.actions.count("subject.moved") == 1


def test_particulars_are_replaced_and_checked(
    subjects: Subjects, registration: Registration
) -> None:
    made = subjects.create(CARD, registration.finance.id, WHO, actor="alice")
    changed = subjects.update(made.id, Particulars(" 张三丰 ", None, {}), actor="alice")
    assert (changed.name, changed.email, changed.contacts) == ("张三丰", None, {})
    assert subjects.get(made.id) == changed
    for wrong in (
        Particulars("", None, {}),
        Particulars("x", "no address", {}),
        Particulars("x", None, {str(n): "y" for n in range(11)}),
        Particulars("x", None, {"a": "b\nc"}),
    ):
        with pytest.raises(Malformed):
            subjects.update(made.id, wrong, actor="alice")


def test_a_subject_belongs_to_an_open_organisation(
    subjects: Subjects, registration: Registration
) -> None:
    made = subjects.create(CARD, registration.ningbo.id, WHO, actor="alice")
    registration.organisations.close(registration.finance.id, actor="alice")
    with pytest.raises(Conflict, match="财政局 was closed"):
        subjects.move(made.id, registration.finance.id, actor="alice")
    with pytest.raises(NotFound):
        subjects.move(made.id, "0" * 32, actor="alice")
    with pytest.raises(NotFound):
        subjects.get("0" * 32)
    with pytest.raises(Malformed):
        subjects.get("x")


def test_lists_are_filtered_by_subtree_kind_and_name(
    subjects: Subjects, registration: Registration
) -> None:
    subjects.create(CARD, registration.finance.id, WHO, actor="alice")
    gateway = named("device", "device-number", "GW-1")
    subjects.create(gateway, registration.ningbo.id, Particulars("网关", None, {}), actor="alice")

    def names(**query) -> list[str]:
        return [s.name for s in subjects.list_subjects(SubjectQuery(**query)).items]

    assert names() == ["网关", "张三"]
    assert names(under=registration.hangzhou.id) == ["张三"]
    assert names(scope=frozenset({registration.ningbo.id})) == ["网关"]
    assert names(kind=SubjectKind.DEVICE) == names(text="网") == ["网关"]
    assert names(text="%") == []
    page = subjects.list_subjects(SubjectQuery(), limit=1)
    rest = subjects.list_subjects(SubjectQuery(), cursor=page.next_cursor, limit=1)
    assert ([s.name for s in rest.items], rest.next_cursor) == (["张三"], None)
    with pytest.raises(Malformed, match="cursor"):
        subjects.list_subjects(SubjectQuery(), cursor="-1")


def test_without_its_audit_event_nothing_is_kept(
    subjects: Subjects, registration: Registration, audit: MemoryAuditLog
) -> None:
    audit.broken = True
    with pytest.raises(AuditUnavailable):
        subjects.create(CARD, registration.finance.id, WHO, actor="alice")
    assert subjects.find(CARD) is None
