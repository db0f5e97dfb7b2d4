"""Bulk requests against the running service: dry run, approval, package, one delivery."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.service import Service, yinxin


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    running = Service(tmp_path_factory.mktemp("bulk") / "var").start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def ask(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    token = tmp_path_factory.mktemp("tokens") / "business"
    token.write_text(service.token())

    def run(*words: str | Path) -> str:
        return service.yinxin("bulk", *words, "--token-file", token)

    return run


@pytest.fixture(scope="module")
def recipient(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An RSA certificate for receiving packages, by openssl."""
    directory = tmp_path_factory.mktemp("recipient")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem",
         "-out", "certificate.pem", "-subj", "/CN=recipient", "-days", "30",
         "-addext", "keyUsage=critical,keyEncipherment"],
        cwd=directory, check=True, capture_output=True,
    )  # fmt: skip
    return directory


def printed(text: str) -> dict:
    """The JSON after the progress bar."""
    return json.loads(text[text.index("{") :])


PEOPLE = "姓名,邮箱\n" + "".join(f"张三{n},zhang{n}@example.test\n" for n in range(20))


def test_a_file_of_people_becomes_an_encrypted_package(
    ask: Callable[..., str], recipient: Path, tmp_path: Path
) -> None:
    (tmp_path / "people.csv").write_text(PEOPLE)
    words = ("--profile", "person-signing", "--issuer", "sm2-issuing")
    checked = printed(ask("check", tmp_path / "people.csv", *words))
    assert (checked["state"], checked["counts"]) == ("checked", {"valid": 20})
    batch = checked["id"]
    certificate = recipient / "certificate.pem"
    submitted = printed(ask("submit", batch, "--recipient", certificate))
    assert submitted["state"] == "pending"
    done = printed(ask("approve", batch))
    assert (done["state"], done["counts"]) == ("done", {"issued": 20})
    assert printed(ask("fetch", batch, "--out", tmp_path / "package"))["delivered_to"] == "business"
    with pytest.raises(subprocess.CalledProcessError) as refused:
        ask("fetch", batch, "--out", tmp_path / "again")
    assert "was delivered" in refused.value.stderr
    key = recipient / "key.pem"
    opened = tmp_path / "opened"
    yinxin("bulk", "open", tmp_path / "package", "--key", key, "--out", opened)
    passwords = list(csv.DictReader(io.StringIO((opened / "passwords.csv").read_text())))
    assert len({line["password"] for line in passwords}) == 20
    said = subprocess.run(
        ["openssl", "pkcs12", "-in", passwords[7]["file"], "-passin",
         f"pass:{passwords[7]['password']}", "-nodes"],
        cwd=opened, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert "BEGIN PRIVATE KEY" in said.stdout


def test_bad_rows_are_listed_with_their_reasons(ask: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("CN,email\n张三,nobody\n李四,li@example.test\n")
    words = ("--profile", "person-signing", "--issuer", "sm2-issuing")
    with pytest.raises(subprocess.CalledProcessError) as refused:
        ask("check", tmp_path / "people.csv", *words)
    assert "row 2: 'nobody' is not an e-mail address" in refused.value.stderr
    assert "1 of 2 rows are bad" in refused.value.stderr


def test_a_long_file_is_taken_and_one_that_is_too_long_is_not(
    ask: Callable[..., str], tmp_path: Path
) -> None:
    """The limit of other bodies (256 KiB) does not hold for files of who is known."""
    people = "CN,O\n" + "".join(f"张三{n},{'某市' * 30}\n" for n in range(2000))
    (tmp_path / "people.csv").write_text(people)
    assert len(people.encode()) > 262_144
    words = ("--profile", "person-signing", "--issuer", "sm2-issuing")
    checked = printed(ask("check", tmp_path / "people.csv", *words))
    assert checked["counts"] == {"valid": 2000}
    ask("cancel", checked["id"])
    (tmp_path / "people.csv").write_text("CN\n" + "a\n" * 10_001)
    with pytest.raises(subprocess.CalledProcessError) as refused:
        ask("check", tmp_path / "people.csv", *words)
    assert "more than 10000 rows" in refused.value.stderr


def test_the_re_audit_finds_nothing(service: Service) -> None:
    assert "no fault" in service.yinxin("check")
