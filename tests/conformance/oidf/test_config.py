"""Plan `oidcc-config-certification-test-plan`."""

from __future__ import annotations

import re

import pytest

pytestmark = pytest.mark.judge

ISSUED = ["authorization", "token", "userinfo", "revocation", "introspection", "end_session"]


def test_oidcc_discovery_endpoint_verification(rp, served):
    answer = rp.call("GET", f"{served.issuer}/.well-known/openid-configuration")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/json")
    document = answer.json()
    assert document["issuer"] == served.issuer
    assert document["response_types_supported"] == ["code"]
    assert set(document["subject_types_supported"]) == {"pairwise", "public"}
    assert "RS256" in document["id_token_signing_alg_values_supported"]
    assert "RS256" in document["request_object_signing_alg_values_supported"]
    assert "openid" in document["scopes_supported"]
    assert document["claims_parameter_supported"] is True
    assert document["request_parameter_supported"] is True
    assert document["request_uri_parameter_supported"] is False
    assert {"sub", "name", "email"} <= set(document["claims_supported"])
    assert {"authorization_code", "refresh_token"} <= set(document["grant_types_supported"])
    assert isinstance(document["code_challenge_methods_supported"], list)
    for name in ISSUED:
        assert document[f"{name}_endpoint"].startswith("https://")
    endpoints = [name for name in document if name.endswith("_endpoint")]
    assert all(document[name].startswith(served.issuer + "/") for name in endpoints)
    assert "#" not in document["issuer"]
    assert "?" not in document["issuer"]
    for name, value in document.items():
        if name.endswith("_supported") and not isinstance(value, bool):
            assert isinstance(value, list), name
            assert value, name
            assert len(set(value)) == len(value), name
    assert {"ui_locales_supported"} <= document.keys()
    tags = document["ui_locales_supported"]
    assert all(re.fullmatch(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-[A-Z]{2})?", tag) for tag in tags)
    assert all(re.fullmatch(r"[\x21\x23-\x5b\x5d-\x7e]+", s) for s in document["scopes_supported"])
    oauth = rp.call("GET", f"{served.issuer}/.well-known/oauth-authorization-server")
    assert oauth.json() == document  # RFC 8414, 3
    keys = rp.call("GET", document["jwks_uri"]).json()["keys"]
    assert {key["alg"] for key in keys} == set(document["id_token_signing_alg_values_supported"])
