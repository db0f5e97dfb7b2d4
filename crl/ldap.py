"""An LDAP directory (RFC 4511, schema of RFC 4523), through the library `bonsai`.

Imported only when a directory is configured: the library is the extra ``yinxin[ldap]``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import bonsai
from bonsai import LDAPEntry, LDAPModOp, LDAPSearchScope, errors

from core.errors import Misconfigured, Refused, Unavailable
from crl.directory_names import EntryName
from crl.publication_config import PublicationConfig
from keystore import pin

_TIMEOUT_SECONDS: Final = 15
_USER: Final = "userCertificate;binary"
_AUTHORITY: Final = "cACertificate;binary"
_CRL: Final = "certificateRevocationList;binary"


class LDAPDirectory:
    """`crl.publication.Directory` over one connection at a time."""

    def __init__(self, config: PublicationConfig) -> None:
        self._config = config
        self._connection: Any = None

    def put_certificate(self, name: EntryName, certificate: bytes) -> None:
        try:
            self._modify(name.dn, _USER, LDAPModOp.ADD, certificate)
        except errors.TypeOrValueExists:
            return
        except errors.NoSuchObjectError:
            self._add(name, self._config.entry_classes, {_USER: certificate})

    def remove_certificate(self, name: EntryName, certificate: bytes) -> None:
        try:
            self._modify(name.dn, _USER, LDAPModOp.DELETE, certificate)
        except (errors.NoSuchObjectError, errors.NoSuchAttribute):
            return

    def put_authority(self, name: EntryName, certificate: bytes, crl: bytes) -> None:
        try:
            self._modify(name.dn, _AUTHORITY, LDAPModOp.REPLACE, certificate)
        except errors.NoSuchObjectError:
            classes = ("applicationProcess", "pkiCA")
            self._add(name, classes, {_AUTHORITY: certificate, _CRL: crl})
        else:
            self._modify(name.dn, _CRL, LDAPModOp.REPLACE, crl)

    def put_distribution_point(self, name: EntryName, crl: bytes) -> None:
        try:
            self._modify(name.dn, _CRL, LDAPModOp.REPLACE, crl)
        except errors.NoSuchObjectError:
            self._add(name, ("cRLDistributionPoint",), {_CRL: crl})

    def find_crl(self, name: EntryName) -> bytes | None:
        with self._connected() as connection:
            try:
                found = connection.search(
                    name.dn, LDAPSearchScope.BASE, attrlist=[_CRL], timeout=_TIMEOUT_SECONDS
                )
            except errors.NoSuchObjectError:
                return None
        values = found[0].get(_CRL) if found else None
        return bytes(values[0]) if values else None

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _modify(self, dn: str, attribute: str, operation: LDAPModOp, value: bytes) -> None:
        with self._connected() as connection:
            entry = LDAPEntry(dn, connection)
            # Its annotation says tuple, and means each of `*value`.
            entry.change_attribute(attribute, operation, value)  # type: ignore[arg-type]
            entry.modify(timeout=_TIMEOUT_SECONDS)

    def _add(self, name: EntryName, classes: tuple[str, ...], attributes: dict[str, bytes]) -> None:
        entry = LDAPEntry(name.dn)
        entry["objectClass"] = list(classes)
        entry[name.attribute] = name.value
        if name.attribute.lower() != "cn":
            entry["cn"] = name.value
        if "inetOrgPerson" in classes:
            entry["sn"] = name.value
        for attribute, value in attributes.items():
            entry[attribute] = [value]
        try:
            with self._connected() as connection:
                connection.add(entry, timeout=_TIMEOUT_SECONDS)
        except errors.NoSuchObjectError as error:
            raise Refused("the entry above does not exist in the directory") from error

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        try:
            if self._connection is None:
                self._connection = self._open()
            yield self._connection
        except (errors.TypeOrValueExists, errors.NoSuchObjectError, errors.NoSuchAttribute):
            raise  # answers, that the callers expect
        except _ABSENT as error:
            self._connection = None
            raise Unavailable(f"the directory cannot be used: {type(error).__name__}") from error
        except (Misconfigured, UnicodeDecodeError) as error:
            # Wrong for every entry alike. Not the decoder's words: they quote the password.
            raise Unavailable("publication.password_file cannot be read as a password") from error
        except errors.LDAPError as error:
            raise Refused(f"the directory does not take it: {_said(error)}") from error

    def _open(self) -> Any:
        config = self._config
        client = bonsai.LDAPClient(config.url or "", tls=_starts_tls(config))
        client.set_cert_policy("demand")
        if config.trust_file is not None:
            client.set_ca_cert(str(config.trust_file))
        if config.bind_dn is not None and config.password_file is not None:
            password = pin.from_file(config.password_file)().decode()
            client.set_credentials("SIMPLE", user=config.bind_dn, password=password)
        client.set_raw_attributes([_USER, _AUTHORITY, _CRL])
        return client.connect(timeout=_TIMEOUT_SECONDS)


_ABSENT: Final = (
    errors.ConnectionError,
    errors.ClosedConnection,
    errors.TimeoutError,
    errors.AuthenticationError,
    errors.AuthMethodNotSupported,
    OSError,
)
"""What is wrong for every entry alike."""


def _starts_tls(config: PublicationConfig) -> bool:
    return (config.url or "").startswith("ldap://") and config.start_tls


def _said(error: errors.LDAPError) -> str:
    return str(error).split("\n", maxsplit=1)[0][:120]
