"""The frame of a certificate: its octets, without those that differ from one to the next.

Certificates of one issuer and profile are the same octets but for serial number, times, subject,
key and key identifier. When one was read strictly and found clean by every rule, another one in the
same frame is read by comparing: only those five parts are decoded, and judged by the rules that
look at them. Its subject has the same shape, too, so pkilint has spoken for it (`ca.lint_shape`).
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final

from cryptography.x509.oid import ExtensionOID

from ca.lint_shape import letters_of
from ca.lint_subject import Subject, read_certificate, read_times
from core import der
from core.errors import Malformed

_IDENTIFIER_OCTETS: Final = 20
_MARK: Final = der.encode(ExtensionOID.SUBJECT_KEY_IDENTIFIER) + b"\x04\x16\x04\x14"
"""What stands before a subject key identifier of 20 octets that is not critical."""
_WHAT: Final = "the certificate"


@dataclass(frozen=True, slots=True)
class Framed:
    """A certificate that is to be signed, taken apart. What it says holds if its frame is known."""

    frame: Hashable
    subject: Subject
    """Only serial, issuer, times, subject, key and key identifier may be asked."""
    may_be_known: bool
    """Whether the key identifier is surely what the frame leaves out."""


def take_apart(tbs: bytes, *, signature_algorithm: bytes, issuer: bytes) -> Framed | None:
    """Return the frame and what stands in it; None: this has to be read as a whole."""
    try:
        elements = der.children(tbs, what=_WHAT)
        if len(elements) != 8 or tbs[0] != der.SEQUENCE:
            return None
        version, serial, algorithm, name, validity, subject, spki, extensions = elements
        head, mark, rest = extensions.partition(_MARK)
        if not mark:
            return None
        read = Subject(tbs, signature_algorithm, None, read_certificate(issuer), self_signed=False)
        # In the place of what would be decoded from the whole.
        read.__dict__.update(
            serial=der.decode(int, serial, what=_WHAT),
            issuer=name,
            times=read_times(validity),
            subject=subject,
            spki=spki,
            key_identifier=rest[:_IDENTIFIER_OCTETS],
        )
        frame = (
            issuer,
            signature_algorithm,
            version,
            algorithm,
            name,
            (read.times[0][0], read.times[1][0]),
            letters_of(read.rdns),
            read.key_algorithm,
            len(read.key.subject_public_key.as_bytes()),
            # Up to the first mark, and from behind the identifier on. Whatever has the same
            # octets there has the same structure: lengths stand before what they count.
            head,
            rest[_IDENTIFIER_OCTETS:],
        )
    except Malformed:
        return None  # whoever reads the whole says what is wrong
    return Framed(frame, read, may_be_known=extensions.count(_MARK) == 1)


def is_clean(framed: Framed, subject: Subject) -> bool:
    """Whether the frame of a certificate without findings, read as a whole, is to be known."""
    return (
        framed.may_be_known
        and subject.key_identifier == framed.subject.key_identifier
        # The rule on path lengths compares issuer and subject.
        and not subject.authority
    )
