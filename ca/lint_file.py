"""Files of certificates as people have them: DER, or PEM with any number of blocks."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Sequence
from typing import Final

from ca.lint import MAX_CERTIFICATE_OCTETS
from ca.lint_subject import read_certificate
from core.errors import Malformed, TooLarge

MAX_FILE_OCTETS: Final = 1024 * 1024
_MOST: Final = 100
_BLOCK: Final = re.compile(
    rb"-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----\s([A-Za-z0-9+/=\s]*)"
    rb"-----END (?:TRUSTED |X509 )?CERTIFICATE-----"
)


def parse_file(octets: bytes) -> tuple[bytes, ...]:
    """Return the octets of each certificate; what is in them is the linter's business.

    Raises `Malformed` or `TooLarge`.
    """
    if len(octets) > MAX_FILE_OCTETS:
        raise TooLarge(f"a file of certificates is at most {MAX_FILE_OCTETS} octets")
    if b"-----BEGIN" not in octets:
        return (_sized(octets),)
    blocks = _BLOCK.findall(octets)
    if not 1 <= len(blocks) <= _MOST:
        raise Malformed(f"the file holds {len(blocks)} PEM certificates, not 1 to {_MOST}")
    try:
        return tuple(_sized(b64decode(b"".join(one.split()), validate=True)) for one in blocks)
    except binascii.Error as error:
        raise Malformed("a PEM block of the file is not base64") from error


def is_self_signed(octets: bytes) -> bool:
    """Whether a certificate names itself as its issuer; also True for what is no certificate."""
    try:
        return read_certificate(octets).self_signed
    except Malformed:
        return True


def find_issuer(octets: bytes, candidates: Sequence[bytes]) -> bytes | None:
    """Return the first candidate that has the name, and the key, which `octets` names as issuer."""
    if is_self_signed(octets):
        return None
    try:
        wanted = read_certificate(octets)
    except Malformed:
        return None
    for candidate in candidates:
        try:
            found = read_certificate(candidate)
        except Malformed:
            continue
        named = wanted.authority_key_identifier
        if found.subject == wanted.issuer and named in (None, found.key_identifier):
            return candidate
    return None


def _sized(octets: bytes) -> bytes:
    if not 0 < len(octets) <= MAX_CERTIFICATE_OCTETS:
        raise Malformed(f"a certificate is 1 to {MAX_CERTIFICATE_OCTETS} octets")
    return octets
