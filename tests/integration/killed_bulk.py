"""A batch on SQLite, worked on by processes that are killed at random moments.

The signer of the authority writes each to-be-signed certificate to a side file, with fsync, before
it signs. The keystore is the software one, so that the next process opens what this one sealed.
A worker writes what it is doing to another side file, so that each kill can be said to have met it.
Workers are forked from a process that has imported everything, which is most of what a start costs.
"""

from __future__ import annotations

import os
import secrets
import signal
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from sqlalchemy import text

import ca.bulkissuing
import ca.bulkworker
from ca.bulk import Batch, BatchState, ItemState
from ca.bulkcheck import BulkCheck
from ca.bulkconfig import BulkConfig
from ca.bulkissuing import BulkIssuing
from ca.bulkpackage import BulkPackages
from ca.bulkservice import BulkService
from ca.bulkworker import BulkWorker
from ca.contents import IssuanceRequest
from ca.dryrun import DryRun
from ca.issuance import issue_certificate
from ca.issuer import Issuer
from ca.issuers import load_issuers
from ca.issuing import Issuing
from ca.operations import ReviewsOfProfiles
from ca.sqlbulk import SQLBulkStore
from ca.sqlrequests import SQLRequestStore
from core.clock import SystemClock
from core.db import open_database
from keystore import keyref, softkey
from keystore.algorithms import KeyAlgorithm
from keystore.holdersafe import HolderSafe
from tests import databases
from tests.forked import FORKS
from tests.integration.killed_issuer import Killer, WitnessedSigner
from tests.integration.killed_pair import Service

CONFIG = BulkConfig(max_rows=100_000)
_GROUP = 8
_TAKING_UP = "taking up the batch"
STAGES = {
    "making holders' keys": (BulkIssuing, "_begin"),
    "assigning encryption keys": (BulkIssuing, "_group"),
    "reserving serial numbers": (Issuing, "_reserve"),
    "signing": (Issuer, "sign"),
    "storing certificates": (Issuing, "_complete"),
    "sealing files, ending rows": (BulkIssuing, "_keep_outcomes"),
}
"""What a worker does in turn, once it took up the batch."""


class BulkDesk:
    """The bulk desk over the authority and the key management centre of `killed_pair`."""

    def __init__(self, directory: Path) -> None:
        clock = SystemClock()
        self.pairs = Service(directory, clock)
        database, keystore = self.pairs.database, self.pairs.keystore
        issuers = load_issuers(self.pairs.store, keystore, revocation_url="http://pki.test")
        never, witness = Killer(""), directory / "witness"
        issuing = issuers["issuing"]
        signer = WitnessedSigner(issuing.signer, witness, never)
        common = {
            "profiles": self.pairs.profiles,
            "issuers": issuers | {"issuing": replace(issuing, signer=signer)},
        }
        ground = {"transactions": database, "audit": self.pairs.audit, "clock": clock}
        self.store = SQLBulkStore(database)
        self.safe = HolderSafe(keystore, keyref.parse("software:object=bulk-storage"))
        km = self.pairs.km.pairs
        packages = BulkPackages(
            self.store, certificates=self.pairs.store, pairs=km, safe=self.safe, **common
        )
        self.service = BulkService(
            self.store, packages=packages, safe=self.safe, config=CONFIG, separate_approver=True,
            reviews=ReviewsOfProfiles(self.pairs.profiles), **common, **ground,
        )  # fmt: skip
        dry_run = DryRun(self.store, pairs=km, clock=clock, **common)
        check = BulkCheck(self.store, dry_run, accept_empty_sm2_id=False)
        rows = BulkIssuing(
            self.store, packages=packages, certificates=self.pairs.store,
            requests=SQLRequestStore(database), pairs=km, **common, **ground,
        )  # fmt: skip
        self.worker = BulkWorker(
            self.store, check=check, rows=rows, safe=self.safe, config=CONFIG,
            lease=timedelta(milliseconds=50), **ground,
        )  # fmt: skip


@dataclass(frozen=True)
class Report:
    """What a run of kills left."""

    kills: Mapping[str, int]
    """How many workers were killed in which stage."""
    rows: int
    half_pairs: int
    """Seen after any kill, or at the end."""
    forgotten: int
    """Serial numbers that were signed and that the database does not know."""
    lost_keys: int
    """Rows whose private key does not open, or encryption keys without an owner's certificate."""
    certificates: int
    requests: int
    """Different ones that the certificates carry."""
    signed_twice: int
    """Octets that were signed again after a crash: the same certificate."""
    audit_fault: str | None


def prepare(directory: Path, rows: int, *, profile: str = "device-dual-signing") -> str:
    """Make the authority, and a batch of `rows` that is ready to be issued."""
    database = databases.sqlite(directory, "ca.sqlite3")
    database.close()
    desk = BulkDesk(directory)
    lines = "CN\n" + "".join(f"device-{number}.example.test\n" for number in range(rows))
    batch = desk.service.upload(
        lines.encode(), profile=profile, issuer="issuing", label="kill",
        key_algorithm=None, organisation=None, actor="alice",
    )  # fmt: skip
    desk.worker.run()
    recipient = _recipient(desk)
    desk.service.submit(batch.id, recipient=recipient, actor="alice")
    desk.service.approve(batch.id, actor="bob")
    desk.pairs.database.close()
    return batch.id


def kill_at_random(directory: Path, batch_id: str, *, kills: int, signatures: int) -> Report:
    """Start workers and kill each at a random moment; the last one may end. Then look.

    The moments are spread over all of the batch, which takes `signatures`, however fast the
    machine is: a worker may sign a random share of what is left, and then go on for a random
    part of the time that a group of rows takes.
    """
    stages: Counter[str] = Counter()
    half = 0
    while stages.total() < kills:
        left = max(signatures - _signed(directory), 0) // (kills - stages.total() + 1)
        if not _kill_one(directory, share=secrets.randbelow(2 * left + 1)):
            break
        stages[(directory / "stage").read_text().strip()] += 1
        half += _half_pairs(directory)
    _start(directory).join()
    return _look(directory, batch_id, stages, half)


def _kill_one(directory: Path, *, share: int) -> bool:
    """Start a worker and kill it after `share` signatures and a little; False: it ended before."""
    child, before = _start(directory), _signed(directory)
    begun, done = time.monotonic(), 0
    while child.is_alive() and done < share:
        time.sleep(0.005)
        if done == 0:
            begun = time.monotonic()
        done = _signed(directory) - before
    group = 2 * _GROUP * (time.monotonic() - begun) / done if done > 1 else 0.1
    time.sleep(secrets.randbelow(1000) / 1000 * group)
    child.kill()
    child.join()
    return child.exitcode == -signal.SIGKILL


def _signed(directory: Path) -> int:
    """Count the signatures that were begun: their lines are about equally long."""
    try:
        with (directory / "witness").open("rb") as file:
            line = len(file.readline())
            return os.fstat(file.fileno()).st_size // line if line else 0
    except FileNotFoundError:
        return 0


def _start(directory: Path) -> BaseProcess:
    ready, said = FORKS.Pipe(duplex=False)
    child = FORKS.Process(target=work, args=(directory, said))
    child.start()
    said.close()
    assert ready.recv()
    return child


def _recipient(desk: BulkDesk) -> bytes:
    spki = softkey.generate(KeyAlgorithm.SM2).public_key
    wanted = IssuanceRequest(spki=spki, subject=(("CN", "recipient"),), requester="alice")
    pairs = desk.pairs
    return issue_certificate(
        wanted, profile=pairs.profiles["device-dual-encryption"],
        issuer=pairs.enrollment.issuers["issuing"], store=pairs.store,
        transactions=pairs.database, audit=pairs.audit, clock=SystemClock(),
    ).der  # fmt: skip


_HALF = """
    SELECT COUNT(*) FROM bulk_items i
    LEFT JOIN certificates s ON s.request_id = i.request_id AND s.state = 'issued'
    LEFT JOIN certificates e ON e.request_id = i.request_id || '.encryption' AND e.state = 'issued'
    WHERE (s.id IS NULL) <> (e.id IS NULL)
"""


def _half_pairs(directory: Path) -> int:
    database = open_database(f"sqlite:///{directory}/ca.sqlite3")
    with database.reading() as connection:
        found = int(connection.execute(text(_HALF)).scalar_one())
    database.close()
    return found


def _look(directory: Path, batch_id: str, kills: Mapping[str, int], half: int) -> Report:
    desk = BulkDesk(directory)
    batch = desk.service.get(batch_id)
    assert batch.state is BatchState.DONE, batch
    database = desk.pairs.database
    with database.reading() as connection:
        certificates = connection.execute(
            text(
                "SELECT request_id, tbs FROM certificates "
                "WHERE state = 'issued' AND request_id IS NOT NULL AND issuer = 'issuing'"
            )
        ).all()
        known = {bytes(row.tbs) for row in connection.execute(text("SELECT tbs FROM certificates"))}
        orphans = connection.execute(
            text(
                "SELECT COUNT(*) FROM escrow_keys k WHERE k.state <> 'standby' AND NOT EXISTS "
                "(SELECT 1 FROM certificates c WHERE c.request_id = k.request_id || '.encryption' "
                "AND c.spki_fingerprint = k.spki_fingerprint AND c.state = 'issued')"
            )
        ).scalar_one()
    signed = (directory / "witness").read_text().split()
    items = desk.store.list_items(batch_id, (ItemState.ISSUED,), limit=1_000_000)
    report = Report(
        kills=kills,
        rows=len(items),
        half_pairs=half + _half_pairs(directory),
        forgotten=sum(bytes.fromhex(line) not in known for line in set(signed)),
        lost_keys=int(orphans) + _closed(desk, batch, items),
        certificates=len(certificates),
        requests=len({row.request_id for row in certificates}),
        signed_twice=len(signed) - len(set(signed)),
        audit_fault=desk.pairs.audit.verify(_Unsigned()).fault,
    )
    database.close()
    return report


class _Unsigned:
    """There are no checkpoints here."""

    def sign(self, message: bytes) -> bytes:
        raise NotImplementedError

    def verify(self, message: bytes, signature: bytes) -> None:
        raise NotImplementedError


def _closed(desk: BulkDesk, batch: Batch, items) -> int:
    """Count rows whose files do not open: they were made of the key of both certificates."""
    assert batch.data_key is not None
    data_key, lost = desk.safe.open(batch.data_key), 0
    for item in items:
        files = data_key.files(item.sealed, owner=item.request_id, algorithm=KeyAlgorithm.SM2)
        lost += len(files.files) != (2 if _is_dual(desk, batch) else 1)
    return lost


def _is_dual(desk: BulkDesk, batch: Batch) -> bool:
    return desk.pairs.profiles[batch.profile].encryption_profile is not None


def _say_stages(directory: Path) -> None:
    """Have this process write which of `STAGES` it is in."""
    side = os.open(directory / "stage", os.O_WRONLY | os.O_CREAT)

    def say(stage: str) -> None:
        os.pwrite(side, stage.ljust(40).encode(), 0)

    def said(stage: str, real):
        def call(*arguments, **named):
            say(stage)
            try:
                return real(*arguments, **named)
            finally:
                say("between two stages")

        return call

    for stage, (owner, name) in STAGES.items():
        setattr(owner, name, said(stage, getattr(owner, name)))
    say(_TAKING_UP)


def work(directory: Path, ready: Connection) -> None:
    """Be a worker, until it is killed or nothing is left to do."""
    ca.bulkissuing.GROUP = ca.bulkworker.GROUP = _GROUP  # more moments between two transactions
    _say_stages(directory)
    desk = BulkDesk(directory)
    ready.send(obj=True)
    (batch,) = desk.store.list_batches(scope=None, limit=2)
    while desk.service.get(batch.id).state is BatchState.ISSUING:
        desk.worker.run()
        time.sleep(0.02)  # until the lease of the one before is over: the clock has full seconds
