"""Registration authorities in processes of their own: one brings its acts, one has them fetched."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import signal
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography import x509

from keystore import pem, sm2
from keystore.envelope_opening import open_for_holder
from tests.hosts import Caller, Said, certify, check_doors, issue
from tests.service import Service, yinxin

SHORT = {"YINXIN_REGISTRATION__EXCHANGE_SECONDS": "1", "YINXIN_REGISTRATION__TIMEOUT_SECONDS": "3"}


@dataclass
class Branch:
    """A registration authority, and who works there."""

    name: str
    host: Service
    operator: Caller
    organisation: str
    fingerprint: str

    def enter(self, csr: str, profile: str = "device", **changes: Any) -> str:
        body = {"csr": csr, "profile": profile, "issuer": "sm2-issuing"} | changes
        return str(self.operator("POST", "/requests", body)["id"])

    def approve(self, request_id: str) -> dict:
        return self.operator("POST", f"/requests/{request_id}/approve", {})

    def rekey(self, serial: str, csr: str) -> str:
        path = f"/certificates/sm2-issuing/{serial}/rekey"
        return str(self.operator("POST", path, {"csr": csr})["id"])

    def upload(self, table: str, issuer: str) -> str:
        """Begin the dry run of a table of devices."""
        with closing(self.operator.connect()) as connection:
            headers = {
                "Authorization": f"Bearer {self.operator.token}",
                "Content-Type": "application/octet-stream",
            }
            path = f"/api/v1/bulk?profile=device&issuer={issuer}"
            connection.request("POST", path, table.encode(), headers)
            return str(json.loads(connection.getresponse().read())["id"])

    def comment(self, batch: str) -> str:
        return self.operator("GET", f"/bulk/{batch}")["comment"] or ""

    def ended(self, request_id: str, seconds: float = 90) -> dict:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found = self.operator("GET", f"/requests/{request_id}")
            if found["state"] not in ("pending", "sent"):
                return found
            time.sleep(0.2)
        raise AssertionError(f"not answered: {found}")


@dataclass
class World:
    authority: Service
    business: Caller
    work: Path
    branches: dict[str, Branch]

    def csr(self, name: str, key_file: str = "holder.key") -> str:
        key, csr = self.work / key_file, self.work / f"{name}.csr"
        words = ("-sm3", "-sigopt", "distid:1234567812345678", "-subj", f"/CN={name}")
        subprocess.run(
            ["openssl", "req", "-new", "-key", key, *words, "-out", csr],
            check=True, capture_output=True,
        )  # fmt: skip
        return csr.read_text()

    def csr_cell(self, key_file: str) -> str:
        """A CSR as it stands in one cell of a table."""
        text = self.csr(f"the-csr-of-{key_file}", key_file).replace("\n", "")
        return text.removeprefix("-----BEGIN CERTIFICATE REQUEST-----").partition("-")[0]


def start_branch(world: World, name: str, *, pulled: bool) -> Branch:
    known = json.dumps([world.authority.yinxin("host", "key")])
    host = Service(
        world.work / name, SHORT | {"YINXIN_REGISTRATION__AUTHORITY_KEYS": known}, role="ra"
    )
    if not pulled:
        url = f"https://localhost:{world.authority.mutual_tls_port}"
        host.environment |= {"YINXIN_REGISTRATION__AUTHORITY_URL": url}
    fingerprint = certify(host, world.authority, world.work / f"certify-{name}")
    root = world.business("GET", "/organisations")["items"][0]["id"]
    city = {"parent": root, "level": "city", "name": name}
    organisation = world.business("POST", "/organisations", city)["id"]
    office = {"parent": organisation, "level": "department", "name": f"{name} office"}
    world.business("POST", "/organisations", office)
    words = ["--profile", "device", "--profile", "device-dual-signing"]
    if pulled:
        words += ["--url", f"https://localhost:{host.mutual_tls_port}"]
    world.authority.yinxin(
        "ra", "add", name, "--key", fingerprint, "--organisation", organisation, *words
    )
    host.start()
    return Branch(name, host, Caller(host, "business"), organisation, fingerprint)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    work = tmp_path_factory.mktemp("registrars")
    for name in ("holder.key", "new.key", "blocked.key", "table-push.key", "table-pull.key"):
        subprocess.run(
            ["openssl", "genpkey", "-algorithm", "SM2", "-out", work / name],
            check=True, capture_output=True,
        )  # fmt: skip
    spki = sm2.PrivateKey(pem.decode((work / "blocked.key").read_text(), "PRIVATE KEY")).public_key
    blocked = json.dumps([hashlib.sha256(spki).hexdigest()])
    authority = Service(work / "ca", SHORT | {"YINXIN_CA__BLOCKED_KEYS": blocked}).start()
    made = World(authority, Caller(authority, "business"), work, {})
    for name, pulled in (("push", False), ("pull", True)):
        made.branches[name] = start_branch(made, name, pulled=pulled)
    yield made
    for service in (authority, *(branch.host for branch in made.branches.values())):
        if service.process is not None:
            service.stop()


@contextmanager
def hanging(service: Service) -> Iterator[None]:
    os.kill(service.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(service.pid, signal.SIGCONT)


@pytest.fixture(params=["push", "pull"])
def branch(world: World, request: pytest.FixtureRequest) -> Branch:
    return world.branches[request.param]


def eventually(act: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not act():
        assert time.monotonic() < until, "it never happened"
        time.sleep(0.2)


def test_the_branch_of_the_tree_arrives_with_its_ids(world: World, branch: Branch) -> None:
    def listed() -> list[dict]:
        with suppress(Said):  # before the first exchange nobody has rights there
            return branch.operator("GET", "/organisations")["items"]
        return []

    eventually(lambda: len(listed()) == 2)
    theirs = world.business("GET", f"/organisations?under={branch.organisation}")["items"]
    assert {item["id"]: item["name"] for item in listed()} == {
        item["id"]: item["name"] for item in theirs
    }


def enter_and_approve_by_pages(host: Service, csr: str) -> str:
    """From the set-up link of the first start on, as an operator does; return the request's id."""
    password = "a passphrase of seven words for this"
    with requests.Session() as browser:
        browser.verify, browser.trust_env = str(host.root), False

        def send(path: str, at: str, **fields: str) -> requests.Response:
            page = browser.get(f"{host.url}{at}")
            csrf = re.search(r'name="csrf" value="([^"]+)"', page.text)
            assert csrf is not None, page.text
            return browser.post(f"{host.url}{path}", {"csrf": csrf[1], **fields})

        link = re.search(r"business +https://[^/]+(/setup/\S+)", host.log.read_text())
        assert link is not None
        send(link[1], link[1], password=password, repeat=password)
        send("/login", "/login", name="business", password=password)
        asked = {"profile": "device", "issuer": "sm2-issuing", "csr": csr}
        page = send("/console/requests/new", "/console/requests/new?profile=device", **asked)
        assert "待审核" in page.text, page.text
        path = page.url.removeprefix(host.url).partition("?")[0]
        # The authority may have answered already.
        assert re.search("待认证机构处理|已完成", send(f"{path}/approve", path).text)
        return path.rpartition("/")[2]


def test_what_is_reviewed_here_is_issued_there_and_comes_back(world: World, branch: Branch) -> None:
    csr = world.csr(f"{branch.name}-one.example.test")
    if branch.name == "pull":
        request_id = enter_and_approve_by_pages(branch.host, csr)
    else:
        request_id = branch.enter(csr)
        assert branch.operator("GET", f"/requests/{request_id}")["state"] == "pending"
        branch.approve(request_id)
    given = branch.ended(request_id)
    assert given["state"] == "done", given["comment"]
    certificate = x509.load_pem_x509_certificates(given["chain"].encode())[0]
    serial = given["certificate"]["serial"]
    assert certificate.serial_number == int(serial, 16)
    theirs = world.business("GET", f"/certificates/sm2-issuing/{serial}")
    assert theirs["organisation_id"] == branch.organisation
    assert theirs["requester"] == f"ra:{branch.name}:business"
    actions = {"desk.entered", "desk.reviewed", "desk.answered"}
    written = branch.host.yinxin("audit", "list", "--limit", "1000")
    assert actions <= {json.loads(line)["action"] for line in written.splitlines()}
    assert branch.host.yinxin("audit", "verify").startswith("whole: ")


def test_a_pair_comes_back_with_its_key_enveloped(world: World, branch: Branch) -> None:
    csr = world.csr(f"{branch.name}-two.example.test")
    request_id = branch.enter(csr, "device-dual-signing")
    branch.approve(request_id)
    given = branch.ended(request_id)
    assert given["state"] == "done", given["comment"]
    text = (world.work / "holder.key").read_text()
    opened = open_for_holder(base64.b64decode(given["enveloped_key"]), signing_key=text)
    key = sm2.PrivateKey(pem.decode(opened.decode(), "PRIVATE KEY"))
    assert key.public_key in pem.decode(
        given["encryption_chain"].partition("-----END")[0] + "-----END CERTIFICATE-----\n",
        "CERTIFICATE",
    )


def test_a_profile_that_is_not_its_own_is_refused_with_the_reason(
    world: World, branch: Branch
) -> None:
    csr = world.csr("other.example.test")
    names = {"alternative_names": ["dns:other.example.test"]}
    request_id = branch.enter(csr, "tls-server", **names)
    branch.approve(request_id)
    refused = branch.ended(request_id)
    assert refused["state"] == "refused"
    assert refused["comment"].startswith(f"ra:{branch.name} lacks the right: apply")
    assert "tls-server" in refused["comment"]


def test_another_branch_is_refused_here_already(world: World, branch: Branch) -> None:
    other = world.branches["pull" if branch.name == "push" else "push"].organisation
    with pytest.raises(Said, match=r"40[34]") as refused:
        branch.enter(world.csr("x.example.test"), organisation=other)
    assert "organisation" in str(refused.value) or "right" in str(refused.value)


def test_changes_of_status_go_through_the_desk_too(world: World, branch: Branch) -> None:
    request_id = branch.enter(world.csr(f"{branch.name}-three.example.test"))
    branch.approve(request_id)
    serial = branch.ended(request_id)["certificate"]["serial"]
    path = f"/certificates/sm2-issuing/{serial}"
    states = []
    for act, body in (("hold", {}), ("release", {}), ("revoke", {"reason": "superseded"})):
        asked = branch.operator("POST", f"{path}/{act}", body)
        assert branch.ended(asked["id"])["state"] == "done"
        states.append(world.business("GET", path)["state"])
    assert states == ["held", "issued", "revoked"]


def test_a_certificate_of_another_branch_is_not_touched(world: World, branch: Branch) -> None:
    csr = world.csr("root.example.test")
    body = {"csr": csr, "profile": "device", "issuer": "sm2-issuing"}
    request_id = world.business("POST", "/requests", body)["id"]
    made = world.business("POST", f"/requests/{request_id}/approve", {})
    serial = made["certificate"]["serial"]
    path = f"/certificates/sm2-issuing/{serial}"
    asked = branch.operator("POST", f"{path}/revoke", {"reason": "keyCompromise"})
    refused = branch.ended(asked["id"])
    assert refused["state"] == "refused"
    assert f"ra:{branch.name} lacks the right: revoke" in refused["comment"]
    assert world.business("GET", path)["state"] == "issued"


def call(port: int, root: Path, shown: Path | None, path: str, body: object) -> tuple[int, dict]:
    context = ssl.create_default_context(cafile=root)
    if shown is not None:
        context.load_cert_chain(shown)
    with closing(HTTPSConnection("localhost", port, context=context, timeout=30)) as connection:
        headers = {"Content-Type": "application/json"}
        connection.request("POST", path, json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def test_nobody_else_comes_to_the_counter_or_to_the_outbox(world: World) -> None:
    key, csr, stranger = (world.work / f"stranger.{kind}" for kind in ("key", "csr", "pem"))
    subprocess.run(
        ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", key, "-out", csr, "-subj", "/CN=stranger"],
        check=True, capture_output=True,
    )  # fmt: skip
    stranger.write_bytes(issue(world.business, csr.read_text(), "device") + key.read_bytes())
    act = {"id": "0" * 32, "operation": "freeze", "entered_by": "a", "reviewed_by": "b",
           "issuer": "sm2-issuing", "serial": "01"}  # fmt: skip
    pulled = world.branches["pull"].host
    for port, path, body, words in (
        (world.authority.mutual_tls_port, "/ra/v1/acts", act, "no registration authority's"),
        (
            world.authority.mutual_tls_port,
            "/ra/v1/checks",
            {"rows": []},
            "no registration authorit",
        ),
        (pulled.mutual_tls_port, "/ra/v1/outbox", {}, "authority of this registration authority"),
        (pulled.mutual_tls_port, "/ra/v1/questions", {}, "authority of this registration"),
        (pulled.mutual_tls_port, "/ra/v1/verdicts", {"rows": []}, "authority of this registration"),
    ):
        status, said = call(port, world.authority.root, stranger, path, body)
        assert status == 403, said
        assert words in said["detail"]
        with pytest.raises((ssl.SSLError, ConnectionError)):
            call(port, world.authority.root, None, path, body)


def test_whatever_is_killed_each_request_gives_one_certificate(
    world: World, branch: Branch
) -> None:
    first = [branch.enter(world.csr(f"{branch.name}-killed-{n}.example.test")) for n in range(4)]
    for request_id in first:
        branch.approve(request_id)
    old = [branch.ended(request_id)["certificate"]["serial"] for request_id in first]
    new_key = world.csr("new.example.test", "new.key")
    requests = [branch.rekey(serial, new_key) for serial in old]
    requests += [
        branch.enter(world.csr(f"{branch.name}-killed-{n}.example.test")) for n in range(4, 8)
    ]
    for request_id in requests:
        branch.approve(request_id)
    for pause, victim in ((0.3, branch.host), (0.6, world.authority), (0.2, branch.host)):
        time.sleep(pause)
        victim.kill()
        victim.start()
    serials = set()
    for request_id in requests:
        given = branch.ended(request_id)
        assert given["state"] == "done", given
        serials.add(given["certificate"]["serial"])
    assert len(serials) == len(requests)
    listed = world.business("GET", "/certificates?limit=1000&issuer=sm2-issuing")["items"]
    theirs = {
        item["serial"]: item["state"]
        for item in listed
        if f"{branch.name}-killed-" in item["subject"]
    }
    assert set(theirs) == serials | set(old), "no second one, and none the branch has not heard of"
    assert {serial for serial, state in theirs.items() if state == "revoked"} == set(old)


def test_subscribers_enrol_at_the_branch_by_two_codes(world: World, branch: Branch) -> None:
    subject = [{"type": "CN", "value": f"{branch.name}-pickup.example.test"}]
    body = {"profile": "device-dual-signing", "issuer": "sm2-issuing", "subject": subject}
    request_id = branch.operator("POST", "/requests", body)["id"]
    codes = branch.approve(request_id)["codes"]
    asked = {"reference": codes["reference"], "code": codes["code"], "format": "skf"}
    asked["csr"] = world.csr("what-the-csr-says.example.test")

    def pick_up(**changes: str) -> tuple[int, dict]:
        port, root = branch.host.https_port, branch.host.root
        return call(port, root, None, "/api/v1/pickup", asked | changes)

    assert pick_up(code="0000-0000-0000-0000")[0] == 403
    branch.host.kill()
    branch.host.start()
    eventually(lambda: pick_up()[0] == 200)
    given = pick_up()[1]
    assert len(base64.b64decode(given["envelope"])) == 388
    certificate = x509.load_pem_x509_certificate(given["certificate"].encode())
    assert certificate.subject.rfc4514_string() == f"CN={branch.name}-pickup.example.test"
    assert pick_up(csr=world.csr("x.example.test", "new.key"))[0] == 403


def test_a_table_is_carried_whole_though_it_is_killed(world: World, branch: Branch) -> None:
    names = [f"{branch.name}-bulk-{number}.example.test" for number in range(6)]
    csr = world.csr_cell(f"table-{branch.name}.key")
    table, token = world.work / "table.csv", world.work / "token"
    # One key cannot be in a table twice: the others bring theirs.
    rows = [f"{names[0]},{csr}", *(f"{name}," for name in names[1:])]
    table.write_text("\n".join(["CN,csr", *rows]))
    token.write_text(branch.operator.token)
    key, recipient = world.work / "officer.key", world.work / "officer.csr"
    subprocess.run(
        ["openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out",
         recipient, "-subj", "/CN=officer"], check=True, capture_output=True,
    )  # fmt: skip
    officer = world.work / "officer.pem"
    officer.write_bytes(issue(world.business, recipient.read_text(), "device"))
    here = ("--server", branch.host.url, "--trust", branch.host.root, "--token-file", token)

    def bulk(*words: str | Path, check: bool = True) -> str:
        return yinxin("bulk", *words, *here, check=check).stdout

    asked = ("--profile", "device", "--issuer", "sm2-issuing")
    batch = json.loads(bulk("check", table, *asked))
    assert batch["counts"] == {"valid": 6}
    bulk("submit", batch["id"], "--recipient", officer)
    path = f"/bulk/{batch['id']}"
    with hanging(world.authority):
        branch.operator("POST", f"{path}/approve", {})
        asked_about = [
            branch.upload(f"CN,csr\n,{world.csr_cell('blocked.key')}\n{names[1]},\n", issuer)
            for issuer in ("sm2-issuing", "no-such-issuer")
        ]
        for one in asked_about:
            eventually(lambda one=one: branch.comment(one).startswith("not asked"))
        branch.host.kill()
        branch.host.start()
    for one, reasons in zip(
        asked_about,
        (
            ["this public key is blocked: make a new key pair"],
            ["there is no issuer no-such-issuer"] * 2,
        ),
        strict=True,
    ):
        eventually(lambda one=one: branch.operator("GET", f"/bulk/{one}")["state"] == "checked")
        bad = branch.operator("GET", f"/bulk/{one}/items?state=bad")
        assert [item["reason"] for item in bad] == reasons
    eventually(lambda: branch.operator("GET", path)["state"] == "done")
    assert branch.operator("GET", path)["counts"] == {"issued": 1, "awaiting-pickup": 5}
    package, opened = world.work / f"{branch.name}.p7m", world.work / f"{branch.name}-opened"
    bulk("fetch", batch["id"], "--out", package)
    yinxin("bulk", "open", package, "--key", key, "--out", opened)
    assert len((opened / "codes.csv").read_text().splitlines()) == 6
    (certificate,) = (opened / "certificates").iterdir()
    found = x509.load_pem_x509_certificate(certificate.read_bytes())
    assert found.subject.rfc4514_string() == f"CN={names[0]}"
    listed = world.business("GET", "/certificates?limit=1000&issuer=sm2-issuing")["items"]
    assert sum(f"{branch.name}-bulk-" in item["subject"] for item in listed) == 1


def test_one_that_hangs_delays_no_other(world: World) -> None:
    other = world.branches["push"]
    with hanging(world.branches["pull"].host):
        request_id = other.enter(world.csr("while-it-hangs.example.test"))
        other.approve(request_id)
        assert other.ended(request_id)["state"] == "done"


def test_one_that_is_removed_is_not_heard_until_it_is_registered_again(world: World) -> None:
    branch = world.branches["push"]
    request_id = branch.enter(world.csr("removed.example.test"))
    world.authority.yinxin("ra", "remove", "push")
    branch.approve(request_id)
    eventually(lambda: "no registration authority's" in branch.host.log.read_text())
    assert branch.operator("GET", f"/requests/{request_id}")["state"] == "sent"
    world.authority.yinxin(
        "ra", "add", "push", "--key", branch.fingerprint, "--organisation", branch.organisation,
        "--profile", "device",
    )  # fmt: skip
    assert branch.ended(request_id)["state"] == "done"
    assert "push\t" in world.authority.yinxin("ra", "list")


def test_what_cannot_be_registered_is_one_sentence(world: World) -> None:
    branch = world.branches["push"]
    words = ("--organisation", branch.organisation, "--profile", "device")
    for name, key, more, said in (
        ("new", "0" * 63, words, "SHA-256"),
        ("new", branch.fingerprint, words, "this key already"),
        ("new", "0" * 64, (*words, "--profile", "root"), "no profile root"),
    ):
        done = yinxin(
            "--state", world.authority.state, "ra", "add", name, "--key", key, *more,
            environment=world.authority.environment, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert said in done.stderr, done.stderr


def test_the_doors_of_a_registrar_open_to_their_own_roles_only(world: World) -> None:
    certificate = "/api/v1/certificates/{issuer}/{serial}"
    check_doors(
        world.branches["push"].host,
        {
            "POST /api/v1/requests": {"business"},
            "GET /api/v1/requests": {"business", "audit"},
            "GET /api/v1/requests/{request_id}": {"business", "audit"},
            "POST /api/v1/requests/{request_id}/approve": {"business"},
            "POST /api/v1/requests/{request_id}/reject": {"business"},
            "POST /api/v1/requests/{request_id}/pickup-resend": {"business"},
            "POST /api/v1/pickup": {"system", "business", "audit", "key", "judicial"},
            "GET /api/v1/statistics": {"business", "audit"},
            "GET /api/v1/bulk": {"business", "audit"},
            "POST /api/v1/bulk": {"business"},
            "GET /api/v1/bulk/{batch_id}": {"business", "audit"},
            "GET /api/v1/bulk/{batch_id}/items": {"business", "audit"},
            **{
                f"POST /api/v1/bulk/{{batch_id}}/{act}": {"business"}
                for act in (
                    *("submit", "approve", "reject", "pause", "resume", "cancel"),
                    *("package", "confirm", "unasked"),
                )
            },
            f"POST {certificate}/revoke": {"business"},
            f"POST {certificate}/hold": {"business"},
            f"POST {certificate}/release": {"business"},
            f"POST {certificate}/renew": {"business"},
            f"POST {certificate}/rekey": {"business"},
            f"POST {certificate}/reissue": {"business"},
            "GET /api/v1/organisations": {"system", "business", "audit"},
            "GET /api/v1/organisations/{organisation_id}": {"system", "business", "audit"},
            "GET /api/v1/issuers": {"system", "business", "audit"},
            "GET /api/v1/profiles": {"system", "business", "audit"},
            "GET /api/v1/rights": {"business", "audit"},
            "POST /api/v1/rights": {"business"},
            "DELETE /api/v1/rights/{right_id}": {"business"},
        },
    )
