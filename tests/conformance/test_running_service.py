"""The running service from request to revocation, every answer before judges."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.administrator import Administrator
from tests.conformance.openssl_hierarchy import OpenSSLHierarchy
from tests.judges import JudgeSaysNo, bouncycastle, gmssl, gnutls, linter, openssl
from tests.service import Service

pytestmark = pytest.mark.judge


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    running = Service(tmp_path_factory.mktemp("running") / "state").start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def administrator(service: Service) -> Administrator:
    return Administrator(service)


def test_an_sm2_certificate(service: Service, administrator: Administrator, tmp_path: Path) -> None:
    ocsp = f"{service.revocation_url}/ocsp"
    certified = administrator.issue(OpenSSLHierarchy(tmp_path, "sm2").csr, hierarchy="sm2")
    root, issuing, leaf = path = certified.path
    openssl.verify_path(*path, sm2=True)
    gmssl.verify_path(*path)

    def word() -> str:
        response = openssl.fetch_ocsp(ocsp, issuer=issuing, subject=leaf, digest="sm3")
        linter.lint_ocsp(response)
        return bouncycastle.verify_ocsp(response, issuer=issuing, subject=leaf)

    assert word() == "good"
    bouncycastle.verify_path(*path, crls=_crls(administrator, "sm2"))
    administrator.revoke(certified)
    assert word() == "revoked"
    crls = _crls(administrator, "sm2")
    for crl, issuer in zip(crls, (root, issuing), strict=True):
        gmssl.verify_crl(crl, issuer=issuer)
        linter.lint_crl(crl)
    with pytest.raises(JudgeSaysNo, match="revocation"):
        bouncycastle.verify_path(*path, crls=crls)


def test_an_rsa_certificate(service: Service, administrator: Administrator, tmp_path: Path) -> None:
    ocsp = f"{service.revocation_url}/ocsp"
    certified = administrator.issue(OpenSSLHierarchy(tmp_path, "rsa").csr, hierarchy="rsa")
    path = certified.path
    openssl.verify_path_with_crls(*path, crls=_crls(administrator, "rsa"))
    gnutls.verify_path(*path)
    assert openssl.ask_ocsp(ocsp, *path) == "good"
    assert openssl.ask_ocsp(ocsp, *path, digest="sha256", nonce=False) == "good"
    assert gnutls.ask_ocsp(ocsp, *path) == "good"
    administrator.revoke(certified)
    assert openssl.ask_ocsp(ocsp, *path) == "revoked"
    assert gnutls.ask_ocsp(ocsp, *path) == "revoked"
    with pytest.raises(JudgeSaysNo, match="revoked"):
        openssl.verify_path_with_crls(*path, crls=_crls(administrator, "rsa"))


def test_the_service_is_served_under_its_own_rsa_hierarchy(service: Service) -> None:
    openssl.connect("localhost", service.https_port, trust=service.root)
    with pytest.raises(JudgeSaysNo):
        openssl.connect("another.example.test", service.https_port, trust=service.root)


def _crls(administrator: Administrator, hierarchy: str) -> tuple[bytes, ...]:
    levels = ("root", "issuing")
    return tuple(administrator.download(f"/crl/{hierarchy}-{level}.crl") for level in levels)
