"""The small parts of the provider, one by one."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from authn.config import AuthnConfig
from authn.oidc import checks
from authn.oidc.caller import Caller
from authn.oidc.checks import CHECKS
from authn.oidc.clientauth import ClientAuthentication
from authn.oidc.clientkeys import ClientKeys
from authn.oidc.clientmetadata import GrantType
from authn.oidc.discovery import metadata
from authn.oidc.draft import Sources, draft
from authn.oidc.errors import InvalidClient, OAuthError
from authn.oidc.issuers import Issuer
from authn.oidc.jwt import PublishedKey, SigningKeys, half_hash
from authn.oidc.pushed import PushedRequests
from authn.oidc.redirects import check_redirect_uri
from authn.oidc.requestobject import RequestObjects
from authn.oidc.store import AuthMethod, Client, IDTokenAlgorithm
from core.errors import BackendUnavailable, Malformed, Misconfigured, Refused
from keystore import keyref
from keystore.algorithms import KeyAlgorithm
from tests.fakes.clock import FakeClock
from tests.fakes.keys import MemoryKeyBackend, memory_key
from yinxin.portal.next_path import own_path
from yinxin.portal.words import choose_language, words_of

ISSUER = "https://ca.example.cn"


def published(*signers) -> SigningKeys:
    return SigningKeys([PublishedKey(signer) for signer in signers])


@pytest.fixture(scope="module")
def keys() -> SigningKeys:
    return published(memory_key(KeyAlgorithm.EC_P256), memory_key(KeyAlgorithm.RSA_2048))


class MemoryClientStore:
    def __init__(self, *clients: Client) -> None:
        self._clients = {client.id: client for client in clients}

    def find(self, client_id: str) -> Client | None:
        return self._clients.get(client_id)

    recall = find


CLIENT = Client(
    id="oa-1",
    name="OA",
    secret_digest=None,
    auth_method=AuthMethod.NONE,
    redirect_uris=("https://oa.example.cn/cb",),
    post_logout_redirect_uris=(),
    scopes=frozenset({"openid"}),
    id_token_algorithm=IDTokenAlgorithm.ES256,
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
)


SOURCES = Sources(
    MemoryClientStore(CLIENT),
    PushedRequests(None, clock=FakeClock()),
    RequestObjects(
        ClientKeys(None, clock=FakeClock()), issuer=lambda _client: ISSUER, clock=FakeClock()
    ),
)


# ---- keys ---------------------------------------------------------------------------------------


def test_a_key_id_is_the_thumbprint_of_the_key(keys):
    from joserfc.jwk import KeySet

    for key in KeySet.import_key_set(json.loads(keys.jwks)).keys:
        assert key.kid == key.thumbprint()


def test_the_key_set_names_use_and_algorithm_and_nothing_private(keys):
    members = {frozenset(key) for key in json.loads(keys.jwks)["keys"]}
    assert members == {
        frozenset({"kty", "crv", "x", "y", "kid", "use", "alg"}),
        frozenset({"kty", "n", "e", "kid", "use", "alg"}),
    }


def test_an_sm2_key_never_enters_the_key_set():
    with pytest.raises(Misconfigured, match="sm2"):
        published(memory_key(KeyAlgorithm.RSA_2048), memory_key(KeyAlgorithm.SM2))


def test_a_provider_without_rs256_does_not_start():
    with pytest.raises(Misconfigured, match="RS256"):
        published(memory_key(KeyAlgorithm.EC_P256))


def test_a_second_key_of_an_algorithm_is_published_and_verifies_but_does_not_sign():
    backend = MemoryKeyBackend()
    signers = []
    for number in range(2):
        ref = keyref.make("memory", object=f"oidc-{number}")
        backend.generate(ref, KeyAlgorithm.EC_P256)
        signers.append(backend.signer(ref))
    rsa = memory_key(KeyAlgorithm.RSA_2048)
    before = published(signers[0], rsa)
    token = before.sign({"iss": ISSUER, "sub": "u"}, IDTokenAlgorithm.ES256)
    after = published(signers[1], signers[0], rsa)
    assert after.read_hint(token, issuer=ISSUER)["sub"] == "u"
    backend.signed.clear()
    after.sign({"iss": ISSUER}, IDTokenAlgorithm.ES256)
    assert [ref for ref, _ in backend.signed] == [signers[1].key.ref]


def test_a_key_that_cannot_be_reached_is_an_error_and_not_a_token():
    backend = MemoryKeyBackend()
    ref = keyref.make("memory", object="oidc")
    backend.generate(ref, KeyAlgorithm.EC_P256)
    keys = published(backend.signer(ref), memory_key(KeyAlgorithm.RSA_2048))
    backend.broken = True
    with pytest.raises(BackendUnavailable):
        keys.sign({}, IDTokenAlgorithm.ES256)


@pytest.mark.parametrize("spoil", ["issuer", "signature", "none", "kid", "garbage", "empty"])
def test_a_hint_that_we_did_not_sign_is_refused(keys, spoil):
    token = keys.sign({"iss": ISSUER, "sub": "u"}, IDTokenAlgorithm.ES256)
    header, payload, signature = token.split(".")
    hints = {
        "issuer": token,
        "signature": f"{header}.{payload}.{signature[:-4]}AAAA",
        "none": f"eyJhbGciOiJub25lIn0.{payload}.",
        "kid": f"eyJhbGciOiJFUzI1NiIsImtpZCI6IngifQ.{payload}.{signature}",
        "garbage": "a.b.c",
        "empty": "",
    }
    with pytest.raises(Malformed):
        keys.read_hint(hints[spoil], issuer="https://other" if spoil == "issuer" else ISSUER)


def test_at_hash_is_the_value_of_the_specification():
    # OIDC Core, A.4: the access token and at_hash of the example.
    hashed = half_hash("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y", IDTokenAlgorithm.ES256)
    assert hashed == "77QmUPtjPfzWtF2AnpK9RQ"


# ---- checks -------------------------------------------------------------------------------------


def test_nothing_is_sent_to_a_client_before_its_address_is_known():
    first = CHECKS[:4]
    assert (first[0], first[3]) == (checks.check_client, checks.check_redirect_uri)
    for check in (first[0], first[3]):
        request = draft([("client_id", "evil")], SOURCES)
        with pytest.raises(OAuthError):
            check(request)
        assert request.redirect_uri is None


def test_a_good_request_passes_every_check():
    fields = [
        ("client_id", "oa-1"),
        ("redirect_uri", "https://oa.example.cn/cb"),
        ("response_type", "code"),
        ("scope", "openid offline_access"),
        ("code_challenge", "x" * 43),
        ("code_challenge_method", "S256"),
        ("unknown", "ignored"),
    ]
    request = draft(fields, SOURCES)
    for check in CHECKS:
        check(request)
    assert request.scope == "openid"


@pytest.mark.parametrize(
    "uri",
    [
        "https://oa.example.cn/cb",
        "https://oa.example.cn:8443/cb?tenant=1",
        "http://127.0.0.1:8080/cb",
        "http://[::1]:8080/cb",
        "http://localhost/cb",
    ],
)
def test_these_redirect_uris_can_be_registered(uri):
    assert check_redirect_uri(uri) == uri


@pytest.mark.parametrize(
    "uri",
    [
        "http://oa.example.cn/cb",
        "https://*.example.cn/cb",
        "https://oa.example.cn/*",
        "https://oa.example.cn/cb#f",
        "https://user@oa.example.cn/cb",
        "https://127.0.0.1@evil.example/cb",
        "http://localhost.evil.example/cb",
        "http://127.0.0.1.evil.example/cb",
        "https://oa.example.cn\\@evil.example/cb",
        "https://oa.example.cn/c b",
        "https://oa.example.cn/\r\nX: y",
        "https:///cb",
        "https://oa.example.cn:port/cb",
        "https://[::1/cb",
        "javascript:alert(1)",
        "data:text/html,x",
        "oa://cb",
        "/cb",
        "",
        "https://办公.example.cn/cb",
    ],
)
def test_these_redirect_uris_cannot(uri):
    with pytest.raises(Refused):
        check_redirect_uri(uri)


@pytest.mark.parametrize(
    "header",
    ["Bearer x", "Basic", "Basic !!!", "Basic bm9jb2xvbg==", "Basic /w=="],
)
def test_a_broken_authorization_header_is_an_unknown_client(header):
    with pytest.raises(InvalidClient):
        ClientAuthentication(MemoryClientStore(CLIENT), None, None, clock=FakeClock()).authenticate(
            Caller(authorization=header), {}
        )


def test_discovery_promises_only_what_there_is(keys):
    document = metadata(Issuer(ISSUER, keys), ISSUER, list(GrantType))
    assert document["response_types_supported"] == ["code"]
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert set(document["id_token_signing_alg_values_supported"]) == {"ES256", "RS256"}
    assert all(
        value.startswith(ISSUER + "/")
        for name, value in document.items()
        if name.endswith(("_endpoint", "_uri"))
    )


@pytest.mark.parametrize(
    "issuer",
    [
        "http://ca.example.cn",
        "https://ca.example.cn/",
        "https://ca.example.cn/x",
        "https://",
        "x",
        "https://u@ca.example.cn",
        "https://ca.example.cn?x",
    ],
)
def test_the_issuer_is_an_https_origin(issuer):
    with pytest.raises(ValidationError, match=r"authn\.issuer"):
        AuthnConfig(issuer=issuer)


# ---- portal -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/oidc/authorize?client_id=a&scope=openid+email", "/a%2Fb"])
def test_our_own_paths_are_followed(path):
    assert own_path(path) == path


@pytest.mark.parametrize(
    "path",
    ["", "x", "//e", "/\\e", "\\\\e", "https://e", " //e", "/\t/e", "/a\n", "/\x00", "/é", "/<"],
)
def test_everything_else_leads_home(path):
    assert own_path(path) == "/"


@pytest.mark.parametrize(
    ("cookie", "header", "language"),
    [
        (None, "", "zh"),
        (None, "fr,de;q=0.5", "zh"),
        (None, "en-GB,en;q=0.9,zh;q=0.8", "en"),
        (None, "en;q=0.5,zh-CN", "zh"),
        (None, "en;q=x,zh;q=0.1", "zh"),
        ("en", "zh", "en"),
        ("fr", "zh", "zh"),
    ],
)
def test_the_language_is_chosen(cookie, header, language):
    assert choose_language(cookie, header) == language


def test_both_languages_say_everything():
    chinese, english = words_of("zh"), words_of("en")
    assert chinese.keys() == english.keys()
    assert all(text.strip() for text in [*chinese.values(), *english.values()])
