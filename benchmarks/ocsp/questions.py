"""What is asked: requests as they go over the wire, in the file that `load.c` plays."""

from __future__ import annotations

import hashlib
import struct
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from core import der, oids

_SHA1 = der.sequence(der.encode(oids.SHA1), der.NULL)
_SERIAL_OCTETS = 20
_COMMON = range(8 * _SERIAL_OCTETS - 8, 8 * _SERIAL_OCTETS)
"""Bits of the numbers that take this many octets."""


class Method(StrEnum):
    """How a question goes over HTTP."""

    GET = "GET"
    POST = "POST"


@dataclass(frozen=True, slots=True)
class Question:
    """One request about a serial number, by SHA-1 as nearly every client asks."""

    serial: int
    method: Method = Method.GET
    nonce: bytes = b""
    """16 octets, or none."""


class Asker:
    """Writes requests about the certificates of one issuer."""

    def __init__(self, issuer: bytes) -> None:
        self.issuer = issuer
        certificate = x509.load_der_x509_certificate(issuer)
        bits = der.public_key_bits(
            certificate.public_key().public_bytes(
                Encoding.DER,
                PublicFormat.SubjectPublicKeyInfo,
            )
        )
        self._hashes = b"".join(
            der.encode(hashlib.sha1(octets, usedforsecurity=False).digest())
            for octets in (certificate.subject.public_bytes(), bits)
        )
        longest = (1 << 160) - 1 >> 1
        self._head = self._encode(Question(longest))[:-_SERIAL_OCTETS]

    def cert_id(self, serial: int) -> bytes:
        """Return the CertID, DER."""
        return der.sequence(_SHA1, self._hashes, der.encode(serial))

    def request(self, question: Question) -> bytes:
        """Return the OCSPRequest, DER."""
        if not question.nonce and question.serial.bit_length() in _COMMON:
            # By the million, and all of them but the serial number is the same.
            return self._head + question.serial.to_bytes(_SERIAL_OCTETS, "big")
        return self._encode(question)

    def _encode(self, question: Question) -> bytes:
        extensions = b""
        if question.nonce:
            nonce = der.sequence(
                der.encode(oids.OCSP_NONCE), der.encode(der.encode(question.nonce))
            )
            extensions = der.explicit(2, der.sequence(nonce))
        asked = der.sequence(der.sequence(self.cert_id(question.serial)))
        return der.sequence(der.sequence(asked, extensions))

    def over_http(self, question: Question, *, prefix: str = "/ocsp", close: bool = False) -> bytes:
        """Return the whole HTTP request."""
        octets = self.request(question)
        more = "Connection: close\r\n" if close else ""
        if question.method is Method.POST:
            head = (
                f"POST {prefix or '/'} HTTP/1.1\r\nHost: pki.example.cn\r\n{more}"
                "Content-Type: application/ocsp-request\r\n"
                f"Content-Length: {len(octets)}\r\n\r\n"
            )
            return head.encode() + octets
        text = b64encode(octets).replace(b"/", b"%2F").replace(b"+", b"%2B").replace(b"=", b"%3D")
        path = f"{prefix}/{text.decode()}"
        return f"GET {path} HTTP/1.1\r\nHost: pki.example.cn\r\n{more}\r\n".encode()


def write_requests(path: Path, requests: Iterable[bytes]) -> Path:
    """Write the file that `load.c` reads; return its path."""
    with path.open("wb") as file:
        for request in requests:
            file.write(struct.pack("<I", len(request)) + request)
    return path
