"""Tables of a risk manager's SQLite file: lockouts, daily_pnl, enforcement_log, positions, orders and the rest.

Its times are of the machine's clock, without a zone. What it only noted becomes a note: its days are the machine's, not
trading days, and its results are not a broker's. Its trades have no ids, so they are left out.
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from eventstore.trading import LockoutSet, NoteAdded, OrderReported, OrderStatus, OrderType, PositionReported, Side
from eventstore.trading.notes import TEXT_MAX
from gateways.legacy.rows import LeftOut, MissingChoice, PlannedRow, TableRowReader

if TYPE_CHECKING:
    from collections.abc import Callable

GATEWAY, RISK_MANAGER = "gateway", "risk-manager"
# ProjectX Gateway documentation, "Real Time Data Overview", enums.
_STATES: dict[str, dict[int, OrderStatus]] = {
    GATEWAY: {
        1: OrderStatus.NEW,
        2: OrderStatus.FILLED,
        3: OrderStatus.CANCELED,
        4: OrderStatus.EXPIRED,
        5: OrderStatus.REJECTED,
        6: OrderStatus.PENDING_NEW,
    },
    RISK_MANAGER: {2: OrderStatus.NEW, 3: OrderStatus.FILLED, 4: OrderStatus.CANCELED, 5: OrderStatus.REJECTED},
}
_ORDER_TYPES = {
    1: OrderType.LIMIT,
    2: OrderType.MARKET,
    3: OrderType.STOP_LIMIT,
    4: OrderType.STOP,
    5: OrderType.TRAILING_STOP,
    6: OrderType.JOIN_BID,
    7: OrderType.JOIN_ASK,
}
_SIGNS = {1: 1, 2: -1}
_SIDES = {0: Side.BUY, 1: Side.SELL}


def lockout(row: TableRowReader) -> PlannedRow:
    """Return a lockout that is in force; without an end it has none here either."""
    locked = row.text("is_locked")
    if locked == "0":
        msg = "it was cleared: is_locked is 0"
        raise LeftOut(msg, by_rule=True)
    if locked != "1":
        msg = f"is_locked is {locked:.40}, neither 0 nor 1: lock the account by hand if it was locked"
        raise LeftOut(msg)
    rule = row.text("rule_id")
    details = {
        name: str(row.cells[name]) for name in ("locked_at", "locked_until", "updated_at") if row.cells.get(name)
    }
    event = LockoutSet(
        rule_id=rule,
        reason=str(row.optional("reason") or ""),
        until=row.instant("locked_until") if row.optional("locked_until") else None,
        details={"migrated": details},
    )
    return row.planned("lockout", row.account("account_id"), rule, event, row.instant("locked_at", "updated_at"))


def daily_pnl(row: TableRowReader) -> PlannedRow:
    """Return a note on the day: the machine's day, which need not be a trading day."""
    account, text = row.account("account_id"), row.text("date")
    try:
        day = datetime.date.fromisoformat(text[:10]).isoformat()
    except ValueError as e:
        msg = f"date {text!r:.40} is not a day"
        raise LeftOut(msg) from e
    figure = row.number("realized_pnl")
    note = NoteAdded(
        target=f"day/{account}/{day}",
        text=f"the risk manager's realized result of this day of its machine: {figure}",
        tags=("migrated", "daily-pnl"),
    )
    at = row.instant("last_updated") if row.optional("last_updated") else row.written_at
    return row.planned("note", account, f"daily-pnl-{day}", note, at)


def enforcement(row: TableRowReader) -> PlannedRow:
    """Return a note on the rule's lockout: what the risk manager did."""
    account, rule = row.account("account_id"), str(row.optional("rule_id") or "-")
    said = (
        f"{name}: {row.cells[name]}"
        for name in ("action", "reason", "success", "details")
        if row.cells.get(name) is not None
    )
    at = row.instant("timestamp")
    note = NoteAdded(
        target=f"lockout/{account}/{rule.replace('/', '%2F')}",
        text="; ".join(said).replace("\0", "")[:TEXT_MAX] or "enforced",
        tags=("migrated", "enforcement"),
    )
    number = row.optional("id", "rowid") or f"{at}-{row.cells.get('number', 0)}"
    return row.planned("note", account, f"enforcement-{number}", note, at)


def position(row: TableRowReader) -> PlannedRow:
    """Return what the risk manager last saw of a position."""
    sign = _SIGNS.get(_code(row, "type"))
    if sign is None:
        msg = f"type {row.text('type')!r:.40} is neither 1 (long) nor 2 (short)"
        raise LeftOut(msg)
    size = row.number("size")
    if size < 0:
        msg = f"size {size} is below zero, and type says the side"
        raise LeftOut(msg)
    event = PositionReported(
        symbol=row.text("contract_id"), quantity=size * sign, average_price=row.optional_number("average_price")
    )
    at = row.instant("created_at") if row.optional("created_at") else row.written_at
    return row.planned("position", row.account("account_id"), row.text("contract_id"), event, at)


def order(row: TableRowReader) -> PlannedRow:
    """Return what the risk manager last saw of an order, by the numbering of states that was chosen."""
    if row.choices.states is None:
        msg = (
            f"state {row.text('state')} of table orders has two meanings: 2 is filled in the gateway's numbering, and "
            f"working in the risk manager's: say which with --states {GATEWAY} or --states {RISK_MANAGER}"
        )
        raise MissingChoice(msg)
    code = _code(row, "state")
    event = OrderReported(
        status=_STATES[row.choices.states].get(code, OrderStatus.UNKNOWN),
        raw_status=str(code),
        broker_order_id=row.text("id"),
        symbol=row.text("contract_id"),
        side=_SIDES.get(_code(row, "side")),
        order_type=_ORDER_TYPES.get(_code(row, "type")),
        quantity=row.number("size"),
        limit_price=row.optional_number("limit_price"),
        stop_price=row.optional_number("stop_price"),
    )
    return row.planned("order", row.account("account_id"), row.text("id"), event, row.written_at)


PLANNERS: dict[str, Callable[[TableRowReader], PlannedRow]] = {
    "lockouts": lockout,
    "daily_pnl": daily_pnl,
    "enforcement_log": enforcement,
    "positions": position,
    "orders": order,
}
MARKS = {
    "lockouts": "is_locked",
    "daily_pnl": "realized_pnl",
    "enforcement_log": "rule_id",
    "positions": "contract_id",
    "orders": "contract_id",
}
LEFT_OUT = {
    "trade_history": "its rows have no trade ids, so they cannot be matched to executions, and equal rows may be two "
    "trades: import the broker's own export",
    "reset_schedule": "when a trading day ends is a setting: eventstore limits, or a file of seeds",
    "session_state": "when a session began follows from the log",
    "contract_cache": "it does not say the contracts' currency: import with --contracts, or append ContractDefined",
}


def _code(row: TableRowReader, name: str) -> Any:  # noqa: ANN401 - an int, or what is none of the codes
    cell = row.optional(name)
    return int(cell) if isinstance(cell, str) and cell.isascii() and cell.isdigit() else cell
