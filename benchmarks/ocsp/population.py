"""Certificates by the million, as rows: what OCSP reads of them, and no signature of the CA's."""

from __future__ import annotations

import hashlib
import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import insert

from benchmarks.main_job import issue
from ca.serials import to_hex
from ca.store import CertificateState
from ca.tables import certificates
from core import der
from keystore import keyref
from keystore.algorithms import KeyAlgorithm
from yinxin.settings import load_settings
from yinxin.state import prepare_state
from yinxin.wiring import open_ground, open_service

ISSUER = "rsa-issuing"
_BATCH = 10_000
_EMPTY = b"\x30\x00"


def serial(number: int) -> int:
    """The serial number of the n-th certificate: 20 octets, without an order."""
    digest = hashlib.sha256(number.to_bytes(8, "big")).digest()
    return 1 << 158 | int.from_bytes(digest[:19], "big")


def populate(state: Path, count: int) -> bytes:
    """Make an authority with `count` certificates under `state`; return the issuer's, DER."""
    ground = open_ground(load_settings(None), prepare_state(state))
    service = open_service(ground)
    service.ensure_delegates()
    issuer = service.issuers[ISSUER].certificate
    key = service.keystore.generate(keyref.make("software", object="one"), KeyAlgorithm.EC_P256)
    # Revoking reads the TBS octets: they are those of this one.
    tbs = der.split_signed(issue(service, ISSUER, key.public_key), what="the certificate")[0]
    now = datetime.now(UTC).replace(microsecond=0)
    numbers = iter(range(count))
    while batch := list(itertools.islice(numbers, _BATCH)):
        with ground.database.transaction() as connection:
            connection.execute(insert(certificates), [_row(number, now, tbs) for number in batch])
    service.close()
    return issuer


def _row(number: int, now: datetime, tbs: bytes) -> dict[str, object]:
    fingerprint = f"{number:064x}"
    return {
        "issuer": ISSUER,
        "serial": to_hex(serial(number)),
        "state": CertificateState.ISSUED,
        "profile": "device",
        "subject": "CN=benchmark",
        "not_before": now - timedelta(days=1),
        "not_after": now + timedelta(days=365),
        "tbs": tbs,
        "der": _EMPTY,
        "fingerprint": fingerprint,
        "spki_fingerprint": fingerprint,
        "requester": "benchmark",
        "reserved_at": now,
        "issued_at": now,
    }
