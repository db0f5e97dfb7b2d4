"""From the wire to a request for a certificate: parsed, possession proved, nothing decided."""

from __future__ import annotations

from ca.altnames import parse_alternative_name
from ca.contents import IssuanceRequest
from ca.csr import parse_csr
from ca.schemas import SubmitRequest
from core.errors import Refused


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
    csr = None
    if body.csr is not None:
        csr = parse_csr(body.csr.encode(), accept_empty_sm2_id=accept_empty_sm2_id)
    elif body.subject is None:
        raise Refused("without a CSR, say the subject")
    names = () if csr is None else csr.alternative_names
    if body.alternative_names is not None:
        names = tuple(parse_alternative_name(text) for text in body.alternative_names)
    attributes = () if csr is None else csr.subject
    if body.subject is not None:
        attributes = tuple((attribute.type, attribute.value) for attribute in body.subject)
    return IssuanceRequest(
        spki=b"" if csr is None else csr.spki,
        subject=attributes,
        requester=requester,
        alternative_names=names,
        identity=tuple(body.identity.items()),
        validity_days=body.validity_days,
        temporary_key=None if csr is None else csr.temporary_key,
        organisation_id=organisation,
        subject_id=subject,
    )
