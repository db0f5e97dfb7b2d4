"""A bucket of S3-compatible storage, through the library `boto3`.

Imported only when a bucket is configured: the library is the extra ``yinxin[s3]``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from core.errors import Conflict, Refused, Unavailable
from crl.mirror import Stored, Wanted
from crl.mirror_config import MirrorConfig
from keystore import pin

_OVERTAKEN: Final = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}
_ABSENT: Final = {"NoSuchKey", "404"}
_REFUSED: Final = {"InvalidRequest", "EntityTooLarge", "InvalidArgument"}


class S3Shelf:
    """`crl.mirror.Shelf` in a bucket. Objects are replaced by conditional writes (If-Match)."""

    name = "s3"

    def __init__(self, config: MirrorConfig) -> None:
        """Connects at the first use. Raises `Misconfigured` for a secret that cannot be read."""
        self._bucket, self._prefix = config.bucket, config.prefix
        if config.secret_key_file is None:
            raise ValueError("a bucket has a secret key file")
        self._client: Any = boto3.client(
            "s3",
            endpoint_url=config.endpoint,
            region_name=config.region,
            aws_access_key_id=config.access_key,
            aws_secret_access_key=pin.from_file(config.secret_key_file)().decode("ascii"),
            verify=True if config.trust_file is None else str(config.trust_file),
            config=Config(
                connect_timeout=5,
                read_timeout=60,
                retries={"mode": "standard", "total_max_attempts": 3},
                # Storages other than Amazon's seldom know buckets as hosts, or newer checksums.
                s3={"addressing_style": "path"} if config.endpoint else {},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    def read(self, path: str) -> Stored | None:
        with _translated():
            try:
                found = self._client.get_object(Bucket=self._bucket, Key=self._prefix + path)
            except ClientError as error:
                if _code(error) in _ABSENT:
                    return None
                raise
            return Stored(found["Body"].read(), found["ETag"])

    def write(self, wanted: Wanted, *, instead_of: Stored | None) -> None:
        condition = {"IfNoneMatch": "*"} if instead_of is None else {"IfMatch": instead_of.version}
        with _translated():
            self._client.put_object(
                Bucket=self._bucket,
                Key=self._prefix + wanted.path,
                Body=wanted.octets,
                ContentType=wanted.media_type,
                CacheControl=f"max-age={wanted.max_age_seconds}, public, no-transform",
                **condition,
            )


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        # Its code, and not its text, which may quote a request.
        code = _code(error)
        if code in _OVERTAKEN:
            raise Conflict("another node has just written this object") from error
        if code in _REFUSED:
            raise Refused(f"the storage does not take this object: {code}") from error
        raise Unavailable(f"the storage refuses: {code}") from error
    except BotoCoreError as error:
        raise Unavailable(f"the storage cannot be reached: {type(error).__name__}") from error


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", "unknown"))
