"""What strangers send to the provider: parsed, or refused with our own errors."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authn.answers import parse_base64, parse_certificates
from authn.certlogin import verify_answer
from authn.forms import parse_fields
from authn.oidc.caller import Caller
from authn.oidc.checks import CHECKS
from authn.oidc.clientauth import ClientAuthentication
from authn.oidc.draft import draft
from authn.oidc.errors import OAuthError
from authn.oidc.jwt import PublishedKey, SigningKeys
from authn.oidc.redirects import check_redirect_uri
from authn.users import fold_name
from core.errors import InvalidSignature, Malformed, Refused
from keystore.algorithms import KeyAlgorithm
from tests.fakes.clock import FakeClock
from tests.fakes.keys import memory_key
from tests.unit.authn.test_oidc_parts import CLIENT, SOURCES, MemoryClientStore
from yinxin.portal.next_path import own_path
from yinxin.portal.words import choose_language

CLIENTS = MemoryClientStore(CLIENT)
NAMES = st.sampled_from(
    ["client_id", "redirect_uri", "scope", "prompt", "max_age", "state", "response_type", "nonce"]
)
VALUES = st.one_of(
    st.text(max_size=40), st.sampled_from(["oa-1", CLIENT.redirect_uris[0], "code", "openid"])
)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=12))
def test_every_authorization_request_passes_or_fails_in_oauth_words(fields):
    request = draft(fields, SOURCES)
    try:
        for check in CHECKS:
            check(request)
    except OAuthError:
        assert request.redirect_uri in (None, *CLIENT.redirect_uris)


_URLENCODED = st.text(alphabet="abAB09=&+%;#?é\0 ", max_size=60).map(str.encode)


@given(st.one_of(st.binary(max_size=200), _URLENCODED))
def test_fields_are_parsed_as_the_standard_library_parses_them_or_malformed(octets):
    try:
        expected = parse_qsl(octets.decode("ascii"), errors="strict", max_num_fields=64)
    except ValueError:
        with pytest.raises(Malformed):
            parse_fields(octets)
    else:
        assert parse_fields(octets) == expected


def test_sixty_four_fields_are_taken_and_no_more():
    assert len(parse_fields(b"&".join([b"a=b"] * 64))) == 64
    with pytest.raises(Malformed):
        parse_fields(b"&".join([b"a=b"] * 65))


@given(st.lists(st.tuples(st.text(min_size=1), st.text(min_size=1)), max_size=10))
def test_fields_round_trip(fields):
    encodable = [(name, value) for name, value in fields if (name + value).isprintable()]
    assert list(parse_fields(urlencode(encodable).encode())) == encodable


@given(st.text(max_size=60))
def test_any_authorization_header_is_a_client_or_an_oauth_error(header):
    try:
        ClientAuthentication(CLIENTS, None, None, clock=FakeClock()).authenticate(
            Caller(authorization=header), {"client_id": "oa-1"}
        )
    except OAuthError:
        return
    raise AssertionError("a public client authenticated by a header")


@given(st.text(max_size=80))
def test_an_accepted_next_path_stays_on_our_origin(text):
    home = "https://ca.example.cn"
    joined = urlsplit(urljoin(home, own_path(text)))
    assert (joined.scheme, joined.netloc) == ("https", "ca.example.cn")


@given(st.text(max_size=80))
def test_an_accepted_redirect_uri_has_a_host_and_no_surprises(text):
    for uri in (text, f"https://{text}", f"http://127.0.0.1{text}"):
        try:
            parts = urlsplit(check_redirect_uri(uri))
        except Refused:
            continue
        assert parts.hostname
        assert parts.username is None
        assert parts.scheme == "https" or parts.hostname in ("127.0.0.1", "::1", "localhost")


@given(st.text(max_size=200))
def test_pasted_certificates_are_parsed_or_malformed(text):
    for parse in (parse_certificates, lambda value: parse_base64(value, what="it")):
        try:
            parse(text)
        except Malformed:
            continue


@given(st.binary(max_size=80))
def test_no_made_up_signature_answers_a_challenge(signature):
    for algorithm in (KeyAlgorithm.SM2, KeyAlgorithm.EC_P256, KeyAlgorithm.RSA_2048):
        try:
            verify_answer(memory_key(algorithm).key.public_key, b"message", signature)
        except (InvalidSignature, Malformed):
            continue
        raise AssertionError("a made-up signature was accepted")


@given(st.text(max_size=120))
def test_a_made_up_hint_is_malformed(token):
    keys = SigningKeys([PublishedKey(memory_key(KeyAlgorithm.RSA_2048))])
    try:
        keys.read_hint(token, issuer="https://ca.example.cn")
    except Malformed:
        return
    raise AssertionError("a made-up token was accepted")


@given(st.text(max_size=80))
def test_names_fold_to_a_fixed_point_or_are_malformed(text):
    try:
        folded = fold_name(text)
    except Malformed:
        return
    assert fold_name(folded) == folded


@given(st.text(max_size=60))
def test_any_language_header_gives_a_language(header):
    assert choose_language(None, header) in ("zh", "en")
