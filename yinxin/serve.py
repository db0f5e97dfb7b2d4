"""``yinxin serve``: from a state directory to listening sockets, and back."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from crl.ocsp.keeper import PULSE_FILE
from crl.ocsp.pulse import Pulse
from yinxin.hardening import refuse_core_dumps
from yinxin.processes import supervise
from yinxin.roles.ca import serve_authority
from yinxin.roles.km import serve_centre
from yinxin.roles.ocsp import serve_node
from yinxin.roles.ra import serve_desk
from yinxin.roles.say import say
from yinxin.server import bind
from yinxin.settings import Settings
from yinxin.state import HostRole, State, claim_role, hold, prepare_state
from yinxin.workers import serve_worker

_WITH_WORKERS = (HostRole.CA, HostRole.OCSP)
_ROLES = {
    HostRole.CA: serve_authority,
    HostRole.KM: serve_centre,
    HostRole.RA: serve_desk,
    HostRole.OCSP: serve_node,
}


def serve(settings: Settings, directory: Path, role: HostRole) -> None:
    """Serve until told to stop. Raises `Misconfigured` before anything listens."""
    os.umask(0o077)  # SQLite makes its files with the mode of the process
    refuse_core_dumps()
    state = prepare_state(directory)
    with hold(state):
        claim_role(state, role)
        if role in _WITH_WORKERS and settings.revocation.ocsp.workers:
            _serve_with_workers(settings, state, role)
        else:
            _ROLES[role](settings, state)
    say("Stopped.")


def _serve_with_workers(settings: Settings, state: State, role: HostRole) -> None:
    """Keep the service in one process, and answer OCSP in others."""
    # What a run before said of the log says nothing now, and workers look before the keeper does.
    Pulse(state.directory / PULSE_FILE).restart()
    host = settings.server
    acts: dict[str, Callable[[], None]] = {"keeper": lambda: _ROLES[role](settings, state)}
    for number in range(1, settings.revocation.ocsp.workers + 1):
        # Ours, so that who comes while a worker is started again waits instead of being refused.
        sock = bind(host.listen_address, host.http_port, shared=True)
        acts[f"worker {number}"] = partial(serve_worker, settings, state, sock, slot=number)
    supervise(acts)
