"""The services behind the registration desks, as their routes take them."""

from __future__ import annotations

from dataclasses import dataclass

from ca.handover import DeliveryDesk
from ca.history import HistoryService
from ca.holder import HolderDesk
from ca.own import OwnCertificates
from ca.pickup import PickupDesk
from ca.replacement import ReplacementService
from ca.resend import PickupResend
from ca.settlement import Settlement
from ca.statusrequests import StatusRequests


@dataclass(frozen=True, slots=True)
class Desks:
    """Everything but `ca.enrollment`."""

    pickup: PickupDesk
    resends: PickupResend
    deliveries: DeliveryDesk
    statuses: StatusRequests
    replacements: ReplacementService
    settlement: Settlement
    history: HistoryService
    holders: HolderDesk
    own: OwnCertificates
