"""The dry run: what issuing a row would refuse, and what has a certificate already."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from ca.bulk import Batch, BulkStore, Item, ItemState
from ca.bulkrows import content_of, wanted_of
from ca.dryrun import Checked, DryRun
from ca.issuer import Issuer
from ca.profiles import CertificateProfile
from core.errors import TrustError, Unavailable

_PAGE: Final = 500


class BulkCheck:
    """Checks rows as `EnrollmentService` checks a single request."""

    def __init__(self, store: BulkStore, dry_run: DryRun, *, accept_empty_sm2_id: bool) -> None:
        self._store = store
        self._dry_run = dry_run
        self._accept_empty_sm2_id = accept_empty_sm2_id

    def check(self, batch: Batch, items: Sequence[Item]) -> list[Item]:
        """Return each item, VALID with what it asks for, or BAD with the reason."""
        try:
            profile, issuer = self._dry_run.find(batch.profile, batch.issuer)
        except TrustError as error:  # gone since the upload
            return [replace(item, state=ItemState.BAD, reason=str(error)) for item in items]
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
        checked = self._dry_run.check(wanted, profile, issuer, batch.key_algorithm)
        return Item(
            batch_id=item.batch_id,
            row=item.row,
            request_id=item.request_id,
            state=ItemState.VALID,
            source="[]",  # what is in it is in the content now, once
            content=content_of(wanted),
            spki=checked.spki,
            subject=checked.subject,
        )

    def find_duplicates(self, batch: Batch) -> None:
        """Mark rows BAD that repeat another one, or that have a valid certificate already."""
        mark_repeats(self._store, batch, lambda page: self._given(batch, page))

    def _given(self, batch: Batch, items: Sequence[Item]) -> Mapping[int, str]:
        checked = {
            item.row: Checked(item.subject, item.spki) for item in items if item.subject is not None
        }
        return self._dry_run.find_given(checked, profile=batch.profile, issuer=batch.issuer)


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
