"""HTTP for review rules: set, remove, list."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter

from ca.operations import Review
from ca.reviews import Reviews
from ca.rights import Rights
from ca.schemas_organisations import NewReviewRule, ReviewRuleView
from ca.wire import Reader, Writer, problems, scope_of


def add_review_routes(router: APIRouter, reviews: Reviews, rights: Rights) -> None:
    """Add ``/review-rules`` to `router`."""

    @router.get(
        "/review-rules",
        tags=["rights"],
        summary="List review rules, oldest first",
        responses=problems(),
    )
    def list_rules(asking: Reader) -> list[ReviewRuleView]:
        found = reviews.list_rules(scope=scope_of(asking, rights))
        return [ReviewRuleView.of(rule) for rule in found]

    @router.post(
        "/review-rules",
        tags=["rights"],
        summary="Say whether an operation needs a review, in a subtree",
        description="It takes the place of the rule for the same operation, profile and "
        "organisation. Fewer steps than are in force take the right over the whole tree.",
        status_code=HTTPStatus.CREATED,
        responses=problems(404, 503),
    )
    def set_rule(asking: Writer, body: NewReviewRule) -> ReviewRuleView:
        rule = reviews.set_rule(
            body.operation,
            body.profile,
            body.organisation,
            Review(body.review, body.make),
            actor=asking.name,
        )
        return ReviewRuleView.of(rule)

    @router.delete(
        "/review-rules/{rule_id}",
        tags=["rights"],
        summary="Remove a review rule",
        status_code=HTTPStatus.NO_CONTENT,
        responses=problems(404, 503),
    )
    def remove_rule(asking: Writer, rule_id: str) -> None:
        reviews.remove_rule(rule_id, actor=asking.name)
