"""The tree of organisations for `authn`: its question, answered from `ca`."""

from __future__ import annotations

from typing_extensions import override

from authn.accounts import Directory, OrganisationEntry
from ca.codes import check_identity_card
from ca.organisations import Organisations
from core.errors import Malformed, NotFound


class OurDirectory(Directory):
    """Looks organisations up."""

    def __init__(self, organisations: Organisations) -> None:
        self._organisations = organisations

    @override
    def find(self, organisation_id: str) -> OrganisationEntry | None:
        try:
            found = self._organisations.get(organisation_id)
        except (NotFound, Malformed):
            return None
        if found.closed_at is not None:
            return None
        return OrganisationEntry(found.id, found.name, found.code)

    @override
    def above(self, organisation_id: str) -> frozenset[str]:
        return frozenset(one.id for one in self._organisations.path(organisation_id))

    @override
    def check_identity_card(self, number: str) -> str:
        return check_identity_card(number)
