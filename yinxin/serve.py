"""``yinxin serve``: from a state directory to listening sockets, and back."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from core.clock import SystemClock
from core.errors import Misconfigured
from core.observe import configure_logging
from crl.ocsp.keeper import PULSE_FILE
from crl.ocsp.pulse import Pulse
from yinxin.hardening import refuse_core_dumps
from yinxin.metrics import METRICS_DIRECTORY, begin_sharing, share_metrics
from yinxin.processes import supervise
from yinxin.roles.ca import serve_authority
from yinxin.roles.further import serve_further
from yinxin.roles.km import serve_centre
from yinxin.roles.ocsp import serve_node
from yinxin.roles.ra import serve_desk
from yinxin.roles.say import say
from yinxin.server import bind
from yinxin.settings import Settings
from yinxin.siblings import open_siblings
from yinxin.state import HostRole, State, claim_role, hold, prepare_state
from yinxin.workers import serve_worker

Act = Callable[[], None]

_FIRST = "process 1"
_WITH_WORKERS = (HostRole.CA, HostRole.OCSP)
_BESIDE = {
    HostRole.KM: serve_centre,
    HostRole.RA: serve_desk,
    HostRole.OCSP: serve_node,
}


def serve(settings: Settings, directory: Path, role: HostRole) -> None:
    """Serve until told to stop. Raises `Misconfigured` before anything listens."""
    os.umask(0o077)  # SQLite makes its files with the mode of the process
    refuse_core_dumps()
    state = prepare_state(directory)
    with hold(state), ExitStack() as stack:
        claim_role(state, role)
        acts = dict(_acts(settings, state, role, stack))
        if len(acts) == 1:
            acts[_FIRST]()
        else:
            configure_logging(settings.log.level, clock=SystemClock())
            supervise(acts)
    say("Stopped.")


def _acts(
    settings: Settings, state: State, role: HostRole, stack: ExitStack
) -> Iterator[tuple[str, Act]]:
    """Name what each process of the service does."""
    processes, workers = settings.server.processes, settings.revocation.ocsp.workers
    if role is not HostRole.CA:
        if processes > 1:
            raise Misconfigured(f"server.processes is for the authority: leave it out at a {role}")
        yield _FIRST, lambda: _BESIDE[role](settings, state)
    else:
        siblings = stack.enter_context(open_siblings(settings))
        acts = [
            partial(serve_authority, settings, state, siblings),
            *(partial(serve_further, settings, state, siblings, at) for at in range(1, processes)),
        ]
        yield from _counted(acts, state) if processes > 1 else ((_FIRST, acts[0]),)
    if role in _WITH_WORKERS:
        yield from _workers(settings, state, workers)


def _counted(acts: Sequence[Act], state: State) -> Iterator[tuple[str, Act]]:
    """Name the processes that answer https, and have each count where all of them are added up."""
    directory = state.directory / METRICS_DIRECTORY
    begin_sharing(directory)

    def run(act: Act, place: str) -> None:
        share_metrics(directory, place)
        act()

    for number, act in enumerate(acts, 1):
        yield f"process {number}", partial(run, act, f"process-{number}")


def _workers(settings: Settings, state: State, workers: int) -> Iterator[tuple[str, Act]]:
    """Name the processes that answer OCSP for the first."""
    if workers:
        # What a run before said of the log says nothing now, and workers look before the keeper.
        Pulse(state.directory / PULSE_FILE).restart()
    host = settings.server
    for number in range(1, workers + 1):
        # Ours, so that who comes while a worker is started again waits instead of being refused.
        sock = bind(host.listen_address, host.http_port, shared=True)
        yield f"worker {number}", partial(serve_worker, settings, state, sock, slot=number)
