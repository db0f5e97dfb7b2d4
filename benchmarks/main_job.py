"""Issuing and OCSP in one process, beside the limit that key and disk set, in the same run.

    PYTHONPATH=. .venv/bin/python benchmarks/main_job.py

Prints a Markdown table. Each figure is operations a second on one thread; the ratio is ours over
the limit of the same run: signatures a second of the same key, or (for issuing) what signing and
two durable commits of SQLite would allow together.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from ca.contents import IssuanceRequest
from ca.issuance import issue_certificate
from core import der
from keystore import keyref
from keystore.algorithms import KeyAlgorithm
from yinxin.local_status import open_keeper
from yinxin.settings import load_settings
from yinxin.state import prepare_state
from yinxin.wiring import Service, open_ground, open_service

SECONDS = 3.0


def rate(act: Callable[[], object], seconds: float = SECONDS) -> float:
    act()
    done, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        act()
        done += 1
    return done / elapsed


def commits(service: Service) -> float:
    """Durable commits a second: one audit event each."""
    audit = service.ground.audit
    return rate(lambda: audit.record("benchmark.run", actor="benchmark", detail={}))


def issue(service: Service, issuer: str, spki: bytes) -> bytes:
    authority = service.authority
    return issue_certificate(
        IssuanceRequest(
            spki=spki, subject=(("C", "CN"), ("CN", "benchmark")), requester="benchmark"
        ),
        profile=authority.profiles["device"],
        issuer=service.issuers[issuer],
        store=authority.store,
        transactions=authority.transactions,
        audit=authority.audit,
        clock=authority.clock,
    ).der


def ocsp_request(service: Service, issuer: str, certificate: bytes, nonce: bytes | None) -> bytes:
    """A request with a SHA-1 CertID, as most clients send it."""
    serial = x509.load_der_x509_certificate(certificate).serial_number
    by = service.issuers[issuer]
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
        hashlib.sha1(by.subject, usedforsecurity=False).digest(),
        hashlib.sha1(by.public_key_bits, usedforsecurity=False).digest(),
        serial,
        hashes.SHA1(),  # noqa: S303
    )
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        ground = open_ground(load_settings(None), prepare_state(Path(directory) / "var"))
        service = open_service(ground)
        keeper = open_keeper(service)
        service.ensure_delegates()
        disk = commits(service)
        print(f"durable commits with one audit event: {disk:.0f}/s\n")
        print("| what | ours /s | limit /s | ratio |\n|---|---|---|---|")
        for issuer, algorithm in (
            ("sm2-issuing", KeyAlgorithm.SM2),
            ("rsa-issuing", KeyAlgorithm.EC_P256),
        ):
            info = service.keystore.generate(
                keyref.make("software", object=issuer + "-b"), algorithm
            )
            signer = service.issuers[issuer].signer
            tbs = der.split_signed(issue(service, issuer, info.public_key), what="it")[0]
            limit = 1 / (1 / rate(lambda: signer.sign(tbs)) + 2 / disk)  # noqa: B023
            ours = rate(lambda: issue(service, issuer, info.public_key))  # noqa: B023
            print(f"| issue, {issuer} | {ours:.0f} | {limit:.0f} | {ours / limit:.2f} |")
            certificate = issue(service, issuer, info.public_key)
            keeper.follower.follow()
            by = keeper.responder
            cached = ocsp_request(service, issuer, certificate, None)
            fresh = ocsp_request(service, issuer, certificate, bytes(range(16)))
            ours = rate(lambda: by.answer(cached))  # noqa: B023
            print(f"| OCSP answer, cached, {issuer} | {ours:.0f} | - | - |")
            delegate = next(
                key for key in service.keystore.list_keys() if f"ocsp-{issuer}-" in key.ref
            )
            limit = rate(lambda: service.keystore.signer(delegate.ref).sign(tbs))  # noqa: B023
            ours = rate(lambda: by.answer(fresh))  # noqa: B023
            print(
                f"| OCSP answer, signed, {issuer} | {ours:.0f} | {limit:.0f} | {ours / limit:.2f} |"
            )
        service.close()


if __name__ == "__main__":
    main()
