"""The background of bulk requests: checks every row, then issues, some rows at a time.

Whatever crashes, a row gets one certificate: its request id was drawn when the file was uploaded,
its private key is durable before its serial number is, and a row that was begun is always
finished before another one is begun.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from ca.bulk import Batch, BatchState, BulkStore, Item, ItemState
from ca.bulkcheck import BulkCheck
from ca.bulkconfig import BulkConfig
from ca.bulkpackage import BulkPackages
from ca.bulkrows import request_of
from ca.dual import PairService
from ca.issuer import Issued, Issuer
from ca.issuing import Group, Issuing, Outcome
from ca.profiles import CertificateProfile
from ca.requests import EnrollmentRecord, RequestState, RequestStore, content_of
from ca.store import CertificateStore
from core.audit import AuditLog
from core.clock import Clock
from core.errors import TrustError, Unavailable
from core.identity import SYSTEM_ACTOR
from core.transaction import Transactions
from keystore.holdersafe import DataKey, HolderSafe

log = logging.getLogger(__name__)

GROUP: Final = 64
"""Rows a transaction. More would let other writers wait, less would wait for more commits."""
LEASE: Final = timedelta(seconds=30)
"""A worker that does not renew it is dead: another one may take the batch."""
_S = BatchState
