"""Publishing to a directory, put together when the settings name one."""

from __future__ import annotations

from collections.abc import Mapping

from ca.issuer import Issuer
from ca.profiles import CertificateProfile
from core.clock import Clock
from core.db import Database
from core.errors import Misconfigured
from crl.publication import Publication
from crl.publication_config import PublicationConfig
from crl.sqlpublication import SQLPublicationStore
from crl.sqlstore import SQLCRLStore


def assemble_publication(
    config: PublicationConfig,
    database: Database,
    *,
    issuers: Mapping[str, Issuer],
    profiles: Mapping[str, CertificateProfile],
    clock: Clock,
) -> Publication | None:
    """Return None without a directory. Raises `Misconfigured` when its library is missing."""
    if config.url is None:
        return None
    unknown = set(config.profiles) - set(profiles)
    if unknown:
        raise Misconfigured(f"publication.profiles: there is no profile {min(unknown)}")
    try:
        from crl.ldap import LDAPDirectory  # noqa: PLC0415 - an extra, for who publishes
    except ImportError as error:
        raise Misconfigured(
            "publication.url needs the extra: pip install yinxin[ldap] (it compiles against "
            "libldap2-dev and libsasl2-dev)"
        ) from error
    return Publication(
        LDAPDirectory(config),
        SQLPublicationStore(database),
        SQLCRLStore(database),
        issuers,
        profiles=config.profiles or _asked_for(profiles),
        config=config,
        clock=clock,
    )


def _asked_for(profiles: Mapping[str, CertificateProfile]) -> tuple[str, ...]:
    """Return what people can ask for, and the other halves of pairs."""
    requestable = [profile for profile in profiles.values() if profile.requestable]
    halves = [one.encryption_profile for one in requestable if one.encryption_profile is not None]
    return (*(one.name for one in requestable), *halves)
