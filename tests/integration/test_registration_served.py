"""Branches on the running service: who may act where, and whose a certificate is."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.service import Service, yinxin

CARD = "11010519491231002X"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    running = Service(tmp_path_factory.mktemp("registration") / "var").start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def ask(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict]:
    """Run a command with the token of one operator; return what it prints, parsed."""
    tokens = tmp_path_factory.mktemp("tokens")
    for name in ("wang", "li"):
        service.yinxin("user", "create", name, "--display-name", name, "--role", "business")
    for name in ("business", "wang", "li"):
        (tokens / name).write_text(service.token(name))

    def run(user: str, *words: str | Path, **how) -> dict:
        said = service.yinxin(*words, "--token-file", tokens / user, **how)
        return json.loads(said) if said else {}

    return run


@pytest.fixture(scope="module")
def refused(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Run a command that is refused; return the sentence."""
    tokens = tmp_path_factory.mktemp("refused")

    def run(user: str, *words: str | Path) -> str:
        token = tokens / user
        token.write_text(service.token(user))
        command = ("--state", service.state, *words, "--token-file", token)
        done = yinxin(*command, environment=service.environment, check=False)
        assert done.returncode == 1, done.stdout
        assert done.stderr.count("\n") == 1, done.stderr
        return done.stderr

    return run


@pytest.fixture(scope="module")
def branches(ask: Callable[..., dict]) -> tuple[str, str]:
    """Two cities: Wang enters and Li reviews in the first."""
    root = ask("business", "organisation", "list")["items"][0]["id"]
    hangzhou, ningbo = (
        ask("business", "organisation", "add", root, name, "--level", "city")["id"]
        for name in ("杭州市", "宁波市")
    )
    may = ("--operation", "apply", "--operation", "query", "--operation", "revoke")
    for user, step in (("wang", "entry"), ("li", "review")):
        ask("business", "right", "grant", user, hangzhou, *may, "--step", step)
    return hangzhou, ningbo


@pytest.fixture(scope="module")
def csr(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("csr")
    subprocess.run(
        ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", "key", "-out", "csr", "-subj", "/C=CN/O=Test/CN=zhang"],
        check=True, capture_output=True, cwd=directory,
    )  # fmt: skip
    return directory / "csr"


def test_entry_and_review_are_two_people_of_one_branch(
    ask: Callable[..., dict],
    refused: Callable[..., str],
    branches: tuple[str, str],
    csr: Path,
) -> None:
    asked = ("--profile", "person-authentication", "--issuer", "rsa-issuing")
    request = ask("wang", "request", "submit", csr, *asked)
    assert request["organisation_id"] == branches[0]
    assert "wang lacks the right: apply, step review" in refused(
        "wang", "request", "approve", request["id"]
    )
    made = ask("li", "request", "approve", request["id"])
    where = ("rsa-issuing", made["certificate"]["serial"])
    assert ask("li", "certificate", "show", *where)["issued_under"]["name"] == "杭州市"
    assert "li lacks the right: revoke, step entry" in refused(
        "li", "certificate", "revoke", *where, "--reason", "superseded"
    )
    revoked = ask("wang", "certificate", "revoke", *where, "--reason", "superseded")
    assert revoked["state"] == "revoked"


def test_another_branch_is_closed_to_both(
    ask: Callable[..., dict], refused: Callable[..., str], branches: tuple[str, str]
) -> None:
    assert "宁波市" in refused("wang", "organisation", "show", branches[1])
    seen = ask("wang", "organisation", "list")["items"]
    assert [item["name"] for item in seen] == ["杭州市"]
    assert "does not hold the right `rights`" in refused(
        "wang", "right", "grant", "li", branches[0], "--operation", "query"
    )
    assert "ca.separate_steps" in refused(
        "business", "right", "grant", "wang", branches[0], "--step", "review"
    )


def test_the_number_of_an_identity_card_is_nowhere_in_the_state(
    service: Service, ask: Callable[..., dict], branches: tuple[str, str]
) -> None:
    card = ("--kind", "person", "--identifier-type", "identity-card", "--identifier", "-")
    made = ask("wang", "subject", "add", branches[0], "张三", *card, given=CARD)
    assert made["identifier"] == "…002X"
    assert ask("wang", "subject", "find", *card, given=CARD) == made
    moved = ask("business", "subject", "move", made["id"], branches[1])
    assert moved["organisation_id"] == branches[1]
    history = ask("business", "subject", "show", made["id"])["history"]
    assert [line["after"] for line in history] == list(branches)
    assert "software:object=identifier-digests" in service.yinxin("key")
    stored = b"".join(path.read_bytes() for path in service.state.rglob("*") if path.is_file())
    said = stored + service.log.read_bytes()
    assert "张三".encode() in said, "the search looks at the right files"
    assert CARD.encode() not in said


def test_the_owner_of_the_state_can_let_somebody_in_again(
    service: Service, ask: Callable[..., dict], branches: tuple[str, str]
) -> None:
    service.yinxin("user", "create", "zhao", "--display-name", "赵", "--role", "business")
    assert "zhao may do everything" in service.yinxin("right", "restore", "zhao")
    (right,) = ask("business", "right", "list", "--operator", "zhao")["items"]
    assert right["granted_by"].startswith("local:")
    ask("business", "right", "revoke", right["id"])
    assert ask("business", "right", "list", "--operator", "zhao")["items"] == []


def test_the_re_audit_finds_nothing(service: Service) -> None:
    assert "no fault" in service.yinxin("check")
