"""Bulk requests beside the small authority and its key management centre."""

from __future__ import annotations

import io
import zipfile
from datetime import timedelta
from functools import cache

from ca.bulk import Batch, ItemState
from ca.bulkcheck import BulkCheck
from ca.bulkconfig import BulkConfig
from ca.bulkissuing import BulkIssuing
from ca.bulkpackage import BulkPackages
from ca.bulkservice import BulkService
from ca.bulkworker import BulkWorker
from ca.contents import IssuanceRequest
from ca.dryrun import DryRun
from ca.operations import ReviewsOfProfiles
from ca.sqlbulk import SQLBulkStore
from ca.sqlrequests import SQLRequestStore
from keystore import keyref, pem, softkey
from keystore.algorithms import KeyAlgorithm
from keystore.holdersafe import HolderSafe
from keystore.package import open_package
from tests.unit.ca.conftest import Authority
from tests.unit.ca.pairs import key_management

CONFIG = BulkConfig(max_rows=200, keep_hours=24)


@cache
def recipient_key(algorithm: KeyAlgorithm) -> softkey.SoftKey:
    return softkey.generate(algorithm)


class BulkDesk:
    """Everything of bulk requests, on one database."""

    def __init__(self, authority: Authority, *, separate_approver: bool = False) -> None:
        self.authority = authority
        self.km = key_management(authority)
        self.store = SQLBulkStore(authority.database)
        self.safe = HolderSafe(authority.keystore, keyref.parse("memory:object=bulk-storage"))
        self.common = {
            "profiles": authority.profiles,
            "issuers": authority.issuers,
        }
        self.packages = BulkPackages(
            self.store,
            certificates=authority.store,
            pairs=self.km.pairs,
            safe=self.safe,
            **self.common,
        )
        self.ground = {
            "transactions": authority.database,
            "audit": authority.audit,
            "clock": authority.clock,
        }
        self.service = BulkService(
            self.store,
            packages=self.packages,
            safe=self.safe,
            reviews=ReviewsOfProfiles(authority.profiles),
            config=CONFIG,
            separate_approver=separate_approver,
            **self.common,
            **self.ground,
        )
        self.worker = self.new_worker()

    def new_worker(self) -> BulkWorker:
        authority = self.authority
        dry_run = DryRun(
            self.store,
            pairs=self.km.pairs,
            clock=authority.clock,
            **self.common,
        )
        check = BulkCheck(self.store, dry_run, accept_empty_sm2_id=False)
        rows = BulkIssuing(
            self.store,
            packages=self.packages,
            certificates=authority.store,
            requests=SQLRequestStore(authority.database),
            pairs=self.km.pairs,
            **self.common,
            **self.ground,
        )
        return BulkWorker(
            self.store, check=check, rows=rows, safe=self.safe, config=CONFIG, **self.ground
        )

    def upload(self, text: str | bytes, profile: str = "device", **changes) -> Batch:
        given = {
            "issuer": "sm2-issuing",
            "label": "people",
            "key_algorithm": None,
            "organisation": None,
            "actor": "alice",
        } | changes
        octets = text if isinstance(text, bytes) else text.encode()
        return self.service.upload(octets, profile=profile, **given)

    def recipient(self, algorithm: KeyAlgorithm = KeyAlgorithm.RSA_2048) -> bytes:
        profile = "device" if algorithm is not KeyAlgorithm.SM2 else "device-dual-encryption"
        wanted = IssuanceRequest(
            spki=recipient_key(algorithm).public_key,
            subject=(("CN", "recipient"),),
            requester="alice",
        )
        return self.authority.issue(wanted, profile=profile).der

    def issue(self, text: str | bytes, profile: str = "device", **changes) -> Batch:
        """Upload, check, submit, approve and issue."""
        batch = self.upload(text, profile, **changes)
        self.worker.run()
        assert not self.reasons(batch), self.reasons(batch)
        self.service.submit(batch.id, recipient=self.recipient(), actor="alice")
        self.service.approve(batch.id, actor="bob")
        self.worker.run()
        return self.service.get(batch.id)

    def counts(self, batch: Batch) -> dict[str, int]:
        return {str(state): n for state, n in self.store.count_items(batch.id).items()}

    def reasons(self, batch: Batch) -> dict[int, str | None]:
        bad = self.store.list_items(batch.id, (ItemState.BAD, ItemState.FAILED), limit=100)
        return {item.row: item.reason for item in bad}

    def files(self, package: bytes, algorithm: KeyAlgorithm) -> dict[str, bytes]:
        key = pem.encode(recipient_key(algorithm).pkcs8(), "PRIVATE KEY")
        with zipfile.ZipFile(
            io.BytesIO(open_package(package, private_key=key.decode()))
        ) as archive:
            return {name: archive.read(name) for name in archive.namelist()}

    def expire(self) -> None:
        self.authority.clock.advance(seconds=timedelta(hours=25).total_seconds())
