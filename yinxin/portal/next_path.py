"""Where to go after the login: a path of ours, or home. Never another site."""

from __future__ import annotations

import re
from typing import Final

_PATH: Final = re.compile(r"/(?![/\\])[A-Za-z0-9\-._~%/?&=+:,;@!$'()*\[\]]*")
_MOST_CHARACTERS: Final = 16_000


def own_path(text: str) -> str:
    r"""Return `text` if it is a path on this origin, else ``/``.

    ``//host`` and ``/\host`` are other sites to a browser, and control characters are dropped by
    some: so only visible URI characters behind exactly one slash pass.
    """
    if len(text) <= _MOST_CHARACTERS and _PATH.fullmatch(text) is not None:
        return text
    return "/"
