"""A CA whose keys are in SoftHSM2: what `pkcs11-tool` says of them, and that the CA works."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests

from keystore import pin
from keystore.backends.pkcs11 import open_token
from keystore.registry import KeyStore
from tests import keystore_softhsm as softhsm
from tests.conformance.administrator import Administrator
from tests.conformance.browser import Browser
from tests.conformance.hierarchy import Hierarchy
from tests.conformance.openssl_hierarchy import OpenSSLHierarchy
from tests.conformance.people import PASSWORD, authorization, redeem
from tests.judges import openssl
from tests.service import Service

pytestmark = [pytest.mark.judge, pytest.mark.hsm]

softhsm_token = softhsm.softhsm_token  # a fixture

_NEVER_OUT = "sensitive, always sensitive, never extractable, local"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that made its RSA hierarchy on a new token at its first start."""
    directory = tmp_path_factory.mktemp("hsm")
    tokens, configuration = directory / "tokens", directory / "softhsm2.conf"
    tokens.mkdir()
    configuration.write_text(f"directories.tokendir = {tokens}\nlog.level = ERROR\n")
    reference = f"pkcs11:token={softhsm.LABEL};object={{name}}"
    environment = {
        "SOFTHSM2_CONF": str(configuration),
        "YINXIN_PKCS11_PIN": softhsm.PIN,
        "YINXIN_KEYSTORE__PKCS11__MODULE": f'"{softhsm.module()}"',
        "YINXIN_KEYSTORE__PKCS11__TOKEN": f'"{softhsm.LABEL}"',
        "YINXIN_FIRST_START__RSA_KEY": f'"{reference}"',
        "YINXIN_AUTHN__OIDC__SIGNING_KEY": f'"{reference}"',
        # SoftHSM has no SM2, so only the RSA hierarchy's responders can live in the token.
        "YINXIN_REVOCATION__OCSP__SIGNER_KEY_OF": (
            f'{{rsa-root = "{reference}", rsa-issuing = "{reference}"}}'
        ),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(configuration))
        softhsm.initialise()
    running = Service(directory / "state", environment).start()
    yield running
    running.stop()


def test_pkcs11_tool_shows_the_ca_keys_as_never_extractable(service: Service) -> None:
    shown = _private_keys(service.environment["SOFTHSM2_CONF"])
    assert {"rsa-root", "rsa-issuing"} <= set(shown)
    assert {label.rsplit("-", 2)[0] for label in shown if label.startswith("ocsp-")} == {
        "ocsp-rsa-root",
        "ocsp-rsa-issuing",
    }
    assert set(shown.values()) == {_NEVER_OUT}


def test_issuing_and_ocsp_work_with_the_ca_key_in_the_token(
    service: Service, tmp_path: Path
) -> None:
    administrator, ocsp = Administrator(service), f"{service.revocation_url}/ocsp"
    certified = administrator.issue(OpenSSLHierarchy(tmp_path, "rsa").csr, hierarchy="rsa")
    openssl.verify_path(*certified.path, sm2=False)
    assert openssl.ask_ocsp(ocsp, *certified.path) == "good"
    administrator.revoke(certified)
    assert openssl.ask_ocsp(ocsp, *certified.path) == "revoked"
    crl = administrator.download("/crl/rsa-issuing.crl")
    openssl.verify_crl(crl, issuer=certified.path[1])


def test_id_tokens_are_signed_in_the_token_and_verified_by_what_is_published(
    service: Service,
) -> None:
    """Logins at two relying parties, whose tokens are signed with ES256 and RS256."""
    link = re.search(rf"business +({service.url}/setup/\S+)", service.log.read_text())
    assert link is not None
    browser = Browser(service.root)
    browser.submit(link[1], password=PASSWORD, repeat=PASSWORD)
    callback = f"{service.url}/callback"
    used = set()
    for algorithm in ("ES256", "RS256"):
        options = ("--redirect-uri", callback, "--id-token-algorithm", algorithm)
        client = json.loads(service.yinxin("client", "register", algorithm, *options, "--json"))
        landed = Browser(service.root).log_in(
            authorization(service, client["client_id"]),
            until=callback,
            name="business",
            password=PASSWORD,
        )
        told = redeem(service, landed, (client["client_id"], client["client_secret"]))
        header, claims = published_keys_verify(service, told["id_token"], client["client_id"])
        assert header["alg"] == algorithm
        assert claims["iss"] == service.url
        used.add(header["kid"])
    assert len(used) == 2
    shown = _private_keys(service.environment["SOFTHSM2_CONF"])
    assert {"oidc-es256-1", "oidc-rs256-1"} <= set(shown)
    assert set(shown.values()) == {_NEVER_OUT}


def published_keys_verify(service: Service, id_token: str, client_id: str) -> tuple[Any, Any]:
    """What a relying party does, with PyJWT: return header and claims."""
    answer = requests.get(f"{service.url}/oidc/jwks", verify=str(service.root), timeout=60)
    header = jwt.get_unverified_header(id_token)
    key = jwt.PyJWKSet.from_dict(answer.json())[header["kid"]]
    return header, jwt.decode(id_token, key.key, algorithms=[header["alg"]], audience=client_id)


@pytest.mark.parametrize("family", ["rsa", "ec"])
def test_delegated_responders_sign_in_the_token_too(
    family: str, softhsm_token: softhsm.Token, tmp_path: Path
) -> None:
    backend = open_token(softhsm_token.config, pin.from_value(softhsm.PIN))
    keys = KeyStore({"pkcs11": backend})
    reference = f"pkcs11:token={softhsm.LABEL};object={{name}}"
    ours = Hierarchy(tmp_path, family, keys=keys, reference=reference)
    for path, word in ((ours.path("device"), "good"), (ours.revoked_path, "revoked")):
        openssl.verify_path(*path, sm2=False)
        assert openssl.verify_ocsp(ours.answer(path[-2], path[-1]), *path) == word
    openssl.verify_crl(ours.crl, issuer=ours.issuing)
    shown = _private_keys(os.environ["SOFTHSM2_CONF"])
    assert len(shown) == 4  # root, issuing, and a delegated responder of each
    assert set(shown.values()) == {_NEVER_OUT}
    keys.close()


def _private_keys(configuration: str) -> dict[str, str]:
    """Label and access of every private key in the token, in pkcs11-tool's words."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", configuration)
        printed = softhsm.tool("--list-objects", "--type", "privkey")
    blocks = re.split(r"^Private Key Object", printed, flags=re.MULTILINE)[1:]
    return {_field(block, "label"): _field(block, "Access") for block in blocks}


def _field(block: str, name: str) -> str:
    found = re.search(rf"^\s*{name}:\s*(.*)$", block, re.MULTILINE)
    assert found is not None, block
    return found[1].strip()
