"""The services behind the registration desks, as their routes take them."""

from __future__ import annotations

from dataclasses import dataclass

from ca.delivery import DeliveryDesk
from ca.pickup import PickupDesk
from ca.resend import PickupResend


@dataclass(frozen=True, slots=True)
class Desks:
    """Everything but `ca.enrollment`."""

    pickup: PickupDesk
    resends: PickupResend
    deliveries: DeliveryDesk
