"""The key management centre in its own process: served, away, killed, asked by strangers."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPSConnection
from pathlib import Path

import pytest

from keystore import pem, sm2, sm2_forms
from tests.hosts import key_management_apart
from tests.service import Service, yinxin


@dataclass
class World:
    authority: Service
    centre: Service
    work: Path

    def ask(self, user: str, *words: str | Path, at: Service | None = None) -> str:
        host = at or self.authority
        token = self.work / f"{host.role}-{user}"
        if not token.exists():
            token.write_text(host.token(user))
        trust = ("--trust", host.root) if host.role != "ca" else ()
        return host.yinxin(*words, "--token-file", token, *trust)

    def submit(self, profile: str = "device-dual-signing") -> str:
        words = ("--profile", profile, "--issuer", "sm2-issuing")
        asked = self.ask("business", "request", "submit", self.work / "csr.pem", *words)
        return str(json.loads(asked)["id"])

    def approve(self, request_id: str) -> dict:
        return json.loads(self.ask("business", "request", "approve", request_id))

    def refusal(self, user: str, *words: str | Path, at: Service | None = None) -> str:
        with pytest.raises(subprocess.CalledProcessError) as refused:
            self.ask(user, *words, at=at)
        return str(refused.value.stderr)

    def pools(self) -> dict:
        return json.loads(self.ask("key", "pool", at=self.centre))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    work = tmp_path_factory.mktemp("apart")
    for words in (
        ("genpkey", "-algorithm", "SM2", "-out", "signing.pem"),
        ("req", "-new", "-key", "signing.pem", "-sm3", "-sigopt",
         "distid:1234567812345678", "-subj", "/CN=gw.example.test", "-out", "csr.pem"),
    ):  # fmt: skip
        subprocess.run(["openssl", *words], cwd=work, check=True, capture_output=True)
    authority, centre = key_management_apart(work)
    centre.yinxin("user", "create", "k2", "--display-name", "k2", "--role", "key")
    yield World(authority, centre, work)
    for service in (authority, centre):
        if service.process is not None:
            service.stop()


def opened(world: World, envelope: Path) -> sm2.PrivateKey:
    out = envelope.with_suffix(".pem")
    key = world.work / "signing.pem"
    world.authority.yinxin("open-envelope", envelope, "--key", key, "--out", out)
    return sm2.PrivateKey(pem.decode(out.read_text(), "PRIVATE KEY"))


def fetched(world: World, request_id: str, name: str) -> sm2.PrivateKey:
    out = world.work / name
    words = ("--format", "enveloped-key", "--out", out)
    world.ask("business", "request", "pair", request_id, *words)
    return opened(world, out)


def test_a_pair_has_its_key_from_the_other_process(world: World) -> None:
    request_id = world.submit()
    assert world.approve(request_id)["state"] == "issued"
    key = fetched(world, request_id, "first")
    pair = json.loads(world.ask("business", "request", "pair", request_id))
    assert pair["encryption"]["serial"] != pair["signing"]["serial"]
    assert world.pools()["in_use"] == 1
    assert world.centre.yinxin("audit", "verify").startswith("whole: ")
    events = world.centre.yinxin("audit", "list", "--action", "escrow-key.assigned")
    assert json.loads(events.splitlines()[-1])["actor"] == "authority:business"
    assert not world.authority.yinxin("audit", "list", "--action", "escrow-key.assigned")
    scalar, _ = sm2_forms.decode_pkcs8(key.pkcs8())
    said = b"".join(
        path.read_bytes()
        for service in (world.authority, world.centre)
        for path in (*service.state.rglob("*"), service.log)
        if path.is_file()
    )
    assert sm2_forms.point_of_spki(key.public_key) in said, "the search looks at the right files"
    octets = scalar.to_bytes(32, "big")
    for secret in (octets, octets.hex().encode(), octets.hex().upper().encode()):
        assert secret not in said


def test_a_holders_recovery_is_asked_here_approved_there_and_fetched_here(world: World) -> None:
    request_id = world.submit()
    world.approve(request_id)
    before = fetched(world, request_id, "before")
    pair = json.loads(world.ask("business", "request", "pair", request_id))
    words = ("--issuer", "sm2-issuing", "--serial", pair["signing"]["serial"], "--reason", "lost")
    asked = json.loads(world.ask("business", "recovery", "request", request_id, *words))
    assert asked["requester"] == "business"
    seen = json.loads(world.ask("key", "recovery", "show", asked["id"], at=world.centre))
    assert seen["requester"] == "authority:business"
    out = world.work / "recovered"
    deliver = ("recovery", "deliver", asked["id"], "--out", out)
    world.ask("key", "recovery", "approve", asked["id"], at=world.centre)
    assert "requested" in world.refusal("business", *deliver)
    world.ask("k2", "recovery", "approve", asked["id"], at=world.centre)
    assert json.loads(world.ask("business", "recovery", "show", asked["id"]))["state"] == "approved"
    world.ask("business", *deliver)
    assert opened(world, out).public_key == before.public_key
    assert "delivered" in world.refusal("business", *deliver[:-1], world.work / "again")
    listed = json.loads(world.ask("business", "recovery", "list"))
    assert [item["state"] for item in listed if item["id"] == asked["id"]] == ["delivered"]


def test_the_authority_does_not_serve_what_belongs_to_the_officers(world: World) -> None:
    world.authority.yinxin("user", "create", "k1", "--display-name", "k1", "--role", "key")
    assert "Not Found" in world.refusal("k1", "pool")
    approve = ("recovery", "approve", "0" * 32)
    assert "Not Found" in world.refusal("k1", *approve)


def test_revoking_the_pair_moves_its_key_to_history_there(world: World) -> None:
    request_id = world.submit()
    world.approve(request_id)
    pair = json.loads(world.ask("business", "request", "pair", request_id))
    before = world.pools()["history"]
    words = ("sm2-issuing", pair["signing"]["serial"], "--reason", "superseded")
    world.ask("business", "certificate", "revoke", *words)
    for _ in range(100):
        if world.pools()["history"] > before:
            return
        time.sleep(0.1)
    raise AssertionError("the key is still in use")


def certificate_of(service: Service, work: Path) -> Path:
    """A certificate that the authority issued to somebody who is no peer."""
    key, csr, out = work / "other.key", work / "other.csr", work / "other.pem"
    subprocess.run(
        ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", key, "-out", csr, "-subj", "/CN=other"],
        check=True, capture_output=True,
    )  # fmt: skip
    token = work / "ca-business"
    words = ("--profile", "device", "--issuer", "rsa-issuing", "--token-file", token)
    asked = json.loads(service.yinxin("request", "submit", csr, *words))
    made = json.loads(service.yinxin("request", "approve", asked["id"], "--token-file", token))
    chain = service.yinxin(
        "certificate", "fetch", "rsa-issuing", made["certificate"]["serial"],
        "--format", "chain", "--token-file", token,
    )  # fmt: skip
    out.write_text(f"{chain}\n{key.read_text()}")
    return out


def test_nobody_but_the_authority_is_given_keys(world: World) -> None:
    other = certificate_of(world.authority, world.work)
    before = world.pools()
    context = ssl.create_default_context(cafile=world.centre.root)
    body = json.dumps({"request_id": "0" * 32, "signing_key": "AAAA", "actor": "me"})

    def call() -> tuple[int, dict]:
        port = world.centre.mutual_tls_port
        with closing(HTTPSConnection("localhost", port, context=context, timeout=30)) as connection:
            headers = {"Content-Type": "application/json"}
            connection.request("POST", "/km/v1/assign", body, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    with pytest.raises((ssl.SSLError, ConnectionError)):
        call()
    context.load_cert_chain(other)
    status, said = call()
    assert status == 403
    assert "authority of this key management centre" in said["detail"]
    assert world.pools() == before


def refused_quickly(world: World, request_id: str) -> None:
    began = time.monotonic()
    said = world.refusal("business", "request", "approve", request_id)
    assert "key management centre" in said
    assert time.monotonic() - began < 10
    shown = json.loads(world.ask("business", "request", "show", request_id))
    assert shown["state"] == "pending"
    state = json.loads(world.ask("business", "certificate", "list", "--limit", "1000"))["items"]
    assert not [item for item in state if item["state"] == "reserved"]


def single_issuing_works(world: World) -> None:
    assert world.approve(world.submit("device"))["state"] == "issued"


def test_a_killed_centre_leaves_no_half_pair_and_the_request_is_finished_later(
    world: World,
) -> None:
    request_id = world.submit()
    world.centre.kill()
    refused_quickly(world, request_id)
    single_issuing_works(world)
    world.centre.start()
    assert world.approve(request_id)["state"] == "issued"
    fetched(world, request_id, "after")


def test_a_centre_that_hangs_is_given_up_and_asked_again(world: World) -> None:
    request_id = world.submit()
    assert world.centre.process is not None
    os.kill(world.centre.process.pid, signal.SIGSTOP)
    try:
        refused_quickly(world, request_id)
        single_issuing_works(world)
    finally:
        os.kill(world.centre.process.pid, signal.SIGCONT)
    assert world.approve(request_id)["state"] == "issued"
    events = world.centre.yinxin("audit", "list", "--action", "escrow-key.assigned")
    assert len([line for line in events.splitlines() if request_id in line]) == 1


def test_a_centre_killed_in_the_middle_of_many_pairs_loses_none(
    world: World, run_together: Callable[..., list]
) -> None:
    requests = [world.submit() for _ in range(6)]
    in_use = world.pools()["in_use"]

    def approve(request_id: str) -> None:
        for _ in range(60):
            try:
                if world.approve(request_id)["state"] == "issued":
                    return
            except subprocess.CalledProcessError:
                time.sleep(0.3)

    def kill() -> None:
        time.sleep(0.6)
        world.centre.kill()
        world.centre.start()

    run_together([lambda r=r: approve(r) for r in requests] + [kill])
    keys = {fetched(world, r, f"many-{i}").public_key for i, r in enumerate(requests)}
    assert len(keys) == 6
    assert world.pools()["in_use"] == in_use + 6
    assert world.centre.yinxin("audit", "verify").startswith("whole: ")


def test_a_state_belongs_to_one_role_and_says_what_is_missing(world: World, tmp_path: Path) -> None:
    done = yinxin("--state", world.centre.state, "serve", check=False)
    assert "another yinxin" in done.stderr
    done = yinxin("--state", tmp_path / "new", "serve", "--role", "km", check=False)
    assert "yinxin host request" in done.stderr
    done = yinxin("--state", tmp_path / "new", "serve", check=False)
    assert "--role km" in done.stderr
    done = yinxin("--state", world.centre.state, "trust", "sm2-root", check=False)
    assert "this is for an authority" in done.stderr
    done = yinxin("--state", tmp_path / "x", "serve", "--role", "ra2", check=False)
    assert "ra2" in done.stderr
    environment = world.authority.environment | {"YINXIN_KEY_MANAGEMENT__CENTRE_KEYS": "[]"}
    done = yinxin("config", environment=environment, check=False)
    assert "go together" in done.stderr
