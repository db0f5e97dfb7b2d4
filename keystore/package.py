"""The package of a batch: a ZIP, encrypted as a whole to one recipient, and opened again.

CMS EnvelopedData (RFC 5652, 6) for an RSA recipient, that `openssl cms -decrypt` opens; the SM2
digital envelope of GB/T 35275 for an SM2 one. Private keys come in sealed and are opened only to
be encrypted again.
"""

from __future__ import annotations

import contextlib
import csv
import io
import secrets
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes, padding, serialization
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from core import der
from core.errors import Malformed, Refused
from keystore import pem, sm2, softkey
from keystore.algorithms import KeyAlgorithm
from keystore.certificates import issuer_and_serial, public_key_of
from keystore.holdersafe import DataKey
from keystore.verify import key_algorithm

MAX_RECIPIENT_OCTETS: Final = 16_384
_BLOCK: Final = 16
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_RSA: Final = (KeyAlgorithm.RSA_2048, KeyAlgorithm.RSA_3072, KeyAlgorithm.RSA_4096)
_OAEP: Final = rsa_padding.OAEP(rsa_padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)


def _oid(dotted: str) -> bytes:
    return der.encode(der.oid(dotted))


_SHA256: Final = der.sequence(_oid("2.16.840.1.101.3.4.2.1"))
_MGF1: Final = der.sequence(_oid("1.2.840.113549.1.1.8"), _SHA256)


@dataclass(frozen=True, slots=True)
class _Suite:
    """What an envelope is written with, for one kind of recipient."""

    enveloped_data: bytes
    data: bytes
    version: int
    key_encryption: bytes
    cipher: bytes
    key_octets: int


_RSA_SUITE: Final = _Suite(
    enveloped_data=_oid("1.2.840.113549.1.7.3"),
    data=_oid("1.2.840.113549.1.7.1"),
    version=0,
    # RFC 8017, A.2.1: RSAES-OAEP with SHA-256, also in MGF1.
    key_encryption=der.sequence(
        _oid("1.2.840.113549.1.1.7"),
        der.sequence(der.explicit(0, _SHA256), der.explicit(1, _MGF1)),
    ),
    cipher=_oid("2.16.840.1.101.3.4.1.42"),
    key_octets=32,
)
_SM2_SUITE: Final = _Suite(
    enveloped_data=_oid("1.2.156.10197.6.1.4.2.3"),
    data=_oid("1.2.156.10197.6.1.4.2.1"),
    version=1,
    key_encryption=der.sequence(_oid("1.2.156.10197.1.301.3")),
    cipher=_oid("1.2.156.10197.1.104.2"),
    key_octets=16,
)


@asn1.sequence
class _ContentInfo:
    kind: asn1.TLV
    content: asn1.TLV


@asn1.sequence
class _EnvelopedData:
    version: int
    recipients: asn1.TLV
    encrypted: asn1.TLV


@asn1.sequence
class _RecipientInfo:
    version: int
    recipient: asn1.TLV
    algorithm: asn1.TLV
    key: bytes


@asn1.sequence
class _Encrypted:
    kind: asn1.TLV
    algorithm: asn1.TLV
    octets: asn1.TLV


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a package, or the sealed PKCS#12 files of one holder."""

    name: str
    octets: bytes = b""
    sealed: bytes | None = None
    owner: str = ""
    algorithm: KeyAlgorithm = KeyAlgorithm.SM2


def check_recipient(certificate: bytes, *, now: datetime) -> None:
    """Raises `Refused` or `Malformed` unless a package can be encrypted to this certificate."""
    if len(certificate) > MAX_RECIPIENT_OCTETS:
        raise Malformed("the recipient's certificate is too long")
    if key_algorithm(public_key_of(certificate)) not in (*_RSA, KeyAlgorithm.SM2):
        raise Refused("a package is encrypted to an RSA or an SM2 certificate, and to no other")
    try:
        parsed = x509.load_der_x509_certificate(certificate)
        usage = parsed.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound as error:
        raise Refused("the recipient's certificate has no key usage") from error
    except ValueError as error:
        raise Malformed("the recipient's certificate cannot be read") from error
    if not usage.key_encipherment:
        raise Refused("the recipient's certificate is not for encrypting keys (keyEncipherment)")
    if not parsed.not_valid_before_utc <= now <= parsed.not_valid_after_utc:
        raise Refused("the recipient's certificate is not valid now")


def write_package(entries: Iterable[Entry], *, data_key: DataKey | None, recipient: bytes) -> bytes:
    """Return the encrypted package. Passwords are in ``passwords.csv`` inside it."""
    passwords: list[tuple[str, str]] = []
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for entry in entries:
            if entry.sealed is None:
                _add(archive, entry.name, entry.octets)
            elif data_key is None:
                raise Refused("the private keys of this batch are erased")
            else:
                mine = data_key.files(entry.sealed, owner=entry.owner, algorithm=entry.algorithm)
                for suffix, octets in mine.files.items():
                    name = f"{entry.name}{suffix}.p12"
                    _add(archive, name, octets)
                    passwords.append((name, mine.password))
        if passwords:
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows([("file", "password"), *passwords])
            _add(archive, "passwords.csv", text.getvalue().encode("ascii"))
    return envelop(out.getvalue(), recipient=recipient)


def envelop(octets: bytes, *, recipient: bytes) -> bytes:
    """Encrypt to the certificate `recipient`."""
    spki = public_key_of(recipient)
    suite = _SM2_SUITE if key_algorithm(spki) is KeyAlgorithm.SM2 else _RSA_SUITE
    key, iv = secrets.token_bytes(suite.key_octets), secrets.token_bytes(_BLOCK)
    padder = padding.PKCS7(8 * _BLOCK).padder()
    encryptor = _cipher(key, iv).encryptor()
    body = encryptor.update(padder.update(octets) + padder.finalize()) + encryptor.finalize()
    info = der.sequence(
        der.encode(suite.version),
        issuer_and_serial(recipient),
        suite.key_encryption,
        der.encode(_encrypt_key(key, spki)),
    )
    content = der.sequence(
        suite.data, der.sequence(suite.cipher, der.encode(iv)), der.wrap(0x80, body)
    )
    enveloped = der.sequence(der.encode(suite.version), der.wrap(der.SET, info), content)
    return der.sequence(suite.enveloped_data, der.explicit(0, enveloped))


def open_package(octets: bytes, *, private_key: str) -> bytes:
    """Return the ZIP, opened with PEM of the recipient's key (PKCS#8). Raises `Malformed`.

    For every reason with the same words: what was changed and what is another's look alike.
    """
    pkcs8 = pem.decode(private_key, "PRIVATE KEY")
    refusal = Malformed("the package does not open with this key")
    info = der.decode(_ContentInfo, octets, what="the package")
    suite = {s.enveloped_data: s for s in (_RSA_SUITE, _SM2_SUITE)}.get(der.octets_of(info.kind))
    if suite is None:
        raise refusal
    try:
        enveloped = der.decode(_EnvelopedData, bytes(info.content.data), what="the package")
        wrapped = der.decode(
            _RecipientInfo, bytes(enveloped.recipients.data), what="the package"
        ).key
        encrypted = der.decode(_Encrypted, der.octets_of(enveloped.encrypted), what="the package")
        iv = bytes(encrypted.algorithm.data)[-_BLOCK:]
        decryptor = _cipher(_decryptor(suite, pkcs8)(wrapped), iv).decryptor()
        padded = decryptor.update(bytes(encrypted.octets.data)) + decryptor.finalize()
        unpadder = padding.PKCS7(8 * _BLOCK).unpadder()
        return unpadder.update(padded) + unpadder.finalize()
    except (ValueError, Malformed) as error:
        raise refusal from error


def _decryptor(suite: _Suite, pkcs8: bytes) -> Callable[[bytes], bytes]:
    if suite is _SM2_SUITE:
        return softkey.load(KeyAlgorithm.SM2, pkcs8).decrypt_sm2
    for algorithm in _RSA:
        with contextlib.suppress(Malformed):
            private = softkey.load(algorithm, pkcs8).private
            if isinstance(private, rsa.RSAPrivateKey):
                return partial(private.decrypt, padding=_OAEP)
    raise Malformed("this is no RSA key")


def _encrypt_key(key: bytes, spki: bytes) -> bytes:
    if key_algorithm(spki) is KeyAlgorithm.SM2:
        return sm2.encrypt(spki, key)
    public = serialization.load_der_public_key(spki)
    if not isinstance(public, rsa.RSAPublicKey):
        raise Refused("a package is encrypted to an RSA or an SM2 certificate, and to no other")
    return public.encrypt(key, _OAEP)


def _cipher(key: bytes, iv: bytes) -> Cipher[modes.CBC]:
    algorithm = algorithms.AES256(key) if len(key) == 32 else algorithms.SM4(key)
    return Cipher(algorithm, modes.CBC(iv))


def _add(archive: zipfile.ZipFile, name: str, octets: bytes) -> None:
    # Stored, not deflated: what is inside is encrypted, or small. The time says nothing.
    archive.writestr(zipfile.ZipInfo(name, _EPOCH), octets)
