"""Pick-up by two codes (两码领证) at the desk of a registration authority that runs apart.

The key that a subscriber brings is bound here, and carried with the act; the certificate comes
back with the answer. Formats that are the same envelope in other octets are written here, the
others are asked for at the certificate authority.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ca.acts import Outcome
from ca.csr import CSR, parse_csr
from ca.desk_bodies import GivenKey, WantedKey, csr_of, with_csr
from ca.desk_store import DeskRecord, DeskState, DeskStore
from ca.handover import WantedEnvelope, check_wanted
from ca.keycheck import check_key
from ca.profiles import CertificateProfile
from core.audit import AuditLog
from core.errors import Conflict, NotFound, ProfileViolation, Refused
from core.transaction import Transactions
from keystore import pem
from keystore.dialects import Dialect
from keystore.escrow.envelopes import RECODED, recode
from keystore.verify import key_algorithm

_MARK: Final = "-----END CERTIFICATE-----\n"
_S = DeskState


@dataclass(frozen=True, slots=True)
class DeskDelivery:
    """What a pick-up has given so far."""

    record: DeskRecord
    outcome: Outcome | None = None
    """None: the certificate authority has not answered yet."""
    envelope: str | None = None
    """Base64, in the format that was asked for."""
    complete: bool = False
    """Whether it is all that was asked for; otherwise: ask again."""


class DeskPickup:
    """Takes keys to acts, and gives what came of them (`ca.pickup.KeyTaker`)."""

    def __init__(
        self,
        store: DeskStore,
        *,
        profiles: Mapping[str, CertificateProfile],
        transactions: Transactions,
        audit: AuditLog,
    ) -> None:
        self._store = store
        self._profiles = profiles
        self._transactions = transactions
        self._audit = audit

    def taken_key(self, request_id: str) -> bytes:
        """Return the key of an act; empty while it waits for one. Raises `NotFound`."""
        text = csr_of(self._get(request_id))
        return b"" if text is None else _parsed(text).spki

    def take(self, request_id: str, csr: CSR, text: str, wanted: WantedKey | None) -> DeskDelivery:
        """Bind the key of `csr` (`text`: the same in PEM), or return what it has been given.

        May be repeated with the same key. Raises `Conflict` for another one, `Refused` with the
        reason of the certificate authority or for a format that is not given.
        """
        record = self._get(request_id)
        if record.state is _S.AWAITING_PICKUP:
            record = self._bind(record, csr, text, wanted)
        elif record.state not in (_S.SENT, _S.DONE, _S.REFUSED):
            raise Conflict(f"the request is {record.state}")
        kept = csr_of(record) or ""
        if _parsed(kept).temporary_key != csr.temporary_key:
            raise Conflict(
                "the request has this key with another temporary key: bring the same CSR again"
            )
        return self._given(record, wanted)

    def _bind(
        self, record: DeskRecord, csr: CSR, text: str, wanted: WantedKey | None
    ) -> DeskRecord:
        self._check(record, csr, wanted)
        values: dict[str, str | datetime | None] = {
            "state": _S.SENT,
            "body": with_csr(record, text),
            "wanted": _asked(wanted),
        }
        with self._transactions.transaction():
            if not self._store.change(record.id, _S.AWAITING_PICKUP, values):
                raise Conflict(f"the request is {self._get(record.id).state}")
            actor = f"subscriber:{record.id}"
            self._audit.record("pickup.collected", actor=actor, detail={"request": record.id})
        return self._get(record.id)

    def _check(self, record: DeskRecord, csr: CSR, wanted: WantedKey | None) -> None:
        """Refuse what the authority would, before the codes are bound to a key for ever."""
        check_key(csr.spki)
        profile = self._profiles.get(record.profile or "")
        if profile is None:
            return
        algorithm = key_algorithm(csr.spki)
        if algorithm not in profile.key_algorithms:
            allowed = ", ".join(profile.key_algorithms)
            raise ProfileViolation(
                f"profile {profile.name} takes keys of {allowed}; this one is {algorithm}"
            )
        check_wanted(profile, _envelope(wanted), double=csr.temporary_key is not None)

    def _given(self, record: DeskRecord, wanted: WantedKey | None) -> DeskDelivery:
        if record.state is _S.REFUSED:
            raise Refused(f"the certificate authority refused it: {record.comment}")
        if record.outcome is None:
            return DeskDelivery(record)
        outcome = Outcome.model_validate_json(record.outcome)
        if wanted is None:
            return DeskDelivery(record, outcome, complete=True)
        _require_given(outcome, wanted)
        if wanted.format in RECODED:
            return DeskDelivery(record, outcome, _recoded(outcome, wanted.format), complete=True)
        return self._answered(record, outcome, wanted)

    def _answered(self, record: DeskRecord, outcome: Outcome, wanted: WantedKey) -> DeskDelivery:
        """Give what the authority wrote; or ask for it, once the last question is answered."""
        if record.state is _S.SENT:
            return DeskDelivery(record, outcome)
        given = None
        if record.envelope is not None:
            given = GivenKey.model_validate_json(record.envelope)
        if given is not None and given.format is wanted.format:
            if given.envelope is not None:
                return DeskDelivery(record, outcome, given.envelope, complete=True)
            # Said once: then it can be asked for again, such as with another password.
            self._store.change(record.id, _S.DONE, {"envelope": None})
            raise Conflict(given.detail or "the key cannot be had so")
        asked: dict[str, str | datetime | None] = {"state": _S.SENT, "wanted": _asked(wanted)}
        if not self._store.change(record.id, _S.DONE, {**asked, "envelope": None}):
            raise Conflict("the key is being asked for already: try again")
        return DeskDelivery(self._get(record.id), outcome)

    def _get(self, request_id: str) -> DeskRecord:
        found = self._store.find(request_id)
        if found is None:
            raise NotFound(f"there is no request {request_id}")
        return found


def first_of(chain: str | None) -> str | None:
    """Return the first certificate of a chain, PEM."""
    return None if chain is None else chain.partition(_MARK)[0] + _MARK


def _require_given(outcome: Outcome, wanted: WantedKey) -> None:
    if outcome.enveloped_key is None:
        raise ProfileViolation("this is one certificate: it has no envelope")
    if wanted.format not in outcome.envelopes:
        raise ProfileViolation(
            f"this pair can be fetched as {', '.join(outcome.envelopes)}; not as {wanted.format}"
        )
    if (wanted.format is Dialect.PKCS12) != (wanted.sealed_password is not None):
        raise Refused("a PKCS#12 file is asked for with a sealed password")


def _recoded(outcome: Outcome, dialect: Dialect) -> str:
    signing, encryption = (
        pem.decode(first_of(chain) or "", "CERTIFICATE")
        for chain in (outcome.chain, outcome.encryption_chain)
    )
    enveloped = b64decode(outcome.enveloped_key or "")
    return b64encode(recode(enveloped, dialect, signing=signing, encryption=encryption)).decode()


def _parsed(text: str) -> CSR:
    # It was checked when it came in, with the setting of that day.
    return parse_csr(text.encode(), accept_empty_sm2_id=True)


def _envelope(wanted: WantedKey | None) -> WantedEnvelope | None:
    if wanted is None:
        return None
    sealed = wanted.sealed_password
    return WantedEnvelope(wanted.format, None if sealed is None else sealed.encode())


def _asked(wanted: WantedKey | None) -> str | None:
    if wanted is None or wanted.format in RECODED:
        return None
    return wanted.model_dump_json()
