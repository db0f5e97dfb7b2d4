"""The requests that nearly every client sends, told from all others without an ASN.1 library.

They are one CertID of an issuer of ours and no more (`crl.ocsp.layout.CertIDForm`): every octet of
them but the serial number is known before they come, and so is nearly every character in the path
of a GET.
"""

from __future__ import annotations

import binascii
from base64 import b64encode
from collections.abc import Iterable
from typing import Final, NamedTuple

from ca.packedstatus import NUMBER, SERIAL_OCTETS
from crl.ocsp.layout import CertIDForm, KnownIssuer, cert_id_forms

MAX_SPELLINGS: Final = 1024
_TOLD_APART: Final = 80
"""So many characters tell one beginning of a path from others: they reach into issuerKeyHash."""


class Spelling(NamedTuple):
    """How a path begins in which one form of request is written: all but the serial number.

    Base64 is made of three octets at a time, so what follows `begin` is base64 by itself, of
    `lead` and the serial number.
    """

    begin: bytes
    begin_length: int
    lead: bytes
    lead_length: int
    characters: int
    """Of what follows, without escapes."""
    octets: int
    key_begin: bytes
    key_end: bytes


class RequestForms:
    """Finds the keys of answers to simple requests to `issuers`. Not to be shared by threads."""

    def __init__(self, issuers: Iterable[KnownIssuer]) -> None:
        forms = [form for one in issuers for form in cert_id_forms(one)]
        self._forms = {form.head: form for form in forms}
        self._by_key = {(form.key_begin, form.key_end): form for form in forms}
        # The first one is what nearly every client asks by.
        self._sizes = tuple(sorted({len(head) for head in self._forms}, key=_frequency))
        self._spellings: dict[bytes, Spelling] = {}

    def key_of(self, octets: bytes) -> bytes | None:
        """Return the key of the answer to a request that is one CertID and nothing else.

        Every octet of it but the serial number is compared, so its DER need not be looked at. No
        answer has a key whose serial number is not positive, or longer than it must be.
        None: it has another form, or is not for an issuer of ours.
        """
        form = self._form_of(octets)
        if form is None:
            return None
        serial = octets[len(form.head) :]
        return form.key_begin + serial.rjust(SERIAL_OCTETS, b"\0") + form.key_end

    def key_in_path(self, encoded: bytes) -> bytes | None:
        """Do the same with what stands behind ``/ocsp/`` in a GET, raw as it came.

        How a path began that was decoded whole is remembered: of the next one that begins so only
        the rest is decoded. None for other spellings than those of nearly every client, too.
        """
        known = self._spellings.get(encoded[:_TOLD_APART])
        if known is not None:
            # Unpacked at once: this is done for nearly every request.
            begin, begins, lead, leads, characters, length, key_begin, key_end = known
            rest = encoded[begins:]
            octets = _decode(rest if len(rest) == characters else _unescape(rest))
            if len(octets) == length and octets.startswith(lead) and encoded.startswith(begin):
                return key_begin + octets[leads:].rjust(SERIAL_OCTETS, b"\0") + key_end
        octets = _decode(_unescape(encoded))
        form = self._form_of(octets)
        if form is None:
            return None
        self._remember(encoded, form)
        return self.key_of(octets)

    def request_of(self, key: bytes) -> bytes:
        """Return the simple request that the answer under a key is to, DER."""
        serial = key[NUMBER.size : NUMBER.size + SERIAL_OCTETS]
        form = self._by_key[key[: NUMBER.size], key[NUMBER.size + SERIAL_OCTETS :]]
        return form.head + serial[len(form.head) - form.length :]

    def _form_of(self, octets: bytes) -> CertIDForm | None:
        for size in self._sizes:
            form = self._forms.get(octets[:size])
            if form is not None:
                return form if len(octets) == form.length else None
        return None

    def _remember(self, encoded: bytes, form: CertIDForm) -> None:
        """Remember how a path begins that is exactly what a client makes of this form.

        Such are two for each form, so that nobody can fill this with others.
        """
        whole = len(form.head) // 3 * 3
        text = b64encode(form.head[:whole])
        lead, octets = form.head[whole:], form.length - whole
        for begin in (text, _escape(text)):
            if encoded.startswith(begin):
                if len(self._spellings) >= MAX_SPELLINGS:
                    self._spellings.clear()
                self._spellings[encoded[:_TOLD_APART]] = Spelling(
                    begin=begin,
                    begin_length=len(begin),
                    lead=lead,
                    lead_length=len(lead),
                    characters=-(-octets // 3) * 4,
                    octets=octets,
                    key_begin=form.key_begin,
                    key_end=form.key_end,
                )


def _escape(text: bytes) -> bytes:
    return text.replace(b"+", b"%2B").replace(b"/", b"%2F")


def _unescape(text: bytes) -> bytes:
    if b"%" not in text:
        return text
    return text.replace(b"%2B", b"+").replace(b"%2F", b"/").replace(b"%3D", b"=")


def _decode(text: bytes) -> bytes:
    """Return the octets of base64, with its padding; empty for what is none."""
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        return b""


def _frequency(size: int) -> tuple[bool, int]:
    return (size != _SHA1_WITH_NULL, size)


_SHA1_WITH_NULL: Final = 10 + 11 + 22 + 22 + 2
"""Tags and lengths, AlgorithmIdentifier, two hashes, and the tag and length of the number."""
