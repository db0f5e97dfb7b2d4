"""The dry run: what issuing a row would refuse, and what has a certificate already."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Final

from ca.bulk import Batch, BulkStore, Item, ItemState
from ca.bulkrows import content_of, wanted_of
from ca.dual import PairService
from ca.issuer import Issuer
from ca.keycheck import check_key
from ca.profiles import CertificateProfile
from ca.serials import random_serial, to_hex
from core.clock import Clock
from core.errors import TrustError, Unavailable
from keystore import holderkeys
from keystore.algorithms import KeyAlgorithm

_PAGE: Final = 500


class BulkCheck:
    """Checks rows as `EnrollmentService` checks a single request."""

    def __init__(
        self,
        store: BulkStore,
        *,
        profiles: Mapping[str, CertificateProfile],
        issuers: Mapping[str, Issuer],
        pairs: PairService,
        accept_empty_sm2_id: bool,
        clock: Clock,
    ) -> None:
        self._store = store
        self._profiles = profiles
        self._issuers = issuers
        self._pairs = pairs
        self._accept_empty_sm2_id = accept_empty_sm2_id
        self._clock = clock

    def check(self, batch: Batch, items: Sequence[Item]) -> list[Item]:
        """Return each item, VALID with what it asks for, or BAD with the reason."""
        profile, issuer = self._profiles[batch.profile], self._issuers[batch.issuer]
        return [self._check(batch, item, profile, issuer) for item in items]

    def _check(self, batch: Batch, item: Item, profile: CertificateProfile, issuer: Issuer) -> Item:
        try:
            return self._checked(batch, item, profile, issuer)
        except Unavailable:
            raise
        except TrustError as error:
            return replace(item, state=ItemState.BAD, reason=str(error))

    def _checked(
        self, batch: Batch, item: Item, profile: CertificateProfile, issuer: Issuer
    ) -> Item:
        wanted = wanted_of(item, batch, accept_empty_sm2_id=self._accept_empty_sm2_id)
        if wanted.spki:
            check_key(wanted.spki)  # the issuer asks whether it is blocked
        # Without a CSR, another key of the same kind stands for the one that will be made.
        probe = wanted if wanted.spki else replace(wanted, spki=_probe(batch.key_algorithm))
        prepared = issuer.prepare(
            probe, profile=profile, serial=random_serial(), now=self._clock.now()
        )
        if profile.encryption_profile is not None:
            self._pairs.check(probe, profile=profile, issuer=issuer)
        return Item(
            batch_id=item.batch_id,
            row=item.row,
            request_id=item.request_id,
            state=ItemState.VALID,
            source="[]",  # what is in it is in the content now, once
            content=content_of(wanted),
            spki=wanted.spki or None,
            subject=prepared.subject,
        )

    def find_duplicates(self, batch: Batch) -> None:
        """Mark rows BAD that repeat another one, or that have a valid certificate already."""
        mark_repeats(self._store, batch, lambda page: self._live(batch, page))

    def _live(self, batch: Batch, items: Sequence[Item]) -> Mapping[int, str]:
        # The first of those that repeat one another: the others are BAD for that.
        items = items[::-1]
        prints = {hashlib.sha256(item.spki).hexdigest(): item.row for item in items if item.spki}
        rows = {item.subject: item.row for item in items if item.subject is not None}
        found = self._store.list_live(
            issuer=batch.issuer,
            profile=batch.profile,
            subjects=list(rows),
            fingerprints=list(prints),
            now=self._clock.now(),
        )
        reasons: dict[int, str] = {}
        for live in found:
            serial = to_hex(live.serial)
            if live.spki_fingerprint in prints:
                reasons[prints[live.spki_fingerprint]] = f"its key has certificate {serial}"
            if live.subject in rows:
                reasons[rows[live.subject]] = f"its subject has the valid certificate {serial}"
        return reasons


@cache
def _probe(algorithm: KeyAlgorithm) -> bytes:
    return holderkeys.generate(algorithm).spki


def mark_repeats(
    store: BulkStore, batch: Batch, given: Callable[[Sequence[Item]], Mapping[int, str]]
) -> None:
    """Mark rows BAD that repeat another one, or for which `given` has a reason, by row."""
    twice = store.list_duplicates(batch.id)
    after = 0
    while page := store.list_items(batch.id, (ItemState.VALID,), after=after, limit=_PAGE):
        after = page[-1].row
        reasons = {**given(page), **_repeats(page, twice)}
        store.change_items(
            [
                replace(item, state=ItemState.BAD, reason=reasons[item.row])
                for item in page
                if item.row in reasons
            ]
        )


def _repeats(items: Sequence[Item], twice: Mapping[int, int]) -> Mapping[int, str]:
    return {
        item.row: f"its subject or key is that of row {twice[item.row]}, too"
        for item in items
        if item.row in twice
    }
