"""What is kept about subjects: records and their store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol


class SubjectKind(StrEnum):
    """What a certificate is for."""

    PERSON = "person"
    """自然人"""
    ORGANISATION = "organisation"
    """法人 or 机构"""
    DEVICE = "device"
    """设备"""


class IdentifierType(StrEnum):
    """What tells one subject from another of its kind."""

    IDENTITY_CARD = "identity-card"
    """公民身份号码. Only a keyed digest is kept."""
    PASSPORT = "passport"
    """Only a keyed digest is kept."""
    STAFF_NUMBER = "staff-number"
    """工号"""
    CREDIT_CODE = "credit-code"
    """统一社会信用代码"""
    DEVICE_NUMBER = "device-number"
    """设备编号"""


IDENTIFIERS: Final[Mapping[SubjectKind, tuple[IdentifierType, ...]]] = {
    SubjectKind.PERSON: (
        IdentifierType.IDENTITY_CARD,
        IdentifierType.PASSPORT,
        IdentifierType.STAFF_NUMBER,
    ),
    SubjectKind.ORGANISATION: (IdentifierType.CREDIT_CODE,),
    SubjectKind.DEVICE: (IdentifierType.DEVICE_NUMBER,),
}
HIDDEN: Final = frozenset({IdentifierType.IDENTITY_CARD, IdentifierType.PASSPORT})


@dataclass(frozen=True, slots=True)
class Subject:
    """One person, organisation or device, kept once."""

    id: str
    """32 hex digits."""
    kind: SubjectKind
    identifier_type: IdentifierType
    identifier: str
    """As it is stored: of `HIDDEN` types a keyed digest."""
    identifier_tail: str | None
    """The last four characters of what is hidden."""
    organisation: str
    """Where it belongs now."""
    name: str
    email: str | None
    contacts: Mapping[str, str]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class SubjectMove:
    """Where a subject came to belong, and from where (None: it was new)."""

    subject: str
    before: str | None
    after: str
    at: datetime
    actor: str


@dataclass(frozen=True, slots=True)
class SubjectQuery:
    """What to look for; None means any."""

    scope: frozenset[str] | None = None
    """Tops of the subtrees to look in."""
    kind: SubjectKind | None = None
    under: str | None = None
    text: str | None = None
    """The beginning of the name."""


@dataclass(frozen=True, slots=True)
class SubjectPage:
    """One page of subjects, newest first."""

    items: Sequence[Subject]
    next_cursor: str | None


class SubjectStore(Protocol):
    """Remembers subjects. Every method joins the open transaction, or is durable on its own."""

    def add_subject(self, subject: Subject) -> None:
        """Raises `Conflict` for an identifier that is kept already."""
        ...

    def update_subject(self, subject: Subject) -> None:
        """Write organisation, name, email, contacts and updated_at."""
        ...

    def find_subject(self, subject_id: str, *, lock: bool = False) -> Subject | None:
        """`lock`: let nobody else change it until the open transaction ends."""
        ...

    def find_by_identifier(
        self, kind: SubjectKind, identifier_type: IdentifierType, identifier: str
    ) -> Subject | None: ...

    def list_subjects(
        self,
        query: SubjectQuery,
        *,
        cursor: str | None = None,
        limit: int = 100,
        sort: str | None = None,
    ) -> SubjectPage: ...

    def add_move(self, move: SubjectMove) -> None: ...

    def list_moves(self, subject_id: str) -> Sequence[SubjectMove]:
        """Return where it belonged, oldest first."""
        ...
