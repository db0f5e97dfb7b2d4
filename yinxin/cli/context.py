"""What every command gets: where the state is, and the settings, read once."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import click

from core.errors import Misconfigured, Refused
from yinxin.settings import Settings, load_settings
from yinxin.state import HostRole, State, role_of

if TYPE_CHECKING:
    from keystore.registry import KeyStore
    from yinxin.wiring import Ground, Service


@dataclass
class Invocation:
    """One call of the command line."""

    state: str
    config_file: str | None

    @property
    def directory(self) -> Path:
        """The state directory, as given."""
        return Path(self.state)

    @cached_property
    def settings(self) -> Settings:
        """File and environment."""
        if self.config_file is not None:
            return load_settings(Path(self.config_file))
        beside = self.directory / "yinxin.toml"
        return load_settings(beside if beside.is_file() else None)

    @contextmanager
    def ground(self) -> Iterator[Ground]:
        """Open an initialised state directory for a command that needs no private key."""
        from yinxin.wiring import open_ground  # noqa: PLC0415 - most commands do without

        self._require_state()
        ground = open_ground(self.settings, State(self.directory.absolute()))
        try:
            yield ground
        finally:
            ground.close()

    @contextmanager
    def keystore(self) -> Iterator[KeyStore]:
        """Open the keys of an initialised state directory, whatever its role."""
        from yinxin.keys import open_keys  # noqa: PLC0415 - most commands do without

        self._require_state()
        keystore = open_keys(self.settings, State(self.directory.absolute()))
        try:
            yield keystore
        finally:
            keystore.close()

    @property
    def has_state(self) -> bool:
        """Whether there are keys, here or where the settings have them."""
        own = State(self.directory).keystore_directory
        return (self.settings.keystore.directory or own).is_dir()

    def _require_state(self) -> None:
        if not self.has_state:
            raise Misconfigured(
                f"{self.directory} holds no state yet; `yinxin serve` makes it on first start"
            )

    @contextmanager
    def service(self) -> Iterator[Service]:
        """Open an authority's state directory for a command that needs what it is made of."""
        from yinxin.wiring import open_service  # noqa: PLC0415 - most commands do without

        role = role_of(State(self.directory.absolute()))
        if role not in (HostRole.CA, None):
            raise Refused(f"{self.directory} is the state of a {role}: this is for an authority")
        with self.ground() as ground:
            service = open_service(ground)
            try:
                yield service
            finally:
                service.keystore.close()


local = click.make_pass_decorator(Invocation)
"""For a command that opens the state directory."""


def actor() -> str:
    """Return whom the audit log names for a local command: who is at the keyboard."""
    return f"local:{getpass.getuser()}"
