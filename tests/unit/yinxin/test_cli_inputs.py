"""Wrong words and files on the command line get a sentence each, never a traceback."""

from __future__ import annotations

import urllib.parse
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from core.errors import Refused
from yinxin.cli import main
from yinxin.cli import remote as commands
from yinxin.cli.client import Client
from yinxin.cli.files import read_ascii, read_octets, write_octets

TOKEN = "yx_" + "A" * 43


def said(path: Path, *words: str, token: bytes = TOKEN.encode()) -> str:
    file = path / "token"
    file.write_bytes(token)
    given = ["--state", str(path / "none"), *words, "--token-file", str(file)]
    result = CliRunner().invoke(main, given)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.output.startswith("yinxin: "), result.output
    assert result.output.count("\n") == 1
    return result.output


@pytest.mark.parametrize(
    "server",
    [
        "http://localhost:8443",
        "https://",
        "https://localhost:abc",
        "https://localhost:0",
        "https://[::1",
        "https://local host",
        "https://中文.example",
        "localhost",
    ],
)
def test_a_server_that_is_no_address_is_named(tmp_path: Path, server: str) -> None:
    words = said(tmp_path, "issuer", "--server", server)
    assert "https://host:port" in words
    assert repr(server) in words


def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "cannot reach https://localhost:1:" in said(
        tmp_path, "issuer", "--server", "https://localhost:1"
    )


@pytest.mark.parametrize("token", [b"", b"\xff\xfe", b"yx_a\nb", b"yx_a b", "toké".encode()])
def test_a_file_that_holds_no_token_is_named(tmp_path: Path, token: bytes) -> None:
    assert str(tmp_path / "token") in said(tmp_path, "issuer", token=token)


@pytest.mark.parametrize("key", ["中", "a\nb"])
def test_an_idempotency_key_that_no_header_carries_is_refused(tmp_path: Path, key: str) -> None:
    csr = tmp_path / "csr"
    csr.write_text("x")
    options = ["--profile", "device", "--issuer", "rsa-issuing", "--idempotency-key", key]
    assert "printable ASCII" in said(tmp_path, "request", "submit", str(csr), *options)


def test_files_that_cannot_be_read_or_written_are_named(tmp_path: Path) -> None:
    missing = tmp_path / "none" / "file"
    for act in (read_ascii, read_octets, lambda path: write_octets(path, b"x")):
        with pytest.raises(Refused, match=str(missing)):
            act(missing)


def test_an_identifier_never_becomes_another_path(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(_: Client, path: str, **query: object) -> object:
        asked.append(path)
        return {}

    monkeypatch.setattr(Client, "get_json", answer)
    client = Client(server="https://localhost", token=None, trust=None)
    monkeypatch.setattr(commands, "_client", lambda *_: client)
    for odd in ("../../x", "a?b#c", "中 文"):
        assert CliRunner().invoke(main, ["request", "show", odd]).exit_code == 0
        assert asked[-1] == f"/requests/{urllib.parse.quote(odd, safe='')}"


def test_lists_have_the_same_word_everywhere(tmp_path: Path) -> None:
    assert "cannot reach" in said(tmp_path, "issuer", "list", "--server", "https://localhost:1")


def test_a_backup_that_cannot_be_is_refused_before_anybody_is_asked(tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["--state", str(tmp_path / "var"), "key", "backup", "--out", str(out)]
    impossible = CliRunner().invoke(main, [*words, "--shares", "2", "--threshold", "3"])
    assert "3 of 2 is not possible" in impossible.output
    assert not out.exists()
    out.mkdir()
    assert CliRunner().invoke(main, words).output == f"yinxin: cannot write {out}: File exists\n"


@pytest.mark.parametrize(
    ("answer", "more", "posted"),
    [
        ("n", [], ["/mass-revocations/preview"]),
        ("y", [], ["/mass-revocations/preview", "/mass-revocations"]),
        ("", ["--yes"], ["/mass-revocations"]),
    ],
)
def test_who_revokes_many_on_a_terminal_reads_how_many_first(
    monkeypatch: pytest.MonkeyPatch, answer: str, more: list[str], posted: list[str]
) -> None:
    asked: list[str] = []

    def post(_: Client, path: str, body: object) -> object:
        asked.append(path)
        return {"total": 7}

    client = Client(server="https://localhost", token=None, trust=None)
    monkeypatch.setattr(commands, "_client", lambda *_: client)
    monkeypatch.setattr(Client, "post", post)
    terminal = SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("yinxin.cli.massrevocation.sys", terminal)
    words = ["revoke-many", "--profile", "device", "--reason", "superseded", *more]
    result = CliRunner().invoke(main, words, input=answer)
    assert asked == posted
    assert ("Revoke 7 certificates for good?" in result.output) == (not more)


def test_a_list_of_passwords_never_replaces_a_file(tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    passwords.write_text("password\n")
    for target in (passwords, tmp_path / "none" / "file"):
        words = ["user", "breached-file", str(passwords), str(target)]
        result = CliRunner().invoke(main, words)
        assert result.output.startswith(f"yinxin: cannot write {target}"), result.output
        assert result.exit_code == 1
    assert passwords.read_text() == "password\n"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--server", "http://localhost:1"], "https://host:port"),
        (["--trust", "TOKEN"], "cannot read the certificates given"),
        (["--token-file", "/nowhere/token"], "cannot write /nowhere/token"),
    ],
)
def test_who_signs_in_is_told_what_is_wrong_before_the_browser_opens(
    tmp_path: Path, words: list[str], why: str
) -> None:
    file = tmp_path / "token"
    file.write_text("no certificate")
    given = ["--server", "https://localhost:1", "--token-file", str(file)]
    more = [str(file) if word == "TOKEN" else word for word in words]
    result = CliRunner().invoke(main, ["--state", str(tmp_path), "login", *given, *more])
    assert result.output.startswith("yinxin: "), result.output
    assert why in result.output
    assert "Open this address" not in result.output
    assert file.read_text() == "no certificate"
