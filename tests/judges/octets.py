"""Files for judges: PEM around DER, and what lies inside a signed object."""

from __future__ import annotations

import subprocess
import tempfile
from base64 import b64decode, encodebytes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

CERTIFICATE = "CERTIFICATE"
CRL = "X509 CRL"
REQUEST = "CERTIFICATE REQUEST"


@dataclass(frozen=True, slots=True)
class Signed:
    """To-be-signed octets and the signature over them."""

    tbs: bytes
    signature: bytes


def pem(label: str, der: bytes) -> str:
    """Write `der` as PEM (RFC 7468)."""
    return f"-----BEGIN {label}-----\n{encodebytes(der).decode()}-----END {label}-----\n"


@contextmanager
def files(**contents: bytes | str) -> Iterator[dict[str, str]]:
    """Write each content to a file of its own for the length of the question; give the paths."""
    with tempfile.TemporaryDirectory(prefix="judge-") as directory:
        paths = {}
        for name, content in contents.items():
            path = Path(directory) / name
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
            paths[name] = str(path)
        yield paths


def certificate(der: bytes) -> Signed:
    """Take a certificate apart."""
    parsed = x509.load_der_x509_certificate(der)
    return Signed(parsed.tbs_certificate_bytes, parsed.signature)


def request(der: bytes) -> Signed:
    """Take a CSR apart."""
    parsed = x509.load_der_x509_csr(der)
    return Signed(parsed.tbs_certrequest_bytes, parsed.signature)


def crl(der: bytes) -> Signed:
    """Take a CRL apart."""
    parsed = x509.load_der_x509_crl(der)
    return Signed(parsed.tbs_certlist_bytes, parsed.signature)


def ocsp_response(der: bytes) -> Signed:
    """Take a successful OCSP answer apart."""
    parsed = ocsp.load_der_ocsp_response(der)
    return Signed(parsed.tbs_response_bytes, parsed.signature)


def ocsp_signer(der: bytes) -> bytes:
    """Return the delegated certificate that travels in an OCSP answer."""
    (sent,) = ocsp.load_der_ocsp_response(der).certificates
    return sent.public_bytes(Encoding.DER)


def sm2_point(der: bytes, *, of: str = "x509") -> bytes:
    """Return the point ``04 || X || Y`` of a certificate (`of` "x509") or CSR (`of` "req").

    OpenSSL reads it, because `cryptography` does not know the curve.
    """
    command = ["openssl", of, "-inform", "DER", "-noout", "-pubkey"]
    printed = subprocess.run(command, input=der, capture_output=True, check=True).stdout
    body = printed.split(b"-----")[2]
    return b64decode(body)[-65:]


def flipped(der: bytes) -> bytes:
    """Return `der` with the last bit turned: in every signed object that is the signature's."""
    return der[:-1] + bytes((der[-1] ^ 1,))
