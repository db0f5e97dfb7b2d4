"""The state directory: made 0700, held by one process, understood or refused."""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from core.errors import Misconfigured
from keystore import files

PATIENCE_SECONDS: Final = 5.0
"""The processes of a service that was killed end a moment after it."""
_LOOK_SECONDS: Final = 0.05


class HostRole(StrEnum):
    """What a process is."""

    CA = "ca"
    """The authority; with its own key management centre unless that runs apart."""
    KM = "km"
    """A key management centre, for one authority."""
    RA = "ra"
    """A registration authority, for one authority."""
    OCSP = "ocsp"
    """An OCSP node, for one authority."""


@dataclass(frozen=True, slots=True)
class State:
    """Where one installation keeps what must survive a restart."""

    directory: Path

    @property
    def database_url(self) -> str:
        """The embedded default database."""
        return f"sqlite:///{self.directory / 'yinxin.sqlite3'}"

    @property
    def keystore_directory(self) -> Path:
        """Where the software keystore lives."""
        return self.directory / "keystore"

    @property
    def passphrase_file(self) -> Path:
        """Where the first start writes a passphrase when it is given none."""
        return self.directory / "passphrase"

    @property
    def trust_directory(self) -> Path:
        """The CA certificates in PEM, for people to copy."""
        return self.directory / "trust"

    @property
    def host_directory(self) -> Path:
        """The certificate of a host that is not the authority (`yinxin.host_identity`)."""
        return self.directory / "host"

    @property
    def role_file(self) -> Path:
        """Which role this state belongs to; absent before the first start."""
        return self.directory / "role"


def claim_role(state: State, role: HostRole) -> None:
    """Bind a new state directory to one role. Raises `Misconfigured` if it has another one."""
    present = role_of(state)
    if present is None:
        files.write_new(state.role_file, f"{role}\n".encode("ascii"))
    elif present is not role:
        raise Misconfigured(
            f"{state.directory} is the state of a {present}: serve it with --role {present}, "
            "or use another --state"
        )


def role_of(state: State) -> HostRole | None:
    """Return whose state this is; None for a new one. Raises `Misconfigured`."""
    try:
        word = state.role_file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        # Written before there were roles.
        return HostRole.CA if state.keystore_directory.is_dir() else None
    if word not in list(HostRole):
        raise Misconfigured(f"{state.role_file} names no role: {', '.join(HostRole)}")
    return HostRole(word)


def prepare_state(directory: Path) -> State:
    """Make the directory (0700) or check it. Raises `Misconfigured`."""
    directory = directory.absolute()
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = stat.S_IMODE(directory.stat().st_mode)
        if mode & 0o077:
            raise Misconfigured(
                f"{directory} can be read by others (mode {mode:04o}); run: chmod 700 {directory}"
            )
        probe = directory / f".probe-{secrets.token_hex(4)}"
        probe.touch(mode=0o600)
        probe.unlink()
    except OSError as error:
        raise Misconfigured(
            f"the state directory {directory} cannot be used: {error.strerror}"
        ) from error
    return State(directory)


@contextmanager
def hold(state: State) -> Iterator[None]:
    """Hold the directory for this process and those it forks.

    Raises `Misconfigured` when another one has it, and keeps it for `PATIENCE_SECONDS`.
    """
    descriptor = os.open(state.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    until = time.monotonic() + PATIENCE_SECONDS
    while not _lock(descriptor, state):
        if time.monotonic() > until:
            os.close(descriptor)
            raise Misconfigured(
                f"another yinxin serves from {state.directory}; stop it, or use another --state"
            )
        time.sleep(_LOOK_SECONDS)
    try:
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, state: State) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        os.close(descriptor)
        raise Misconfigured(f"{state.directory} cannot be locked: {error.strerror}") from error
    return True


def write_passphrase(state: State) -> None:
    """Write a random passphrase (256 bits, 0600) for the embedded default, never over another."""
    path = state.passphrase_file
    if path.exists():
        return
    temporary = path.with_name(f".passphrase-{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(32) + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
    parent = os.open(state.directory, os.O_RDONLY)
    os.fsync(parent)
    os.close(parent)
