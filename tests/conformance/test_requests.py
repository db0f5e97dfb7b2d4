"""CSRs that others made: our reader and the judges come to the same verdict."""

from __future__ import annotations

from pathlib import Path

import pytest

from ca.csr import parse_csr
from core.errors import InvalidSignature, Refused
from tests.conformance.openssl_hierarchy import OpenSSLHierarchy
from tests.judges import JudgeSaysNo, bouncycastle, gmssl, gmssl_c, openssl
from tests.judges.octets import flipped, request, sm2_point

pytestmark = pytest.mark.judge


@pytest.mark.parametrize("family", ["sm2", "ec", "rsa"])
def test_a_csr_of_openssl_is_accepted_by_us_and_by_judges(family: str, tmp_path: Path) -> None:
    csr = OpenSSLHierarchy(tmp_path, family).csr
    assert dict(parse_csr(csr).subject)["CN"] == "leaf"
    openssl.verify_request(csr, sm2=family == "sm2")
    bouncycastle.verify_request(csr)
    if family == "sm2":
        gmssl.verify_request(csr)
        gmssl_c.verify(request(csr), point=sm2_point(csr, of="req"))


def test_a_csr_of_gmssl_is_accepted_by_us_and_by_judges() -> None:
    csr = gmssl.make_request("judge.example.test")
    assert dict(parse_csr(csr).subject)["CN"] == "judge.example.test"
    openssl.verify_request(csr, sm2=True)
    bouncycastle.verify_request(csr)


@pytest.mark.parametrize("family", ["sm2", "ec", "rsa"])
def test_a_csr_with_a_turned_bit_is_refused_by_us_and_by_judges(
    family: str, tmp_path: Path
) -> None:
    csr = flipped(OpenSSLHierarchy(tmp_path, family).csr)
    with pytest.raises(InvalidSignature):
        parse_csr(csr)
    with pytest.raises(JudgeSaysNo):
        openssl.verify_request(csr, sm2=family == "sm2")
    with pytest.raises(JudgeSaysNo):
        bouncycastle.verify_request(csr)


def test_a_csr_with_the_empty_identifier_is_refused_by_us_and_by_judges(tmp_path: Path) -> None:
    csr = OpenSSLHierarchy(tmp_path, "sm2", distid="").csr
    with pytest.raises(Refused, match="EMPTY SM2 identifier"):
        parse_csr(csr)
    with pytest.raises(JudgeSaysNo):
        gmssl.verify_request(csr)
    with pytest.raises(JudgeSaysNo):
        bouncycastle.verify_request(csr)
