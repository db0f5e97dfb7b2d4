"""Pairs from the running service: stock keys, every dialect, a recovery, and no key in clear."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs12

from keystore import pem, sm2, sm2_forms
from keystore.envelope_forms import decode_csr_response
from tests.service import Service, yinxin


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    running = Service(tmp_path_factory.mktemp("pairs") / "var").start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def ask(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Run a command with the token of one officer."""
    tokens = tmp_path_factory.mktemp("tokens")
    for name, role in (("k1", "key"), ("k2", "key"), ("court", "judicial")):
        service.yinxin("user", "create", name, "--display-name", name, "--role", role)
    for user in ("business", "k1", "k2", "court"):
        (tokens / user).write_text(service.token(user))

    def run(user: str, *words: str | Path) -> str:
        return service.yinxin(*words, "--token-file", tokens / user)

    return run


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A signing key and a request by openssl."""
    directory = tmp_path_factory.mktemp("work")
    for words in (
        ("genpkey", "-algorithm", "SM2", "-out", "signing.pem"),
        ("req", "-new", "-key", "signing.pem", "-sm3", "-sigopt",
         "distid:1234567812345678", "-subj", "/CN=gw.example.test", "-out", "csr.pem"),
        ("pkey", "-in", "signing.pem", "-pubout", "-out", "public.pem"),
    ):  # fmt: skip
        subprocess.run(["openssl", *words], cwd=directory, check=True, capture_output=True)
    return directory


@pytest.fixture(scope="module")
def request_id(ask: Callable[..., str], work: Path) -> str:
    words = ("--profile", "device-dual-signing", "--issuer", "sm2-issuing")
    submitted = json.loads(ask("business", "request", "submit", work / "csr.pem", *words))
    approved = json.loads(ask("business", "request", "approve", submitted["id"]))
    assert approved["state"] == "issued"
    return str(submitted["id"])


PASSWORD = "a Password of 25 letters!"


@pytest.fixture(scope="module")
def rsa_request_id(ask: Callable[..., str], work: Path) -> str:
    for words in (
        ("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "rsa.pem"),
        ("req", "-new", "-key", "rsa.pem", "-subj", "/C=CN/CN=Zhang San", "-out", "rsa-csr.pem"),
    ):
        subprocess.run(["openssl", *words], cwd=work, check=True, capture_output=True)
    words = ("--profile", "person-dual-signing-rsa", "--issuer", "rsa-issuing")
    submitted = json.loads(ask("business", "request", "submit", work / "rsa-csr.pem", *words))
    assert json.loads(ask("business", "request", "approve", submitted["id"]))["state"] == "issued"
    return str(submitted["id"])


def rsa_key(message: Path, work: Path) -> rsa.RSAPrivateKey:
    """Open EnvelopedData with openssl, as a holder does."""
    words = ("-decrypt", "-inform", "DER", "-in", message, "-inkey", work / "rsa.pem")
    octets = subprocess.run(
        ["openssl", "cms", *words], check=True, capture_output=True, timeout=60
    ).stdout
    key = serialization.load_der_private_key(octets, None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def opened(service: Service, envelope: Path, work: Path) -> sm2.PrivateKey:
    out = envelope.with_suffix(".pem")
    service.yinxin("open-envelope", envelope, "--key", work / "signing.pem", "--out", out)
    assert out.stat().st_mode & 0o777 == 0o600
    return sm2.PrivateKey(pem.decode(out.read_text(), "PRIVATE KEY"))


def test_the_pair_comes_in_three_forms_with_one_key(
    service: Service, ask: Callable[..., str], work: Path, request_id: str
) -> None:
    keys = set()
    for form in ("csrresponse", "enveloped-key", "skf"):
        envelope = work / form
        ask("business", "request", "pair", request_id, "--format", form, "--out", envelope)
        keys.add(opened(service, envelope, work).public_key)
    response = decode_csr_response((work / "csrresponse").read_bytes())
    signing = x509.load_der_x509_certificate(response.signing)
    encryption = x509.load_der_x509_certificate(response.encryption)
    assert signing.subject == encryption.subject
    assert keys.pop() in response.encryption
    assert not keys
    shown = json.loads(ask("business", "request", "pair", request_id))
    assert int(shown["encryption"]["serial"], 16) == encryption.serial_number
    assert json.loads(ask("k1", "pool"))["in_use"] == 1


def test_the_centre_signs_an_envelope_with_the_certificate_that_it_shows(
    ask: Callable[..., str], work: Path, request_id: str
) -> None:
    out = work / "signed"
    ask("business", "request", "pair", request_id, "--format", "signed-and-enveloped", "--out", out)
    assert json.loads(ask("business", "request", "pair", request_id))["envelopes"] == [
        "csrresponse", "enveloped-key", "skf", "signed-and-enveloped",
    ]  # fmt: skip
    with pytest.raises(subprocess.CalledProcessError):
        ask("business", "request", "pair", request_id, "--format", "cfca", "--out", out)


def test_another_storage_key_takes_over_while_it_serves(
    service: Service, ask: Callable[..., str], work: Path, request_id: str
) -> None:
    newer = {"YINXIN_KEY_MANAGEMENT__STORAGE_KEY": "software:object=km-storage-2"}
    resealed = yinxin(
        "--state", service.state, "key", "reseal", environment=service.environment | newer
    )
    assert "every escrowed key is under software:object=km-storage-2" in resealed.stdout
    out = work / "signed-again"
    ask("business", "request", "pair", request_id, "--format", "signed-and-enveloped", "--out", out)
    assert "software:object=km-storage-2" in service.yinxin("key")


def test_an_rsa_pair_comes_as_enveloped_data_and_once_as_pkcs12(
    ask: Callable[..., str], work: Path, rsa_request_id: str
) -> None:
    message, file, secret = work / "rsa.cms", work / "rsa.p12", work / "password"
    fetch = ("business", "request", "pair", rsa_request_id)
    ask(*fetch, "--format", "enveloped-data", "--out", message)
    secret.write_text(PASSWORD + "\n")
    secret.chmod(0o600)
    ask(*fetch, "--format", "pkcs12", "--out", file, "--password-file", secret)
    assert file.stat().st_mode & 0o777 == 0o600
    stored = pkcs12.load_pkcs12(file.read_bytes(), PASSWORD.encode())
    assert stored.key.private_numbers() == rsa_key(message, work).private_numbers()
    assert stored.cert.certificate.public_key() == stored.key.public_key()
    with pytest.raises(subprocess.CalledProcessError):
        ask(*fetch, "--format", "pkcs12", "--out", work / "again.p12", "--password-file", secret)
    assert not (work / "again.p12").exists()


def test_a_recovery_takes_two_officers_and_happens_once(
    service: Service, ask: Callable[..., str], work: Path, request_id: str
) -> None:
    pair = json.loads(ask("business", "request", "pair", request_id))
    asked = json.loads(
        ask("business", "recovery", "request", request_id, "--issuer", "sm2-issuing",
            "--serial", pair["signing"]["serial"], "--reason", "lost")
    )  # fmt: skip
    ask("k1", "recovery", "approve", asked["id"])
    out = work / "recovered"
    with pytest.raises(subprocess.CalledProcessError):
        ask("business", "recovery", "deliver", asked["id"], "--out", out)
    assert not out.exists()
    ask("k2", "recovery", "approve", asked["id"])
    ask("business", "recovery", "deliver", asked["id"], "--out", out)
    spki = opened(service, out, work).public_key
    assert x509.load_der_x509_certificate(
        decode_csr_response((work / "csrresponse").read_bytes()).encryption
    ).tbs_certificate_bytes.count(spki)
    with pytest.raises(subprocess.CalledProcessError):
        ask("business", "recovery", "deliver", asked["id"], "--out", work / "again")
    assert json.loads(ask("k1", "recovery", "show", asked["id"]))["state"] == "delivered"


def test_a_court_asks_by_the_key_and_can_be_refused(
    ask: Callable[..., str], work: Path, request_id: str
) -> None:
    pair = json.loads(ask("business", "request", "pair", request_id))
    words = (pair["encryption"]["spki_fingerprint"], "--recipient", work / "public.pem")
    asked = json.loads(ask("court", "recovery", "request-judicial", *words, "--reason", "order"))
    assert asked["kind"] == "judicial"
    assert json.loads(ask("k2", "recovery", "reject", asked["id"]))["state"] == "rejected"
    listed = json.loads(ask("court", "recovery", "list"))
    assert [item["id"] for item in listed] == [asked["id"]]
    own = json.loads(ask("business", "recovery", "list"))
    assert asked["id"] not in [item["id"] for item in own]
    with pytest.raises(subprocess.CalledProcessError) as refused:
        ask("business", "recovery", "show", asked["id"])
    assert "business looks at the recoveries that business asked for" in refused.value.stderr


def test_revoking_one_certificate_revokes_both(ask: Callable[..., str], request_id: str) -> None:
    pair = json.loads(ask("business", "request", "pair", request_id))
    serial = pair["encryption"]["serial"]
    ask("business", "certificate", "revoke", "sm2-issuing", serial, "--reason", "superseded")
    pair = json.loads(ask("business", "request", "pair", request_id))
    assert (pair["signing"]["state"], pair["encryption"]["state"]) == ("revoked", "revoked")


def test_the_service_leaves_no_core_dump(service: Service) -> None:
    limits = Path(f"/proc/{service.process.pid}/limits").read_text().splitlines()
    assert [line.split()[4:6] for line in limits if "core file" in line] == [["0", "0"]]


def test_no_encryption_key_is_in_clear_in_the_state_or_the_log(
    service: Service, work: Path, request_id: str, rsa_request_id: str
) -> None:
    key = opened(service, _copy(work / "skf"), work)
    scalar, _ = sm2_forms.decode_pkcs8(key.pkcs8())
    numbers = rsa_key(work / "rsa.cms", work).private_numbers()
    secrets = {
        scalar.to_bytes(32, "big"),
        *(number.to_bytes(128, "big") for number in (numbers.p, numbers.q, numbers.dmp1)),
        numbers.d.to_bytes(256, "big"),
        PASSWORD.encode(),
    }
    stored = b"".join(path.read_bytes() for path in service.state.rglob("*") if path.is_file())
    # What left the service, but for the password's own file and the keys opened from it.
    answers = [work / name for name in ("csrresponse", "enveloped-key", "skf", "signed", "rsa.cms")]
    sent = b"".join(path.read_bytes() for path in (*answers, work / "rsa.p12", work / "recovered"))
    said = stored + service.log.read_bytes() + sent
    modulus = numbers.public_numbers.n.to_bytes(256, "big")
    for public in (sm2_forms.point_of_spki(key.public_key), modulus):
        assert public in said, "the search looks at the right files"
    for octets in secrets:
        # base64: what stays the same of it, wherever in a longer text it begins.
        texts = [base64.b64encode(bytes(offset) + octets)[4:-4] for offset in range(3)]
        for secret in (octets, octets.hex().encode(), octets.hex().upper().encode(), *texts):
            assert secret not in said


def test_the_re_audit_finds_nothing(service: Service) -> None:
    assert "no fault" in service.yinxin("check")


def _copy(path: Path) -> Path:
    other = path.with_name(f"{path.name}-again")
    other.write_bytes(path.read_bytes())
    return other
