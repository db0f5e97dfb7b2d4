from __future__ import annotations

import math

import pytest

from ca.keycheck import check_key, check_rsa_numbers, spki_fingerprint
from core.errors import Malformed, Refused
from keystore.algorithms import KeyAlgorithm
from tests.fakes.keys import memory_key


def _next_prime(number: int) -> int:
    while not all(pow(base, number - 1, number) == 1 for base in (2, 3, 5, 7)):
        number += 1
    return number


@pytest.mark.parametrize("algorithm", list(KeyAlgorithm))
def test_a_good_key_passes(algorithm: KeyAlgorithm) -> None:
    check_key(memory_key(algorithm).key.public_key)


def test_a_blocked_key_is_refused() -> None:
    spki = memory_key(KeyAlgorithm.SM2).key.public_key
    with pytest.raises(Refused, match="blocked"):
        check_key(spki, blocked=frozenset({spki_fingerprint(spki)}))


@pytest.mark.parametrize("exponent", [1, 3, 65536, 65538, (1 << 256) + 1])
def test_a_bad_public_exponent_is_refused(exponent: int) -> None:
    with pytest.raises(Refused, match="exponent"):
        check_rsa_numbers((1 << 2048) + 1, exponent)


def test_a_small_factor_is_found() -> None:
    with pytest.raises(Refused, match="small factor"):
        check_rsa_numbers(4993 * ((1 << 2000) + 981), 65537)


def test_close_primes_are_found() -> None:
    first = _next_prime((1 << 512) + 1)
    second = _next_prime(first + 1)
    with pytest.raises(Refused, match="too close"):
        check_rsa_numbers(first * second, 65537)


def test_the_roca_form_is_found() -> None:
    # p = k*M + (65537^a mod M): how the broken library made its primes.
    primorial = math.prod(p for p in range(2, 168) if all(p % q for q in range(2, p)))

    def roca_prime(power: int) -> int:
        candidate = primorial * (1 << 300) + pow(65537, power, primorial)
        while pow(2, candidate - 1, candidate) != 1:
            candidate += primorial
        return candidate

    with pytest.raises(Refused, match="ROCA"):
        check_rsa_numbers(roca_prime(1234) * roca_prime(99999), 65537)


def test_a_point_off_the_curve_is_malformed() -> None:
    spki = memory_key(KeyAlgorithm.SM2).key.public_key
    with pytest.raises(Malformed):
        check_key(spki[:-1] + bytes([spki[-1] ^ 1]))
