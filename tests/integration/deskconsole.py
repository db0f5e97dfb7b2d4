"""The console of a registration authority apart, in one process, with an authority that answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ca.acts import Act, Branch, Outcome, OutcomeState, Place
from ca.organisations_store import Level
from tests import databases
from tests.integration.console import one_loop
from yinxin.deskservice import DeskService
from yinxin.first_start import ensure_administrators
from yinxin.keys import open_keys
from yinxin.roles.ra import make_operators_app
from yinxin.settings import load_settings
from yinxin.state import prepare_state
from yinxin.wiring import open_ground

CITY, OFFICE = "c" * 32, "d" * 32
ISSUED = "0" * 38 + "1a"


@contextmanager
def desk_installation(directory: Path, name: str = "宁波市") -> Iterator[tuple[DeskService, Any]]:
    """A first start, its branch, and its application. `name`: of the branch."""
    databases.lay_tables(directory / "var")
    settings, state = load_settings(None), prepare_state(directory / "var")
    ground = open_ground(settings, state)
    keystore = open_keys(settings, state)
    service = DeskService.open(ground, keystore)
    ensure_administrators(ground.administration)
    service.follow(
        Branch(
            places=(
                _place(CITY, None, Level.CITY, name),
                _place(OFFICE, CITY, Level.DEPARTMENT, f"{name}: {name}"),
            )
        )
    )
    with one_loop():
        yield service, make_operators_app(service)
    service.provider.outbound.close()
    keystore.close()
    ground.close()


def _place(place_id: str, parent: str | None, level: Level, name: str) -> Place:
    return Place(id=place_id, parent=parent, level=level, name=name, code=None, closed=False)


def answer(service: DeskService, chain: str, *, refused: str | None = None) -> list[Act]:
    """Answer everything in the outbox, as the authority does; return what was in it."""
    acts = list(service.desk.outbox(limit=100))
    for act in acts:
        done = {"issuer": "sm2-issuing", "serial": ISSUED, "chain": chain}
        service.desk.answered(
            Outcome(id=act.id, state=OutcomeState.REFUSED, detail=refused)
            if refused
            else Outcome(id=act.id, state=OutcomeState.DONE, **(done if act.request else {}))
        )
    return acts
