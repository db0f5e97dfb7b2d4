"""Run the relying parties that are named, or all of them; print what they measured."""

from __future__ import annotations

import importlib
import sys

from tests.relying_parties.scene import scene

ALL = (
    *("openid_client", "authlib", "apache", "nginx", "go", "many"),
    *("mutual_tls", "cas", "frontchannel", "jupyterhub", "spring"),
)


def main(names: list[str]) -> int:
    """Return how many failed."""
    if unknown := set(names) - set(ALL):
        sys.exit(f"no relying party {', '.join(sorted(unknown))}; there are {', '.join(ALL)}")
    failed = 0
    for name in names or ALL:
        module = importlib.import_module(f"tests.relying_parties.{name}")
        _say(f"== {name}: {(module.__doc__ or '').splitlines()[0]}")
        try:
            with scene(**getattr(module, "SETTINGS", {})) as made:
                measured = module.run(made)
        except Exception as error:
            failed += 1
            _say(f"   FAILED: {type(error).__name__}: {error}")
            continue
        for what, value in measured.items():
            _say(f"   {what}: {value}")
    _say(f"{failed} failed")
    return failed


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(bool(main(sys.argv[1:])))
