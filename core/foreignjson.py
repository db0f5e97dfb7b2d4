"""JSON of strangers, read so that whatever it says can be stored and sent on."""

from __future__ import annotations

import json
from typing import Any

from core.errors import Malformed


def read_json(octets: bytes, *, what: str) -> Any:
    r"""Return the value. Raises `Malformed`, also for a text with half a surrogate pair.

    ``"\ud800"`` is JSON (RFC 8259, 8.2) and no text: nothing can encode it.
    """
    try:
        value = json.loads(octets)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise Malformed(f"{what} is not JSON") from error
    return value
