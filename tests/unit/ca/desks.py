"""The registration desks of the small authority, put together as the service does it."""

from __future__ import annotations

from authn.config import LoginConfig
from ca.config import CAConfig
from ca.operations import ReviewRules, ReviewsOfProfiles
from ca.revocation import RevocationService
from tests.unit.ca.conftest import URL, Authority
from tests.unit.ca.pairs import key_management
from yinxin.key_management import KeyManagement
from yinxin.operations import Operations


def operations(
    authority: Authority,
    reviews: ReviewRules | None = None,
    km: KeyManagement | None = None,
    **settings,
) -> Operations:
    direct = authority.profiles["device"].model_copy(
        update={"name": "direct", "needs_approval": False}
    )
    profiles = authority.profiles | {"direct": direct}
    return Operations.assemble(
        CAConfig(revocation_url=URL, **settings),
        LoginConfig(),
        authority.database,
        profiles=profiles,
        issuers=authority.issuers,
        every_issuer=authority.issuers,
        certificates=authority.store,
        pairs=(km or key_management(authority)).pairs,
        revocation=RevocationService(**authority.services),
        reviews=reviews or ReviewsOfProfiles(profiles),
        blocked_keys=frozenset(),
        audit=authority.audit,
        clock=authority.clock,
    )
