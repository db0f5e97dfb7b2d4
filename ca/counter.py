"""The CA's counter (柜台) for registration authorities: acts come in, outcomes go out.

A registration authority is trusted for the review and for nothing else: proof of possession,
profile, lint, blocked keys and rights are checked here as for everybody. An act is done at most
once: an application by its idempotency key, a change of status by a row of its transaction.
"""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Mapping
from typing import Final, Protocol

from ca.acts import MOST_ORGANISATIONS, Act, Branch, Outcome, OutcomeState, Place
from ca.dual import PairService
from ca.enrollment import EnrollmentService, Idempotency
from ca.formats import CertificateFormat, render
from ca.issuer import Issuer
from ca.operations import Operation, ReviewRules
from ca.organisations import Organisations
from ca.organisations_store import Level, Organisation, OrganisationQuery
from ca.registrars import Registrar
from ca.requests import EnrollmentRecord, RequestState
from ca.revocation import RevocationService
from ca.rights import Rights
from ca.rights_store import Step
from ca.serials import from_hex, to_hex
from ca.store import CertificateStore
from ca.submitting import request_in
from core.errors import Conflict, NotFound, Refused, TrustError, Unavailable
from core.transaction import Transactions

_NOT_WHOLE: Final = (
    "an application of a registration authority carries a CSR, and no subject_id: subjects and "
    "pick-ups are kept at the certificate authority"
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
        issuers: Mapping[str, Issuer],
        revocation: RevocationService,
        pairs: PairService,
        certificates: CertificateStore,
        organisations: Organisations,
        rights: Rights,
        reviews: ReviewRules,
        done: DoneStore,
        transactions: Transactions,
        accept_empty_sm2_id: bool,
    ) -> None:
        self._enrollment = enrollment
        self._issuers = issuers
        self._revocation = revocation
        self._pairs = pairs
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
            if act.operation is Operation.APPLY:
                return self._apply(registrar, act)
            return self._change(registrar, act)
        except (Unavailable, Conflict) as error:
            if isinstance(error, Conflict) and act.operation is not Operation.APPLY:
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

    def _apply(self, registrar: Registrar, act: Act) -> Outcome:
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
            requester=f"{registrar.operator}:{act.entered_by}",
            organisation=organisation,
            accept_empty_sm2_id=self._accept_empty_sm2_id,
        )
        record = self._enrollment.submit(
            request,
            profile=body.profile,
            issuer=body.issuer,
            idempotency=Idempotency(act.id, act.fingerprint),
        )
        if record.state in (_S.PENDING, _S.APPROVED):
            reviewer = f"{registrar.operator}:{act.reviewed_by}"
            record = self._enrollment.approve(record.id, actor=reviewer)
        if record.state is _S.REJECTED:
            raise Refused(f"rejected by {record.decided_by}: {record.comment}")
        if record.state is not _S.ISSUED:
            detail = f"the certificate authority has it as {record.state}"
            return Outcome(id=act.id, state=OutcomeState.WAITING, detail=detail)
        return self._given(act, record)

    def _given(self, act: Act, record: EnrollmentRecord) -> Outcome:
        signing = self._certificates.find_by_request(record.id)
        if signing is None or signing.der is None:
            raise Unavailable("the certificate is not stored yet")
        given: Mapping[str, str] = {}
        if self._enrollment.profiles[record.profile].encryption_profile is not None:
            pair = self._pairs.get(record.id)
            if pair.encryption.der is None:
                raise Unavailable("the pair is not stored yet")
            given = {
                "encryption_chain": self._chain(pair.encryption.issuer, pair.encryption.der),
                "enveloped_key": b64encode(pair.enveloped).decode("ascii"),
            }
        return Outcome(
            id=act.id,
            state=OutcomeState.DONE,
            issuer=signing.issuer,
            serial=to_hex(signing.serial),
            chain=self._chain(signing.issuer, signing.der),
            **given,
        )

    def _chain(self, issuer: str, certificate: bytes) -> str:
        above = self._issuers[issuer]
        chain = (above.certificate, *above.chain)
        return render(certificate, chain, CertificateFormat.CHAIN).decode("ascii")

    def _change(self, registrar: Registrar, act: Act) -> Outcome:
        issuer, serial = act.issuer or "", from_hex(act.serial or "")
        found = self._certificates.find_certificate(issuer, serial)
        if found is None:
            raise NotFound(f"{issuer} has no certificate with serial {to_hex(serial)}")
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


def _refused(act: Act, error: TrustError) -> Outcome:
    return Outcome(id=act.id, state=OutcomeState.REFUSED, detail=str(error)[:2000])


def _depth(place: Organisation) -> int:
    return tuple(Level).index(place.level)
