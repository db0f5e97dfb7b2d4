"""``yinxin serve``: from a state directory to listening sockets, and back."""

from __future__ import annotations

import os
from pathlib import Path

from yinxin.hardening import refuse_core_dumps
from yinxin.roles.ca import serve_authority
from yinxin.roles.km import serve_centre
from yinxin.roles.ra import serve_desk
from yinxin.roles.say import say
from yinxin.settings import Settings
from yinxin.state import HostRole, claim_role, hold, prepare_state

_ROLES = {HostRole.CA: serve_authority, HostRole.KM: serve_centre, HostRole.RA: serve_desk}


def serve(settings: Settings, directory: Path, role: HostRole) -> None:
    """Serve until told to stop. Raises `Misconfigured` before anything listens."""
    os.umask(0o077)  # SQLite makes its files with the mode of the process
    refuse_core_dumps()
    state = prepare_state(directory)
    with hold(state):
        claim_role(state, role)
        _ROLES[role](settings, state)
    say("Stopped.")
