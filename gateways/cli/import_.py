"""`import`: a broker's or vendor's file into the log: what was added, known or left out, and its P&L compared."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from eventstore import InvalidEvent
from gateways.cli import options, stores
from gateways.cli.exit_codes import end_with_problem
from gateways.cli.options import CommonOptions
from gateways.importers import APPENDING, FORMATS, ImportReport, import_file
from gateways.importers.texts import BYTES_MAX
from gateways.presenting.output import Step, put, put_json, put_table
from gateways.presenting.output import progress as bar
from gateways.presenting.presenter import NONE, Presenter

File = Annotated[Path, typer.Argument(metavar="FILE", help="File to import; may be a .gz.")]
Format = Annotated[str, typer.Option("--format", metavar="NAME", help=f"One of {', '.join(FORMATS)}.")]
Account = Annotated[str | None, typer.Option("--account", metavar="NAME", help="Account to import into.")]
Maps = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="COLUMN=FIELD", help="For fills: the field that a column holds; repeatable."),
]
Contracts = Annotated[
    Path | None, typer.Option(metavar="FILE.toml", help="Your own contracts, used before the built-in table.")
]
Symbol = Annotated[str | None, typer.Option(help="Instrument, if neither the file nor its name says it.")]
Day = Annotated[str | None, typer.Option(metavar="DAY", help="For lobster: the trading day, for example 2012-06-21.")]
BytesMax = Annotated[int, typer.Option(min=1, metavar="BYTES", help="Maximum size that a .gz or .zip may expand to.")]
KeepGoing = Annotated[bool, typer.Option("--keep-going", help="Leave out invalid rows and list them.")]


@options.command(exact=True)
def import_(
    common: CommonOptions,
    file: File,
    *,
    format: Format,
    account: Account = None,
    maps: Maps = None,
    contracts: Contracts = None,
    symbol: Symbol = None,
    date: Day = None,
    bytes_max: BytesMax = BYTES_MAX,
    keep_going: KeepGoing = False,
    rows: options.Rows = options.ROWS,
) -> None:
    """Append the events of a file. The whole file is checked first; importing it again adds only what is missing.

    Exit code 1 if rows were left out, or if the file's own profit and loss differs from the fold's.
    """
    mapping = _mapping(maps)
    if not file.is_file():
        kind = "a directory" if file.is_dir() else "not a regular file"
        msg = f"{file} is {kind}: give the file to import" if file.exists() else f"there is no file {file}"
        raise InvalidEvent(msg)
    with stores.open_or_create(common) as store, _bars() as progress:
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


def _mapping(maps: list[str] | None) -> dict[str, str] | None:
    mapping = {}
    for given in maps or ():
        column, sign, field = given.rpartition("=")
        if not sign or not column or not field:
            msg = f"--map {given}: write it like --map Qty=quantity"
            raise InvalidEvent(msg)
        mapping[column] = field
    return mapping or None


class _Bars:
    """One progress bar after the other: rows read, whose total is unknown, then events appended."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack
        self._phase = ""
        self._step: Step = self._nothing

    def __call__(self, phase: str, done: int, total: int | None) -> None:
        if phase != self._phase:
            self._phase = phase
            self._stack.close()
            self._step = self._stack.enter_context(bar("appending" if phase == APPENDING else "reading"))
        self._step(done, total)

    @staticmethod
    def _nothing(_done: int, _total: int | None) -> None:
        pass


@contextlib.contextmanager
def _bars() -> Iterator[_Bars | None]:
    if not sys.stderr.isatty():
        yield None
        return
    with contextlib.ExitStack() as stack:
        yield _Bars(stack)


def _put(report: ImportReport, shown: Presenter, rows: int) -> None:
    put(f"{report.file}: {report.rows:,} rows as {report.format}")
    known, left_out = f"{report.already_there:,} were there already", f"{len(report.left_out):,} rows left out"
    put(f"added {report.added:,} events, {known}, {left_out}")
    if report.repeated:
        put(f"{report.repeated:,} rows repeat an earlier row")
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
