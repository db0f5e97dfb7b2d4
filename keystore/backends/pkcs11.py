"""Keys on a PKCS#11 token. Scheme ``pkcs11``: ``pkcs11:token=issuing;object=rsa-root``.

The object is the label of the private key and of the public key beside it. Keys made here are
sensitive and not extractable from their first moment. Nothing is loaded before the first use, so
that a process may fork until then.
"""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import dataclass
from typing import Any, Final

from pkcs11.constants import Attribute, ObjectClass
from pkcs11.exceptions import (
    ArgumentsBad,
    EncryptedDataInvalid,
    EncryptedDataLenRange,
    FunctionNotSupported,
    MechanismParamInvalid,
    RandomNoRNG,
)
from pkcs11.mechanisms import KeyType

from core.errors import BackendUnavailable, Conflict, Malformed, Misconfigured, NotFound, Refused
from keystore import keyref, keywrap, softkey, verify
from keystore.algorithms import KeyAlgorithm, SignatureAlgorithm
from keystore.backend import KeyInfo, Signer
from keystore.backends import pkcs11_forms
from keystore.backends.pkcs11_forms import SignOperation
from keystore.backends.pkcs11_session import Session, TokenSession
from keystore.config import PKCS11Config, VendorSM2Config
from keystore.keyref import KeyRef
from keystore.keywrap import OAEPDigest
from keystore.pin import SecretSource

SCHEME: Final = "pkcs11"
_ID_OCTETS: Final = 16


def open_token(config: PKCS11Config, pin: SecretSource) -> PKCS11KeyBackend:
    """Make the backend of a configured token; it is first touched when a key is.

    Raises `Misconfigured` when the module is not there.
    """
    if not config.module.is_file():
        raise Misconfigured(f"keystore.pkcs11.module: there is no {config.module}")
    return PKCS11KeyBackend(
        config.token, TokenSession(config, pin), sm2=config.sm2, oaep_digest=config.oaep_digest
    )


class PKCS11KeyBackend:
    """The keys of one token. Safe to share between threads, which then queue."""

    def __init__(
        self,
        token: str,
        session: TokenSession,
        *,
        sm2: VendorSM2Config | None = None,
        oaep_digest: OAEPDigest = "sha256",
    ) -> None:
        self._token = token
        self._session = session
        self._sm2 = sm2
        self._oaep_digest = oaep_digest

    def generate(self, ref: KeyRef, algorithm: KeyAlgorithm) -> KeyInfo:
        return self._generate(ref, *pkcs11_forms.generation(algorithm, self._sm2))

    def generate_wrapping(self, ref: KeyRef) -> KeyInfo:
        return self._generate(ref, *pkcs11_forms.wrapping_generation())

    def _generate(self, ref: KeyRef, key_type: KeyType, arguments: dict[str, Any]) -> KeyInfo:
        label = self._label(ref)

        def work(session: Session) -> bytes:
            for kind in (ObjectClass.PRIVATE_KEY, ObjectClass.PUBLIC_KEY):
                if _objects(session, kind, label):
                    raise Conflict(f"the key {ref} exists, and is never replaced")
            public, _ = session.generate_keypair(
                key_type, id=secrets.token_bytes(_ID_OCTETS), label=label, **arguments
            )
            return pkcs11_forms.public_key(public)

        spki = self._session.use(work)
        return KeyInfo(ref, verify.key_algorithm(spki), spki)

    def find(self, ref: KeyRef) -> KeyInfo | None:
        label = self._label(ref)

        def work(session: Session) -> bytes | None:
            if not _objects(session, ObjectClass.PRIVATE_KEY, label):
                return None
            return pkcs11_forms.public_key(_one(session, ObjectClass.PUBLIC_KEY, label))

        spki = self._session.use(work)
        return None if spki is None else KeyInfo(ref, verify.key_algorithm(spki), spki)

    def list_keys(self) -> tuple[KeyInfo, ...]:
        """Return the keys that a reference can name and that are of a kind we know."""
        labels = self._session.use(_labels)
        found = []
        for label in labels:
            try:
                ref = keyref.make(SCHEME, token=self._token, object=label)
                info = self.find(ref)
            except (Malformed, Refused):
                continue
            if info is not None:
                found.append(info)
        return tuple(found)

    def signer(self, ref: KeyRef, algorithm: SignatureAlgorithm | None = None) -> Signer:
        info = self._require(ref)
        chosen = algorithm or info.algorithm.default_signature
        softkey.require_signs(info.algorithm, chosen)
        operation = pkcs11_forms.sign_operation(chosen, info.public_key, self._sm2)
        return PKCS11Signer(info, chosen, operation, self._label(ref), self._session)

    def wrap_key(self, ref: KeyRef, key: bytes) -> bytes:
        info = self._require(ref)
        return keywrap.wrap(info.public_key, key, digest=self._oaep_digest)

    def unwrap_key(self, ref: KeyRef, wrapped: bytes) -> bytes:
        label, how = self._label(ref), pkcs11_forms.oaep(self._oaep_digest)

        def work(session: Session) -> bytes:
            private = _one(session, ObjectClass.PRIVATE_KEY, label)
            if not private[Attribute.DECRYPT]:
                raise Refused(f"{ref} was made for something else: it may not decrypt")
            try:
                opened: bytes = private.decrypt(wrapped, **how)
            except (EncryptedDataInvalid, EncryptedDataLenRange) as error:
                raise Malformed(f"this was not encrypted to {ref}") from error
            except (ArgumentsBad, MechanismParamInvalid) as error:
                raise Refused(
                    f"the token does not know RSAES-OAEP with {self._oaep_digest} "
                    "(keystore.pkcs11.oaep_digest)"
                ) from error
            return opened

        return self._session.use(work)

    def destroy(self, ref: KeyRef) -> None:
        label = self._label(ref)

        def work(session: Session) -> None:
            self._session.handles.pop(label, None)
            _one(session, ObjectClass.PRIVATE_KEY, label).destroy()
            for public in _objects(session, ObjectClass.PUBLIC_KEY, label):
                public.destroy()

        self._session.use(work)

    def _require(self, ref: KeyRef) -> KeyInfo:
        info = self.find(ref)
        if info is None:
            raise NotFound(f"there is no key {ref}")
        return info

    def reset(self) -> None:
        """Allow one more login after the PIN was refused."""
        self._session.reset()

    def close(self) -> None:
        self._session.close()

    def _label(self, ref: KeyRef) -> str:
        attributes = keyref.attributes_of(ref)
        if keyref.scheme_of(ref) != SCHEME or set(attributes) != {"token", "object"}:
            raise Malformed(f"{ref} is not of the form {SCHEME}:token=label;object=label")
        if attributes["token"] != self._token:
            raise NotFound(f"{ref} is on another token than {self._token}, which is configured")
        return attributes["object"]


@dataclass(frozen=True, slots=True)
class PKCS11Signer:
    """Signs on the token."""

    key: KeyInfo
    algorithm: SignatureAlgorithm
    _operation: SignOperation
    _label: str
    _session: TokenSession

    def sign(self, message: bytes) -> bytes:
        data = self._operation.prepare(message)

        def work(session: Session) -> bytes:
            signature: bytes = self._private(session).sign(
                data,
                mechanism=self._operation.mechanism,
                mechanism_param=self._operation.parameter,
            )
            return signature

        answer = self._session.use(work)
        try:
            return self._operation.finish(answer)
        except Malformed as error:
            raise BackendUnavailable(
                f"what the token gave for {self.key.ref} is no {self.algorithm} signature"
            ) from error

    def _private(self, session: Session) -> Any:
        """Return the handle of the key; the session forgets it when it is lost itself."""
        handles = self._session.handles
        if self._label not in handles:
            private = _one(session, ObjectClass.PRIVATE_KEY, self._label)
            public = _one(session, ObjectClass.PUBLIC_KEY, self._label)
            if pkcs11_forms.public_key(public) != self.key.public_key:
                raise BackendUnavailable(f"the token now has another key named {self.key.ref}")
            handles[self._label] = private
        return handles[self._label]


def _one(session: Session, kind: ObjectClass, label: str) -> Any:
    found = _objects(session, kind, label)
    if len(found) > 1:
        raise BackendUnavailable(f"the token has {len(found)} objects {kind.name} named {label}")
    if not found:
        raise NotFound(f"the token has no {kind.name} named {label}")
    return found[0]


def _objects(session: Session, kind: ObjectClass, label: str | None = None) -> list[Any]:
    # python-pkcs11 leaves a search that could not start to its destructor, which can only complain
    # on standard error. This call says that the session is lost by raising.
    with contextlib.suppress(RandomNoRNG, FunctionNotSupported):
        session.generate_random(64)
    named = {} if label is None else {Attribute.LABEL: label}
    return list(session.get_objects({Attribute.CLASS: kind, **named}))


def _labels(session: Session) -> list[str]:
    return sorted({key[Attribute.LABEL] for key in _objects(session, ObjectClass.PRIVATE_KEY)})
