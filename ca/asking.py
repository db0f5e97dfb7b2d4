"""Asking the certificate authority (CA) about the rows of a table, before anybody reviews them.

`ask` runs at the registration authority (RA) and calls the CA; `answer` runs at the CA and calls
the RA. A row that was not answered is asked about again, whatever was killed: an answer changes
nothing at the CA, and at the RA the state of a row that waits for one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from ca import acts
from ca.acts import Question, Questions, Verdicts
from ca.bulk import NOT_ASKED, UNASKED, WAITING, BatchState, BulkStore, ItemState
from ca.exchange import Calls, parsed
from ca.schemas import SubmitRequest
from core.audit import AuditLog
from core.errors import Conflict, Forbidden, NotFound, Unavailable
from core.transaction import Transactions

PARTS: Final = 30
"""Of one exchange, so that a service which is to stop is not kept; the next one goes on."""
_MOST_OCTETS: Final = 100_000
"""Of the requests in one body, unless the first is longer."""


class AskingStore(Protocol):
    """The rows of tables that wait for the CA's word, of batches whose dry run is under way."""

    def list_asking(self, *, limit: int) -> Sequence[tuple[str, str]]:
        """Return id and content of rows of the oldest batch that has some, by row."""
        ...

    def answer(self, reasons: Mapping[str, str | None]) -> int:
        """Make rows that wait VALID, or BAD for a reason; return how many did."""
        ...

    def say(self, comment: str) -> None:
        """Comment on every batch that has rows which wait."""
        ...


class Asking:
    """The RA's side."""

    def __init__(
        self,
        store: AskingStore,
        batches: BulkStore,
        *,
        transactions: Transactions,
        audit: AuditLog,
    ) -> None:
        self._store = store
        self._batches = batches
        self._transactions = transactions
        self._audit = audit

    def questions(self) -> Questions:
        """Return the next rows, as many as fit into one body."""
        rows: list[Question] = []
        octets = 0
        for name, content in self._store.list_asking(limit=acts.MOST_QUESTIONS):
            octets += len(content.encode())
            if rows and octets > _MOST_OCTETS:
                break
            rows.append(Question(id=name, request=SubmitRequest.model_validate_json(content)))
        return Questions(rows=tuple(rows))

    def answered(self, verdicts: Verdicts) -> int:
        """Keep what the CA said; return to how many rows that waited for it."""
        with self._transactions.transaction():
            moved = self._store.answer({one.id: one.reason for one in verdicts.rows})
            if verdicts.not_asked is None:
                self._store.say(WAITING)
            else:
                self.not_asked(verdicts.not_asked)
        return moved

    def not_asked(self, reason: str) -> None:
        """Let the operators read why the CA has not been asked."""
        self._store.say(f"{NOT_ASKED}: {reason}")

    def go_without(self, batch_id: str, *, actor: str) -> None:
        """Take rows as they are that the CA has not seen: it is heard when they are issued.

        Raises `NotFound`, `Forbidden` for another's batch, and `Conflict` when no row waits.
        """
        with self._transactions.transaction():
            batch = self._batches.find_batch(batch_id, lock=True)
            if batch is None:
                raise NotFound(f"there is no batch {batch_id}")
            if batch.requester != actor:
                raise Forbidden(f"this batch is {batch.requester}'s")
            counts = self._batches.count_items(batch_id)
            rows = counts.get(ItemState.ASKING, 0)
            if batch.state is not BatchState.CHECKING or counts.get(ItemState.NEW) or not rows:
                raise Conflict(
                    f"the batch is {batch.state}, and {rows} of its rows wait for the certificate "
                    "authority: this is for a batch where nothing else is left to check"
                )
            self._batches.end_items(batch_id, ItemState.ASKING, ItemState.VALID)
            self._batches.change_batch(batch_id, (BatchState.CHECKING,), comment=UNASKED)
            self._audit.record(
                "bulk.unasked", actor=actor, detail={"batch": batch_id, "rows": rows}
            )


def ask(asking: Asking, authority: Calls) -> int:
    """Ask the authority about some rows; return how many it answered.

    Raises `Unavailable`, and what the authority refuses the call with.
    """
    questions = asking.questions()
    if not questions.rows:
        return 0
    body = questions.model_dump(mode="json", exclude_none=True)
    try:
        said = authority.post(acts.CHECK, body, repeatable=True)
    except NotFound as error:
        raise Unavailable(
            "the certificate authority is of an earlier release, which answers no dry run"
        ) from error
    return asking.answered(parsed(Verdicts, said))


def answer(check: Callable[[Questions], Verdicts], registrar: Calls) -> int:
    """Answer some rows of a registration authority; return how many. Raises as `ask`."""
    try:
        questions = parsed(Questions, registrar.post(acts.QUESTIONS, {}, repeatable=True))
    except NotFound:
        return 0  # of an earlier release, which asks nothing
    if not questions.rows:
        return 0
    verdicts = check(questions)
    told = verdicts.model_dump(mode="json", exclude_none=True)
    registrar.post(acts.VERDICTS, told, repeatable=True)
    return len(verdicts.rows)
