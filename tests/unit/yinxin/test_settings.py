"""Settings: one file, the environment above it, and nothing unknown."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.errors import Misconfigured
from yinxin.settings import effective, load_settings
from yinxin.state import prepare_state, write_passphrase


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("YINXIN_"):
            monkeypatch.delenv(name)


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "yinxin.toml"
    path.write_text(text)
    return path


def test_without_a_file_every_value_has_a_default() -> None:
    settings = load_settings(None)
    assert settings.server.https_port == 8443
    assert settings.authn.issuer == "https://localhost:8443"
    assert settings.ca.revocation_url == "http://localhost:8080"


def test_addresses_follow_the_server_unless_they_are_given(tmp_path: Path) -> None:
    path = write(tmp_path, '[server]\npublic_host = "ca.example.gov.cn"\nhttps_port = 9443\n')
    assert load_settings(path).authn.issuer == "https://ca.example.gov.cn:9443"
    path = write(tmp_path, '[authn]\nissuer = "https://id.example.gov.cn"\n')
    assert load_settings(path).authn.issuer == "https://id.example.gov.cn"


def test_the_environment_wins_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YINXIN_SERVER__HTTPS_PORT", "7443")
    monkeypatch.setenv("YINXIN_SERVER__PUBLIC_HOST", "a.example")
    settings = load_settings(write(tmp_path, "[server]\nhttps_port = 9443\n"))
    assert (settings.server.https_port, settings.server.public_host) == (7443, "a.example")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[server]\nport = 1\n", "server.port"),
        ("[sever]\n", "sever"),
        ("[server]\nhttps_port = 70000\n", "server.https_port"),
        ("[server\n", "not TOML"),
        ('server = "x"\n', "server"),
        ('[server]\n"https-port" = 1\n', "wrong: server.https-port: "),
        ("[server]\nprocesses = 2\n", "wrong: server.processes = 2 needs"),
        (
            "[authn.outbound]\nallowed_networks = ['x']\n",
            "allowed_networks.0: Input is not a valid",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(Misconfigured, match=named):
        load_settings(write(tmp_path, text))


def test_several_processes_are_for_postgresql(tmp_path: Path) -> None:
    several = "[server]\nprocesses = 2\n"
    with pytest.raises(Misconfigured, match="processes = 2 needs PostgreSQL"):
        load_settings(write(tmp_path, several))
    url = '[database]\nurl = "postgresql+psycopg://db/yinxin"\n'
    assert load_settings(write(tmp_path, several + url)).server.processes == 2


def test_unknown_variables_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YINXIN_SEVER__PORT", "1")
    with pytest.raises(Misconfigured, match="sever"):
        load_settings(None)


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="cannot read"):
        load_settings(tmp_path / "nowhere.toml")


def test_a_password_is_neither_shown_nor_echoed(tmp_path: Path) -> None:
    path = write(tmp_path, '[database]\nurl = "postgresql://li:hunter2@db/yinxin"\n')
    assert "hunter2" not in str(effective(load_settings(path)))
    path = write(tmp_path, '[database]\nurl = ["hunter2"]\n')
    with pytest.raises(Misconfigured) as caught:
        load_settings(path)
    assert "hunter2" not in str(caught.value)


def test_the_passphrase_is_not_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YINXIN_PASSPHRASE", "correct horse")
    assert "correct horse" not in str(effective(load_settings(None)))


def test_the_state_directory_is_private(tmp_path: Path) -> None:
    state = prepare_state(tmp_path / "var")
    assert state.directory.stat().st_mode & 0o777 == 0o700
    state.directory.chmod(0o755)
    with pytest.raises(Misconfigured, match="chmod 700"):
        prepare_state(tmp_path / "var")


def test_a_directory_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Misconfigured, match="cannot be used"):
        prepare_state(tmp_path / "file" / "var")


def test_a_passphrase_is_random_private_and_never_replaced(tmp_path: Path) -> None:
    state = prepare_state(tmp_path / "var")
    write_passphrase(state)
    first = state.passphrase_file.read_text()
    assert len(first) > 40
    assert state.passphrase_file.stat().st_mode & 0o777 == 0o600
    write_passphrase(state)
    assert state.passphrase_file.read_text() == first
    assert [path.name for path in state.directory.iterdir()] == ["passphrase"]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://yinxin:hidden@db/yinxin",
        "postgresql+psycopg://db/yinxin?user=yinxin&password=hidden",
        "postgresql+psycopg://yinxin@db/yinxin?sslmode=require&PASSWORD=hidden&application_name=x",
    ],
)
def test_no_password_of_the_database_is_shown(tmp_path: Path, url: str) -> None:
    path = write(tmp_path, f'[database]\nurl = "{url}"\n')
    shown = effective(load_settings(path))["database"]["url"]
    assert "hidden" not in shown
    assert shown.startswith("postgresql+psycopg://")
