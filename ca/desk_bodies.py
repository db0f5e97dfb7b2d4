"""What a desk keeps of an act until it is carried, and the act that becomes of it."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, replace

from pydantic import BaseModel, ConfigDict

from ca.acts import Act
from ca.desk_store import DeskRecord
from ca.names import Attributes
from ca.operations import ISSUING, Operation
from ca.reasons import RevocationReason
from ca.schemas import SubmitRequest
from ca.submitting import request_in
from core.errors import Refused
from keystore.dialects import Dialect


class ReplacementBody(BaseModel):
    """Of what gives a certificate in the place of another."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: str
    serial: str
    """Of the old certificate. Lowercase hex."""
    csr: str | None = None
    """None: it is renewed for the same key, or the key comes with a pick-up."""
    validity_days: int | None = None
    reason: RevocationReason | None = None
    """Of a re-issue: why the old certificate is revoked."""


class WantedKey(BaseModel):
    """The format in which a subscriber wants the key of a pair."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Dialect
    sealed_password: str | None = None


class GivenKey(BaseModel):
    """What became of that: the envelope, or why there is none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Dialect
    envelope: str | None = None
    """Base64."""
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What an act asks for, as its reviewer has to see it."""

    issuer: str | None
    subject: Attributes = ()
    alternative_names: tuple[str, ...] = ()
    """Of the CSR where none were entered."""
    validity_days: int | None = None
    """None: as the profile says."""
    reason: RevocationReason | None = None


def asked_of(record: DeskRecord) -> Asked:
    """Return it; the names of a CSR were checked with its signature when the act was entered."""
    if record.operation is Operation.APPLY:
        body = SubmitRequest.model_validate_json(record.body)
        request = request_in(
            body,
            requester=record.requester,
            organisation=record.organisation_id,
            accept_empty_sm2_id=True,
        )
        names = tuple(str(name) for name in request.alternative_names)
        return Asked(body.issuer, request.subject, names, body.validity_days)
    if record.operation in ISSUING:
        wanted = ReplacementBody.model_validate_json(record.body)
        return Asked(wanted.issuer, validity_days=wanted.validity_days, reason=wanted.reason)
    reason = RevocationReason(record.body) if record.operation is Operation.REVOKE else None
    return Asked(record.issuer, reason=reason)


def id_for(actor: str, key: str | None) -> str:
    """Return the id of a new act: the same one for the same `key` of the same operator."""
    if key is None:
        return secrets.token_hex(16)
    return hashlib.sha256(f"{actor}\n{key}".encode()).hexdigest()[:32]


def csr_of(record: DeskRecord) -> str | None:
    """Return the PKCS#10 request of an act, if it has one already."""
    if record.operation is Operation.APPLY:
        return SubmitRequest.model_validate_json(record.body).csr
    if record.operation in ISSUING:
        return ReplacementBody.model_validate_json(record.body).csr
    return None


def with_csr(record: DeskRecord, csr: str) -> str:
    """Return the body of an act that was entered without a key, with it.

    Names are those that were entered: the CSR of a subscriber gives the key and nothing else.
    """
    if record.operation is Operation.APPLY:
        asked = SubmitRequest.model_validate_json(record.body)
        names = asked.alternative_names or ()
        changes = {"csr": csr, "alternative_names": names}
        return asked.model_copy(update=changes).model_dump_json()
    wanted = ReplacementBody.model_validate_json(record.body)
    return wanted.model_copy(update={"csr": csr}).model_dump_json()


def target_of(record: DeskRecord) -> tuple[str, str] | None:
    """Return issuer and serial of the certificate that an act replaces."""
    if record.operation not in ISSUING or record.operation is Operation.APPLY:
        return None
    body = ReplacementBody.model_validate_json(record.body)
    return body.issuer, body.serial


def act_of(record: DeskRecord) -> Act:
    """Return what is carried. Raises `Refused` for what nobody reviewed."""
    if record.decided_by is None:
        raise Refused("an act that nobody reviewed is not sent")
    people = {"entered_by": record.requester, "reviewed_by": record.decided_by}
    named = {"id": record.id, "operation": record.operation, **people}
    carried = {**_carried(record), **_wanted(record)}
    return Act.model_validate(named | {key: v for key, v in carried.items() if v is not None})


def revocation_of(record: DeskRecord, act_id: str) -> DeskRecord:
    """Return the revocation of what a reviewed re-issue replaces: its medium is lost."""
    body = ReplacementBody.model_validate_json(record.body)
    return replace(
        record,
        id=act_id,
        operation=Operation.REVOKE,
        body=body.reason or RevocationReason.SUPERSEDED,
        keyless=False,
        issuer=body.issuer,
        serial=body.serial,
    )


def _carried(record: DeskRecord) -> dict[str, object]:
    if record.operation is Operation.APPLY:
        return {"request": SubmitRequest.model_validate_json(record.body)}
    if record.operation in ISSUING:
        return ReplacementBody.model_validate_json(record.body).model_dump()
    reason = RevocationReason(record.body) if record.operation is Operation.REVOKE else None
    return {"issuer": record.issuer, "serial": record.serial, "reason": reason}


def _wanted(record: DeskRecord) -> dict[str, object]:
    if record.wanted is None:
        return {}
    return WantedKey.model_validate_json(record.wanted).model_dump()
