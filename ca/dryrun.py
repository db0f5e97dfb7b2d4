"""What issuing would refuse, and what has a certificate already. Nothing is reserved or written."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeVar

from ca.bulk import BulkStore, Live
from ca.bulkupload import requestable
from ca.contents import IssuanceRequest
from ca.dual import PairService
from ca.issuer import Issuer
from ca.keycheck import check_key
from ca.profiles import CertificateProfile
from ca.serials import random_serial, to_hex
from core.clock import Clock
from keystore import holderkeys
from keystore.algorithms import KeyAlgorithm

_K = TypeVar("_K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Checked:
    """What would be issued, as far as others may have it already."""

    subject: str
    """As the certificate would say it, RFC 4514."""
    spki: bytes | None
    """None: there is no key yet."""


class DryRun:
    """Checks as `EnrollmentService` does before it issues."""

    def __init__(
        self,
        store: BulkStore,
        *,
        profiles: Mapping[str, CertificateProfile],
        issuers: Mapping[str, Issuer],
        pairs: PairService,
        clock: Clock,
    ) -> None:
        self._store = store
        self._profiles = profiles
        self._issuers = issuers
        self._pairs = pairs
        self._clock = clock

    def find(self, profile: str, issuer: str) -> tuple[CertificateProfile, Issuer]:
        """Return what is named. Raises `NotFound`, and `ProfileViolation` for one of our own."""
        chosen = requestable(profile, issuer, profiles=self._profiles, issuers=self._issuers)
        return chosen, self._issuers[issuer]

    def check(
        self,
        wanted: IssuanceRequest,
        profile: CertificateProfile,
        issuer: Issuer,
        algorithm: KeyAlgorithm,
    ) -> Checked:
        """Return what would be issued. Raises `Refused` or `Unavailable`.

        Without a key, another one of the kind `algorithm` stands for it.
        """
        if wanted.spki:
            check_key(wanted.spki)  # the issuer asks whether it is blocked
        probe = wanted if wanted.spki else replace(wanted, spki=_probe(algorithm))
        prepared = issuer.prepare(
            probe, profile=profile, serial=random_serial(), now=self._clock.now()
        )
        if profile.encryption_profile is not None:
            self._pairs.check(probe, profile=profile, issuer=issuer)
        return Checked(prepared.subject, wanted.spki or None)

    def find_given(
        self,
        checked: Mapping[_K, Checked],
        *,
        profile: str,
        issuer: str,
        is_theirs: Callable[[Live], bool] = lambda _: True,
    ) -> Mapping[_K, str]:
        """Return why some should not be issued, by name.

        Because a valid certificate has the same key, or the same subject under this profile and
        issuer. `is_theirs`: whether whoever asks may hear of that certificate.
        """
        # The first of those that repeat one another: the others are told so.
        backwards = list(checked.items())[::-1]
        prints = {hashlib.sha256(one.spki).hexdigest(): name for name, one in backwards if one.spki}
        names = {one.subject: name for name, one in backwards}
        found = self._store.list_live(
            issuer=issuer,
            profile=profile,
            subjects=list(names),
            fingerprints=list(prints),
            now=self._clock.now(),
        )
        reasons: dict[_K, str] = {}
        for live in found:
            theirs, serial = is_theirs(live), to_hex(live.serial)
            if live.spki_fingerprint in prints:
                # Whoever asks has proved to hold the key.
                whose = f"certificate {serial}" if theirs else "a certificate of another branch"
                reasons[prints[live.spki_fingerprint]] = f"its key has {whose}"
            if theirs and live.subject in names:
                reasons[names[live.subject]] = f"its subject has the valid certificate {serial}"
        return reasons


@cache
def _probe(algorithm: KeyAlgorithm) -> bytes:
    return holderkeys.generate(algorithm).spki
