"""One logged-in session with one token: opened late, locked, regained once when it is lost.

PKCS#11 lets a module say that it cannot be called from two threads, and python-pkcs11 initialises
modules without asking for locking. So there is one lock per module and process, and whoever holds
it is the only one inside the module.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeVar

import pkcs11
from pkcs11 import exceptions
from pkcs11.attributes import AttributeMapper, handle_ulong
from pkcs11.constants import Attribute
from pkcs11.exceptions import PKCS11Error

from core.errors import BackendUnavailable, Misconfigured, Refused
from keystore.config import PKCS11Config
from keystore.pin import SecretSource

T = TypeVar("T")
Session = Any
"""A `pkcs11.Session`; the library gives its keys their methods at run time."""

_PIN_REFUSED: Final = (
    exceptions.PinExpired,
    exceptions.PinIncorrect,
    exceptions.PinInvalid,
    exceptions.PinLenRange,
    exceptions.PinLocked,
    exceptions.UserPinNotInitialized,
)
_UNSUPPORTED: Final = (
    exceptions.AttributeValueInvalid,
    exceptions.DomainParamsInvalid,
    exceptions.FunctionNotSupported,
    exceptions.KeySizeRange,
    exceptions.KeyTypeInconsistent,
    exceptions.MechanismInvalid,
    exceptions.MechanismParamInvalid,
    exceptions.TemplateInconsistent,
)

_locks: dict[str, threading.RLock] = {}
_locks_lock = threading.Lock()


class Connect(Protocol):
    """Opens a session and logs in. Raises `PKCS11Error`."""

    def __call__(self, config: PKCS11Config, pin: str, *, reload: bool) -> Session: ...


def connect(config: PKCS11Config, pin: str, *, reload: bool) -> Session:
    """Open the module, or with `reload` start it again, and log in to the token.

    Reloading ends every session of this process with the module; others regain theirs as we do.
    """
    library = pkcs11.lib(str(config.module))
    if reload:
        with contextlib.suppress(PKCS11Error):
            library.finalize()
        library.initialize()
    token = library.get_token(token_label=config.token)
    try:
        return token.open(rw=True, user_pin=pin, attribute_mapper=_mapper())
    except exceptions.UserAlreadyLoggedIn:
        # The login belongs to the process and the token, not to the session that was lost.
        return token.open(rw=True, attribute_mapper=_mapper())


class TokenSession:
    """Lends the session to one caller at a time."""

    def __init__(
        self, config: PKCS11Config, pin: SecretSource, *, connect: Connect = connect
    ) -> None:
        self.handles: dict[str, Any] = {}
        """Private keys found in the present session, by label; forgotten with it. Only for `work`,
        which runs under the lock."""
        self._config = config
        self._pin = pin
        self._connect = connect
        self._lock = _lock_of(str(config.module))
        self._session: Session | None = None
        self._process = 0
        self._refused: str | None = None
        self._closed = False

    def use(self, work: Callable[[Session], T]) -> T:
        """Run `work` with the session; once more with a new one if the token has lost it.

        `work` may thus run twice. Raises what it raises, `Refused` for what the token does not
        do, and `BackendUnavailable` when the token cannot be reached.
        """
        with self._lock:
            self._require_usable()
            try:
                if self._session is not None:
                    try:
                        return work(self._session)
                    except _UNSUPPORTED:
                        raise
                    except PKCS11Error:
                        # Tokens differ in how they say that a session, a login or a handle is
                        # gone. Whatever it is, one fresh session is worth trying.
                        self._drop()
                return work(self._opened())
            except _UNSUPPORTED as error:
                raise Refused(
                    f"the token {self._config.token} does not do this ({_name(error)})"
                ) from error
            except PKCS11Error as error:
                self._drop()
                raise BackendUnavailable(
                    f"the token {self._config.token} cannot be used ({_name(error)})"
                ) from error

    def reset(self) -> None:
        """Allow one more login after the PIN was refused, for whoever has corrected it."""
        with self._lock:
            self._refused = None

    def close(self) -> None:
        """Log out. The session is not opened again."""
        with self._lock:
            self._drop()
            self._closed = True

    def _require_usable(self) -> None:
        if self._closed:
            raise BackendUnavailable(f"the token {self._config.token} is closed")
        if self._session is not None and self._process != os.getpid():
            # PKCS#11, C_Initialize: a child must start anew, and may not use what it inherited.
            raise BackendUnavailable(
                f"the token {self._config.token} was opened before this process was forked"
            )
        if self._refused is not None:
            raise BackendUnavailable(
                f"the token {self._config.token} refused the PIN ({self._refused}); it is not "
                "tried again, so that the token does not lock: correct the PIN and restart"
            )

    def _opened(self) -> Session:
        """Open a session; if that fails, once more with the module started again."""
        try:
            pin = self._pin().decode()
        except UnicodeDecodeError as error:
            raise Misconfigured("the PIN is not UTF-8 text") from error
        try:
            self._session = self._attempt(pin, reload=False)
        except PKCS11Error:
            if self._refused is not None:
                raise
            # A token that was taken out, put back or initialised is only seen by a new start.
            self._session = self._attempt(pin, reload=True)
        self._process = os.getpid()
        return self._session

    def _attempt(self, pin: str, *, reload: bool) -> Session:
        try:
            return self._connect(self._config, pin, reload=reload)
        except _PIN_REFUSED as error:
            self._refused = _name(error)
            raise

    def _drop(self) -> None:
        session, self._session = self._session, None
        self.handles.clear()
        if session is not None and self._process == os.getpid():
            with contextlib.suppress(PKCS11Error):
                session.close()


def _lock_of(module: str) -> threading.RLock:
    with _locks_lock:
        return _locks.setdefault(os.path.realpath(module), threading.RLock())


def _mapper() -> AttributeMapper:
    """Attributes as the library maps them, but vendors' key types as numbers, not errors."""
    mapper = AttributeMapper()
    mapper.register_handler(Attribute.KEY_TYPE, *handle_ulong)
    return mapper


def _name(error: PKCS11Error) -> str:
    return type(error).__name__
