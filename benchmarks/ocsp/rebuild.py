"""How long a host takes to fill an empty store from a long status log (SQLite).

    PYTHONPATH=. .venv/bin/python -m benchmarks.ocsp.rebuild [--entries 10000000]

Makes the log alone, without the certificates: nothing else is read. Ten million need 3 GiB of disk
in --directory. Prints the time of the making, which is not measured, then of the filling.
"""

from __future__ import annotations

import argparse
import resource
import secrets
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from benchmarks.ocsp.population import ISSUER, serial
from ca.sqlstatuslog import SQLStatusLog
from ca.tables_status import status_log
from core.db import open_database
from crl.ocsp.rebuild import rebuild
from crl.ocsp.store import StatusStore

_GIBIBYTES = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=10_000_000)
    parser.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()))
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.directory) as name:
        directory = Path(name)
        start = time.monotonic()
        path = directory / "log.sqlite3"
        database = open_database(f"sqlite:///{path}")
        status_log.create(database.engine)
        database.engine.dispose()
        _fill(path, chosen.entries)
        print(f"{chosen.entries} entries, made in {time.monotonic() - start:.0f} s", flush=True)
        with closing(_open(directory)) as store:
            start, spent = time.monotonic(), time.process_time()
            rebuild(SQLStatusLog(database), store, directory)
            print(
                f"filled in {time.monotonic() - start:.1f} s, "
                f"{time.process_time() - spent:.1f} s of processor time, at most "
                f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MiB of memory, "
                f"{(directory / 'store').stat().st_size >> 20} MiB in the store"
            )
        start = time.monotonic()
        with closing(_open(directory)) as store:
            known = store.find_status(ISSUER, serial(0))
        print(f"opened again in {(time.monotonic() - start) * 1000:.1f} ms: {known}")


def _open(directory: Path) -> StatusStore:
    return StatusStore.open(directory / "store", gibibytes=_GIBIBYTES, writable=True)


def _fill(path: Path, entries: int) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for setting in ("journal_mode = OFF", "synchronous = OFF"):
            connection.execute(f"PRAGMA {setting}")
        connection.execute("BEGIN")
        connection.executemany(_INSERT, _rows(entries))
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = WAL")


def _rows(entries: int) -> Iterator[tuple[object, ...]]:
    mark = secrets.randbelow(1 << 62)
    for number in range(entries):
        yield number + 1, mark + number, ISSUER, f"{serial(number):040x}"


_INSERT = """INSERT INTO status_log (position, mark, issuer, serial, state, not_after)
    VALUES (?, ?, ?, ?, 'issued', '2030-01-01 00:00:00.000000')"""


if __name__ == "__main__":
    main()
