"""The key management centre: pools, assignment, recovery under dual control."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from pydantic import ValidationError
from sqlalchemy import text

from core.db import Database
from core.errors import (
    BackendUnavailable,
    Conflict,
    Forbidden,
    Malformed,
    Misconfigured,
    NotFound,
    Unavailable,
)
from keystore import keyref, sm2, sm2_forms
from keystore.algorithms import KeyAlgorithm
from keystore.envelope import decode_enveloped_key, open_envelope
from keystore.escrow.centre import KeyManagementCentre
from keystore.escrow.config import KeyManagementConfig
from keystore.escrow.identity import IdentityKeys
from keystore.escrow.recovery import RecoveryService
from keystore.escrow.resealing import Resealing
from keystore.escrow.sqlstore import SQLEscrowStore
from keystore.escrow.store import KeyState, Recovery, RecoveryKind, RecoveryState
from keystore.escrow.vault import Vault
from tests.fakes.audit import MemoryAuditLog
from tests.fakes.clock import FakeClock
from tests.fakes.keys import MemoryKeyBackend

REF = keyref.parse("memory:object=storage")
SIGNING = keyref.parse("memory:object=signing")
TRANSPORT = keyref.parse("memory:object=transport")
HOLDER = sm2.PrivateKey.generate()
AUTHORITY = sm2.PrivateKey.generate()
CONFIG = KeyManagementConfig(
    storage_key="memory:object=storage", standby_minimum=2, standby_target=5, recovery_hours=24
)


class World:
    def __init__(self, database: Database, clock: FakeClock, audit: MemoryAuditLog) -> None:
        self.database, self.clock, self.audit = database, clock, audit
        self.keystore = MemoryKeyBackend()
        self.store = SQLEscrowStore(database)
        self.vault = Vault(self.keystore, REF)
        common = {"config": CONFIG, "transactions": database, "audit": audit, "clock": clock}
        self.identity = IdentityKeys(
            self.keystore, self.store, signing_key=SIGNING, transport_key=TRANSPORT, clock=clock
        )
        self.centre = KeyManagementCentre(self.store, self.vault, self.identity, **common)
        self.centre.prepare()
        self.recoveries = RecoveryService(self.store, self.store, self.vault, **common)

    def assign(self, request_id: str = "r1", holder: sm2.PrivateKey = HOLDER) -> sm2.PrivateKey:
        assigned = self.centre.assign(
            request_id,
            algorithm=KeyAlgorithm.SM2,
            signing_key=holder.public_key,
            actor="alice",
        )
        opened = open_envelope(decode_enveloped_key(assigned.enveloped), holder.decrypt)
        assert opened.public_key == assigned.public_key
        return opened

    def ask(self, key: sm2.PrivateKey) -> Recovery:
        return self.recoveries.request(
            RecoveryKind.JUDICIAL,
            fingerprint=hashlib.sha256(key.public_key).hexdigest(),
            recipient=AUTHORITY.public_key,
            reason="a court order",
            actor="judge",
        )


@pytest.fixture
def world(sqlite_database: Database, clock: FakeClock, audit: MemoryAuditLog) -> World:
    return World(sqlite_database, clock, audit)


# ---- pools --------------------------------------------------------------------------------------


def test_the_pool_is_filled_to_its_target_when_it_is_below_its_minimum(world: World) -> None:
    assert world.centre.refill() == 5
    assert world.centre.refill() == 0
    for number in range(3):
        world.assign(f"r{number}")
    assert world.centre.count_keys()[KeyState.STANDBY] == 2
    assert world.centre.refill() == 0
    world.assign("r3")
    assert world.centre.refill() == 4
    assert world.audit.actions.count("escrow-key.generated") == 9


def test_a_large_pool_is_filled_in_several_transactions(world: World) -> None:
    large = KeyManagementConfig(standby_minimum=60, standby_target=60)
    centre = KeyManagementCentre(
        world.store,
        world.vault,
        world.identity,
        config=large,
        transactions=world.database,
        audit=world.audit,
        clock=world.clock,
    )
    assert centre.refill() == 60
    assert centre.count_keys()[KeyState.STANDBY] == 60


def test_an_empty_pool_makes_nobody_wait(world: World) -> None:
    world.assign()
    assert world.audit.actions == [
        "escrow-key.generated",
        "escrow-key.assigned",
        "escrow-key.enveloped",
    ]


def test_a_request_gets_the_same_key_again_and_another_request_never_does(world: World) -> None:
    world.centre.refill()
    first, again, other = world.assign(), world.assign(), world.assign("r2")
    assert first.pkcs8() == again.pkcs8() != other.pkcs8()
    with pytest.raises(Conflict, match="another signing key"):
        world.assign(holder=AUTHORITY)


def test_a_retired_key_is_not_given_out_again(world: World) -> None:
    world.assign()
    world.centre.retire("r1")
    world.centre.retire("r1")
    assert world.audit.actions.count("escrow-key.retired") == 1
    with pytest.raises(Conflict, match="history"):
        world.assign()


def test_no_private_key_is_in_the_database_or_the_audit_log(
    world: World, tmp_path: Path, audit: MemoryAuditLog
) -> None:
    keys = [world.assign(f"r{number}") for number in range(4)]
    with world.database.transaction() as connection:
        connection.execute(text("SELECT 1"))
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    for key in keys:
        scalar, _ = sm2_forms.decode_pkcs8(key.pkcs8())
        octets = scalar.to_bytes(32, "big")
        assert key.public_key in stored, "the search looks at the right files"
        for secret in (octets, octets.hex().encode(), octets.hex().upper().encode()):
            assert secret not in stored
            assert secret not in repr(audit.events).encode()


# ---- the storage key ----------------------------------------------------------------------------


def test_a_lost_storage_key_is_never_replaced(world: World) -> None:
    world.assign()
    world.keystore.destroy(REF)
    world.centre.prepare()
    assert world.keystore.find(REF) is None
    with pytest.raises(BackendUnavailable, match="does not open"):
        world.assign()
    with pytest.raises(BackendUnavailable, match="is missing"):
        world.assign("r2")


def test_another_storage_key_takes_over_key_by_key(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keystore.escrow.resealing._AT_ONCE", 2)
    keys = {number: world.assign(f"r{number}").public_key for number in range(5)}
    vault = Vault(world.keystore, keyref.parse("memory:object=storage-2"))
    common = {"transactions": world.database, "audit": world.audit}
    centre = KeyManagementCentre(
        world.store, vault, world.identity, config=CONFIG, clock=world.clock, **common
    )
    centre.prepare()
    resealing = Resealing(world.store, vault, **common)
    before = resealing.left()
    assert before >= 5
    world.audit.broken = True
    with pytest.raises(Unavailable):
        resealing.go_on(actor="root")
    assert resealing.left() == before, "no key moves without its event"
    world.audit.broken = False
    assert resealing.go_on(actor="root") == 2
    assert world.assign("r0").public_key == keys[0], "old and new open side by side"
    assert world.assign("r4").public_key == keys[4]
    while resealing.go_on(actor="root"):
        pass
    assert resealing.left() == 0
    assert world.audit.actions.count("escrow-key.resealed") == before
    world.keystore.destroy(REF)
    for number, public_key in keys.items():
        assert world.assign(f"r{number}").public_key == public_key
    assert centre.count_keys() == world.centre.count_keys()


def test_a_storage_key_that_does_not_decrypt_is_refused_at_start(world: World) -> None:
    world.keystore.destroy(REF)
    world.keystore.generate(REF, KeyAlgorithm.EC_P256)
    with pytest.raises(Misconfigured, match="does not serve as a storage key"):
        world.vault.prepare(in_use=True)


def test_rows_cannot_be_swapped(world: World) -> None:
    world.assign("r1")
    world.assign("r2")
    with world.database.transaction() as connection:
        one, two = connection.execute(
            text("SELECT id, wrapped_key, ciphertext FROM escrow_keys ORDER BY number")
        ).all()
        for target, source in ((one, two), (two, one)):
            connection.execute(
                text("UPDATE escrow_keys SET wrapped_key = :w, ciphertext = :c WHERE id = :i"),
                {"w": source.wrapped_key, "c": source.ciphertext, "i": target.id},
            )
    with pytest.raises(BackendUnavailable, match="does not open"):
        world.assign("r1")


def test_settings_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValidationError, match="more than standby_target"):
        KeyManagementConfig(standby_minimum=9, standby_target=8)
    with pytest.raises(ValidationError, match="key reference"):
        KeyManagementConfig(storage_key="nonsense")
    with pytest.raises(ValidationError, match="more than rsa_standby_target"):
        KeyManagementConfig(rsa_standby_minimum=9, rsa_standby_target=8)
    with pytest.raises(ValidationError, match="three different keys"):
        KeyManagementConfig(signing_key="software:object=km-storage-1")


# ---- recovery -----------------------------------------------------------------------------------


def test_two_officers_and_then_one_delivery(world: World) -> None:
    key = world.assign()
    asked = world.ask(key)
    assert world.recoveries.approve(asked.id, actor="o1").state is RecoveryState.REQUESTED
    with pytest.raises(Conflict, match="requested"):
        world.recoveries.deliver(asked.id, actor="judge")
    approved = world.recoveries.approve(asked.id, actor="o2")
    assert (approved.state, approved.approvers) == (RecoveryState.APPROVED, ("o1", "o2"))
    with pytest.raises(Conflict, match="approved"):
        world.recoveries.approve(asked.id, actor="o3")
    with pytest.raises(Forbidden, match="who asked"):
        world.recoveries.deliver(asked.id, actor="o1")
    given = world.recoveries.deliver(asked.id, actor="judge")
    opened = open_envelope(decode_enveloped_key(given), AUTHORITY.decrypt)
    assert opened.pkcs8() == key.pkcs8()
    with pytest.raises(Conflict, match="delivered"):
        world.recoveries.deliver(asked.id, actor="judge")
    assert [action for action in world.audit.actions if "recovery" in action] == [
        "escrow-recovery.requested",
        "escrow-recovery.approved",
        "escrow-recovery.approved",
        "escrow-recovery.delivered",
    ]


def test_the_requester_does_not_approve_and_nobody_approves_twice(world: World) -> None:
    asked = world.ask(world.assign())
    with pytest.raises(Forbidden, match="cannot approve"):
        world.recoveries.approve(asked.id, actor="judge")
    world.recoveries.approve(asked.id, actor="o1")
    with pytest.raises(Conflict, match="o1 has approved"):
        world.recoveries.approve(asked.id, actor="o1")
    assert world.recoveries.get(asked.id).state is RecoveryState.REQUESTED


def test_a_recovery_expires(world: World) -> None:
    asked = world.ask(world.assign())
    for officer in ("o1", "o2"):
        world.recoveries.approve(asked.id, actor=officer)
    world.clock.advance(hours=24)
    assert world.recoveries.list_recoveries()[0].state is RecoveryState.EXPIRED
    with pytest.raises(Conflict, match="expired"):
        world.recoveries.deliver(asked.id, actor="judge")


def test_a_rejected_recovery_is_over(world: World) -> None:
    asked = world.ask(world.assign())
    rejected = world.recoveries.reject(asked.id, actor="o1")
    assert (rejected.state, rejected.rejected_by) == (RecoveryState.REJECTED, "o1")
    with pytest.raises(Conflict, match="rejected"):
        world.recoveries.approve(asked.id, actor="o2")


def test_a_delivery_that_fails_may_be_tried_again(world: World) -> None:
    asked = world.ask(world.assign())
    for officer in ("o1", "o2"):
        world.recoveries.approve(asked.id, actor=officer)
    world.keystore.broken = True
    with pytest.raises(BackendUnavailable):
        world.recoveries.deliver(asked.id, actor="judge")
    world.keystore.broken = False
    assert world.recoveries.deliver(asked.id, actor="judge")


def test_a_key_in_history_can_be_recovered_and_one_on_standby_cannot(world: World) -> None:
    key = world.assign()
    world.centre.retire("r1")
    assert world.ask(key).state is RecoveryState.REQUESTED
    world.centre.refill()
    with world.database.reading() as connection:
        waiting = connection.execute(
            text("SELECT spki_fingerprint FROM escrow_keys WHERE state = 'standby'")
        ).scalars()
        fingerprint = next(iter(waiting))
    with pytest.raises(NotFound):
        world.recoveries.request(
            RecoveryKind.USER,
            fingerprint=fingerprint,
            recipient=AUTHORITY.public_key,
            reason="x",
            actor="a",
        )
    with pytest.raises(NotFound):
        world.recoveries.get("0" * 32)


def test_a_recipient_is_a_point_of_the_curve(world: World) -> None:
    key = world.assign()
    with pytest.raises(Malformed):
        world.recoveries.request(
            RecoveryKind.USER,
            fingerprint=hashlib.sha256(key.public_key).hexdigest(),
            recipient=b"\x30\x00",
            reason="x",
            actor="a",
        )


def test_a_request_that_is_asked_for_twice_at_once_has_one_key(world: World) -> None:
    first, find = world.assign("twice"), world.store.find_by_request

    def too_early(_: str) -> None:
        world.store.find_by_request = find

    world.store.find_by_request = too_early
    assert world.assign("twice").public_key == first.public_key
    assert world.centre.count_keys()[KeyState.IN_USE] == 1


def test_a_recovery_needs_as_many_officers_as_the_settings_say_and_never_fewer_than_two(
    world: World,
) -> None:
    three = CONFIG.model_copy(update={"recovery_approvals": 3})
    recoveries = RecoveryService(
        world.store,
        world.store,
        world.vault,
        config=three,
        transactions=world.database,
        audit=world.audit,
        clock=world.clock,
    )
    asked = world.ask(world.assign())
    for officer in ("o1", "o2"):
        assert recoveries.approve(asked.id, actor=officer).state is RecoveryState.REQUESTED
    with pytest.raises(Conflict, match="requested"):
        recoveries.deliver(asked.id, actor="judge")
    assert recoveries.approve(asked.id, actor="o3").state is RecoveryState.APPROVED
    with pytest.raises(ValidationError, match="greater than or equal to 2"):
        KeyManagementConfig(recovery_approvals=1)
