"""Our CRLs and OCSP answers before judges."""

from __future__ import annotations

import pytest

from tests.conformance.hierarchy import Hierarchy
from tests.judges import JudgeSaysNo, bouncycastle, gmssl, gmssl_c, gnutls, node, openssl
from tests.judges.octets import certificate, crl, flipped, ocsp_response, ocsp_signer, sm2_point

pytestmark = pytest.mark.judge


def test_four_judges_accept_the_sm2_crls(sm2: Hierarchy) -> None:
    for list_, issuer in ((sm2.root_crl, sm2.root), (sm2.crl, sm2.issuing)):
        gmssl.verify_crl(list_, issuer=issuer)
        bouncycastle.verify_crl(list_, issuer=issuer)
        gmssl_c.verify(crl(list_), point=sm2_point(issuer))
        node.verify_sm2([(crl(list_), sm2_point(issuer))])
        for judge in (gmssl.verify_crl, bouncycastle.verify_crl):
            with pytest.raises(JudgeSaysNo):
                judge(flipped(list_), issuer=issuer)


def test_three_judges_accept_the_classic_crls(classic: Hierarchy) -> None:
    for list_, issuer in ((classic.root_crl, classic.root), (classic.crl, classic.issuing)):
        for judge in (openssl.verify_crl, gnutls.verify_crl, bouncycastle.verify_crl):
            judge(list_, issuer=issuer)
            with pytest.raises(JudgeSaysNo):
                judge(flipped(list_), issuer=issuer)


@pytest.mark.parametrize("digest", ["sha1", "sha256", "sm3"])
def test_bouncy_castle_accepts_the_sm2_answers(digest: str, sm2: Hierarchy) -> None:
    for issuer, subject, word in _questions(sm2):
        response = sm2.answer(issuer, subject, digest=digest)
        assert bouncycastle.verify_ocsp(response, issuer=issuer, subject=subject) == word


def test_sm_crypto_and_gmssl_c_verify_the_sm2_answers_and_their_delegation(sm2: Hierarchy) -> None:
    for issuer, subject, _ in _questions(sm2):
        response = sm2.answer(issuer, subject)
        signer = ocsp_signer(response)
        signed = [
            (ocsp_response(response), sm2_point(signer)),
            (certificate(signer), sm2_point(issuer)),
        ]
        node.verify_sm2(signed)
        for item, point in signed:
            gmssl_c.verify(item, point=point)


@pytest.mark.parametrize("digest", ["sha1", "sha256", "sm3"])
def test_openssl_and_bouncy_castle_accept_the_classic_answers(
    digest: str, classic: Hierarchy
) -> None:
    for issuer, subject, word in _questions(classic):
        response = classic.answer(issuer, subject, digest=digest)
        assert bouncycastle.verify_ocsp(response, issuer=issuer, subject=subject) == word
        path = _path(classic, issuer, subject)
        assert openssl.verify_ocsp(response, *path, digest=digest) == word


def test_gnutls_accepts_the_classic_answers(classic: Hierarchy) -> None:
    for issuer, subject, word in _questions(classic):
        response = classic.answer(issuer, subject)
        assert gnutls.verify_ocsp(response, *_path(classic, issuer, subject)) == word


def _questions(ours: Hierarchy) -> tuple[tuple[bytes, bytes, str], ...]:
    return (
        (ours.root, ours.issuing, "good"),
        (ours.issuing, ours.entities["device"], "good"),
        (ours.issuing, ours.revoked, "revoked"),
    )


def _path(ours: Hierarchy, issuer: bytes, subject: bytes) -> tuple[bytes, ...]:
    return (issuer, subject) if issuer == ours.root else (ours.root, issuer, subject)
