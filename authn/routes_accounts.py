"""HTTP for accounts: affiliations, verified names, who may enter what (role: system)."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from authn.access import MOST_RULES, AccessPolicy, AccessRule, Refusal
from authn.accounts import AccountKind, Affiliation, Capacity
from authn.admission import Admission
from authn.levels import level_of_word
from authn.oidc.clients import Clients
from authn.people import Person, RealName
from authn.store import User
from authn.trial import Trial, Trials
from authn.users import Users
from core.errors import NotFound
from core.http import require_role
from core.identity import Principal, Role

System = Annotated[Principal, Depends(require_role(Role.SYSTEM))]
Watcher = Annotated[Principal, Depends(require_role(Role.SYSTEM, Role.AUDIT))]
LevelWord = Literal["password", "two-factors", "certificate", "hardware-key"]


class _In(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NewAffiliation(_In):
    """A person at an organisation."""

    organisation: str = Field(pattern=r"^[0-9a-f]{32}$")
    capacity: Capacity
    ends_at: AwareDatetime | None = None


class AffiliationView(BaseModel):
    """An affiliation in force."""

    id: str
    user_id: str
    organisation: str
    capacity: Capacity
    created_at: datetime
    ends_at: datetime | None

    @classmethod
    def of(cls, one: Affiliation) -> Self:
        return cls(
            id=one.id,
            user_id=one.user_id,
            organisation=one.organisation,
            capacity=one.capacity,
            created_at=one.created_at,
            ends_at=one.ends_at,
        )


class Verification(_In):
    """How well somebody verified a person's name."""

    level: RealName
    identity_card: str | None = Field(default=None, min_length=18, max_length=18)


class PersonView(BaseModel):
    """What is known about a person; never the number."""

    user_id: str
    level: RealName
    verified_at: datetime
    verified_by: str
    identity_type: str | None

    @classmethod
    def of(cls, person: Person) -> Self:
        return cls(
            user_id=person.user_id,
            level=person.real_name_level,
            verified_at=person.verified_at,
            verified_by=person.verified_by,
            identity_type=person.identity_type,
        )


class RuleBody(_In):
    """Lets people of a branch in."""

    organisation: str = Field(pattern=r"^[0-9a-f]{32}$")
    capacity: Capacity | None = None


class AccessBody(_In):
    """What an application asks of who enters it."""

    least_level: LevelWord = "password"
    account: AccountKind | None = None
    least_real_name: RealName = RealName.NONE
    rules: tuple[RuleBody, ...] = Field(default=(), max_length=MOST_RULES)
    consent: bool = False

    def policy(self) -> AccessPolicy:
        """Return it as the domain has it."""
        return AccessPolicy(
            least_level=level_of_word(self.least_level),
            account=self.account,
            least_real_name=self.least_real_name,
            rules=tuple(AccessRule(one.organisation, one.capacity) for one in self.rules),
            consent=self.consent,
        )

    @classmethod
    def of(cls, policy: AccessPolicy) -> Self:
        return cls.model_validate(
            {
                "least_level": policy.least_level.word,
                "account": policy.account,
                "least_real_name": policy.least_real_name,
                "rules": [
                    {"organisation": one.organisation, "capacity": one.capacity}
                    for one in policy.rules
                ],
                "consent": policy.consent,
            }
        )


class VerdictView(BaseModel):
    """What an application says to a person, for themselves or for an organisation."""

    affiliation: AffiliationView | None
    refusal: Refusal | None
    """Why they may not enter; none: they may."""


class TrialView(BaseModel):
    """What would become of a login."""

    user_id: str
    name: str
    display_name: str
    disabled: bool
    """Then they cannot log in anywhere."""
    least_level: LevelWord
    reachable_level: LevelWord
    """The strongest login they could come to, with what they have enrolled."""
    consent: bool
    verdicts: list[VerdictView]

    @classmethod
    def of(cls, user: User, trial: Trial) -> Self:
        return cls.model_validate(
            {
                "user_id": user.id,
                "name": user.name,
                "display_name": user.display_name,
                "disabled": user.disabled,
                "least_level": trial.policy.least_level.word,
                "reachable_level": trial.reachable.word,
                "consent": trial.policy.consent,
                "verdicts": [
                    {
                        "affiliation": one.affiliation and AffiliationView.of(one.affiliation),
                        "refusal": one.refusal,
                    }
                    for one in trial.verdicts
                ],
            }
        )


def make_account_api(
    admission: Admission, users: Users, clients: Clients, trials: Trials
) -> APIRouter:
    """Serve affiliations, verified names, access policies and logins on trial."""
    router = APIRouter(prefix="/api/v1", tags=["accounts"])

    @router.post("/users/{user_id}/affiliations", status_code=HTTPStatus.CREATED)
    def affiliate(user_id: str, body: NewAffiliation, asking: System) -> AffiliationView:
        """Tie a person to an organisation; with some capacities they may act for it."""
        made = admission.accounts.add(
            users.get(user_id),
            body.organisation,
            body.capacity,
            ends_at=body.ends_at,
            actor=asking.name,
        )
        return AffiliationView.of(made)

    @router.get("/users/{user_id}/affiliations")
    def list_affiliations(user_id: str, _asking: Watcher) -> list[AffiliationView]:
        """List what a person is at which organisations."""
        return [AffiliationView.of(one) for one in admission.accounts.list_of(users.get(user_id))]

    @router.delete("/affiliations/{affiliation_id}", status_code=HTTPStatus.NO_CONTENT)
    def remove(affiliation_id: str, asking: System) -> None:
        """Untie a person; sessions that act in the name of the organisation end."""
        admission.accounts.remove(affiliation_id, actor=asking.name)

    @router.put("/users/{user_id}/real-name")
    def verify(user_id: str, body: Verification, asking: System) -> PersonView:
        """Say how well a person's name was verified, and by which identity card."""
        person = admission.people.verify(
            users.get(user_id), body.level, identity_card=body.identity_card, actor=asking.name
        )
        return PersonView.of(person)

    @router.get("/clients/{client_id}/access")
    def access(client_id: str, _asking: Watcher) -> AccessBody:
        """Show who may enter an application."""
        return AccessBody.of(admission.access.policy(clients.get(client_id).id))

    @router.put("/clients/{client_id}/access")
    def change(client_id: str, body: AccessBody, asking: System) -> AccessBody:
        """Say who may enter an application; it counts from the next time somebody does."""
        client = clients.get(client_id)
        admission.access.change(client.id, body.policy(), actor=asking.name)
        return AccessBody.of(admission.access.policy(client.id))

    @router.get("/clients/{client_id}/trial")
    def trial(
        client_id: str,
        user: Annotated[str, Query(min_length=1, max_length=64)],
        _asking: Watcher,
    ) -> TrialView:
        """Say whether a person, by their user name, could enter an application now, and why not."""
        client, found = clients.get(client_id), users.find_by_name(user)
        if found is None:
            raise NotFound("there is no user of this name")
        return TrialView.of(found, trials.of(client.id, found))

    return router
