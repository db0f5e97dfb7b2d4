"""What a subscriber gets for a request: certificate, chain, and the pair's envelope."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ca.delivery import PairDelivery, require_dialect
from ca.dual import Pair, PairService
from ca.issuer import Issuer
from ca.profiles import CertificateProfile
from ca.requests import EnrollmentRecord
from ca.store import CertificateStore
from core.errors import ProfileViolation
from keystore.dialects import Dialect


@dataclass(frozen=True, slots=True)
class WantedEnvelope:
    """In which dialect the encryption key of a pair is wanted, beside the kept envelope."""

    dialect: Dialect
    sealed_password: bytes | None = None
    """Of a PKCS#12 file; sealed to the key management centre."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """The request, and what it has given so far."""

    record: EnrollmentRecord
    certificate: bytes | None = None
    """DER; None while it is not issued."""
    above: Sequence[bytes] = ()
    """DER, parent first, root last."""
    pair: Pair | None = None
    dialects: tuple[Dialect, ...] = ()
    """In which the key of the pair can be had."""
    envelope: bytes | None = None
    """In the dialect that was asked for."""
    transport_key: bytes | None = None
    """SubjectPublicKeyInfo that passwords are sealed to, where PKCS#12 is one of `dialects`."""


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
        self._envelopes = PairDelivery(pairs, profiles=profiles, issuers=issuers)

    def check(self, profile: str, wanted: WantedEnvelope | None, *, double: bool) -> None:
        """Raises `Refused` for an envelope that a request of `profile` could not give.

        `double`: the request has a temporary key.
        """
        check_wanted(self._profiles[profile], wanted, double=double)

    def of(self, record: EnrollmentRecord, wanted: WantedEnvelope | None = None) -> Delivery:
        """Return what the request has given. Its caller has proved to hold its key.

        Raises `Refused`, `Unavailable` and `Conflict` for an envelope, as `PairDelivery.fetch`.
        """
        found = self._certificates.find_by_request(record.id)
        if found is None or found.der is None:
            return Delivery(record)
        issuer = self._issuers[found.issuer]
        above = (issuer.certificate, *issuer.chain)
        if not self._is_dual(record.profile):
            return Delivery(record, found.der, above)
        pair = self._pairs.get(record.id)
        dialects = self._envelopes.dialects(pair)
        envelope = transport_key = None
        if wanted is not None:
            envelope = self._envelopes.fetch(
                record.id,
                wanted.dialect,
                actor=f"subscriber:{record.id}",
                sealed_password=wanted.sealed_password,
            )
        elif Dialect.PKCS12 in dialects:
            transport_key = self._envelopes.transport_key()
        return Delivery(record, found.der, above, pair, dialects, envelope, transport_key)

    def _is_dual(self, profile: str) -> bool:
        return self._profiles[profile].encryption_profile is not None


def check_wanted(
    profile: CertificateProfile, wanted: WantedEnvelope | None, *, double: bool
) -> None:
    """Raises `Refused` for an envelope that a request of `profile` could not give.

    `double`: the request has a temporary key.
    """
    if wanted is None:
        return
    if profile.encryption_profile is None:
        raise ProfileViolation(f"profile {profile.name} gives one certificate: it has no envelope")
    require_dialect(profile, wanted.dialect, double=double, sealed_password=wanted.sealed_password)
