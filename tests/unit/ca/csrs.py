"""Makes PKCS#10 requests, good ones and odd ones."""

from __future__ import annotations

from base64 import encodebytes
from functools import partial

from ca.altnames import encode_alternative_names, parse_alternative_name
from ca.names import encode_name
from core import der
from keystore.algorithms import KeyAlgorithm
from keystore.softkey import SoftKey
from tests.fakes.keys import memory_key

EXTENSION_REQUEST = bytes.fromhex("06092a864886f70d01090e")
SAN = bytes.fromhex("0603551d11")


def extension_request(names: tuple[str, ...]) -> bytes:
    value = encode_alternative_names([parse_alternative_name(name) for name in names])
    extension = der.sequence(SAN, der.encode(value))
    return der.sequence(EXTENSION_REQUEST, der.wrap(der.SET, der.sequence(extension)))


def make_csr(
    algorithm: KeyAlgorithm = KeyAlgorithm.SM2,
    *,
    subject=(("C", "CN"), ("CN", "gateway.example.test")),
    names: tuple[str, ...] = (),
    attributes: bytes | None = None,
    version: bytes = b"\x02\x01\x00",
    holder: SoftKey | None = None,
) -> bytes:
    """`holder`: whose key; None: one that an issuer of the small authority has, too."""
    if holder is None:
        signer = memory_key(algorithm)
        spki, signature, sign = signer.key.public_key, signer.algorithm, signer.sign
    else:
        spki, signature = holder.public_key, holder.algorithm.default_signature
        sign = partial(holder.sign, signature)
    if attributes is None:
        attributes = extension_request(names) if names else b""
    info = der.sequence(version, encode_name(subject), spki, der.wrap(0xA0, attributes))
    return der.signed_object(info, signature.identifier, sign(info))


def pem(octets: bytes, label: str = "CERTIFICATE REQUEST") -> bytes:
    return b"".join(
        (
            f"-----BEGIN {label}-----\n".encode(),
            encodebytes(octets),
            f"-----END {label}-----\n".encode(),
        )
    )
