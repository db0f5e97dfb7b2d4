"""The administrators' API of the authority, under /api/v1."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends

from ca.belonging import belonging_of
from ca.config import CAConfig
from ca.delivery import PairDelivery
from ca.desks import Desks
from ca.dual import PairService
from ca.enrollment import EnrollmentService
from ca.issuer import Issuer
from ca.organisations import Organisations
from ca.rights import Rights
from ca.routes_access import Access
from ca.routes_certificates import add_certificate_routes
from ca.routes_changes import add_replacement_routes, add_status_routes
from ca.routes_history import add_history_routes
from ca.routes_holder import add_holder_routes
from ca.routes_pairs import add_pair_routes
from ca.routes_pickup import add_pickup_routes
from ca.routes_requests import add_request_routes
from ca.schemas import IssuerView, ProfileView
from ca.store import CertificateStore
from ca.subjects import Subjects
from core.clock import Clock
from core.http import require_role
from core.identity import Principal, Role

Anyone = Annotated[Principal, Depends(require_role(Role.SYSTEM, Role.BUSINESS, Role.AUDIT))]


def make_router(
    enrollment: EnrollmentService,
    certificates: CertificateStore,
    pairs: PairService,
    desks: Desks,
    issuers: Mapping[str, Issuer],
    *,
    organisations: Organisations,
    subjects: Subjects,
    rights: Rights,
    config: CAConfig,
    clock: Clock,
) -> APIRouter:
    """Serve requests, pairs, certificates, issuers and profiles."""
    router = APIRouter(prefix="/api/v1")
    access = Access(rights, enrollment, certificates, subjects)
    add_request_routes(router, enrollment, access, accept_empty_sm2_id=config.accept_empty_sm2_id)
    # Every generation: a pair may have been issued by an earlier one.
    delivery = PairDelivery(pairs, profiles=enrollment.profiles, issuers=issuers)
    add_pair_routes(router, pairs, delivery, access)
    add_status_routes(router, desks.statuses, access)
    add_replacement_routes(
        router, desks.replacements, access, accept_empty_sm2_id=config.accept_empty_sm2_id
    )
    add_history_routes(router, desks.history, access)
    add_holder_routes(router, desks.holders, desks.deliveries)
    add_certificate_routes(
        router,
        certificates,
        issuers,
        access,
        belonging=partial(belonging_of, organisations=organisations, subjects=subjects),
        clock=clock,
    )
    add_pickup_routes(router, desks, enrollment, access)

    @router.get("/issuers", tags=["issuers"], summary="List the issuers")
    def list_issuers(_: Anyone) -> list[IssuerView]:
        return [IssuerView.of(issuer) for issuer in issuers.values()]

    @router.get("/profiles", tags=["issuers"], summary="List the profiles that can be asked for")
    def list_profiles(_: Anyone) -> list[ProfileView]:
        return [ProfileView.of(p) for p in enrollment.profiles.values() if p.requestable]

    return router
