"""Periodic jobs that run once per cluster, by a lease in the database."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Column, String, Table, bindparam, insert, select
from sqlalchemy import update as sql_update
from sqlalchemy.exc import IntegrityError

from core.clock import Clock
from core.db import Database, UTCDateTime, metadata
from core.statements import Statement

log = logging.getLogger(__name__)

job_leases = Table(
    "job_leases",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("holder", String(32), nullable=False),
    Column("until", UTCDateTime, nullable=False),
)

_HELD = Statement(select(job_leases.c.until).where(job_leases.c.name == bindparam("of")))

_LOOK_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Job:
    """Something to do every `every_seconds`. `run` must stand being run twice."""

    name: str
    every_seconds: float
    run: Callable[[], object]


class JobRunner:
    """Runs jobs in one background thread; a job whose lease another node holds waits its turn.

    `local` jobs need no lease: every node does them for itself, first after one period.
    """

    def __init__(
        self,
        database: Database,
        jobs: tuple[Job, ...],
        local: tuple[Job, ...] = (),
        *,
        clock: Clock,
    ) -> None:
        self._database = database
        self._jobs = jobs
        self._local = {job: clock.now() + timedelta(seconds=job.every_seconds) for job in local}
        self._clock = clock
        self._holder = secrets.token_hex(16)
        self._held: dict[str, datetime] = {}
        """Until when somebody has the lease of a job, as was last seen."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="jobs", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end, and wait for the job that runs."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=30)

    def run_due(self) -> None:
        """Run every job whose lease we can take now."""
        for job in (*self._jobs, *self._local):
            if self._stop.is_set():
                return
            try:
                if self._is_due(job):
                    job.run()
            except Exception:  # recorded; one failing job must not stop the others
                log.exception("job failed", extra={"job": job.name})

    def _loop(self) -> None:
        # What is to be done once a day begins soon after the first start, too.
        pause = min((_LOOK_SECONDS, *(job.every_seconds for job in (*self._jobs, *self._local))))
        while not self._stop.wait(pause):
            self.run_due()

    def _is_due(self, job: Job) -> bool:
        due = self._local.get(job)
        if due is None:
            return self._lease(job)
        now = self._clock.now()
        if now < due:
            return False
        self._local[job] = now + timedelta(seconds=job.every_seconds)
        return True

    def _lease(self, job: Job) -> bool:
        """Take the right to run `job` until it is due again."""
        now = self._clock.now()
        until = now + timedelta(seconds=job.every_seconds)
        # A lease far in the future was written by a clock that jumped: take it over.
        latest = until + timedelta(seconds=job.every_seconds)
        # Nearly always it is not due yet. Nobody gives a lease back before its end, so that there
        # is nothing to look for until then.
        known = self._held.get(job.name)
        if known is not None and now < known <= latest:
            return False
        held = self._database.run(_HELD, {"of": job.name}).first()
        if held is not None and now < held.until <= latest:
            self._held[job.name] = held.until
            return False
        lease = select(job_leases.c.until).where(job_leases.c.name == job.name)
        with self._database.transaction() as connection:
            held = connection.execute(lease.with_for_update()).first()
            if held is None:
                try:
                    with connection.begin_nested():
                        connection.execute(
                            insert(job_leases).values(
                                name=job.name, holder=self._holder, until=until
                            )
                        )
                except IntegrityError:
                    return False
                return True
            if now < held.until <= latest:
                return False
            connection.execute(
                sql_update(job_leases)
                .where(job_leases.c.name == job.name)
                .values(holder=self._holder, until=until)
            )
            return True
