"""`statement`: a broker's statement compared with the log, break by break, and the days signed."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated

import typer

from eventstore import EventReader, EventStore, InvalidEvent, Record
from eventstore.clock import derived_times
from gateways.cli import files, instants, names, options, stores, zones
from gateways.cli.exit_codes import USAGE_ERROR, end_with_problem
from gateways.cli.options import CommonOptions
from gateways.importers import FilePlan, read_plan, stated_of
from gateways.importers.definitions import known_contracts
from gateways.presenting.documents import plain, record_json
from gateways.presenting.output import note, put, put_json, put_table
from gateways.presenting.presenter import NONE, Presenter
from projections import auditing
from projections.auditing import Break, Stated, Statement, StatementDay

Start = Annotated[
    str | None,
    typer.Option("--start", metavar="INSTANT", help="Where the period begins; by default with the first day."),
]
Stop = Annotated[
    str | None,
    typer.Option("--stop", metavar="INSTANT", help="Before when it ends; by default after the last day."),
]
KnownBy = Annotated[
    str | None, typer.Option("--known-by", metavar="INSTANT", help="Compare the log as it was known then.")
]
Sign = Annotated[bool, typer.Option("--sign", help="Record that the actor agrees to each day, with its breaks.")]
Yes = Annotated[bool, typer.Option("--yes", help="Sign days with breaks without asking.")]

_BREAKS = ("break", "day", "symbol", ">log", ">statement", "lines", "records", "~what")
_DAYS = ("account", "day", ">executions", ">stated", ">costs", ">stated", ">P&L", ">stated", ">breaks")
_SHOWN_NUMBERS = 4


@options.command(url=True, zone=True, exact=True)
@files.with_file_options
def statement(
    common: CommonOptions,
    *,
    chosen: files.FileChoices,
    start: Start = None,
    stop: Stop = None,
    known_by: KnownBy = None,
    sign: Sign = False,
    yes: Yes = False,
    actor: options.Actor = None,
    text: options.Note = "",
    rows: options.Rows = options.ROWS,
) -> None:
    """Compare a broker's statement with the log: any file that import reads, with the same options.

    Executions, costs, cash, positions, and profit and loss of each trading day are compared over the days of the file's
    rows, or from --start to --stop. Each difference is shown with the lines and records behind it; what the file does
    not say is not compared, and named. Nothing is appended, unless --sign records who agreed to the days.

    Exit code 1 if there is a difference, or if a row could not be read.
    """
    _check(chosen, common, sign=sign, known_by=known_by)
    with _opened(common, sign=sign) as store:
        shown = zones.presenter(common, store, chosen.account if _is_name(store, chosen.account) else None)
        plan = files.with_answers(common, chosen, lambda each: _plan(store, common, each))
        stated = stated_of(plan)
        compared = _compared(store, stated, chosen, (start, stop, known_by), shown)
        if not common.as_json:
            _put(compared, plan, shown, rows)
        signed = _signed(store, compared, actor, text, yes=yes) if sign and isinstance(store, EventStore) else []
    if common.as_json:
        put_json(_document(compared, plan, signed, shown))
    elif sign:
        put(f"{len(signed):,} days signed{f' by {signed[0].actor}' if signed else ''}")
    if compared.breaks or plan.left_out:
        end_with_problem()


def _check(chosen: files.FileChoices, common: CommonOptions, *, sign: bool, known_by: str | None) -> None:
    if chosen.alongside:
        msg = "--alongside is for an import, and a statement adds nothing: leave it out"
        raise InvalidEvent(msg)
    if sign and known_by is not None:
        msg = "--sign agrees to what is known now: leave --known-by out"
        raise InvalidEvent(msg)
    if sign and common.url:
        msg = "--sign appends, which needs the log's journal: give --data DIR"
        raise InvalidEvent(msg)


@contextlib.contextmanager
def _opened(common: CommonOptions, *, sign: bool) -> Iterator[EventReader]:
    # Times are read from text, or taken from the log: none is an int in a unit that may be mistaken.
    with derived_times(), stores.open_existing(common) if sign else stores.open_reader(common) as store:
        yield store


def _is_name(store: EventReader, account: str | None) -> bool:
    """Return whether what was given is an account of the log, and not a column of the file."""
    return account is not None and next(store.read(account=account, limit=1), None) is not None


def _plan(store: EventReader, common: CommonOptions, chosen: files.FileChoices) -> FilePlan:
    path = chosen.path("compare")
    with files.bars() as progress:
        return read_plan(path, chosen.name, known_contracts(store), **chosen.options(common, progress))


def _compared(
    store: EventReader,
    stated: Stated,
    chosen: files.FileChoices,
    texts: tuple[str | None, str | None, str | None],
    shown: Presenter,
) -> Statement:
    account = chosen.account
    if account is not None and account in {*stated.accounts, *(() if stated.accounts else (account,))}:
        names.check_account(store, account)
    start, stop = (None if each is None else instants.time_of(store, each, shown.zone) for each in texts[:2])
    known_by = None if texts[2] is None else instants.instant_of(store, texts[2], shown.zone).recorded_at
    only = account if not stated.accounts else None
    return auditing.statement(store, stated, account=only, start=start, stop=stop, known_by=known_by)


def _signed(store: EventStore, compared: Statement, actor: str | None, text: str, *, yes: bool) -> list[Record]:
    """Sign the days; with breaks, only once that is confirmed."""
    if compared.breaks and not yes:
        question = f"Sign {len(compared.days):,} days with {len(compared.breaks):,} breaks?"
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            note(f"nothing was signed: there are {len(compared.breaks):,} breaks; repeat the command with --yes")
            raise typer.Exit(USAGE_ERROR)
        if not typer.confirm(question):
            return []
    return auditing.sign_days(store, compared, actor=actor or store.actor, note=text)


def _put(compared: Statement, plan: FilePlan, shown: Presenter, rows: int) -> None:
    put(f"{plan.reader.file}: {plan.rows:,} rows as {plan.reader.format}, up to position {compared.log_position:,}")
    for reason, count in plan.reader.ignored.items():
        put(f"{count:,} rows set aside: {reason}")
    for part in compared.parts:
        until = "the end of the log" if part.until >= _ENDLESS else shown.time(part.until)
        put(
            f"{part.account}: {shown.time(part.since)} to {until}, "
            f"{part.found:,} of {part.executions:,} executions found"
        )
    for each in compared.notes:
        put(each)
    if compared.shift_ns is not None:
        hours = Decimal(compared.shift_ns) / _HOUR
        put(f"all times of the file are {hours:+.2f} hours off: is --zone that of the file?")
    if compared.not_compared:
        put("not compared:")
        for each in compared.not_compared:
            put(f"  {each}")
    put()
    put_table("Days", _DAYS, [_day_cells(each, shown) for each in compared.days], shown=rows)
    put_table("Breaks", _BREAKS, [_break_cells(each, shown) for each in compared.breaks], shown=rows)
    if plan.left_out:
        bad = [(str(row.line), row.column or NONE, row.value or NONE, row.why) for row in plan.left_out]
        put_table("Left out", (">line", "column", "~value", "~why"), bad, shown=rows)


_ENDLESS = 2**62
_HOUR = Decimal(3_600_000_000_000)


def _day_cells(day: StatementDay, shown: Presenter) -> tuple[str, ...]:
    return (
        day.account,
        str(day.trading_day),
        f"{day.executions_here:,}",
        f"{day.executions_there:,}",
        _money(day.fees_here, shown),
        _money(day.fees_there, shown),
        _money(day.pnl_here, shown),
        shown.money(day.pnl_there),
        f"{day.breaks:,}",
    )


def _money(sums: Mapping[str, Decimal] | None, shown: Presenter) -> str:
    if sums is None:
        return NONE
    return ", ".join(shown.money(amount, currency or None) for currency, amount in sorted(sums.items())) or "0"


def _break_cells(each: Break, shown: Presenter) -> tuple[str, ...]:
    is_time = each.here_at is not None or each.there_at is not None
    # What is missing has one figure and its time: the figure says more.
    figures = (each.here, each.there)
    here, there = (
        (shown.time(each.here_at), shown.time(each.there_at))
        if is_time and figures == (None, None)
        else tuple(NONE if figure is None else f"{figure:f}" for figure in figures)
    )
    return (
        str(each.kind),
        NONE if each.trading_day is None else str(each.trading_day),
        each.symbol or each.currency or NONE,
        here,
        there,
        _numbers(each.lines),
        _numbers(each.records),
        each.sentence,
    )


def _numbers(numbers: tuple[int, ...]) -> str:
    more = len(numbers) - _SHOWN_NUMBERS
    text = ", ".join(map(str, numbers[:_SHOWN_NUMBERS]))
    return f"{text} and {more:,} more" if more > 0 else text or NONE


def _document(compared: Statement, plan: FilePlan, signed: list[Record], shown: Presenter) -> dict[str, object]:
    members: dict[str, object] = plain(compared, shown.document_zone)
    bad = [{"line": each.line, "column": each.column, "value": each.value, "why": each.why} for each in plan.left_out]
    return members | {
        "file": plan.reader.file,
        "format": plan.reader.format,
        "rows": plan.rows,
        "set_aside": dict(plan.reader.ignored),
        "left_out": bad,
        "signed": [record_json(each, shown.document_zone) for each in signed],
    }
