"""Executions as a frame: as the fold counts them, or every report as it was recorded."""

from __future__ import annotations

import decimal
from typing import TYPE_CHECKING, NamedTuple

from eventstore.streams import unescaped
from eventstore.trading import Liquidity, PositionSide, Side
from projections.analysis.columns import Column, Kind, exact_of
from projections.analysis.executions import executions_of
from projections.analysis.folding import batches_of, choice_of
from projections.analysis.frame import Frame
from projections.analysis.keeping import Keep
from projections.analysis.sources import OCCURRED, opened, selection_of
from projections.decimals import FIXED, ZERO
from projections.garbage import gc_disabled
from projections.views.executions.trades import trade_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from decimal import Decimal

    from eventstore import EventReader
    from eventstore.clock import Times
    from projections.analysis.columns import Exact
    from projections.analysis.executions import Executions
    from projections.analysis.folding import Choice
    from projections.analysis.keeping import KeptReport
    from projections.analysis.sources import Selection, Source
    from projections.views.executions.items import Item

_SIDES, _POSITION_SIDES, _LIQUIDITIES = (tuple(each.value for each in kind) for kind in (Side, PositionSide, Liquidity))
_PLACE = (
    Column("position", Kind.INTEGER),
    Column("occurred_at", Kind.INSTANT),
    Column("recorded_at", Kind.INSTANT),
    Column("account", Kind.TEXT),
    Column("symbol", Kind.TEXT),
    Column("side", Kind.ENUM, _SIDES),
    Column("position_side", Kind.ENUM, _POSITION_SIDES),
    Column("quantity", Kind.DECIMAL),
    Column("price", Kind.DECIMAL),
    Column("fee", Kind.DECIMAL),
    Column("fee_currency", Kind.TEXT),
)
_ORDER = (
    Column("order_id", Kind.TEXT),
    Column("trade_id", Kind.TEXT),
    Column("liquidity", Kind.ENUM, _LIQUIDITIES),
    Column("strategy", Kind.TEXT),
    Column("tags", Kind.JSON),
    Column("trading_day", Kind.DATE),
    Column("anomalies", Kind.JSON),
)
FILLS = (
    *_PLACE,
    Column("currency", Kind.TEXT),
    Column("multiplier", Kind.DECIMAL),
    Column("realized", Kind.DECIMAL),
    *_ORDER,
    Column("other_fees", Kind.JSON),
)
"""The columns of executions."""
REPORTS = (*_PLACE, *_ORDER, Column("execution", Kind.INTEGER), Column("busted", Kind.BOOLEAN))
"""The columns of reports of executions."""


class FillRow(NamedTuple):
    """An execution as it stands now. `realized` is money, None where that is not known; times in UNIX ns."""

    position: int
    occurred_at: int
    recorded_at: int
    account: str
    symbol: str
    side: Side
    position_side: PositionSide
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_currency: str | None
    currency: str | None
    multiplier: Decimal | None
    realized: Decimal | None
    order_id: str | None
    trade_id: str
    liquidity: Liquidity | None
    strategy: str | None
    tags: tuple[str, ...]
    trading_day: date
    anomalies: tuple[str, ...]
    other_fees: dict[str, Decimal] | None


class ReportRow(NamedTuple):
    """A report of an execution; `execution` is the log position of the first report of the same one."""

    position: int
    occurred_at: int
    recorded_at: int
    account: str
    symbol: str
    side: Side
    position_side: PositionSide
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_currency: str | None
    order_id: str | None
    trade_id: str
    liquidity: Liquidity | None
    strategy: str | None
    tags: tuple[str, ...]
    trading_day: date
    anomalies: tuple[str, ...]
    execution: int
    busted: bool


def fills(
    store: Source,
    *,
    account: str | None = None,
    symbol: str | None = None,
    strategy: str | None = None,
    tag: str | None = None,
    trading_day: date | str | None = None,
    start: Times | None = None,
    stop: Times | None = None,
    time: str = OCCURRED,
    raw: bool = False,
    exact: Exact = False,
    progress: bool | None = None,
) -> Frame:
    """Return the executions of a history, a row each, in the order in which they were first reported.

    An execution counts once, however often it was reported; busted ones are left out, corrected ones have their last
    figures. `symbol` is any name of a contract, `strategy` the one that the order was submitted with, `tag` one of the
    execution's, of its order's or of its day's. One that is dated later than it was recorded counts, with its
    `occurred_at`, from when it was recorded. `start` (included) and `stop` (not) bound when it happened; with
    time="recorded" they bound when the first report was recorded, and nothing recorded later is known: the rows are
    those that the book had then.

    `realized` is money, first in, first out and before fees, as it counts now, whatever has come late; null where the
    contract's multiplier or a price is missing. What adjustments of positions, and busts of trades before the position
    was last flat, have realized is in no fill, but in `days`. `fee` is in `fee_currency`, null if no currency was
    named: then it is in the contract's; fees in further currencies are in `other_fees`. `currency` and `multiplier` are
    the contract's at the time. `trading_day` is the one that a session states, elsewhere the date in UTC. `anomalies`
    are those of the execution's reports.

    `raw=True` gives each report as it was recorded, with `busted` and the log position of the first report of the same
    `execution` instead of the columns of money.

    Raises InvalidEvent for arguments that mean nothing, and at reading PartitionParked where the fold has stopped.
    """
    asked, columns = exact_of(exact), REPORTS if raw else FILLS
    choice = choice_of(strategy=strategy, tag=tag, trading_day=trading_day)
    with opened(store) as reader:
        selection = selection_of(reader, account=account, symbol=symbol, start=start, stop=stop, time=time)

    def batches() -> Iterator[object]:
        with opened(store) as reader:
            rows = (report_rows if raw else fill_rows)(reader, selection, choice, progress=progress)
            yield from batches_of(rows, columns, asked)

    return Frame(columns, batches, exact=asked, title="reports" if raw else "fills")


def fill_rows(
    reader: EventReader, selection: Selection, choice: Choice, *, progress: bool | None = False
) -> Iterator[FillRow]:  # fmt: skip
    """Yield what the fold makes of the executions of each account, account by account."""
    for executions in executions_of(reader, selection, Keep.FILLS, progress=progress):
        with gc_disabled(), decimal.localcontext(FIXED):
            found = list(_fills_of(executions, selection, choice))
        yield from found


def _fills_of(executions: Executions, selection: Selection, choice: Choice) -> Iterator[FillRow]:
    trades, realized, anomalies = executions.trades(), executions.realized(), executions.anomalies()
    wanted = None if selection.symbol is None else executions.rates.symbol(selection.symbol)
    for log_position, item in trades.items():
        terms = executions.terms_of(item)
        if item.busted or not _is_chosen(item, log_position, selection) or wanted not in {None, terms.symbol}:
            continue
        day, strategy = executions.day_of(item.at, log_position), executions.strategy_of(item)
        tags = executions.tags_of(item, day)
        if not choice.has(strategy=strategy, tags=tags, trading_day=day):
            continue
        report = executions.history.reports[log_position]
        trade = trade_of(item, report.event)
        yield FillRow(
            log_position,
            item.at,
            report.recorded_at,
            executions.account,
            terms.symbol,
            trade.side,
            trade.position_side,
            trade.quantity,
            trade.price,
            trade.fee,
            trade.fee_currency,
            terms.currency,
            terms.multiplier,
            realized.get(log_position, ZERO),
            trade.order_id,
            trade.trade_id,
            report.event.liquidity,
            strategy,
            tags,
            day,
            _anomalies_of(item, anomalies) if item.conflicts or log_position in anomalies else (),
            dict(trade.other_fees) or None,
        )


def _is_chosen(item: Item, log_position: int, selection: Selection) -> bool:
    first, last = selection.occurred
    return (
        log_position > selection.after and (first is None or first <= item.at) and (last is None or item.at < last)
    )  # fmt: skip


def _anomalies_of(item: Item, anomalies: dict[int, list[str]]) -> tuple[str, ...]:
    places = (item.log_position, *item.conflicts)
    return tuple(dict.fromkeys([kind for place in places for kind in anomalies.get(place, ())]))


def report_rows(
    reader: EventReader, selection: Selection, choice: Choice, *, progress: bool | None = False
) -> Iterator[ReportRow]:
    """Yield each report of an execution, account by account, with what the fold makes of it."""
    for executions in executions_of(reader, selection, Keep.REPORTS, progress=progress):
        with gc_disabled(), decimal.localcontext(FIXED):
            found = list(_reports_of(executions, selection, choice))
        yield from found


def _reports_of(executions: Executions, selection: Selection, choice: Choice) -> Iterator[ReportRow]:
    trades, anomalies, history = executions.trades(), executions.anomalies(), executions.history
    wanted = None if selection.symbol is None else executions.rates.symbol(selection.symbol)
    for log_position, report in sorted(history.reports.items()):
        first = history.first_of(log_position)
        item = trades[first]
        is_chosen = wanted in {None, executions.rates.symbol(item.symbol)} and _is_reported_within(
            report, log_position, selection
        )
        day, strategy = executions.day_of(item.at, first), executions.strategy_of(item)
        tags = executions.tags_of(item, day)
        if is_chosen and choice.has(strategy=strategy, tags=tags, trading_day=day):
            event, stream = report.event, report.stream
            yield ReportRow(
                log_position,
                report.occurred_at,
                report.recorded_at,
                executions.account,
                event.symbol,
                event.side,
                event.position_side,
                event.quantity,
                event.price,
                event.fee,
                event.fee_currency,
                unescaped(stream.split("/", 2)[2]) if stream.startswith("order/") else None,
                event.trade_id,
                event.liquidity,
                strategy,
                tags,
                day,
                tuple(anomalies.get(log_position, ())),
                first,
                item.busted,
            )


def _is_reported_within(report: KeptReport, log_position: int, selection: Selection) -> bool:
    first, last = selection.occurred
    at = report.occurred_at
    return log_position > selection.after and (first is None or first <= at) and (last is None or at < last)
