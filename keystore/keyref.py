"""Key references: RFC 7512 style URIs. They never carry a PIN, so they may be stored and shown."""

from __future__ import annotations

import re
from typing import NewType

from core.errors import Malformed

KeyRef = NewType("KeyRef", str)
"""``software:object=rsa-issuing`` or ``pkcs11:token=issuing;object=intermediate-2026``."""

_ATTRIBUTE = re.compile(r"(token|object|id|slot-id)=([A-Za-z0-9._-]{1,64})")
_SCHEME = re.compile(r"[a-z][a-z0-9]{1,15}")


def parse(text: str) -> KeyRef:
    """Check that `text` is a key reference, and give it its type. Raises `Malformed`."""
    scheme, colon, path = text.partition(":")
    if not colon or _SCHEME.fullmatch(scheme) is None:
        raise Malformed(f"{text!r} is not a key reference (scheme:attribute=value;...)")
    names = []
    for part in path.split(";"):
        match = _ATTRIBUTE.fullmatch(part)
        if match is None:
            if "pin" in part:
                raise Malformed("a key reference must not carry a PIN (RFC 7512, 2.4 is not used)")
            raise Malformed(f"{part!r} is not an attribute of a key reference")
        names.append(match[1])
    if len(set(names)) != len(names) or "object" not in names:
        raise Malformed("a key reference names each attribute once, and an object")
    return KeyRef(text)


def make(scheme: str, **attributes: str) -> KeyRef:
    """Make a key reference from its parts. Raises `Malformed`."""
    return parse(f"{scheme}:" + ";".join(f"{name}={value}" for name, value in attributes.items()))


def scheme_of(ref: KeyRef) -> str:
    """Return what stands before the colon."""
    return ref.partition(":")[0]


def attributes_of(ref: KeyRef) -> dict[str, str]:
    """Return the attributes of a parsed reference."""
    return dict(part.split("=", 1) for part in ref.partition(":")[2].split(";"))
