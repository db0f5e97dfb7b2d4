"""A long CRL beside `cryptography`'s builder: python -m benchmarks.long_crl [entries, 1000000].

Both make a CRL of the same entries, signed with ECDSA on P-256, in the same run. What counts is
processor time: join and hash and sign, and, as the service does, verify and store.
"""

from __future__ import annotations

import hashlib
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from ca.bootstrap import NewIssuer, create_root
from ca.distribution import Scope
from ca.profiles import load_profiles
from ca.reasons import RevocationReason
from ca.serials import SerialNumber
from ca.sqlstore import SQLCertificateStore
from ca.store import Changed, RevokedEntry
from core.audit_sql import SQLAuditLog
from core.clock import SystemClock
from core.db import open_database
from crl.config import CRLConfig
from crl.generation import CRLGenerator
from crl.sqlsegments import SQLSegmentStore
from crl.sqlstore import SQLCRLStore
from keystore import keyref
from keystore.algorithms import KeyAlgorithm
from tests.fakes.keys import MemoryKeyBackend
from yinxin.schema import upgrade

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
REASONS = (
    RevocationReason.UNSPECIFIED,
    RevocationReason.KEY_COMPROMISE,
    RevocationReason.SUPERSEDED,
    RevocationReason.CESSATION_OF_OPERATION,
)


class Revocations:
    """A log of so many revocations, made up as it is read."""

    def __init__(self, count: int) -> None:
        self.count = count

    def revocation_position(self, _issuer: str) -> int:
        return self.count

    def list_changed(self, _issuer: str, *, after: int, limit: int) -> Sequence[Changed]:
        return [_changed(at) for at in range(after + 1, min(after + limit, self.count) + 1)]


def _changed(position: int) -> Changed:
    digest = hashlib.sha1(position.to_bytes(8, "big"), usedforsecurity=False).digest()
    serial = SerialNumber(1 << 158 | int.from_bytes(digest, "big") >> 2)
    at = BEGIN + timedelta(seconds=position % 20_000_000)
    entry = RevokedEntry(serial, at, REASONS[position % 4])
    return Changed(position, serial, at, at + timedelta(days=9000), entry)


def timed(what: str, act: Callable[[], object]) -> tuple[object, float]:
    wall, used = time.perf_counter(), time.process_time()
    result = act()
    used, wall = time.process_time() - used, time.perf_counter() - wall
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{what:58} {used:8.2f} s processor {wall:8.2f} s  peak {memory:6} MiB", flush=True)
    return result, used


def builder(count: int) -> bytes:
    """Make the same CRL the way of the library's documentation."""
    flags = {flag.value: flag for flag in x509.ReasonFlags}
    revoked = []
    for position in range(1, count + 1):
        entry = _changed(position).entry
        assert entry is not None  # noqa: S101
        one = x509.RevokedCertificateBuilder(entry.serial, entry.revoked_at)
        if entry.reason is not RevocationReason.UNSPECIFIED:
            one = one.add_extension(x509.CRLReason(flags[entry.reason.value]), critical=False)
        revoked.append(one.build())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "root")])
    # The list at once: adding one by one copies it every time.
    made = x509.CertificateRevocationListBuilder(
        name, BEGIN, BEGIN + timedelta(days=7), [], revoked
    ).sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return made.public_bytes(Encoding.DER)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as directory:
        database = open_database(f"sqlite:///{directory}/crl.sqlite3")
        upgrade(database)
        clock, keys = SystemClock(), MemoryKeyBackend()
        audit = SQLAuditLog(database, clock=clock)
        audit.initialise()
        common = {"transactions": database, "audit": audit, "clock": clock}
        key = keyref.make("memory", object="root")
        issuer = create_root(
            NewIssuer(
                "root", (("C", "CN"), ("O", "某省"), ("CN", "root")), KeyAlgorithm.EC_P256, key
            ),
            profile=load_profiles()["root"],
            revocation_url="http://pki.example.test",
            keystore=keys,
            store=SQLCertificateStore(database),
            **common,
        )
        source, segments = Revocations(count), SQLSegmentStore(database)
        generator = CRLGenerator(
            source=source,
            store=SQLCRLStore(database),
            segments=segments,
            partitionings=segments,
            config=CRLConfig(),
            **common,
        )
        timed(f"take in {count} revocations (once)", lambda: generator.follow("root"))
        timed("  join them", lambda: segments.join_lines(Scope("root")))
        _, ours = timed("CRL: join, hash, sign, verify, store", lambda: make(generator, issuer))
        source.count += 100
        timed("CRL after 100 more", lambda: make(generator, issuer))
        _, theirs = timed("cryptography: build the entries, sign", lambda: builder(count))
        print(f"ratio {theirs / ours:.1f}")


def make(generator: CRLGenerator, issuer: object) -> int:
    record = generator.complete(issuer, Scope("root"))  # type: ignore[arg-type]
    print(f"  number {record.number}, {record.entries} entries, {len(record.der)} octets")
    return record.entries


if __name__ == "__main__":
    main()
