"""A bucket of S3-compatible storage.

Two requests are all that is needed, so there is no library: boto3 cannot be installed beside
pkilint, whose python-dateutil is newer than botocore allows (docs/decisions/0124).
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Final
from urllib.parse import urlsplit

from core.clock import Clock
from core.errors import Conflict, Misconfigured, Refused, TooLarge, Unavailable
from crl.mirror import Stored, Wanted
from crl.mirror_config import MirrorConfig
from crl.sigv4 import AccessKey, escaped, signed_headers
from keystore import pin

_TIMEOUT_SECONDS: Final = 60
_MAX_OBJECT_OCTETS: Final = 1 << 30
_CODE: Final = re.compile(rb"<Code>([A-Za-z]{1,64})</Code>")


class S3Shelf:
    """`crl.mirror.Shelf` in a bucket. Objects are replaced by conditional writes (If-Match)."""

    name = "s3"

    def __init__(self, config: MirrorConfig, *, clock: Clock) -> None:
        """Connects when it is used. Raises `Misconfigured` for files that cannot be read."""
        if config.endpoint is None or config.secret_key_file is None:
            raise ValueError("a bucket has an endpoint and a secret key file")
        self._endpoint = urlsplit(config.endpoint)
        self._root = f"/{config.bucket}/{config.prefix}"
        self._clock = clock
        secret = pin.from_file(config.secret_key_file)()
        self._key = AccessKey(config.access_key or "", secret, config.region)
        try:
            self._tls = ssl.create_default_context(
                cafile=None if config.trust_file is None else str(config.trust_file)
            )
        except OSError as error:
            raise Misconfigured(f"revocation.mirror.trust_file: {error}") from error

    def read(self, path: str) -> Stored | None:
        status, headers, body = self._ask("GET", path, {}, b"")
        if status == 404 and _code(body) != "NoSuchBucket":
            return None
        if status != 200:
            raise _refused(status, body)
        return Stored(body, headers.get("etag", ""))

    def write(self, wanted: Wanted, *, instead_of: Stored | None) -> None:
        condition = (
            {"if-none-match": "*"} if instead_of is None else {"if-match": instead_of.version}
        )
        fields = {
            "cache-control": f"max-age={wanted.max_age_seconds}, public, no-transform",
            "content-type": wanted.media_type,
            **condition,
        }
        status, _, body = self._ask("PUT", wanted.path, fields, wanted.octets)
        if status in {404, 409, 412} and _code(body) != "NoSuchBucket":
            raise Conflict("another node has just written this object")
        if status not in {200, 204}:
            raise _refused(status, body)

    def _ask(
        self, method: str, path: str, fields: Mapping[str, str], body: bytes
    ) -> tuple[int, Mapping[str, str], bytes]:
        target = self._root + path
        headers = signed_headers(
            method,
            target,
            {"host": self._endpoint.netloc, **fields},
            body,
            key=self._key,
            now=self._clock.now(),
        )
        connection = self._connection()
        try:
            connection.request(method, escaped(target), body or None, headers)
            answer = connection.getresponse()
            received = answer.read(_MAX_OBJECT_OCTETS + 1)
            found = {name.lower(): value for name, value in answer.getheaders()}
        except (OSError, HTTPException) as error:
            raise Unavailable(f"the storage cannot be reached: {type(error).__name__}") from error
        finally:
            connection.close()
        if len(received) > _MAX_OBJECT_OCTETS:
            raise TooLarge(f"the object {path} in the bucket is longer than any CRL")
        return answer.status, found, received

    def _connection(self) -> HTTPConnection:
        host, port = self._endpoint.hostname or "", self._endpoint.port
        if self._endpoint.scheme == "https":
            return HTTPSConnection(host, port, timeout=_TIMEOUT_SECONDS, context=self._tls)
        return HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS)


def _code(body: bytes) -> str:
    found = _CODE.search(body[:4096])
    return "" if found is None else found[1].decode()


def _refused(status: int, body: bytes) -> Refused | Unavailable:
    # The code and not the text, which may quote the request.
    said = f"the storage answers {status} {_code(body)}".rstrip()
    return Refused(said) if status in {400, 413} else Unavailable(said)
