"""Every profile's certificate before judges; a planted fault in each shows that they looked."""

from __future__ import annotations

import pytest

from tests.conformance.hierarchy import END_ENTITY_PROFILES, Hierarchy
from tests.judges import JudgeSaysNo, bouncycastle, gmssl, gmssl_c, gnutls, node, openssl
from tests.judges.octets import certificate, flipped, sm2_point

pytestmark = pytest.mark.judge


@pytest.mark.parametrize("profile", END_ENTITY_PROFILES)
def test_openssl_gmssl_and_bouncy_castle_accept_an_sm2_path(profile: str, sm2: Hierarchy) -> None:
    path = sm2.path(profile)
    openssl.verify_path(*path, sm2=True)
    gmssl.verify_path(*path)
    bouncycastle.verify_path(*path, crls=sm2.crls)
    broken = (*path[:-1], flipped(path[-1]))
    for judge in (gmssl.verify_path, bouncycastle.verify_path):
        with pytest.raises(JudgeSaysNo):
            judge(*broken)
    with pytest.raises(JudgeSaysNo):
        openssl.verify_path(*broken, sm2=True)


@pytest.mark.parametrize("profile", END_ENTITY_PROFILES)
def test_openssl_gnutls_and_bouncy_castle_accept_a_classic_path(
    profile: str, classic: Hierarchy
) -> None:
    path = classic.path(profile)
    openssl.verify_path(*path, sm2=False)
    openssl.verify_path_with_crls(*path, crls=classic.crls)
    gnutls.verify_path(*path)
    bouncycastle.verify_path(*path, crls=classic.crls)
    broken = (*path[:-1], flipped(path[-1]))
    for judge in (gnutls.verify_path, bouncycastle.verify_path):
        with pytest.raises(JudgeSaysNo):
            judge(*broken)
    with pytest.raises(JudgeSaysNo):
        openssl.verify_path(*broken, sm2=False)


def test_sm_crypto_and_gmssl_c_verify_every_sm2_signature_over_its_tbs(sm2: Hierarchy) -> None:
    root, issuing = sm2_point(sm2.root), sm2_point(sm2.issuing)
    signed = [
        (certificate(sm2.root), root),
        (certificate(sm2.issuing), root),
        *((certificate(der), issuing) for der in sm2.entities.values()),
    ]
    node.verify_sm2(signed)
    for item, point in signed:
        gmssl_c.verify(item, point=point)
    with pytest.raises(JudgeSaysNo):
        node.verify_sm2([(certificate(sm2.issuing), issuing)])


def test_a_revoked_sm2_certificate_is_refused_by_a_path_validator(sm2: Hierarchy) -> None:
    bouncycastle.verify_path(*sm2.revoked_path)
    with pytest.raises(JudgeSaysNo, match="revocation"):
        bouncycastle.verify_path(*sm2.revoked_path, crls=sm2.crls)


def test_a_revoked_classic_certificate_is_refused_by_path_validators(classic: Hierarchy) -> None:
    openssl.verify_path(*classic.revoked_path, sm2=False)
    with pytest.raises(JudgeSaysNo, match="revoked"):
        openssl.verify_path_with_crls(*classic.revoked_path, crls=classic.crls)
    with pytest.raises(JudgeSaysNo, match="revocation"):
        bouncycastle.verify_path(*classic.revoked_path, crls=classic.crls)
