"""Modules of `fapi2-message-signing-final-test-plan` about signed requests (JAR, RFC 9101).

Named as in `test_fapi2`. Signed responses (JARM) and signed introspection are not offered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from authn.oidc.clientmetadata import ClientMetadata
from tests.conformance.oidf.conftest import register
from tests.conformance.oidf.relying_party import RelyingParty, answer_of
from tests.conformance.oidf.served import Served
from tests.conformance.oidf.test_basic import unsigned
from tests.conformance.oidf.test_fapi2 import jkt_of, refused, short

pytestmark = pytest.mark.judge


@pytest.fixture(scope="module")
def signer(served: Served) -> RelyingParty:
    """A client that pushes signed requests only."""
    held = served.keys["one"]
    made = register(
        served,
        "private_key_jwt",
        metadata=ClientMetadata(
            security_profile="fapi2",
            jwks=held.jwks,
            dpop_bound_access_tokens=True,
            require_signed_request_object=True,
        ),
    )
    made.key, made.proof_key = held, served.keys["rsa"]
    return made


def claims_of(rp: RelyingParty, **changes: Any) -> dict[str, Any]:
    """What such a client signs: its request, and to whom and when it is said."""
    about = {"iss": rp.client_id, "aud": rp.served.issuer, "nbf": rp.now(), "exp": rp.now() + 300}
    claims = rp.request() | about | changes
    return {name: value for name, value in claims.items() if value is not None}


def pushed(rp: RelyingParty, claims: dict[str, Any], **more: str) -> Any:
    return rp.push({"client_id": rp.client_id, "request": rp.key.sign(claims)} | more)


@pytest.mark.parametrize(
    "changes",
    [
        lambda rp: {},
        lambda rp: {"aud": ["https://other.example.cn", rp.served.issuer]},
        lambda rp: {"nbf": rp.now() + 8},
    ],
    ids=["happy-flow", "multiple-aud", "nbf-8-seconds-in-the-future"],
)
def test_ensure_request_object_with_succeeds(
    signer: RelyingParty, signed_in: Any, changes: Callable[[RelyingParty], dict[str, Any]]
) -> None:
    """And nothing counts that stands beside what is signed."""
    claims = claims_of(signer, **changes(signer))
    answer = pushed(signer, claims, state="beside", scope="openid profile")
    assert answer.status_code == 201, answer.text
    landed = answer_of(signed_in.open(short(signer, answer.json()["request_uri"])))
    assert landed["state"] == claims["state"]
    told = signer.checked(signer.redeem(landed["code"]))
    assert told["claims"]["nonce"] == claims["nonce"]
    assert told["scope"] == "openid"


@pytest.mark.parametrize(
    "changes",
    [
        lambda rp: {"exp": None},
        lambda rp: {"nbf": None},
        lambda rp: {"nbf": rp.now() - 400, "exp": rp.now() - 100},
        lambda rp: {"aud": "https://other.example.cn"},
        lambda rp: {"exp": rp.now() + 70 * 60},
        lambda rp: {"nbf": rp.now() - 70 * 60},
        lambda rp: {"request_uri": "urn:ietf:params:oauth:request_uri:abc"},
    ],
    ids=[
        "without-exp", "without-nbf", "expired", "bad-aud", "exp-over-60", "nbf-over-60",
        "request_uri-inside",
    ],
)  # fmt: skip
def test_ensure_request_object_fails(
    signer: RelyingParty, changes: Callable[[RelyingParty], dict[str, Any]]
) -> None:
    refused(pushed(signer, claims_of(signer, **changes(signer))), "invalid_request_object")


def test_ensure_signed_request_object_with_rs256_fails(signer: RelyingParty) -> None:
    rsa = signer.served.keys["rsa"]
    token = rsa.sign(claims_of(signer), algorithm="RS256")
    refused(signer.push({"request": token}), "invalid_request_object")


def test_ensure_request_object_signature_algorithm_is_not_none(signer: RelyingParty) -> None:
    answer = signer.push({"request": unsigned(claims_of(signer))})
    refused(answer, "invalid_request_object", "request_not_supported")


def test_ensure_request_object_with_invalid_signature_fails(signer: RelyingParty) -> None:
    head, body, signature = signer.key.sign(claims_of(signer)).split(".")
    changed = ("A" if signature[0] != "A" else "B") + signature[1:]
    refused(signer.push({"request": f"{head}.{body}.{changed}"}), "invalid_request_object")


def test_ensure_matching_key_in_authorization_request(signer: RelyingParty) -> None:
    """Another client's key says nothing for this one."""
    token = signer.served.keys["two"].sign(claims_of(signer))
    refused(signer.push({"request": token}), "invalid_request_object")


def test_ensure_unsigned_request_at_par_endpoint_fails(signer: RelyingParty) -> None:
    refused(signer.push(signer.request()), "invalid_request")


def test_par_authorization_request_containing_request_uri(signer: RelyingParty) -> None:
    """Beside the request object; inside of it is among `ensure-request-object-fails`."""
    answer = pushed(signer, claims_of(signer), request_uri="urn:ietf:params:oauth:request_uri:a")
    refused(answer, "invalid_request")


def test_a_code_of_a_signed_request_is_bound_to_the_key_of_the_proof(
    signer: RelyingParty, signed_in: Any
) -> None:
    """RFC 9449, 10.1: as `ensure-token-endpoint-fails-with-mismatched-dpop-proof-jkt` for JAR."""
    for named in (None, jkt_of(signer, "rsa")):
        answer = pushed(signer, claims_of(signer, dpop_jkt=named))
        landed = answer_of(signed_in.open(short(signer, answer.json()["request_uri"])))
        other = signer.proof(signer.endpoint("token"), key=signer.served.keys["two"])
        refused(signer.redeem(landed["code"], proof=other), "invalid_dpop_proof", "invalid_grant")
        assert signer.redeem(landed["code"]).status_code == 200
    two_keys = pushed(signer, claims_of(signer, dpop_jkt=jkt_of(signer, "two")))
    refused(two_keys, "invalid_dpop_proof")
