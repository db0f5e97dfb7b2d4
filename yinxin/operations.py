"""The registration desks: requests, their steps, and the pick-up by two codes."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Self

from authn.config import LoginConfig
from authn.login import Throttle
from authn.sqlstore import SQLAddressStore
from ca.config import CAConfig
from ca.desks import Desks
from ca.dual import PairService
from ca.enrollment import EnrollmentService
from ca.handover import DeliveryDesk
from ca.history import HistoryService
from ca.holder import HolderDesk
from ca.issuer import Issuer
from ca.ledger import RequestLedger
from ca.operations import Operation, ReviewRules
from ca.own import OwnCertificates
from ca.pickup import PickupDesk, PickupOffers
from ca.profiles import CertificateProfile
from ca.replacement import ReplacementService
from ca.resend import PickupResend
from ca.revocation import RevocationService
from ca.settlement import Settlement
from ca.sqlhistory import SQLHistory
from ca.sqlpickup import SQLPickupStore
from ca.sqlrequests import SQLRequestStore
from ca.statusrequests import StatusRequests
from ca.store import CertificateStore
from core.audit import AuditLog
from core.clock import Clock
from core.db import Database


class DeskThrottle:
    """`ca.pickup.AddressThrottle`: the counter of logins, with rows of its own."""

    def __init__(self, throttle: Throttle) -> None:
        self._throttle = throttle

    def charge(self, address: str) -> None:
        """Count an attempt. Raises `Throttled`."""
        self._throttle.charge(f"desk:{address}")

    def refund(self, address: str) -> None:
        """Take it back."""
        self._throttle.refund(f"desk:{address}")


def address_throttle(login: LoginConfig, database: Database, *, clock: Clock) -> DeskThrottle:
    """Return what slows down who guesses codes from one address."""
    return DeskThrottle(Throttle(SQLAddressStore(database), config=login, clock=clock))


@dataclass(frozen=True, slots=True)
class Operations:
    """What operators and subscribers do with requests."""

    enrollment: EnrollmentService
    desks: Desks
    revocation: RevocationService
    pairs: PairService

    @classmethod
    def assemble(
        cls,
        config: CAConfig,
        login: LoginConfig,
        database: Database,
        *,
        profiles: Mapping[str, CertificateProfile],
        issuers: Mapping[str, Issuer],
        every_issuer: Mapping[str, Issuer],
        certificates: CertificateStore,
        pairs: PairService,
        revocation: RevocationService,
        reviews: ReviewRules,
        blocked_keys: Container[str],
        audit: AuditLog,
        clock: Clock,
    ) -> Self:
        """Put it together over `database`. `every_issuer`: earlier generations too, for chains."""
        requests, pickups = SQLRequestStore(database), SQLPickupStore(database)
        ledger = RequestLedger(requests, transactions=database, audit=audit)
        offers = PickupOffers(pickups, config=config.pickup, audit=audit, clock=clock)
        resends = PickupResend(offers, ledger, reviews=reviews, transactions=database, clock=clock)
        settlement = Settlement(
            requests, certificates=certificates, revocation=revocation, pairs=pairs
        )
        statuses = StatusRequests(
            revocation,
            ledger,
            certificates=certificates,
            requests=requests,
            reviews=reviews,
            transactions=database,
            clock=clock,
        )
        enrollment = EnrollmentService(
            profiles=profiles,
            issuers=issuers,
            certificates=certificates,
            requests=requests,
            reviews=reviews,
            pairs=pairs,
            pickups=offers,
            acts={
                Operation.PICKUP_RESEND: resends.act,
                Operation.FREEZE: statuses.act,
                Operation.UNFREEZE: statuses.act,
                Operation.REVOKE: statuses.act,
            },
            settle=settlement.settle,
            separate_approver=config.separate_approver,
            blocked_keys=blocked_keys,
            transactions=database,
            audit=audit,
            clock=clock,
        )
        throttle = address_throttle(login, database, clock=clock)
        pickup = PickupDesk(
            pickups,
            enrollment,
            throttle=throttle,
            config=config.pickup,
            accept_empty_sm2_id=config.accept_empty_sm2_id,
            transactions=database,
            audit=audit,
            clock=clock,
        )
        deliveries = DeliveryDesk(
            profiles=profiles, issuers=every_issuer, certificates=certificates, pairs=pairs
        )
        replacements = ReplacementService(
            enrollment,
            profiles=profiles,
            certificates=certificates,
            requests=requests,
            clock=clock,
        )
        history = HistoryService(
            SQLHistory(database), certificates=certificates, requests=requests, pairs=pairs
        )
        holders = HolderDesk(
            certificates=certificates,
            replacements=replacements,
            statuses=statuses,
            history=history,
            throttle=throttle,
            accept_empty_sm2_id=config.accept_empty_sm2_id,
            clock=clock,
        )
        desks = Desks(
            pickup=pickup,
            resends=resends,
            deliveries=deliveries,
            statuses=statuses,
            replacements=replacements,
            settlement=settlement,
            history=history,
            holders=holders,
            own=OwnCertificates(
                enrollment,
                replacements=replacements,
                statuses=statuses,
                history=history,
                certificates=certificates,
                requests=requests,
                clock=clock,
            ),
        )
        return cls(enrollment, desks, revocation, pairs)
