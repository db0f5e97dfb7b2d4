"""Rights on the way in: dependencies that let an operator reach a request or a certificate.

They run before the route itself, after the role: `dependencies=[access.request(Step.REVIEW)]`.
"""

from __future__ import annotations

from typing import Any

from fastapi import Depends

from ca.enrollment import EnrollmentService
from ca.operations import Operation
from ca.requests import is_encryption_request, partner_request_id
from ca.rights import Rights
from ca.rights_store import Step
from ca.serials import from_hex
from ca.store import CertificateRecord, CertificateStore
from ca.subjects import Subjects
from ca.wire import Reader, Writer, require_sight
from core.errors import NotFound, Refused
from core.identity import Principal


class Access:
    """Makes the dependencies. Each raises `Forbidden` with the right that is missing."""

    def __init__(
        self,
        rights: Rights,
        enrollment: EnrollmentService,
        certificates: CertificateStore,
        subjects: Subjects,
    ) -> None:
        self.rights = rights
        self._enrollment = enrollment
        self._certificates = certificates
        self._subjects = subjects

    def place(
        self,
        asking: Principal,
        operation: Operation,
        *,
        profile: str,
        organisation: str | None,
        subject: str | None,
    ) -> str | None:
        """Return where a new request belongs; the subject's organisation, if it names one.

        Raises `Forbidden`, and `Refused` when `organisation` is not the subject's.
        """
        if subject is not None:
            belongs = self._subjects.get(subject).organisation
            if organisation not in (None, belongs):
                raise Refused("the subject belongs to another organisation: move it, or ask there")
            organisation = belongs
        return self.rights.place(
            asking.name, operation, Step.ENTRY, organisation=organisation, profile=profile
        )

    def act_on_request(self, step: Step | None, operation: Operation | None = None) -> Any:
        """Take `operation` (None: the request's own) where the request belongs."""

        def dependency(asking: Writer, request_id: str) -> None:
            record = self._enrollment.get(request_id)
            self.rights.require(
                asking.name,
                operation or record.operation,
                step,
                organisation=record.organisation_id,
                profile=record.profile,
            )

        return Depends(dependency)

    def see_request(self) -> Any:
        """Take the right to query where the request belongs, or the auditor's role."""

        def dependency(asking: Reader, request_id: str) -> None:
            record = self._enrollment.get(request_id)
            require_sight(asking, self.rights, organisation=record.organisation_id)

        return Depends(dependency)

    def act_on_certificate(self, operation: Operation) -> Any:
        """Take `operation`, as who enters it, where the certificate was issued."""

        def dependency(asking: Writer, issuer: str, serial: str) -> None:
            found = self._certificate(issuer, serial)
            self.rights.require(
                asking.name,
                operation,
                Step.ENTRY,
                organisation=found.organisation_id,
                profile=self._asked_profile(found),
            )

        return Depends(dependency)

    def see_certificate(self) -> Any:
        """Take the right to query where the certificate was issued, or the auditor's role."""

        def dependency(asking: Reader, issuer: str, serial: str) -> None:
            found = self._certificate(issuer, serial)
            require_sight(asking, self.rights, organisation=found.organisation_id)

        return Depends(dependency)

    def _certificate(self, issuer: str, serial: str) -> CertificateRecord:
        found = self._certificates.find_certificate(issuer, from_hex(serial))
        if found is None:
            raise NotFound(f"{issuer} has no certificate with serial {serial}")
        return found

    def _asked_profile(self, found: CertificateRecord) -> str:
        """Return the profile that was asked for: both halves of a pair have the signing one's."""
        if found.request_id is None or not is_encryption_request(found.request_id):
            return found.profile
        signing = self._certificates.find_by_request(partner_request_id(found.request_id))
        return found.profile if signing is None else signing.profile
