"""A judge that says yes is worth something only if it can say no: here each one does.

Everything judged here is made by OpenSSL, so nothing of ours is in the way.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conformance.openssl_hierarchy import OpenSSLHierarchy
from tests.judges import JudgeSaysNo, bouncycastle, gmssl, gmssl_c, gnutls, linter, node, openssl
from tests.judges.octets import certificate, crl, flipped, ocsp_response, ocsp_signer, sm2_point

pytestmark = pytest.mark.judge

Made = OpenSSLHierarchy


@pytest.fixture(scope="module")
def sm2(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("sm2"), "sm2")


@pytest.fixture(scope="module")
def other_id(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Like `sm2`, but signed with the empty identifier, as OpenSSL 3 does by default."""
    return Made(tmp_path_factory.mktemp("empty"), "sm2", distid="")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Another SM2 hierarchy with the same names and other keys."""
    return Made(tmp_path_factory.mktemp("stranger"), "sm2")


@pytest.fixture(scope="module", params=["ec", "rsa"])
def classic(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def impostor(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Another EC hierarchy with the same names and other keys."""
    return Made(tmp_path_factory.mktemp("impostor"), "ec")


def refuses(question: Callable[[], object]) -> None:
    with pytest.raises(JudgeSaysNo):
        question()


# ---- paths ------------------------------------------------------------------


def test_openssl_judges_sm2_paths(sm2: Made, other_id: Made, stranger: Made) -> None:
    openssl.verify_path(*sm2.path, sm2=True)
    refuses(lambda: openssl.verify_path(sm2.root, sm2.sub, flipped(sm2.leaf), sm2=True))
    refuses(lambda: openssl.verify_path(sm2.root, flipped(sm2.sub), sm2.leaf, sm2=True))
    refuses(lambda: openssl.verify_path(sm2.root, stranger.sub, sm2.leaf, sm2=True))
    refuses(lambda: openssl.verify_path(*other_id.path, sm2=True))


def test_gmssl_judges_paths(sm2: Made, other_id: Made, stranger: Made) -> None:
    gmssl.verify_path(*sm2.path)
    refuses(lambda: gmssl.verify_path(sm2.root, sm2.sub, flipped(sm2.leaf)))
    refuses(lambda: gmssl.verify_path(stranger.root, sm2.sub, sm2.leaf))
    refuses(lambda: gmssl.verify_path(*sm2.path, distinguishing_id="8765432187654321"))
    refuses(lambda: gmssl.verify_path(*other_id.path))


def test_bouncy_castle_judges_sm2_paths(sm2: Made, other_id: Made, stranger: Made) -> None:
    lists = (sm2.root_crl, sm2.crl)
    bouncycastle.verify_path(*sm2.path, crls=lists)
    refuses(lambda: bouncycastle.verify_path(*sm2.revoked_path, crls=lists))
    refuses(lambda: bouncycastle.verify_path(*sm2.path, crls=(sm2.root_crl, flipped(sm2.crl))))
    refuses(lambda: bouncycastle.verify_path(*sm2.path, crls=(sm2.root_crl,)))
    refuses(lambda: bouncycastle.verify_path(sm2.root, sm2.sub, flipped(sm2.leaf)))
    refuses(lambda: bouncycastle.verify_path(flipped(sm2.root), sm2.sub, sm2.leaf))
    refuses(lambda: bouncycastle.verify_path(stranger.root, sm2.sub, sm2.leaf))
    refuses(lambda: bouncycastle.verify_path(*other_id.path))


def test_bouncy_castle_judges_classic_paths(classic: Made, impostor: Made) -> None:
    lists = (classic.root_crl, classic.crl)
    bouncycastle.verify_path(*classic.path, crls=lists)
    refuses(lambda: bouncycastle.verify_path(*classic.revoked_path, crls=lists))
    refuses(lambda: bouncycastle.verify_path(classic.root, classic.sub, flipped(classic.leaf)))
    refuses(lambda: bouncycastle.verify_path(impostor.root, classic.sub, classic.leaf))


def test_openssl_judges_classic_paths(classic: Made, impostor: Made) -> None:
    lists = (classic.root_crl, classic.crl)
    openssl.verify_path(*classic.path, sm2=False)
    openssl.verify_path_with_crls(*classic.path, crls=lists)
    refuses(lambda: openssl.verify_path_with_crls(*classic.revoked_path, crls=lists))
    refuses(lambda: openssl.verify_path_with_crls(*classic.path, crls=lists[:1]))
    refuses(
        lambda: openssl.verify_path(classic.root, classic.sub, flipped(classic.leaf), sm2=False)
    )
    refuses(lambda: openssl.verify_path(flipped(classic.root), sm2=False))
    refuses(lambda: openssl.verify_path(classic.root, impostor.sub, classic.leaf, sm2=False))


def test_gnutls_judges_paths(classic: Made, impostor: Made) -> None:
    gnutls.verify_path(*classic.path)
    refuses(lambda: gnutls.verify_path(classic.root, classic.sub, flipped(classic.leaf)))
    refuses(lambda: gnutls.verify_path(impostor.root, classic.sub, classic.leaf))


# ---- raw SM2 signatures -------------------------------------------------------


def test_gmssl_c_judges_signatures(sm2: Made, other_id: Made) -> None:
    point = sm2_point(sm2.sub)
    gmssl_c.verify(certificate(sm2.leaf), point=point)
    refuses(lambda: gmssl_c.verify(certificate(flipped(sm2.leaf)), point=point))
    refuses(lambda: gmssl_c.verify(certificate(sm2.leaf), point=sm2_point(sm2.root)))
    refuses(lambda: gmssl_c.verify(certificate(sm2.leaf), point=point, distinguishing_id="x"))
    refuses(lambda: gmssl_c.verify(certificate(other_id.leaf), point=sm2_point(other_id.sub)))


def test_sm_crypto_judges_signatures(sm2: Made, other_id: Made) -> None:
    point = sm2_point(sm2.sub)
    signer = sm2_point(ocsp_signer(sm2.good_answer))
    node.verify_sm2(
        [
            (certificate(sm2.leaf), point),
            (crl(sm2.crl), point),
            (ocsp_response(sm2.good_answer), signer),
        ]
    )
    refuses(lambda: node.verify_sm2([(certificate(flipped(sm2.leaf)), point)]))
    refuses(lambda: node.verify_sm2([(crl(sm2.crl), sm2_point(sm2.root))]))
    refuses(lambda: node.verify_sm2([(certificate(sm2.leaf), point)], distinguishing_id="x"))
    refuses(lambda: node.verify_sm2([(certificate(other_id.leaf), sm2_point(other_id.sub))]))


# ---- CSRs -----------------------------------------------------------------------


def test_four_judges_of_sm2_requests(sm2: Made, other_id: Made) -> None:
    openssl.verify_request(sm2.csr, sm2=True)
    gmssl.verify_request(sm2.csr)
    bouncycastle.verify_request(sm2.csr)
    for bad in (flipped(sm2.csr), other_id.csr):
        refuses(lambda bad=bad: openssl.verify_request(bad, sm2=True))
        refuses(lambda bad=bad: gmssl.verify_request(bad))
        refuses(lambda bad=bad: bouncycastle.verify_request(bad))


def test_two_judges_of_classic_requests(classic: Made) -> None:
    openssl.verify_request(classic.csr, sm2=False)
    bouncycastle.verify_request(classic.csr)
    refuses(lambda: openssl.verify_request(flipped(classic.csr), sm2=False))
    refuses(lambda: bouncycastle.verify_request(flipped(classic.csr)))


# ---- CRLs -----------------------------------------------------------------------


def test_two_judges_of_sm2_crls(sm2: Made, other_id: Made, stranger: Made) -> None:
    gmssl.verify_crl(sm2.crl, issuer=sm2.sub)
    bouncycastle.verify_crl(sm2.crl, issuer=sm2.sub)
    for bad, issuer in (
        (flipped(sm2.crl), sm2.sub),
        (sm2.crl, stranger.sub),
        (sm2.crl, sm2.root),
        (other_id.crl, other_id.sub),
    ):
        refuses(lambda bad=bad, issuer=issuer: gmssl.verify_crl(bad, issuer=issuer))
        refuses(lambda bad=bad, issuer=issuer: bouncycastle.verify_crl(bad, issuer=issuer))


def test_three_judges_of_classic_crls(classic: Made, impostor: Made) -> None:
    judges = (openssl.verify_crl, gnutls.verify_crl, bouncycastle.verify_crl)
    for verify_crl in judges:
        verify_crl(classic.crl, issuer=classic.sub)
        refuses(lambda judge=verify_crl: judge(flipped(classic.crl), issuer=classic.sub))
        refuses(lambda judge=verify_crl: judge(classic.crl, issuer=impostor.sub))
        refuses(lambda judge=verify_crl: judge(classic.crl, issuer=classic.root))


# ---- OCSP -----------------------------------------------------------------------


def test_bouncy_castle_judges_sm2_answers(sm2: Made, other_id: Made, stranger: Made) -> None:
    def word(response: bytes, issuer: bytes, subject: bytes) -> str:
        return bouncycastle.verify_ocsp(response, issuer=issuer, subject=subject)

    assert word(sm2.good_answer, sm2.sub, sm2.leaf) == "good"
    assert word(sm2.revoked_answer, sm2.sub, sm2.revoked) == "revoked"
    refuses(lambda: word(sm2.good_answer, sm2.sub, sm2.revoked))
    refuses(lambda: word(sm2.good_answer, stranger.sub, sm2.leaf))
    refuses(lambda: word(other_id.good_answer, other_id.sub, other_id.leaf))
    refuses(lambda: word(_signature_broken(sm2.good_answer), sm2.sub, sm2.leaf))


def test_three_judges_of_classic_answers(classic: Made, impostor: Made) -> None:
    def by_bouncy_castle(response: bytes, *path: bytes) -> str:
        return bouncycastle.verify_ocsp(response, issuer=path[-2], subject=path[-1])

    broken = _signature_broken(classic.good_answer)
    for verify_ocsp in (openssl.verify_ocsp, gnutls.verify_ocsp, by_bouncy_castle):
        assert verify_ocsp(classic.good_answer, *classic.path) == "good"
        assert verify_ocsp(classic.revoked_answer, *classic.revoked_path) == "revoked"
        refuses(lambda judge=verify_ocsp: judge(classic.good_answer, *classic.revoked_path))
        refuses(lambda judge=verify_ocsp: judge(broken, *classic.path))
        refuses(lambda judge=verify_ocsp: judge(classic.good_answer, *impostor.path))


def _signature_broken(response: bytes) -> bytes:
    """The certificate of the signer comes last in an answer; the signature is in the middle."""
    signature = ocsp_response(response).signature
    return response.replace(signature, flipped(signature))


# ---- lint -----------------------------------------------------------------------


def test_pkilint_judges_sm2(sm2: Made) -> None:
    _lints(sm2)


def test_pkilint_judges_classic(classic: Made) -> None:
    _lints(classic)


def _lints(made: Made) -> None:
    for lint, der in (
        (linter.lint_certificate, made.leaf),
        (linter.lint_certificate, made.sub),
        (linter.lint_crl, made.crl),
        (linter.lint_ocsp, made.good_answer),
    ):
        lint(der)
        refuses(lambda lint=lint, der=der: lint(der[:-1]))


def test_pkilint_finds_what_rfc_5280_forbids(sm2: Made) -> None:
    # A subject key identifier must not be critical (4.2.1.2); a CRL must say its number (5.2.3).
    critical = sm2.leaf.replace(bytes.fromhex("0603551d0e04"), bytes.fromhex("0603551d0e01"))
    refuses(lambda: linter.lint_certificate(critical))
    nameless = sm2.crl.replace(bytes.fromhex("0603551d14"), bytes.fromhex("0603551d1c"))
    refuses(lambda: linter.lint_crl(nameless))
