"""What the book says of a history, to compare frames with: fills, round trips, days and orders as plain rows."""

from __future__ import annotations

import decimal
from decimal import Decimal
from typing import Any

from eventstore import EventReader, UnknownContract
from eventstore.streams import SEPARATOR, unescaped
from projections.analysis.days import day_rows
from projections.analysis.fills import FillRow, ReportRow, fill_rows, report_rows
from projections.analysis.folding import Choice
from projections.analysis.orders import order_rows
from projections.analysis.round_trips import RoundTripRow, round_trip_rows
from projections.analysis.sources import selection_of
from projections.book import Book
from projections.decimals import FIXED
from projections.views.accounts import account_rates
from projections.views.executions.ledger_entry import ledger_key
from projections.views.executions.state import TRIPS_MAX

Rows = list[tuple[Any, ...]]
ALL = Choice()


class Frames:
    """The rows of all frames of a log, up to a position, of one account or all."""

    def __init__(self, reader: EventReader, until: int | None = None, account: str | None = None) -> None:
        chosen = selection_of(reader, until=until, account=account)
        self.reader, self.until = reader, chosen.until
        self.fills: list[FillRow] = list(fill_rows(reader, chosen, ALL))
        self.reports: list[ReportRow] = list(report_rows(reader, chosen, ALL))
        self.trips: list[RoundTripRow] = list(round_trip_rows(reader, chosen, ALL))
        self.days = list(day_rows(reader, chosen, ALL))
        self.orders = list(order_rows(reader, chosen, ALL))


def problems(book: Book, frames: Frames, *, is_bounded: bool = False) -> list[str]:
    """Return where frames differ from a book at the same position.

    `is_bounded`: the book compares a report with fewer trades than its list of trades does.
    """
    found = []
    with decimal.localcontext(FIXED):
        for account in book.partitions("executions"):
            if account == "-":
                continue
            found += _unlike(f"{account} trips", _trips_in(frames, account), trips_of(book, account))
            found += _of_days(book, frames, account)
            found += _of_orders(book, frames, account)
            if not is_bounded:
                found += _unlike(f"{account} fills", _fills_in(frames, account), fills_of(book, account))
                found += _of_reports(book, frames, account)
    return found


def _unlike(what: str, made: Rows, expected: Rows) -> list[str]:
    if made == expected:
        return []
    return [f"{what}: {each}" for each in zip(made, expected, strict=False) if each[0] != each[1]] or [
        f"{what}: {len(made)} rows, not {len(expected)}"
    ]


def _fills_in(frames: Frames, account: str) -> Rows:
    return [
        (each.position, each.trade_id, each.side, each.quantity, each.price, each.fee, each.fee_currency,
         each.occurred_at, each.order_id, each.position_side, tuple((each.other_fees or {}).items()))
        for each in frames.fills
        if each.account == account
    ]  # fmt: skip


def fills_of(book: Book, account: str) -> Rows:
    return [
        (each.position, each.trade_id, each.side, each.quantity, each.price, each.fee, each.fee_currency,
         each.occurred_at, each.order_id, each.position_side, each.other_fees)
        for each in book.trades.of(account)
        if not each.busted
    ]  # fmt: skip


def _of_reports(book: Book, frames: Frames, account: str) -> list[str]:
    """Compare which reports are of a busted execution, and whether each report is there."""
    busted = {each.position: each.busted for each in book.trades.of(account)}
    mine = [each for each in frames.reports if each.account == account]
    wrong = [f"{account} report: {each}" for each in mine if each.busted != busted[each.execution]]
    recorded = frames.reader.read(account=account, types=("OrderFilled", "TradeExecuted"), until=frames.until)
    missing = {record.position for record in recorded} - {each.position for each in mine}
    firsts = {each.execution for each in mine} ^ busted.keys()
    return wrong + [f"{account}: no row of report {position}" for position in sorted(missing | firsts)]


def _trips_in(frames: Frames, account: str) -> Rows:
    return [
        (each.symbol, each.exit_at, each.gross, each.currency, each.fees, tuple((each.other_fees or {}).items()))
        for each in frames.trips
        if each.account == account
    ][-TRIPS_MAX:]


def trips_of(book: Book, account: str) -> Rows:
    rates, rows = account_rates(book, account), list[tuple[Any, ...]]()
    for trip in book.trips.of(account):
        key = ledger_key(trip.symbol + SEPARATOR + trip.side, trip.terms)
        symbol, _, currency, multiplier = rates.of_key(key)
        gross = None if trip.points is None or multiplier is None else trip.points * multiplier
        own = sum((amount for named, amount in trip.fees if named in {"", currency}), Decimal(0))
        others = tuple((named, amount) for named, amount in trip.fees if named not in {"", currency} and amount)
        rows.append((rates.symbol(symbol), trip.ended_at, gross, currency, own, others))
    return rows


def _of_days(book: Book, frames: Frames, account: str) -> list[str]:
    mine = [each for each in frames.days if each.account == account]
    made: Rows = [
        (each.session or f"~{each.trading_day}", each.currency, each.realized, each.fees, each.funding, each.net,
         each.trades, each.unpriced, each.uncertain_fees)
        for each in mine
    ]  # fmt: skip
    try:
        return _unlike(f"{account} days", made, days_of(book, account))
    except UnknownContract:
        unknown = any(each.realized is None and each.net is None for each in mine)
        return [] if unknown else [f"{account} days: all is known, but not in the book"]


def days_of(book: Book, account: str) -> Rows:
    return [
        (name, each.currency, each.realized, each.fees, each.cash, each.net, each.trades, each.unpriced,
         each.uncertain_fees)
        for name, totals in book.pnl.days(account)
        for each in totals
    ]  # fmt: skip


def _of_orders(book: Book, frames: Frames, account: str) -> list[str]:
    mine = {each.order_id: each for each in frames.orders if each.account == account}
    recorded = frames.reader.read(stream=f"order/{account}/", until=frames.until)
    found = []
    for order_id in sorted({unescaped(record.entity) for record in recorded} | mine.keys()):
        order, row = book.orders.get(account, order_id), mine.get(order_id)
        expected = order and (
            order.side, order.order_type, order.quantity, order.limit_price, order.stop_price, order.status,
            order.cumulative, order.leaves, order.average_price, order.strategy, order.first_position,
            order.last_position,
        )  # fmt: skip
        made = row and (
            row.side, row.order_type, row.quantity, row.limit_price, row.stop_price, row.status, row.cumulative,
            row.leaves, row.average_price, row.strategy, row.first_record, row.last_record,
        )  # fmt: skip
        if made != expected:
            found.append(f"{account} order {order_id}: {made}, not {expected}")
    return found
