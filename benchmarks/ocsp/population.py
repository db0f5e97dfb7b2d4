"""Certificates by the million, as rows: what OCSP reads of them, and no signature of the CA's."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import insert

from benchmarks.main_job import issue
from core import der
from core.db import metadata
from keystore import keyref
from keystore.algorithms import KeyAlgorithm
from yinxin.settings import load_settings
from yinxin.state import prepare_state
from yinxin.wiring import open_ground, open_service

ISSUER = "rsa-issuing"
_RANDOM_BITS = 158


def serial(number: int) -> int:
    """The serial number of the n-th certificate: 20 octets, without an order, like ours."""
    digest = hashlib.sha256(number.to_bytes(8, "big")).digest()
    return 1 << _RANDOM_BITS | int.from_bytes(digest[:20], "big") & (1 << _RANDOM_BITS) - 1


def populate(state: Path, count: int) -> bytes:
    """Make an authority with `count` certificates under `state`; return the issuer's, DER."""
    ground = open_ground(load_settings(None), prepare_state(state))
    service = open_service(ground)
    service.ensure_delegates()
    issuer = service.issuers[ISSUER].certificate
    key = service.keystore.generate(keyref.make("software", object="one"), KeyAlgorithm.EC_P256)
    # Revoking reads the TBS octets: they are those of this one.
    tbs = der.split_signed(issue(service, ISSUER, key.public_key), what="the certificate")[0]
    path = ground.database.engine.url.database
    service.close()
    with closing(sqlite3.connect(str(path), isolation_level=None)) as connection:
        for setting in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -1000000"):
            connection.execute(f"PRAGMA {setting}")
        with _bare(connection):
            connection.execute("BEGIN")
            connection.executemany(_INSERT, _rows(count, tbs))
            connection.execute(_LOG)
            connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = WAL")
    return issuer


def populate_some(state: Path, count: int) -> bytes:
    """Do the same on any database, row by row with everything that goes with it."""
    ground = open_ground(load_settings(None), prepare_state(state))
    service = open_service(ground)
    service.ensure_delegates()
    issuer = service.issuers[ISSUER].certificate
    key = service.keystore.generate(keyref.make("software", object="one"), KeyAlgorithm.EC_P256)
    tbs = der.split_signed(issue(service, ISSUER, key.public_key), what="the certificate")[0]
    now = ground.clock.now()
    with ground.database.engine.begin() as connection:
        connection.execute(
            insert(metadata.tables["certificates"]),
            [
                {
                    "serial": f"{serial(number):040x}",
                    "not_before": now - timedelta(days=1),
                    "not_after": now + timedelta(days=365),
                    "tbs": tbs,
                    "der": b"\x30\x00",
                    "fingerprint": f"{number:064x}",
                    "spki_fingerprint": f"{number:064x}",
                    "reserved_at": now,
                    "issued_at": now,
                    "issuer": ISSUER,
                    "state": "issued",
                    "profile": "device",
                    "subject": "CN=benchmark",
                    "requester": "benchmark",
                }
                for number in range(count)
            ],
        )
    service.close()
    return issuer


def _rows(count: int, tbs: bytes) -> Iterator[tuple[object, ...]]:
    now = datetime.now(UTC).replace(microsecond=0)
    before, at, after = (
        (now + timedelta(days=days)).strftime("%Y-%m-%d %H:%M:%S.000000") for days in (-1, 0, 365)
    )
    for number in range(count):
        print_ = f"{number:064x}"
        yield f"{serial(number):040x}", before, after, tbs, print_, print_, at, at


@contextmanager
def _bare(connection: sqlite3.Connection) -> Iterator[None]:
    """Without indexes and triggers, which are made again at the end, all at once."""
    made = connection.execute(
        "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL"
        " AND type IN ('index', 'trigger') AND tbl_name IN ('certificates', 'status_log')"
    ).fetchall()
    for kind, name, _ in made:
        connection.execute(f"DROP {kind} {name}")
    yield
    for _, _, statement in made:
        connection.execute(statement)


_INSERT = """INSERT INTO certificates (serial, not_before, not_after, tbs, fingerprint,
    spki_fingerprint, reserved_at, issued_at, issuer, state, profile, subject, der, requester)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'rsa-issuing', 'issued', 'device', 'CN=benchmark', x'3000',
    'benchmark')"""
# What the trigger writes, in the order of the certificates.
_LOG = """INSERT INTO status_log (mark, issuer, serial, state, not_after)
    SELECT random(), issuer, serial, state, not_after FROM certificates
    WHERE requester = 'benchmark' ORDER BY id"""
