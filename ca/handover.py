"""What a subscriber gets for a request: certificate, chain, and the pair's envelope."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ca.dual import Pair, PairService
from ca.issuer import Issuer
from ca.profiles import CertificateProfile
from ca.requests import EnrollmentRecord
from ca.store import CertificateStore


@dataclass(frozen=True, slots=True)
class Delivery:
    """The request, and what it has given so far."""

    record: EnrollmentRecord
    certificate: bytes | None = None
    """DER; None while it is not issued."""
    above: Sequence[bytes] = ()
    """DER, parent first, root last."""
    pair: Pair | None = None


class DeliveryDesk:
    """Puts deliveries together."""

    def __init__(
        self,
        *,
        profiles: Mapping[str, CertificateProfile],
        issuers: Mapping[str, Issuer],
        certificates: CertificateStore,
        pairs: PairService,
    ) -> None:
        self._profiles = profiles
        self._issuers = issuers
        self._certificates = certificates
        self._pairs = pairs

    def of(self, record: EnrollmentRecord) -> Delivery:
        """Return what the request has given. Its caller has proved to hold its key."""
        found = self._certificates.find_by_request(record.id)
        if found is None or found.der is None:
            return Delivery(record)
        issuer = self._issuers[found.issuer]
        dual = self._profiles[record.profile].encryption_profile is not None
        pair = self._pairs.get(record.id) if dual else None
        return Delivery(record, found.der, (issuer.certificate, *issuer.chain), pair)
