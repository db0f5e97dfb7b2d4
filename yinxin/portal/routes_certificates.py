"""A person's certificates: apply, pick up with two codes, renew, report lost; and recoveries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Protocol

from fastapi import APIRouter, Request, Response

from authn import cookies
from authn.assembly import Provider
from authn.forms import Fields, field
from authn.store import User
from ca.csr import CSR
from ca.formats import MEDIA_TYPE, CertificateFormat, pem
from ca.handover import Delivery, DeliveryDesk
from ca.likeness import subject_of
from ca.own import OwnCertificates, Person, Place
from ca.pickup import PickupDesk
from ca.requests import EnrollmentRecord, request_of
from ca.schemas_pickup import DeliveryView
from ca.serials import from_hex, to_hex
from ca.store import CertificateRecord, CertificateState
from core.errors import (
    Conflict,
    Forbidden,
    InvalidSignature,
    Malformed,
    NotFound,
    Refused,
    TrustError,
    Unavailable,
)
from core.http import status_of
from yinxin.portal.pages import PortalPages
from yinxin.portal.routes_account import account_choices
from yinxin.portal.routes_factors import FRESH
from yinxin.portal.visit import Form, fresh, go, signed_in

PATH: Final = "/certificates"
_PICKUP: Final = PATH + "/pickup"
_ONE: Final = PATH + "/{issuer}/{serial}"
_MAX_CODE: Final = 60
_SAID: Final = (Refused, Conflict, Malformed, InvalidSignature, NotFound, Unavailable, Forbidden)
"""What a form of these pages is refused with; the page says why, and keeps what was entered."""


class TakeKey(Protocol):
    """Issues what waits for its pick-up (`ca.enrollment.EnrollmentService.take_key`)."""

    def __call__(
        self, request_id: str, *, spki: bytes, actor: str, temporary_key: bytes | None = None
    ) -> EnrollmentRecord: ...


@dataclass(frozen=True, slots=True)
class OwnDesk:
    """The services behind these pages."""

    own: OwnCertificates
    pickup: PickupDesk
    deliveries: DeliveryDesk
    take_key: TakeKey


def add_certificates(
    router: APIRouter, provider: Provider, pages: PortalPages, desk: OwnDesk
) -> None:
    """Add the list, the page of one certificate, and the pick-up."""
    shown = _Pages(provider, pages, desk)
    _add_list(router, shown)
    _add_pickup(router, shown)
    _add_one(router, shown)


def _add_list(router: APIRouter, shown: _Pages) -> None:
    @router.get(PATH)
    def overview(request: Request) -> Response:
        return shown.draw_list(request)

    @router.post(PATH)
    def apply(request: Request, fields: Form) -> Response:
        cookies.require_csrf(request, field(fields, "csrf"))
        _, user = signed_in(request, shown.provider)
        profile, _, issuer = field(fields, "kind").partition("/")
        try:
            place = shown.place(user, field(fields, "organisation"))
            shown.own.apply(shown.person(user), profile=profile, issuer=issuer, place=place)
        except _SAID as error:
            return shown.draw_list(request, error)
        return go(PATH)


def _add_pickup(router: APIRouter, shown: _Pages) -> None:
    @router.get(_PICKUP)
    def form(request: Request) -> Response:
        fresh(request, shown.provider, within=FRESH, back=_PICKUP)
        return shown.draw_pickup(request, {})

    @router.post(_PICKUP)
    def collect(request: Request, fields: Form) -> Response:
        cookies.require_csrf(request, field(fields, "csrf"))
        _, user = fresh(request, shown.provider, within=FRESH, back=_PICKUP)
        try:
            delivery = shown.collect(request, user, fields)
        except _SAID as error:
            return shown.draw_pickup(request, dict(fields), error)
        bound = shown.bind(user, delivery)
        return shown.pages.page(
            "certificate_picked_up.html",
            request,
            delivery=DeliveryView.of(delivery),
            bound=bound,
        )


def _add_one(router: APIRouter, shown: _Pages) -> None:
    @router.get(_ONE)
    def look(request: Request, issuer: str, serial: str) -> Response:
        return shown.draw_one(request, issuer, serial)

    @router.get(_ONE + "/download")
    def download(request: Request, issuer: str, serial: str) -> Response:
        _, user = signed_in(request, shown.provider)
        record = shown.own.get(shown.person(user), issuer, from_hex(serial))
        if record.der is None:
            raise NotFound("it was never issued")
        name = f"{record.issuer}-{to_hex(record.serial)}.pem"
        headers = {
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
        kind = MEDIA_TYPE[CertificateFormat.PEM]
        return Response(pem(record.der), media_type=kind, headers=headers)

    @router.post(_ONE + "/sign-in")
    def sign_in_with_it(request: Request, issuer: str, serial: str, fields: Form) -> Response:
        cookies.require_csrf(request, field(fields, "csrf"))
        here = f"{PATH}/{issuer}/{to_hex(from_hex(serial))}"
        _, user = fresh(request, shown.provider, within=FRESH, back=here)
        person = shown.person(user)
        record = shown.own.get(person, issuer, from_hex(serial))
        allowed = record.der is not None and shown.own.asked_for(person, record)
        if not allowed or not shown.provider.certificates.bind_own(user, record.der or b""):
            return shown.draw_one(
                request, issuer, serial, Refused("ask the system administrator to bind it")
            )
        return go("/account")

    own = shown.own
    acts: dict[str, Callable[[Person, str, int], EnrollmentRecord]] = {
        "renew": own.renew,
        "new-key": own.renew_with_new_key,
        "report-lost": own.report_lost,
    }
    for word, act in acts.items():
        _add_act(router, shown, word, act)


def _add_act(
    router: APIRouter,
    shown: _Pages,
    word: str,
    act: Callable[[Person, str, int], EnrollmentRecord],
) -> None:
    @router.post(f"{_ONE}/{word}")
    def do(request: Request, issuer: str, serial: str, fields: Form) -> Response:
        cookies.require_csrf(request, field(fields, "csrf"))
        _, user = signed_in(request, shown.provider)
        try:
            act(shown.person(user), issuer, from_hex(serial))
        except (Refused, Conflict) as error:
            return shown.draw_one(request, issuer, serial, error)
        return go(f"{PATH}/{issuer}/{to_hex(from_hex(serial))}")


class _Pages:
    """Draws them, for who is signed in."""

    def __init__(self, provider: Provider, pages: PortalPages, desk: OwnDesk) -> None:
        self.provider = provider
        self.pages = pages
        self.own = desk.own
        self._desk = desk

    def person(self, user: User) -> Person:
        """Return them, with what their logins are bound to."""
        shown = [
            (one.issuer, from_hex(one.serial))
            for one in self.provider.certificates.list_of(user)
            if one.serial is not None
        ]
        return Person(user.id, user.name, user.display_name, shown)

    def place(self, user: User, organisation: str) -> Place | None:
        """Return an organisation of theirs. Raises `NotFound` for any other."""
        if not organisation:
            return None
        for _, entry in account_choices(self.provider, user)["affiliations"]:
            if entry.id == organisation:
                return Place(entry.id, entry.name)
        raise NotFound("you do not belong to that organisation")

    def collect(self, request: Request, user: User, fields: Fields) -> Delivery:
        """Take codes and a CSR; raises as `PickupDesk.collect`, and `Forbidden` for another's."""

        def take(request_id: str, csr: CSR) -> EnrollmentRecord:
            self.own.check_pickup(self.person(user), request_id)
            actor = f"subscriber:{request_id}"
            return self._desk.take_key(
                request_id, spki=csr.spki, temporary_key=csr.temporary_key, actor=actor
            )

        record = self._desk.pickup.collect(
            field(fields, "reference")[:_MAX_CODE],
            field(fields, "code")[:_MAX_CODE],
            field(fields, "csr").encode(),
            address=cookies.address_of(request),
            take=take,
        )
        return self._desk.deliveries.of(record)

    def bind(self, user: User, delivery: Delivery) -> bool:
        """Let a certificate log its person in, where they asked for it themselves."""
        certificate, owner = delivery.certificate, delivery.record.owner
        if certificate is None or owner != user.id:
            return False
        return self.provider.certificates.bind_own(user, certificate)

    def draw_list(self, request: Request, error: TrustError | None = None) -> Response:
        """Draw what there is, what was asked for, and the form."""
        _, user = signed_in(request, self.provider)
        person = self.person(user)
        return self._draw(
            "certificates.html",
            request,
            error,
            certificates=[_line(one) for one in self.own.certificates(person)],
            requests=[(one, _name(one)) for one in self.own.requests(person)],
            offers=self.own.offers(),
            places=[entry for _, entry in account_choices(self.provider, user)["affiliations"]],
        )

    def draw_one(
        self, request: Request, issuer: str, serial: str, error: TrustError | None = None
    ) -> Response:
        """Draw one certificate, what can be done to it, and the recoveries of its key."""
        _, user = signed_in(request, self.provider)
        person = self.person(user)
        record = self.own.get(person, issuer, from_hex(serial))
        try:
            recoveries = list(self.own.recoveries(person, issuer, record.serial))
        except Unavailable:
            recoveries = None
        held, issued = CertificateState.HELD, CertificateState.ISSUED
        return self._draw(
            "own_certificate.html",
            request,
            error,
            record=record,
            line=_line(record),
            subject=subject_of(record),
            recoveries=recoveries,
            can_renew=self.own.can_renew(record),
            lost=record.state is held,
            may_sign_in=(record.issuer, record.serial) not in person.shown
            and record.state is issued
            and self.own.asked_for(person, record),
            can_report=record.state is issued,
        )

    def draw_pickup(
        self, request: Request, entered: dict[str, str], error: TrustError | None = None
    ) -> Response:
        """Draw the form of the two codes."""
        return self._draw("pickup.html", request, error, entered=entered)

    def _draw(
        self, template: str, request: Request, error: TrustError | None, **values: Any
    ) -> Response:
        status = HTTPStatus.OK if error is None else status_of(error)
        fault = None if error is None else str(error)
        return self.pages.page(template, request, status=status, fault=fault, **values)


def _line(record: CertificateRecord) -> dict[str, Any]:
    subject = dict(subject_of(record))
    return {
        "name": subject.get("CN", ""),
        "path": f"{PATH}/{record.issuer}/{to_hex(record.serial)}",
        "serial": to_hex(record.serial),
        "profile": record.profile,
        "issuer": record.issuer,
        "state": record.state,
        "until": record.not_after,
    }


def _name(record: EnrollmentRecord) -> str:
    return dict(request_of(record).subject).get("CN", "")
