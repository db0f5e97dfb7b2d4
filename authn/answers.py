"""What people paste: certificates, signatures and signed messages, as PEM or base64."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from authn.certlogin import Answer, RawAnswer
from core.errors import Malformed
from keystore.signeddata import parse_signed_data

_PEM: Final = re.compile(
    r"-----BEGIN (?:TRUSTED )?CERTIFICATE-----([^-]*)-----END (?:TRUSTED )?CERTIFICATE-----"
)
_CMS: Final = re.compile(r"-----BEGIN (CMS|PKCS7)-----([^-]*)-----END \1-----")
_MOST: Final = 5


def parse_certificates(text: str) -> list[bytes]:
    """Return the DER of each certificate: PEM blocks, or one bare base64. Raises `Malformed`."""
    blocks = _PEM.findall(text) if "-----BEGIN" in text else [text]
    if not 1 <= len(blocks) <= _MOST:
        raise Malformed(f"send 1 to {_MOST} certificates, as PEM or as base64 of the DER")
    return [parse_base64(block, what="the certificate") for block in blocks]


def parse_answer(certificate: str, signature: str) -> Answer:
    """Return the answer to a challenge: a CMS message in `signature`, or the two apart.

    Raises `Malformed`, `Refused`.
    """
    pem = _CMS.search(signature)
    octets = parse_base64(signature if pem is None else pem[2], what="the signature")
    if pem is not None or not certificate.strip():
        return parse_signed_data(octets)
    return RawAnswer(parse_certificates(certificate), octets)


def parse_base64(text: str, *, what: str) -> bytes:
    """Decode base64 with any line breaks. Raises `Malformed`; nothing is not a value."""
    try:
        octets = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed(f"{what} is not base64") from error
    if not octets:
        raise Malformed(f"{what} is missing")
    return octets
