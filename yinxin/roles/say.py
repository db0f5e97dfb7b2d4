"""What a service tells the person who starts it."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from yinxin.settings import Settings
from yinxin.state import State


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def say_links(settings: Settings, state: State, links: Mapping[str, str]) -> None:
    """Show the set-up links of a first start, once."""
    if not links:
        return
    hours = settings.authn.login.setup_link_hours
    say("")
    say(f"Set-up links, shown this once, for one use within {hours} hours:")
    for name, token in links.items():
        say(f"  {name:<9} {settings.authn.issuer}/setup/{token}")
    if state.passphrase_file.exists():
        say("")
        say(
            f"The keystore's passphrase is in {state.passphrase_file}: "
            "back it up apart from the rest."
        )
