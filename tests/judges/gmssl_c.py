"""GmSSL's C library through PyPI's `gmssl-pyx`: one SM2 signature over the TBS octets."""

from __future__ import annotations

import gmssl_pyx

from tests.judges import SM2_ID, JudgeSaysNo
from tests.judges.octets import Signed


def verify(signed: Signed, *, point: bytes, distinguishing_id: str = SM2_ID) -> None:
    """Judge `signed` under the public key ``04 || X || Y``."""
    identifier = distinguishing_id.encode()
    try:
        good = gmssl_pyx.sm2_verify(point[1:], signed.tbs, signed.signature, identifier)
    except gmssl_pyx.GmsslInnerError as error:
        raise JudgeSaysNo(f"gmssl_pyx: {error}") from error
    if not good:
        raise JudgeSaysNo("gmssl_pyx: the signature does not verify")
