"""``yinxin lint``: other people's certificates, judged at the command line."""

from __future__ import annotations

import json
from pathlib import Path
from ssl import PEM_cert_to_DER_cert

from click.testing import CliRunner, Result

from ca.lint import RULES
from ca.lint_file import MAX_FILE_OCTETS
from ca.lint_pair import PAIR_RULES
from yinxin.cli import main

CORPUS = Path(__file__).parents[2] / "golden" / "lint"


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(main, ["lint", *map(str, words)])


def test_a_good_certificate_is_clean() -> None:
    said = run(CORPUS / "good/sm2-leaf.pem", "--issuer", CORPUS / "good/sm2-issuing.pem")
    assert (said.exit_code, said.output) == (0, "1 certificate(s): 0 error(s), 0 warning(s)\n")


def test_a_broken_standard_is_named_with_its_clause() -> None:
    said = run(CORPUS / "bad/gm.country.pem")
    assert said.exit_code == 1
    assert "error gm.country: the country is a PrintableString" in said.output
    assert "(GB/T 20518, 5.2.3)" in said.output


def test_warnings_fail_only_when_asked() -> None:
    assert run(CORPUS / "bad/gm.basic-constraints.pem").exit_code == 0
    assert run(CORPUS / "bad/gm.basic-constraints.pem", "--strict").exit_code == 1


def test_der_is_read_too(tmp_path: Path) -> None:
    file = tmp_path / "leaf.der"
    file.write_bytes(PEM_cert_to_DER_cert((CORPUS / "good/rsa-leaf.pem").read_text()))
    assert run(file).exit_code == 0


def test_issuers_are_found_in_the_same_file(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    parts = ("bad/x509.signature", "good/rsa-leaf", "good/rsa-root")
    bundle.write_bytes(b"".join((CORPUS / f"{part}.pem").read_bytes() for part in parts))
    said = run(bundle, "--json")
    assert said.exit_code == 1
    found = json.loads(said.output)
    assert found["certificates"] == 3
    assert [(one["certificate"], one["rule"]) for one in found["findings"]] == [
        (1, "x509.signature")
    ]


def test_without_the_issuer_its_signature_is_not_judged() -> None:
    assert run(CORPUS / "bad/x509.signature.pem").exit_code == 0


def test_two_halves_are_compared() -> None:
    signing = CORPUS / "good/sm2-signing.pem"
    assert run(signing, "--pair", CORPUS / "good/sm2-encryption.pem").exit_code == 0
    said = run(signing, "--pair", CORPUS / "pairs/pair.keys.pem")
    assert said.exit_code == 1
    assert "pair.keys" in said.output


def test_every_rule_is_listed() -> None:
    lines = run("--rules").output.splitlines()
    assert [line.split("\t")[0] for line in lines] == [r.id for r in (*RULES, *PAIR_RULES)]
    assert len(json.loads(run("--rules", "--json").output)) == len(lines)


def test_what_is_no_certificate_is_refused_in_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "file"
    for octets, sentence in (
        (b"", "a certificate is 1 to"),
        (b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----", "holds 0 PEM"),
        (b"-----BEGIN CERTIFICATE-----\nAAA\n-----END CERTIFICATE-----", "not base64"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "holds 0 PEM"),
        (bytes(MAX_FILE_OCTETS + 1), "at most 1048576 octets"),
    ):
        file.write_bytes(octets)
        said = run(file)
        assert said.exit_code == 1
        assert sentence in said.output
    file.write_bytes(b"not a certificate")
    assert "x509.der" in run(file).output
    assert "name a FILE" in run().output
