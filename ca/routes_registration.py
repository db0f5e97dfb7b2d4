"""The API of the registration authority: organisations, subjects, rights, rules, statistics."""

from __future__ import annotations

from fastapi import APIRouter

from ca.organisations import Organisations
from ca.overview import Overviews
from ca.reviews import Reviews
from ca.rightchanges import RightChanges
from ca.rights import Rights
from ca.routes_organisations import add_organisation_routes
from ca.routes_reviews import add_review_routes
from ca.routes_rights import add_right_routes
from ca.routes_statistics import add_overview_route, add_statistics_routes
from ca.routes_subjects import add_subject_routes
from ca.statistics import StatisticsSource
from ca.subjects import Subjects
from core.clock import Clock


def make_registration_router(
    organisations: Organisations,
    subjects: Subjects,
    *,
    rights: Rights,
    changes: RightChanges,
    reviews: Reviews,
    statistics: StatisticsSource,
    overviews: Overviews,
    clock: Clock,
) -> APIRouter:
    """Serve organisations, subjects, rights, review rules and statistics."""
    router = APIRouter(prefix="/api/v1")
    add_organisation_routes(router, organisations, rights)
    add_subject_routes(router, subjects, rights)
    add_right_routes(router, rights, changes)
    add_review_routes(router, reviews, rights)
    add_statistics_routes(router, statistics, organisations, rights, clock=clock)
    add_overview_route(router, overviews, rights)
    return router
