"""How strongly a person logged in: four levels (`acr`), and the methods that reach them (`amr`).

The order is that of GB/T 40651 and NIST SP 800-63B: what one knows; two factors; a key with a
certificate of ours; the same in a device that never gives the key away.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

_URN: Final = "urn:yinxin:acr:"


class Level(IntEnum):
    """Authentication context classes, weakest first."""

    PASSWORD = 1
    TWO_FACTORS = 2
    CERTIFICATE = 3
    HARDWARE_KEY = 4

    @property
    def acr(self) -> str:
        """The value of the claim (OIDC Core, 2)."""
        return _URN + self.word

    @property
    def word(self) -> str:
        """The last part of the URN: what settings, the command line and pages say."""
        return _WORDS[self]


_WORDS: Final = {
    Level.PASSWORD: "password",
    Level.TWO_FACTORS: "two-factors",
    Level.CERTIFICATE: "certificate",
    Level.HARDWARE_KEY: "hardware-key",
}
_LEVELS: Final = {level.acr: level for level in Level}
LEVEL_WORDS: Final = tuple(_WORDS.values())


def level_of(acr: str) -> Level | None:
    """Return the level of an `acr`; None for one that is not ours."""
    return _LEVELS.get(acr)


def level_of_word(word: str) -> Level:
    """Return the level that settings and the command line call `word`. Raises `KeyError`."""
    return _LEVELS[_URN + word]


@dataclass(frozen=True, slots=True)
class SessionCertificate:
    """A certificate that a session stands on: when it is revoked or frozen, the session ends."""

    issuer: str
    """The issuer's name in this service."""
    serial: str
    """Lowercase hex, without leading zeros."""


@dataclass(frozen=True, slots=True)
class Method:
    """One way to prove who one is."""

    name: str
    """In audit events and metrics."""
    amr: tuple[str, ...]
    """Authentication Method References (RFC 8176, 2)."""
    level: Level
    """What a session has after it."""
    alone: bool = True
    """Whether it begins a session; a second factor only makes one stronger."""
    certificate: SessionCertificate | None = None
    """What was shown, in a login with a certificate."""


PASSWORD: Final = Method("password", ("pwd",), Level.PASSWORD)
ONE_TIME_PASSWORD: Final = Method("totp", ("otp", "mfa"), Level.TWO_FACTORS, alone=False)
RECOVERY_CODE: Final = Method("recovery-code", ("otp", "mfa"), Level.TWO_FACTORS, alone=False)
PASSKEY: Final = Method("passkey", ("pop", "user", "mfa"), Level.TWO_FACTORS)
"""With user verification: the device, and what unlocks it. Attestation is not looked at, so we do
not claim ``hwk``."""
CERTIFICATE: Final = Method("certificate", ("pop",), Level.CERTIFICATE)
HARDWARE_KEY: Final = Method("certificate", ("hwk",), Level.HARDWARE_KEY)
"""The certificate's profile says that its keys live in a device (智能密码钥匙, GM/T 0027)."""


def joined(known: str, added: Iterable[str]) -> str:
    """Return the words of both, each once, in the order in which they came."""
    return " ".join(dict.fromkeys([*known.split(), *added]))
