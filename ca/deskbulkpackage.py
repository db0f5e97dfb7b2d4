"""What a batch gives at a registration authority: certificates, envelopes, and codes for pick-ups.

Codes are made when the package is: those of an earlier package end, and none is kept in clear.
"""

from __future__ import annotations

import csv
import io
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from ca.acts import Outcome
from ca.bulk import Batch, BulkStore, Item, ItemState
from ca.desk_pickup import first_of
from ca.desk_store import DeskRecord, DeskState, DeskStore
from ca.pickup import PickupOffers
from core.errors import Conflict
from core.transaction import Transactions
from keystore import pem
from keystore.dialects import Dialect
from keystore.escrow.envelopes import RECODED, recode
from keystore.package import Entry, write_package

_PAGE: Final = 200
_HEADER: Final = ("row", "subject", "state", "serial", "reason")
_SINCE: Final[Mapping[DeskState, ItemState]] = {
    DeskState.SENT: ItemState.STARTED,
    DeskState.DONE: ItemState.ISSUED,
    DeskState.REFUSED: ItemState.FAILED,
    DeskState.REJECTED: ItemState.FAILED,
}
_CODES_HEADER: Final = ("row", "subject", "reference", "code", "expires_at")


class DeskPackages:
    """Puts a batch's files together (`ca.bulk.MakesPackages`)."""

    def __init__(
        self,
        store: BulkStore,
        acts: DeskStore,
        *,
        pickups: PickupOffers,
        transactions: Transactions,
    ) -> None:
        self._store = store
        self._acts = acts
        self._pickups = pickups
        self._transactions = transactions

    def make(self, batch: Batch) -> bytes:
        """Return the encrypted package, with new codes for whoever has not picked up yet."""
        if batch.recipient is None:
            raise Conflict("this batch has no package")
        return write_package(self._entries(batch), data_key=None, recipient=batch.recipient)

    def _entries(self, batch: Batch) -> Iterator[Entry]:
        lines: list[Sequence[object]] = [_HEADER]
        codes: list[Sequence[object]] = [_CODES_HEADER]
        chain, after = "", 0
        while page := self._store.list_items(batch.id, list(ItemState), after=after, limit=_PAGE):
            after = page[-1].row
            with self._transactions.transaction():
                acts = self._acts.find_all([item.request_id for item in page])
                codes += [
                    self._codes(batch, item)
                    for item in page
                    if item.request_id in acts
                    and acts[item.request_id].state is DeskState.AWAITING_PICKUP
                ]
            for item in page:
                act = acts.get(item.request_id)
                lines.append(_line(item, act))
                if act is not None and act.state is DeskState.DONE and act.outcome is not None:
                    outcome = Outcome.model_validate_json(act.outcome)
                    chain = _above(outcome) or chain
                    yield from _files(item, outcome)
        yield _table("index.csv", lines)
        if len(codes) > 1:
            yield _table("codes.csv", codes)
        yield Entry("chain.pem", chain.encode("ascii"))

    def _codes(self, batch: Batch, item: Item) -> Sequence[object]:
        codes = self._pickups.offer(item.request_id, actor=batch.decided_by or batch.requester)
        expires = codes.expires_at.isoformat().replace("+00:00", "Z")
        return (item.row, item.subject or "", codes.reference, codes.code, expires)


def _line(item: Item, act: DeskRecord | None) -> Sequence[object]:
    state, reason, serial = item.state, item.reason, ""
    if act is not None:
        serial = act.serial or ""
        if item.state is ItemState.AWAITING_PICKUP:
            # What became of it since: the batch did not wait for that.
            state, reason = _SINCE.get(act.state, item.state), act.comment
    return (item.row, item.subject or "", state, serial, reason or "")


def _files(item: Item, outcome: Outcome) -> Iterator[Entry]:
    name = f"{item.row:05d}-{outcome.serial}"
    signing, encryption = first_of(outcome.chain) or "", first_of(outcome.encryption_chain)
    formats = [dialect for dialect in RECODED if dialect in outcome.envelopes]
    octets = b""
    if encryption is not None and outcome.enveloped_key is not None and formats:
        octets = recode(
            b64decode(outcome.enveloped_key),
            formats[0],
            signing=pem.decode(signing, "CERTIFICATE"),
            encryption=pem.decode(encryption, "CERTIFICATE"),
        )
        yield Entry(f"pairs/{name}.{formats[0]}", octets)
    if not octets or formats[0] is not Dialect.CSR_RESPONSE:  # which holds both certificates
        yield Entry(f"certificates/{name}.pem", (signing + (encryption or "")).encode("ascii"))


def _above(outcome: Outcome) -> str:
    first = first_of(outcome.chain) or ""
    return (outcome.chain or "").removeprefix(first)


def _table(name: str, lines: Sequence[Sequence[object]]) -> Entry:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return Entry(name, text.getvalue().encode("utf-8"))
