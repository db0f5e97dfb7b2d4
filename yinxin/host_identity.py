"""The key and certificate by which a host is known that is not the authority itself.

A key management centre and a registration authority serve and call TLS with one key that stays
in their keystore. The authority certifies it once (profile ``device``); peers know it by its key,
so that a renewed certificate changes nothing for them.
"""

from __future__ import annotations

import hashlib
import ssl
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509

from authn.answers import parse_certificates
from ca.altnames import AlternativeName, encode_alternative_names, host_name
from ca.names import check_attributes, encode_name
from ca.tbs import parse_tbs
from core import der
from core.errors import InvalidSignature, Misconfigured, Refused
from core.peer import key_fingerprint
from keystore import keyref, pem
from keystore.algorithms import KeyAlgorithm, signature_algorithm
from keystore.backend import KeyBackend, KeyInfo
from keystore.files import write_new
from keystore.registry import KeyStore
from keystore.verify import key_algorithm, verify_signature
from yinxin.state import State

HOST_KEY: Final = keyref.make("software", object="host-1")
"""Python's TLS takes software keys only, and ordinary clients RSA and the NIST curves only."""
_EXTENSION_REQUEST: Final = "1.2.840.113549.1.9.14"
_SUBJECT_ALTERNATIVE_NAME: Final = "2.5.29.17"


def ensure_host_key(keystore: KeyBackend) -> KeyInfo:
    """Return the key of this host, made when it is missing."""
    return keystore.find(HOST_KEY) or keystore.generate(HOST_KEY, KeyAlgorithm.EC_P256)


def make_host_request(keystore: KeyBackend, *, host: str) -> bytes:
    """Return a PKCS#10 request in PEM for this host's key, with its public name."""
    info = ensure_host_key(keystore)
    names = encode_alternative_names([host_name(host)])
    extension = der.sequence(der.encode(der.oid(_SUBJECT_ALTERNATIVE_NAME)), der.encode(names))
    attribute = der.sequence(
        der.encode(der.oid(_EXTENSION_REQUEST)), der.wrap(der.SET, der.sequence(extension))
    )
    body = der.sequence(
        der.encode(0),
        encode_name(check_attributes((("CN", host),))),
        info.public_key,
        der.wrap(0xA0, attribute),
    )
    signer = keystore.signer(HOST_KEY)
    request = der.signed_object(body, signer.algorithm.identifier, signer.sign(body))
    return pem.encode(request, "CERTIFICATE REQUEST")


@dataclass(frozen=True, slots=True)
class HostIdentity:
    """What a host shows, and what it trusts."""

    chain_pem: str
    """Its certificate and those above it, without the root."""
    root_pem: str

    @property
    def certificate(self) -> bytes:
        """DER of its own certificate."""
        return parse_certificates(self.chain_pem)[0]

    @property
    def not_after(self) -> datetime:
        """When that certificate ends."""
        return x509.load_der_x509_certificate(self.certificate).not_valid_after_utc

    def load_into(self, context: ssl.SSLContext, keystore: KeyStore) -> None:
        """Give `context` the key and the chain, and the root to judge the other end by."""
        keystore.load_into(context, HOST_KEY, self.chain_pem.encode("ascii"))
        context.load_verify_locations(cadata=self.root_pem)

    def client_context(self, keystore: KeyStore) -> ssl.SSLContext:
        """Return a context for calling a peer."""
        context = ssl.create_default_context(cadata=self.root_pem)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.load_into(context, keystore)
        return context


def install_identity(state: State, keystore: KeyBackend, *, chain: str, root: str) -> HostIdentity:
    """Check a chain for this host's key and keep it. Raises `Refused` that says what is wrong."""
    certificates, anchor = parse_certificates(chain), parse_certificates(root)[0]
    if key_fingerprint(certificates[0]) != fingerprint_of(ensure_host_key(keystore)):
        raise Refused("the first certificate is not for this host's key: see `yinxin host request`")
    for below, above in zip(certificates, (*certificates[1:], anchor), strict=True):
        _require_signed(below, above)
    _require_signed(anchor, anchor)
    identity = HostIdentity(
        "".join(map(ssl.DER_cert_to_PEM_cert, certificates)), ssl.DER_cert_to_PEM_cert(anchor)
    )
    state.host_directory.mkdir(mode=0o700, exist_ok=True)
    # The root first: a certificate without it is no identity yet.
    for name, text in (("root.pem", identity.root_pem), ("chain.pem", identity.chain_pem)):
        temporary = state.host_directory / f"{name}.new"
        temporary.unlink(missing_ok=True)
        write_new(temporary, text.encode("ascii"))
        temporary.replace(state.host_directory / name)
    return identity


def read_identity(state: State) -> HostIdentity:
    """Return what was installed. Raises `Misconfigured` that says how to get there."""
    try:
        chain, root = (
            (state.host_directory / name).read_text(encoding="ascii")
            for name in ("chain.pem", "root.pem")
        )
    except FileNotFoundError as error:
        raise Misconfigured(
            "this host has no certificate yet: `yinxin host request`, have the authority issue "
            "it with profile device, then `yinxin host install`"
        ) from error
    return HostIdentity(chain, root)


def fingerprint_of(info: KeyInfo) -> str:
    """Return what peers write into their settings."""
    return hashlib.sha256(info.public_key).hexdigest()


def half_life(certificate: bytes) -> datetime:
    """Return when it is time for the next certificate."""
    parsed = x509.load_der_x509_certificate(certificate)
    begin, end = parsed.not_valid_before_utc, parsed.not_valid_after_utc
    return begin + (end - begin) / 2


def own_names(host: str) -> frozenset[AlternativeName]:
    """Return our public name, and the names by which this machine reaches itself."""
    texts = {host, "localhost", "127.0.0.1"}
    return frozenset(host_name(text) for text in texts)


def names_in(certificate: bytes) -> frozenset[AlternativeName]:
    """Return the host names of a certificate."""
    parsed = x509.load_der_x509_certificate(certificate)
    value = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = value.get_values_for_type(x509.IPAddress)
    return frozenset(
        host_name(str(text)) for text in (*value.get_values_for_type(x509.DNSName), *addresses)
    )


def _require_signed(below: bytes, above: bytes) -> None:
    octets, identifier, signature = der.split_signed(below, what="the certificate")
    tbs, issuer = parse_tbs(octets), parse_tbs(der.split_signed(above, what="the certificate")[0])
    spki = der.octets_of(issuer.spki)
    if key_algorithm(spki) is KeyAlgorithm.SM2:
        raise Refused("Python's TLS does not take SM2 certificates: have it issued by rsa-issuing")
    if der.octets_of(tbs.issuer) != der.octets_of(issuer.subject):
        raise Refused("the certificates are not a chain: give the host's first, the root apart")
    try:
        verify_signature(spki, signature_algorithm(identifier), octets, signature)
    except InvalidSignature as error:
        raise Refused("a certificate of the chain is not signed by the one above it") from error
