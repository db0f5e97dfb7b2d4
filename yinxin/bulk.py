"""Bulk requests put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from ca.bulkcheck import BulkCheck
from ca.bulkconfig import BulkConfig
from ca.bulkissuing import BulkIssuing
from ca.bulkpackage import BulkPackages
from ca.bulkservice import BulkService
from ca.bulkworker import BulkWorker
from ca.config import CAConfig
from ca.dryrun import DryRun
from ca.issuer import Issuer
from ca.operations import ReviewRules
from ca.sqlbulk import SQLBulkStore
from ca.sqlrequests import SQLRequestStore
from core.db import Database
from keystore import keyref
from keystore.holdersafe import HolderSafe
from keystore.registry import KeyStore
from yinxin.first_start import Authority
from yinxin.key_management import KeyManagement


@dataclass(frozen=True, slots=True)
class Bulk:
    """What people ask of batches, and what works on them in the background."""

    service: BulkService
    worker: BulkWorker

    @classmethod
    def assemble(
        cls,
        config: BulkConfig,
        rules: CAConfig,
        database: Database,
        *,
        keystore: KeyStore,
        authority: Authority,
        issuers: Mapping[str, Issuer],
        reviews: ReviewRules,
        key_management: KeyManagement,
        dry_run: DryRun,
    ) -> Self:
        """Put it together."""
        store = SQLBulkStore(database)
        safe = HolderSafe(keystore, keyref.parse(config.storage_key))
        profiles, pairs, clock = authority.profiles, key_management.pairs, authority.clock
        packages = BulkPackages(
            store,
            certificates=authority.store,
            pairs=pairs,
            profiles=profiles,
            issuers=issuers,
            safe=safe,
        )
        service = BulkService(
            store,
            profiles=profiles,
            issuers=issuers,
            packages=packages,
            safe=safe,
            reviews=reviews,
            config=config,
            separate_approver=rules.separate_approver,
            transactions=database,
            audit=authority.audit,
            clock=clock,
        )
        worker = BulkWorker(
            store,
            check=BulkCheck(store, dry_run, accept_empty_sm2_id=rules.accept_empty_sm2_id),
            rows=BulkIssuing(
                store,
                packages=packages,
                profiles=profiles,
                issuers=issuers,
                certificates=authority.store,
                requests=SQLRequestStore(database),
                pairs=pairs,
                transactions=database,
                audit=authority.audit,
                clock=clock,
            ),
            safe=safe,
            config=config,
            transactions=database,
            audit=authority.audit,
            clock=clock,
        )
        return cls(service, worker)
