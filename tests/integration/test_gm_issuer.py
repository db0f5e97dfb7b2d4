"""The issuer for Chinese algorithms, beside the ordinary one that nobody notices."""

from __future__ import annotations

import base64
import json
import re
from html import unescape
from urllib.parse import parse_qs

import jwt
import pytest
from gmssl import func, sm3

from authn.config import GMConfig
from authn.oidc.clientmetadata import ClientMetadata
from authn.oidc.store import AuthMethod, IDTokenAlgorithm
from core.errors import Malformed
from keystore import sm2, sm2_forms, sm4
from tests.integration.provider import ISSUER, answer_of, build, flow, log_in, redeem
from tests.judges.node import verify_sm2
from tests.judges.octets import Signed

GM = f"{ISSUER}/gm"
SM2 = IDTokenAlgorithm.SM2


def decoded(text: str) -> bytes:
    return jwt.utils.base64url_decode(text)


def encoded(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


@pytest.fixture
def house(sqlite_database, audit, clock):
    return build(sqlite_database, audit=audit, clock=clock, gm=GMConfig(enabled=True))


@pytest.fixture
def browser(house):
    house.user()
    browser = house.browser()
    log_in(browser)
    return browser


def enter(browser, client):
    request = flow(client.id)
    answer = answer_of(browser.get(request.path))
    return answer, redeem(browser, request, answer["code"]).json()


def test_the_second_issuer_describes_itself(house):
    browser = house.browser()
    document = browser.get("/gm/.well-known/openid-configuration").json()
    assert document["issuer"] == GM
    # RFC 8414, 3: there the path of the issuer comes last.
    assert browser.get("/.well-known/oauth-authorization-server/gm").json() == document
    assert document["jwks_uri"] == f"{GM}/oidc/jwks"
    assert document["id_token_signing_alg_values_supported"] == ["SGD_SM3_SM2"]
    assert document["id_token_encryption_alg_values_supported"] == ["SGD_SM2_3"]
    assert document["id_token_encryption_enc_values_supported"] == ["SGD_SM4_GCM"]


def test_a_token_with_chinese_algorithms_is_good_to_a_judge(house, browser):
    client = house.public_client(id_token_algorithm=SM2)
    answer, tokens = enter(browser, client)
    assert answer["iss"] == GM
    head, body, tail = tokens["id_token"].split(".")
    header, claims = json.loads(decoded(head)), json.loads(decoded(body))
    (jwk,) = browser.get("/gm/oidc/jwks").json()["keys"]
    assert (header["alg"], header["kid"]) == ("SGD_SM3_SM2", jwk["kid"])
    assert (jwk["alg"], jwk["use"], jwk["crv"]) == ("SGD_SM3_SM2", "sig", "SM2-P-256")
    point = b"\x04" + decoded(jwk["x"]) + decoded(jwk["y"])
    signature = sm2_forms.signature_from_raw(decoded(tail))
    # The judge: npm's sm-crypto, with the standard's identity.
    verify_sm2([(Signed(f"{head}.{body}".encode(), signature), point)])
    assert claims["iss"] == GM
    hashed = sm3.sm3_hash(func.bytes_to_list(tokens["access_token"].encode()))
    assert claims["at_hash"] == encoded(bytes.fromhex(hashed)[:16])


def test_the_ordinary_issuer_is_as_it_was(house, browser):
    client = house.public_client()
    answer, tokens = enter(browser, client)
    assert answer["iss"] == ISSUER
    keys = browser.get("/oidc/jwks").json()
    assert [key["alg"] for key in keys["keys"]] == ["ES256", "RS256"]
    assert "SM2" not in json.dumps(browser.get("/.well-known/openid-configuration").json())
    key = jwt.PyJWKSet.from_dict(keys)[jwt.get_unverified_header(tokens["id_token"])["kid"]]
    claims = jwt.decode(
        tokens["id_token"],
        key,
        algorithms=["ES256"],
        audience=client.id,
        options={"verify_exp": False},
    )
    assert claims["iss"] == ISSUER


@pytest.mark.parametrize("form", ["der", "raw"])
def test_an_encrypted_id_token_opens_with_the_key_of_the_client(
    sqlite_database, audit, clock, form
):
    gm = GMConfig(enabled=True, ciphertext=form)
    house = build(sqlite_database, audit=audit, clock=clock, gm=gm)
    house.user()
    browser = house.browser()
    log_in(browser)
    private = sm2.PrivateKey.generate()
    point = sm2_forms.point_of_spki(private.public_key)
    jwk = {"kty": "EC", "crv": "SM2-P-256", "use": "enc", "kid": "k1"}
    jwk |= {"x": encoded(point[1:33]), "y": encoded(point[33:])}
    client = house.public_client(
        id_token_algorithm=SM2,
        metadata=ClientMetadata(
            jwks={"keys": [jwk]},
            id_token_encrypted_response_alg="SGD_SM2_3",
            id_token_encrypted_response_enc="SGD_SM4_GCM",
        ),
    )
    token = enter(browser, client)[1]["id_token"]
    protected, sealed_key, nonce, text, tag = token.split(".")
    header = json.loads(decoded(protected))
    assert header == {"alg": "SGD_SM2_3", "enc": "SGD_SM4_GCM", "cty": "JWT", "kid": "k1"}
    ciphertext = decoded(sealed_key)
    if form == "raw":
        ciphertext = sm2_forms.cipher_from_raw(ciphertext[1:])
    content_key = private.decrypt(ciphertext)
    sealed = b"".join(map(decoded, (nonce, text, tag)))
    signed = sm4.unseal(content_key, sealed, about=protected.encode()).decode()
    claims = json.loads(decoded(signed.split(".")[1]))
    assert claims["iss"] == GM
    assert claims["aud"] == client.id


def test_a_logout_token_of_a_chinese_client_comes_from_its_issuer(house, browser):
    client = house.public_client(
        id_token_algorithm=SM2,
        metadata=ClientMetadata(backchannel_logout_uri="https://localhost:1/bc"),
    )
    hint = enter(browser, client)[1]["id_token"]
    from authn.logout.sqlstore import SQLDeliveryQueue

    gone = browser.get("/oidc/logout", params={"id_token_hint": hint})
    assert gone.status_code == 200
    sender = house.provider.sender
    queue: SQLDeliveryQueue = sender._queue
    (delivery,) = queue.list_due(house.clock.now(), limit=1, busy=[])
    token = sender._messages.form_of(delivery)["logout_token"]
    assert json.loads(decoded(token.split(".")[0]))["alg"] == "SGD_SM3_SM2"
    assert json.loads(decoded(token.split(".")[1]))["iss"] == GM


def test_both_issuers_say_in_a_frame_who_they_are(house, browser):
    """Front-Channel Logout 1.0, 2: `iss` is the issuer that the application knows."""
    frame = "https://oa.example.cn/frontchannel"
    chinese = f"{frame}/gm"
    hints = [
        enter(browser, house.public_client(metadata=metadata, **how))[1]["id_token"]
        for metadata, how in (
            (ClientMetadata(frontchannel_logout_uri=frame), {}),
            (ClientMetadata(frontchannel_logout_uri=chinese), {"id_token_algorithm": SM2}),
        )
    ]
    page = unescape(browser.get("/oidc/logout", params={"id_token_hint": hints[0]}).text)
    asked = dict(re.findall(r'<iframe class="unseen" src="([^?"]*)\?([^"]*)"', page))
    issuers = {address: parse_qs(query)["iss"] for address, query in asked.items()}
    assert issuers == {frame: [ISSUER], chinese: [GM]}


def test_nobody_is_kept_from_logging_out_when_the_issuer_was_turned_off(
    house, browser, sqlite_database, audit, clock
):
    frame = "https://oa.example.cn/frontchannel"
    metadata = ClientMetadata(frontchannel_logout_uri=frame)
    enter(browser, house.public_client(metadata=metadata, id_token_algorithm=SM2))
    ordinary = house.public_client()
    hint = enter(browser, ordinary)[1]["id_token"]
    off = build(sqlite_database, audit=audit, clock=clock, keystore=house.keystore).browser()
    off.cookies.update(browser.cookies)
    page = off.get("/oidc/logout", params={"id_token_hint": hint})
    assert page.status_code == 200
    assert frame not in page.text
    silent = answer_of(off.get(flow(ordinary.id, prompt="none").path))
    assert silent["error"] == "login_required"


@pytest.mark.parametrize(
    "changes",
    [
        {"x": "AAAA"},
        {"x": "!"},
        {"crv": "P-256"},
        {"x": encoded(b"\x01" * 32), "y": encoded(b"\x02" * 32)},
    ],
)
def test_a_client_without_a_good_key_cannot_ask_for_encryption(house, changes):
    jwk = {"kty": "EC", "crv": "SM2-P-256", "x": encoded(b"\x01" * 32), "y": encoded(b"\x03" * 32)}
    with pytest.raises(Malformed):
        house.public_client(
            id_token_algorithm=SM2,
            metadata=ClientMetadata(
                jwks={"keys": [jwk | changes]},
                id_token_encrypted_response_alg="SGD_SM2_3",
                id_token_encrypted_response_enc="SGD_SM4_GCM",
            ),
        )


def signed_by_client(private, head: dict, claims: dict) -> str:
    """A JWS as a client of SM2 makes it: r and s."""
    text = ".".join(encoded(json.dumps(part).encode()) for part in (head, claims))
    r, s = sm2_forms.decode_signature(private.sign(text.encode()))
    return f"{text}.{encoded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def test_a_client_authenticates_and_asks_with_sm2(house, browser, clock):
    private = sm2.PrivateKey.generate()
    point = sm2_forms.point_of_spki(private.public_key)
    jwk = {"kty": "EC", "crv": "SM2-P-256", "use": "sig", "kid": "k1"}
    jwk |= {"x": encoded(point[1:33]), "y": encoded(point[33:])}
    client, _ = house.client(
        id_token_algorithm=SM2,
        auth_method=AuthMethod.PRIVATE_KEY_JWT,
        metadata=ClientMetadata(jwks={"keys": [jwk]}),
    )
    now = int(clock.now().timestamp())
    request = flow(client.id)
    asked = {**request.parameters, "iss": client.id, "aud": GM, "exp": now + 60}
    head = {"alg": "SGD_SM3_SM2", "kid": "k1"}
    by_value = signed_by_client(private, head | {"typ": "oauth-authz-req+jwt"}, asked)
    answer = answer_of(
        browser.get("/oidc/authorize", params={"client_id": client.id, "request": by_value})
    )
    assert answer["iss"] == GM

    def assertion(audience: str, jti: str) -> dict[str, str]:
        claims = {"iss": client.id, "sub": client.id, "aud": audience, "jti": jti}
        claims |= {"exp": now + 60, "iat": now}
        kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        token = signed_by_client(private, head, claims)
        return {"client_assertion_type": kind, "client_assertion": token}

    refused = redeem(browser, request, answer["code"], **assertion(ISSUER, "1"))
    assert refused.json()["error"] == "invalid_client"
    tokens = redeem(browser, request, answer["code"], **assertion(GM, "2"))
    assert tokens.status_code == 200, tokens.text
