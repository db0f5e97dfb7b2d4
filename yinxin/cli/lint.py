"""``yinxin lint``: judge anybody's certificates. Needs no state directory and no service."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import click

from ca.lint import RULES, examine, examine_pair
from ca.lint_file import find_issuer, is_self_signed, parse_file
from ca.lint_pair import PAIR_RULES
from ca.lint_rule import Finding, Severity
from core.errors import Malformed
from yinxin.cli.files import read_octets

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("lint")
@click.argument("file", type=_FILE, required=False)
@click.option("--issuer", "issuers", type=_FILE, multiple=True, help="Certificates of issuers.")
@click.option("--pair", type=_FILE, help="The encryption certificate beside FILE.")
@click.option("--rules", is_flag=True, help="List the rules.")
@click.option("--strict", is_flag=True, help="Exit 1 at warnings, too.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def lint(
    file: Path | None,
    *,
    issuers: Sequence[Path],
    pair: Path | None,
    rules: bool,
    strict: bool,
    as_json: bool,
) -> None:
    """Judge the certificates of FILE (PEM or DER); exit 1 if a standard is broken.

    An issuer is looked for in FILE and in the --issuer files; without it, the rules that compare
    a certificate with its issuer's are not applied.
    """
    if rules:
        _list_rules(as_json=as_json)
        return
    if file is None:
        raise click.UsageError("name a FILE, or ask for --rules")
    certificates = parse_file(read_octets(file))
    above = [one for path in issuers for one in parse_file(read_octets(path))]
    found: list[tuple[int, Finding]] = []
    for number, octets in enumerate(certificates, start=1):
        issuer = find_issuer(octets, (*certificates, *above))
        if issuer is None and not is_self_signed(octets):
            click.echo(f"{number}: its issuer is not given: the signature is not judged", err=True)
        found += [(number, one) for one in examine(octets, issuer=issuer)]
    if pair is not None:
        found += [(1, one) for one in _pair_findings(certificates[0], pair)]
    _print(found, len(certificates), as_json=as_json)
    if any(strict or one.severity is Severity.ERROR for _, one in found):
        sys.exit(1)


def _pair_findings(signing: bytes, pair: Path) -> Iterable[Finding]:
    others = parse_file(read_octets(pair))
    if len(others) != 1:
        raise Malformed(f"{pair} holds {len(others)} certificates: --pair takes one")
    return examine_pair(signing, others[0])


def _print(found: Sequence[tuple[int, Finding]], count: int, *, as_json: bool) -> None:
    if as_json:
        lines = [
            {
                "certificate": number,
                "rule": one.rule,
                "severity": one.severity,
                "clause": one.clause,
                "title": one.title,
            }
            for number, one in found
        ]
        click.echo(json.dumps({"certificates": count, "findings": lines}, ensure_ascii=False))
        return
    for number, one in found:
        place = f"{number}: " if count > 1 else ""
        click.echo(f"{place}{one.severity} {one.rule}: {one.title} ({one.clause})")
    errors = sum(one.severity is Severity.ERROR for _, one in found)
    click.echo(f"{count} certificate(s): {errors} error(s), {len(found) - errors} warning(s)")


def _list_rules(*, as_json: bool) -> None:
    listed = [
        {"rule": rule.id, "severity": rule.severity, "clause": rule.clause, "title": rule.title}
        for rule in (*RULES, *PAIR_RULES)
    ]
    if as_json:
        click.echo(json.dumps(listed, ensure_ascii=False))
        return
    for rule in listed:
        click.echo("\t".join(rule.values()))


COMMANDS: Final = (lint,)
