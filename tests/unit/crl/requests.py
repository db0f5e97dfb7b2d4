"""OCSP requests, built element by element so that a test can name its one oddity."""

from __future__ import annotations

import hashlib

from core import der, oids
from crl.ocsp.issuers import Known

HASHES = {
    "sha1": oids.SHA1,
    "sha256": oids.SHA256,
    "sha384": oids.SHA384,
    "sha512": oids.SHA512,
    "sm3": oids.SM3,
}
NONCE = "1.3.6.1.5.5.7.48.1.2"


def cert_id(issuer: Known, serial: int, digest: str = "sha1", *, null: bool = True) -> bytes:
    return cert_id_of(issuer.subject, issuer.public_key_bits, serial, digest, null=null)


def cert_id_of(
    name: bytes, key_bits: bytes, serial: int, digest: str = "sha1", *, null: bool = True
) -> bytes:
    parameters = der.NULL if null else b""
    return der.sequence(
        der.sequence(der.encode(HASHES[digest]), parameters),
        der.encode(hashlib.new(digest, name).digest()),
        der.encode(hashlib.new(digest, key_bits).digest()),
        der.encode(serial),
    )


def extension(oid: str, value: bytes, *, critical: bool = False) -> bytes:
    flag = b"\x01\x01\xff" if critical else b""
    return der.sequence(der.encode(der.oid(oid)), flag, der.encode(value))


def nonce(octets: bytes) -> bytes:
    return extension(NONCE, der.encode(octets))


def request(
    *cert_ids: bytes,
    extensions: tuple[bytes, ...] = (),
    single_extensions: tuple[bytes, ...] = (),
    before: bytes = b"",
    after: bytes = b"",
    signature: bytes = b"",
) -> bytes:
    """`before` and `after` stand around the requestList, `signature` behind the TBSRequest."""
    single = der.explicit(0, der.sequence(*single_extensions)) if single_extensions else b""
    requests = der.sequence(*(der.sequence(one, single) for one in cert_ids))
    more = der.explicit(2, der.sequence(*extensions)) if extensions else b""
    return der.sequence(der.sequence(before, requests, more, after), signature)
