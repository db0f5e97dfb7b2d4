"""Opening the keystore of a host, whatever its role."""

from __future__ import annotations

from core.errors import Misconfigured
from keystore import pin
from keystore.registry import KeyStore, open_keystore
from yinxin.settings import PASSPHRASE_VARIABLE, PIN_VARIABLE, Settings, secret_from_environment
from yinxin.state import State, write_passphrase


def open_keys(settings: Settings, state: State) -> KeyStore:
    """Open the keystore; an embedded default that is given no passphrase makes one.

    Raises `Misconfigured` for a wrong passphrase or a damaged keystore, and touches nothing then.
    """
    passphrase = secret_from_environment(PASSPHRASE_VARIABLE)
    if settings.keystore.passphrase_file is None and passphrase is None:
        directory = settings.keystore.directory or state.keystore_directory
        if not directory.exists():
            write_passphrase(state)
        if not state.passphrase_file.exists():
            raise Misconfigured(
                f"the keystore needs its passphrase: set {PASSPHRASE_VARIABLE}, or name a file "
                "in keystore.passphrase_file"
            )
        passphrase = pin.from_file(state.passphrase_file)
    return open_keystore(
        settings.keystore,
        directory=state.keystore_directory,
        passphrase=passphrase,
        pkcs11_pin=secret_from_environment(PIN_VARIABLE),
    )
