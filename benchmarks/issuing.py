"""What issuing costs beside its own cryptographic operations, in the same run.

    PYTHONPATH=. .venv/bin/python benchmarks/issuing.py [ROWS]

Processor time of this process, in milliseconds a certificate. Its cryptography is measured where
it happens, in the same run, and is exactly this: the calls of libcrypto that sign and verify, and
that make a key or check that a point is on its curve; every hash (SM3 of what is signed and of the
audit chain, SHA-1 and SHA-256 of key identifiers and fingerprints); and, for keys of ours, SM4 and
the PKCS#12 files. Everything else (parsing, profile, TBS, lint, two durable commits a group, rows
of the batch) is the difference.
"""

from __future__ import annotations

import base64
import gc
import hashlib
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ca.bulk import ItemState
from ca.contents import IssuanceRequest
from ca.issuance import issue_certificate
from ca.names import encode_name
from core import der
from core.collector import settle
from keystore import holdersafe, sm2, sm4, softkey
from keystore.algorithms import KeyAlgorithm, SignatureAlgorithm
from yinxin.settings import load_settings
from yinxin.state import prepare_state
from yinxin.wiring import Service, open_ground, open_service

ISSUER = "sm2-issuing"
_CRYPTOGRAPHY = (
    (sm2, "_load"),
    (sm2, "_public"),
    (sm2, "_consistent"),
    (hashlib, "new"),  # SM3
    (hashlib, "sha1"),
    (hashlib, "sha256"),
    (sm2._Contexts, "use"),  # noqa: SLF001  (where libcrypto is called)
    (sm2.PrivateKey, "generate"),
    (sm4, "seal"),
    (sm4, "unseal"),
    (holdersafe, "encode_pkcs12"),
)


class Meter:
    """Adds up the processor time of what it is put around; inner calls count once."""

    def __init__(self) -> None:
        self.seconds, self._depth = 0.0, 0

    def put_around(self, owner: object, name: str) -> None:
        real = getattr(owner, name)

        def call(*arguments: Any, **named: Any) -> Any:
            self._depth += 1
            start = time.thread_time()
            try:
                return real(*arguments, **named)
            finally:
                self._depth -= 1
                if self._depth == 0:
                    self.seconds += time.thread_time() - start

        setattr(owner, name, call)


METER = Meter()


def measure(what: str, times: int, act: Callable[[], object]) -> None:
    before, start = METER.seconds, time.process_time()
    act()
    all_ = 1000 * (time.process_time() - start) / times
    own = 1000 * (METER.seconds - before) / times
    print(f"| {what} | {all_:.2f} | {own:.2f} | {all_ / own:.2f} |", flush=True)


def csr(name: str, key: sm2.PrivateKey) -> bytes:
    info = der.sequence(
        b"\x02\x01\x00", encode_name((("CN", name),)), key.public_key, der.wrap(0xA0)
    )
    return der.signed_object(info, SignatureAlgorithm.SM2_SM3.identifier, key.sign(info))


def issue(service: Service, name: str, spki: bytes, profile: str = "device") -> bytes:
    authority = service.authority
    return issue_certificate(
        IssuanceRequest(spki=spki, subject=(("CN", name),), requester="benchmark"),
        profile=authority.profiles[profile],
        issuer=service.issuers[ISSUER],
        store=authority.store,
        transactions=authority.transactions,
        audit=authority.audit,
        clock=authority.clock,
    ).der


def in_bulk(service: Service, what: str, table: str, rows: int, recipient: bytes) -> None:
    bulk = service.bulk
    batch = bulk.service.upload(
        table.encode(), profile="device", issuer=ISSUER, label="", key_algorithm=None,
        organisation=None, actor="alice",
    )  # fmt: skip

    def run() -> None:
        bulk.worker.run()
        bulk.service.submit(batch.id, recipient=recipient, actor="alice")
        bulk.service.approve(batch.id, actor="bob")
        bulk.worker.run()

    measure(f"{rows} in bulk, {what}: dry run and issuing", rows, run)
    if bulk.service.count_items(batch.id) != {ItemState.ISSUED: rows}:
        sys.exit("not every row was issued")


def main(rows: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        service = open_service(
            open_ground(load_settings(None), prepare_state(Path(directory) / "var"))
        )
        keys = [softkey.generate(KeyAlgorithm.SM2) for _ in range(rows)]
        requests = [csr(f"csr-{n}.example.test", key.private) for n, key in enumerate(keys)]
        recipient = issue(
            service, "to", softkey.generate(KeyAlgorithm.SM2).public_key, "device-dual-encryption"
        )
        for owner, name in _CRYPTOGRAPHY:
            METER.put_around(owner, name)
        gc.collect()
        settle()  # as a service does when it is ready
        print("| what | ms a certificate | its cryptography | ratio |\n|---|---|---|---|")

        others = [softkey.generate(KeyAlgorithm.SM2).public_key for _ in range(50)]

        def singles() -> None:
            for number in range(500):
                issue(service, f"single-{number}", others[number % 50])

        measure("one at a time, in process", 500, singles)
        table = "csr\n" + "".join(f"{base64.b64encode(one).decode()}\n" for one in requests)
        in_bulk(service, "with CSRs", table, rows, recipient)
        table = "CN\n" + "".join(f"soft-{n}.example.test\n" for n in range(rows))
        in_bulk(service, "with keys of ours", table, rows, recipient)
        service.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
