"""Certificates of issuers, parsed once: each is looked at for every certificate under it."""

from __future__ import annotations

from functools import lru_cache

from cryptography import x509


@lru_cache(maxsize=256)
def parsed_certificate(der: bytes) -> x509.Certificate:
    """Parse the certificate of an issuer. Raises `ValueError`."""
    return x509.load_der_x509_certificate(der)
