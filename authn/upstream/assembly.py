"""The identity sources of the settings, put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from authn.attempts import Attempts
from authn.config import AuthnConfig
from authn.login import Throttle
from authn.upstream.config import LDAPSourceConfig
from authn.upstream.links import Links
from authn.upstream.login import Directory, Upstreams
from authn.upstream.openid import Caller, OpenIDSource
from core.clock import Clock
from core.errors import Misconfigured
from keystore.seal import Seal


def open_upstreams(
    config: AuthnConfig,
    links: Links,
    caller: Caller,
    *,
    seal: Seal,
    throttle: Throttle,
    attempts: Attempts,
    clock: Clock,
) -> Upstreams:
    """Open every source. Raises `Misconfigured` for a name given twice, or a missing library."""
    names = [one.name for one in config.openid_sources]
    names += [one.name for one in config.ldap_sources]
    if len(set(names)) != len(names):
        raise Misconfigured("authn.openid_sources and authn.ldap_sources: a name is given twice")
    return Upstreams(
        links=links,
        openid={
            one.name: OpenIDSource(
                one,
                caller,
                redirect_uri=f"{config.issuer}/login/upstream/{one.name}/callback",
                seal=seal,
                clock=clock,
            )
            for one in config.openid_sources
        },
        directories=_directories(config.ldap_sources),
        throttle=throttle,
        attempts=attempts,
    )


def _directories(configs: Sequence[LDAPSourceConfig]) -> Mapping[str, Directory]:
    if not configs:
        return {}
    try:
        from authn.upstream.directory import LDAPSource  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise Misconfigured(
            "authn.ldap_sources needs the library bonsai: pip install 'yinxin[ldap]'"
        ) from error
    return {one.name: LDAPSource(one) for one in configs}
