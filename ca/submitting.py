"""From the wire to a request for a certificate: parsed, possession proved, nothing decided."""

from __future__ import annotations

from ca.altnames import parse_alternative_name
from ca.contents import IssuanceRequest
from ca.csr import parse_csr
from ca.schemas import SubmitRequest


def request_in(
    body: SubmitRequest,
    *,
    requester: str,
    organisation: str | None,
    accept_empty_sm2_id: bool,
    subject: str | None = None,
) -> IssuanceRequest:
    """`subject`: the id of the one it belongs to, if that was checked.

    Raises `Malformed`, `Refused`, `TooLarge` or `InvalidSignature`.
    """
    csr = parse_csr(body.csr.encode(), accept_empty_sm2_id=accept_empty_sm2_id)
    return IssuanceRequest(
        spki=csr.spki,
        subject=csr.subject
        if body.subject is None
        else tuple((attribute.type, attribute.value) for attribute in body.subject),
        requester=requester,
        alternative_names=csr.alternative_names
        if body.alternative_names is None
        else tuple(parse_alternative_name(text) for text in body.alternative_names),
        identity=tuple(body.identity.items()),
        validity_days=body.validity_days,
        temporary_key=csr.temporary_key,
        organisation_id=organisation,
        subject_id=subject,
    )
