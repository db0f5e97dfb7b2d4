"""Clients that authenticate by their TLS certificate, and tokens bound to one (RFC 8705)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any

from cryptography import x509

from authn.certlogin import CertificateVerifier
from authn.oidc.clientjws import JWK
from authn.oidc.clientkeys import ClientKeys
from authn.oidc.errors import InvalidClient
from authn.oidc.grant import Confirmation
from authn.oidc.store import Client
from core.errors import InvalidSignature, Malformed, Refused, Unavailable


def thumbprint(certificate: bytes) -> str:
    """Return ``x5t#S256`` of a certificate, DER; the same for RSA, ECDSA and SM2."""
    return base64.urlsafe_b64encode(hashlib.sha256(certificate).digest()).rstrip(b"=").decode()


def confirmation(certificate: bytes) -> Confirmation:
    """Return what binds a token to this certificate (RFC 8705, 3.1)."""
    return Confirmation("x5t#S256", thumbprint(certificate))


class CertificateAuthentication:
    """Checks the certificate with which TLS authenticated the caller."""

    def __init__(self, verifier: CertificateVerifier, keys: ClientKeys) -> None:
        self._verifier = verifier
        self._keys = keys

    def check_issued(self, certificate: bytes | None, client: Client) -> None:
        """``tls_client_auth``: a certificate of ours with the registered name (RFC 8705, 2.1).

        Chain, validity, use and revocation are checked again here. Raises `InvalidClient`.
        """
        der = _shown(certificate)
        try:
            self._verifier.verify_login_certificate(der)
            require_name(der, client.metadata.certificate_names)
        except (Malformed, Refused, InvalidSignature) as error:
            raise InvalidClient(f"the client certificate is refused: {error}") from error

    def check_self_signed(self, certificate: bytes | None, client: Client) -> None:
        """``self_signed_tls_client_auth``: exactly a certificate of its JWKS (RFC 8705, 2.2).

        Raises `InvalidClient`.
        """
        der = _shown(certificate)
        try:
            known = registered_certificates(self._keys.of(client))
        except (Malformed, Refused, Unavailable, ValueError, TypeError, IndexError) as error:
            raise InvalidClient("the client's certificates cannot be read") from error
        if not any(hmac.compare_digest(one, der) for one in known):
            raise InvalidClient("the client certificate is not one of the client's JWKS (x5c)")


def registered_certificates(keys: Sequence[JWK]) -> list[bytes]:
    """Return the certificates of a JWKS, DER. Raises what a broken one raises."""
    return [base64.b64decode(str(key["x5c"][0])) for key in keys if key.get("x5c")]


def _shown(certificate: bytes | None) -> bytes:
    if certificate is None:
        raise InvalidClient("show the client certificate: call the endpoint of mutual TLS")
    return certificate


def require_name(certificate: bytes, names: Mapping[str, str]) -> None:
    """Raises `Refused` unless a certificate has the registered name (RFC 8705, 2.1.2)."""
    parsed = x509.load_der_x509_certificate(certificate)
    kind, wanted = next(iter(names.items()), ("", ""))
    if kind == "subject_dn":
        found = _same_name(parsed.subject, wanted)
    else:
        found = _folded(kind, wanted) in _alternative_names(parsed, kind)
    if not found:
        raise Refused("its name is not the one that the client is registered with")


def _same_name(subject: x509.Name, wanted: str) -> bool:
    try:
        return subject == x509.Name.from_rfc4514_string(wanted)
    except ValueError:
        return False


def _alternative_names(certificate: x509.Certificate, kind: str) -> set[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return set()
    san = extension.value
    values: Mapping[str, list[Any]] = {
        "san_dns": san.get_values_for_type(x509.DNSName),
        "san_uri": san.get_values_for_type(x509.UniformResourceIdentifier),
        "san_ip": san.get_values_for_type(x509.IPAddress),
        "san_email": san.get_values_for_type(x509.RFC822Name),
    }
    return {_folded(kind, str(value)) for value in values.get(kind, [])}


def _folded(kind: str, name: str) -> str:
    if kind == "san_dns":
        return name.lower()
    try:
        return str(ip_address(name)) if kind == "san_ip" else name
    except ValueError:
        return name
