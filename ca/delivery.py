"""Handing a pair to its holder, in one of the dialects that its profile allows.

The authority writes those that are the kept envelope in other octets. The key management centre
writes those for which the private key is needed, and the authority only carries them.
"""

from __future__ import annotations

from collections.abc import Mapping

from ca.dual import Pair, PairService
from ca.issuer import Issuer
from ca.profiles import CertificateProfile
from core.errors import NotFound, ProfileViolation, Refused
from keystore.dialects import Dialect
from keystore.escrow.envelopes import RECODED, EnvelopeOrder, recode


class PairDelivery:
    """Chooses, checks and fetches envelopes."""

    def __init__(
        self,
        pairs: PairService,
        *,
        profiles: Mapping[str, CertificateProfile],
        issuers: Mapping[str, Issuer],
    ) -> None:
        self._pairs = pairs
        self._profiles = profiles
        self._issuers = issuers

    def dialects(self, pair: Pair) -> tuple[Dialect, ...]:
        """Return how this pair can be fetched, the usual way first."""
        profile = self._profiles.get(pair.signing.profile)
        return allowed_dialects(profile, double=pair.temporary_key is not None)

    def transport_key(self) -> bytes:
        """Return what passwords of PKCS#12 files are sealed to. Raises `Unavailable`."""
        return self._pairs.identity().transport_key

    def fetch(
        self, request_id: str, dialect: Dialect, *, actor: str, sealed_password: bytes | None = None
    ) -> bytes:
        """Return the envelope. Raises `Refused` with what is allowed, `Unavailable`, `Conflict`."""
        pair = self._pairs.get(request_id)
        require_dialect(
            self._profiles.get(pair.signing.profile),
            dialect,
            double=pair.temporary_key is not None,
            sealed_password=sealed_password,
        )
        signing, encryption = pair.signing.der, pair.encryption.der
        if signing is None or encryption is None:
            raise NotFound("the pair is not issued")
        if dialect in RECODED:
            return recode(pair.enveloped, dialect, signing=signing, encryption=encryption)
        certificates = {
            Dialect.SIGNED_AND_ENVELOPED: (signing,),
            Dialect.PKCS12: (encryption, *self._issuer_certificates(pair)),
        }
        order = EnvelopeOrder(
            dialect=dialect,
            recipient=pair.temporary_key or pair.signing_key,
            certificates=certificates.get(dialect, ()),
            sealed_password=sealed_password,
        )
        return self._pairs.envelop(request_id, order, actor=actor)

    def _issuer_certificates(self, pair: Pair) -> tuple[bytes, ...]:
        issuer = self._issuers[pair.encryption.issuer]
        return (issuer.certificate, *issuer.chain)


def allowed_dialects(profile: CertificateProfile | None, *, double: bool) -> tuple[Dialect, ...]:
    """Return how pairs of a profile can be fetched, the usual way first.

    `double`: the request has a temporary key. None: a profile that is no more.
    """
    if double:
        return (Dialect.CFCA,)
    allowed = () if profile is None else profile.dialects
    return tuple(dialect for dialect in allowed if dialect is not Dialect.CFCA)


def require_dialect(
    profile: CertificateProfile | None,
    dialect: Dialect,
    *,
    double: bool,
    sealed_password: bytes | None,
) -> None:
    """Raises `Refused` unless pairs of a profile can be fetched so."""
    allowed = allowed_dialects(profile, double=double)
    if dialect not in allowed:
        raise ProfileViolation(
            f"this pair can be fetched as {', '.join(allowed) or 'json'}; not as {dialect}"
        )
    if (dialect is Dialect.PKCS12) != (sealed_password is not None):
        raise Refused("a PKCS#12 file is asked for with a sealed password, and by POST")
