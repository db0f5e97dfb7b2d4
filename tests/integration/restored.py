"""An older copy of the database is put back under a real `yinxin serve`: refused, then completed.

Not in the suite, which has no half minute for it: ``pytest tests/integration/restored.py``. Its
parts are in tests/unit/crl/test_reconcile.py and tests/integration/test_older_database.py.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import ssl
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.service import Service
from yinxin.cli import main


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    running = Service(tmp_path_factory.mktemp("restored") / "var").start()
    yield running
    running.end()


def run(service: Service, *words: object) -> Result:
    """Run a local command in this process."""
    given = ["--state", str(service.state), *map(str, words)]
    return CliRunner(env=service.environment).invoke(main, given)


def said(service: Service, *words: object) -> str:
    done = run(service, *words)
    assert done.exit_code == 0, done.output
    return done.output.strip()


def call(service: Service, token: str, path: str, body: object = None) -> dict:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    asked = Request(f"{service.url}/api/v1{path}", data, headers)
    context = ssl.create_default_context(cafile=service.root)
    with urlopen(asked, context=context, timeout=30) as answer:
        return json.load(answer)


def issue(service: Service, token: str, name: str) -> str:
    """Return the serial number of a new certificate of rsa-issuing."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    )
    csr = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
    body = {"profile": "device", "issuer": "rsa-issuing", "csr": csr}
    entered = call(service, token, "/requests", body)
    approved = call(service, token, f"/requests/{entered['id']}/approve", {})
    return approved["certificate"]["serial"]


def test_an_older_database_is_refused_compared_and_completed(service: Service, tmp_path: Path):
    database, older = service.state / "yinxin.sqlite3", tmp_path / "older"
    assert database.exists(), list(service.state.iterdir())
    token = said(service, "token", "create", "business", "--name", "t", "--days", "1")
    revoked = issue(service, token, "revoked.example.cn")
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("VACUUM INTO ?", (str(older),))
    lost = issue(service, token, "lost.example.cn")
    where = "/certificates/rsa-issuing"
    call(service, token, f"{where}/{revoked}/revoke", {"reason": "superseded"})
    before = call(service, token, f"{where}/{revoked}")
    assert service.stop() == 0

    for suffix in ("-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
    shutil.copy(older, database)
    with pytest.raises(RuntimeError, match=r"older than what this host knows.*yinxin reconcile"):
        service.start()
    service.process = None

    shown = run(service, "reconcile")
    assert shown.exit_code == 3, shown.output
    assert f"{revoked}: revoked, here issued" in shown.output
    assert f"{lost}: issued, here None" in shown.output
    carried = tmp_path / "carried"
    said(service, "reconcile", "--copy", carried)
    assert "2 re-entered" in said(service, "reconcile", "--from", carried, "--apply")
    assert "0 re-entered" in said(service, "reconcile", "--apply")
    service.start()
    after = call(service, token, f"{where}/{revoked}")
    for name in ("state", "reason", "revoked_at"):
        assert after[name] == before[name]
    assert call(service, token, f"{where}/{lost}")["state"] == "issued"
    assert call(service, token, f"{where}/{lost}/revoke", {"reason": "keyCompromise"})
    assert service.stop() == 0
