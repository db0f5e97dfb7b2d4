"""Delivering logout messages: many applications at once, and a dead one delays nobody.

Every application has a lane. A new lane carries one call at a time, and twice as many after each
that was answered; one that is not answered sets it back to one, after a pause that grows. So an
application that hangs holds one thread, however much there is to tell it.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

from authn.logout.config import LogoutConfig
from authn.logout.store import Channel, Delivery, DeliveryQueue
from core import observe
from core.audit import AuditLog, Event
from core.clock import Clock
from core.errors import Refused, TrustError, Unavailable
from core.outbound import Answer
from core.transaction import Transactions

log = logging.getLogger(__name__)

_IDLE_SECONDS: Final = 0.5
"""How often the queue is looked at when nothing woke us: another node may have written."""
_GATHER_SECONDS: Final = 0.02
"""Results of so long are written together."""
_LEASE: Final = timedelta(seconds=90)
"""A delivery is tried by somebody else after so long: more than any call may take."""


class Messages(Protocol):
    """Writes what an application is sent."""

    def form_of(self, delivery: Delivery) -> Mapping[str, str] | None:
        """Return the form; None when there is nobody to tell any more."""
        ...


class MessagesByChannel:
    """`Messages` that asks whoever writes for the channel."""

    def __init__(self, writers: Mapping[Channel, Messages]) -> None:
        self._writers = writers

    def form_of(self, delivery: Delivery) -> Mapping[str, str] | None:
        """Return the form of that channel."""
        return self._writers[delivery.channel].form_of(delivery)


class Caller(Protocol):
    """`core.outbound.Outbound`, as far as it is needed here."""

    def post_form(self, url: str, fields: Mapping[str, str]) -> Answer: ...


@dataclass(slots=True)
class _Lane:
    width: int = 1
    under_way: int = 0
    failures: int = 0


@dataclass(frozen=True, slots=True)
class _Result:
    delivery: Delivery
    fault: str | None
    """None: told."""
    dead: bool = False
    """The application did not answer at all, so the others need not be tried now."""


_TAKEN_BELOW: Final = {Channel.OIDC: 300, Channel.CAS: 400}
"""CAS knows no receipt (3.0, 2.3.3): mod_auth_cas ends its session and then sends us to log in, as
it does with every request that brings no cookie."""


class LogoutSender:
    """Works on the queue in a thread of its own; every node does."""

    def __init__(
        self,
        deliveries: DeliveryQueue,
        messages: Messages,
        caller: Caller,
        *,
        config: LogoutConfig,
        transactions: Transactions,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._queue = deliveries
        self._messages = messages
        self._caller = caller
        self._config = config
        self._transactions = transactions
        self._audit = audit
        self._clock = clock
        self._lanes: dict[str, _Lane] = {}
        self._results: queue.SimpleQueue[_Result] = queue.SimpleQueue()
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._pool = ThreadPoolExecutor(config.parallel, thread_name_prefix="logout-call")
        self._thread = threading.Thread(target=self._loop, name="logout", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End it. What is under way is finished, or tried again after the lease."""
        self._stopped.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=30)
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._settle()

    def wake(self) -> None:
        """Look at the queue now."""
        self._wake.set()

    def run_once(self) -> int:
        """Write results, and start what is due. Returns how many calls were started."""
        self._settle()
        return self._start_due()

    def _loop(self) -> None:
        failing = False
        while not self._stopped.is_set():
            try:
                self.run_once()
                failing = False
            except Exception:  # recorded once; the queue is in the database and waits
                if not failing:
                    log.exception("the logout queue cannot be worked on")
                failing = True
                self._stopped.wait(_IDLE_SECONDS)
            self._wake.wait(_IDLE_SECONDS)
            self._wake.clear()
            self._stopped.wait(_GATHER_SECONDS)

    def _start_due(self) -> int:
        """Start calls until all are under way or nothing is due; return how many were started."""
        free = self._config.parallel - sum(lane.under_way for lane in self._lanes.values())
        now, all_started = self._clock.now(), 0
        while free > 0:
            # Whoever has no room is left out, however much there is to tell them; so the next look
            # goes past them.
            busy = [name for name, lane in self._lanes.items() if lane.under_way >= lane.width]
            chosen = self._choose(self._queue.list_due(now, limit=2 * free, busy=busy), free)
            if not chosen:
                break
            claimed = self._queue.claim([one.id for one in chosen], now, now + _LEASE)
            started = [one for one in chosen if one.id in claimed]
            for delivery in started:
                self._lanes[delivery.client_id].under_way += 1
                self._pool.submit(self._deliver, delivery)
            free -= len(started)
            all_started += len(started)
        return all_started

    def _choose(self, due: Sequence[Delivery], free: int) -> list[Delivery]:
        room: dict[str, int] = {}
        chosen: list[Delivery] = []
        for delivery in due:
            lane = self._lanes.setdefault(delivery.client_id, _Lane())
            left = room.setdefault(delivery.client_id, lane.width - lane.under_way)
            if left > 0 and len(chosen) < free:
                room[delivery.client_id] = left - 1
                chosen.append(delivery)
        return chosen

    def _deliver(self, delivery: Delivery) -> None:
        try:
            result = self._attempt(delivery)
        except Exception as error:  # a worker must always hand its lane back
            log.exception("a logout message failed")
            result = _Result(delivery, type(error).__name__)
        self._results.put(result)
        self._wake.set()

    def _attempt(self, delivery: Delivery) -> _Result:
        try:
            form = self._messages.form_of(delivery)
            if form is None:
                return _Result(delivery, None)
            answer = self._caller.post_form(delivery.uri, form)
        except Unavailable as error:
            return _Result(delivery, str(error), dead=True)
        except (Refused, TrustError) as error:
            return _Result(delivery, str(error))
        if 200 <= answer.status < _TAKEN_BELOW[delivery.channel]:
            return _Result(delivery, None)
        # A redirect is not followed: the address that was registered has to answer.
        return _Result(delivery, f"it answered {answer.status}", dead=answer.status >= 500)

    def _settle(self) -> None:
        """Write the results of calls that have ended, all in one transaction."""
        results = []
        while not self._results.empty():
            results.append(self._results.get())
        if not results:
            return
        for result in results:
            self._learn(result)
        told = [one.delivery.id for one in results if one.fault is None]
        with self._transactions.transaction():
            if told:
                self._queue.finish(told)
            for result in results:
                if result.fault is not None:
                    self._put_off(result)
        for result in results:
            word = "told" if result.fault is None else "failed"
            observe.LOGOUTS.labels(result.delivery.channel, word).inc()

    def _learn(self, result: _Result) -> None:
        lane = self._lanes[result.delivery.client_id]
        lane.under_way -= 1
        if result.dead:
            lane.width, lane.failures = 1, lane.failures + 1
        else:
            lane.width = min(2 * lane.width, self._config.parallel_per_application)
            lane.failures = 0
        if lane.under_way == 0 and lane.width == 1 and lane.failures == 0:
            del self._lanes[result.delivery.client_id]

    def _put_off(self, result: _Result) -> None:
        delivery, now = result.delivery, self._clock.now()
        detail = {"client": delivery.client_id, "sid": delivery.sid, "why": str(result.fault)[:200]}
        if now - delivery.created_at >= timedelta(hours=self._config.give_up_hours):
            self._queue.finish([delivery.id])
            self._audit.record_all([Event("logout.abandoned", delivery.client_id, detail)])
            return
        if delivery.attempts == 0:
            log.warning("an application was not told of a logout; trying again", extra=detail)
        lane = self._lanes.get(delivery.client_id, _Lane())
        tries = max(delivery.attempts, lane.failures - 1 if result.dead else 0)
        pause = min(2 ** min(tries, 20), self._config.longest_pause_seconds)
        self._queue.postpone(delivery.id, now + timedelta(seconds=pause), fault=detail["why"])
        if result.dead:
            self._queue.postpone_client(delivery.client_id, now + timedelta(seconds=pause))
