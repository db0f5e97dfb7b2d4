"""Whose a certificate is: the organisation it was issued under, and its subject as it is now."""

from __future__ import annotations

from dataclasses import dataclass

from ca.organisations import Organisations
from ca.organisations_store import Organisation
from ca.store import CertificateRecord
from ca.subjects import Subjects
from ca.subjects_store import Subject


@dataclass(frozen=True, slots=True)
class Belonging:
    """None: the certificate belongs to the root, or is for no subject that is kept."""

    issued_under: Organisation | None
    subject: Subject | None
    subject_is_in: Organisation | None


def belonging_of(
    record: CertificateRecord, *, organisations: Organisations, subjects: Subjects
) -> Belonging:
    """Look both up. Raises `NotFound` when a row names what is not there: nothing is deleted."""
    under = None if record.organisation_id is None else organisations.get(record.organisation_id)
    subject = None if record.subject_id is None else subjects.get(record.subject_id)
    place = None if subject is None else organisations.get(subject.organisation)
    return Belonging(under, subject, place)
