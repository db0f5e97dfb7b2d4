"""What a desk keeps of the certificate authority's answers: values for columns of the act."""

from __future__ import annotations

from datetime import datetime

from cryptography import x509

from ca.acts import Outcome, OutcomeState
from ca.desk_bodies import GivenKey, WantedKey
from ca.desk_store import DeskRecord, DeskState


def first_answer(outcome: Outcome) -> dict[str, str | datetime | None]:
    """Return what is kept of the answer that ends an act."""
    done = outcome.state is OutcomeState.DONE
    values: dict[str, str | datetime | None] = {
        "state": DeskState.DONE if done else DeskState.REFUSED,
        "comment": outcome.detail,
        "outcome": outcome.model_dump_json(exclude_defaults=True, exclude={"envelope"}),
    }
    if outcome.issuer is not None:
        values |= {"issuer": outcome.issuer, "serial": outcome.serial}
    if outcome.chain is not None:
        certificate = x509.load_pem_x509_certificates(outcome.chain.encode())[0]
        values["subject"] = certificate.subject.rfc4514_string()
        values["not_after"] = certificate.not_valid_after_utc
    return values


def given_key(record: DeskRecord, outcome: Outcome) -> dict[str, str | datetime | None]:
    """Return what is kept of a key that was asked for, after the certificates or with them."""
    values: dict[str, str | datetime | None] = {"state": DeskState.DONE, "wanted": None}
    if outcome.state is OutcomeState.REFUSED and record.wanted is not None:
        wanted = WantedKey.model_validate_json(record.wanted)
        values["envelope"] = GivenKey(format=wanted.format, detail=outcome.detail).model_dump_json()
    elif outcome.format is not None:
        values["envelope"] = GivenKey(
            format=outcome.format, envelope=outcome.envelope, detail=outcome.detail
        ).model_dump_json()
    return values
