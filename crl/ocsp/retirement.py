"""The end of delegated responders: their keys are destroyed when nothing can need them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Final

from core.audit import AuditLog
from core.clock import Clock
from core.errors import NotFound, TrustError
from core.identity import SYSTEM_ACTOR
from core.transaction import Transactions
from crl.store import DelegateStore
from keystore.keyref import KeyRef

log = logging.getLogger(__name__)

_KEPT_AFTER_END: Final = timedelta(days=1)
"""A node whose clock is behind may still want to sign with it."""


def destroy_ended(
    *,
    store: DelegateStore,
    destroy: Callable[[KeyRef], None],
    transactions: Transactions,
    audit: AuditLog,
    clock: Clock,
) -> None:
    """Destroy the keys of responders whose certificates ended more than a day ago.

    One that cannot be destroyed (its token is away, or does not destroy keys) is recorded, does not
    stop the others, and is tried again at the next call.
    """
    for record in store.list_ended(clock.now() - _KEPT_AFTER_END):
        detail = {"issuer": record.issuer, "key": record.key}
        try:
            # The act comes last: without an audit event it does not happen, and when the commit
            # fails behind it, the next call finds no key and writes down what happened.
            with transactions.transaction():
                store.mark_destroyed(record, at=clock.now())
                audit.record("delegate.destroyed", actor=SYSTEM_ACTOR, detail=detail)
                with suppress(NotFound):
                    destroy(record.key)
        except TrustError as error:
            log.warning(
                "the key of an ended OCSP responder is not destroyed",
                extra={**detail, "reason": str(error)},
            )
