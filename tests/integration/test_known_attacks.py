"""What was done to other providers, tried on this one; docs/attacks.md says which test is which."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from authn.config import LoginConfig
from authn.oidc import clientjws
from authn.oidc.clientmetadata import ClientMetadata
from core.errors import InvalidSignature, Malformed
from keystore.algorithms import KeyAlgorithm
from tests.fakes.authenticator import Authenticator
from tests.fakes.keys import memory_key
from tests.integration.provider import ISSUER, PASSWORD, House, build, csrf_of, flow, log_in
from tests.integration.test_login import bind, sign_challenge
from tests.integration.test_passkeys import HOST
from tests.integration.test_passkeys import enrol as enrol_passkey
from tests.integration.test_passkeys import use as use_passkey
from tests.integration.test_second_factors import change_password, code_of, enrol, step_up

SERVICE = "https://portal.example.cn/cas"
NEW = "an entirely new passphrase"


@pytest.fixture
def house(sqlite_database, audit, clock) -> House:
    login = LoginConfig(failures_per_address_per_minute=6)
    return build(
        sqlite_database,
        audit=audit,
        clock=clock,
        login=login,
        tls_login_url="https://cert.example.cn",
    )


# ---- finding 3: what is good once is good once, also for eight who come at the same moment ------


def _one_time_code(house: House) -> Callable[[], bool]:
    browser = house.browser()
    log_in(browser)
    secret, _ = enrol(house, browser)
    house.clock.advance(seconds=30)
    return _second_factor(house, code_of(house, secret))


def _recovery_code(house: House) -> Callable[[], bool]:
    browser = house.browser()
    log_in(browser)
    return _second_factor(house, enrol(house, browser)[1][0])


def _second_factor(house: House, code: str) -> Callable[[], bool]:
    ready = [house.browser() for _ in range(4)]
    for browser in ready:
        log_in(browser)
    return lambda: step_up(ready.pop(), code).status_code == 303


def _setup_link(house: House) -> Callable[[], bool]:
    users = house.provider.administration.users
    link = users.create_setup_link(users.find_by_name("zhang.wei"), actor="t")
    pages = []
    for _ in range(4):
        browser = house.browser()
        pages.append((browser, csrf_of(browser.get(f"/setup/{link}").text)))

    def use() -> bool:
        browser, csrf = pages.pop()
        fields = {"csrf": csrf, "password": NEW, "repeat": NEW}
        return browser.post(f"/setup/{link}", data=fields).status_code in (200, 303)

    return use


def _service_ticket(house: House) -> Callable[[], bool]:
    house.client(redirect_uris=[], metadata=ClientMetadata(cas_services=[SERVICE]))
    browser = house.browser()
    log_in(browser)
    sent = browser.get("/cas/login", params={"service": SERVICE}).headers["location"]
    (ticket,) = parse_qs(urlsplit(sent).query)["ticket"]
    asked = {"service": SERVICE, "ticket": ticket}
    return lambda: (
        "authenticationSuccess" in house.browser().get("/cas/p3/serviceValidate", params=asked).text
    )


def _signed_challenge(house: House) -> Callable[[], bool]:
    key = memory_key(KeyAlgorithm.EC_P256)
    house.verifier.add(b"certificate", key.key.public_key)
    user = house.provider.administration.users.find_by_name("zhang.wei")
    house.provider.certificates.bind_presented(user, [b"certificate"], actor="t")
    browser = house.browser()
    answer = sign_challenge(browser, key)
    cookie = {"cookie": "; ".join(f"{one.name}={one.value}" for one in browser.cookies.jar)}

    def send() -> bool:
        copied = house.browser()
        sent = copied.post("/api/v1/login/certificate", json=answer, headers=cookie)
        return sent.status_code == 200

    return send


def _pushed_request(house: House) -> Callable[[], bool]:
    request = flow(house.public_client().id)
    pushed = house.browser().post("/oidc/par", data=request.parameters).json()
    parameters = {"client_id": request.client_id, "request_uri": pushed["request_uri"]}
    ready = [house.browser() for _ in range(4)]
    for browser in ready:
        log_in(browser)

    def ask() -> bool:
        answer = ready.pop().get("/oidc/authorize", params=parameters)
        return "code=" in answer.headers.get("location", "")

    return ask


@pytest.mark.parametrize(
    "single_use",
    [
        _one_time_code,
        _recovery_code,
        _setup_link,
        _service_ticket,
        _signed_challenge,
        _pushed_request,
    ],
    ids=lambda make: make.__name__.strip("_").replace("_", " "),
)
def test_what_is_good_once_is_good_once_in_parallel(house, single_use):
    house.user()
    use = single_use(house)
    together, went = threading.Barrier(4), []

    def attempt() -> None:
        together.wait()
        went.append(use())

    threads = [threading.Thread(target=attempt) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(went) == [False, False, False, True]


# ---- lockout and rate limits at every check of a credential -------------------------------------


def _at_password_change(house: House) -> Callable[[str, bool], int]:
    house.user()

    def answer(address: str, right: bool) -> int:
        browser = house.browser(address=address)
        name = "zhang.wei" if right else "nobody"
        fields = {"csrf": csrf_of(browser.get("/login/password?next=/").text), "next": "/"}
        fields |= {"name": name, "old": PASSWORD, "password": NEW, "repeat": NEW}
        return browser.post("/login/password", data=fields).status_code

    return answer


def _at_certificate(house: House) -> Callable[[str, bool], int]:
    signer = bind(house, KeyAlgorithm.EC_P256)

    def answer(address: str, right: bool) -> int:
        browser = house.browser(address=address)
        signed = sign_challenge(browser, signer) | ({} if right else {"nonce": "n"})
        return browser.post("/api/v1/login/certificate", json=signed).status_code

    return answer


def _at_passkey(house: House) -> Callable[[str, bool], int]:
    house.user()
    owner, authenticator = house.browser(), Authenticator(ISSUER, HOST)
    log_in(owner)
    enrol_passkey(owner, authenticator)

    def answer(address: str, right: bool) -> int:
        browser = house.browser(address=address)
        if right:
            return use_passkey(browser, authenticator).status_code
        page = browser.get("/login/passkey")
        fields = {"csrf": csrf_of(page.text), "next": "/x", "credential": "{}"}
        return browser.post("/login/passkey", data=fields).status_code

    return answer


def _at_tls_ticket(house: House) -> Callable[[str, bool], int]:
    bind(house, KeyAlgorithm.EC_P256)

    def answer(address: str, right: bool) -> int:
        browser = house.browser(address=address)
        ticket = "x"
        if right:
            sent = browser.get("/login/tls?next=/").headers["location"]
            (nonce,) = parse_qs(urlsplit(sent).query)["nonce"]
            ticket = house.provider.tls_login.prove(nonce, b"certificate", address="192.0.2.9")
        return browser.get("/login/tls/finish", params={"ticket": ticket}).status_code

    return answer


@pytest.mark.parametrize(
    "check",
    [_at_password_change, _at_certificate, _at_passkey, _at_tls_ticket],
    ids=lambda make: make.__name__.removeprefix("_at_").replace("_", " "),
)
def test_an_address_that_guesses_has_to_wait(house, check):
    """The others: test_login.py, test_second_factors.py, test_upstream.py, oidf/test_more.py."""
    answer = check(house)
    wrong = [answer("192.0.2.1", False) for _ in range(7)]
    assert wrong[-1] == 429, wrong
    assert 429 not in wrong[:-1]
    assert answer("192.0.2.1", True) == 429
    assert answer("192.0.2.2", True) in (200, 303)


def test_five_wrong_passwords_at_the_change_lock_the_login(house):
    house.user()
    for _ in range(5):
        assert change_password(house.browser(), "wrong", NEW).status_code == 422
    assert log_in(house.browser()).status_code == 401
    house.clock.advance(minutes=15)
    assert log_in(house.browser()).status_code == 303


# ---- algorithms, critical extensions, keys that a token brings along ---------------------------


@pytest.fixture(scope="module")
def mine() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _jwk(key: ec.EllipticCurvePrivateKey, **more: str) -> dict[str, str]:
    return json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key())) | more


def test_nothing_but_a_registered_key_and_a_strong_algorithm_signs_for_a_client(mine):
    """Assertions, request objects and DPoP proofs are all read by `authn.oidc.clientjws`."""
    theirs = ec.generate_private_key(ec.SECP256R1())
    registered = [_jwk(mine, kid="1", alg="ES256", use="sig")]
    claims = {"iss": "oa"}
    good = jwt.encode(claims, mine, algorithm="ES256", headers={"kid": "1"})
    assert clientjws.verify(good, registered, clientjws.ALL).claims == claims

    pem = mine.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    der = mine.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    certificate = base64.b64encode(der).decode()
    forged = [
        jwt.encode(claims, "", algorithm="none"),
        _hmac(claims, pem),
        _hmac(claims, json.dumps(registered[0]).encode()),
        *(
            jwt.encode(claims, theirs, algorithm="ES256", headers=headers)
            for headers in (
                {"kid": "1"},
                {"jwk": _jwk(theirs)},
                {"jku": "https://evil.example/jwks"},
                {"x5u": "https://evil.example/x5c"},
                {"x5c": [certificate]},
                {"kid": "../../dev/null"},
            )
        ),
        *(
            jwt.encode(claims, mine, algorithm="ES256", headers={"kid": "1", **extension})
            for extension in ({"crit": ["exp"], "exp": 1}, {"crit": []}, {"b64": False})
        ),
        jwt.encode(claims, rsa.generate_private_key(65537, 2048), algorithm="RS256"),
        f"{good}.",
        good.replace(".", "..", 1),
        f"{good[:-4]}AAAA",
        f"{good[:-1]}={good[-1]}",
        "a" * (clientjws.MOST_CHARACTERS + 1),
    ]
    for token in forged:
        with pytest.raises((Malformed, InvalidSignature)):
            clientjws.verify(token, registered, clientjws.ALL)
    other_use = [registered[0] | {"use": "enc"}], [registered[0] | {"alg": "PS256"}]
    for keys in other_use:
        with pytest.raises(InvalidSignature):
            clientjws.verify(good, keys, clientjws.ALL)
    with pytest.raises(Malformed, match="algorithm"):
        clientjws.verify(good, registered, ("PS256",))


def _hmac(claims: dict[str, str], secret: bytes) -> str:
    # PyJWT itself refuses to make it with a key that looks like a public one.
    jws = jwt.PyJWS(algorithms=[])
    jws.register_algorithm("HS256", _AnySecret(jwt.algorithms.HMACAlgorithm.SHA256))
    return jws.encode(json.dumps(claims).encode(), secret, algorithm="HS256")


class _AnySecret(jwt.algorithms.HMACAlgorithm):
    def prepare_key(self, key: bytes) -> bytes:
        return key


# ---- finding 4: headers that a stranger may write -----------------------------------------------


def test_no_header_of_a_request_moves_an_address_of_ours(house):
    house.user()
    client = house.public_client(metadata=ClientMetadata(grant_types=("authorization_code",)))
    lies = {
        "host": "evil.example",
        "x-forwarded-host": "evil.example",
        "x-forwarded-proto": "http",
        "x-forwarded-for": "203.0.113.9",
        "forwarded": "host=evil.example;proto=http;for=203.0.113.9",
        "x-original-url": "/console",
        "x-real-ip": "203.0.113.9",
    }
    browser = house.browser()
    document = browser.get("/.well-known/openid-configuration", headers=lies)
    assert "evil" not in document.text
    assert document.json()["issuer"] == ISSUER
    sent = browser.get(flow(client.id).path, headers=lies)
    assert sent.status_code == 303
    assert "evil" not in sent.headers["location"]
    page = browser.get(sent.headers["location"], headers=lies)
    assert "evil" not in page.text
    fields = {"csrf": csrf_of(page.text), "name": "zhang.wei", "password": "wrong", "next": "/"}
    assert browser.post("/login", data=fields, headers=lies).status_code == 401
    assert house.audit.events[-1][2]["address"] == "192.0.2.1"


@pytest.mark.parametrize(
    "header", ["remote-user", "x-remote-user", "x-yinxin-client-certificate", "x-ssl-client-cert"]
)
def test_nobody_is_whom_a_header_says(house, header):
    house.user()
    browser = house.browser()
    assert browser.get("/", headers={header: "zhang.wei"}).status_code == 303
    assert browser.get("/api/v1/users", headers={header: "zhang.wei"}).status_code == 401
    gate = {"x-forwarded-host": "old.example.cn", header: "zhang.wei"}
    assert browser.get("/gate/check", headers=gate).status_code == 401
