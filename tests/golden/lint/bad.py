"""One certificate for every rule, good but for what that rule is about."""

from __future__ import annotations

import hashlib

from core import der
from tests.golden.lint.build import (
    AKI,
    CLIENT_AUTH,
    CN,
    CONSTRAINTS,
    CRL_POINTS,
    IA5,
    IDENTITY,
    NAME_CONSTRAINTS,
    NAMES,
    NO_CHECK,
    OU,
    P256,
    POLICIES,
    PRINTABLE,
    PURPOSES,
    SERVER_AUTH,
    SKI,
    TELETEX,
    USAGE,
    UTF8,
    C,
    Change,
    O,
    Spec,
    both,
    critical,
    dn,
    fields,
    has,
    identifier_of,
    key,
    lacks,
    name,
    names,
    oid,
    purposes,
    text,
    uri,
    utc,
    with_key,
)
from tests.golden.lint.good import (
    DEVICE,
    DNS,
    EC_LEAF,
    EMAIL,
    ENCRYPTION,
    IP,
    ISSUING,
    LEAF,
    PERSON,
    RSA_LEAF,
    SIGNING,
    SM2_WITH_NULL,
)

_POINT = der.public_key_bits(DEVICE)
_CURVE = oid("1.2.156.10197.1.301")
_SHA1_WITH_RSA = bytes.fromhex("300d06092a864886f70d0101050500")
_ECDSA = bytes.fromhex("300a06082a8648ce3d040302")


def _spki(algorithm: bytes, bits: bytes) -> bytes:
    return der.sequence(algorithm, der.encode(der.bit_string(bits)))


def _sm2_spki(*algorithm: bytes, point: bytes = _POINT) -> Change:
    return with_key(_spki(der.sequence(*algorithm), point))


def _off_the_curve() -> bytes:
    spki = key("ec-leaf", P256).public_key
    return spki[:-1] + bytes((spki[-1] ^ 1,))


def _short_rsa() -> bytes:
    stream = b"".join(hashlib.sha256(bytes((n,))).digest() for n in range(4))
    modulus = int.from_bytes(stream, "big") | 1 << 1023 | 1
    numbers = der.sequence(der.encode(modulus), der.encode(65537))
    return _spki(bytes.fromhex("300d06092a864886f70d0101010500"), numbers)


def _raw_signature(tbs: bytes) -> bytes:
    return hashlib.sha512(tbs).digest()


def _flipped(tbs: bytes) -> bytes:
    signer = RSA_LEAF.signer
    signature = signer.sign(signer.algorithm.default_signature, tbs)
    return signature[:-1] + bytes((signature[-1] ^ 1,))


def _subject(*attributes: bytes) -> Change:
    return fields(subject=name(text(C, "CN", PRINTABLE), *attributes))


def _under_the_leaf() -> Spec:
    issuer = der.sequence(der.wrap(0x80, identifier_of(DEVICE)))
    other = both(
        with_key(key("below").public_key),
        has(AKI, issuer),
        fields(signer=key("device"), issuer=LEAF.subject, subject=dn("below")),
    )
    return other(LEAF)


def _sub_ca() -> Spec:
    issuer = der.sequence(der.wrap(0x80, identifier_of(ISSUING.spki)))
    other = both(
        with_key(key("below").public_key),
        has(AKI, issuer),
        fields(signer=key("sm2-issuing"), issuer=ISSUING.subject, subject=dn("sub")),
    )
    return other(ISSUING)


def _doubled(spec: Spec) -> Spec:
    policies = (POLICIES, False, der.sequence(der.sequence(oid("1.2.156.1.1"))))
    return fields(extensions=(*spec.extensions, policies, policies))(spec)


def _usage(digits: str, *, is_critical: bool = True) -> Change:
    return has(USAGE, bytes.fromhex(digits), critical=is_critical)


def _san(*pairs: tuple[int, bytes]) -> Change:
    return has(NAMES, names(*pairs))


_CONSTRAINT = der.sequence(der.wrap(0xA0, der.sequence(der.wrap(DNS, b"example.test"))))

BAD: dict[str, tuple[Spec, str | None, str]] = {
    # rule: (specification, its issuer, what is wrong). x509.der is made in `regenerate`.
    # ---- fields ----
    "x509.version": (fields(version=b"")(LEAF), "sm2-issuing", "version 1 with extensions"),
    "x509.serial": (fields(serial=b"\x02\x01\xf7")(LEAF), "sm2-issuing", "a negative serial"),
    "x509.serial-random": (fields(serial=b"\x02\x01\x2a")(LEAF), "sm2-issuing", "serial 42"),
    "x509.signature-algorithms": (
        fields(inner=SM2_WITH_NULL, outer=LEAF.default_algorithm)(LEAF),
        "sm2-issuing",
        "NULL inside, nothing outside",
    ),
    "x509.signature-known": (
        fields(inner=_SHA1_WITH_RSA)(RSA_LEAF),
        "rsa-root",
        "sha1WithRSAEncryption",
    ),
    "x509.signature-key": (
        fields(inner=_ECDSA)(RSA_LEAF),
        "rsa-root",
        "ecdsa-with-SHA256 by an RSA issuer",
    ),
    "x509.signature": (fields(signature=_flipped)(RSA_LEAF), "rsa-root", "one bit turned"),
    "x509.issuer-present": (
        fields(issuer=der.sequence())(LEAF),
        "sm2-issuing",
        "an empty issuer name",
    ),
    "x509.issuer-name": (
        fields(issuer=dn("somebody else"))(LEAF),
        "sm2-issuing",
        "the name of another issuer",
    ),
    "x509.validity-order": (
        fields(not_before=utc("271231235959Z"), not_after=utc("260101000000Z"))(LEAF),
        "sm2-issuing",
        "it ends before it begins",
    ),
    "x509.validity-issuer": (
        fields(not_after=utc("491231235959Z"))(LEAF),
        "sm2-issuing",
        "it outlives its issuer",
    ),
    "x509.time-form": (
        fields(not_after=utc("2712312359Z"))(LEAF),
        "sm2-issuing",
        "UTCTime without seconds",
    ),
    "x509.key-valid": (with_key(_off_the_curve())(EC_LEAF), "rsa-root", "a point off P-256"),
    "x509.key-known": (with_key(_short_rsa())(RSA_LEAF), "rsa-root", "RSA of 1024 bits"),
    "x509.key-fresh": (
        with_key(ISSUING.spki)(LEAF),
        "sm2-issuing",
        "the issuer's key in a subscriber's certificate",
    ),
    "x509.unique-ids": (
        fields(unique_ids=bytes.fromhex("820300aabb"))(LEAF),
        "sm2-issuing",
        "a subjectUniqueID",
    ),
    # ---- names ----
    "x509.subject-present": (fields(subject=der.sequence())(LEAF), "sm2-issuing", "no subject"),
    "x509.name-types": (
        _subject(text(CN, "gateway", TELETEX))(LEAF),
        "sm2-issuing",
        "a TeletexString",
    ),
    "x509.name-alphabet": (
        _subject(text(CN, "gateway_1@example", PRINTABLE))(LEAF),
        "sm2-issuing",
        "_ and @ in a PrintableString",
    ),
    "x509.name-length": (
        _subject(text(CN, "长" * 65))(LEAF),
        "sm2-issuing",
        "a common name of 65 characters",
    ),
    "x509.name-visible": (
        _subject(text(CN, "gateway\u202etset.elpmaxe"))(LEAF),
        "sm2-issuing",
        "a right-to-left override",
    ),
    "x509.name-single": (
        fields(
            subject=der.sequence(
                der.wrap(der.SET, text(C, "CN", PRINTABLE)),
                # DER sorts a SET OF by its octets: the common name's OID comes first.
                der.wrap(der.SET, text(CN, "a"), text(OU, "b")),
            )
        )(LEAF),
        "sm2-issuing",
        "CN and OU in one relative distinguished name",
    ),
    "x509.san-present": (_san()(LEAF), "sm2-issuing", "an empty list of alternative names"),
    "x509.san-dns": (_san((DNS, b"-gw_.example.test"))(LEAF), "sm2-issuing", "no DNS name"),
    "x509.san-email": (_san((EMAIL, b"zhang"))(LEAF), "sm2-issuing", "an address without @"),
    "x509.san-uri": (
        has(NAMES, der.sequence(uri("/only/a/path")))(LEAF),
        "sm2-issuing",
        "a relative URI",
    ),
    "x509.san-ip": (_san((IP, bytes(5)))(LEAF), "sm2-issuing", "an address of 5 octets"),
    "x509.san-once": (
        _san((DNS, b"gw.example.test"), (DNS, b"GW.example.test"))(LEAF),
        "sm2-issuing",
        "one name twice",
    ),
    "x509.server-names": (
        both(lacks(NAMES), has(PURPOSES, purposes(SERVER_AUTH)))(LEAF),
        "sm2-issuing",
        "a server certificate without names",
    ),
    # ---- extensions ----
    "x509.extension-once": (_doubled(LEAF), "sm2-issuing", "certificate policies twice"),
    "x509.extension-form": (
        has(PURPOSES, der.NULL)(LEAF),
        "sm2-issuing",
        "NULL where purposes belong",
    ),
    "x509.extension-critical": (
        has("1.2.156.9999.1", der.NULL, critical=True)(LEAF),
        "sm2-issuing",
        "a critical extension of our own",
    ),
    "x509.aki-present": (lacks(AKI)(LEAF), "sm2-issuing", "no authority key identifier"),
    "x509.aki-issuer": (
        has(AKI, der.sequence(der.wrap(0x80, bytes(20))))(LEAF),
        "sm2-issuing",
        "the identifier of another key",
    ),
    "x509.ski-authority": (lacks(SKI)(ISSUING), "sm2-root", "a CA without key identifier"),
    "x509.ski-subscriber": (lacks(SKI)(LEAF), "sm2-issuing", "no subject key identifier"),
    "x509.identifiers-critical": (
        critical(SKI)(LEAF),
        "sm2-issuing",
        "a critical subject key identifier",
    ),
    "x509.ski-derived": (
        has(SKI, der.wrap(der.OCTET_STRING, bytes(range(20))))(LEAF),
        "sm2-issuing",
        "an identifier that is no hash of the key",
    ),
    "x509.usage-authority": (lacks(USAGE)(ISSUING), "sm2-root", "a CA without key usage"),
    "x509.usage-subscriber": (lacks(USAGE)(LEAF), "sm2-issuing", "no key usage"),
    "x509.usage-critical": (
        critical(USAGE, yes=False)(LEAF),
        "sm2-issuing",
        "a key usage that may be ignored",
    ),
    "x509.usage-bits": (_usage("03020580")(LEAF), "sm2-issuing", "zero bits at the end"),
    "x509.usage-cert-sign": (
        _usage("03020284")(LEAF),
        "sm2-issuing",
        "keyCertSign for a subscriber",
    ),
    "x509.usage-ec": (_usage("03020520")(EC_LEAF), "rsa-root", "keyEncipherment with P-256"),
    "x509.constraints-critical": (
        critical(CONSTRAINTS, yes=False)(ISSUING),
        "sm2-root",
        "basic constraints that may be ignored",
    ),
    "x509.path-length-authority": (
        has(CONSTRAINTS, bytes.fromhex("3003020100"), critical=True)(LEAF),
        "sm2-issuing",
        "a path length without being a CA",
    ),
    "x509.path-length": (_sub_ca(), "sm2-issuing", "a CA under a CA of path length 0"),
    "x509.issuer-authority": (_under_the_leaf(), "sm2-leaf", "signed by a subscriber"),
    "x509.purposes-authority": (
        has(PURPOSES, purposes(CLIENT_AUTH))(ISSUING),
        "sm2-root",
        "a CA with an extended key usage",
    ),
    "x509.purposes-present": (
        has(PURPOSES, der.sequence())(LEAF),
        "sm2-issuing",
        "an empty extended key usage",
    ),
    "x509.revocation": (lacks(CRL_POINTS)(LEAF), "sm2-issuing", "no CRL distribution point"),
    "x509.no-check": (
        has(NO_CHECK, der.NULL)(LEAF),
        "sm2-issuing",
        "a server that need not be asked about",
    ),
    "x509.name-constraints": (
        has(NAME_CONSTRAINTS, _CONSTRAINT, critical=True)(LEAF),
        "sm2-issuing",
        "name constraints in a subscriber's certificate",
    ),
    # ---- GM ----
    "gm.signature-parameters": (
        fields(inner=der.sequence(oid("1.2.156.10197.1.501"), _CURVE))(LEAF),
        "sm2-issuing",
        "the curve as parameters of the signature",
    ),
    "gm.signature-form": (
        fields(signature=_raw_signature)(LEAF),
        "sm2-issuing",
        "r and s as 64 octets, as tokens give them",
    ),
    "gm.curve": (
        _sm2_spki(oid("1.2.156.10197.1.301.1"), _CURVE)(LEAF),
        "sm2-issuing",
        "algorithm SM2-1, as Botan writes it",
    ),
    "gm.curve-variant": (
        _sm2_spki(_CURVE, _CURVE)(LEAF),
        "sm2-issuing",
        "the curve as algorithm, as early OpenSSL 3 wrote it",
    ),
    "gm.point": (
        _sm2_spki(
            oid("1.2.840.10045.2.1"), _CURVE, point=bytes((2 | _POINT[-1] & 1,)) + _POINT[1:33]
        )(LEAF),
        "sm2-issuing",
        "a compressed point",
    ),
    "gm.usage-split": (
        _usage("030205a0")(LEAF),
        "sm2-issuing",
        "digitalSignature and keyEncipherment",
    ),
    "gm.encryption-usage": (
        _usage("03020318")(ENCRYPTION),
        "sm2-issuing",
        "dataEncipherment and keyAgreement only",
    ),
    "gm.basic-constraints": (
        has(CONSTRAINTS, der.sequence(), critical=True)(LEAF),
        "sm2-issuing",
        "CA:FALSE, an empty SEQUENCE",
    ),
    "gm.country": (
        fields(subject=name(text(C, "CN", UTF8), text(O, "某局"), text(CN, "gw")))(LEAF),
        "sm2-issuing",
        "the country as UTF8String",
    ),
    "gm.identity-code": (
        has(f"{IDENTITY}.1", der.wrap(0x80, b"110101199001010011"))(PERSON),
        "sm2-issuing",
        "identifyCode tagged implicitly",
    ),
    "gm.identity-numbers": (
        has(f"{IDENTITY}.5", der.wrap(IA5, b"91110000600037341L"))(PERSON),
        "sm2-issuing",
        "a tax number as IA5String",
    ),
    "gm.identity-critical": (
        critical(f"{IDENTITY}.1")(PERSON),
        "sm2-issuing",
        "a critical identity extension",
    ),
}

BAD_PAIRS: dict[str, tuple[Spec, str, str]] = {
    # rule: (the encryption certificate beside good/sm2-signing, its issuer, what is wrong)
    "pair.subject": (fields(subject=dn("another"))(ENCRYPTION), "sm2-issuing", "two subjects"),
    "pair.issuer": (
        both(
            fields(issuer=dn("sm2-root"), signer=key("sm2-root")),
            has(AKI, der.sequence(der.wrap(0x80, identifier_of(key("sm2-root").public_key)))),
        )(ENCRYPTION),
        "sm2-root",
        "two issuers",
    ),
    "pair.alternative-names": (
        _san((DNS, b"other.example.test"))(ENCRYPTION),
        "sm2-issuing",
        "two names",
    ),
    "pair.identity": (
        has(f"{IDENTITY}.4", der.wrap(PRINTABLE, b"91110000600037341L"))(ENCRYPTION),
        "sm2-issuing",
        "an organisation code in one only",
    ),
    "pair.keys": (with_key(DEVICE)(ENCRYPTION), "sm2-issuing", "one key for both"),
    "pair.serials": (
        fields(serial=SIGNING.serial_octets)(ENCRYPTION),
        "sm2-issuing",
        "one serial number for both",
    ),
    "pair.usages": (
        with_key(key("encryption").public_key)(SIGNING),
        "sm2-issuing",
        "two signing certificates",
    ),
    "pair.algorithms": (
        fields(inner=SM2_WITH_NULL)(ENCRYPTION),
        "sm2-issuing",
        "NULL parameters in one only",
    ),
}
