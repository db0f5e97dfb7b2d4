"""SM4 (GB/T 32907, GM/T 0002): the block cipher of key envelopes and of escrowed keys."""

from __future__ import annotations

import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

KEY_OCTETS: Final = 16
BLOCK_OCTETS: Final = 16
_NONCE_OCTETS: Final = 12
_TAG_OCTETS: Final = 16


def encrypt_blocks(key: bytes, blocks: bytes) -> bytes:
    """Encrypt whole blocks in ECB mode. Only for what the envelope standards lay down: one key."""
    encryptor = Cipher(algorithms.SM4(key), modes.ECB()).encryptor()  # noqa: S305  (GB/T 35276)
    return encryptor.update(blocks) + encryptor.finalize()


def decrypt_blocks(key: bytes, blocks: bytes) -> bytes:
    """Decrypt whole blocks in ECB mode. Nothing is authenticated: the caller checks the result."""
    decryptor = Cipher(algorithms.SM4(key), modes.ECB()).decryptor()  # noqa: S305  (GB/T 35276)
    return decryptor.update(blocks) + decryptor.finalize()


def seal(key: bytes, plaintext: bytes, *, about: bytes) -> bytes:
    """Encrypt in GCM mode, bound to `about`; returns nonce, ciphertext and tag."""
    nonce = secrets.token_bytes(_NONCE_OCTETS)
    encryptor = Cipher(algorithms.SM4(key), modes.GCM(nonce)).encryptor()
    encryptor.authenticate_additional_data(about)
    return nonce + encryptor.update(plaintext) + encryptor.finalize() + encryptor.tag


def unseal(key: bytes, sealed: bytes, *, about: bytes) -> bytes:
    """Return what `seal` sealed. Raises `ValueError` if anything of it was changed."""
    if len(sealed) < _NONCE_OCTETS + _TAG_OCTETS:
        raise ValueError("it is too short")
    nonce, tag = sealed[:_NONCE_OCTETS], sealed[-_TAG_OCTETS:]
    decryptor = Cipher(algorithms.SM4(key), modes.GCM(nonce, tag)).decryptor()
    decryptor.authenticate_additional_data(about)
    try:
        return decryptor.update(sealed[_NONCE_OCTETS:-_TAG_OCTETS]) + decryptor.finalize()
    except InvalidTag as error:
        raise ValueError("it does not open") from error
