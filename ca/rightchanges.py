"""Giving and taking rights, by several people where `control.right_change` asks for it.

Who receives a right has no part in its approval, and a business administrator's approval counts
only where they could give the right themselves.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from ca.operations import Operation
from ca.rights import Rights
from ca.rights_store import Grant, Step
from core.control import DualControl
from core.control_store import Act, Proposal
from core.errors import Forbidden
from core.identity import Principal, Role


class RightChanges:
    """Proposes changes of rights. With no approvals asked for, they happen at once."""

    def __init__(self, rights: Rights, *, control: DualControl) -> None:
        self._rights = rights
        self._control = control
        control.register(Act.RIGHT_CHANGE, self._execute, check=self._check)

    def grant(self, operator: str, organisation: str, grant: Grant, *, actor: str) -> Proposal:
        """Propose a right, whose id is in the parameters. Raises what `Rights.grant` would."""
        known = self._rights.check_grant(operator, organisation, grant, actor=actor)
        parameters = {
            "change": "grant",
            "right": secrets.token_hex(16),
            "operator": known,
            "organisation": organisation,
            "grant": _stored(grant),
        }
        words = ", ".join(f"{name} {value}" for name, value in grant.words().items())
        place = self._rights.describe(organisation)
        return self._propose(parameters, f"give {known} a right in {place}: {words}", actor)

    def revoke(self, right_id: str, *, actor: str) -> Proposal:
        """Propose to take a right away. Raises what `Rights.revoke` would."""
        right = self._rights.check_revoke(right_id, actor=actor)
        parameters = {
            "change": "revoke",
            "right": right_id,
            "operator": right.operator,
            "organisation": right.organisation,
            "grant": _stored(right.grant),
        }
        words = ", ".join(f"{name} {value}" for name, value in right.grant.words().items())
        place = self._rights.describe(right.organisation)
        summary = f"take from {right.operator} a right in {place}: {words}"
        return self._propose(parameters, summary, actor)

    def _propose(self, parameters: Mapping[str, Any], summary: str, actor: str) -> Proposal:
        return self._control.propose(Act.RIGHT_CHANGE, parameters, summary=summary, actor=actor)

    def _check(self, proposal: Proposal, actor: Principal) -> None:
        wanted = proposal.arguments()
        if actor.name == wanted["operator"]:
            raise Forbidden("nobody approves rights of their own: another person has to")
        if actor.role is Role.BUSINESS:
            grant = _grant(wanted["grant"])
            self._rights.require_manages(actor.name, wanted["organisation"], grant)

    def _execute(self, proposal: Proposal) -> str:
        wanted, actor = proposal.arguments(), proposal.requester
        operator, right_id = wanted["operator"], wanted["right"]
        if wanted["change"] == "revoke":
            self._rights.revoke(right_id, actor=actor)
            return f"took the right {right_id} from {operator}"
        grant = _grant(wanted["grant"])
        self._rights.grant(operator, wanted["organisation"], grant, actor=actor, right_id=right_id)
        return f"gave {operator} the right {right_id}"


def _stored(grant: Grant) -> dict[str, list[str] | None]:
    return {
        "profiles": None if grant.profiles is None else sorted(grant.profiles),
        "operations": None if grant.operations is None else sorted(grant.operations),
        "steps": sorted(grant.steps),
    }


def _grant(stored: Mapping[str, Any]) -> Grant:
    profiles, operations = stored["profiles"], stored["operations"]
    return Grant(
        None if profiles is None else frozenset(profiles),
        None if operations is None else frozenset(map(Operation, operations)),
        frozenset(map(Step, stored["steps"])),
    )
