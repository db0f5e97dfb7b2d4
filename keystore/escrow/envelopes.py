"""Putting an escrowed key into an envelope. The only place where one leaves the centre."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from core.errors import Refused
from keystore import cfca, cms, pkcs12, sm2, sm2_forms
from keystore.algorithms import KeyAlgorithm
from keystore.certificates import public_key_of
from keystore.dialects import Dialect, possible_dialects
from keystore.envelope import decode_enveloped_key, encode_enveloped_key, envelop
from keystore.envelope_forms import CSRResponse, encode_csr_response, encode_skf_blob
from keystore.softkey import SoftKey
from keystore.verify import key_algorithm

RECODED: Final = (Dialect.CSR_RESPONSE, Dialect.ENVELOPED_KEY, Dialect.SKF, Dialect.ENVELOPED_DATA)
"""Dialects that the authority writes itself, from the envelope that came with the key."""


@dataclass(frozen=True, slots=True)
class EnvelopeOrder:
    """Which envelope of an assigned key is wanted. It may come from another process."""

    dialect: Dialect
    recipient: bytes
    """SubjectPublicKeyInfo: the one that the key was assigned for, and no other."""
    certificates: tuple[bytes, ...] = ()
    """Signed and enveloped: the recipient's. PKCS#12: the encryption key's, and its chain."""
    sealed_password: bytes | None = None
    """PKCS#12: see `keystore.escrow.identity`."""


def check_recipient(algorithm: KeyAlgorithm, recipient: bytes) -> None:
    """Raises `Refused` unless a key of `algorithm` can be enveloped to this key."""
    told = key_algorithm(recipient)
    if not (told is algorithm is KeyAlgorithm.SM2 or _both_rsa(algorithm, told)):
        raise Refused(f"a key of {algorithm} is not enveloped to one of {told}")


def standard_envelope(key: SoftKey, *, recipient: bytes) -> bytes:
    """Return DER SM2EnvelopedKey, or CMS EnvelopedData of PKCS#8 for an RSA key."""
    check_recipient(key.algorithm, recipient)
    if isinstance(key.private, sm2.PrivateKey):
        return encode_enveloped_key(envelop(key.private, recipient=recipient))
    return cms.encode_enveloped_data(key.pkcs8(), recipient=recipient)


def ordered_envelope(
    key: SoftKey, order: EnvelopeOrder, *, sender: cms.Sender | None, password: str | None
) -> bytes:
    """Return the envelope that was ordered. Raises `Refused` for one that cannot be."""
    require_possible(key.algorithm, order.dialect)
    private = key.private
    if order.dialect is Dialect.PKCS12:
        if password is None:
            raise Refused("a PKCS#12 file needs a password, sealed to the key management centre")
        return pkcs12.encode_pkcs12(key, order.certificates, password=password)
    if isinstance(private, sm2.PrivateKey) and order.dialect is Dialect.CFCA:
        return cfca.encode_for_temporary_key(private, recipient=order.recipient)
    if isinstance(private, sm2.PrivateKey) and sender is not None:
        return _signed(private, order, sender)
    raise Refused(f"the envelope {order.dialect} comes with the key, and is not ordered apart")


def require_possible(algorithm: KeyAlgorithm, dialect: Dialect) -> None:
    """Raises `Refused` for a dialect that cannot carry a key of this algorithm."""
    possible = possible_dialects(algorithm)
    if dialect not in possible:
        raise Refused(f"a key of {algorithm} comes as {', '.join(possible)}; not as {dialect}")


def recode(octets: bytes, dialect: Dialect, *, signing: bytes, encryption: bytes) -> bytes:
    """Write a standard envelope in one of the `RECODED` dialects. Needs no private key."""
    if dialect in (Dialect.ENVELOPED_KEY, Dialect.ENVELOPED_DATA):
        return octets
    enveloped = decode_enveloped_key(octets)
    if dialect is Dialect.SKF:
        return encode_skf_blob(enveloped)
    return encode_csr_response(CSRResponse(signing, encryption, enveloped))


def _signed(private: sm2.PrivateKey, order: EnvelopeOrder, sender: cms.Sender) -> bytes:
    if len(order.certificates) != 1 or public_key_of(order.certificates[0]) != order.recipient:
        raise Refused("the envelope needs the certificate of the key it goes to, and no other")
    scalar, _ = sm2_forms.decode_pkcs8(private.pkcs8())
    content = sm2_forms.encode_sec1(scalar, sm2_forms.point_of_spki(private.public_key))
    return cms.encode_signed_and_enveloped(content, recipient=order.certificates[0], sender=sender)


def _both_rsa(one: KeyAlgorithm, other: KeyAlgorithm) -> bool:
    return one.startswith("rsa") and other.startswith("rsa")
