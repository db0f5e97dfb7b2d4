"""One Argon2id of several lanes at a time (decision 0205).

libcrypto computes each lane in a thread of its own, from a pool for the process; several such
hashes at once wait for each other for ever, or fail ("not enough memory").
"""

from __future__ import annotations

import threading
from typing import Final

SEVERAL_LANES: Final = threading.BoundedSemaphore(1)
"""Held by whoever computes one."""
