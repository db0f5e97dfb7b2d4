"""What every key backend promises (`keystore.backend`), on each of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.errors import BackendUnavailable, Conflict, InvalidSignature, NotFound, Refused
from keystore import keyref, pin
from keystore.algorithms import KeyAlgorithm, SignatureAlgorithm
from keystore.backend import DestroysKeys, KeyBackend
from keystore.backends.pkcs11 import open_token
from keystore.backends.software import SoftwareKeyBackend
from keystore.keyref import KeyRef
from keystore.registry import KeyStore
from keystore.verify import key_algorithm, normalise_spki, verify_signature
from keystore.wrap import Argon2idParameters
from tests import keystore_softhsm as softhsm
from tests.fakes import keystore_vendor as vendor
from tests.fakes.keys import MemoryKeyBackend

softhsm_token = softhsm.softhsm_token  # a fixture

MESSAGE = b"the whole message, not its digest" * 10
ALL = tuple(KeyAlgorithm)


@dataclass
class Subject:
    backend: KeyBackend
    scheme: str
    makes: tuple[KeyAlgorithm, ...]
    attributes: dict[str, str]

    def ref(self, name: str) -> KeyRef:
        return keyref.make(self.scheme, **self.attributes, object=name)


def _memory(request: pytest.FixtureRequest) -> Subject:
    return Subject(MemoryKeyBackend(), "memory", ALL, {})


def _software(request: pytest.FixtureRequest) -> Subject:
    directory: Path = request.getfixturevalue("tmp_path") / "keys"
    backend = SoftwareKeyBackend.open(
        directory, pin.from_value("a passphrase"), parameters=Argon2idParameters(memory_kib=8192)
    )
    return Subject(backend, "software", ALL, {})


def _registry(request: pytest.FixtureRequest) -> Subject:
    return Subject(KeyStore({"memory": MemoryKeyBackend()}), "memory", ALL, {})


def _softhsm(request: pytest.FixtureRequest) -> Subject:
    token: softhsm.Token = request.getfixturevalue("softhsm_token")
    backend = open_token(token.config, pin.from_value(softhsm.PIN))
    makes = tuple(algorithm for algorithm in ALL if algorithm is not KeyAlgorithm.SM2)
    return Subject(backend, "pkcs11", makes, {"token": token.config.token})


def _vendor(request: pytest.FixtureRequest) -> Subject:
    token = vendor.VendorToken(vendor.SANSEC)
    makes = (KeyAlgorithm.SM2,)
    return Subject(token.backend(), "pkcs11", makes, {"token": token.config.token})


MAKERS = [_memory, _software, _registry, pytest.param(_softhsm, marks=pytest.mark.hsm), _vendor]


@pytest.fixture(params=MAKERS, ids=["memory", "software", "registry", "softhsm", "vendor"])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    make: Callable[[pytest.FixtureRequest], Subject] = request.param
    made = make(request)
    yield made
    made.backend.close()


def _cheap(subject: Subject) -> KeyAlgorithm:
    return KeyAlgorithm.EC_P256 if KeyAlgorithm.EC_P256 in subject.makes else subject.makes[0]


@pytest.mark.parametrize("algorithm", ALL)
def test_a_key_signs_what_verifies_under_its_public_key(
    subject: Subject, algorithm: KeyAlgorithm
) -> None:
    ref = subject.ref("signing")
    if algorithm not in subject.makes:
        with pytest.raises(Refused):
            subject.backend.generate(ref, algorithm)
        assert subject.backend.find(ref) is None
        return
    made = subject.backend.generate(ref, algorithm)
    assert made == subject.backend.find(ref)
    assert made.algorithm is algorithm is key_algorithm(made.public_key)
    assert made.public_key == normalise_spki(made.public_key)
    for signature_algorithm in algorithm.signatures:
        signer = subject.backend.signer(ref, signature_algorithm)
        assert (signer.key, signer.algorithm) == (made, signature_algorithm)
        signature = signer.sign(MESSAGE)
        verify_signature(made.public_key, signature_algorithm, MESSAGE, signature)
        with pytest.raises(InvalidSignature):
            verify_signature(made.public_key, signature_algorithm, MESSAGE + b".", signature)


def test_without_an_algorithm_the_keys_default_is_used(subject: Subject) -> None:
    algorithm = _cheap(subject)
    ref = subject.ref("default")
    subject.backend.generate(ref, algorithm)
    assert subject.backend.signer(ref).algorithm is algorithm.default_signature


def test_an_existing_key_is_never_replaced(subject: Subject) -> None:
    ref = subject.ref("once")
    made = subject.backend.generate(ref, _cheap(subject))
    with pytest.raises(Conflict):
        subject.backend.generate(ref, _cheap(subject))
    assert subject.backend.find(ref) == made


def test_an_unknown_key_is_not_found(subject: Subject) -> None:
    ref = subject.ref("nobody")
    assert subject.backend.find(ref) is None
    with pytest.raises(NotFound):
        subject.backend.signer(ref)


def test_another_keys_signature_algorithm_is_refused(subject: Subject) -> None:
    algorithm = _cheap(subject)
    ref = subject.ref("other")
    subject.backend.generate(ref, algorithm)
    wrong = next(one for one in SignatureAlgorithm if one not in algorithm.signatures)
    with pytest.raises(Refused):
        subject.backend.signer(ref, wrong)


def test_every_key_is_listed(subject: Subject) -> None:
    assert subject.backend.list_keys() == ()
    made = [subject.backend.generate(subject.ref(name), _cheap(subject)) for name in ("a", "b")]
    assert sorted(subject.backend.list_keys(), key=lambda info: info.ref) == made
    assert made[0].public_key != made[1].public_key


def test_eight_threads_sign_at_once(subject: Subject) -> None:
    infos = [subject.backend.generate(subject.ref(name), _cheap(subject)) for name in ("a", "b")]
    faults: list[BaseException] = []

    def work(number: int) -> None:
        try:
            info = infos[number % 2]
            signer = subject.backend.signer(info.ref)
            for turn in range(10):
                message = f"{number}/{turn}".encode()
                signature = signer.sign(message)
                verify_signature(info.public_key, signer.algorithm, message, signature)
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


def test_a_closed_backend_signs_no_more(subject: Subject) -> None:
    ref = subject.ref("closing")
    subject.backend.generate(ref, _cheap(subject))
    signer = subject.backend.signer(ref)
    signer.sign(MESSAGE)
    subject.backend.close()
    with pytest.raises(BackendUnavailable):
        signer.sign(MESSAGE)


def test_a_destroyed_key_is_gone_and_its_signers_stop(subject: Subject) -> None:
    assert isinstance(subject.backend, DestroysKeys)
    ref = subject.ref("doomed")
    subject.backend.generate(ref, _cheap(subject))
    signer = subject.backend.signer(ref)
    subject.backend.destroy(ref)
    assert subject.backend.find(ref) is None
    with pytest.raises(NotFound):
        signer.sign(MESSAGE)
    with pytest.raises(NotFound):
        subject.backend.destroy(ref)
