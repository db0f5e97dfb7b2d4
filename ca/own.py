"""What people do in the portal with certificates of their own (自助服务).

Theirs are: what they asked for in the portal; what they log in with; and of each, what belongs to
the same subject, or was replaced by it and replaced it. Nothing that they type is certified: their
name, their account and their organisation are what this service knows about them already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ca.contents import IssuanceRequest
from ca.enrollment import EnrollmentService
from ca.history import HistoryService
from ca.issuer import Issuer
from ca.names import Attributes
from ca.operations import Operation
from ca.profiles import CertificateProfile
from ca.reasons import RevocationReason
from ca.replacement import Replacement, ReplacementService
from ca.requests import EnrollmentRecord, RequestState, RequestStore
from ca.serials import to_hex
from ca.statusrequests import StatusRequests
from ca.store import CertificateRecord, CertificateState, CertificateStore
from ca.submission import Entry
from core.clock import Clock
from core.errors import Conflict, Forbidden, NotFound
from keystore.escrow.store import Recovery

_MOST: Final = 100
_OPEN: Final = (
    RequestState.PENDING,
    RequestState.REVIEWED,
    RequestState.AWAITING_PICKUP,
    RequestState.APPROVED,
)


@dataclass(frozen=True, slots=True)
class Person:
    """Who is signed in to the portal."""

    id: str
    name: str
    """Of the account; the UID of their certificates, which nobody else's has."""
    display_name: str
    shown: Sequence[tuple[str, int]] = ()
    """Issuer and serial number of the certificates that their logins are bound to."""


@dataclass(frozen=True, slots=True)
class Place:
    """The organisation under which somebody applies, and belongs to."""

    id: str
    name: str


class OwnCertificates:
    """Serves people who are signed in. Whoever calls it has checked that they are."""

    def __init__(
        self,
        enrollment: EnrollmentService,
        *,
        replacements: ReplacementService,
        statuses: StatusRequests,
        history: HistoryService,
        certificates: CertificateStore,
        requests: RequestStore,
        clock: Clock,
    ) -> None:
        self._enrollment = enrollment
        self._replacements = replacements
        self._statuses = statuses
        self._history = history
        self._certificates = certificates
        self._requests = requests
        self._clock = clock

    def offers(self) -> Sequence[tuple[CertificateProfile, Issuer]]:
        """Return what can be applied for, and of whom."""
        profiles: Mapping[str, CertificateProfile] = self._enrollment.profiles
        issuers = [self._enrollment.issuers[name] for name in self._enrollment.issuers]
        return [
            (profile, issuer)
            for profile in profiles.values()
            for issuer in issuers
            if profile.self_service
            and issuer.kind in profile.issued_by
            and issuer.signer.key.algorithm in profile.key_algorithms
        ]

    def requests(self, person: Person) -> Sequence[EnrollmentRecord]:
        """Return what they asked for, newest first."""
        return self._requests.list_of_owner(person.id, limit=_MOST)

    def certificates(self, person: Person) -> Sequence[CertificateRecord]:
        """Return their certificates, the one that ends last first."""
        found: dict[tuple[str, int], CertificateRecord] = {}
        issued = [
            (one.issued_by, one.serial)
            for one in self.requests(person)
            if one.issued_by is not None and one.serial is not None
        ]
        for issuer, serial in (*issued, *person.shown):
            if (issuer, serial) in found:
                continue
            own = self._certificates.find_certificate(issuer, serial)
            for one in () if own is None else self._history.of_same_holder(own):
                found[one.issuer, one.serial] = one
        return sorted(found.values(), key=lambda one: one.not_after, reverse=True)

    def get(self, person: Person, issuer: str, serial: int) -> CertificateRecord:
        """Return one of theirs. Raises `NotFound` for anything else, existing or not."""
        for one in self.certificates(person):
            if (one.issuer, one.serial) == (issuer, serial):
                return one
        raise NotFound(f"you have no certificate {to_hex(serial)} of {issuer}")

    def apply(
        self, person: Person, *, profile: str, issuer: str, place: Place | None
    ) -> EnrollmentRecord:
        """Ask for a certificate, which an operator reviews; its key comes with the pick-up.

        Raises `Conflict` while another such request is open, `NotFound` for what is not offered,
        and `Refused`.
        """
        chosen = next((p for p, i in self.offers() if (p.name, i.name) == (profile, issuer)), None)
        if chosen is None:
            raise NotFound(f"{profile} of {issuer} cannot be applied for here")
        for one in self.requests(person):
            if one.state in _OPEN and (one.profile, one.issuer) == (profile, issuer):
                raise Conflict("you asked for this already: that request is still open")
        request = IssuanceRequest(
            spki=b"",
            subject=_subject(person, chosen, place),
            requester=person.name,
            organisation_id=None if place is None else place.id,
        )
        return self._enrollment.enter(Entry(request, profile, issuer, owner=person.id))

    def can_renew(self, record: CertificateRecord) -> bool:
        """Whether the time for a renewal has come, and nothing else was asked for."""
        return (
            record.state is CertificateState.ISSUED
            and self._clock.now() >= self._replacements.window_opens(record)
            and self._replacements.find_successor(record) is None
        )

    def renew(self, person: Person, issuer: str, serial: int) -> EnrollmentRecord:
        """Ask for a new validity, for the same key. Raises `NotFound`, `Refused`, `Conflict`."""
        record = self.get(person, issuer, serial)
        wanted = Replacement(Operation.RENEW, owner=person.id)
        return self._replacements.replace(record.issuer, record.serial, wanted, actor=person.name)

    def renew_with_new_key(self, person: Person, issuer: str, serial: int) -> EnrollmentRecord:
        """Ask for a certificate in the place of this one, whose key comes with the pick-up.

        In the place of one that was reported lost, too, which is revoked then. Raises as `renew`.
        """
        record = self.get(person, issuer, serial)
        wanted = Replacement(Operation.REKEY, owner=person.id)
        if record.state is CertificateState.HELD:
            wanted = Replacement(
                Operation.REISSUE, reason=RevocationReason.KEY_COMPROMISE, owner=person.id
            )
        return self._replacements.replace(record.issuer, record.serial, wanted, actor=person.name)

    def report_lost(self, person: Person, issuer: str, serial: int) -> EnrollmentRecord:
        """Freeze a certificate at once; an operator looks at it afterwards (挂失).

        Raises `NotFound`, and `Conflict` for what is revoked.
        """
        record = self.get(person, issuer, serial)
        return self._statuses.report_lost(record.issuer, record.serial, actor=person.name)

    def recoveries(self, person: Person, issuer: str, serial: int) -> Sequence[Recovery]:
        """Return every recovery of the key of one of theirs, newest first.

        Raises `NotFound`, and `Unavailable` while the key management centre is not there.
        """
        return self._history.recoveries(self.get(person, issuer, serial))

    def asked_for(self, person: Person, record: CertificateRecord) -> bool:
        """Whether they asked for it here, and it is not the encryption half of a pair."""
        asked = (
            None if record.request_id is None else self._requests.find_request(record.request_id)
        )
        return asked is not None and asked.owner == person.id

    def check_pickup(self, person: Person, request_id: str) -> EnrollmentRecord:
        """Return a request whose codes were brought. Raises `Forbidden` for somebody else's."""
        record = self._enrollment.get(request_id)
        if record.owner not in (None, person.id):
            raise Forbidden("the request of these codes is somebody else's: sign in as that person")
        return record


def _subject(person: Person, profile: CertificateProfile, place: Place | None) -> Attributes:
    known = {*profile.subject.required, *profile.subject.optional}
    named = (("CN", person.display_name), ("UID", person.name))
    if place is None or "O" not in known:
        return named
    return (("O", place.name), *named)
