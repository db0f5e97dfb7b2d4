"""Entry (录入): a request is checked as issuing will check it, and becomes a record."""

from __future__ import annotations

import secrets
from collections.abc import Container, Mapping
from dataclasses import dataclass, replace

from ca.contents import IssuanceRequest
from ca.dual import PairService
from ca.issuer import Issuer, Prepared
from ca.keycheck import check_key
from ca.operations import REPLACING, Operation, ReviewRules
from ca.profiles import CertificateProfile
from ca.reasons import RevocationReason
from ca.requests import EnrollmentRecord, RequestState, Target, content_of
from ca.serials import random_serial
from core.clock import Clock
from core.errors import NotFound, ProfileViolation, Unavailable


@dataclass(frozen=True, slots=True)
class Entry:
    """What is entered. A request without a key (empty `spki`) gets it later."""

    request: IssuanceRequest
    profile: str
    issuer: str
    operation: Operation = Operation.APPLY
    target: Target | None = None
    reason: RevocationReason | None = None
    owner: str | None = None
    """The user who asks for it in the portal. Without a key it is always reviewed then: the codes
    of its pick-up go by the reviewer's hands, who knows the person."""


class Submission:
    """Makes records of what can be issued, and of nothing else."""

    def __init__(
        self,
        *,
        profiles: Mapping[str, CertificateProfile],
        issuers: Mapping[str, Issuer],
        reviews: ReviewRules,
        pairs: PairService | None,
        blocked_keys: Container[str],
        clock: Clock,
    ) -> None:
        self.profiles = profiles
        self.issuers = issuers
        self._reviews = reviews
        self._pairs = pairs
        self._blocked_keys = blocked_keys
        self._clock = clock

    def record(self, entry: Entry) -> tuple[EnrollmentRecord, Prepared | None]:
        """Return what is to be remembered; and the certificate, if it waits for nothing else.

        Raises `Refused` or `NotFound` for what would not be issued.
        """
        request_id = secrets.token_hex(16)
        request = replace(entry.request, request_id=request_id)
        prepared = self.check(request, profile=entry.profile, issuer=entry.issuer)
        organisation = entry.request.organisation_id
        review = self._reviews.needed(entry.operation, entry.profile, organisation)
        now, requester = self._clock.now(), entry.request.requester
        keyless = not entry.request.spki
        reviewed = review.review or (keyless and entry.owner is not None)
        if reviewed:
            state = RequestState.PENDING
        else:
            state = state_after_review(needs_make=review.make, keyless=keyless)
        direct = state is RequestState.APPROVED
        record = EnrollmentRecord(
            id=request_id,
            state=state,
            issuer=entry.issuer,
            profile=entry.profile,
            content=content_of(entry.request),
            needs_approval=reviewed,
            requester=requester,
            created_at=now,
            decided_by=requester if direct else None,
            decided_at=now if direct else None,
            operation=entry.operation,
            needs_make=review.make,
            keyless=keyless,
            organisation_id=organisation,
            subject_id=entry.request.subject_id,
            target=entry.target,
            reason=entry.reason,
            follow_up=entry.operation if entry.operation in REPLACING else None,
            owner=entry.owner,
        )
        return record, prepared if direct and record.follow_up is None else None

    def check(self, request: IssuanceRequest, *, profile: str, issuer: str) -> Prepared | None:
        """Prepare the certificates, lint included; return the only one, with its key."""
        if issuer not in self.issuers:
            raise NotFound(f"there is no issuer {issuer}")
        chosen = self.profiles.get(profile)
        if chosen is None:
            raise NotFound(f"there is no profile {profile}")
        if not chosen.requestable:
            raise ProfileViolation(f"profile {profile} is not for requesters")
        signer, now = self.issuers[issuer], self._clock.now()
        if chosen.encryption_profile is not None:
            self.pair_service()
        if not request.spki:
            signer.check_without_key(request, profile=chosen, now=now)
            return None
        check_key(request.spki, blocked=self._blocked_keys)
        prepared = signer.prepare(request, profile=chosen, serial=random_serial(), now=now)
        if chosen.encryption_profile is None:
            return prepared
        self.pair_service().check(request, profile=chosen, issuer=signer)
        return None

    def pair_service(self) -> PairService:
        """Raises `Unavailable` when there is no key management centre."""
        if self._pairs is None:
            raise Unavailable("this service has no key management centre: ask for one certificate")
        return self._pairs


def state_after_review(*, needs_make: bool, keyless: bool) -> RequestState:
    """Return where a request goes that nobody has to review any more."""
    if needs_make:
        return RequestState.REVIEWED
    return RequestState.AWAITING_PICKUP if keyless else RequestState.APPROVED
