"""A book's summary as `state` and `as-of` print it: tables, or one JSON document."""

from __future__ import annotations

from gateways.cli.exit_codes import end_with_problem
from gateways.cli.options import CommonOptions
from gateways.cli.queries import LogQuery
from gateways.presenting import rows as cells
from gateways.presenting.approvals import awaited_sentence
from gateways.presenting.book_summary import BookSummary
from gateways.presenting.headroom import LEFT_COLUMNS, WITHOUT_QUOTES, headroom_notes, left_row
from gateways.presenting.output import put, put_json, put_table
from gateways.presenting.presenter import NONE, Presenter
from gateways.presenting.protection import mode_line

_TOTAL_COLUMNS = ("account", "in", ">realized", ">fees", ">cash", ">net")
_DAY_COLUMNS = ("account", "day", "in", ">realized", ">fees", ">cash", ">net", ">fills")
_EQUITY_COLUMNS = ("account", "in", ">balance", ">unrealized", ">equity", ">high water", ">floor", "status")
_ANOMALY_COLUMNS = ("account", "in", "kind", ">count", "last log positions")
_UNJUDGED_COLUMNS = ("account", "rule", "since", "~why")
_POSITIONS_SHOWN = 3


def put_summary(summary: BookSummary, query: LogQuery, rows: int, common: CommonOptions) -> None:
    """Print a summary; parked partitions end the command with exit code 1."""
    if common.as_json:
        put_json(summary.as_json(query.shown.document_zone) | query.missing_tail)
    else:
        _put_tables(summary, query.shown, rows)
    if summary.parked:
        end_with_problem()


def _put_tables(summary: BookSummary, shown: Presenter, rows: int) -> None:
    put(f"log {summary.log} at position {summary.log_position:,}")
    for each in summary.modes:
        if each.waiting is not None or each.is_shadow:
            put(mode_line(each.held, each.waiting, each.account, shown))
    for awaited in summary.awaited:
        put(awaited_sentence(awaited, shown))
    put()
    orders = [cells.order_row(order, shown) for order in summary.orders]
    put_table("Open orders", cells.ORDER_COLUMNS, orders, shown=rows)
    _put_positions(summary, shown, rows)
    _put_totals(summary, shown, rows)
    _put_equity(summary, shown, rows)
    _put_headroom(summary, shown, rows)
    lockouts = [cells.lockout_row(lockout, shown) for lockout in summary.lockouts]
    put_table(f"Lockouts in force at {shown.time(summary.at)}", cells.LOCKOUT_COLUMNS, lockouts, shown=rows)
    requests = [cells.request_row(request, shown, summary.at) for request in summary.pending]
    if requests:
        loud = cells.escalation_lines(summary.pending, shown, summary.at)
        put_table("Pending enforcement requests", cells.REQUEST_COLUMNS, requests, shown=rows, notes=loud)
    anomalies = [
        (each.account, each.view, each.kind, f"{each.count:,}", _last_positions(each.log_positions))
        for each in summary.anomalies
    ]
    put_table("Anomalies", _ANOMALY_COLUMNS, anomalies, shown=rows)
    for error in summary.parked:
        put(f"stopped: {error}")


def _put_positions(summary: BookSummary, shown: Presenter, rows: int) -> None:
    """Print positions, and what the broker reported of them."""
    positions = [cells.position_row(position, shown) for position in summary.positions]
    title = "Positions; realized first in, first out, before fees"
    notes = [cells.uncertain_line(position) for position in summary.positions if position.is_uncertain]
    put_table(title, cells.POSITION_COLUMNS, positions, shown=rows, notes=notes)
    reports = [cells.report_row(position, shown) for position in summary.positions if position.reported is not None]
    if reports:
        put_table("Positions as the broker reported them", cells.REPORT_COLUMNS, reports, shown=rows)


def _put_totals(summary: BookSummary, shown: Presenter, rows: int) -> None:
    """Print the profit and loss of each account, in all and of the trading day."""
    totals = [
        (
            *(t.account, t.currency or NONE),
            *(shown.money(amount, t.currency) for amount in (t.realized, t.fees, t.cash, t.net)),
        )
        for t in summary.totals
    ]
    put_table("Profit and loss by currency", _TOTAL_COLUMNS, totals, shown=rows)
    days = [
        (
            *(day.account, day.trading_day, day.currency or NONE),
            *(shown.money(amount, day.currency) for amount in (day.realized, day.fees, day.cash, day.net)),
            f"{day.trades:,}",
        )
        for day in summary.days
    ]
    if days:
        notes = [
            line
            for day in summary.days
            for line in cells.uncertain_pnl_lines(
                day.account, day.trading_day, unpriced=day.unpriced, uncertain_fees=day.uncertain_fees
            )
        ]
        put_table("Profit and loss of the trading day", _DAY_COLUMNS, days, shown=rows, notes=notes)


def _put_equity(summary: BookSummary, shown: Presenter, rows: int) -> None:
    """Print each opened account's equity, with its status and why it is not KNOWN."""
    lines = [
        (
            *(each.account, each.currency or NONE),
            *(
                NONE if amount is None else shown.money(amount, each.currency)
                for amount in (each.balance, each.unrealized, each.equity, each.high_water, each.floor)
            ),
            each.status,
        )
        for each in summary.equity
    ]
    if lines:
        notes = [f"{each.account} is {each.status}: {each.why}" for each in summary.equity if each.why]
        put_table("Equity", _EQUITY_COLUMNS, lines, shown=rows, notes=notes)


def _put_headroom(summary: BookSummary, shown: Presenter, rows: int) -> None:
    """Print what is left of each account's limits, and which are not judged."""
    lines = [left_row(name, each, shown) for name, found in summary.headroom.items() for each in found]
    if lines:
        holders = {position.account for position in summary.positions if position.quantity}
        notes = headroom_notes(summary.headroom, summary.unjudged)
        if notes and not holders.isdisjoint(summary.headroom):
            notes.append(WITHOUT_QUOTES)
        put_table("Headroom", LEFT_COLUMNS, lines, shown=rows, notes=notes)
    unjudged = [
        (account, each.rule_id, NONE if each.since is None else shown.time(each.since), each.why)
        for account, found in summary.unjudged.items()
        for each in found
    ]
    if unjudged:
        shadow = [each.account for each in summary.modes if each.is_shadow and each.account in summary.unjudged]
        notes = [f"nothing of {', '.join(shadow)} is rejected in SHADOW mode"] if shadow else []
        title = "Limits that are not judged: new exposure is rejected"
        put_table(title, _UNJUDGED_COLUMNS, unjudged, shown=rows, notes=notes)


def _last_positions(log_positions: tuple[int, ...]) -> str:
    last = ", ".join(map(str, log_positions[-_POSITIONS_SHOWN:]))
    return f"… {last}" if len(log_positions) > _POSITIONS_SHOWN else last or NONE
