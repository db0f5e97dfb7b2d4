"""Expiry notices as signed JSON, posted over https."""

from __future__ import annotations

import hmac
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException
from typing import Any, Final

from typing_extensions import override

from ca.notices import Notice
from ca.notices_config import WebhookConfig
from ca.serials import to_hex
from core.clock import Clock
from core.errors import Unavailable
from keystore import pin

SIGNATURE_HEADER: Final = "Yinxin-Signature"
_TIMEOUT_SECONDS: Final = 15


class Webhook:
    """Posts ``{"notices": […]}``; any status but 2xx is asked again later."""

    batch: Final = 100

    def __init__(self, config: WebhookConfig, *, clock: Clock) -> None:
        self._config = config
        self._clock = clock

    def send(self, notices: Sequence[Notice]) -> None:
        """Raises `Unavailable`."""
        url, secret_file = self._config.url, self._config.secret_file
        if url is None or secret_file is None:
            raise Unavailable("no webhook is configured (notices.webhook)")
        body = json.dumps({"notices": [_said(one) for one in notices]}, ensure_ascii=False).encode()
        seconds = int(self._clock.now().timestamp())
        signature = sign(pin.from_file(secret_file)(), seconds, body)
        request = urllib.request.Request(  # noqa: S310 - the settings take https only
            url,
            data=body,
            method="POST",
            headers={"Content-Type": "application/json", SIGNATURE_HEADER: signature},
        )
        try:
            trust = ssl.create_default_context(cafile=self._config.trust_file)
            opener = urllib.request.build_opener(
                urllib.request.HTTPSHandler(context=trust), _NoRedirect()
            )
            with opener.open(request, timeout=_TIMEOUT_SECONDS) as answer:
                answer.read(1024)
        except urllib.error.HTTPError as error:
            with error:
                raise Unavailable(f"the webhook answered {error.code}") from error
        except (OSError, HTTPException) as error:
            raise Unavailable(f"the webhook was not reached: {type(error).__name__}") from error


def sign(secret: bytes, seconds: int, body: bytes) -> str:
    """Return the header: HMAC-SHA-256 over the Unix time, a full stop and the body, in hex."""
    digest = hmac.new(secret, f"{seconds}.".encode() + body, "sha256").hexdigest()
    return f"t={seconds},v1={digest}"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Whoever the secret is shared with answers itself."""

    @override
    def redirect_request(self, *arguments: Any) -> None:
        return None


def _said(notice: Notice) -> dict[str, object]:
    record = notice.certificate
    return {
        "id": notice.id,
        "days": notice.days,
        "issuer": record.issuer,
        "serial": to_hex(record.serial),
        "subject": record.subject,
        "profile": record.profile,
        "not_after": record.not_after.isoformat().replace("+00:00", "Z"),
        "organisation_id": record.organisation_id,
        "subject_id": record.subject_id,
    }
