"""From the cells of a row to what is asked for, and what a checked row keeps."""

from __future__ import annotations

import json
from typing import Any, Final

from ca.altnames import AlternativeNameKind, make_alternative_name, parse_alternative_name
from ca.bulk import Batch, Item
from ca.bulkfile import CSR, VALIDITY_DAYS, Row
from ca.contents import IssuanceRequest
from ca.csr import parse_csr
from ca.names import ATTRIBUTE_TYPES
from core.errors import Malformed

_DAYS_DIGITS: Final = 5
_KINDS: Final = frozenset(AlternativeNameKind)
_PLAIN: Final = frozenset({*ATTRIBUTE_TYPES, *AlternativeNameKind, CSR, VALIDITY_DAYS})
"""Columns that are no identity extension."""


def source_of(row: Row) -> str:
    """Return the JSON of a row's cells."""
    return json.dumps(row.cells, ensure_ascii=False)


def wanted_of(item: Item, batch: Batch, *, accept_empty_sm2_id: bool) -> IssuanceRequest:
    """Read the cells of an unchecked row. A row without a CSR has no key yet: `spki` is empty.

    What a row does not say is taken from its CSR, as for a single request. Raises `Malformed`,
    `Refused`, `TooLarge` or `InvalidSignature`.
    """
    cells = [(column, text) for column, text in json.loads(item.source)]
    named = dict(cells)
    subject = tuple((column, text) for column, text in cells if column in ATTRIBUTE_TYPES)
    names = tuple(
        make_alternative_name(AlternativeNameKind(column), value)
        for column, text in cells
        if column in _KINDS
        for value in text.replace(";", " ").replace("；", " ").split()  # noqa: RUF001 - as typed
    )
    spki = b""
    if CSR in named:
        csr = parse_csr(_armoured(named[CSR]), accept_empty_sm2_id=accept_empty_sm2_id)
        spki, subject = csr.spki, subject or csr.subject
        names = names or csr.alternative_names
    return IssuanceRequest(
        spki=spki,
        subject=subject,
        requester=batch.requester,
        alternative_names=names,
        identity=tuple((column, text) for column, text in cells if column not in _PLAIN),
        validity_days=_days(named.get(VALIDITY_DAYS)),
        request_id=item.request_id,
        organisation_id=batch.organisation_id,
    )


def csr_in(item: Item) -> str | None:
    """Return the CSR of an unchecked row, PEM."""
    text = dict(json.loads(item.source)).get(CSR)
    return None if text is None else _armoured(text).decode("utf-8")


def content_of(wanted: IssuanceRequest) -> str:
    """Return the JSON that `request_of` reads back; the key is kept beside it."""
    return _encode(
        {
            "subject": wanted.subject,
            "alternative_names": [str(name) for name in wanted.alternative_names],
            "identity": wanted.identity,
            "validity_days": wanted.validity_days,
        }
    )


def request_of(item: Item, batch: Batch) -> IssuanceRequest:
    """Return what a checked item asks for, with its key."""
    content: dict[str, Any] = json.loads(item.content or "{}")
    return IssuanceRequest(
        spki=item.spki or b"",
        subject=tuple((short, value) for short, value in content["subject"]),
        requester=batch.requester,
        alternative_names=tuple(parse_alternative_name(t) for t in content["alternative_names"]),
        identity=tuple((name, value) for name, value in content["identity"]),
        validity_days=content["validity_days"],
        request_id=item.request_id,
        organisation_id=batch.organisation_id,
    )


def _days(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > _DAYS_DIGITS:
        raise Malformed(f"{VALIDITY_DAYS} is a number of days, not {text[:20]!r}")
    return int(text)


def _armoured(text: str) -> bytes:
    """Take PEM, or base64 alone as it stands in one cell."""
    if "-----BEGIN" not in text:
        text = f"-----BEGIN CERTIFICATE REQUEST-----\n{text}\n-----END CERTIFICATE REQUEST-----"
    return text.encode("utf-8")


# `json.dumps` makes a new encoder each time.
_encode: Final = json.JSONEncoder(ensure_ascii=False).encode
