"""An LDAP directory as identity source: search, then bind as whoever was found (RFC 4513, 5.1).

Imported only when one is configured: the library is the extra ``yinxin[ldap]``.
"""

from __future__ import annotations

from typing import Any, Final

import bonsai
from bonsai import LDAPSearchScope, errors

from authn.upstream.config import LDAPSourceConfig
from authn.upstream.links import Claimed
from core.errors import Unauthenticated, Unavailable
from keystore import pin

_TIMEOUT_SECONDS: Final = 10
_MOST_CHARACTERS: Final = 128


class LDAPSource:
    """Finds people in the directory and lets the directory judge their password."""

    def __init__(self, config: LDAPSourceConfig) -> None:
        self.config = config

    def find(self, name: str) -> tuple[str, Claimed]:
        """Return the DN of one person, and what the directory says about them.

        Raises `Unauthenticated` when there is not exactly one, and `Unavailable`.
        """
        if not 1 <= len(name) <= _MOST_CHARACTERS:
            raise Unauthenticated(_WRONG)
        config = self.config
        wanted = [config.subject_attribute, config.display_name_attribute]
        # RFC 4515, 3: what people type is a value and never a filter.
        filter_text = config.filter.replace("{name}", bonsai.escape_filter_exp(name))
        try:
            password = pin.from_file(config.password_file)().decode().strip()
            with self._client(config.bind_dn, password).connect(timeout=_TIMEOUT_SECONDS) as one:
                found = one.search(
                    config.base,
                    LDAPSearchScope.SUBTREE,
                    filter_text,
                    wanted,
                    timeout=_TIMEOUT_SECONDS,
                    sizelimit=2,
                )
        except errors.SizeLimitError as error:
            raise Unauthenticated(_WRONG) from error
        except (errors.LDAPError, OSError) as error:
            raise Unavailable(f"the directory {config.name} cannot be asked") from error
        entries = [entry for entry in found if _first(entry, config.subject_attribute)]
        if len(entries) != 1:
            raise Unauthenticated(_WRONG)
        entry = entries[0]
        subject = _first(entry, config.subject_attribute) or ""
        display_name = _first(entry, config.display_name_attribute)
        return str(entry.dn), Claimed(config.name, subject, name, display_name)

    def require_password(self, dn: str, password: str) -> None:
        """Raises `Unauthenticated` for a wrong one, and `Unavailable`."""
        # RFC 4513, 5.1.2: a bind without a password succeeds and proves nothing.
        if not 1 <= len(password) <= _MOST_CHARACTERS:
            raise Unauthenticated(_WRONG)
        try:
            self._client(dn, password).connect(timeout=_TIMEOUT_SECONDS).close()
        except errors.AuthenticationError as error:
            raise Unauthenticated(_WRONG) from error
        except (errors.LDAPError, OSError) as error:
            raise Unavailable(f"the directory {self.config.name} cannot be asked") from error

    def _client(self, user: str, password: str) -> Any:
        client = bonsai.LDAPClient(self.config.url, tls=self.config.url.startswith("ldap://"))
        client.set_cert_policy("demand")
        if self.config.trust_file is not None:
            client.set_ca_cert(str(self.config.trust_file))
        client.set_credentials("SIMPLE", user=user, password=password)
        return client


_WRONG: Final = "the name or the password is wrong"


def _first(entry: Any, attribute: str) -> str | None:
    values = entry.get(attribute, [])
    return str(values[0])[:255] if values else None
