"""The CA's counter (柜台) for registration authorities: acts come in, outcomes go out.

A registration authority is trusted for the review and for nothing else: proof of possession,
profile, lint, blocked keys and rights are checked here as for everybody. An act is done at most
once: what gives a certificate by its idempotency key, a change of status by a row of its
transaction.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Final, Protocol

from ca.acts import MOST_ORGANISATIONS, Act, Branch, Outcome, OutcomeState, Place
from ca.csr import parse_csr
from ca.enrollment import EnrollmentService
from ca.idempotency import Idempotency
from ca.likeness import signing_half
from ca.operations import ISSUING, Operation, ReviewRules
from ca.organisations import Organisations
from ca.organisations_store import Level, Organisation, OrganisationQuery
from ca.outcomes import Outcomes
from ca.reasons import RevocationReason
from ca.registrars import Registrar
from ca.replacement import Replacement, ReplacementService
from ca.requests import EnrollmentRecord, RequestState
from ca.revocation import RevocationService
from ca.rights import Rights
from ca.rights_store import Step
from ca.serials import from_hex, to_hex
from ca.store import CertificateRecord, CertificateStore
from ca.submitting import request_in
from core.errors import Conflict, NotFound, Refused, TrustError, Unavailable
from core.transaction import Transactions

_NOT_WHOLE: Final = (
    "an application of a registration authority carries a CSR, and no subject_id: subjects are "
    "kept at the certificate authority"
)

log = logging.getLogger(__name__)
_S = RequestState


class DoneStore(Protocol):
    """Remembers which changes of status were done for whom, for ever."""

    def find_done(self, registrar: str, act_id: str) -> str | None:
        """Return the fingerprint of the act that was done under this id."""
        ...

    def add_done(self, registrar: str, act_id: str, fingerprint: str) -> None:
        """Raises `Conflict` when it was done at the same moment."""
        ...


class Counter:
    """Does what registration authorities ask for."""

    def __init__(
        self,
        *,
        enrollment: EnrollmentService,
        replacements: ReplacementService,
        outcomes: Outcomes,
        revocation: RevocationService,
        certificates: CertificateStore,
        organisations: Organisations,
        rights: Rights,
        reviews: ReviewRules,
        done: DoneStore,
        transactions: Transactions,
        accept_empty_sm2_id: bool,
    ) -> None:
        self._enrollment = enrollment
        self._replacements = replacements
        self._outcomes = outcomes
        self._revocation = revocation
        self._certificates = certificates
        self._organisations = organisations
        self._rights = rights
        self._reviews = reviews
        self._done = done
        self._transactions = transactions
        self._accept_empty_sm2_id = accept_empty_sm2_id

    def perform(self, registrar: Registrar, act: Act) -> Outcome:
        """Do an act, or say why not. The same act again gives the same certificate.

        Never raises what the registration authority could do nothing about: what may be better
        later is `WAITING`.
        """
        try:
            if act.operation in ISSUING:
                return self._give(registrar, act)
            return self._change(registrar, act)
        except (Unavailable, Conflict) as error:
            if isinstance(error, Conflict) and not self._may_wait(registrar, act):
                return _refused(act, error)
            log.warning("an act waits", extra={"registrar": registrar.name, "act": act.id})
            return Outcome(id=act.id, state=OutcomeState.WAITING, detail=str(error)[:2000])
        except TrustError as error:
            return _refused(act, error)

    def branch(self, registrar: Registrar) -> Branch:
        """Return the registration authority's part of the tree, parents first."""
        query, cursor = OrganisationQuery(under=registrar.organisation), None
        found: list[Organisation] = []
        while True:
            page = self._organisations.list_organisations(query, cursor=cursor, limit=1000)
            found += page.items
            cursor = page.next_cursor
            if cursor is None:
                break
            if len(found) >= MOST_ORGANISATIONS:
                raise Refused(f"the branch has more than {MOST_ORGANISATIONS} organisations")
        found.sort(key=_depth)
        return Branch(
            places=tuple(
                Place(
                    id=item.id,
                    parent=None if item.id == registrar.organisation else item.parent,
                    level=item.level,
                    name=item.name,
                    code=item.code,
                    closed=item.closed_at is not None,
                )
                for item in found
            )
        )

    def _give(self, registrar: Registrar, act: Act) -> Outcome:
        if act.operation is Operation.APPLY:
            record = self._apply(registrar, act)
        else:
            record = self._replace(registrar, act)
        if record.state in (_S.PENDING, _S.APPROVED):
            reviewer = f"{registrar.operator}:{act.reviewed_by}"
            record = self._enrollment.approve(record.id, actor=reviewer)
        if record.state is _S.REJECTED:
            raise Refused(f"rejected by {record.decided_by}: {record.comment}")
        if record.state is not _S.ISSUED:
            detail = f"the certificate authority has it as {record.state}"
            return Outcome(id=act.id, state=OutcomeState.WAITING, detail=detail)
        return self._outcomes.given(act, record)

    def _apply(self, registrar: Registrar, act: Act) -> EnrollmentRecord:
        body = act.request
        if body is None or body.csr is None or body.subject_id is not None:
            raise Refused(_NOT_WHOLE)
        organisation = self._rights.place(
            registrar.operator,
            Operation.APPLY,
            Step.REVIEW,
            organisation=body.organisation,
            profile=body.profile,
        )
        request = request_in(
            body,
            requester=_entered(registrar, act),
            organisation=organisation,
            accept_empty_sm2_id=self._accept_empty_sm2_id,
        )
        return self._enrollment.submit(
            request,
            profile=body.profile,
            issuer=body.issuer,
            idempotency=Idempotency(act.id, act.fingerprint),
        )

    def _replace(self, registrar: Registrar, act: Act) -> EnrollmentRecord:
        old = self._certificate(act)
        self._rights.require(
            registrar.operator,
            act.operation,
            Step.REVIEW,
            organisation=old.organisation_id,
            profile=old.profile,
        )
        wanted = Replacement(
            act.operation,
            validity_days=act.validity_days,
            reason=act.reason or RevocationReason.SUPERSEDED,
        )
        if act.csr is not None:
            csr = parse_csr(act.csr.encode(), accept_empty_sm2_id=self._accept_empty_sm2_id)
            wanted = replace(wanted, spki=csr.spki, temporary_key=csr.temporary_key)
        return self._replacements.replace(
            old.issuer,
            old.serial,
            wanted,
            actor=_entered(registrar, act),
            idempotency=Idempotency(act.id, act.fingerprint),
        )

    def _certificate(self, act: Act) -> CertificateRecord:
        """Return what is acted upon; of a pair the signing half, whose profile rules both."""
        issuer, serial = act.issuer or "", from_hex(act.serial or "")
        found = self._certificates.find_certificate(issuer, serial)
        if found is None:
            raise NotFound(f"{issuer} has no certificate with serial {to_hex(serial)}")
        return signing_half(self._certificates, found)

    def _may_wait(self, registrar: Registrar, act: Act) -> bool:
        """Whether a conflict is one with this same act, which is being done."""
        if act.operation is Operation.APPLY:
            return True
        if act.operation not in ISSUING:
            return False
        return self._enrollment.is_claimed(_entered(registrar, act), act.id)

    def _change(self, registrar: Registrar, act: Act) -> Outcome:
        found = self._certificate(act)
        issuer, serial = act.issuer or "", from_hex(act.serial or "")
        self._rights.require(
            registrar.operator,
            act.operation,
            Step.REVIEW,
            organisation=found.organisation_id,
            profile=found.profile,
        )
        review = self._reviews.needed(act.operation, found.profile, found.organisation_id)
        if review.review and act.entered_by == act.reviewed_by:
            raise Refused(
                "a review rule here asks for a second person: set registration.review_changes at "
                "the registration authority, and have somebody else review it"
            )
        actor = f"{registrar.operator}:{act.reviewed_by}"
        with self._transactions.transaction():
            known = self._done.find_done(registrar.name, act.id)
            if known is None:
                self._done.add_done(registrar.name, act.id, act.fingerprint)
                if act.operation is Operation.FREEZE:
                    self._revocation.hold(issuer, serial, actor=actor)
                elif act.operation is Operation.UNFREEZE:
                    self._revocation.release(issuer, serial, actor=actor)
                elif act.reason is not None:
                    self._revocation.revoke(issuer, serial, act.reason, actor=actor)
            elif known != act.fingerprint:
                raise Refused("this id was used for another act")
        return Outcome(id=act.id, state=OutcomeState.DONE, issuer=issuer, serial=to_hex(serial))


def _entered(registrar: Registrar, act: Act) -> str:
    return f"{registrar.operator}:{act.entered_by}"


def _refused(act: Act, error: TrustError) -> Outcome:
    return Outcome(id=act.id, state=OutcomeState.REFUSED, detail=str(error)[:2000])


def _depth(place: Organisation) -> int:
    return tuple(Level).index(place.level)
