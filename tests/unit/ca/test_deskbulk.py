"""Bulk requests at a registration authority: dry run, outbox, pick-ups, package, crashes."""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from datetime import timedelta

import pytest

from ca.acts import Act
from ca.bulk import Batch, BatchState, ItemState
from ca.bulkservice import BulkService
from ca.bulkworker import BulkWorker
from ca.config import PickupConfig
from ca.deskbulk import DeskRows, EveryIssuer, EveryReview
from ca.deskbulkcheck import DeskBulkCheck
from ca.deskbulkpackage import DeskPackages
from ca.exchange import bring
from ca.pickup import PickupOffers
from ca.pickup_codes import digest
from ca.sqlbulk import SQLBulkStore
from ca.sqldesk import SQLDeskStore
from ca.sqlpickup import SQLPickupStore
from core.errors import Conflict, Forbidden, NotFound, ProfileViolation, Refused
from keystore import keyref
from keystore import pem as keypem
from keystore.algorithms import KeyAlgorithm
from keystore.holdersafe import HolderSafe
from keystore.package import open_package
from tests.unit.ca.bulks import CONFIG, recipient_key
from tests.unit.ca.conftest import PROFILES, Authority, request
from tests.unit.ca.csrs import make_csr, pem
from tests.unit.ca.registration import Registration
from tests.unit.ca.test_registrars import Followed, Wire, World, asked_branch, make_desk

SM2 = pem(make_csr(subject=(("CN", "one.example.test"),))).decode()
EC = pem(make_csr(KeyAlgorithm.EC_P256, subject=(("CN", "two.example.test"),))).decode()
TABLE = f'CN,csr\none.example.test,"{SM2}"\n,"{EC}"\nthree.example.test,\nfour.example.test,\n'
_B, _S = BatchState, ItemState


class DeskBulk:
    """The bulk requests of one desk, and its way to the authority."""

    def __init__(self, world: World) -> None:
        self.world, authority = world, world.authority
        database, clock = authority.database, authority.clock
        self.store, self.acts = SQLBulkStore(database), SQLDeskStore(database)
        ground = {"transactions": database, "audit": authority.audit, "clock": clock}
        pickups = PickupOffers(
            SQLPickupStore(database), config=PickupConfig(hours=24), audit=authority.audit,
            clock=clock,
        )  # fmt: skip
        self.desk = make_desk(database, authority.audit, clock)
        safe = HolderSafe(authority.keystore, keyref.parse("memory:object=bulk-storage"))
        self.service = BulkService(
            self.store, profiles=PROFILES, issuers=EveryIssuer(), safe=safe, reviews=EveryReview(),
            packages=DeskPackages(self.store, self.acts, pickups=pickups, transactions=database),
            config=CONFIG, separate_approver=True, **ground,
        )  # fmt: skip
        check = DeskBulkCheck(
            self.store, self.acts, profiles=PROFILES, accept_empty_sm2_id=False, clock=clock
        )
        rows = DeskRows(self.store, self.acts, **ground)
        self.worker = BulkWorker(
            self.store, check=check, rows=rows, safe=safe, config=CONFIG, **ground
        )

    def upload(self, table: str, profile: str = "device", issuer: str = "sm2-issuing") -> Batch:
        batch = self.service.upload(
            table.encode(), profile=profile, issuer=issuer, label="people", key_algorithm=None,
            organisation=self.world.registration.hangzhou.id, actor="wang",
        )  # fmt: skip
        self.worker.run()
        return batch

    def approve(self, batch: Batch) -> None:
        wanted = request(spki=recipient_key(KeyAlgorithm.RSA_2048).public_key)
        recipient = self.world.authority.issue(wanted).der
        self.service.submit(batch.id, recipient=recipient, actor="wang")
        self.service.approve(batch.id, actor="li")
        self.worker.run()

    def carry(self) -> int:
        world = self.world

        def perform(act: dict) -> dict:
            return world.perform(Act.model_validate(act)).model_dump(mode="json")

        wire = Wire(
            {"/ra/v1/branch": lambda asked: asked_branch(world, asked), "/ra/v1/acts": perform}
        )
        ended = bring(self.desk, wire, Followed())
        self.worker.run()
        return ended

    def counts(self, batch: Batch) -> dict[str, int]:
        return {str(state): n for state, n in self.store.count_items(batch.id).items()}

    def reasons(self, batch: Batch) -> dict[int, str | None]:
        found = self.store.list_items(batch.id, (_S.BAD, _S.FAILED), limit=100)
        return {item.row: item.reason for item in found}

    def state(self, batch: Batch) -> BatchState:
        return self.service.get(batch.id).state

    def fetch(self, batch: Batch) -> tuple[bytes, dict[str, bytes]]:
        package = self.service.fetch(batch.id, actor="wang")
        key = keypem.encode(recipient_key(KeyAlgorithm.RSA_2048).pkcs8(), "PRIVATE KEY").decode()
        with zipfile.ZipFile(io.BytesIO(open_package(package, private_key=key))) as archive:
            return package, {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def bulk(authority: Authority, registration: Registration) -> DeskBulk:
    return DeskBulk(World(authority, registration))


def table(octets: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(octets.decode())))


def test_a_batch_goes_through_the_outbox_and_to_subscribers(bulk: DeskBulk) -> None:
    batch = bulk.upload(TABLE)
    assert bulk.counts(batch) == {"valid": 4}
    assert bulk.desk.outbox(limit=10) == [], "nothing leaves before the review"
    with pytest.raises(Forbidden):
        bulk.service.submit(batch.id, recipient=b"", actor="li")
    bulk.approve(batch)
    assert bulk.counts(batch) == {"started": 2, "awaiting-pickup": 2}
    assert {(act.entered_by, act.reviewed_by) for act in bulk.desk.outbox(limit=9)} == {
        ("wang", "li")
    }
    assert bulk.state(batch) is _B.ISSUING
    assert bulk.carry() == 2
    assert bulk.counts(batch) == {"issued": 2, "awaiting-pickup": 2}
    assert bulk.state(batch) is _B.DONE
    first, files = bulk.fetch(batch)
    index = table(files["index.csv"])
    assert [line["state"] for line in index] == ["issued", "issued", *["awaiting-pickup"] * 2]
    written = {f"certificates/{int(line['row']):05d}-{line['serial']}.pem" for line in index[:2]}
    assert written == {name for name in files if name.startswith("certificates/")}
    assert files["chain.pem"].count(b"BEGIN CERTIFICATE") == 1, "the issuing CA, and no root"
    codes = table(files["codes.csv"])
    assert [line["subject"] for line in codes] == ["CN=three.example.test", "CN=four.example.test"]
    pickups = SQLPickupStore(bulk.world.authority.database)
    reference = digest(codes[0]["reference"])
    assert pickups.lock_pickup(reference) is not None
    again, files = bulk.fetch(batch)
    assert pickups.lock_pickup(reference) is None, "codes of an earlier package have ended"
    with pytest.raises(Refused, match="fetch it again"):
        bulk.service.confirm(batch.id, digest=_sha256(first), actor="wang")
    bulk.service.confirm(batch.id, digest=_sha256(again), actor="wang")
    with pytest.raises(Conflict):
        bulk.fetch(batch)


def _sha256(octets: bytes) -> str:
    return hashlib.sha256(octets).hexdigest()


def test_pairs_come_with_their_envelope(bulk: DeskBulk) -> None:
    batch = bulk.upload(f'csr\n"{SM2}"\n', "device-dual-signing")
    bulk.approve(batch)
    bulk.carry()
    _, files = bulk.fetch(batch)
    (pair,) = (name for name in files if name.startswith("pairs/"))
    assert pair.endswith(".csrresponse")
    assert "codes.csv" not in files


def test_what_can_be_seen_to_be_wrong_is_listed_with_its_reason(bulk: DeskBulk) -> None:
    given = bulk.upload(f'csr\n"{SM2}"\n')
    bulk.approve(given)
    bulk.carry()
    octets = make_csr()
    forged = pem(octets[:-1] + bytes((octets[-1] ^ 1,))).decode()
    rows = f'CN,csr,validity_days\none.example.test,,\nx,"{forged}",\ny,,36000\nz,,\nz,,\n,,1\n'
    batch = bulk.upload(rows)
    reasons = bulk.reasons(batch)
    assert sorted(reasons) == [2, 3, 4, 6, 7]
    said = [reasons[row] or "" for row in sorted(reasons)]
    for words, reason in zip(
        ("its subject has the certificate", "not verify", "allows 1 to 1095 days", "row", "CN"),
        said,
        strict=True,
    ):
        assert words in reason
    with pytest.raises(Refused, match="5 rows of the batch are bad"):
        bulk.approve(batch)
    for profile, issuer, error in (
        ("nothing", "sm2-issuing", NotFound), ("root", "sm2-issuing", ProfileViolation),
        ("device", "No Issuer", NotFound),
    ):  # fmt: skip
        with pytest.raises(error):
            bulk.upload(rows, profile, issuer)


def test_what_the_authority_refuses_fails_alone_with_its_words(bulk: DeskBulk) -> None:
    batch = bulk.upload("CN\nx.example.test\n", "device", "no-such-issuer")
    other = bulk.upload(f'csr\n"{SM2}"\n"{EC}"\n', "device", "no-such-issuer")
    bulk.approve(batch)
    bulk.approve(other)
    bulk.carry()
    assert bulk.counts(other) == {"failed": 2}
    assert set(bulk.reasons(other).values()) == {"there is no issuer no-such-issuer"}
    assert bulk.state(other) is _B.DONE


def test_a_batch_that_waits_for_the_authority_keeps_no_other_waiting(bulk: DeskBulk) -> None:
    first = bulk.upload(f'csr\n"{SM2}"\n')
    bulk.approve(first)
    second = bulk.upload(f'csr\n"{EC}"\n')
    assert (bulk.state(first), bulk.state(second)) == (_B.ISSUING, _B.CHECKED)
    bulk.approve(second)
    bulk.service.cancel(first.id, actor="wang")
    bulk.worker.run()
    assert bulk.state(first) is _B.CANCELLING, "what was begun is finished"
    assert bulk.carry() == 2
    assert bulk.state(first) is _B.CANCELLED
    assert bulk.counts(first) == {"issued": 1}


def test_a_worker_that_dies_in_the_middle_is_followed_by_another(
    bulk: DeskBulk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ca.deskbulk.GROUP", 2)
    names = "".join(f"gw-{number}.example.test\n" for number in range(7))
    batch = bulk.upload(f"CN\n{names}")
    real, left = bulk.acts.add, [5]

    def dying(record) -> None:
        if left[0] == 0:
            raise RuntimeError("killed")
        left[0] -= 1
        real(record)

    bulk.acts.add = dying
    with pytest.raises(RuntimeError):
        bulk.approve(batch)
    assert bulk.counts(batch) == {"awaiting-pickup": 4, "valid": 3}, "whole groups, or nothing"
    bulk.acts.add = real
    bulk.world.authority.clock.advance(seconds=timedelta(seconds=31).total_seconds())
    DeskBulk(bulk.world).worker.run()
    assert bulk.counts(batch) == {"awaiting-pickup": 7}
