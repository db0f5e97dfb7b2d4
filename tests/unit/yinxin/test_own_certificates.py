"""The authority's own certificates go on when one of them is revoked, among many or by itself."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import pytest

from ca.reasons import RevocationReason
from ca.store import CertificateQuery, CertificateState
from tests import databases
from tests.fakes.clock import FakeClock
from yinxin.settings import load_settings
from yinxin.state import prepare_state
from yinxin.tls import ServerTLS
from yinxin.wiring import Service, open_ground, open_service


@pytest.fixture
def service(tmp_path) -> Iterator[Service]:
    state = prepare_state(tmp_path / "var")
    databases.lay_tables(state.directory)
    opened = open_service(open_ground(load_settings(None), state, clock=FakeClock()))
    yield opened
    opened.close()


def shown(service: Service) -> dict[str, int]:
    """The serial numbers in force, by profile."""
    items = service.authority.store.search_certificates(
        CertificateQuery(issuer="rsa-issuing", state=CertificateState.ISSUED)
    ).items
    return {one.profile: one.serial for one in items}


def test_a_new_certificate_takes_the_place_of_a_revoked_one(service: Service) -> None:
    served, linked = (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) for _ in range(2))
    tls = ServerTLS(service, (served,))
    tls.replace_revoked()  # nothing is loaded yet
    assert shown(service) == {}
    tls.renew()
    service.link.serve_in(linked)
    before = shown(service)
    assert set(before) == {"tls-server", "device"}

    def look() -> None:
        tls.replace_revoked()
        service.link.renew()

    look()
    assert shown(service) == before
    with service.revocation.batch() as batch:
        for serial in before.values():
            batch.revoke("rsa-issuing", serial, RevocationReason.SUPERSEDED, actor="tester")
        batch.apply()
    assert shown(service) == {}
    look()
    after = shown(service)
    assert set(after) == set(before)
    assert not set(after.values()) & set(before.values())
    look()
    assert shown(service) == after
