"""The certificate profiles in force: those of files, and above them versions in the database.

A version that another process stored is in force here within a second, without a restart.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from typing_extensions import override

from ca.profiles import CertificateProfile, check_pairs, parse_profile
from core.clock import Clock


@dataclass(frozen=True, slots=True)
class ProfileVersion:
    """One profile as it was decided; the newest of its name is in force."""

    number: int
    """Grows with every version of any profile; 0: not stored yet."""
    name: str
    text: str
    """TOML."""
    proposal: str
    actor: str
    at: datetime


class ProfileStore(Protocol):
    """Remembers every version for ever."""

    def add_profile_version(self, version: ProfileVersion) -> None: ...

    def stamp_of_profiles(self) -> tuple[int, int]:
        """Return what changes with every version: how many there are, and the largest number."""
        ...

    def list_profile_versions(self, *, name: str | None = None) -> Sequence[ProfileVersion]:
        """Return versions, in order."""
        ...


class LiveProfiles(Mapping[str, CertificateProfile]):
    """The profiles in force, by name. Asking costs a query at most once a second."""

    def __init__(
        self, files: Mapping[str, CertificateProfile], store: ProfileStore, *, clock: Clock
    ) -> None:
        self._files = dict(files)
        self._profiles = self._files
        self._versions: dict[str, int] = {}
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._stamp = (0, 0)
        self._read_at: datetime | None = None

    @override
    def __getitem__(self, name: str) -> CertificateProfile:
        return self._present()[name]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._present())

    @override
    def __len__(self) -> int:
        return len(self._present())

    def version_of(self, name: str) -> int:
        """Return the number of the version in force; 0: the one of a file, or none."""
        self._present()
        return self._versions.get(name, 0)

    def forget_time(self) -> None:
        """Look again at the next question: this process has just stored a version."""
        with self._lock:
            self._read_at = None

    def _present(self) -> dict[str, CertificateProfile]:
        now = self._clock.now()
        with self._lock:
            if now != self._read_at:
                self._read()
                self._read_at = now
            return self._profiles

    def _read(self) -> None:
        """Raises `Misconfigured` for a version that this release does not understand."""
        stamp = self._store.stamp_of_profiles()
        if stamp == self._stamp:
            return
        versions = self._store.list_profile_versions()
        found = dict(self._files)
        for version in versions:
            source = f"version {version.number} of profile {version.name}"
            found[version.name] = parse_profile(version.text, source=source)
        check_pairs(found)
        self._profiles = found
        self._versions = {version.name: version.number for version in versions}
        self._stamp = stamp
