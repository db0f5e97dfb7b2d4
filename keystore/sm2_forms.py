"""The octets of SM2: curve, keys, signatures and ciphertexts, read strictly and written one way.

No secret is computed with here; what needs the private key is `keystore.sm2`.
"""

from __future__ import annotations

from typing import Annotated, Final

from cryptography.hazmat import asn1
from cryptography.x509 import ObjectIdentifier

from core import der, oids
from core.errors import Malformed

# GB/T 32918.5: y^2 = x^3 + ax + b over p; the base point has the prime order n.
P: Final = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
A: Final = P - 3
B: Final = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
N: Final = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
GX: Final = 0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7
GY: Final = 0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0

_KEY: Final = "the SM2 public key"
_POINT_OCTETS: Final = 65
_DIGEST_OCTETS: Final = 32
_ALGORITHM: Final = bytes.fromhex("301306072a8648ce3d020106082a811ccf5501822d")
_ALGORITHM_VARIANT: Final = bytes.fromhex("301406082a811ccf5501822d06082a811ccf5501822d")
_SPKI_HEAD: Final = der.wrap(0x30, _ALGORITHM, der.wrap(0x03, bytes(1 + _POINT_OCTETS)))[
    :-_POINT_OCTETS
]
"""What stands before the point in the one form we write."""
KEY_ALGORITHMS: Final = (_ALGORITHM, _ALGORITHM_VARIANT)
"""AlgorithmIdentifiers of an SM2 key: id-ecPublicKey with the curve, which we write, and the
curve's own OID twice, which early OpenSSL 3 wrote and GM/T 0015-2023 is said to allow."""


@asn1.sequence
class _Signature:
    r: int
    s: int


@asn1.sequence
class Cipher:
    """SM2Cipher (GM/T 0009, 7.2): C1 as two integers, C3, C2."""

    x: int
    y: int
    hash: bytes
    cipher_text: bytes


@asn1.sequence
class _ECPrivateKey:
    """RFC 5915, 3."""

    version: int
    private_key: bytes
    parameters: Annotated[ObjectIdentifier | None, asn1.Explicit(0)]
    public_key: Annotated[asn1.BitString | None, asn1.Explicit(1)]


@asn1.sequence
class _PrivateKeyInfo:
    """RFC 5208, 5, without attributes."""

    version: int
    algorithm: asn1.TLV
    private_key: bytes


def point_of_spki(spki: bytes) -> bytes:
    """Return ``04 || X || Y``, a point of the curve, from either form. Raises `Malformed`."""
    point = spki[len(_SPKI_HEAD) :] if is_plain_spki(spki) else _point_in(spki)
    if len(point) != _POINT_OCTETS or point[0] != 0x04:
        raise Malformed(f"{_KEY} is not an uncompressed point of {_POINT_OCTETS} octets")
    x, y = int.from_bytes(point[1:33], "big"), int.from_bytes(point[33:], "big")
    if not _on_curve(x, y):
        raise Malformed(f"{_KEY} is not on the curve")
    return point


def is_plain_spki(spki: bytes) -> bool:
    """Whether it is an SM2 key in the one form we write, whatever its point is."""
    return len(spki) == len(_SPKI_HEAD) + _POINT_OCTETS and spki.startswith(_SPKI_HEAD)


def _point_in(spki: bytes) -> bytes:
    info = der.decode(der.SubjectPublicKeyInfo, spki, what=_KEY)
    if der.octets_of(info.algorithm) not in KEY_ALGORITHMS:
        raise Malformed(f"{_KEY} names another algorithm")
    if info.subject_public_key.padding_bits():
        raise Malformed(f"{_KEY} is not whole octets")
    return info.subject_public_key.as_bytes()


def spki_of_point(point: bytes) -> bytes:
    """Write a SubjectPublicKeyInfo in the one form we emit."""
    if len(point) == _POINT_OCTETS:
        return _SPKI_HEAD + point
    return der.sequence(_ALGORITHM, der.encode(der.bit_string(point)))


def decode_signature(signature: bytes) -> tuple[int, int]:
    """Return (r, s) of a DER signature, each in [1, n-1] and r+s not 0. Raises `Malformed`."""
    parsed = der.decode(_Signature, signature, what="the SM2 signature")
    r, s = parsed.r, parsed.s
    if not (0 < r < N and 0 < s < N) or (r + s) % N == 0:
        raise Malformed("the SM2 signature is out of range (GB/T 32918.2, 7.1)")
    return r, s


def encode_signature(r: int, s: int) -> bytes:
    """Write DER ``SEQUENCE {r, s}``."""
    return der.encode(_Signature(r=r, s=s))


def signature_from_raw(raw: bytes) -> bytes:
    """Turn ``r || s`` of 64 octets (tokens, JOSE) into DER. Raises `Malformed`."""
    if len(raw) != 64:
        raise Malformed(f"a raw SM2 signature has 64 octets, this one {len(raw)}")
    signature = encode_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    decode_signature(signature)
    return signature


def decode_cipher(ciphertext: bytes) -> Cipher:
    """Decode a DER SM2Cipher and check C1. Raises `Malformed`."""
    what = "the SM2 ciphertext"
    cipher = der.decode(Cipher, ciphertext, what=what)
    if not _on_curve(cipher.x, cipher.y):
        raise Malformed(f"{what}: C1 is not on the curve")
    if len(cipher.hash) != _DIGEST_OCTETS or not cipher.cipher_text:
        raise Malformed(f"{what}: C3 has {_DIGEST_OCTETS} octets and C2 at least one")
    return cipher


def cipher_from_raw(raw: bytes, *, hash_last: bool = False) -> bytes:
    """Turn C1 || C3 || C2 (`hash_last`: C1 || C2 || C3, the form before 2012) into DER.

    The 04 in front of C1 may be missing: some devices leave it out. It is taken as the point's
    prefix when what follows it is on the curve. Raises `Malformed`.
    """
    for skip in (1, 0) if raw[:1] == b"\x04" else (0,):
        x, y = (int.from_bytes(raw[at : at + 32], "big") for at in (skip, skip + 32))
        rest = raw[skip + 64 :]
        if len(rest) <= _DIGEST_OCTETS or not _on_curve(x, y):
            continue
        cut = len(rest) - _DIGEST_OCTETS if hash_last else _DIGEST_OCTETS
        c3, c2 = (rest[cut:], rest[:cut]) if hash_last else (rest[:cut], rest[cut:])
        return der.encode(Cipher(x=x, y=y, hash=c3, cipher_text=c2))
    raise Malformed("the raw SM2 ciphertext does not begin with a point of the curve")


def decode_pkcs8(pkcs8: bytes) -> tuple[int, bytes | None]:
    """Return d, in [1, n-2], and the public point if it is stated. Raises `Malformed`."""
    what = "the SM2 private key"
    info = der.decode(_PrivateKeyInfo, pkcs8, what=what)
    if info.version != 0 or der.octets_of(info.algorithm) not in KEY_ALGORITHMS:
        raise Malformed(f"{what} is not a PKCS#8 SM2 key")
    key = _decode_sec1(info.private_key)
    point = key.public_key.as_bytes() if key.public_key is not None else None
    return _scalar(key), point


def encode_pkcs8(scalar: int, point: bytes | None) -> bytes:
    """Write d, and the public point if it is known. Raises `Malformed`."""
    # d = n-1 makes 1+d = 0, which has no inverse (GB/T 32918.2, 6.1).
    if not 1 <= scalar <= N - 2:
        raise Malformed("the SM2 private key is not in [1, n-2]")
    key = _ECPrivateKey(
        version=1,
        private_key=scalar.to_bytes(32, "big"),
        parameters=None,
        public_key=der.bit_string(point) if point is not None else None,
    )
    info = _PrivateKeyInfo(
        version=0, algorithm=der.verbatim(_ALGORITHM), private_key=der.encode(key)
    )
    return der.encode(info)


def encode_sec1(scalar: int, point: bytes) -> bytes:
    """Write an ECPrivateKey that stands alone: with its curve and public point."""
    return der.encode(
        _ECPrivateKey(
            version=1,
            private_key=scalar.to_bytes(32, "big"),
            parameters=oids.SM2_CURVE,
            public_key=der.bit_string(point),
        )
    )


def scalar_of_sec1(octets: bytes) -> int:
    """Return d of an ECPrivateKey. Raises `Malformed`."""
    return _scalar(_decode_sec1(octets))


def _decode_sec1(octets: bytes) -> _ECPrivateKey:
    key = der.decode(_ECPrivateKey, octets, what="the SM2 private key")
    if key.version != 1 or key.parameters not in (None, oids.SM2_CURVE):
        raise Malformed("the SM2 private key is for another curve")
    return key


def _scalar(key: _ECPrivateKey) -> int:
    scalar = int.from_bytes(key.private_key, "big")
    if not 1 <= scalar <= N - 2:
        raise Malformed("the SM2 private key is not in [1, n-2]")
    return scalar


def _on_curve(x: int, y: int) -> bool:
    return 0 <= x < P and 0 <= y < P and (y * y - x * x * x - A * x - B) % P == 0
