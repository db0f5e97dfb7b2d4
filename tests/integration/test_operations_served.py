"""The desks of a running service: a pick-up by two codes, with the command line of both sides."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509

from core.errors import Forbidden
from keystore import pem, sm2
from keystore.envelope import decode_enveloped_key, open_envelope
from tests.service import Service
from yinxin.cli.client import Client


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    running = Service(tmp_path_factory.mktemp("desks") / "var").start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def ask(service: Service, work: Path) -> Callable[..., dict]:
    """Run a command as the business administrator."""
    (work / "token").write_text(service.token())

    def run(*words: str | Path) -> dict:
        return json.loads(service.yinxin(*words, "--token-file", work / "token"))

    return run


def make_csr(work: Path, name: str) -> tuple[Path, Path]:
    key, csr = work / f"{name}.key", work / f"{name}.csr"
    for words in (
        ("genpkey", "-algorithm", "SM2", "-out", key),
        ("req", "-new", "-key", key, "-sm3", "-sigopt", "distid:1234567812345678",
         "-subj", f"/CN={name}", "-out", csr),
    ):  # fmt: skip
        subprocess.run(["openssl", *words], check=True, capture_output=True)
    return key, csr


def pick_up(service: Service, work: Path, csr: Path, codes: dict, name: str) -> None:
    code = work / f"{name}.code"
    code.write_text(codes["code"])
    service.yinxin(
        "pickup", csr, "--reference", codes["reference"], "--code-file", code,
        "--out", work / f"{name}.pem", "--encryption-out", work / f"{name}-encryption.pem",
        "--envelope-out", work / f"{name}.envelope",
    )  # fmt: skip


def test_a_subscriber_fetches_a_pair_with_two_codes(
    service: Service, work: Path, ask: Callable[..., dict]
) -> None:
    entered = ask(
        "request", "enter", "--profile", "person-dual-signing", "--issuer", "sm2-issuing",
        "--subject", "CN=王伟", "--subject", "serialNumber=4711",
    )  # fmt: skip
    assert (entered["state"], entered["codes"]) == ("pending", None)
    approved = ask("request", "approve", entered["id"])
    assert approved["state"] == "awaiting-pickup"
    assert ask("request", "show", entered["id"])["codes"] is None
    old = approved["codes"]
    codes = ask("request", "resend", entered["id"])["codes"]
    key, csr = make_csr(work, "wang")
    with pytest.raises(subprocess.CalledProcessError) as refused:
        pick_up(service, work, csr, old, "old")
    assert "ask your registration office" in refused.value.stderr
    pick_up(service, work, csr, codes, "wang")
    certificate = x509.load_pem_x509_certificate((work / "wang.pem").read_bytes())
    assert certificate.subject.rfc4514_string() == "CN=王伟,2.5.4.5=4711,C=CN"
    holder = sm2.PrivateKey(pem.decode(key.read_text(), "PRIVATE KEY"))
    envelope = decode_enveloped_key((work / "wang.envelope").read_bytes())
    given = open_envelope(envelope, holder.decrypt)
    encryption = x509.load_pem_x509_certificate((work / "wang-encryption.pem").read_bytes())
    assert given.public_key in encryption.tbs_certificate_bytes
    said = service.log.read_text() + "".join(
        path.read_bytes().decode("latin-1") for path in service.state.rglob("*") if path.is_file()
    )
    assert entered["id"] in said, "the search looks at the right files"
    for text in (codes["code"], codes["reference"], old["code"], old["reference"]):
        assert text not in said
        assert text.replace("-", "") not in said


def test_a_rekey_and_a_loss_by_the_command_line(
    service: Service, work: Path, ask: Callable[..., dict]
) -> None:
    _, csr = make_csr(work, "gateway")
    words = ("--profile", "device", "--issuer", "sm2-issuing")
    entered = ask("request", "submit", csr, *words)
    old = ask("request", "approve", entered["id"])["certificate"]["serial"]
    with pytest.raises(subprocess.CalledProcessError) as refused:
        ask("certificate", "renew", "sm2-issuing", old)
    assert "it can be renewed from" in refused.value.stderr
    _, other = make_csr(work, "gateway-2")
    asked = ask("certificate", "rekey", "sm2-issuing", old, "--csr", other)
    assert (asked["operation"], asked["target"]["serial"]) == ("rekey", old)
    new = ask("request", "approve", asked["id"])["certificate"]["serial"]
    assert ask("certificate", "show", "sm2-issuing", old)["reason"] == "superseded"
    lost = ask("certificate", "report-lost", "sm2-issuing", new)
    assert (lost["state"], lost["provisional"]) == ("pending", True)
    assert ask("certificate", "show", "sm2-issuing", new)["state"] == "held"
    again = ask("certificate", "reissue", "sm2-issuing", new, "--reason", "keyCompromise")
    assert ask("request", "approve", again["id"])["state"] == "awaiting-pickup"
    assert ask("certificate", "show", "sm2-issuing", new)["reason"] == "keyCompromise"


def test_a_holder_shows_the_certificate_in_tls_to_renew_and_to_freeze_it(
    service: Service, work: Path, ask: Callable[..., dict]
) -> None:
    key, csr = work / "li.key", work / "li.csr"
    subprocess.run(
        ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", key, "-out", csr, "-subj", "/C=CN/O=Test/CN=li"],
        check=True, capture_output=True,
    )  # fmt: skip
    words = ("--profile", "person-authentication", "--issuer", "rsa-issuing", "--days", "10")
    entered = ask("request", "submit", csr, *words)
    serial = ask("request", "approve", entered["id"])["certificate"]["serial"]
    own = work / "li.pem"
    pem_text = service.yinxin(
        "certificate", "fetch", "rsa-issuing", serial, "--token-file", work / "token"
    )
    own.write_text(f"{pem_text}\n{key.read_text()}")
    where = f"https://localhost:{service.mutual_tls_port}"
    words = ("renewal", "--client-certificate", own, "--server", where, "--out", work / "new.pem")
    assert "is pending: repeat this later" in service.yinxin(*words)
    waiting = ask("request", "list", "--state", "pending")["items"]
    (renewal,) = [item for item in waiting if item["operation"] == "renew"]
    ask("request", "approve", renewal["id"])
    service.yinxin(*words)
    new = x509.load_pem_x509_certificates((work / "new.pem").read_bytes())[0]
    told = ask("certificate", "history", "rsa-issuing", serial)
    assert [int(one["serial"], 16) for one in told["after"]] == [new.serial_number]
    assert told["request"]["requester"] == "business"

    client = Client(where, None, service.root, own)
    mine = client.get_json("/my/certificates")
    assert [int(one["serial"], 16) for one in mine] == [new.serial_number, int(serial, 16)]
    assert client.get_json(f"/my/certificates/rsa-issuing/{serial}/recoveries") == []
    lost = client.post(f"/my/certificates/rsa-issuing/{serial}/report-lost", {})
    assert (lost["provisional"], lost["requester"]) == (True, f"holder:rsa-issuing/{serial}")
    with pytest.raises(Forbidden, match="is held"):
        client.get_json("/my/certificates")
