"""Pairs: one request, a signing and an encryption certificate, and the encryption key enveloped.

The encryption key comes from the key management centre and leaves it only sealed to the signing
key. Both certificates are reserved in one transaction and stored in one transaction, so that
there never is half a pair; a crash between any two steps is finished by approving again, with
the same key and the same serial numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from cryptography import x509

from ca.contents import IssuanceRequest
from ca.issuance import issue_together
from ca.issuer import Issuer
from ca.issuing import Wanted
from ca.profiles import CertificateProfile
from ca.requests import encryption_request_id
from ca.serials import random_serial
from ca.store import CertificateRecord, CertificateState, CertificateStore
from ca.tbs import parse_tbs
from core import der
from core.audit import AuditLog
from core.clock import Clock
from core.errors import NotFound, ProfileViolation, Refused
from core.transaction import Transactions
from keystore.algorithms import KeyAlgorithm
from keystore.dialects import Dialect
from keystore.escrow.centre import Assigned
from keystore.escrow.envelopes import EnvelopeOrder, check_recipient
from keystore.escrow.identity import Identity
from keystore.escrow.store import Recovery, RecoveryKind
from keystore.verify import key_algorithm

_RETIRED_AT_ONCE = 1000


class KeyEscrow(Protocol):
    """What the authority needs of the key management centre, in this process or another."""

    def assign(
        self, request_id: str, *, algorithm: KeyAlgorithm, signing_key: bytes, actor: str
    ) -> Assigned:
        """Give a request its key: always the same one. Raises `Unavailable`."""
        ...

    def envelop(self, request_id: str, order: EnvelopeOrder, *, actor: str) -> bytes:
        """Envelop the key of a request once more, in another dialect. Raises `Unavailable`."""
        ...

    def identity(self) -> Identity:
        """Return what it signs with, and what passwords are sealed to. Raises `Unavailable`."""
        ...

    def retire(self, request_id: str) -> None:
        """Say that the certificate of the key has ended. May be repeated."""
        ...


class KeyRecovery(Protocol):
    """Where recoveries are asked for."""

    def request(
        self, kind: RecoveryKind, *, fingerprint: str, recipient: bytes, reason: str, actor: str
    ) -> Recovery: ...

    def list_of_key(self, fingerprint: str, *, limit: int = 100) -> Sequence[Recovery]:
        """Return every recovery of the key with this SubjectPublicKeyInfo, newest first."""
        ...


@dataclass(frozen=True, slots=True)
class KeyPair:
    """What the authority keeps about the encryption key of a pair."""

    request_id: str
    key_id: str
    enveloped: bytes
    """As `Assigned` has it, to the signing key of the request or to the temporary one."""
    temporary_key: bytes | None = None
    """SubjectPublicKeyInfo: of a double request."""


class PairStore(Protocol):
    """Remembers envelopes. Every method joins the open transaction, or is durable on its own."""

    def add_pair(self, pair: KeyPair, *, now: datetime) -> None:
        """Keep the first envelope of a request; a later one is dropped."""
        ...

    def find_pair(self, request_id: str) -> KeyPair | None: ...

    def list_ended(self, *, now: datetime, limit: int) -> Sequence[str]:
        """Return requests whose key is in use and whose encryption certificate has ended.

        Ended: revoked, expired, or never made because the request was rejected.
        """
        ...

    def mark_retired(self, request_id: str, *, at: datetime) -> None: ...


@dataclass(frozen=True, slots=True)
class Pair:
    """What a dual request gave."""

    signing: CertificateRecord
    encryption: CertificateRecord
    enveloped: bytes
    temporary_key: bytes | None = None

    @property
    def signing_key(self) -> bytes:
        """Return the SubjectPublicKeyInfo of the signing certificate."""
        return der.octets_of(parse_tbs(self.signing.tbs).spki)

    @property
    def algorithm(self) -> KeyAlgorithm:
        """Return what kind of keys the pair has: both halves have the same."""
        return key_algorithm(self.signing_key)


class PairService:
    """Issues pairs, shows them, and asks for recoveries on behalf of their holders."""

    def __init__(
        self,
        *,
        profiles: Mapping[str, CertificateProfile],
        certificates: CertificateStore,
        pairs: PairStore,
        escrow: KeyEscrow,
        recovery: KeyRecovery,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._profiles = profiles
        self._certificates = certificates
        self._pairs = pairs
        self._escrow = escrow
        self._recovery = recovery
        self._transactions = transactions
        self._audit = audit
        self._clock = clock

    def check(
        self, request: IssuanceRequest, *, profile: CertificateProfile, issuer: Issuer
    ) -> None:
        """Raises `Refused` for a pair whose encryption certificate would not be issued."""
        if request.temporary_key is not None and Dialect.CFCA not in profile.dialects:
            raise ProfileViolation(
                f"profile {profile.name} has no envelope to a temporary key (cfca): "
                "leave the temporary public key out of the request"
            )
        # With the signing key in the place of the one that the centre will give.
        issuer.prepare(
            request, profile=self._half(profile), serial=random_serial(), now=self._clock.now()
        )

    def issue(
        self, request: IssuanceRequest, *, profile: CertificateProfile, issuer: Issuer
    ) -> None:
        """Issue both certificates or none, or finish what an earlier call began.

        Raises as `begin`.
        """
        issue_together(
            self.begin(request, profile=profile),
            issuer=issuer,
            store=self._certificates,
            transactions=self._transactions,
            audit=self._audit,
            clock=self._clock,
        )

    def begin(self, request: IssuanceRequest, *, profile: CertificateProfile) -> Sequence[Wanted]:
        """Give the request its encryption key: always the same. Returns what to issue together.

        Raises `Unavailable` when the key management centre cannot be reached: nothing is
        reserved then.
        """
        if request.request_id is None:
            raise ValueError("a pair belongs to a request")
        assigned = self._escrow.assign(
            request.request_id,
            algorithm=key_algorithm(request.spki),
            signing_key=request.temporary_key or request.spki,
            actor=request.requester,
        )
        pair = KeyPair(
            request.request_id, assigned.key_id, assigned.enveloped, request.temporary_key
        )
        self._pairs.add_pair(pair, now=self._clock.now())
        other = replace(
            request,
            spki=assigned.public_key,
            request_id=encryption_request_id(request.request_id),
        )
        return ((request, profile), (other, self._half(profile)))

    def get(self, request_id: str) -> Pair:
        """Return an issued pair. Raises `NotFound`."""
        pair = self._pairs.find_pair(request_id)
        signing = self._certificates.find_by_request(request_id)
        encryption = self._certificates.find_by_request(encryption_request_id(request_id))
        if pair is None or signing is None or encryption is None or encryption.der is None:
            raise NotFound(f"request {request_id} has given no pair of certificates")
        return Pair(signing, encryption, pair.enveloped, pair.temporary_key)

    def envelop(self, request_id: str, order: EnvelopeOrder, *, actor: str) -> bytes:
        """Have the key management centre write an envelope. Raises `Unavailable`, `Conflict`."""
        return self._escrow.envelop(request_id, order, actor=actor)

    def identity(self) -> Identity:
        """Return the public keys of the key management centre. Raises `Unavailable`."""
        return self._escrow.identity()

    def request_recovery(
        self, request_id: str, *, issuer: str, serial: int, reason: str, actor: str
    ) -> Recovery:
        """Ask for the encryption key of a pair, for its holder's signing certificate of today.

        Raises `Refused` unless that certificate is ours, valid, for signing, and of the same
        subject.
        """
        pair = self.get(request_id)
        signing = self._certificates.find_certificate(issuer, serial)
        if signing is None:
            raise NotFound("there is no such signing certificate")
        recipient = self._recipient(pair, signing)
        return self._recovery.request(
            RecoveryKind.USER,
            fingerprint=pair.encryption.spki_fingerprint,
            recipient=recipient,
            reason=reason,
            actor=actor,
        )

    def list_recoveries(self, request_id: str) -> Sequence[Recovery]:
        """Return every recovery of the encryption key of a pair, newest first.

        Nothing for what gave no pair. Raises `Unavailable` when the centre cannot be reached.
        """
        other = self._certificates.find_by_request(encryption_request_id(request_id))
        if other is None or self._pairs.find_pair(request_id) is None:
            return ()
        return self._recovery.list_of_key(other.spki_fingerprint)

    def retire_ended(self) -> int:
        """Move the keys of ended certificates to history; return how many."""
        ended = self._pairs.list_ended(now=self._clock.now(), limit=_RETIRED_AT_ONCE)
        for request_id in ended:
            self.retire_key(request_id)
        return len(ended)

    def retire_key(self, request_id: str) -> None:
        """Move the key of a pair that was replaced to history. Nothing happens without one."""
        if self._pairs.find_pair(request_id) is not None:
            self._escrow.retire(request_id)
            self._pairs.mark_retired(request_id, at=self._clock.now())

    def _half(self, profile: CertificateProfile) -> CertificateProfile:
        if profile.encryption_profile is None:
            raise ValueError(f"profile {profile.name} is not for pairs")
        return self._profiles[profile.encryption_profile]

    def _recipient(self, pair: Pair, signing: CertificateRecord) -> bytes:
        if (
            signing.state is not CertificateState.ISSUED
            or not signing.not_before <= self._clock.now() <= signing.not_after
            or signing.der is None
        ):
            raise Refused("the signing certificate is not valid now")
        tbs = parse_tbs(signing.tbs)
        if der.octets_of(tbs.subject) != der.octets_of(parse_tbs(pair.signing.tbs).subject):
            raise Refused("the signing certificate is another subject's")
        certificate = x509.load_der_x509_certificate(signing.der)
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        spki = der.octets_of(tbs.spki)
        if not usage.digital_signature:
            raise Refused("the key is enveloped to a signing certificate, and to no other")
        check_recipient(pair.algorithm, spki)
        return spki
