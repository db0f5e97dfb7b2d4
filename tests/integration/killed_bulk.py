"""A batch of pairs on SQLite, worked on by processes that are killed at random moments.

    python -m tests.integration.killed_bulk DIRECTORY    one worker, until it is killed or done

The signer of the authority writes each to-be-signed certificate to a side file, with fsync, before
it signs. The keystore is the software one, so that the next process opens what this one sealed.
"""

from __future__ import annotations

import secrets
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from sqlalchemy import text

import ca.bulkworker
from ca.bulk import Batch, BatchState, ItemState
from ca.bulkcheck import BulkCheck
from ca.bulkconfig import BulkConfig
from ca.bulkpackage import BulkPackages
from ca.bulkservice import BulkService
from ca.bulkworker import BulkWorker
from ca.contents import IssuanceRequest
from ca.issuance import issue_certificate
from ca.issuers import load_issuers
from ca.operations import ReviewsOfProfiles
from ca.sqlbulk import SQLBulkStore
from ca.sqlrequests import SQLRequestStore
from core.clock import SystemClock
from core.db import metadata, open_database
from keystore import keyref, softkey
from keystore.algorithms import KeyAlgorithm
from keystore.holdersafe import HolderSafe
from tests.integration.killed_issuer import Killer, WitnessedSigner
from tests.integration.killed_pair import Service

CONFIG = BulkConfig(max_rows=100_000)
_READY = "working"


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
        check = BulkCheck(
            self.store, pairs=km, blocked_keys=frozenset(), accept_empty_sm2_id=False, clock=clock,
            **common,
        )  # fmt: skip
        self.worker = BulkWorker(
            self.store, check=check, packages=packages, safe=self.safe,
            certificates=self.pairs.store, requests=SQLRequestStore(database), pairs=km,
            config=CONFIG, lease=timedelta(milliseconds=50), **common, **ground,
        )  # fmt: skip


@dataclass(frozen=True)
class Report:
    """What a run of kills left."""

    kills: int
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


def prepare(directory: Path, rows: int) -> str:
    """Make the authority, and a batch of `rows` pairs that is ready to be issued."""
    database = open_database(f"sqlite:///{directory}/ca.sqlite3")
    metadata.create_all(database.engine)
    database.close()
    desk = BulkDesk(directory)
    lines = "CN\n" + "".join(f"device-{number}.example.test\n" for number in range(rows))
    batch = desk.service.upload(
        lines.encode(), profile="device-dual-signing", issuer="issuing", label="kill",
        key_algorithm=None, organisation=None, actor="alice",
    )  # fmt: skip
    desk.worker.run()
    recipient = _recipient(desk)
    desk.service.submit(batch.id, recipient=recipient, actor="alice")
    desk.service.approve(batch.id, actor="bob")
    desk.pairs.database.close()
    return batch.id


def kill_at_random(directory: Path, batch_id: str, *, kills: int, longest: float) -> Report:
    """Start workers and kill each after a random time; the last one may end. Then look."""
    done, half = 0, 0
    while done < kills:
        child = _start(directory)
        time.sleep(secrets.randbelow(1000) / 1000 * longest)
        finished = child.poll() is not None
        child.kill()
        child.wait()
        if finished:
            break
        done += 1
        half += _half_pairs(directory)
    _start(directory).wait()
    return _look(directory, batch_id, done, half)


def _start(directory: Path) -> subprocess.Popen[bytes]:
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.killed_bulk", directory], stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    with child.stdout as said:
        assert said.readline().decode().strip() == _READY
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


def _look(directory: Path, batch_id: str, kills: int, half: int) -> Report:
    desk = BulkDesk(directory)
    batch = desk.service.get(batch_id)
    assert batch.state is BatchState.DONE, batch
    database = desk.pairs.database
    with database.reading() as connection:
        certificates = connection.execute(
            text(
                "SELECT request_id, tbs FROM certificates "
                "WHERE state = 'issued' AND request_id IS NOT NULL AND profile LIKE 'device-dual-%'"
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
        lost += len(files.files) != 2
    return lost


def main(directory: Path) -> None:
    ca.bulkworker.GROUP = 8  # more moments between two transactions
    desk = BulkDesk(directory)
    time.sleep(0.1)  # until the lease of the one before is over
    sys.stdout.write(_READY + "\n")
    sys.stdout.flush()
    desk.worker.run()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
