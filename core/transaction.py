"""One transaction around several stores, without the domain knowing the database."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol


class Transactions(Protocol):
    """Opens transactions. Stores and the audit log join the one that is open in their thread."""

    def transaction(self) -> AbstractContextManager[object]:
        """Commit what happens inside, durably, or nothing of it if the block raises.

        Joins the transaction that is already open in this thread, if there is one.
        """
        ...
