"""A certificate with whose it is, for who looks at one."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict

from ca.belonging import Belonging
from ca.organisations_store import Level, Organisation
from ca.schemas import CertificateView
from ca.store import CertificateRecord
from ca.subjects_store import Subject, SubjectKind


class OrganisationName(BaseModel):
    """An organisation by its present name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    level: Level
    name: str

    @classmethod
    def of(cls, organisation: Organisation) -> Self:
        """Show an organisation."""
        return cls(id=organisation.id, level=organisation.level, name=organisation.name)


class SubjectNow(BaseModel):
    """The subject of a certificate, and where it belongs now."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    kind: SubjectKind
    name: str
    organisation: OrganisationName

    @classmethod
    def of(cls, subject: Subject, place: Organisation) -> Self:
        """Show a subject."""
        return cls(
            id=subject.id,
            kind=subject.kind,
            name=subject.name,
            organisation=OrganisationName.of(place),
        )


class CertificateDetail(CertificateView):
    """A certificate, and whose it is."""

    issued_under: OrganisationName | None
    """None: the root."""
    subject_now: SubjectNow | None

    @classmethod
    def with_belonging(cls, record: CertificateRecord, found: Belonging) -> Self:
        """Show a record with whose it is."""
        now = None
        if found.subject is not None and found.subject_is_in is not None:
            now = SubjectNow.of(found.subject, found.subject_is_in)
        under = None if found.issued_under is None else OrganisationName.of(found.issued_under)
        view = CertificateView.of(record)
        return cls(**view.model_dump(), issued_under=under, subject_now=now)
