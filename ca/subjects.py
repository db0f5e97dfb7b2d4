"""Subjects: people, organisations and devices, kept once and linked to their certificates.

A subject belongs to an organisation and may move; its certificates keep the one they were issued
under. The number of an identity card or passport is never kept: a keyed digest recognises it.
"""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ca.codes import check_credit_code, check_identity_card
from ca.organisations import Organisations, check_name
from ca.subjects_store import (
    HIDDEN,
    IDENTIFIERS,
    IdentifierType,
    Subject,
    SubjectKind,
    SubjectMove,
    SubjectPage,
    SubjectQuery,
    SubjectStore,
)
from core.audit import AuditLog
from core.clock import Clock
from core.errors import Conflict, Malformed, NotFound
from core.transaction import Transactions

_ID: Final = re.compile(r"[0-9a-f]{32}")
_EMAIL: Final = re.compile(r"[^\s@]{1,64}@[^\s@]{1,189}")
_NUMBER: Final = re.compile(r"[!-~]{1,64}")
_TAIL: Final = 4
MAX_CONTACTS: Final = 10


@dataclass(frozen=True, slots=True)
class Identifier:
    """What tells a subject from others of its kind, as people write it."""

    kind: SubjectKind
    type: IdentifierType
    value: str


@dataclass(frozen=True, slots=True)
class Particulars:
    """What may change about a subject."""

    name: str
    email: str | None
    contacts: Mapping[str, str]


class Subjects:
    """Keeps subjects. It does not ask who may: `ca.rights` does."""

    def __init__(
        self,
        store: SubjectStore,
        organisations: Organisations,
        *,
        digest: Callable[[str], str],
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._store = store
        self._organisations = organisations
        self._digest = digest
        self._transactions = transactions
        self._audit = audit
        self._clock = clock

    def create(
        self, identifier: Identifier, organisation: str, particulars: Particulars, *, actor: str
    ) -> Subject:
        """Keep a subject. Raises `Conflict` when it is kept already, `Malformed`, `NotFound`."""
        value = _check_identifier(identifier)
        now = self._clock.now()
        subject = Subject(
            id=secrets.token_hex(16),
            kind=identifier.kind,
            identifier_type=identifier.type,
            identifier=self._stored(identifier.type, value),
            identifier_tail=value[-_TAIL:] if identifier.type in HIDDEN else None,
            organisation=self._open(organisation),
            name=check_name(particulars.name),
            email=_check_email(particulars.email),
            contacts=_check_contacts(particulars.contacts),
            created_at=now,
            updated_at=now,
        )
        with self._transactions.transaction():
            self._store.add_subject(subject)
            move = SubjectMove(subject.id, None, subject.organisation, now, actor)
            self._store.add_move(move)
            detail = {"subject": subject.id, "kind": subject.kind}
            self._audit.record(
                "subject.created",
                actor=actor,
                detail={**detail, "organisation": subject.organisation},
            )
        return subject

    def update(self, subject_id: str, particulars: Particulars, *, actor: str) -> Subject:
        """Replace name, email and contacts. Raises `NotFound`, `Malformed`."""
        with self._transactions.transaction():
            new = replace(
                self._locked(subject_id),
                name=check_name(particulars.name),
                email=_check_email(particulars.email),
                contacts=_check_contacts(particulars.contacts),
                updated_at=self._clock.now(),
            )
            self._store.update_subject(new)
            self._audit.record("subject.updated", actor=actor, detail={"subject": new.id})
        return new

    def move(self, subject_id: str, organisation: str, *, actor: str) -> Subject:
        """Let a subject belong to another organisation; the history keeps the old one."""
        with self._transactions.transaction():
            old = self._locked(subject_id)
            now = self._clock.now()
            new = replace(old, organisation=self._open(organisation), updated_at=now)
            if new.organisation == old.organisation:
                return old
            self._store.update_subject(new)
            self._store.add_move(
                SubjectMove(new.id, old.organisation, new.organisation, now, actor)
            )
            self._audit.record(
                "subject.moved",
                actor=actor,
                detail={"subject": new.id, "before": old.organisation, "after": new.organisation},
            )
        return new

    def get(self, subject_id: str) -> Subject:
        """Raises `NotFound`, `Malformed`."""
        return self._known(subject_id, lock=False)

    def find(self, identifier: Identifier) -> Subject | None:
        """Return the subject of an identifier, as people write it. Raises `Malformed`."""
        value = self._stored(identifier.type, _check_identifier(identifier))
        return self._store.find_by_identifier(identifier.kind, identifier.type, value)

    def list_subjects(
        self,
        query: SubjectQuery,
        *,
        cursor: str | None = None,
        limit: int = 100,
        sort: str | None = None,
    ) -> SubjectPage:
        """Return one page, newest first."""
        return self._store.list_subjects(query, cursor=cursor, limit=limit, sort=sort)

    def history(self, subject_id: str) -> Sequence[SubjectMove]:
        """Return where it belonged, oldest first. Raises `NotFound`."""
        return self._store.list_moves(self.get(subject_id).id)

    def _locked(self, subject_id: str) -> Subject:
        return self._known(subject_id, lock=True)

    def _known(self, subject_id: str, *, lock: bool) -> Subject:
        if _ID.fullmatch(subject_id) is None:
            raise Malformed("a subject's id is 32 hex digits; `yinxin subject list`")
        found = self._store.find_subject(subject_id, lock=lock)
        if found is None:
            raise NotFound(f"there is no subject {subject_id}")
        return found

    def _open(self, organisation_id: str) -> str:
        found = self._organisations.get(organisation_id)
        if found.closed_at is not None:
            raise Conflict(f"{found.name} was closed on {found.closed_at:%Y-%m-%d}")
        return found.id

    def _stored(self, kind: IdentifierType, value: str) -> str:
        # With its type, so that a passport is not the identity card of the same characters.
        return self._digest(f"{kind}:{value}") if kind in HIDDEN else value


def _check_identifier(identifier: Identifier) -> str:
    allowed = IDENTIFIERS[identifier.kind]
    if identifier.type not in allowed:
        raise Malformed(f"a {identifier.kind} is told by its {' or '.join(allowed)}")
    value = unicodedata.normalize("NFKC", identifier.value).strip()
    if identifier.type is IdentifierType.IDENTITY_CARD:
        return check_identity_card(value)
    if identifier.type is IdentifierType.CREDIT_CODE:
        return check_credit_code(value.upper())
    if identifier.type is IdentifierType.PASSPORT:
        value = value.upper()
    if _NUMBER.fullmatch(value) is None:
        # Never with the value: it may be a passport's.
        raise Malformed(f"a {identifier.type} has 1 to 64 printable ASCII characters, no spaces")
    return value


def _check_email(email: str | None) -> str | None:
    if email is not None and _EMAIL.fullmatch(email) is None:
        raise Malformed("the email is not an address like name@example.cn")
    return email


def _check_contacts(contacts: Mapping[str, str]) -> Mapping[str, str]:
    if len(contacts) > MAX_CONTACTS:
        raise Malformed(f"a subject has at most {MAX_CONTACTS} contacts")
    return {check_name(key): check_name(value) for key, value in contacts.items()}
