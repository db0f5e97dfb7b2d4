"""Opening an envelope for a holder whose signing key is a file."""

from __future__ import annotations

import contextlib
from typing import Final

from core.errors import Malformed
from keystore import pem, sm2
from keystore.envelope import EnvelopedKey, decode_enveloped_key, open_envelope
from keystore.envelope_forms import decode_csr_response, decode_skf_blob

_PRIVATE: Final = "PRIVATE KEY"


def open_for_holder(octets: bytes, *, signing_key: str) -> bytes:
    """Return the encryption key in PEM (PKCS#8, not encrypted).

    `octets` is any of the three forms; `signing_key` PEM of an SM2 key in PKCS#8. Raises
    `Malformed`.
    """
    private = sm2.PrivateKey(pem.decode(signing_key, _PRIVATE))
    opened = open_envelope(read_envelope(octets), private.decrypt)
    return pem.encode(opened.pkcs8(), _PRIVATE)


def read_envelope(octets: bytes) -> EnvelopedKey:
    """Read an envelope in any of the three forms. Raises `Malformed`."""
    with contextlib.suppress(Malformed):
        return decode_skf_blob(octets)
    with contextlib.suppress(Malformed):
        return decode_csr_response(octets).enveloped
    return decode_enveloped_key(octets)
