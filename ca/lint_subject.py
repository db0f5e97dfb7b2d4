"""A certificate as the lint rules see it, anybody's certificate: read strictly, judged elsewhere.

The reader is lenient where the rules have something to say (no version, no extensions, an extension
whose value is not what it should be) and shares nothing with the code that writes our certificates.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, Final, Generic, NamedTuple, TypeVar

from cryptography.hazmat import asn1
from cryptography.x509 import ObjectIdentifier
from cryptography.x509.oid import ExtensionOID

from ca.tbs import Extension
from core import der
from core.errors import Malformed

T = TypeVar("T")

SIGNATURE_BITS: Final = frozenset({0, 1})
"""digitalSignature and nonRepudiation (RFC 5280, 4.2.1.3)."""
ENCRYPTION_BITS: Final = frozenset({2, 3, 4})
"""keyEncipherment, dataEncipherment, keyAgreement."""
KEY_CERT_SIGN: Final = 5

UTC_TIME: Final = 0x17
GENERALIZED_TIME: Final = 0x18

_WHAT: Final = "the certificate"
_TIME: Final = re.compile(r"(\d\d|\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z", re.ASCII)
_YEAR_DIGITS: Final = {UTC_TIME: 2, GENERALIZED_TIME: 4}


class _Once(Generic[T]):
    """A property that is computed when it is first asked for.

    `functools.cached_property` holds one lock for all objects of a class (Python 3.11), on which
    threads that lint at the same time would queue. Here two of them may compute the same.
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute
        self._name = compute.__name__
        self.__doc__ = compute.__doc__

    def __get__(self, owner: object, _: type[Any]) -> T:
        found = owner.__dict__[self._name] = self._compute(owner)
        return found


@asn1.sequence
class _Validity:
    not_before: asn1.TLV
    not_after: asn1.TLV


@asn1.sequence
class _TBS:
    version: Annotated[int, asn1.Explicit(0), asn1.Default(0)]
    serial: int
    signature: asn1.TLV
    issuer: asn1.TLV
    validity: _Validity
    subject: asn1.TLV
    spki: asn1.TLV
    issuer_unique_id: Annotated[asn1.BitString | None, asn1.Implicit(1)]
    subject_unique_id: Annotated[asn1.BitString | None, asn1.Implicit(2)]
    extensions: Annotated[list[Extension] | None, asn1.Explicit(3)]


@asn1.sequence
class _Attribute:
    oid: ObjectIdentifier
    value: asn1.TLV


@asn1.sequence
class _Name:
    """A SEQUENCE OF cannot be decoded at the top, so it is put into a SEQUENCE of one field."""

    rdns: list[asn1.SetOf[_Attribute]]


@asn1.sequence
class _Oids:
    items: list[ObjectIdentifier]


@asn1.sequence
class _Elements:
    items: list[asn1.TLV]


@asn1.sequence
class _BasicConstraints:
    ca: Annotated[bool, asn1.Default(False)]
    path_length: int | None


Times = tuple[tuple[int, bytes], tuple[int, bytes]]


class Text(NamedTuple):
    """One string of a name: attribute type, tag and octets as they stand."""

    oid: str
    tag: int
    octets: bytes


@dataclass(frozen=True)
class Subject:
    """One certificate, or the octets that are to become one."""

    tbs: bytes
    algorithm: bytes
    """DER AlgorithmIdentifier beside the signature."""
    signature: bytes | None
    """None: not signed yet."""
    parent: Subject | None
    """The issuer's certificate; None: not known, or `self_signed`."""
    self_signed: bool

    @_Once
    def fields(self) -> _TBS:
        """The parsed TBSCertificate. Raises `Malformed`."""
        return der.decode(_TBS, self.tbs, what=_WHAT)

    @_Once
    def serial(self) -> int:
        """Its serial number."""
        return self.fields.serial

    @_Once
    def issuer(self) -> bytes:
        """DER Name."""
        return der.octets_of(self.fields.issuer)

    @_Once
    def subject(self) -> bytes:
        """DER Name."""
        return der.octets_of(self.fields.subject)

    @_Once
    def spki(self) -> bytes:
        """DER SubjectPublicKeyInfo."""
        return der.octets_of(self.fields.spki)

    @_Once
    def key(self) -> der.SubjectPublicKeyInfo:
        """The key, not yet judged."""
        return der.decode(der.SubjectPublicKeyInfo, self.spki, what="the public key")

    @_Once
    def key_algorithm(self) -> bytes:
        """DER AlgorithmIdentifier of the key."""
        return der.octets_of(self.key.algorithm)

    @_Once
    def rdns(self) -> tuple[tuple[Text, ...], ...]:
        """The subject's relative distinguished names."""
        name = der.decode(_Name, der.sequence(self.subject), what="the subject")
        return tuple(
            tuple(
                Text(one.oid.dotted_string, one.value.tag_bytes[0], bytes(one.value.data))
                for one in rdn.as_list()
            )
            for rdn in name.rdns
        )

    @_Once
    def times(self) -> Times:
        """(Tag, octets) of notBefore and notAfter."""
        return _both(self.fields.validity)

    @_Once
    def validity(self) -> tuple[datetime, datetime] | None:
        """NotBefore and notAfter, or None when one is not in the form of RFC 5280, 4.1.2.5."""
        first, last = (_moment(tag, octets) for tag, octets in self.times)
        return None if first is None or last is None else (first, last)

    @_Once
    def extensions(self) -> dict[ObjectIdentifier, Extension]:
        """By OID; of two with the same OID the first."""
        found: dict[ObjectIdentifier, Extension] = {}
        for one in self.fields.extensions or ():
            found.setdefault(one.oid, one)
        return found

    # ---- extensions; None: absent, or not what it should be --------------------------------------

    @_Once
    def key_usage(self) -> frozenset[int] | None:
        """The numbers of the bits that are set."""
        bits = self._value(ExtensionOID.KEY_USAGE)
        if bits is None:
            return None
        octets = bits.as_bytes()
        return frozenset(n for n in range(8 * len(octets)) if octets[n // 8] & 0x80 >> n % 8)

    @_Once
    def basic_constraints(self) -> _BasicConstraints | None:
        """RFC 5280, 4.2.1.9."""
        found: _BasicConstraints | None = self._value(ExtensionOID.BASIC_CONSTRAINTS)
        return found

    @property
    def authority(self) -> bool:
        """Whether it says that it is a CA's."""
        return self.basic_constraints is not None and self.basic_constraints.ca

    @_Once
    def extended_key_usage(self) -> tuple[ObjectIdentifier, ...] | None:
        """RFC 5280, 4.2.1.12."""
        found = self._value(ExtensionOID.EXTENDED_KEY_USAGE)
        return None if found is None else tuple(found.items)

    @_Once
    def key_identifier(self) -> bytes | None:
        """The subject key identifier."""
        found: bytes | None = self._value(ExtensionOID.SUBJECT_KEY_IDENTIFIER)
        return found

    @_Once
    def authority_key_identifier(self) -> bytes | None:
        """The keyIdentifier of the authority key identifier."""
        found = self._elements(ExtensionOID.AUTHORITY_KEY_IDENTIFIER)
        return next((octets for tag, octets in found or () if tag == 0x80), None)

    @_Once
    def alternative_names(self) -> tuple[tuple[int, bytes], ...] | None:
        """(Tag, octets) of each GeneralName."""
        return self._elements(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)

    @property
    def readable(self) -> bool:
        """Whether every extension that the rules look into holds what it should."""
        return None not in self._values.values()

    def is_critical(self, oid: ObjectIdentifier) -> bool:
        """Whether the extension is there and critical."""
        found = self.extensions.get(oid)
        return found is not None and found.critical

    def _elements(self, oid: ObjectIdentifier) -> tuple[tuple[int, bytes], ...] | None:
        found = self._value(oid)
        if found is None:
            return None
        return tuple((one.tag_bytes[0], bytes(one.data)) for one in found.items)

    def _value(self, oid: ObjectIdentifier) -> Any:
        return self._values.get(oid)

    @_Once
    def _values(self) -> dict[ObjectIdentifier, Any]:
        """Of the extensions that are there; None for one that does not hold what it should."""
        return {
            oid: _decoded(extension.value, _KINDS[oid])
            for oid, extension in self.extensions.items()
            if oid in _KINDS
        }


_KINDS: Final[dict[ObjectIdentifier, Any]] = {
    ExtensionOID.KEY_USAGE: asn1.BitString,
    ExtensionOID.BASIC_CONSTRAINTS: _BasicConstraints,
    ExtensionOID.EXTENDED_KEY_USAGE: _Oids,
    ExtensionOID.SUBJECT_KEY_IDENTIFIER: bytes,
    ExtensionOID.AUTHORITY_KEY_IDENTIFIER: _Elements,
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME: _Elements,
}


@lru_cache(maxsize=256)  # most are a profile's or an issuer's, again and again
def _decoded(octets: bytes, kind: Any) -> Any:
    try:
        return der.decode(
            kind, der.sequence(octets) if kind in (_Oids, _Elements) else octets, what=_WHAT
        )
    except Malformed:
        return None


def read_tbs(tbs: bytes, *, signature_algorithm: bytes, issuer: bytes | None) -> Subject:
    """Read what is to be signed. `issuer`: DER certificate; None: it signs itself.

    Raises `Malformed`.
    """
    parent = None if issuer is None else read_certificate(issuer)
    return _checked(Subject(tbs, signature_algorithm, None, parent, self_signed=issuer is None))


@lru_cache(maxsize=256)  # issuers, again and again
def read_certificate(octets: bytes, *, issuer: bytes | None = None) -> Subject:
    """Read a certificate, with its issuer's if that is known. Raises `Malformed`."""
    tbs, algorithm, signature = der.split_signed(octets, what=_WHAT)
    parent = None if issuer is None or issuer == octets else read_certificate(issuer)
    read = Subject(tbs, algorithm, signature, parent, self_signed=False)
    if parent is None and read.issuer == read.subject:
        # Self-issued is not self-signed: a roll-over names another key (RFC 5280, 4.2.1.1).
        itself = read.authority_key_identifier in (None, read.key_identifier)
        read = Subject(tbs, algorithm, signature, None, self_signed=itself)
    return _checked(read)


@lru_cache(maxsize=64)  # those of one second
def read_times(validity: bytes) -> Times:
    """Read a DER Validity. Raises `Malformed`."""
    return _both(der.decode(_Validity, validity, what=_WHAT))


def _both(validity: _Validity) -> Times:
    first, last = validity.not_before, validity.not_after
    return (
        (first.tag_bytes[0], bytes(first.data)),
        (last.tag_bytes[0], bytes(last.data)),
    )


@lru_cache(maxsize=256)  # those of one second, and of issuers
def _moment(tag: int, octets: bytes) -> datetime | None:
    found = _TIME.fullmatch(octets.decode("latin-1"))
    if found is None or len(found[1]) != _YEAR_DIGITS.get(tag):
        return None
    year, month, day, hour, minute, second = map(int, found.groups())
    if len(found[1]) == 2:
        # RFC 5280, 4.1.2.5.1: two digits from 50 on are of the last century.
        year += 1900 if year >= 50 else 2000
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None


def _checked(subject: Subject) -> Subject:
    # Everything that can be unreadable is read here, so that no rule has to fear it.
    _ = subject.fields, subject.rdns, subject.key, subject.extensions
    return subject
