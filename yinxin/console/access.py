"""Who may enter an application: level, account, real name, organisations, consent."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request, Response

from authn.access import MOST_RULES
from authn.accounts import AccountKind, Capacity
from authn.levels import LEVEL_WORDS
from authn.people import RealName
from core.identity import Role
from yinxin.console.api import ConsoleAPI, path_of
from yinxin.console.clients import TEXTS
from yinxin.console.forms import Form, Posted
from yinxin.console.pages import ConsolePages, see_other
from yinxin.console.places import places_for
from yinxin.console.session import Asking

_SECTION: Final = "clients"
_BLANK: Final = 3
"""Empty lines of rules on the form."""
_MOST: Final = MOST_RULES + _BLANK


def add_access(router: APIRouter, pages: ConsolePages, api: ConsoleAPI) -> None:
    """Add the page of an application's policy."""

    @router.get("/clients/{client_id}/access")
    async def show(asking: Asking, request: Request, client_id: str) -> Response:
        client = await api.get(asking, path_of("clients", client_id))
        policy = await api.get(asking, path_of("clients", client_id, "access"))
        places = await places_for(api, request, (one["organisation"] for one in policy["rules"]))
        return pages.page(
            "access.html",
            request,
            section=_SECTION,
            texts=TEXTS,
            client=client,
            policy=policy,
            blank=_BLANK,
            levels=LEVEL_WORDS,
            accounts=[str(one) for one in AccountKind],
            real_names=[int(one) for one in RealName],
            capacities=[str(one) for one in Capacity],
            places=places,
            acts=asking.role is Role.SYSTEM,
            here_path=f"/console/clients/{client_id}",
        )

    @router.post("/clients/{client_id}/access")
    async def change(asking: Asking, client_id: str, form: Form) -> Response:
        path = path_of("clients", client_id, "access")
        await api.ask(asking, "PUT", path, body=_policy(form))
        return see_other(f"/console/clients/{client_id}/access?done=1")


def _policy(form: Posted) -> dict[str, Any]:
    # By number: what is left empty is not sent on, and a column of capacities would lose its place.
    given = dict(form.fields)
    lines = [
        (given.get(f"organisation-{at}"), given.get(f"capacity-{at}")) for at in range(1, _MOST + 1)
    ]
    lines += [(one, form["capacity-several"]) for one in form.all("several")]
    return {
        "least_level": form["least_level"],
        "account": form["account"] or None,
        "least_real_name": form.number("least_real_name") or 0,
        "consent": form["consent"] == "on",
        "rules": [
            {"organisation": organisation, "capacity": capacity or None}
            for organisation, capacity in dict.fromkeys(lines)
            if organisation
        ],
    }
