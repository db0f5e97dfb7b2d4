"""The software keystore on disk: what is refused, and that nothing is touched then."""

from __future__ import annotations

import json
import os
import ssl
import stat
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from core.errors import BackendUnavailable, Conflict, Malformed, Misconfigured, NotFound, Refused
from keystore import files, keyref, pin, sm2, sm2_forms
from keystore.algorithms import KeyAlgorithm
from keystore.backends.software import SoftwareKeyBackend
from keystore.config import KeystoreConfig
from keystore.registry import open_keystore
from keystore.verify import verify_signature
from keystore.wrap import Argon2idParameters
from tests.fakes.clock import FakeClock

PASSPHRASE = "correct horse 电池"
REF = keyref.make("software", object="issuing")
OTHER = keyref.make("software", object="other")


def _open(directory: Path, passphrase: str = PASSPHRASE) -> SoftwareKeyBackend:
    cheap = Argon2idParameters(memory_kib=8192, iterations=1, lanes=1)
    return SoftwareKeyBackend.open(directory, pin.from_value(passphrase), parameters=cheap)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "keystore"


def _contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.mark.parametrize("algorithm", [KeyAlgorithm.SM2, KeyAlgorithm.RSA_2048])
def test_a_key_survives_a_restart(directory: Path, algorithm: KeyAlgorithm) -> None:
    made = _open(directory).generate(REF, algorithm)
    again = _open(directory)
    assert again.find(REF) == made
    signer = again.signer(REF)
    verify_signature(made.public_key, signer.algorithm, b"message", signer.sign(b"message"))


def test_only_the_owner_can_read_what_is_written(directory: Path) -> None:
    _open(directory).generate(REF, KeyAlgorithm.SM2)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {p.name: stat.S_IMODE(p.stat().st_mode) for p in directory.iterdir()} == {
        "keystore.json": 0o600,
        "issuing.key": 0o600,
    }


def test_no_private_key_is_on_disk_in_clear(directory: Path) -> None:
    backend = _open(directory)
    backend.generate(REF, KeyAlgorithm.SM2)
    key = backend.private(REF).private
    assert isinstance(key, sm2.PrivateKey)
    scalar = sm2_forms.decode_pkcs8(key.pkcs8())[0].to_bytes(32, "big")
    everything = b"".join(_contents(directory).values())
    assert scalar not in everything
    assert scalar.hex().encode() not in everything
    assert PASSPHRASE.encode() not in everything


def test_a_wrong_passphrase_is_refused_and_touches_nothing(directory: Path) -> None:
    _open(directory).generate(REF, KeyAlgorithm.SM2)
    before = _contents(directory)
    with pytest.raises(Misconfigured, match=r"passphrase does not open .*nothing was changed"):
        _open(directory, "wrong horse")
    assert _contents(directory) == before


def test_keys_without_their_header_are_refused(directory: Path) -> None:
    _open(directory).generate(REF, KeyAlgorithm.SM2)
    (directory / "keystore.json").unlink()
    before = _contents(directory)
    with pytest.raises(Misconfigured, match=r"issuing\.key has no keystore\.json"):
        _open(directory)
    assert _contents(directory) == before


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"unknown": 1},
        {"salt": "00"},
        {"parameters": {"memory_kib": 2**30, "iterations": 1, "lanes": 1}},
    ],
)
def test_a_header_we_do_not_understand_is_refused(
    directory: Path, change: dict[str, object]
) -> None:
    _open(directory)
    header = directory / "keystore.json"
    header.write_text(json.dumps(json.loads(header.read_text()) | change))
    with pytest.raises(Misconfigured, match="damaged or from a newer version"):
        _open(directory)


def test_weakened_parameters_do_not_open(directory: Path) -> None:
    _open(directory)
    header = directory / "keystore.json"
    content = json.loads(header.read_text())
    content["parameters"]["iterations"] = 2
    header.write_text(json.dumps(content))
    with pytest.raises(Misconfigured, match="does not open"):
        _open(directory)


@pytest.mark.parametrize("damage", ["truncated", "flipped", "renamed", "other algorithm", "empty"])
def test_a_damaged_key_file_is_named_and_left_alone(directory: Path, damage: str) -> None:
    _open(directory).generate(REF, KeyAlgorithm.EC_P256)
    path = directory / "issuing.key"
    content = json.loads(path.read_text())
    ref = REF
    match damage:
        case "truncated":
            path.write_bytes(path.read_bytes()[:-40])
        case "flipped":
            sealed = bytearray.fromhex(content["sealed"])
            sealed[20] ^= 1
            path.write_text(json.dumps(content | {"sealed": sealed.hex()}))
        case "renamed":
            path = path.rename(directory / "other.key")
            ref = OTHER
        case "other algorithm":
            path.write_text(json.dumps(content | {"algorithm": "ec-p384"}))
        case _:
            path.write_bytes(b"")
    before = _contents(directory)
    backend = _open(directory)
    with pytest.raises(BackendUnavailable, match=f"{path.name} is damaged"):
        backend.signer(ref)
    with pytest.raises(Conflict):
        backend.generate(ref, KeyAlgorithm.EC_P256)
    assert _contents(directory) == before


def test_files_open_to_others_are_refused(directory: Path) -> None:
    _open(directory).generate(REF, KeyAlgorithm.SM2)
    (directory / "issuing.key").chmod(0o640)
    with pytest.raises(Misconfigured, match="chmod 600"):
        _open(directory).signer(REF)
    (directory / "keystore.json").chmod(0o604)
    with pytest.raises(Misconfigured, match="chmod 600"):
        _open(directory)
    directory.chmod(0o750)
    with pytest.raises(Misconfigured, match="chmod 700"):
        _open(directory)


def test_a_directory_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Misconfigured, match=r"cannot use .* for keys"):
        _open(tmp_path / "file" / "keystore")


def test_of_many_threads_one_makes_the_key(directory: Path) -> None:
    backend = _open(directory)
    outcomes: list[str] = []

    def work() -> None:
        try:
            outcomes.append(backend.generate(REF, KeyAlgorithm.EC_P256).public_key.hex())
        except Conflict:
            outcomes.append("conflict")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes)[1:] == ["conflict"] * 7
    found = _open(directory).find(REF)
    assert found is not None
    assert found.public_key.hex() in outcomes
    assert sorted(p.name for p in directory.iterdir()) == ["issuing.key", "keystore.json"]


def test_a_file_that_cannot_be_named_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "taken").write_bytes(b"old")
    with pytest.raises(Conflict):
        files.write_new(tmp_path / "taken", b"new")
    assert _contents(tmp_path) == {"taken": b"old"}


def test_a_child_of_a_fork_signs_too(directory: Path) -> None:
    info = (backend := _open(directory)).generate(REF, KeyAlgorithm.SM2)
    signer = backend.signer(REF)
    signer.sign(b"before")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, signer.sign(b"in the child"))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        signature = pipe.read()
    os.waitpid(child, 0)
    verify_signature(info.public_key, signer.algorithm, b"in the child", signature)


def test_sm2_ciphertexts_open_and_other_keys_refuse(directory: Path) -> None:
    backend = _open(directory)
    info = backend.generate(REF, KeyAlgorithm.SM2)
    backend.generate(OTHER, KeyAlgorithm.EC_P256)
    sealed = sm2.encrypt(info.public_key, b"a key to wrap")
    assert backend.decrypt_sm2(REF, sealed) == b"a key to wrap"
    with pytest.raises(Refused):
        backend.decrypt_sm2(OTHER, sealed)


@pytest.mark.parametrize("text", ["software:object=a;token=b", "pkcs11:object=a"])
def test_references_of_another_form_are_malformed(directory: Path, text: str) -> None:
    with pytest.raises(Malformed, match="software:object=name"):
        _open(directory).find(keyref.parse(text))


def _certificate(spki: bytes, clock: FakeClock) -> bytes:
    issuer = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    public = serialization.load_der_public_key(spki)
    assert isinstance(public, ec.EllipticCurvePublicKey)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(1)
        .not_valid_before(clock.now())
        .not_valid_after(clock.now() + timedelta(days=1))
        .sign(issuer, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


def test_a_key_serves_tls_and_leaves_no_file(directory: Path, clock: FakeClock) -> None:
    backend = _open(directory)
    info = backend.generate(REF, KeyAlgorithm.EC_P256)
    before = _contents(directory)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    backend.load_into(context, REF, _certificate(info.public_key, clock))
    assert _contents(directory) == before


def test_anothers_certificate_does_not_serve_tls(directory: Path, clock: FakeClock) -> None:
    backend = _open(directory)
    backend.generate(REF, KeyAlgorithm.EC_P256)
    other = backend.generate(OTHER, KeyAlgorithm.EC_P256)
    before = _contents(directory)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with pytest.raises(Misconfigured, match="do not fit"):
        backend.load_into(context, REF, _certificate(other.public_key, clock))
    with pytest.raises(NotFound):
        backend.load_into(context, keyref.make("software", object="none"), b"")
    assert _contents(directory) == before


# ---- the registry ----------------------------------------------------------------------


def test_a_configured_passphrase_file_wins(directory: Path, tmp_path: Path) -> None:
    secret = tmp_path / "passphrase"
    secret.write_text("from the file\n")
    secret.chmod(0o600)
    config = KeystoreConfig(directory=directory, passphrase_file=secret)
    open_keystore(config, directory=tmp_path / "unused", passphrase=pin.from_value("x")).close()
    assert not (tmp_path / "unused").exists()
    again = SoftwareKeyBackend.open(directory, pin.from_value("from the file"))
    assert again.list_keys() == ()


def test_a_passphrase_file_open_to_others_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "passphrase"
    secret.write_text("secret")
    secret.chmod(0o644)
    with pytest.raises(Misconfigured, match="chmod 600"):
        pin.from_file(secret)()


@pytest.mark.parametrize("content", [b"", b"\n", b"x" * 1025])
def test_an_empty_or_endless_passphrase_is_refused(tmp_path: Path, content: bytes) -> None:
    secret = tmp_path / "passphrase"
    secret.write_bytes(content)
    secret.chmod(0o600)
    with pytest.raises(Misconfigured, match="the secret is"):
        pin.from_file(secret)()


def test_without_any_passphrase_the_registry_does_not_open(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="passphrase_file"):
        open_keystore(KeystoreConfig(), directory=tmp_path / "keystore")


def test_an_unknown_scheme_is_not_found(directory: Path, tmp_path: Path) -> None:
    store = open_keystore(
        KeystoreConfig(), directory=directory, passphrase=pin.from_value(PASSPHRASE)
    )
    with pytest.raises(NotFound, match="software"):
        store.signer(keyref.make("pkcs11", token="a", object="b"))
    store.close()
