"""`import`: a broker's or vendor's file into the log: what it will do, what was added, and its P&L compared."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from gateways.cli import files, options, previews, stores
from gateways.cli.exit_codes import USAGE_ERROR, end_with_problem
from gateways.cli.options import CommonOptions
from gateways.importers import (
    FilePlan,
    ImportReport,
    append_plan,
    import_file,
    preview_of,
    read_plan,
    show_mapping,
)
from gateways.importers.contract_names import KnownContract
from gateways.importers.definitions import known_contracts
from gateways.presenting.output import note, put, put_json, put_table
from gateways.presenting.presenter import NONE, Presenter

DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be appended, and append nothing.")]
Yes = Annotated[bool, typer.Option("--yes", help="Append without asking.")]
ShowMapping = Annotated[
    str | None, typer.Option("--show-mapping", metavar="NAME", help="Print a preset's mapping, for a copy of your own.")
]


@options.command(postgres=True, zone=True, exact=True)
@files.with_file_options
def import_(
    common: CommonOptions,
    *,
    chosen: files.FileChoices,
    dry_run: DryRun = False,
    yes: Yes = False,
    show: ShowMapping = None,
    rows: options.Rows = options.ROWS,
) -> None:
    """Append the events of a file. The whole file is checked first; importing it again adds only what is missing.

    Without a format, a mapping or --map, the file's columns decide what it is: what would be appended is shown, and
    appended after --yes or an answer. What the file leaves open is asked for, or listed with exit code 2 where there is
    no terminal; nothing is appended then. Rows that the mapping sets aside are counted.

    Exit code 1 if rows were left out, or if the file's own profit and loss differs from ours.
    """
    if show is not None:
        for line in show_mapping(show).splitlines():
            put(line)
        return
    report = files.with_answers(common, chosen, lambda each: _imported(common, each, rows, dry_run=dry_run, yes=yes))
    if report is None:
        return
    if common.as_json:
        put_json(report.as_json())
    else:
        _put(report, Presenter(exact=common.exact), rows)
    if report.left_out or report.differing:
        end_with_problem()


def _imported(
    common: CommonOptions, chosen: files.FileChoices, rows: int, *, dry_run: bool, yes: bool
) -> ImportReport | None:
    """Import the file and return the report; None if it was only shown."""
    path = chosen.path("import")
    # A log that exists decides what names mean; a file that is refused creates none.
    if chosen.is_named and not dry_run and stores.exists(common):
        with stores.open_or_create(common) as store, files.bars() as progress:
            return import_file(store, path, chosen.name, **chosen.options(common, progress))
    with files.bars() as progress:
        plan = read_plan(path, chosen.name, _known(common), **chosen.options(common, progress))
    if chosen.is_named and not dry_run:
        return _appended(common, chosen, plan)
    preview = preview_of(plan)
    if dry_run or not (yes and common.as_json):
        previews.put_preview(preview, common, rows)
    if dry_run:
        if preview.left_out:
            end_with_problem()
        return None
    if not yes and not _is_confirmed(plan):
        return None
    return _appended(common, chosen, plan)


def _known(common: CommonOptions) -> Sequence[KnownContract]:
    """Return the contracts of the log; none if there is no log yet."""
    if not stores.exists(common):
        return ()
    with stores.open_local_reader(common) as store:
        return known_contracts(store)


def _appended(common: CommonOptions, chosen: files.FileChoices, plan: FilePlan) -> ImportReport:
    with stores.open_or_create(common) as store, files.bars() as progress:
        return append_plan(store, plan, progress, alongside=chosen.alongside)


def _is_confirmed(plan: FilePlan) -> bool:
    """Ask whether to append; without a terminal, end with a usage error."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        note(f"nothing was appended: repeat the command with --yes, or with --format {plan.reader.format}")
        raise typer.Exit(USAGE_ERROR)
    return typer.confirm(f"Append {len(plan.items):,} events?")


def _put(report: ImportReport, shown: Presenter, rows: int) -> None:
    put(f"{report.file}: {report.rows:,} rows as {report.format}")
    known, left_out = f"{report.already_there:,} were there already", f"{len(report.left_out):,} rows left out"
    put(f"added {report.added:,} events, {known}, {left_out}")
    if report.repeated:
        put(f"{report.repeated:,} rows repeat an earlier row")
    for account in report.shadow:
        put(f"{account} has no limits yet, and is in shadow mode: limits record what they would do. To let them act:")
        put(f"eventstore limits arm {account} --reason …")
    for reason, count in report.ignored.items():
        put(f"{count:,} rows set aside: {reason}")
    put()
    put_table("Events", ("type", ">events"), [(name, f"{count:,}") for name, count in report.types.items()])
    if report.left_out:
        bad = [(str(row.line), row.column or NONE, row.value or NONE, row.why) for row in report.left_out]
        put_table("Left out", (">line", "column", "~value", "~why"), bad, shown=rows)
    if report.pnl_sums.figures:
        previews.put_comparison(report.pnl, report.pnl_sums, shown, rows)
