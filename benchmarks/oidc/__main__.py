"""The OpenID provider beside npm `oidc-provider`, in one run and under the same load.

    PYTHONPATH=. .venv/bin/python -m benchmarks.oidc [--times 2000] [--callers 8] [--rounds 3]
        [--processes 1] [--nodes 1]

Ours runs as it is installed, with PostgreSQL (whose disk is not waited for), from one process or,
with ``--processes`` or ``--nodes``, several; the peer in one Node.js process with its memory
adapter. Both over TLS, with ES256, client_secret_basic, opaque access tokens, and refresh tokens
that every use rotates.
The rounds alternate between the two, and the best of each is taken: other work on the machine
disturbs both. Prints Markdown.
"""

from __future__ import annotations

import argparse

from benchmarks.oidc.load import ACTS, Found, measure
from benchmarks.oidc.peers import both


def main() -> None:
    arguments = _arguments()
    with both(nodes=arguments.nodes, processes=arguments.processes) as providers:
        print(
            "| what | who | server ms | database ms | callers ms | a second of a core "
            "| by the clock |"
        )
        print("|---|---|---|---|---|---|---|")
        for act in arguments.acts or ACTS:
            found: dict[str, list[Found]] = {one.name: [] for one in providers}
            for _ in range(arguments.rounds):
                for one in providers:
                    found[one.name].append(measure(one, act, arguments.times, arguments.callers))
            best = {name: min(all_, key=lambda f: f.server_ms) for name, all_ in found.items()}
            for name, it in best.items():
                print(
                    f"| {act} | {name} | {it.server_ms:.2f} | {it.database_ms:.2f} "
                    f"| {it.callers_ms:.2f} | {1000 / it.server_ms:.0f} | {it.a_second:.0f}/s |"
                )
            ours, peer = (best[one.name] for one in providers)
            print(
                f"| | ratio: per core {peer.server_ms / ours.server_ms:.2f}, with the database "
                f"{peer.server_ms / (ours.server_ms + ours.database_ms):.2f}, by the clock "
                f"{ours.a_second / peer.a_second:.2f} | | | | | |",
                flush=True,
            )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=2000, help="of each act, in each round")
    parser.add_argument("--callers", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=1, help="of ours that answer https")
    parser.add_argument(
        "--nodes", type=int, default=1, help="of ours, which share database and keystore"
    )
    parser.add_argument("--acts", nargs="*", choices=list(ACTS))
    return parser.parse_args()


if __name__ == "__main__":
    main()
