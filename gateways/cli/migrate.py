"""`migrate`: the states and tables of an older program into the log, each item once, with what became of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gateways.cli import options, stores
from gateways.cli.exit_codes import end_with_problem
from gateways.cli.options import CommonOptions
from gateways.legacy import MigrationReport
from gateways.legacy.migration import POSITIONS, STATES
from gateways.legacy.migration import migrate as migrate_path
from gateways.presenting.documents import plain
from gateways.presenting.output import put, put_json, put_table

Source = Annotated[
    Path,
    typer.Argument(metavar="FILE|DIR", help="JSON state, exported versions or SQLite file, or a directory."),
]
Account = Annotated[
    str | None, typer.Option("--account", metavar="NAME", help="Account of the state, and of rows that name none.")
]
Mapping = Annotated[
    Path | None, typer.Option("--mapping", metavar="FILE.toml", help="What the file's columns mean, as for import.")
]
States = Annotated[
    str | None, typer.Option("--states", metavar="NAME", help=f"Numbering of orders' states: {' or '.join(STATES)}.")
]
Positions = Annotated[
    str | None,
    typer.Option(
        "--positions", metavar="WORD", help=f"Positions that only a database's versions have: {' or '.join(POSITIONS)}."
    ),
]
Replace = Annotated[bool, typer.Option("--replace", help="Put the file's state in place of one that was saved here.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Write nothing; show what would be migrated.")]
NoBackup = Annotated[bool, typer.Option("--no-backup", help="Make no copy of the files beside them.")]


@options.command(zone=True)
def migrate(
    common: CommonOptions,
    source: Source,
    *,
    mapping: Mapping = None,
    account: Account = None,
    states: States = None,
    positions: Positions = None,
    replace: Replace = False,
    dry_run: DryRun = False,
    no_backup: NoBackup = False,
    rows: options.Rows = options.ROWS,
) -> None:
    """Migrate an older program's state into the log: JSON state files, and SQLite tables of orders, trades and so on.

    The original stays, and is copied to FILE.backup.YYYYMMDD_HHMMSS first. Migrating again adds only what is missing.
    Exit code 1 if something could not be migrated.
    """
    with stores.open_or_create(common) as store:
        reports = migrate_path(
            store,
            source,
            mapping=mapping,
            account=account,
            zone=common.zone,
            states=states,
            positions=positions,
            replace=replace,
            backup=not no_backup,
            dry_run=dry_run,
        )
    if common.as_json:
        put_json([_document(report) for report in reports])
    else:
        for report in reports:
            _put(report, rows)
    if not all(report.complete for report in reports):
        end_with_problem()


def _document(report: MigrationReport) -> dict[str, Any]:
    document: dict[str, Any] = plain(report)
    return document | {"complete": report.complete}


def _put(report: MigrationReport, rows: int) -> None:
    put(", ".join(report.files))
    put(_added(report))
    for backup in report.backups:
        put(f"the original is kept as {backup}")
    for account in report.shadow:
        put(f"{account} has no limits yet, and is in shadow mode: limits record what they would do. To let them act:")
        put(f"eventstore limits arm {account} --reason …")
    put()
    counts = [(kind, str(status), f"{count:,}") for kind, status, count in report.counts()]
    put_table("Items", ("kind", "status", ">count"), counts)
    unmigrated = [(item.kind, item.name, str(item.status), item.why) for item in report.unmigrated()]
    if unmigrated:
        put_table("Not migrated", ("kind", "name", "status", "~why"), unmigrated, shown=rows)
    if report.issues:
        put_table("Read back and not as planned", ("~issue",), [(issue,) for issue in report.issues], shown=rows)


def _added(report: MigrationReport) -> str:
    if report.dry_run:
        return "a dry run: nothing was written"
    return f"added {report.added:,} events, and read them back" if report.added else "nothing is new"
