"""kill -9 in the middle of fifty issuances a second: nothing acknowledged is lost or doubled."""

from __future__ import annotations

import hashlib
import json
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPSConnection
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.service import Service

PER_SECOND = 50
SECONDS = 20
CALLERS = 4
REVOKE_EVERY = 5

PROFILE = """
name = "load"
title = "Issued at once, for the load test"
needs_approval = false
key_algorithms = ["ec-p256"]
validity_days = 30
maximum_validity_days = 30
extended_key_usage = ["1.3.6.1.5.5.7.3.2"]

[key_usage]
default = ["digitalSignature"]

[subject]
required = ["CN"]
optional = ["C"]
"""


def requests() -> list[str]:
    key = ec.generate_private_key(ec.SECP256R1())
    made = []
    for number in range(PER_SECOND * SECONDS):
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"device-{number:04d}")])
        csr = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
        made.append(csr.public_bytes(Encoding.PEM).decode())
    return made


@dataclass
class Load:
    """Callers that submit every request until it is acknowledged, and revoke every fifth."""

    service: Service
    token: str
    csrs: list[str]
    issued: dict[int, str] = field(default_factory=dict)
    revoked: set[str] = field(default_factory=set)
    interrupted: int = 0
    started: float = 0.0

    def run(self, disturb: Callable[[], None]) -> None:
        self.started = time.monotonic()
        callers = [threading.Thread(target=self.call, args=(n,)) for n in range(CALLERS)]
        for caller in callers:
            caller.start()
        disturb()
        for caller in callers:
            caller.join()

    def call(self, caller: int) -> None:
        connection: HTTPSConnection | None = None
        for number in range(caller, len(self.csrs), CALLERS):
            time.sleep(max(0.0, self.started + number / PER_SECOND - time.monotonic()))
            while number not in self.issued:
                try:
                    connection = connection or self.connect()
                    self.submit(connection, number)
                except (OSError, HTTPException):
                    # The key makes the repetition safe, whatever happened to the first call.
                    self.interrupted += 1
                    if connection is not None:
                        connection.close()
                    connection = None
                    time.sleep(0.2)
        if connection is not None:
            connection.close()

    def connect(self) -> HTTPSConnection:
        context = ssl.create_default_context(cafile=self.service.root)
        return HTTPSConnection("localhost", self.service.https_port, context=context, timeout=30)

    def submit(self, connection: HTTPSConnection, number: int) -> None:
        body = {"csr": self.csrs[number], "profile": "load", "issuer": "rsa-issuing"}
        answer = self.post(connection, "/requests", body, f"load-{number}")
        serial = answer["certificate"]["serial"]
        if number % REVOKE_EVERY == 0:
            where = f"/certificates/rsa-issuing/{serial}/revoke"
            self.post(connection, where, {"reason": "superseded"}, None)
            self.revoked.add(serial)
        self.issued[number] = serial

    def post(self, connection: HTTPSConnection, path: str, body: object, key: str | None) -> dict:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        if key is not None:
            headers["Idempotency-Key"] = key
        connection.request("POST", f"/api/v1{path}", json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status not in (200, 201):
            raise HTTPException(f"{answer.status} {text[:300]!r}")
        return json.loads(text)


def test_a_power_cut_under_load_loses_nothing(tmp_path: Path) -> None:
    profiles = tmp_path / "profiles"
    profiles.mkdir()
    (profiles / "load.toml").write_text(PROFILE)
    service = Service(
        tmp_path / "var", environment={"YINXIN_CA__PROFILES_DIRECTORY": str(profiles)}
    ).start()
    load = Load(service, service.token(), requests())

    def cut_the_power_twice() -> None:
        for _ in range(2):
            time.sleep(SECONDS / 3)
            service.kill()
            service.start()

    load.run(cut_the_power_twice)
    assert load.interrupted, "the load was not under way when the service was killed"
    assert service.stop() == 0
    service.start()
    try:
        check(load, tmp_path)
    finally:
        service.stop()


def check(load: Load, work: Path) -> None:
    service, total = load.service, len(load.csrs)
    token = work / "token"
    token.write_text(load.token)
    assert len(load.issued) == len(set(load.issued.values())) == total
    query = ("--profile", "load", "--csv", "--token-file", token)
    lines = service.yinxin("certificate", "list", *query).splitlines()
    columns = lines[0].split(",")
    rows = [dict(zip(columns, line.split(","), strict=False)) for line in lines[1:]]
    states = {row["serial"]: row["state"] for row in rows}
    # Every acknowledged certificate is there, once, in the state that was acknowledged.
    for serial in load.issued.values():
        assert states[serial] == ("revoked" if serial in load.revoked else "issued"), serial
    # And nothing else was issued: a killed attempt was finished, not repeated.
    finished = [serial for serial, state in states.items() if state in {"issued", "revoked"}]
    assert len(finished) == total

    crl = work / "x.crl"
    service.yinxin("crl", "rsa-issuing", "--out", crl)
    listed = {f"{item.serial_number:040x}" for item in x509.load_der_x509_crl(crl.read_bytes())}
    assert load.revoked <= listed

    assert service.yinxin("audit", "verify").startswith("whole: ")
    events = service.yinxin("audit", "list", "--limit", "100000").splitlines()
    told: dict[str, set[str]] = {}
    for line in events:
        event = json.loads(line)
        told.setdefault(event["action"], set()).add(event["detail"].get("serial", ""))
    assert set(load.issued.values()) <= told["certificate.signing"]
    assert set(load.issued.values()) <= told["certificate.issued"]
    assert load.revoked <= told["certificate.revoked"]
    # One certificate in full, to be sure that "issued" means a certificate.
    serial = load.issued[1]
    pem = service.yinxin("certificate", "fetch", "rsa-issuing", serial, "--token-file", token)
    parsed = x509.load_pem_x509_certificate(pem.encode())
    assert f"{parsed.serial_number:040x}" == serial
    record = json.loads(
        service.yinxin("certificate", "show", "rsa-issuing", serial, "--token-file", token)
    )
    digest = hashlib.sha256(parsed.public_bytes(Encoding.DER)).hexdigest()
    assert record["fingerprint"] == digest
