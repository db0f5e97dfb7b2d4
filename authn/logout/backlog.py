"""What applications have not been told yet: seen, tried again at once, and dropped."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from authn.logout.store import Backlog, DeliveryQueue
from core.audit import AuditLog, Detail
from core.clock import Clock
from core.errors import NotFound
from core.transaction import Transactions


class LogoutBacklog:
    """The queue of logout messages, by application, for administrators."""

    def __init__(
        self,
        queue: DeliveryQueue,
        *,
        wake: Callable[[], None],
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        """`wake`: has the queue looked at now."""
        self._queue = queue
        self._wake = wake
        self._transactions = transactions
        self._audit = audit
        self._clock = clock

    def list_waiting(self) -> Sequence[Backlog]:
        """Return the applications that something waits for, by id."""
        return self._queue.list_backlogs()

    def hurry(self, client_id: str) -> int:
        """Try everything for one application at once; returns how many messages that are.

        What is under way may come twice, as ever.
        """
        hurried = self._queue.hurry(client_id, self._clock.now())
        self._wake()
        return hurried

    def drop(self, client_id: str, *, actor: str) -> int:
        """Give up what waits for one application; returns how many messages. Raises `NotFound`.

        Its sessions end when it ends them itself.
        """
        with self._transactions.transaction():
            dropped = self._queue.drop(client_id)
            if not dropped:
                raise NotFound("nothing waits for this application")
            detail: Detail = {"client": client_id, "messages": dropped}
            self._audit.record("logout.dropped", actor=actor, detail=detail)
        return dropped
