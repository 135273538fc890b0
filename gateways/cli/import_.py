"""`import`: a broker's or vendor's file into the log: what was added, known or left out, and its P&L compared."""

from __future__ import annotations

from gateways.cli import files, options, stores
from gateways.cli.exit_codes import end_with_problem
from gateways.cli.options import CommonOptions
from gateways.importers import ImportReport, import_file
from gateways.importers.archives import BYTES_MAX
from gateways.presenting.output import put, put_json, put_table
from gateways.presenting.presenter import NONE, Presenter


@options.command(exact=True)
def import_(
    common: CommonOptions,
    file: files.File,
    *,
    format: files.Format,
    account: files.Account = None,
    maps: files.Maps = None,
    contracts: files.Contracts = None,
    symbol: files.Symbol = None,
    date: files.Day = None,
    bytes_max: files.BytesMax = BYTES_MAX,
    keep_going: files.KeepGoing = False,
    rows: options.Rows = options.ROWS,
) -> None:
    """Append the events of a file. The whole file is checked first; importing it again adds only what is missing.

    Exit code 1 if rows were left out, or if the file's own profit and loss differs from the fold's.
    """
    mapping = files.mapping_of(maps)
    files.check_file(file, "import")
    with stores.open_or_create(common) as store, files.bars() as progress:
        report = import_file(
            store,
            file,
            format,
            account=account,
            symbol=symbol,
            date=date,
            mapping=mapping,
            contracts=contracts,
            keep_going=keep_going,
            bytes_max=bytes_max,
            progress=progress,
        )
    if common.as_json:
        put_json(report.as_json())
    else:
        _put(report, Presenter(exact=common.exact), rows)
    if report.left_out or report.differing:
        end_with_problem()


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
        put(f"{count:,} rows ignored: {reason}")
    put()
    put_table("Events", ("type", ">events"), [(name, f"{count:,}") for name, count in report.types.items()])
    if report.left_out:
        bad = [(str(row.line), row.column or NONE, row.value or NONE, row.why) for row in report.left_out]
        put_table("Left out", (">line", "column", "~value", "~why"), bad, shown=rows)
    if report.pnl:
        _put_comparison(report, shown, rows)


def _put_comparison(report: ImportReport, shown: Presenter, rows: int) -> None:
    reported, folded = (sum(getattr(row, name) for row in report.pnl) for name in ("reported", "folded"))
    money = shown.money
    put(f"Profit and loss of {len(report.pnl):,} figures: the file says {money(reported)}, the fold {money(folded)}")
    if not report.differing:
        put("no figure is more than half a cent from the fold's")
        return
    lines = [
        (_lines(row.lines), row.account, row.symbol, money(row.reported), money(row.folded), money(row.difference))
        for row in report.differing
    ]
    columns = ("lines", "account", "symbol", ">file", ">fold", ">difference")
    put_table("Figures that differ", columns, lines, shown=rows)


def _lines(lines: tuple[int, ...]) -> str:
    return str(lines[0]) if len(lines) == 1 else f"{lines[0]} to {lines[-1]} ({len(lines)})"
