"""The dry run of a batch at a registration authority: what can be seen to be wrong there.

Profile, names, proof of possession, kind and strength of key, and what the table or an earlier act
asked for already. The certificate authority is asked about what passes (`ca.asking`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pydantic import ValidationError

from ca.bulk import Batch, BulkStore, Item, ItemState
from ca.bulkcheck import mark_repeats
from ca.bulkrows import csr_in, wanted_of
from ca.contents import IssuanceRequest, check_choices, check_contents, validity
from ca.desk_store import DeskStore
from ca.keycheck import check_key
from ca.names import make_name
from ca.profiles import CertificateProfile
from ca.schemas import NameAttribute, SubmitRequest
from core.clock import Clock
from core.errors import Malformed, TrustError, Unavailable


class DeskBulkCheck:
    """Checks rows (`ca.bulkworker.ChecksRows`); what passes holds the body of its application."""

    def __init__(
        self,
        store: BulkStore,
        acts: DeskStore,
        *,
        profiles: Mapping[str, CertificateProfile],
        accept_empty_sm2_id: bool,
        clock: Clock,
    ) -> None:
        self._store = store
        self._acts = acts
        self._profiles = profiles
        self._accept_empty_sm2_id = accept_empty_sm2_id
        self._clock = clock

    def check(self, batch: Batch, items: Sequence[Item]) -> list[Item]:
        """Return each item, ASKING with what it asks for, or BAD with the reason."""
        return [self._check(batch, item) for item in items]

    def _check(self, batch: Batch, item: Item) -> Item:
        try:
            return self._checked(batch, item)
        except Unavailable:
            raise
        except TrustError as error:
            return replace(item, state=ItemState.BAD, reason=str(error))

    def find_duplicates(self, batch: Batch) -> None:
        """Mark rows BAD that repeat another one, or whose subject was given a certificate here."""
        mark_repeats(self._store, batch, lambda page: self._given(batch, page))

    def _checked(self, batch: Batch, item: Item) -> Item:
        profile = self._profiles[batch.profile]
        wanted = wanted_of(item, batch, accept_empty_sm2_id=self._accept_empty_sm2_id)
        if wanted.spki:
            check_key(wanted.spki)
            contents = check_contents(wanted, profile)
        else:
            # Whoever comes with the codes could do nothing about names that are refused then.
            contents = check_choices(wanted, profile)
        validity(profile, wanted.validity_days, self._clock.now(), issuer_validity=None)
        body = _application(batch, wanted, csr_in(item))
        return replace(
            item,
            state=ItemState.ASKING,
            source="[]",  # what is in it is in the content now, once
            content=body.model_dump_json(),
            spki=wanted.spki or None,
            # As a desk keeps the subject of what it was given.
            subject=make_name(contents.subject).rfc4514_string(),
        )

    def _given(self, batch: Batch, items: Sequence[Item]) -> Mapping[int, str]:
        # The first of those that repeat one another: the others are BAD for that.
        rows = {item.subject: item.row for item in reversed(items) if item.subject is not None}
        found = self._acts.list_live(batch.profile, list(rows), now=self._clock.now())
        return {
            rows[one.subject]: f"its subject has the certificate {one.serial}"
            for one in found
            if one.subject in rows
        }


def _application(batch: Batch, wanted: IssuanceRequest, csr: str | None) -> SubmitRequest:
    try:
        return SubmitRequest(
            csr=csr,
            profile=batch.profile,
            issuer=batch.issuer,
            subject=tuple(NameAttribute(type=name, value=value) for name, value in wanted.subject),
            alternative_names=tuple(str(name) for name in wanted.alternative_names),
            identity=dict(wanted.identity),
            validity_days=wanted.validity_days,
            organisation=batch.organisation_id,
        )
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise Malformed(f"{where}: {error.errors()[0]['msg']}") from error
