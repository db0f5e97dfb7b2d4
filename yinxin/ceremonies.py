"""Ceremonies as people hold them: files beside one another, approvals, a signed transcript.

Beside ``root.toml`` lie ``root.toml.lock`` (what was drawn), ``root.toml.pem`` (what came of it)
and ``root.toml.transcript`` (who did what, signed by the audit key).
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from cryptography import x509

from ca.ceremony import Act, Ceremony, Lock, parse_ceremony, parse_lock
from ca.ceremony_plan import (
    MAX_OTHER_OCTETS,
    CASubject,
    Plan,
    hashes_of,
    read_certificate,
    read_other_ca,
)
from ca.ceremony_run import Ceremonies, Made
from ca.outside import OutsideCAs
from ca.transcript import MAX_OCTETS, Verified, verify_transcript, write_transcript
from core.control_store import Act as ControlledAct
from core.control_store import Proposal
from core.errors import Conflict, Forbidden, NotFound, Refused, TooLarge
from keystore import files, pem
from yinxin.wiring import Service

_CONTROLLED: Final = ControlledAct.CA_CERTIFICATE


@dataclass(frozen=True, slots=True)
class Files:
    """The files of one ceremony."""

    path: Path

    @property
    def lock(self) -> Path:
        """What `ceremony keys` drew."""
        return self._beside(".lock")

    @property
    def result(self) -> Path:
        """The certificate or request, PEM."""
        return self._beside(".pem")

    @property
    def transcript(self) -> Path:
        """The signed transcript."""
        return self._beside(".transcript")

    def _beside(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)

    def read(self) -> tuple[Ceremony, CASubject | None]:
        """Read the ceremony file, and the other CA's file when it names one."""
        ceremony = parse_ceremony(read_some(self.path, MAX_OTHER_OCTETS))
        name = ceremony.description.other_ca
        if name is None:
            return ceremony, None
        return ceremony, read_other_ca(read_some(self.path.parent / name, MAX_OTHER_OCTETS))

    def read_lock(self) -> Lock:
        """Read the lock file. Raises `NotFound`."""
        if not self.lock.exists():
            raise NotFound(f"there is no {self.lock.name}: run `yinxin ceremony keys` first")
        return parse_lock(read_some(self.lock, MAX_OTHER_OCTETS))


class CeremonyDesk:
    """Holds ceremonies on this installation."""

    def __init__(self, service: Service, *, actor: str) -> None:
        authority = service.authority
        self._service = service
        self._actor = actor
        self._ceremonies = Ceremonies(
            keystore=service.keystore,
            store=authority.store,
            profiles=authority.profiles,
            issuers=service.issuers,
            revocation_url=authority.revocation_url,
            transactions=authority.transactions,
            audit=authority.audit,
            clock=authority.clock,
        )

    def keys(self, where: Files) -> Lock:
        """Make the key and the lock file, once; a lock of the same file is left as it is."""
        ceremony, other = where.read()
        if where.lock.exists():
            lock = where.read_lock()
            if lock.file_sha256 != ceremony.digest:
                raise Conflict(
                    f"{where.lock.name} is of an earlier version of this file: remove it when the "
                    "new version is the one that was reviewed"
                )
            return lock
        lock = self._ceremonies.draw(ceremony, other=other, actor=self._actor)
        _write(where.lock, lock.model_dump_json(indent=1).encode() + b"\n")
        return lock

    def plan(self, where: Files) -> Plan:
        """Make the octets that reviewers see. Raises `Refused` with what lint and rules say."""
        ceremony, other = where.read()
        return self._ceremonies.plan(
            ceremony, where.read_lock(), other=other, requester=self._actor
        )

    def propose(self, where: Files) -> Proposal:
        """Ask for the approvals that the settings want for a CA certificate."""
        control = self._service.ground.control
        if control.rule(_CONTROLLED).approvals == 0:
            raise Refused("control.ca_certificate asks for no approval: run the ceremony")
        plan = self.plan(where)
        description = plan.ceremony.description
        summary = (
            f"{description.act} {description.name}: plan {plan.digest}\n\n{plan.ceremony.text}"
        )
        return control.propose(
            _CONTROLLED, _parameters(plan), summary=summary[:4000], actor=self._actor
        )

    def run(self, where: Files, *, approved: str) -> tuple[Plan, Made]:
        """Sign what reviewers approved, and write certificate and transcript.

        Raises `Refused` when the plan is another one than `approved`.
        """
        plan = self.plan(where)
        if plan.digest != approved.lower():
            raise Refused(f"the plan is {plan.digest}, not the one that was approved")
        steps: list[Mapping[str, Any]] = [self._step("planned", plan=plan.digest)]

        def approve(plan: Plan) -> None:
            steps.append(self._approved(plan))

        made = self._ceremonies.run(plan, actor=self._actor, approve=approve)
        steps.append(self._step("signed", **hashes_of(plan.tbs)))
        self._service.issuers.refresh()
        self._service.ensure_delegates()
        self._write(where, plan, made, steps)
        return plan, made

    def _approved(self, plan: Plan) -> Mapping[str, Any]:
        control = self._service.ground.control
        needed = control.rule(_CONTROLLED).approvals
        if needed == 0:
            return self._step("approved", by=[self._actor])
        found = control.find_approved(_CONTROLLED, _parameters(plan))
        if found is None:
            raise Forbidden(
                f"issuing a CA certificate needs {needed} approvals of plan {plan.digest}: "
                "`yinxin ceremony propose`, then `yinxin proposal approve`"
            )
        used = control.use(found.id, outcome=f"ceremony {plan.ceremony.description.name}")
        return self._step("approved", proposal=used.id, by=[one.officer for one in found.approvals])

    def _step(self, name: str, **said: Any) -> Mapping[str, Any]:
        at = self._service.ground.clock.now().isoformat().replace("+00:00", "Z")
        return {"step": name, "at": at, **said}

    def _write(self, where: Files, plan: Plan, made: Made, steps: list[Mapping[str, Any]]) -> None:
        request = plan.ceremony.description.act is Act.REQUEST
        label = "CERTIFICATE REQUEST" if request else "CERTIFICATE"
        if not where.result.exists():
            _write(where.result, pem.encode(made.der, label))
        if where.transcript.exists():
            return
        text = write_transcript(
            plan,
            made,
            lock=where.lock.read_text("utf-8"),
            steps=steps,
            versions=_versions(),
            actor=self._actor,
            now=self._service.ground.clock.now(),
            signer=self._service.audit_key.signer,
        )
        verify_transcript(text.encode(), audit_key=self._service.audit_key.signer.key.public_key)
        _write(where.transcript, text.encode())


def outside_cas(service: Service) -> OutsideCAs:
    """Return what takes up certificates of outside CAs."""
    authority = service.authority
    return OutsideCAs(
        store=authority.store,
        keystore=service.keystore,
        transactions=authority.transactions,
        audit=authority.audit,
        clock=authority.clock,
    )


def read_ca(path: Path) -> x509.Certificate:
    """Read one certificate, PEM or DER. Raises `Malformed`."""
    return read_certificate(read_some(path, MAX_OTHER_OCTETS))


def verify(path: Path, *, audit_key: str | None) -> Verified:
    """Prove a transcript with public material only. `audit_key`: PEM of the public key."""
    key = None if audit_key is None else pem.public_key_of_pem(audit_key)
    return verify_transcript(read_some(path, MAX_OCTETS), audit_key=key)


def read_some(path: Path, most: int) -> bytes:
    """Read a small file. Raises `Refused` or `TooLarge`."""
    try:
        with path.open("rb") as file:
            octets = file.read(most + 1)
    except OSError as error:
        raise Refused(f"cannot read {path}: {error.strerror}") from error
    if len(octets) > most:
        raise TooLarge(f"{path} has more than {most} octets")
    return octets


def _parameters(plan: Plan) -> dict[str, str]:
    return {"plan": plan.digest}


def _versions() -> dict[str, str]:
    return {
        "yinxin": version("yinxin"),
        "python": platform.python_version(),
        "cryptography": version("cryptography"),
    }


def _write(path: Path, octets: bytes) -> None:
    try:
        files.write_new(path, octets)
    except OSError as error:
        raise Refused(f"cannot write {path}: {error.strerror}") from error
