"""Bulk requests at a registration authority, put together."""

from __future__ import annotations

from collections.abc import Mapping

from ca.bulkservice import BulkService
from ca.bulkworker import BulkWorker
from ca.deskbulk import DeskRows, EveryIssuer, EveryReview
from ca.deskbulkcheck import DeskBulkCheck
from ca.deskbulkpackage import DeskPackages
from ca.pickup import PickupOffers
from ca.profiles import CertificateProfile
from ca.sqlbulk import SQLBulkStore
from ca.sqldesk import SQLDeskStore
from keystore import keyref
from keystore.holdersafe import HolderSafe
from keystore.registry import KeyStore
from yinxin.bulk import Bulk
from yinxin.wiring import Ground


def assemble_desk_bulk(
    ground: Ground,
    keystore: KeyStore,
    *,
    pickups: PickupOffers,
    profiles: Mapping[str, CertificateProfile],
) -> Bulk:
    """Put it together over the tables of the desk."""
    settings, database = ground.settings, ground.database
    store, acts = SQLBulkStore(database), SQLDeskStore(database)
    safe = HolderSafe(keystore, keyref.parse(settings.bulk.storage_key))
    service = BulkService(
        store,
        profiles=profiles,
        issuers=EveryIssuer(),
        packages=DeskPackages(store, acts, pickups=pickups, transactions=database),
        safe=safe,
        reviews=EveryReview(),
        config=settings.bulk,
        separate_approver=settings.ca.separate_approver,
        transactions=database,
        audit=ground.audit,
        clock=ground.clock,
    )
    worker = BulkWorker(
        store,
        check=DeskBulkCheck(
            store,
            acts,
            profiles=profiles,
            accept_empty_sm2_id=settings.ca.accept_empty_sm2_id,
            clock=ground.clock,
        ),
        rows=DeskRows(store, acts, transactions=database, audit=ground.audit, clock=ground.clock),
        safe=safe,
        config=settings.bulk,
        transactions=database,
        audit=ground.audit,
        clock=ground.clock,
    )
    return Bulk(service, worker)
