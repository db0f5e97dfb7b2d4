"""The key management centre in its own process: served, away, killed, asked by strangers.

Its storage key is on a PKCS#11 token (SoftHSM), so whatever is shown here is shown with it.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import pytest

from keystore import pem, sm2, sm2_forms
from keystore.envelope_opening import open_for_holder
from tests import keystore_softhsm as softhsm
from tests.hosts import Caller, Said, check_doors, issue, key_management_apart
from tests.service import Service, yinxin

STORAGE_KEY = f"pkcs11:token={softhsm.LABEL};object=km-storage"


@dataclass
class World:
    authority: Service
    centre: Service
    work: Path
    callers: dict[str, Caller] = field(default_factory=dict)

    def ask(self, user: str, method: str, path: str, body: object = None) -> Any:
        """Ask the authority, or with a name like ``km:key`` the centre."""
        if user not in self.callers:
            host = self.centre if user.startswith("km:") else self.authority
            self.callers[user] = Caller(host, user.removeprefix("km:"))
        return self.callers[user](method, path, body)

    def submit(self, profile: str = "device-dual-signing") -> str:
        csr = (self.work / "csr.pem").read_text()
        body = {"csr": csr, "profile": profile, "issuer": "sm2-issuing"}
        return str(self.ask("business", "POST", "/requests", body)["id"])

    def approve(self, request_id: str) -> dict:
        return self.ask("business", "POST", f"/requests/{request_id}/approve", {})

    def pair(self, request_id: str) -> dict:
        return self.ask("business", "GET", f"/requests/{request_id}/pair")

    def key(self, enveloped: str) -> sm2.PrivateKey:
        """Open an envelope with the holder's key."""
        text = (self.work / "signing.pem").read_text()
        opened = open_for_holder(base64.b64decode(enveloped), signing_key=text)
        return sm2.PrivateKey(pem.decode(opened.decode(), "PRIVATE KEY"))

    def pools(self) -> dict:
        return self.ask("km:key", "GET", "/key-management/pools")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    work = tmp_path_factory.mktemp("apart")
    for words in (
        ("genpkey", "-algorithm", "SM2", "-out", "signing.pem"),
        ("req", "-new", "-key", "signing.pem", "-sm3", "-sigopt",
         "distid:1234567812345678", "-subj", "/CN=gw.example.test", "-out", "csr.pem"),
    ):  # fmt: skip
        subprocess.run(["openssl", *words], cwd=work, check=True, capture_output=True)
    tokens = work / "tokens"
    tokens.mkdir()
    (work / "softhsm2.conf").write_text(f"directories.tokendir = {tokens}\nlog.level = ERROR\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(work / "softhsm2.conf"))
        softhsm.initialise()
        authority, centre = key_management_apart(
            work,
            {
                "YINXIN_KEYSTORE__PKCS11__MODULE": str(softhsm.module()),
                "YINXIN_KEYSTORE__PKCS11__TOKEN": softhsm.LABEL,
                "YINXIN_KEYSTORE__PKCS11__OAEP_DIGEST": "sha1",
                "YINXIN_PKCS11_PIN": softhsm.PIN,
                "YINXIN_KEY_MANAGEMENT__STORAGE_KEY": STORAGE_KEY,
            },
        )
        centre.yinxin("user", "create", "k2", "--display-name", "k2", "--role", "key")
        yield World(authority, centre, work)
        for service in (authority, centre):
            if service.process is not None:
                service.stop()


def test_a_pair_has_its_key_from_the_other_process(world: World) -> None:
    request_id = world.submit()
    assert world.approve(request_id)["state"] == "issued"
    pair = world.pair(request_id)
    key = world.key(pair["enveloped_key"])
    assert pair["encryption"]["serial"] != pair["signing"]["serial"]
    assert world.pools()["in_use"] == 1
    assert world.centre.yinxin("audit", "verify").startswith("whole: ")
    assert {event["actor"] for event in assigned(world, world.centre)} == {"authority:business"}
    assert assigned(world, world.authority) == []
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


def assigned(world: World, service: Service) -> list[dict]:
    who = "km:audit" if service is world.centre else "audit"
    events = world.ask(who, "GET", "/audit/events?limit=1000")
    return [event for event in events if event["action"] == "escrow-key.assigned"]


def test_officers_use_the_command_line_against_the_centre(world: World) -> None:
    token = world.work / "officer"
    token.write_text(world.centre.token("key"))
    words = ("--token-file", token, "--trust", world.centre.root, "--server", world.centre.url)
    # The pool is filled beside all else; what was asked of it so far was made for who asked.
    until = time.monotonic() + 60
    while not json.loads(yinxin("pool", *words).stdout)["standby"]:
        assert time.monotonic() < until
    assert json.loads(yinxin("recovery", "list", *words).stdout) == []


def test_a_holders_recovery_is_asked_here_approved_there_and_fetched_here(world: World) -> None:
    request_id = world.submit()
    world.approve(request_id)
    pair = world.pair(request_id)
    body = {"issuer": "sm2-issuing", "serial": pair["signing"]["serial"], "reason": "lost"}
    asked = world.ask("business", "POST", f"/requests/{request_id}/recovery", body)
    assert asked["requester"] == "business"
    one = f"/key-management/recoveries/{asked['id']}"
    assert world.ask("km:key", "GET", one)["requester"] == "authority:business"
    world.ask("km:key", "POST", f"{one}/approve", {})
    with pytest.raises(Said, match="409 the recovery is requested"):
        world.ask("business", "POST", f"{one}/deliver", {})
    world.ask("km:k2", "POST", f"{one}/approve", {})
    assert world.ask("business", "GET", one)["state"] == "approved"
    given = world.ask("business", "POST", f"{one}/deliver", {})
    key = world.key(given["enveloped_key"])
    assert key.public_key == world.key(pair["enveloped_key"]).public_key
    with pytest.raises(Said, match="409 the recovery is delivered"):
        world.ask("business", "POST", f"{one}/deliver", {})
    listed = world.ask("business", "GET", "/key-management/recoveries")
    assert [item["state"] for item in listed if item["id"] == asked["id"]] == ["delivered"]


def test_the_authority_does_not_serve_what_belongs_to_the_officers(world: World) -> None:
    world.authority.yinxin("user", "create", "k1", "--display-name", "k1", "--role", "key")
    for method, path in (
        ("GET", "/pools"),
        ("POST", "/recoveries"),
        ("POST", f"/recoveries/{'0' * 32}/approve"),
    ):
        with pytest.raises(Said, match=r"40[45]"):
            world.ask("k1", method, f"/key-management{path}")


def test_revoking_the_pair_moves_its_key_to_history_there(world: World) -> None:
    request_id = world.submit()
    world.approve(request_id)
    before = world.pools()["history"]
    serial = world.pair(request_id)["signing"]["serial"]
    body = {"reason": "superseded"}
    world.ask("business", "POST", f"/certificates/sm2-issuing/{serial}/revoke", body)
    for _ in range(600):
        if world.pools()["history"] > before:
            return
        time.sleep(0.1)
    raise AssertionError("the key is still in use")


def test_nobody_but_the_authority_is_given_keys(world: World) -> None:
    key, csr, stranger = (world.work / name for name in ("other.key", "other.csr", "other.pem"))
    subprocess.run(
        ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", key, "-out", csr, "-subj", "/CN=other"],
        check=True, capture_output=True,
    )  # fmt: skip
    chain = issue(world.callers["business"], csr.read_text(), "device")
    stranger.write_bytes(chain + key.read_bytes())
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
    context.load_cert_chain(stranger)
    status, said = call()
    assert status == 403
    assert "authority of this key management centre" in said["detail"]
    assert world.pools() == before


def refused_quickly(world: World, request_id: str) -> None:
    began = time.monotonic()
    with pytest.raises(Said, match="503 the key management centre"):
        world.approve(request_id)
    assert time.monotonic() - began < 10
    assert world.ask("business", "GET", f"/requests/{request_id}")["state"] == "pending"
    listed = world.ask("business", "GET", "/certificates?limit=1000&state=reserved")
    assert listed["items"] == []


def test_a_killed_centre_leaves_no_half_pair_and_the_request_is_finished_later(
    world: World,
) -> None:
    request_id = world.submit()
    world.centre.kill()
    refused_quickly(world, request_id)
    assert world.approve(world.submit("device"))["state"] == "issued", "one certificate"
    world.centre.start()
    assert world.approve(request_id)["state"] == "issued"
    assert world.key(world.pair(request_id)["enveloped_key"])


def test_the_storage_key_is_on_the_token_and_can_only_decrypt(world: World) -> None:
    shown = softhsm.tool("--list-objects", "--type", "privkey")
    assert "label:      km-storage" in shown
    assert "Usage:      decrypt\n" in shown
    assert "sensitive, always sensitive, never extractable, local" in shown
    assert not list(world.centre.state.rglob("km-storage*")), "no file has it"


def test_a_token_that_is_away_is_waited_for_and_found_again(world: World) -> None:
    request_id = world.submit()
    tokens, elsewhere = world.work / "tokens", world.work / "elsewhere"
    world.centre.kill()
    tokens.rename(elsewhere)
    tokens.mkdir()
    world.centre.start()
    with pytest.raises(Said, match="503"):
        world.approve(request_id)
    assert world.approve(world.submit("device"))["state"] == "issued", "one certificate"
    tokens.rmdir()
    elsewhere.rename(tokens)
    assert world.approve(request_id)["state"] == "issued", "without a restart"
    assert world.key(world.pair(request_id)["enveloped_key"])


def test_a_centre_that_hangs_is_given_up_and_asked_again(world: World) -> None:
    request_id = world.submit()
    assert world.centre.process is not None
    os.kill(world.centre.process.pid, signal.SIGSTOP)
    try:
        refused_quickly(world, request_id)
        assert world.approve(world.submit("device"))["state"] == "issued", "one certificate"
    finally:
        os.kill(world.centre.process.pid, signal.SIGCONT)
    assert world.approve(request_id)["state"] == "issued"
    events = assigned(world, world.centre)
    assert len([event for event in events if event["detail"]["request"] == request_id]) == 1


def test_a_centre_killed_in_the_middle_of_many_pairs_loses_none(
    world: World, run_together: Callable[..., list]
) -> None:
    requests = [world.submit() for _ in range(24)]
    in_use = world.pools()["in_use"]

    def approve(request_id: str) -> None:
        for _ in range(200):
            with suppress(Said):
                if world.approve(request_id)["state"] == "issued":
                    return
            time.sleep(0.2)
        raise AssertionError("the request was never finished")

    def approve_in_turn(share: list[str]) -> None:
        for request_id in share:
            approve(request_id)

    def kill() -> None:
        for _ in range(2):
            time.sleep(0.4)
            world.centre.kill()
            world.centre.start()

    shares = [requests[start::4] for start in range(4)]
    run_together([kill, *(lambda share=share: approve_in_turn(share) for share in shares)])
    keys = {world.key(world.pair(r)["enveloped_key"]).public_key for r in requests}
    assert len(keys) == 24
    assert world.pools()["in_use"] == in_use + 24
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


def test_the_doors_of_the_centre_open_to_their_own_roles_only(world: World) -> None:
    recovery = "/api/v1/key-management/recoveries/{recovery_id}"
    check_doors(
        world.centre,
        {
            "GET /api/v1/key-management/pools": {"key", "audit"},
            "POST /api/v1/key-management/recoveries": {"judicial"},
            "GET /api/v1/key-management/recoveries": {"key", "business", "judicial", "audit"},
            f"GET {recovery}": {"key", "business", "judicial", "audit"},
            f"POST {recovery}/approve": {"key"},
            f"POST {recovery}/reject": {"key"},
            f"POST {recovery}/deliver": {"business", "judicial"},
        },
    )
