"""Name constraints of our own CA certificates (RFC 5280, 4.2.1.10): written, and kept at issue.

As text: ``dns:gov.cn``, ``ip:10.0.0.0/8``, ``email:gov.cn``, ``uri:.gov.cn``,
``directory:C=CN,O=某省``. The names are read back from the octets that are about to be signed.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.x509.oid import NameOID

from ca.names import check_attributes, make_name
from ca.tbs import Extension
from core import der
from core.errors import Malformed, ProfileViolation

_DUMMY_SIGNATURE: Final = bytes(8)
_DOMAIN: Final = re.compile(r"\.?(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9-]{1,63}")
_HOST_NAME: Final = re.compile(r"(?:\*\.)?(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z0-9-]{1,63}")


@dataclass(frozen=True, slots=True)
class Constraints:
    """What one CA certificate says about the names beneath it."""

    owner: str
    """The CA's subject, RFC 4514."""
    permitted: tuple[x509.GeneralName, ...]
    excluded: tuple[x509.GeneralName, ...]


def encode_constraints(permitted: Sequence[str], excluded: Sequence[str]) -> Extension | None:
    """Return the critical extension, or None for no constraint. Raises `Malformed`."""
    if not permitted and not excluded:
        return None
    value = x509.NameConstraints(
        [parse_subtree(text) for text in permitted] or None,
        [parse_subtree(text) for text in excluded] or None,
    )
    return Extension(oid=value.oid, critical=True, value=value.public_bytes())


def parse_subtree(text: str) -> x509.GeneralName:
    """Read one ``kind:value``. Raises `Malformed`, or `Refused` for a bad name attribute."""
    kind, colon, value = text.partition(":")
    if not colon or kind not in _PARSERS:
        raise Malformed(f"{text!r} is not {', '.join(f'{known}:…' for known in _PARSERS)}")
    return _PARSERS[kind](value)


def check_names(tbs: bytes, *, signature_algorithm: bytes, above: Iterable[bytes]) -> None:
    """Hold the names in `tbs` against the constraints of the CA certificates `above` it.

    Raises `ProfileViolation` that names the constraint.
    """
    constraints = [found for found in map(_constraints_of, above) if found is not None]
    if not constraints:
        return
    wrapped = der.signed_object(tbs, signature_algorithm, _DUMMY_SIGNATURE)
    names = _names_in(x509.load_der_x509_certificate(wrapped))
    for constraint in constraints:
        for name in names:
            _check(name, constraint)


@lru_cache(maxsize=256)
def _constraints_of(certificate: bytes) -> Constraints | None:
    parsed = x509.load_der_x509_certificate(certificate)
    try:
        value = parsed.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return None
    return Constraints(
        parsed.subject.rfc4514_string(),
        tuple(value.permitted_subtrees or ()),
        tuple(value.excluded_subtrees or ()),
    )


def _names_in(certificate: x509.Certificate) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = [x509.DirectoryName(certificate.subject)]
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names += extension.value
    except x509.ExtensionNotFound:
        # Many take the CN for a host's name when no other is there; so does OpenSSL's check.
        for attribute in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME):
            if isinstance(attribute.value, str) and _HOST_NAME.fullmatch(attribute.value):
                names.append(x509.DNSName(attribute.value.lower()))
    return names


def _check(name: x509.GeneralName, constraints: Constraints) -> None:
    within = _WITHIN.get(type(name))
    if within is None:
        return
    for subtree in constraints.excluded:
        if type(subtree) is type(name) and (
            within(name.value, subtree.value) or _wildcard_reaches(name.value, subtree.value)
        ):
            raise ProfileViolation(
                f"the CA {constraints.owner} may not certify {_shown(name)}: its name constraints "
                f"exclude {_shown(subtree)} (RFC 5280, 4.2.1.10)"
            )
    permitted = [one for one in constraints.permitted if type(one) is type(name)]
    if permitted and not any(within(name.value, one.value) for one in permitted):
        raise ProfileViolation(
            f"the CA {constraints.owner} may not certify {_shown(name)}: its name constraints "
            f"permit {', '.join(map(_shown, permitted))} only (RFC 5280, 4.2.1.10)"
        )


# ---- is a name within a subtree? ----------------------------------------------------------------


def _dns_within(name: str, subtree: str) -> bool:
    name, base = name.lower(), subtree.lower()
    if base.startswith("."):
        return name.endswith(base)
    return not base or name == base or name.endswith(f".{base}")


def _wildcard_reaches(name: Any, subtree: Any) -> bool:
    """Whether a wildcard stands for a host in a subtree that it is not itself in."""
    if not isinstance(name, str) or not name.startswith("*."):
        return False
    base, parent = subtree.lower().removeprefix("."), name[2:].lower()
    return bool(base.endswith(f".{parent}"))


def _host_within(host: str, subtree: str) -> bool:
    # E-mail and URI: a period in front means the domains below, none means this host alone.
    host, base = host.lower(), subtree.lower()
    return host.endswith(base) if base.startswith(".") else host == base


def _email_within(name: str, subtree: str) -> bool:
    local, _, host = name.rpartition("@")
    if "@" in subtree:
        wanted_local, _, wanted_host = subtree.rpartition("@")
        return local == wanted_local and host.lower() == wanted_host.lower()
    return _host_within(host, subtree)


def _uri_within(name: str, subtree: str) -> bool:
    return _host_within(urlsplit(name).hostname or "", subtree)


def _ip_within(name: Any, subtree: Any) -> bool:
    return name.version == subtree.version and name in subtree


def _directory_within(name: x509.Name, subtree: x509.Name) -> bool:
    wanted = [_canonical(rdn) for rdn in subtree.rdns]
    return [_canonical(rdn) for rdn in name.rdns[: len(wanted)]] == wanted


def _canonical(rdn: x509.RelativeDistinguishedName) -> frozenset[tuple[str, str]]:
    # RFC 5280, 7.1: case and runs of spaces do not distinguish names.
    return frozenset(
        (
            attribute.oid.dotted_string,
            " ".join(unicodedata.normalize("NFKC", str(attribute.value)).casefold().split()),
        )
        for attribute in rdn
    )


_WITHIN: Final[dict[type[x509.GeneralName], Callable[[Any, Any], bool]]] = {
    x509.DNSName: _dns_within,
    x509.RFC822Name: _email_within,
    x509.UniformResourceIdentifier: _uri_within,
    x509.IPAddress: _ip_within,
    x509.DirectoryName: _directory_within,
}


# ---- text and back ------------------------------------------------------------------------------


def _domain(value: str) -> str:
    name = value.lower()
    if len(name) > 253 or _DOMAIN.fullmatch(name) is None:
        raise Malformed(f"{value!r} is not a domain, with or without a period in front")
    return name


def _email(value: str) -> x509.RFC822Name:
    local, at, domain = value.rpartition("@")
    if at and not re.fullmatch(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}", local):
        raise Malformed(f"{value!r} is not a mailbox, a host or a domain with a period in front")
    return x509.RFC822Name(f"{local}{at}{_domain(domain)}")


def _network(value: str) -> x509.IPAddress:
    try:
        return x509.IPAddress(ipaddress.ip_network(value))
    except ValueError as error:
        raise Malformed(f"{value!r} is not a network like 10.0.0.0/8: {error}") from error


def _directory(value: str) -> x509.DirectoryName:
    attributes = []
    for part in re.split(r"(?<!\\),", value):
        short, equals, text = part.partition("=")
        if not equals:
            raise Malformed(f"{part!r} is not like O=某省; write a comma in a value as \\,")
        attributes.append((short.strip(), text.replace("\\,", ",").strip()))
    return x509.DirectoryName(make_name(check_attributes(tuple(attributes))))


_PARSERS: Final[dict[str, Callable[[str], x509.GeneralName]]] = {
    "dns": lambda value: x509.DNSName(_domain(value)),
    "ip": _network,
    "email": _email,
    "uri": lambda value: x509.UniformResourceIdentifier(_domain(value)),
    "directory": _directory,
}


def _shown(name: x509.GeneralName) -> str:
    if isinstance(name, x509.DirectoryName):
        return f"directory:{name.value.rfc4514_string()}"
    kinds = {
        x509.DNSName: "dns",
        x509.RFC822Name: "email",
        x509.UniformResourceIdentifier: "uri",
        x509.IPAddress: "ip",
    }
    return f"{kinds[type(name)]}:{name.value}"
