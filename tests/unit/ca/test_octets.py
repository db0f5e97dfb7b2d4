"""What is joined from ready octets is what `cryptography` writes, and read as it reads it."""

from __future__ import annotations

from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat import asn1
from hypothesis import given
from hypothesis import strategies as st

from ca.names import ATTRIBUTE_TYPES, encode_name, make_name, read_name, text_of
from ca.tbs import (
    Extension,
    Fields,
    TBSCertificate,
    Validity,
    encode_extension,
    encode_tbs,
)
from core import der
from keystore import sm2_forms
from keystore.algorithms import SignatureAlgorithm

_TEXTS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=70)
_NAMES = st.lists(st.tuples(st.sampled_from(ATTRIBUTE_TYPES), _TEXTS), max_size=5).map(tuple)


@given(_NAMES)
def test_a_name_and_its_text_are_those_of_cryptography(attributes) -> None:
    name = make_name(attributes)
    assert encode_name(attributes) == name.public_bytes()
    shorts = {one.oid: short for (short, _), one in zip(attributes, name, strict=True)}
    assert text_of(attributes) == name.rfc4514_string(shorts)


@given(_NAMES)
def test_what_is_read_of_a_name_is_what_was_written(attributes) -> None:
    read = read_name(encode_name(attributes))
    assert read in (attributes, None)
    if all(value.isascii() and value.isalnum() for _, value in attributes):
        assert read == attributes


def test_names_that_others_must_judge_are_not_read() -> None:
    common_name = der.encode(x509.ObjectIdentifier("2.5.4.3"))

    def name(tag: int, text: bytes) -> bytes:
        attribute = der.sequence(common_name, der.wrap(tag, text))
        return der.sequence(der.wrap(der.SET, attribute))

    assert read_name(name(0x0C, "张".encode())) == (("CN", "张"),)
    assert read_name(name(0x1E, b"\x5f\x20")) is None  # BMPString
    assert read_name(name(0x0C, b"\xff")) is None
    assert read_name(name(0x13, b"a@b")) is None
    assert read_name(name(0x16, b"a@b")) == (("CN", "a@b"),)
    one = der.sequence(common_name, der.wrap(0x0C, b"a"))
    assert read_name(der.sequence(der.wrap(der.SET, one, one))) is None
    assert read_name(der.sequence(der.wrap(der.SET))) is None
    assert read_name(b"\x30\x03\x31\x01") is None


def test_octets_to_be_signed_are_those_of_their_declaration() -> None:
    algorithm = SignatureAlgorithm.SM2_SM3.identifier
    begin, end = datetime(2049, 12, 31, tzinfo=UTC), datetime(2050, 1, 1, tzinfo=UTC)
    usage = Extension(oid=x509.KeyUsage.oid, critical=True, value=b"\x03\x02\x07\x80")
    name, key = encode_name((("CN", "x"),)), sm2_forms.spki_of_point(b"\x04" + bytes(64))
    for serial in (1, 0x80, 1 << 158):
        fields = Fields(serial, algorithm, name, begin, end, name, key, (encode_extension(usage),))  # type: ignore[arg-type]
        declared = TBSCertificate(
            version=2,
            serial=serial,
            signature=der.verbatim(algorithm),
            issuer=der.verbatim(name),
            validity=Validity(not_before=asn1.UTCTime(begin), not_after=asn1.GeneralizedTime(end)),
            subject=der.verbatim(name),
            spki=der.verbatim(key),
            extensions=[usage],
        )
        assert encode_tbs(fields) == der.encode(declared)
