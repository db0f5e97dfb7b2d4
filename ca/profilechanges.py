"""Changing what kinds of certificates contain, by several people where the settings ask for it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from ca.liveprofiles import LiveProfiles, ProfileStore, ProfileVersion
from ca.profiles import CertificateProfile, check_pairs, parse_profile
from core.audit import AuditLog, Detail
from core.clock import Clock
from core.control import MAX_SUMMARY, DualControl
from core.control_store import Act, Proposal
from core.errors import Conflict, Malformed, Misconfigured, Refused

MAX_PROFILES: Final = 10
MAX_TEXT: Final = 20_000


class ProfileChanges:
    """Proposes and stores versions of profiles."""

    def __init__(
        self,
        profiles: LiveProfiles,
        store: ProfileStore,
        *,
        control: DualControl,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._profiles = profiles
        self._store = store
        self._control = control
        self._audit = audit
        self._clock = clock
        control.register(Act.PROFILE_CHANGE, self._execute)

    def propose(self, texts: Sequence[str], *, actor: str) -> Proposal:
        """Propose profiles in TOML, together; the summary shows what differs from those in force.

        Raises `Refused` for profiles that the service could not start with, and `Conflict` when
        nothing differs.
        """
        if not 1 <= len(texts) <= MAX_PROFILES or max(map(len, texts)) > MAX_TEXT:
            raise Malformed(f"1 to {MAX_PROFILES} profiles of at most {MAX_TEXT} characters")
        wanted = self._validated(texts)
        differences = [
            line for name, (profile, _) in wanted.items() for line in self._diff(name, profile)
        ]
        if not differences:
            raise Conflict("these profiles are in force already")
        summary = "\n".join((f"change {', '.join(wanted)}", *differences))
        if len(summary) > MAX_SUMMARY:
            summary = summary[: MAX_SUMMARY - 40] + "\n… see the parameters for the rest"
        parameters = {
            "profiles": {name: text for name, (_, text) in wanted.items()},
            "base": {name: self._profiles.version_of(name) for name in wanted},
        }
        proposal = self._control.propose(
            Act.PROFILE_CHANGE, parameters, summary=summary, actor=actor
        )
        self._profiles.forget_time()
        return proposal

    def list_versions(self, name: str) -> Sequence[ProfileVersion]:
        """Return every version of a profile that was decided, oldest first."""
        return self._store.list_profile_versions(name=name)

    def _execute(self, proposal: Proposal) -> str:
        wanted = proposal.arguments()
        for name, number in wanted["base"].items():
            stored = self._store.list_profile_versions(name=name)
            if (stored[-1].number if stored else 0) != number:
                raise Conflict(f"profile {name} was changed since this was proposed: propose again")
        self._validated(list(wanted["profiles"].values()))
        for name, text in wanted["profiles"].items():
            self._store.add_profile_version(
                ProfileVersion(0, name, text, proposal.id, proposal.requester, self._clock.now())
            )
            detail: Detail = {"profile": name, "proposal": proposal.id}
            self._audit.record("profile.changed", actor=proposal.requester, detail=detail)
        self._profiles.forget_time()
        return f"changed {', '.join(wanted['profiles'])}"

    def _validated(self, texts: Sequence[str]) -> dict[str, tuple[CertificateProfile, str]]:
        """Return the profiles by name, checked with all the others. Raises `Refused`."""
        found: dict[str, tuple[CertificateProfile, str]] = {}
        try:
            for number, text in enumerate(texts, start=1):
                profile = parse_profile(text, source=f"profile {number}")
                if profile.name in found:
                    raise Refused(f"profile {profile.name} is there twice")
                found[profile.name] = (profile, text)
            check_pairs({**self._profiles, **{name: one for name, (one, _) in found.items()}})
        except Misconfigured as error:
            raise Refused(str(error)) from error
        return found

    def _diff(self, name: str, profile: CertificateProfile) -> Iterable[str]:
        present = self._profiles.get(name)
        if present is None:
            yield f"  new profile {name}"
        old = {} if present is None else _flat(present.model_dump(mode="json"))
        new = _flat(profile.model_dump(mode="json"))
        for key in sorted(old.keys() | new.keys()):
            if old.get(key) != new.get(key):
                if key in old:
                    yield f"- {name}.{key} = {old[key]}"
                if key in new and (present is not None or new[key] not in {"null", "[]", "{}"}):
                    yield f"+ {name}.{key} = {new[key]}"


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in tree.items():
        path = f"{prefix}{key}"
        if isinstance(value, dict) and value:
            found |= _flat(value, f"{path}.")
        else:
            found[path] = json.dumps(value, ensure_ascii=False)
    return found
