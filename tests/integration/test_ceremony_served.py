"""Ceremonies, roll-over and key backup on a service that goes on running."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from core.errors import TrustError
from tests.judges import openssl
from tests.service import Service, yinxin
from yinxin.ceremonies import verify

ROLL_OVER = """
act = "roll-over"
name = "rsa-issuing-2"
succeeds = "rsa-issuing"
takes_over_at = 2026-01-01T00:00:00Z
issuer = "rsa-root"
key_algorithm = "rsa-3072"
subject = { C = "CN", O = "Yinxin", CN = "Yinxin RSA Issuing CA G2" }
name_constraints = { excluded = ["dns:forbidden.example"] }
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    running = Service(tmp_path_factory.mktemp("ceremony") / "var").start()
    yield running
    if running.process is not None:
        running.stop()


def fetch(service: Service, path: str) -> bytes:
    with urlopen(f"{service.revocation_url}{path}", timeout=30) as answer:
        return answer.read()


def wait_for(service: Service, path: str) -> bytes:
    for _ in range(600):
        try:
            return fetch(service, path)
        except HTTPError as not_yet:
            not_yet.close()
            time.sleep(0.1)
    raise AssertionError(f"{path} never appeared")


def hold(service: Service, file: Path, text: str) -> bytes:
    """Hold a ceremony as people do; return the certificate."""
    file.write_text(text)
    service.yinxin("ceremony", "keys", file)
    plan = service.yinxin("ceremony", "plan", file)
    digest = re.search(r"^plan\t(\w+)$", plan, re.MULTILINE)[1]
    service.yinxin("ceremony", "run", file, "--plan", digest)
    return file.with_name(f"{file.name}.pem").read_bytes()


def issue(service: Service, work: Path, name: str) -> dict:
    key, csr, token = work / f"{name}.key", work / f"{name}.csr", work / "token"
    if not token.exists():
        token.write_text(service.token())
    subprocess.run(
        ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", key, "-out", csr, "-subj", f"/C=CN/O=Test/CN={name}"],
        check=True, capture_output=True,
    )  # fmt: skip
    how = ("--profile", "person-authentication", "--issuer", "rsa-issuing", "--token-file", token)
    asked = json.loads(service.yinxin("request", "submit", csr, *how))
    made = json.loads(service.yinxin("request", "approve", asked["id"], "--token-file", token))
    return made["certificate"]


def certificate(service: Service, work: Path, made: dict) -> bytes:
    text = service.yinxin(
        "certificate", "fetch", made["issuer"], made["serial"], "--token-file", work / "token"
    )
    return x509.load_pem_x509_certificate(text.encode()).public_bytes(Encoding.DER)


def test_an_issuing_ca_rolls_over_while_the_service_runs(service: Service, tmp_path: Path) -> None:
    before = issue(service, tmp_path, "before")
    assert before["issuer"] == "rsa-issuing"
    made = hold(service, tmp_path / "g2.toml", ROLL_OVER)

    second = wait_for(service, "/ca/rsa-issuing-2.cer")
    assert x509.load_pem_x509_certificate(made) == x509.load_der_x509_certificate(second)
    after = issue(service, tmp_path, "after")
    assert after["issuer"] == "rsa-issuing-2"

    root, first = fetch(service, "/ca/rsa-root.cer"), fetch(service, "/ca/rsa-issuing.cer")
    old, new = (certificate(service, tmp_path, one) for one in (before, after))
    for middle, leaf in ((first, old), (second, new)):
        openssl.verify_path(root, middle, leaf, sm2=False)

    for one in (before, after):
        service.yinxin(
            "certificate", "revoke", one["issuer"], one["serial"], "--reason", "superseded",
            "--token-file", tmp_path / "token",
        )  # fmt: skip
    for issuer, one in (("rsa-issuing", before), ("rsa-issuing-2", after)):
        crl = x509.load_der_x509_crl(fetch(service, f"/crl/{issuer}.crl"))
        assert [entry.serial_number for entry in crl] == [int(one["serial"], 16)]
    url = f"{service.revocation_url}/ocsp"
    assert openssl.ask_ocsp(url, root, first, old) == "revoked"
    assert openssl.ask_ocsp(url, root, second, new) == "revoked"
    service.yinxin("check")  # the re-audit finds nothing; it would exit 1


def test_monitoring_asks_for_the_health_of_a_service_that_runs(service: Service) -> None:
    asked = yinxin("--state", service.state, "health-check", "--json", check=False,
                   environment=service.environment)  # fmt: skip
    said = json.loads(asked.stdout)
    assert (asked.returncode, said["level"]) == (1, "warning"), said
    levels = {one["check"]: one["level"] for one in said["checks"]}
    assert levels["ca-expiry"] == levels["ca-keys"] == levels["ocsp-delegates"] == "ok"
    assert levels["control"] == "warning"
    nothing = yinxin("--state", service.state.with_name("nothing"), "health-check", check=False)
    assert nothing.returncode == 3


def test_the_transcript_is_proved_without_the_service(service: Service, tmp_path: Path) -> None:
    root = 'act = "root"\nname = "other-root"\nkey_algorithm = "ec-p256"\n'
    hold(service, tmp_path / "r.toml", root + 'subject = { C = "CN", O = "O", CN = "R" }\n')
    key = service.yinxin("ceremony", "audit-key") + "\n"
    transcript = tmp_path / "r.toml.transcript"
    assert verify(transcript, audit_key=key).name == "other-root"
    text = transcript.read_text()
    transcript.write_text(text.replace("other-root", "outer-root"))
    with pytest.raises(TrustError):
        verify(transcript, audit_key=key)
    done = yinxin("ceremony", "verify", transcript, check=False)
    assert (done.returncode, done.stderr[:8]) == (1, "yinxin: ")


def test_the_service_starts_on_an_empty_machine_from_database_and_shares(
    service: Service, tmp_path: Path
) -> None:
    passphrases = []
    for number in range(5):
        path = tmp_path / f"p{number}"
        path.write_text(f"the holder number {number}\n")
        path.chmod(0o600)
        passphrases += ["--passphrase-file", path]
    kept = tmp_path / "kept"
    said = service.yinxin("key", "backup", "--out", kept, *passphrases)
    assert "3 of 5 shares open them" in said
    service.stop()

    there = Service(tmp_path / "var")
    there.state.mkdir(mode=0o700)
    chosen = [kept / f"share-{number}.json" for number in (5, 2, 3)]
    restore = ("key", "restore", kept / "backup.json", *chosen)
    answers = [item for n in (4, 1, 2) for item in ("--passphrase-file", tmp_path / f"p{n}")]
    empty = yinxin("--state", there.state, *restore, *answers, check=False)
    assert (empty.returncode, "restore it before the keys" in empty.stderr) == (1, True)
    for path in service.state.glob("yinxin.sqlite3*"):
        shutil.copy(path, there.state)
    assert "keys restored" in there.yinxin(*restore, *answers)
    there.start()
    try:
        made = issue(there, tmp_path, "restored")
        assert made["issuer"] == "rsa-issuing-2"
        assert "whole" in there.yinxin("audit", "verify")
        assert fetch(there, "/ca/sm2-root.cer") == (
            x509.load_pem_x509_certificate(
                (service.state / "trust" / "sm2-root.pem").read_bytes()
            ).public_bytes(Encoding.DER)
        )
    finally:
        there.stop()
