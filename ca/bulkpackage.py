"""What a finished batch gives: files by row, in a package that only its recipient opens."""

from __future__ import annotations

import csv
import io
from base64 import encodebytes
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from ca.bulk import Batch, BulkStore, Item, ItemState
from ca.dual import PairService
from ca.issuer import Issuer
from ca.profiles import CertificateProfile
from ca.requests import encryption_request_id
from ca.serials import to_hex
from ca.store import CertificateRecord, CertificateStore
from core.errors import Conflict
from keystore.envelope import decode_enveloped_key
from keystore.envelope_forms import CSRResponse, encode_csr_response
from keystore.holdersafe import DataKey, EncryptionHalf, HolderSafe
from keystore.package import Entry, write_package

_PAGE: Final = 200
_HEADER: Final = ("row", "subject", "state", "serial", "encryption_serial", "reason")


class BulkPackages:
    """Finishes the private key of an item, and puts a batch's files together."""

    def __init__(
        self,
        store: BulkStore,
        *,
        certificates: CertificateStore,
        pairs: PairService,
        profiles: Mapping[str, CertificateProfile],
        issuers: Mapping[str, Issuer],
        safe: HolderSafe,
    ) -> None:
        self._store = store
        self._certificates = certificates
        self._pairs = pairs
        self._profiles = profiles
        self._issuers = issuers
        self._safe = safe

    def finish(self, batch: Batch, item: Item, certificate: bytes, data_key: DataKey) -> bytes:
        """Return the sealed PKCS#12 files of an item whose key we made. Raises `Unavailable`."""
        if item.sealed is None:
            raise ValueError(f"row {item.row} has no private key here")
        half = None
        if self._dual(batch):
            pair = self._pairs.get(item.request_id)
            half = EncryptionHalf(_octets(pair.encryption), pair.enveloped)
        return data_key.finish(
            item.sealed,
            owner=item.request_id,
            algorithm=batch.key_algorithm,
            certificate=certificate,
            chain=self._chain(batch),
            encryption=half,
        )

    def make(self, batch: Batch) -> bytes:
        """Return the encrypted package. Raises `Unavailable` when the keys cannot be opened."""
        if batch.recipient is None or batch.data_key is None:
            raise Conflict("this batch has no package: its private keys are erased")
        return write_package(
            self._entries(batch),
            data_key=self._safe.open(batch.data_key),
            recipient=batch.recipient,
        )

    def _entries(self, batch: Batch) -> Iterator[Entry]:
        lines: list[Sequence[object]] = [_HEADER]
        after = 0
        while page := self._store.list_items(batch.id, list(ItemState), after=after, limit=_PAGE):
            after = page[-1].row
            ids = [one.request_id for one in page]
            found = self._certificates.find_by_requests(
                [*ids, *map(encryption_request_id, ids)] if self._dual(batch) else ids
            )
            for item in page:
                signing = found.get(item.request_id)
                other = found.get(encryption_request_id(item.request_id))
                lines.append(_line(item, signing, other))
                if item.state is ItemState.ISSUED and signing is not None:
                    yield from self._files(batch, item, signing)
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(lines)
        yield Entry("index.csv", text.getvalue().encode("utf-8"))
        yield Entry("chain.pem", b"".join(map(_pem, self._chain(batch))))

    def _files(self, batch: Batch, item: Item, signing: CertificateRecord) -> Iterator[Entry]:
        name = f"{item.row:05d}-{to_hex(signing.serial)}"
        if item.sealed is not None:
            yield Entry(
                f"keys/{name}",
                sealed=item.sealed,
                owner=item.request_id,
                algorithm=batch.key_algorithm,
            )
        elif self._dual(batch):
            pair = self._pairs.get(item.request_id)
            response = CSRResponse(
                signing=_octets(pair.signing),
                encryption=_octets(pair.encryption),
                enveloped=decode_enveloped_key(pair.enveloped),
            )
            yield Entry(f"pairs/{name}.csrresponse", encode_csr_response(response))
        else:
            yield Entry(f"certificates/{name}.pem", _pem(_octets(signing)))

    def _dual(self, batch: Batch) -> bool:
        return self._profiles[batch.profile].encryption_profile is not None

    def _chain(self, batch: Batch) -> tuple[bytes, ...]:
        issuer = self._issuers[batch.issuer]
        # A batch may reach over the moment at which the next generation takes over.
        family = (issuer, *issuer.earlier)
        return tuple(dict.fromkeys(der for one in family for der in (one.certificate, *one.chain)))


def _line(
    item: Item, signing: CertificateRecord | None, other: CertificateRecord | None
) -> Sequence[object]:
    serials = ["" if record is None else to_hex(record.serial) for record in (signing, other)]
    return (item.row, item.subject or "", item.state, *serials, item.reason or "")


def _octets(record: CertificateRecord) -> bytes:
    if record.der is None:
        raise Conflict(f"the certificate of request {record.request_id} is not issued")
    return record.der


def _pem(certificate: bytes) -> bytes:
    body = encodebytes(certificate)
    return b"-----BEGIN CERTIFICATE-----\n" + body + b"-----END CERTIFICATE-----\n"
