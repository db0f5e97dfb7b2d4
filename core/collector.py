"""Python's collector of cycles in a process that serves.

What is counted away needs no collector; it looks for cycles only, and what every request and every
row of a batch makes has none. With the limits Python starts with it went through the rows of a
batch several times: 0.3 ms for each of 3000.
"""

from __future__ import annotations

import gc
from typing import Final

_THRESHOLDS: Final = (10_000, 10, 10)
"""Objects more than before, and how many of each collection until the next larger one."""


def settle() -> None:
    """Never look again through what is here, and seldom through what comes.

    To be called when a process is ready: what is here then stays.
    """
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
