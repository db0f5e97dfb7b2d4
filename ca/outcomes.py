"""What an act of a registration authority has given: certificates, and the key of a pair."""

from __future__ import annotations

from base64 import b64encode

from ca.acts import Act, Outcome, OutcomeState
from ca.formats import CertificateFormat, render
from ca.handover import Delivery, DeliveryDesk, WantedEnvelope
from ca.requests import EnrollmentRecord
from ca.schemas_pairs import sealed_octets
from ca.serials import to_hex
from core.errors import Conflict, Malformed, NotFound, Refused, Unavailable
from keystore import pem


class Outcomes:
    """Writes them down, the key in the format that the act wants."""

    def __init__(self, deliveries: DeliveryDesk) -> None:
        self._deliveries = deliveries

    def given(self, act: Act, record: EnrollmentRecord) -> Outcome:
        """Return what an issued request has given. Raises `Unavailable`.

        A key that cannot be had so leaves the certificates as they are: `detail` says why.
        """
        wanted = _wanted(act)
        if wanted is None:
            return _outcome(act, self._deliveries.of(record))
        try:
            double = self._is_double(record)
            self._deliveries.check(record.profile, wanted, double=double)
            return _outcome(act, self._deliveries.of(record, wanted))
        except (Refused, Conflict, Malformed, NotFound) as error:
            without = _outcome(act, self._deliveries.of(record))
            why = {"detail": str(error)[:2000], "format": act.format}
            return without.model_copy(update=why)

    def _is_double(self, record: EnrollmentRecord) -> bool:
        pair = self._deliveries.of(record).pair
        return pair is not None and pair.temporary_key is not None


def _outcome(act: Act, delivery: Delivery) -> Outcome:
    record, der, pair = delivery.record, delivery.certificate, delivery.pair
    if der is None or record.serial is None:
        raise Unavailable("the certificate is not stored yet")
    encryption = None if pair is None else pair.encryption.der
    key = delivery.transport_key
    return Outcome(
        id=act.id,
        state=OutcomeState.DONE,
        request=record.id,
        issuer=record.issued_by or record.issuer,
        serial=to_hex(record.serial),
        chain=_chain(der, delivery),
        encryption_chain=None if encryption is None else _chain(encryption, delivery),
        enveloped_key=None if pair is None else b64encode(pair.enveloped).decode(),
        envelopes=delivery.dialects,
        format=None if delivery.envelope is None else act.format,
        envelope=None if delivery.envelope is None else b64encode(delivery.envelope).decode(),
        transport_key=None if key is None else pem.encode(key, "PUBLIC KEY").decode(),
    )


def _chain(certificate: bytes, delivery: Delivery) -> str:
    return render(certificate, delivery.above, CertificateFormat.CHAIN).decode("ascii")


def _wanted(act: Act) -> WantedEnvelope | None:
    if act.format is None:
        return None
    sealed = act.sealed_password
    return WantedEnvelope(act.format, None if sealed is None else sealed_octets(sealed))
