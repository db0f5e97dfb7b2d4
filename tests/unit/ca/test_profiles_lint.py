"""Every profile's certificate, through pkilint: a linter that others wrote."""

from __future__ import annotations

import io
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from pkilint.bin import lint_pkix_cert

from ca.altnames import parse_alternative_name
from core import der
from keystore.algorithms import KeyAlgorithm, SignatureAlgorithm
from tests.unit.ca.conftest import PROFILES, Authority, request

SUBJECT = (("C", "CN"), ("O", "某市大数据局"), ("CN", "www.example.test"))
NAMES = {
    "tls-server": ("dns:www.example.test", "dns:xn--fiqs8s.example.test", "ip:192.0.2.1"),
    "device": ("dns:gw.example.test", "ip:2001:db8::1", "uri:https://gw.example.test/id"),
    "smime": ("email:zhang@example.test",),
}
CASES = [
    (name, algorithm)
    for name, profile in PROFILES.items()
    if not profile.authority
    for algorithm in (KeyAlgorithm.SM2, KeyAlgorithm.RSA_3072, KeyAlgorithm.EC_P256)
    if algorithm in profile.key_algorithms
] + [("device", KeyAlgorithm.ED25519)]


def findings(octets: bytes, directory: Path) -> list[str]:
    path = directory / "certificate.der"
    path.write_bytes(octets)
    said, blamed = io.StringIO(), io.StringIO()
    # The judge's own command, without a process for each certificate: it takes a second to start.
    with redirect_stdout(said), redirect_stderr(blamed), warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # it leaves closing its file to its end
        lint_pkix_cert.main(["lint", "-s", "WARNING", "-f", "CSV", str(path)])
    assert said.getvalue(), blamed.getvalue()
    return [line for line in said.getvalue().splitlines()[1:] if line]


@pytest.mark.judge
@pytest.mark.parametrize(("profile", "algorithm"), CASES)
def test_pkilint_finds_nothing(
    authority: Authority, tmp_path: Path, profile: str, algorithm: KeyAlgorithm
) -> None:
    identity = tuple(
        (extension.name, "110101199001010011" if extension.explicit_tag == 0 else "123456789")
        for extension in authority.profiles[profile].identity_extensions
        if extension.name != "taxationNumber"
    )
    wanted = request(
        algorithm,
        subject=SUBJECT,
        alternative_names=tuple(parse_alternative_name(name) for name in NAMES.get(profile, ())),
        identity=identity,
    )
    issuer = "rsa-issuing" if algorithm is KeyAlgorithm.RSA_3072 else "sm2-issuing"
    issued = authority.issue(wanted, profile=profile, issuer=issuer)
    found = findings(issued.der, tmp_path)
    if "keyEncipherment" in authority.profiles[profile].key_usage.default:
        # docs/divergences.md: GB/T 20518 wants what RFC 8813 forbids to other EC keys.
        found = [line for line in found if "pkix.key_usage_value_prohibited_for_ec" not in line]
    assert found == []


@pytest.mark.judge
@pytest.mark.parametrize("name", ["sm2-root", "sm2-issuing", "rsa-root", "rsa-issuing"])
def test_pkilint_finds_nothing_in_an_issuer(
    authority: Authority, tmp_path: Path, name: str
) -> None:
    assert findings(authority.issuers[name].certificate, tmp_path) == []


@pytest.mark.judge
@pytest.mark.parametrize(
    ("algorithm", "signature"),
    [
        (KeyAlgorithm.EC_P256, SignatureAlgorithm.ECDSA_SHA256),
        (KeyAlgorithm.EC_P384, SignatureAlgorithm.ECDSA_SHA384),
        (KeyAlgorithm.RSA_3072, SignatureAlgorithm.RSA_SHA384),
        (KeyAlgorithm.RSA_3072, SignatureAlgorithm.RSA_PSS_SHA256),
        (KeyAlgorithm.RSA_3072, SignatureAlgorithm.RSA_SM3),
    ],
)
def test_pkilint_finds_nothing_under_other_signature_algorithms(
    authority: Authority,
    tmp_path: Path,
    algorithm: KeyAlgorithm,
    signature: SignatureAlgorithm,
) -> None:
    authority.add_hierarchy("other", algorithm, signature)
    issued = authority.issue(request(KeyAlgorithm.EC_P256), issuer="other-issuing")
    for octets in (
        authority.issuers["other-root"].certificate,
        authority.issuers["other-issuing"].certificate,
        issued.der,
    ):
        assert der.split_signed(octets, what="certificate")[1] == signature.identifier
        assert findings(octets, tmp_path) == []


@pytest.mark.judge
def test_pkilint_finds_a_planted_fault(authority: Authority, tmp_path: Path) -> None:
    good = authority.issuers["rsa-issuing"].certificate
    bad = good.replace(bytes.fromhex("0603551d13"), bytes.fromhex("0603551d7f"))
    assert findings(bad, tmp_path) != []
