"""Weak public keys: refuse what can be broken, and what is known to be stolen.

Form, curve membership and size are `keystore.verify`'s business. Here is what a well-formed key
can still be wrong in: RSA numbers with structure (NIST SP 800-89, 5.3.3; CVE-2017-15361; Fermat),
and keys on the list of blocked ones.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Container
from typing import Final

from cryptography.hazmat import asn1

from core import der
from core.errors import Refused
from keystore.algorithms import KeyAlgorithm
from keystore.verify import parse

_RSA: Final = (KeyAlgorithm.RSA_2048, KeyAlgorithm.RSA_3072, KeyAlgorithm.RSA_4096)
_FERMAT_ROUNDS: Final = 100
_ROCA_LARGEST_PRIME: Final = 167


@asn1.sequence
class _RSAPublicKey:
    """RFC 8017, A.1.1."""

    modulus: int
    public_exponent: int


def _primes(below: int) -> tuple[int, ...]:
    return tuple(n for n in range(2, below) if all(n % p for p in range(2, math.isqrt(n) + 1)))


_SMALL_PRIMES: Final = _primes(5000)
_PRODUCT: Final = math.prod(_SMALL_PRIMES)


def _powers_of_65537(prime: int) -> frozenset[int]:
    return frozenset(pow(65537, exponent, prime) for exponent in range(prime - 1))


_ROCA: Final = tuple(
    (prime, _powers_of_65537(prime)) for prime in _SMALL_PRIMES if 2 < prime <= _ROCA_LARGEST_PRIME
)


def spki_fingerprint(spki: bytes) -> str:
    """Return SHA-256 over the DER SubjectPublicKeyInfo in our one form, lowercase hex."""
    return hashlib.sha256(spki).hexdigest()


def check_key(spki: bytes, *, blocked: Container[str] | None = None) -> None:
    """Refuse a weak or blocked key. Raises `Refused`, or what `keystore.verify.parse` raises."""
    key = parse(spki)
    if blocked is not None:
        check_not_blocked(key.spki, blocked)
    if key.algorithm in _RSA:
        numbers = der.decode(_RSAPublicKey, der.public_key_bits(spki), what="the RSA public key")
        check_rsa_numbers(numbers.modulus, numbers.public_exponent)


def check_not_blocked(spki: bytes, blocked: Container[str]) -> None:
    """Refuse a blocked key, given in the form of `keystore.verify.normalise_spki`."""
    if spki_fingerprint(spki) in blocked:
        raise Refused("this public key is blocked: make a new key pair")


def check_rsa_numbers(modulus: int, exponent: int) -> None:
    """Refuse an RSA key whose numbers betray its factors. Raises `Refused`."""
    if exponent % 2 == 0 or not 65537 <= exponent < 1 << 256:
        # NIST SP 800-89, 5.3.3 and FIPS 186-5, A.1.1.
        raise Refused("the RSA public exponent must be odd and between 65537 and 2^256")
    if math.gcd(modulus, _PRODUCT) != 1:
        raise Refused("the RSA modulus has a small factor: make a new key pair")
    if all(modulus % prime in powers for prime, powers in _ROCA):
        raise Refused(
            "the RSA key was made by a device with the ROCA fault (CVE-2017-15361): "
            "make a new key pair elsewhere"
        )
    if _has_close_factors(modulus):
        raise Refused("the two primes of the RSA key are too close (Fermat): make a new key pair")


def _has_close_factors(modulus: int) -> bool:
    a = math.isqrt(modulus)
    if a * a < modulus:
        a += 1
    for _ in range(_FERMAT_ROUNDS):
        square = a * a - modulus
        if math.isqrt(square) ** 2 == square:
            return True
        a += 1
    return False
