"""CRLs made at once by many threads and nodes, on both databases, with the real audit chain."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography import x509

from core.audit_sql import SQLAuditLog
from core.db import Database
from tests.fakes.clock import FakeClock
from tests.unit.crl.world import World


@pytest.fixture
def world(database: Database, clock: FakeClock) -> World:
    audit = SQLAuditLog(database, clock=clock)
    audit.initialise()
    return World(database, "ec", clock=clock, audit=audit)


def test_numbers_are_published_in_strictly_growing_order(world: World):
    with ThreadPoolExecutor(8) as pool:
        made = [record.number for record in pool.map(world.generate, ["ec-issuing"] * 24)]
    events = world.audit.list_events(action="crl.published", limit=1000)
    with world.database.reading() as connection:
        rows = connection.exec_driver_sql("SELECT number FROM crls ORDER BY number").all()
    stored = [row[0] for row in rows]
    assert set(made) == set(stored)
    assert len(events) == len(stored)
    # The chain is in the order of commits, so the order of events is the order of publication.
    published = [json.loads(event.detail)["number"] for event in events]
    assert published == stored


def test_a_crl_asked_for_after_a_revocation_lists_it_on_every_node(world: World):
    nodes = [world.make_schedule() for _ in range(3)]
    issued = [world.issue("ec-issuing") for _ in range(12)]

    def revoke(number: int) -> bool:
        world.revoke(issued[number])
        crl = x509.load_der_x509_crl(nodes[number % 3].current("ec-issuing").der)
        return crl.get_revoked_certificate_by_serial_number(issued[number].serial) is not None

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(revoke, range(12)))
    assert nodes[0].current("ec-issuing").entries == 12
