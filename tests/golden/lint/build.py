"""A certificate builder that writes anything, right or wrong. Shares no code with `ca`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache

from core import der
from keystore import softkey
from keystore.algorithms import KeyAlgorithm, SignatureAlgorithm
from keystore.softkey import SoftKey

SM2, RSA, P256 = KeyAlgorithm.SM2, KeyAlgorithm.RSA_2048, KeyAlgorithm.EC_P256
SM2_SM3 = SignatureAlgorithm.SM2_SM3.identifier

AKI, SKI, USAGE, CONSTRAINTS = "2.5.29.35", "2.5.29.14", "2.5.29.15", "2.5.29.19"
PURPOSES, NAMES, POLICIES = "2.5.29.37", "2.5.29.17", "2.5.29.32"
CRL_POINTS, ACCESS, NO_CHECK = "2.5.29.31", "1.3.6.1.5.5.7.1.1", "1.3.6.1.5.5.7.48.1.5"
NAME_CONSTRAINTS, IDENTITY = "2.5.29.30", "1.2.156.10260.4.1"

UTF8, PRINTABLE, IA5, TELETEX = 0x0C, 0x13, 0x16, 0x14
C, ST, O, OU, CN = "2.5.4.6", "2.5.4.8", "2.5.4.10", "2.5.4.11", "2.5.4.3"  # noqa: E741
NUMBER = "2.5.4.5"

SIGNS, ENCIPHERS = bytes.fromhex("030206c0"), bytes.fromhex("03020338")
CERT_SIGN = bytes.fromhex("03020106")

Extension = tuple[str, bool, bytes]


def oid(dotted: str) -> bytes:
    return der.encode(der.oid(dotted))


def text(kind: str, value: str, tag: int = UTF8) -> bytes:
    return der.sequence(oid(kind), der.wrap(tag, value.encode()))


def name(*attributes: bytes) -> bytes:
    return der.sequence(*(der.wrap(der.SET, one) for one in attributes))


def dn(common_name: str) -> bytes:
    return name(text(C, "CN", PRINTABLE), text(O, "某省大数据局"), text(CN, common_name))


def utc(digits: str) -> bytes:
    return der.wrap(0x17, digits.encode())


def generalized(digits: str) -> bytes:
    return der.wrap(0x18, digits.encode())


def purposes(*dotted: str) -> bytes:
    return der.sequence(*map(oid, dotted))


SERVER_AUTH, CLIENT_AUTH, OCSP_SIGNING = (f"1.3.6.1.5.5.7.3.{n}" for n in (1, 2, 9))


def names(*pairs: tuple[int, bytes]) -> bytes:
    return der.sequence(*(der.wrap(tag, octets) for tag, octets in pairs))


def uri(text_: str) -> bytes:
    return der.wrap(0x86, text_.encode())


def points(url: str) -> bytes:
    full_name = der.wrap(0xA0, der.wrap(0xA0, uri(url)))
    return der.sequence(der.sequence(full_name))


def access(url: str) -> bytes:
    return der.sequence(der.sequence(oid("1.3.6.1.5.5.7.48.1"), uri(url)))


def identifier_of(spki: bytes) -> bytes:
    return hashlib.sha1(der.public_key_bits(spki), usedforsecurity=False).digest()


_generate = cache(lambda _who, algorithm: softkey.generate(algorithm))


def key(who: str, algorithm: KeyAlgorithm = SM2) -> SoftKey:
    return _generate(who, algorithm)


@dataclass(frozen=True)
class Spec:
    """Every field as octets, so that every field can be wrong."""

    signer: SoftKey
    issuer: bytes
    subject: bytes
    spki: bytes
    extensions: tuple[Extension, ...]
    version: bytes = bytes.fromhex("a003020102")
    serial: bytes = b""
    inner: bytes = b""
    outer: bytes = b""
    not_before: bytes = field(default_factory=lambda: utc("260101000000Z"))
    not_after: bytes = field(default_factory=lambda: utc("271231235959Z"))
    unique_ids: bytes = b""
    signature: Callable[[bytes], bytes] | None = None

    @property
    def default_algorithm(self) -> bytes:
        return self.signer.algorithm.default_signature.identifier

    @property
    def serial_octets(self) -> bytes:
        if self.serial:
            return self.serial
        seed = self.spki + self.subject + repr(self.extensions).encode()
        drawn = int.from_bytes(hashlib.sha256(seed).digest()[:19], "big")
        return der.encode(1 << 158 | drawn)

    def der(self) -> bytes:
        inner = self.inner or self.default_algorithm
        tbs = der.sequence(
            self.version,
            self.serial_octets,
            inner,
            self.issuer,
            der.sequence(self.not_before, self.not_after),
            self.subject,
            self.spki,
            self.unique_ids,
            der.explicit(3, der.sequence(*map(_extension, self.extensions))),
        )
        sign = self.signature or (
            lambda octets: self.signer.sign(self.signer.algorithm.default_signature, octets)
        )
        return der.signed_object(tbs, self.outer or inner, sign(tbs))


def _extension(one: Extension) -> bytes:
    dotted, critical, value = one
    flag = b"\x01\x01\xff" if critical else b""
    return der.sequence(oid(dotted), flag, der.wrap(der.OCTET_STRING, value))


# ---- changes to a good one -----------------------------------------------------------------------

Change = Callable[[Spec], Spec]


def has(dotted: str, value: bytes, *, critical: bool = False) -> Change:
    """Put an extension in the place of the one with this OID, or behind the others."""

    def change(spec: Spec) -> Spec:
        new: Extension = (dotted, critical, value)
        known = [one[0] for one in spec.extensions]
        if dotted in known:
            kept = tuple(new if one[0] == dotted else one for one in spec.extensions)
            return replace(spec, extensions=kept)
        return replace(spec, extensions=(*spec.extensions, new))

    return change


def lacks(dotted: str) -> Change:
    return lambda spec: replace(
        spec, extensions=tuple(one for one in spec.extensions if one[0] != dotted)
    )


def critical(dotted: str, *, yes: bool = True) -> Change:
    return lambda spec: replace(
        spec,
        extensions=tuple((o, yes if o == dotted else c, v) for o, c, v in spec.extensions),
    )


def with_key(spki: bytes) -> Change:
    """Another key, with its identifier."""
    put = has(SKI, der.wrap(der.OCTET_STRING, identifier_of(spki)))
    return lambda spec: put(replace(spec, spki=spki))


def fields(**changes: object) -> Change:
    return lambda spec: replace(spec, **changes)  # type: ignore[arg-type]


def both(*changes: Change) -> Change:
    def change(spec: Spec) -> Spec:
        for one in changes:
            spec = one(spec)
        return spec

    return change
