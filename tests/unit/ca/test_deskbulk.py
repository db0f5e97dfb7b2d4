"""Bulk requests at a registration authority: dry run, outbox, pick-ups, package, crashes."""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from dataclasses import replace
from datetime import timedelta

import pytest

from ca import lint
from ca.acts import Act, Questions, Verdicts
from ca.asking import Asking, answer, ask
from ca.bulk import UNASKED, WAITING, Batch, BatchState, ItemState
from ca.bulkservice import BulkService
from ca.bulkworker import BulkWorker
from ca.config import PickupConfig
from ca.csr import parse_csr
from ca.deskbulk import DeskRows, EveryIssuer, EveryReview
from ca.deskbulkcheck import DeskBulkCheck
from ca.deskbulkpackage import DeskPackages
from ca.exchange import bring
from ca.pickup import PickupOffers
from ca.pickup_codes import digest
from ca.sqlasking import SQLAskingStore
from ca.sqlbulk import SQLBulkStore
from ca.sqldesk import SQLDeskStore
from ca.sqlpickup import SQLPickupStore
from core.errors import Conflict, Forbidden, NotFound, ProfileViolation, Refused, Unavailable
from keystore import keyref, softkey
from keystore import pem as keypem
from keystore.algorithms import KeyAlgorithm
from keystore.holdersafe import HolderSafe
from keystore.package import open_package
from tests.unit.ca.bulks import CONFIG, recipient_key
from tests.unit.ca.conftest import PROFILES, Authority, request
from tests.unit.ca.csrs import make_csr, pem
from tests.unit.ca.registration import Registration
from tests.unit.ca.test_registrars import (
    Followed,
    Wire,
    World,
    apply,
    asked_branch,
    body,
    make_desk,
)

HOLDERS = [
    softkey.generate(kind)
    for kind in (KeyAlgorithm.SM2, KeyAlgorithm.EC_P256, KeyAlgorithm.EC_P256)
]
SM2, EC = (
    pem(make_csr(subject=(("CN", f"{name}.example.test"),), holder=holder)).decode()
    for name, holder in zip(("one", "two"), HOLDERS[:2], strict=True)
)
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
        self.asking = Asking(
            SQLAskingStore(database), self.store, transactions=database, audit=authority.audit
        )
        self.wire = Wire(
            {
                "/ra/v1/branch": lambda asked: asked_branch(world, asked),
                "/ra/v1/acts": self._perform,
                "/ra/v1/checks": self._check,
                "/ra/v1/questions": lambda _: self.asking.questions().model_dump(mode="json"),
                "/ra/v1/verdicts": lambda said: self.asking.answered(Verdicts.model_validate(said)),
            }
        )

    def _perform(self, act: dict) -> dict:
        return self.world.perform(Act.model_validate(act)).model_dump(mode="json")

    def _check(self, asked: dict) -> dict:
        world = self.world
        verdicts = world.check.check(world.registrar, Questions.model_validate(asked))
        return verdicts.model_dump(mode="json")

    def ask(self) -> int:
        """Have the authority see what waits, and go on."""
        rows = 0
        while answered := ask(self.asking, self.wire):
            rows += answered
        self.worker.run()
        return rows

    def upload(
        self,
        table: str,
        profile: str = "device",
        issuer: str = "sm2-issuing",
        *,
        asked: bool = True,
    ) -> Batch:
        batch = self.service.upload(
            table.encode(), profile=profile, issuer=issuer, label="people", key_algorithm=None,
            organisation=self.world.registration.hangzhou.id, actor="wang",
        )  # fmt: skip
        self.worker.run()
        if asked:
            self.ask()
        return batch

    def approve(self, batch: Batch) -> None:
        wanted = request(spki=recipient_key(KeyAlgorithm.RSA_2048).public_key)
        recipient = self.world.authority.issue(wanted).der
        self.service.submit(batch.id, recipient=recipient, actor="wang")
        self.service.approve(batch.id, actor="li")
        self.worker.run()

    def carry(self) -> int:
        ended = bring(self.desk, self.wire, Followed())
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
    assert bulk.counts(batch) == {"valid": 4}, bulk.reasons(batch)
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
        (
            "its subject has the valid certificate",
            "not verify",
            "allows 1 to 1095 days",
            "row",
            "CN",
        ),
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
    batch = bulk.upload(f'csr\n"{SM2}"\n"{EC}"\n')
    bulk.approve(batch)
    bulk.world.blocked.add(hashlib.sha256(parse_csr(EC.encode()).spki).hexdigest())
    bulk.carry()
    assert bulk.counts(batch) == {"issued": 1, "failed": 1}
    assert "key" in (bulk.reasons(batch)[3] or "")
    assert bulk.state(batch) is _B.DONE


def test_the_dry_run_has_the_words_of_the_authority(bulk: DeskBulk) -> None:
    world = bulk.world
    serial = world.perform(apply(csr=SM2)).serial
    elsewhere = world.registration.ningbo.id
    theirs = request(subject=(("CN", "ningbo.test"),), organisation_id=elsewhere)
    world.authority.issue(replace(theirs, spki=HOLDERS[2].public_key))
    world.blocked.add(hashlib.sha256(HOLDERS[1].public_key).hexdigest())
    csr = pem(make_csr(subject=(("CN", "x"),), holder=HOLDERS[2])).decode()
    batch = bulk.upload(f'CN,csr\none.example.test,\n,"{EC}"\nningbo.test,\n,"{csr}"\ngood,\n')
    assert bulk.reasons(batch) == {
        2: f"its subject has the valid certificate {serial}",
        3: "this public key is blocked: make a new key pair",
        5: "its key has a certificate of another branch",
    }, "of the names in other branches nothing is told"
    assert bulk.state(batch) is _B.CHECKED
    unknown = bulk.upload("CN\none\ntwo\n", issuer="no-such-issuer")
    assert set(bulk.reasons(unknown).values()) == {"there is no issuer no-such-issuer"}
    assert world.issued() == 2
    world.authority.clock.advance(seconds=11 * 365 * 86_400)
    late = bulk.upload("CN\none\n")
    assert "the issuer's certificate is valid from" in (bulk.reasons(late)[2] or "")


def test_lint_of_the_authority_is_heard_before_anybody_reviews(
    bulk: DeskBulk, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = lint.Finding("pkix.planted", lint.Severity.ERROR, "pkilint", "planted")
    with monkeypatch.context() as patch:
        patch.setattr(lint, "pkix_findings", lambda _: (said,))
        batch = bulk.upload("CN,dns\na shape that nobody has seen,a.test b.test c.test\n")
    assert "pkix.planted" in (bulk.reasons(batch)[2] or "")
    with pytest.raises(Refused, match="1 rows of the batch are bad"):
        bulk.approve(batch)


def test_while_the_authority_is_away_the_batch_says_so_and_nothing_is_lost(
    bulk: DeskBulk,
) -> None:
    approved = bulk.upload(f'csr\n"{SM2}"\n')
    batch = bulk.upload(TABLE, asked=False)
    assert bulk.service.get(batch.id).comment == WAITING
    bulk.wire.breaks = 1
    with pytest.raises(Unavailable) as away:
        bulk.ask()
    bulk.asking.not_asked(str(away.value))
    bulk.world.authority.audit.events.clear()
    bulk.approve(approved)
    assert bulk.counts(approved) == {"started": 1}, "what is reviewed does not wait for it"
    waiting = bulk.service.get(batch.id)
    assert (waiting.state, waiting.comment) == (_B.CHECKING, "not asked: the line is dead")
    with pytest.raises(Conflict, match="checking"):
        bulk.service.submit(batch.id, recipient=b"", actor="wang")
    again = DeskBulk(bulk.world)
    assert again.ask() == 4
    assert again.counts(batch) == {"valid": 4}
    checked = bulk.service.get(batch.id)
    assert (checked.state, checked.comment) == (_B.CHECKED, None)


def test_what_the_authority_never_saw_is_erased_when_its_time_is_over(bulk: DeskBulk) -> None:
    batch = bulk.upload(TABLE, asked=False)
    bulk.world.authority.clock.advance(seconds=CONFIG.keep_hours * 3600 + 1)
    assert bulk.service.erase_expired() == 1
    assert (bulk.state(batch), bulk.counts(batch)) == (_B.CANCELLED, {})
    assert (bulk.ask(), bulk.service.erase_expired()) == (0, 0)


def test_a_branch_can_go_on_without_the_authority_and_the_reviewer_reads_that(
    bulk: DeskBulk,
) -> None:
    batch = bulk.upload(TABLE, asked=False)
    questions = bulk.asking.questions()
    with pytest.raises(Forbidden, match="wang's"):
        bulk.asking.go_without(batch.id, actor="li")
    bulk.asking.go_without(batch.id, actor="wang")
    bulk.worker.run()
    assert (bulk.counts(batch), bulk.service.get(batch.id).comment) == ({"valid": 4}, UNASKED)
    assert bulk.world.authority.audit.actions.count("bulk.unasked") == 1
    late = bulk.world.check.check(bulk.world.registrar, questions)
    assert bulk.asking.answered(late) == 0, "an answer that comes too late changes nothing"
    with pytest.raises(Conflict, match="checked, and 0 of its rows wait"):
        bulk.asking.go_without(batch.id, actor="wang")
    with pytest.raises(NotFound):
        bulk.asking.go_without("0" * 32, actor="wang")
    cancelled = bulk.upload("CN\nzz\n", asked=False)
    bulk.service.cancel(cancelled.id, actor="wang")
    bulk.worker.run()
    assert (bulk.ask(), bulk.counts(cancelled)) == (0, {"cancelled": 1})


def test_the_authority_may_fetch_what_it_is_asked(
    bulk: DeskBulk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ca.asking._MOST_OCTETS", 600)
    batch = bulk.upload("CN\none\ntwo\nthree\n", asked=False)
    world, parts = bulk.world, []

    def check(asked: Questions) -> Verdicts:
        parts.append(len(asked.rows))
        return world.check.check(world.registrar, asked)

    while answer(check, bulk.wire):
        pass
    bulk.worker.run()
    assert bulk.counts(batch) == {"valid": 3}
    assert parts == [2, 1], "as much as fits into one body"
    bulk.wire.answers["/ra/v1/questions"] = bulk.wire.answers["/ra/v1/checks"] = not_there
    assert answer(check, bulk.wire) == 0, "an earlier release asks nothing"
    bulk.upload("CN\nfour\n", asked=False)
    with pytest.raises(Unavailable, match="earlier release"):
        bulk.ask()


def not_there(_: object) -> None:
    raise NotFound("Not Found")


def test_a_registrar_asks_about_its_own_branch_and_profiles_only(bulk: DeskBulk) -> None:
    world, ningbo = bulk.world, bulk.world.registration.ningbo.id
    subject = ({"type": "CN", "value": "x"},)
    bodies = [
        body(**({"csr": None, "subject": subject} | changes))
        for changes in (
            {}, {"organisation": ningbo}, {"profile": "smime"}, {"subject_id": "0" * 32},
            {"subject": None},
        )
    ]  # fmt: skip
    asked = Questions(
        rows=[{"id": f"{n:032x}", "request": wanted} for n, wanted in enumerate(bodies)]
    )
    said = {int(one.id): one.reason for one in world.check.check(world.registrar, asked).rows}
    for number, words in enumerate((None, "lacks", "lacks", "subject_id", "say the subject")):
        assert (said[number] is None) if words is None else (words in (said[number] or ""))
    world.dry_run.check = not_now
    verdicts = world.check.check(world.registrar, asked)
    assert (verdicts.rows, verdicts.not_asked) == ((), "the token is away")
    batch = bulk.upload("CN\nx\n", asked=False)
    assert ask(bulk.asking, bulk.wire) == 0
    assert bulk.service.get(batch.id).comment == "not asked: the token is away"


def not_now(*_: object, **__: object) -> None:
    raise Unavailable("the token is away")


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
