"""A signed answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Answer:
    """A signed response, and how long it holds."""

    der: bytes
    produced_at: datetime
    this_update: datetime
    next_update: datetime
    until: datetime
    """When it must not be given any more: its nextUpdate, or the end of what it says."""
    cacheable: bool
    """False when it answers a nonce or several CertIDs: nobody else will ask the same."""
    said: int
    """What it says, for `crl.ocsp.tally`."""
    responder: bytes = b""
    """DER of the certificate that is embedded, which `der` ends with."""
