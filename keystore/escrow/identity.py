"""What the centre shows of itself: a certificate for its signatures, and a key for passwords.

Both keys are made on first use, and protect nothing that is stored: after a loss they are made
anew. The certificate is self-signed; who relies on it fetches it from the authority and pins it.
"""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography.hazmat import asn1

from core import der
from core.clock import Clock
from core.errors import BackendUnavailable, Conflict, Malformed
from keystore import sm2
from keystore.algorithms import KeyAlgorithm
from keystore.backend import KeyInfo, Signer
from keystore.cms import Sender
from keystore.escrow.store import CentreIdentity, EscrowStore
from keystore.keyref import KeyRef
from keystore.pkcs12 import check_password
from keystore.storagekey import StorageBackend

MAX_SEALED_OCTETS: Final = 512
_LABEL: Final = b"yinxin pkcs12 password"
_LIFETIME: Final = timedelta(days=7300)
_COMMON_NAME: Final = "Key management centre"


@dataclass(frozen=True, slots=True)
class Identity:
    """The public half."""

    certificate: bytes
    """DER: what SignedAndEnvelopedData is signed with."""
    transport_key: bytes
    """SubjectPublicKeyInfo, SM2: passwords are sealed to it."""


class IdentityKeys:
    """The private half: signs envelopes, and opens sealed passwords."""

    def __init__(
        self,
        keystore: StorageBackend,
        store: EscrowStore,
        *,
        signing_key: KeyRef,
        transport_key: KeyRef,
        clock: Clock,
    ) -> None:
        self._keystore = keystore
        self._store = store
        self._signing_key = signing_key
        self._transport_key = transport_key
        self._clock = clock

    def show(self) -> Identity:
        """Raises `BackendUnavailable`."""
        return Identity(self.sender().certificate, self._key(self._transport_key).public_key)

    def sender(self) -> Sender:
        """Return the signer and its certificate."""
        fingerprint = hashlib.sha256(self._key(self._signing_key).public_key).hexdigest()
        signer = self._keystore.signer(self._signing_key)
        kept = self._store.find_identity(fingerprint)
        if kept is None:
            made = CentreIdentity(fingerprint, self._certify(signer), self._clock.now())
            kept = self._store.keep_identity(made)
        return Sender(signer, kept.certificate)

    def open_password(self, sealed: bytes, *, request_id: str) -> str:
        """Return the password that `seal_password` sealed for this request. Raises `Malformed`."""
        if len(sealed) > MAX_SEALED_OCTETS:
            raise Malformed(f"a sealed password has at most {MAX_SEALED_OCTETS} octets")
        opened = self._keystore.decrypt_sm2(self._transport_key, sealed)
        head = _about(request_id)
        if not opened.startswith(head) or not opened[len(head) :].isascii():
            raise Malformed("the password is sealed for another request, or for something else")
        return check_password(opened[len(head) :].decode("ascii"))

    def _key(self, ref: KeyRef) -> KeyInfo:
        found = self._keystore.find(ref)
        if found is None:
            with contextlib.suppress(Conflict):  # another process made it at the same moment
                return self._keystore.generate(ref, KeyAlgorithm.SM2)
            found = self._keystore.find(ref)
        if found is None:
            raise BackendUnavailable(f"the key {ref} cannot be made")
        return found

    def _certify(self, signer: Signer) -> bytes:
        now = self._clock.now()
        name = der.sequence(
            der.wrap(der.SET, der.sequence(_COMMON_NAME_OID, der.encode(_COMMON_NAME)))
        )
        serial = int.from_bytes(hashlib.sha256(signer.key.public_key).digest()[:15], "big") + 1
        tbs = der.sequence(
            der.explicit(0, der.encode(2)),
            der.encode(serial),
            signer.algorithm.identifier,
            name,
            der.sequence(_time(now), _time(now + _LIFETIME)),
            name,
            signer.key.public_key,
            der.explicit(3, der.sequence(_SIGNS_ONLY)),
        )
        return der.signed_object(tbs, signer.algorithm.identifier, signer.sign(tbs))


def seal_password(password: str, *, transport_key: bytes, request_id: str) -> bytes:
    """Seal a password to the centre, for one request. Raises `Malformed` for a weak one."""
    text = check_password(password).encode("ascii")
    return sm2.encrypt(transport_key, _about(request_id) + text)


def _time(moment: datetime) -> bytes:
    # RFC 5280, 4.1.2.5.
    form = asn1.UTCTime if moment.year < 2050 else asn1.GeneralizedTime
    return der.encode(form(moment))


def _about(request_id: str) -> bytes:
    return b"\0".join((_LABEL, request_id.encode("ascii", "replace"), b""))


_COMMON_NAME_OID: Final = bytes.fromhex("0603550403")
# Key usage digitalSignature and nonRepudiation, critical.
_SIGNS_ONLY: Final = bytes.fromhex("300e0603551d0f0101ff0404030206c0")
