"""``yinxin check``: re-read the database, and prove what must be true of every certificate."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from ca.check_fault import KINDS, Fault
from ca.liveprofiles import LiveProfiles
from ca.profiles import load_profiles
from ca.sqlcheck import SQLCheckSource
from ca.sqlprofiles import SQLProfileStore
from core.errors import Malformed
from yinxin.check import Check, Rules, Span
from yinxin.cli.context import Invocation
from yinxin.cli.files import read_octets
from yinxin.wiring import Ground


@click.command("check")
@click.option(
    "--since", type=click.DateTime(["%Y-%m-%d"]), help="Only certificates from this day on, UTC."
)
@click.option(
    "--resume",
    "cursor",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Keep the progress in this file, and go on from it after an interruption.",
)
@click.option("--every", is_flag=True, help="Show every certificate to pkilint as well: slow.")
@click.option(
    "--ignore", "ignored", multiple=True, type=click.Choice(list(KINDS)), help="A kind of fault."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.make_pass_decorator(Invocation)
def re_audit(
    invocation: Invocation,
    *,
    since: datetime | None,
    cursor: Path | None,
    every: bool,
    ignored: Sequence[str],
    as_json: bool,
) -> None:
    """Prove every stored certificate; one line for each fault, and exit 1 if there is one."""
    with invocation.ground() as ground:
        source = SQLCheckSource(ground.database)
        progress = _Progress.begin(source, since, cursor)
        found = _run(ground, source, progress, every=every, ignored=ignored, as_json=as_json)
    progress.end()
    said = ", ".join(f"{count} {kind}" for kind, count in sorted(found.items()))
    click.echo(f"{progress.checked} rows checked: {said or 'no fault'}", err=as_json)
    if found:
        sys.exit(1)


def _run(
    ground: Ground,
    source: SQLCheckSource,
    progress: _Progress,
    *,
    every: bool,
    ignored: Sequence[str],
    as_json: bool,
) -> Counter[str]:
    settings = ground.settings.ca
    profiles = LiveProfiles(
        load_profiles(settings.profiles_directory),
        SQLProfileStore(ground.database),
        clock=ground.clock,
    )
    rules = Rules(profiles, frozenset(settings.lint_accepted), every)
    found = progress.found

    def report(one: Fault) -> None:
        if one.kind in ignored:
            return
        found[one.kind] += 1
        if as_json:
            click.echo(json.dumps(asdict(one), ensure_ascii=False))
        else:
            where = "/".join(part for part in (one.issuer, one.serial) if part)
            click.echo(f"{one.kind} {where}: {' '.join(one.sentence.split())}")

    bar = (
        click.progressbar(length=progress.left(source), label="certificates", file=sys.stderr)
        if sys.stderr.isatty()
        else nullcontext()
    )
    with bar as shown:

        def moved(after: int, count: int) -> None:
            progress.move(after, count)
            if shown is not None:
                shown.update(count)

        check = Check.over(ground.database, ground.audit, rules)
        check.run(progress.span, report=report, progress=moved)
    return found


class _Progress:
    """Where a check is. In a file, it survives what interrupts it."""

    def __init__(self, span: Span, cursor: Path | None) -> None:
        self.span = span
        self.checked = 0
        self.found: Counter[str] = Counter()
        self._cursor = cursor

    @classmethod
    def begin(
        cls, source: SQLCheckSource, since: datetime | None, cursor: Path | None
    ) -> _Progress:
        if cursor is not None and cursor.exists():
            return cls._read(cursor)
        after = 0 if since is None else source.before(since.replace(tzinfo=UTC))
        return cls(Span(after, source.newest()), cursor)

    @classmethod
    def _read(cls, cursor: Path) -> _Progress:
        try:
            kept = json.loads(read_octets(cursor))
            made = cls(Span(int(kept["after"]), int(kept["newest"])), cursor)
            made.checked = int(kept["checked"])
            made.found.update({kind: int(kept["found"][kind]) for kind in kept["found"]})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Malformed(f"{cursor} does not hold the progress of a check: remove it") from error
        return made

    def left(self, source: SQLCheckSource) -> int:
        return source.count(after=self.span.after, newest=self.span.newest)

    def move(self, after: int, count: int) -> None:
        self.checked += count
        if self._cursor is None:
            return
        kept = {
            "after": after,
            "newest": self.span.newest,
            "checked": self.checked,
            "found": self.found,
        }
        # Written beside and moved: a crash leaves the old one or the new one.
        beside = self._cursor.with_name(self._cursor.name + ".new")
        beside.write_text(json.dumps(kept), encoding="ascii")
        beside.replace(self._cursor)

    def end(self) -> None:
        if self._cursor is not None:
            self._cursor.unlink(missing_ok=True)


COMMANDS: Final = (re_audit,)
