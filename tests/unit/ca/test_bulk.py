"""The life of a batch: dry run, one approval, exactly one certificate a row, one delivery."""

from __future__ import annotations

import csv
import hashlib
import io
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs12

from ca.bulk import BatchState, ItemState
from ca.names import encode_name
from ca.requests import RequestState
from ca.sqlrequests import SQLRequestStore
from ca.store import CertificateQuery, CertificateState
from core import der
from core.errors import Conflict, Forbidden, Malformed, NotFound, ProfileViolation, Refused
from keystore.algorithms import KeyAlgorithm, SignatureAlgorithm
from keystore.envelope_forms import decode_csr_response
from keystore.escrow.store import KeyState
from tests.unit.ca.bulks import BulkDesk
from tests.unit.ca.conftest import Authority
from tests.unit.ca.csrs import pem
from tests.unit.ca.pairs import HOLDER, AwayEscrow

_S = BatchState
DEVICES = "CN,dns\n" + "".join(f"gw-{n}.example.test,gw-{n}.example.test\n" for n in range(5))


@pytest.fixture
def desk(authority: Authority) -> BulkDesk:
    return BulkDesk(authority)


def certificates(desk: BulkDesk, profile: str = "device") -> list[x509.Certificate]:
    """What was issued by batches: the recipient of packages is not."""
    found = desk.authority.store.search_certificates(CertificateQuery(profile=profile))
    return [
        x509.load_der_x509_certificate(record.der)
        for record in found.items
        if record.der is not None and record.subject != "CN=recipient"
    ]


def csr(name: str = "gateway.example.test") -> bytes:
    """A request with the one key of these tests that is no issuer's."""
    info = der.sequence(
        b"\x02\x01\x00", encode_name((("CN", name),)), HOLDER.public_key, der.wrap(0xA0)
    )
    return der.signed_object(info, SignatureAlgorithm.SM2_SM3.identifier, HOLDER.sign(info))


def csr_row(name: str = "gateway.example.test") -> str:
    return f'csr\n"{pem(csr(name)).decode()}"\n'


# ---- dry run ------------------------------------------------------------------------------------


def test_the_dry_run_lists_every_bad_row_and_issues_nothing(desk: BulkDesk) -> None:
    batch = desk.upload(
        "CN,dns,validity_days\n"
        "good.example.test,good.example.test,30\n"
        ",nameless.example.test,\n"
        "bad.example.test,bad_name,\n"
        "long.example.test,,99999\n"
        "days.example.test,,soon\n"
        "good.example.test,,\n"
    )
    desk.worker.run()
    assert desk.service.get(batch.id).state is _S.CHECKED
    assert desk.counts(batch) == {"valid": 1, "bad": 5}
    reasons = desk.reasons(batch)
    assert sorted(reasons) == [3, 4, 5, 6, 7]
    assert "requires CN" in str(reasons[3])
    assert "row 2" in str(reasons[7])
    assert certificates(desk) == []
    with pytest.raises(Refused, match="5 rows of the batch are bad"):
        desk.service.submit(batch.id, recipient=desk.recipient(), actor="alice")
    assert desk.authority.audit.actions[-2:] != ["certificate.signing"]


def test_who_has_a_valid_certificate_is_a_bad_row(desk: BulkDesk) -> None:
    desk.issue(DEVICES)
    again = desk.upload(DEVICES)
    desk.worker.run()
    assert desk.counts(again) == {"bad": 5}
    assert all("has the valid certificate" in str(r) for r in desk.reasons(again).values())
    keyed = desk.issue(csr_row())
    same_key = desk.upload(csr_row("other.example.test"))
    desk.worker.run()
    assert desk.service.get(keyed.id).state is _S.DONE
    assert "its key has certificate" in str(desk.reasons(same_key)[2])


def test_of_rows_that_repeat_one_another_the_first_is_bad_for_what_it_has(desk: BulkDesk) -> None:
    desk.issue("CN\na.example.test\n")
    again = desk.upload("CN\na.example.test\na.example.test\n")
    desk.worker.run()
    reasons = desk.reasons(again)
    assert "has the valid certificate" in str(reasons[2])
    assert "is that of row 2" in str(reasons[3])


def test_the_same_key_twice_in_a_file_is_a_bad_row(desk: BulkDesk) -> None:
    one, two = (pem(csr(name)).decode() for name in ("a.example.test", "b.example.test"))
    batch = desk.upload(f'csr\n"{one}"\n"{two}"\n')
    desk.worker.run()
    assert list(desk.reasons(batch)) == [3]


def test_a_csr_whose_possession_is_not_proved_is_a_bad_row(desk: BulkDesk) -> None:
    octets = bytearray(csr())
    octets[-1] ^= 1
    batch = desk.upload('csr\n"' + pem(bytes(octets)).decode() + '"\n')
    desk.worker.run()
    assert desk.counts(batch) == {"bad": 1}


def test_uploads_that_cannot_be_are_refused_at_once(desk: BulkDesk) -> None:
    for changes, error in (
        ({"profile": "nothing"}, NotFound),
        ({"issuer": "nothing"}, NotFound),
        ({"profile": "device-dual-encryption"}, ProfileViolation),
        ({"profile": "device-dual-signing-rsa", "issuer": "rsa-issuing"}, Refused),
        ({"profile": "device-dual-signing", "key_algorithm": KeyAlgorithm.RSA_2048},
         ProfileViolation),
    ):  # fmt: skip
        with pytest.raises(error):
            desk.upload(DEVICES, **changes)
    with pytest.raises(Malformed):
        desk.upload("colour\nred\n")
    assert desk.service.list_batches(scope=None) == []


def test_a_profile_with_a_make_step_is_not_for_bulk(desk: BulkDesk) -> None:
    profiles = desk.authority.profiles
    profiles["device"] = profiles["device"].model_copy(update={"needs_make": True})
    with pytest.raises(Refused, match="one by one"):
        desk.upload(DEVICES)


# ---- submitting and deciding --------------------------------------------------------------------


def test_one_approval_by_another_issues_the_whole_batch(authority: Authority) -> None:
    desk = BulkDesk(authority, separate_approver=True)
    batch = desk.upload(DEVICES)
    desk.worker.run()
    with pytest.raises(Forbidden, match="this batch is alice's"):
        desk.service.submit(batch.id, recipient=desk.recipient(), actor="bob")
    assert desk.service.submit(batch.id, recipient=desk.recipient(), actor="alice").state is (
        _S.PENDING
    )
    desk.worker.run()
    assert certificates(desk) == []
    with pytest.raises(Forbidden, match="two people"):
        desk.service.approve(batch.id, actor="alice")
    desk.service.approve(batch.id, actor="bob")
    desk.worker.run()
    done = desk.service.get(batch.id)
    assert (done.state, done.decided_by, desk.counts(batch)) == (_S.DONE, "bob", {"issued": 5})
    assert len({certificate.subject for certificate in certificates(desk)}) == 5
    (item, *_) = desk.store.list_items(batch.id, (ItemState.ISSUED,), limit=1)
    record = SQLRequestStore(authority.database).find_request(item.request_id)
    assert record is not None
    assert (record.state, record.requester, record.decided_by) == (
        RequestState.ISSUED, "alice", "bob",
    )  # fmt: skip
    with pytest.raises(Conflict, match="the batch is done"):
        desk.service.approve(batch.id, actor="bob")


def test_a_rejected_batch_says_why_and_issues_nothing(desk: BulkDesk) -> None:
    batch = desk.upload(DEVICES)
    with pytest.raises(Conflict, match="checking"):
        desk.service.submit(batch.id, recipient=desk.recipient(), actor="alice")
    desk.worker.run()
    desk.service.submit(batch.id, recipient=desk.recipient(), actor="alice")
    rejected = desk.service.reject(batch.id, actor="bob", reason="the list is last year's")
    desk.worker.run()
    assert (rejected.state, rejected.comment) == (_S.REJECTED, "the list is last year's")
    assert certificates(desk) == []


def test_only_a_certificate_that_can_receive_keys_is_a_recipient(desk: BulkDesk) -> None:
    batch = desk.upload(DEVICES)
    desk.worker.run()
    issuer = desk.authority.issuers["sm2-issuing"].certificate
    with pytest.raises(Refused, match="keyEncipherment"):
        desk.service.submit(batch.id, recipient=issuer, actor="alice")
    with pytest.raises(Malformed):
        desk.service.submit(batch.id, recipient=b"no certificate", actor="alice")
    late = desk.recipient()
    desk.authority.clock.advance(seconds=731 * 86400)
    with pytest.raises(Refused, match="not valid now"):
        desk.service.submit(batch.id, recipient=late, actor="alice")


def test_a_paused_batch_goes_on_and_a_cancelled_one_does_not(
    desk: BulkDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ca.bulkworker.GROUP", 2)
    monkeypatch.setattr("ca.bulkissuing.GROUP", 2)
    batch = desk.upload(DEVICES)
    desk.worker.run()
    desk.service.submit(batch.id, recipient=desk.recipient(), actor="alice")
    desk.service.approve(batch.id, actor="bob")
    desk.service.pause(batch.id, actor="alice")
    desk.worker.run()
    assert desk.counts(batch) == {"valid": 5}
    desk.service.resume(batch.id, actor="alice")

    real = desk.worker._rows._issue

    def cancelling(*arguments) -> None:
        real(*arguments)
        if desk.service.get(batch.id).state is _S.ISSUING:
            desk.service.cancel(batch.id, actor="alice")

    monkeypatch.setattr(desk.worker._rows, "_issue", cancelling)
    desk.worker.run()
    assert desk.counts(batch) == {"issued": 2, "cancelled": 3}
    assert desk.service.get(batch.id).state is _S.CANCELLED
    files = desk.files(desk.service.fetch(batch.id, actor="alice"), KeyAlgorithm.RSA_2048)
    assert sum(name.startswith("keys/") for name in files) == 2


# ---- issuing ------------------------------------------------------------------------------------


def test_a_row_that_is_refused_later_fails_alone(desk: BulkDesk) -> None:
    batch = desk.upload(DEVICES)
    desk.worker.run()
    desk.service.submit(batch.id, recipient=desk.recipient(), actor="alice")
    (item, *_) = desk.store.list_items(batch.id, (ItemState.VALID,), limit=1)
    desk.store.change_items([replace(item, content=str(item.content).replace("gw-0", "gw 0"))])
    desk.service.approve(batch.id, actor="bob")
    desk.worker.run()
    assert desk.counts(batch) == {"issued": 4, "failed": 1}
    assert desk.service.get(batch.id).state is _S.DONE


def test_a_worker_that_lost_its_lease_writes_nothing(desk: BulkDesk) -> None:
    batch = desk.upload(DEVICES)
    desk.worker.run()
    desk.service.submit(batch.id, recipient=desk.recipient(), actor="alice")
    desk.service.approve(batch.id, actor="bob")
    slow, real = desk.worker, desk.worker._rows._begin

    def sleeping(*arguments):
        begun = real(*arguments)
        if len(made) == 0:
            desk.authority.clock.advance(seconds=31)
            desk.new_worker().run()
        made.append(begun)
        return begun

    made: list = []
    slow._rows._begin = sleeping
    slow.run()
    assert desk.counts(batch) == {"issued": 5}
    issued = {item.spki for item in desk.store.list_items(batch.id, (ItemState.ISSUED,), limit=9)}
    assert issued.isdisjoint({item.spki for item in made}), "the slow one's keys are nobody's"


def test_what_is_unavailable_is_waited_for(desk: BulkDesk) -> None:
    batch = desk.upload(csr_row(), "device-dual-signing")
    desk.worker.run()
    desk.service.submit(batch.id, recipient=desk.recipient(), actor="alice")
    desk.service.approve(batch.id, actor="bob")
    escrow = desk.km.pairs._escrow
    desk.km.pairs._escrow = AwayEscrow()
    desk.worker.run()
    waiting = desk.service.get(batch.id)
    assert waiting.state is _S.ISSUING
    assert "cannot be reached" in str(waiting.comment)
    assert certificates(desk, "device-dual-signing") == []
    desk.km.pairs._escrow = escrow
    desk.worker.run()
    assert desk.counts(batch) == {"issued": 1}
    assert desk.service.get(batch.id).comment is None


def test_nothing_is_issued_when_the_audit_log_cannot_be_written(desk: BulkDesk) -> None:
    batch = desk.upload(DEVICES)
    desk.worker.run()
    desk.service.submit(batch.id, recipient=desk.recipient(), actor="alice")
    desk.service.approve(batch.id, actor="bob")
    desk.authority.audit.broken = True
    desk.worker.run()
    assert certificates(desk) == []
    desk.authority.audit.broken = False
    desk.worker.run()
    assert desk.counts(batch) == {"issued": 5}


# ---- fetching -----------------------------------------------------------------------------------


def listed(octets: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(octets.decode())))


def test_each_person_gets_a_file_with_a_password_of_its_own(desk: BulkDesk) -> None:
    batch = desk.issue(DEVICES, key_algorithm=KeyAlgorithm.EC_P256)
    files = desk.files(desk.service.fetch(batch.id, actor="bob"), KeyAlgorithm.RSA_2048)
    passwords = {line["file"]: line["password"] for line in listed(files["passwords.csv"])}
    assert len(set(passwords.values())) == 5
    index = listed(files["index.csv"])
    assert [line["state"] for line in index] == ["issued"] * 5
    for name, password in passwords.items():
        key, certificate, chain = pkcs12.load_key_and_certificates(files[name], password.encode())
        assert certificate.public_key() == key.public_key()
        assert len(chain) == 2
        assert f"{certificate.serial_number:040x}" in {line["serial"] for line in index}


@pytest.mark.openssl
def test_openssl_opens_the_package_and_an_sm2_file_in_it(desk: BulkDesk, tmp_path: Path) -> None:
    batch = desk.issue("CN\ngw.example.test\n")
    (tmp_path / "package").write_bytes(desk.service.fetch(batch.id, actor="alice"))
    from keystore import pem as pem_form
    from tests.unit.ca.bulks import recipient_key

    key = pem_form.encode(recipient_key(KeyAlgorithm.RSA_2048).pkcs8(), "PRIVATE KEY")
    (tmp_path / "key.pem").write_bytes(key)
    words = ("cms", "-decrypt", "-inform", "DER", "-in", "package", "-inkey", "key.pem",
             "-out", "package.zip")  # fmt: skip
    subprocess.run(["openssl", *words], cwd=tmp_path, check=True, capture_output=True)
    subprocess.run(["python3", "-m", "zipfile", "-e", "package.zip", "."], cwd=tmp_path, check=True)
    (line,) = listed((tmp_path / "passwords.csv").read_bytes())
    words = ("pkcs12", "-in", line["file"], "-passin", f"pass:{line['password']}", "-nodes")
    said = subprocess.run(["openssl", *words], cwd=tmp_path, check=True, capture_output=True)
    assert said.stdout.count(b"BEGIN CERTIFICATE") == 3
    assert said.stdout.count(b"PRIVATE KEY") == 2


def test_a_pair_of_a_soft_key_is_two_files(desk: BulkDesk) -> None:
    batch = desk.issue("CN\ngw.example.test\n", "device-dual-signing")
    package = desk.service.fetch(batch.id, actor="alice")
    files = desk.files(package, KeyAlgorithm.RSA_2048)
    names = [name for name in files if name.startswith("keys/")]
    assert len(names) == 2
    assert names[1].endswith("-encryption.p12")
    (line,) = listed(files["index.csv"])
    assert line["serial"] != line["encryption_serial"] != ""
    counted = desk.km.centre.count_keys()
    assert counted[KeyState.IN_USE] == 1


def test_csrs_give_certificates_or_csr_responses(desk: BulkDesk) -> None:
    batch = desk.issue(csr_row())
    files = desk.files(desk.service.fetch(batch.id, actor="alice"), KeyAlgorithm.RSA_2048)
    (name,) = [name for name in files if name.startswith("certificates/")]
    assert x509.load_pem_x509_certificate(files[name]).subject
    assert "passwords.csv" not in files
    other = csr_row("dual.example.test").replace("csr", "证书请求")
    desk.authority.clock.advance(seconds=800 * 86400)
    batch = desk.issue(other, "device-dual-signing")
    files = desk.files(desk.service.fetch(batch.id, actor="alice"), KeyAlgorithm.RSA_2048)
    (name,) = [name for name in files if name.startswith("pairs/")]
    response = decode_csr_response(files[name])
    assert HOLDER.public_key in response.signing


def test_an_sm2_recipient_opens_its_package_and_nobody_else(desk: BulkDesk) -> None:
    batch = desk.upload(DEVICES)
    desk.worker.run()
    desk.service.submit(batch.id, recipient=desk.recipient(KeyAlgorithm.SM2), actor="alice")
    desk.service.approve(batch.id, actor="bob")
    desk.worker.run()
    package = desk.service.fetch(batch.id, actor="alice")
    assert len(desk.files(package, KeyAlgorithm.SM2)) == 8
    with pytest.raises(Malformed, match="does not open"):
        desk.files(package, KeyAlgorithm.RSA_2048)


def test_a_package_is_delivered_once_and_its_keys_are_erased(desk: BulkDesk) -> None:
    batch = desk.issue(DEVICES)
    with pytest.raises(NotFound, match="no package"):
        desk.service.confirm(batch.id, digest="0" * 64, actor="alice")
    with pytest.raises(Forbidden):
        desk.service.fetch(batch.id, actor="carol")
    lost = hashlib.sha256(desk.service.fetch(batch.id, actor="alice")).hexdigest()
    digest = hashlib.sha256(desk.service.fetch(batch.id, actor="alice")).hexdigest()
    with pytest.raises(Refused, match="another package"):
        desk.service.confirm(batch.id, digest=lost, actor="alice")
    done = desk.service.confirm(batch.id, digest=digest, actor="alice")
    assert (done.delivered_to, done.data_key) == ("alice", None)
    items = desk.store.list_items(batch.id, list(ItemState), limit=10)
    assert [item.sealed for item in items] == [None] * 5
    for act in (
        lambda: desk.service.fetch(batch.id, actor="alice"),
        lambda: desk.service.confirm(batch.id, digest=digest, actor="alice"),
    ):
        with pytest.raises(Conflict):
            act()
    assert desk.authority.audit.actions[-1] == "bulk.delivered"
    states = [
        record.state
        for record in desk.authority.store.search_certificates(CertificateQuery()).items
        if record.profile == "device"
    ]
    assert set(states) == {CertificateState.ISSUED}, "the certificates stay"


def test_what_nobody_fetched_in_time_is_erased(desk: BulkDesk) -> None:
    issued, unused = desk.issue(DEVICES), desk.upload("CN\nlate.example.test\n")
    desk.worker.run()
    assert desk.service.erase_expired() == 0
    desk.expire()
    assert desk.service.erase_expired() == 2
    assert desk.service.erase_expired() == 0
    assert desk.counts(unused) == {}
    with pytest.raises(Conflict, match="not fetched in time"):
        desk.service.fetch(issued.id, actor="alice")
    assert desk.service.get(issued.id).data_key is None


def test_no_private_key_is_in_clear_in_the_database(desk: BulkDesk) -> None:
    batch = desk.issue("CN\ngw.example.test\n", key_algorithm=KeyAlgorithm.EC_P256)
    files = desk.files(desk.service.fetch(batch.id, actor="alice"), KeyAlgorithm.RSA_2048)
    (line,) = listed(files["passwords.csv"])
    key, _, _ = pkcs12.load_key_and_certificates(files[line["file"]], line["password"].encode())
    scalar = key.private_numbers().private_value.to_bytes(32, "big")
    with desk.authority.database.reading() as connection:
        tables = connection.exec_driver_sql("SELECT * FROM bulk_items").all()
        batches = connection.exec_driver_sql("SELECT * FROM bulk_batches").all()
    stored = b"".join(
        value if isinstance(value, bytes) else str(value).encode()
        for row in (*tables, *batches)
        for value in row
    )
    for secret in (scalar, scalar.hex().encode(), line["password"].encode(), files[line["file"]]):
        assert secret not in stored
