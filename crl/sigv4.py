"""Signing requests to S3-compatible storage: AWS Signature Version 4, in the Authorization field.

As Amazon S3 API Reference, "Authenticating Requests: Using the Authorization Header", describes it
for a payload that is sent in one piece.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

_ALGORITHM: Final = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class AccessKey:
    """Who asks."""

    name: str
    secret: bytes = field(repr=False)
    region: str


def signed_headers(
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    key: AccessKey,
    now: datetime,
) -> dict[str, str]:
    """Return `headers` (with ``host`` among them, lowercase) and those that authenticate them.

    `path` is not escaped yet, and has no query. Every header that is given is signed.
    """
    moment = f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    digest = hashlib.sha256(body).hexdigest()
    signed = {**headers, "x-amz-content-sha256": digest, "x-amz-date": moment}
    names = ";".join(sorted(signed))
    fields = "".join(f"{name}:{signed[name].strip()}\n" for name in sorted(signed))
    canonical = "\n".join((method, escaped(path), "", fields, names, digest))
    scope = f"{moment[:8]}/{key.region}/s3/aws4_request"
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    signature = _mac(
        _signing_key(key, moment[:8]), f"{_ALGORITHM}\n{moment}\n{scope}\n{hashed}"
    ).hex()
    credential = f"{key.name}/{scope}"
    authorization = (
        f"{_ALGORITHM} Credential={credential},SignedHeaders={names},Signature={signature}"
    )
    return {**signed, "authorization": authorization}


def escaped(path: str) -> str:
    """Return the path as it is signed, and has to be sent."""
    return quote(path, safe="/-_.~")


def _signing_key(key: AccessKey, day: str) -> bytes:
    made = b"AWS4" + key.secret
    for part in (day, key.region, "s3", "aws4_request"):
        made = _mac(made, part)
    return made


def _mac(key: bytes, message: str) -> bytes:
    return hmac.digest(key, message.encode(), "sha256")
