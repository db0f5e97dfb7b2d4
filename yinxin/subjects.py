"""Subjects, over the keystore that holds the key to their identifiers' digests."""

from __future__ import annotations

from ca.organisations import Organisations
from ca.sqlsubjects import SQLSubjectStore
from ca.subjects import Subjects
from core.audit import AuditLog
from core.clock import Clock
from core.db import Database
from keystore import keyref
from keystore.digests import KeyedDigests
from keystore.registry import KeyStore


def open_subjects(
    database: Database,
    keystore: KeyStore,
    organisations: Organisations,
    *,
    identifier_key: str,
    audit: AuditLog,
    clock: Clock,
) -> Subjects:
    """Put them together. The key is made when the first identity card or passport comes."""
    store = SQLSubjectStore(database)
    digests = KeyedDigests(keystore, keyref.parse(identifier_key), store)
    return Subjects(
        store,
        organisations,
        digest=digests.digest,
        transactions=database,
        audit=audit,
        clock=clock,
    )
