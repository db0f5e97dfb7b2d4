"""Keys on a real PKCS#11 module, and what happens when the token or the PIN is not there."""

from __future__ import annotations

import os
import re
import shutil

import pkcs11
import pytest

from core.errors import BackendUnavailable, Malformed, Misconfigured, NotFound, Refused
from keystore import keyref, pin, softkey
from keystore.algorithms import KeyAlgorithm
from keystore.backends import pkcs11_session
from keystore.backends.pkcs11 import PKCS11KeyBackend, open_token
from keystore.backends.pkcs11_session import TokenSession
from keystore.config import KeystoreConfig, PKCS11Config
from keystore.escrow.vault import Vault
from keystore.registry import KeyStore, open_keystore
from keystore.storagekey import StorageKey
from keystore.verify import verify_signature
from tests import keystore_softhsm as softhsm
from tests.fakes import keystore_vendor as vendor
from tests.fakes.keys import MemoryKeyBackend

pytestmark = pytest.mark.hsm
softhsm_token = softhsm.softhsm_token  # a fixture

REF = keyref.make("pkcs11", token=softhsm.LABEL, object="rsa-root")
RIGHT = pin.from_value(softhsm.PIN)


class CountingPin:
    """A PIN source that remembers how often it was asked."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.asked = 0

    def __call__(self) -> bytes:
        self.asked += 1
        return self.text.encode()


class CountingConnect:
    """Counts the logins that reach the module."""

    def __init__(self) -> None:
        self.logins = 0

    def __call__(self, config: PKCS11Config, pin: str, *, reload: bool) -> object:
        self.logins += 1
        return pkcs11_session.connect(config, pin, reload=reload)


@pytest.mark.parametrize("algorithm", [KeyAlgorithm.RSA_2048, KeyAlgorithm.EC_P256])
def test_pkcs11_tool_shows_the_key_as_never_extractable(
    softhsm_token: softhsm.Token, algorithm: KeyAlgorithm
) -> None:
    backend = open_token(softhsm_token.config, RIGHT)
    backend.generate(REF, algorithm)
    backend.close()
    shown = softhsm.tool("--list-objects", "--type", "privkey")
    assert re.search(r"label: +rsa-root", shown)
    access = re.search(r"Access: +(.*)", shown)
    assert access is not None
    assert set(access[1].split(", ")) == {
        "sensitive",
        "always sensitive",
        "never extractable",
        "local",
    }
    usage = re.search(r"Usage: +(.*)", shown)
    assert usage is not None
    assert usage[1].strip() == "sign"


def test_the_token_is_not_touched_before_a_key_is(softhsm_token: softhsm.Token) -> None:
    source = CountingPin(softhsm.PIN)
    backend = open_token(softhsm_token.config, source)
    assert source.asked == 0
    assert backend.find(REF) is None
    assert source.asked == 1
    backend.close()


def test_a_wrong_pin_reaches_the_token_once(softhsm_token: softhsm.Token) -> None:
    connect, source = CountingConnect(), CountingPin("0000")
    session = TokenSession(softhsm_token.config, source, connect=connect)
    backend = PKCS11KeyBackend(softhsm.LABEL, session)
    for _ in range(5):
        with pytest.raises(BackendUnavailable, match=r"PIN|PinIncorrect"):
            backend.find(REF)
    assert (connect.logins, source.asked) == (1, 1)
    with pytest.raises(BackendUnavailable, match="not tried again"):
        backend.generate(REF, KeyAlgorithm.EC_P256)
    source.text = softhsm.PIN
    backend.reset()
    assert backend.find(REF) is None
    assert connect.logins == 2
    backend.close()


def test_a_lost_session_is_regained(softhsm_token: softhsm.Token) -> None:
    source = CountingPin(softhsm.PIN)
    backend = open_token(softhsm_token.config, source)
    info = backend.generate(REF, KeyAlgorithm.EC_P256)
    signer = backend.signer(REF)
    signer.sign(b"before")
    library = pkcs11.lib(str(softhsm_token.config.module))
    library.reinitialize()  # every session handle of this process is now worth nothing
    signature = signer.sign(b"after")
    verify_signature(info.public_key, signer.algorithm, b"after", signature)
    assert source.asked == 2
    backend.close()


def test_a_session_lost_before_a_search_is_regained_too(softhsm_token: softhsm.Token) -> None:
    backend = open_token(softhsm_token.config, RIGHT)
    info = backend.generate(REF, KeyAlgorithm.EC_P256)
    pkcs11.lib(str(softhsm_token.config.module)).reinitialize()
    assert backend.find(REF) == info
    backend.close()


def test_another_key_under_the_same_name_does_not_sign(softhsm_token: softhsm.Token) -> None:
    backend = open_token(softhsm_token.config, RIGHT)
    backend.generate(REF, KeyAlgorithm.EC_P256)
    signer = backend.signer(REF)
    backend.destroy(REF)
    backend.generate(REF, KeyAlgorithm.EC_P256)
    with pytest.raises(BackendUnavailable, match="another key"):
        signer.sign(b"message")
    backend.close()


def test_a_token_taken_out_is_unavailable_and_works_when_put_back(
    softhsm_token: softhsm.Token,
) -> None:
    backend = open_token(softhsm_token.config, RIGHT)
    info = backend.generate(REF, KeyAlgorithm.EC_P256)
    signer = backend.signer(REF)
    elsewhere = softhsm_token.directory.with_name("elsewhere")
    shutil.move(softhsm_token.directory, elsewhere)
    softhsm_token.directory.mkdir()
    library = pkcs11.lib(str(softhsm_token.config.module))
    library.reinitialize()
    with pytest.raises(BackendUnavailable, match="NoSuchToken"):
        signer.sign(b"gone")
    softhsm_token.directory.rmdir()
    shutil.move(elsewhere, softhsm_token.directory)
    signature = signer.sign(b"back")
    verify_signature(info.public_key, signer.algorithm, b"back", signature)
    backend.close()


def test_a_child_of_a_fork_does_not_use_the_parents_session(softhsm_token: softhsm.Token) -> None:
    backend = open_token(softhsm_token.config, RIGHT)
    backend.generate(REF, KeyAlgorithm.EC_P256)
    signer = backend.signer(REF)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            signer.sign(b"in the child")
            os.write(writing, b"signed")
        except BackendUnavailable as error:
            os.write(writing, str(error).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode()
    os.waitpid(child, 0)
    assert "before this process was forked" in said
    signer.sign(b"in the parent")
    backend.close()


def test_a_vendors_mechanism_number_reaches_the_module(softhsm_token: softhsm.Token) -> None:
    config = softhsm_token.config.model_copy(update={"sm2": vendor.SANSEC})
    backend = open_token(config, RIGHT)
    with pytest.raises(Refused, match="MechanismInvalid"):
        backend.generate(REF, KeyAlgorithm.SM2)
    backend.close()


def test_two_objects_of_one_name_are_not_guessed_between(softhsm_token: softhsm.Token) -> None:
    backend = open_token(softhsm_token.config, RIGHT)
    backend.generate(REF, KeyAlgorithm.EC_P256)
    softhsm.tool("--keypairgen", "--key-type", "EC:prime256v1", "--label", "rsa-root")
    with pytest.raises(BackendUnavailable, match="2 objects"):
        backend.signer(REF)
    backend.close()


def test_a_key_made_by_another_tool_signs(softhsm_token: softhsm.Token) -> None:
    softhsm.tool("--keypairgen", "--key-type", "EC:prime256v1", "--label", "foreign")
    backend = open_token(softhsm_token.config, RIGHT)
    (info,) = backend.list_keys()
    assert info.ref == "pkcs11:token=issuing;object=foreign"
    signature = backend.signer(info.ref).sign(b"message")
    verify_signature(info.public_key, info.algorithm.default_signature, b"message", signature)
    backend.close()


def test_a_storage_key_decrypts_on_the_token_and_does_nothing_else(
    softhsm_token: softhsm.Token,
) -> None:
    config = softhsm_token.config.model_copy(update={"oaep_digest": "sha1"})
    backend = open_token(config, RIGHT)
    storage = StorageKey(KeyStore({"pkcs11": backend}), REF)
    storage.make()
    wrapped = storage.wrap(b"a symmetric key!")
    assert b"a symmetric key!" not in wrapped
    backend.close()
    shown = softhsm.tool("--list-objects", "--type", "privkey")
    assert "Usage:      decrypt\n" in shown
    assert "never extractable" in shown
    again = open_token(config, RIGHT)
    storage = StorageKey(KeyStore({"pkcs11": again}), REF)
    assert storage.unwrap(wrapped, what="it") == b"a symmetric key!"
    with pytest.raises(BackendUnavailable, match=r"it does not open|cannot be used"):
        storage.unwrap(bytes(len(wrapped)), what="it")
    storage.require_opens()
    again.generate(
        keyref.make("pkcs11", token=softhsm.LABEL, object="signs"), KeyAlgorithm.RSA_2048
    )
    signing = StorageKey(
        KeyStore({"pkcs11": again}), keyref.make("pkcs11", token=softhsm.LABEL, object="signs")
    )
    with pytest.raises(Misconfigured, match="may not decrypt"):
        signing.make()
    again.close()


def test_what_is_under_a_software_key_goes_under_one_on_the_token(
    softhsm_token: softhsm.Token,
) -> None:
    config = softhsm_token.config.model_copy(update={"oaep_digest": "sha1"})
    software = MemoryKeyBackend()
    keystore = KeyStore({"memory": software, "pkcs11": open_token(config, RIGHT)})
    old = keyref.parse("memory:object=storage")
    before = Vault(keystore, old)
    before.prepare(in_use=False)
    private = softkey.generate(KeyAlgorithm.SM2)
    sealed = before.seal(private, key_id="k")
    after = Vault(keystore, REF)
    after.prepare(in_use=False)
    moved = after.reseal(sealed, key_id="k")
    assert moved.storage_key == REF
    software.destroy(old)
    opened = after.open(
        moved, key_id="k", algorithm=KeyAlgorithm.SM2, public_key=private.public_key
    )
    assert opened.pkcs8() == private.pkcs8()
    keystore.close()


def test_the_digest_that_a_token_does_not_know_is_named(softhsm_token: softhsm.Token) -> None:
    backend = open_token(softhsm_token.config, RIGHT)
    with pytest.raises(Misconfigured, match=r"keystore\.pkcs11\.oaep_digest"):
        StorageKey(KeyStore({"pkcs11": backend}), REF).make()
    backend.close()


def test_references_to_other_tokens_and_forms_are_told_apart(
    softhsm_token: softhsm.Token,
) -> None:
    backend = open_token(softhsm_token.config, RIGHT)
    with pytest.raises(NotFound, match="another token"):
        backend.find(keyref.parse("pkcs11:token=other;object=a"))
    with pytest.raises(Malformed, match="token=label;object=label"):
        backend.find(keyref.parse("pkcs11:object=a"))


def test_the_registry_opens_a_configured_token(softhsm_token: softhsm.Token) -> None:
    base = softhsm_token.directory.parent
    secret = base / "pin"
    secret.write_text(softhsm.PIN + "\n")
    secret.chmod(0o600)
    config = KeystoreConfig(pkcs11=softhsm_token.config.model_copy(update={"pin_file": secret}))
    store = open_keystore(config, directory=base / "keys", passphrase=pin.from_value("secret"))
    assert store.find(REF) is None
    info = store.generate(REF, KeyAlgorithm.EC_P256)
    assert store.list_keys() == (info,)
    with pytest.raises(Refused):
        store.decrypt_sm2(REF, b"")
    store.close()


def test_a_module_that_is_not_there_is_one_sentence(softhsm_token: softhsm.Token) -> None:
    config = softhsm_token.config.model_copy(
        update={"module": softhsm_token.directory / "libnone.so"}
    )
    with pytest.raises(Misconfigured, match=r"there is no .*libnone\.so"):
        open_token(config, RIGHT)
