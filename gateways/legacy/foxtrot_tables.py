"""Tables of Foxtrot and of what keeps its objects like it: orders, trades, positions, account_snapshots, oms_state.

Words and ids as in the public program (github.com/moremeds/foxtrot) and in VeighNa, whose objects it has. Objects that
are stored as pickles are not read: what their columns say is imported, the rest is reported.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from eventstore.events.validation import is_currency
from eventstore.trading import (
    AccountUpdated,
    OrderFilled,
    OrderReported,
    OrderStatus,
    OrderType,
    PositionReported,
    PositionSide,
    Side,
    TradeExecuted,
)
from gateways.legacy.rows import LeftOut, PlannedRow, TableRowReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIDES = {"LONG": Side.BUY, "SHORT": Side.SELL, "多": Side.BUY, "空": Side.SELL}
POSITION_SIDES = {
    "LONG": PositionSide.LONG,
    "SHORT": PositionSide.SHORT,
    "NET": PositionSide.NET,
    "多": PositionSide.LONG,
    "空": PositionSide.SHORT,
    "净": PositionSide.NET,
}
OPENING, CLOSING = "open", "close"
OFFSETS = {
    "OPEN": OPENING,
    "CLOSE": CLOSING,
    "CLOSETODAY": CLOSING,
    "CLOSEYESTERDAY": CLOSING,
    "开": OPENING,
    "平": CLOSING,
    "平今": CLOSING,
    "平昨": CLOSING,
}
STATUSES = {
    "SUBMITTING": OrderStatus.PENDING_NEW,
    "NOTTRADED": OrderStatus.NEW,
    "PARTTRADED": OrderStatus.PARTIALLY_FILLED,
    "ALLTRADED": OrderStatus.FILLED,
    "CANCELLED": OrderStatus.CANCELED,
    "REJECTED": OrderStatus.REJECTED,
    "提交中": OrderStatus.PENDING_NEW,
    "未成交": OrderStatus.NEW,
    "部分成交": OrderStatus.PARTIALLY_FILLED,
    "全部成交": OrderStatus.FILLED,
    "已撤销": OrderStatus.CANCELED,
    "拒单": OrderStatus.REJECTED,
}
ORDER_TYPES = {
    "LIMIT": OrderType.LIMIT,
    "MARKET": OrderType.MARKET,
    "STOP": OrderType.STOP,
    "FAK": OrderType.LIMIT,
    "FOK": OrderType.LIMIT,
    "限价": OrderType.LIMIT,
    "市价": OrderType.MARKET,
}


def order(row: TableRowReader) -> PlannedRow:
    """Return what the program knew of an order. Its fills are in `trades` alone."""
    traded = row.members().get("traded")
    kind = row.word("type", ORDER_TYPES)
    price = row.optional_number("price")
    event = OrderReported(
        status=row.word("status", STATUSES) or OrderStatus.UNKNOWN,
        raw_status=row.text("status"),
        broker_order_id=row.text("vt_orderid"),
        symbol=symbol(row),
        side=row.word("direction", SIDES),
        order_type=kind,
        quantity=row.number("volume"),
        filled_quantity=None if traded is None else _figure(row, "traded", traded),
        limit_price=price if kind is OrderType.LIMIT else None,
        stop_price=price if kind is OrderType.STOP else None,
    )
    # SQLite's own times are in UTC; the order's is when it was sent, in a zone that is not said.
    at = row.instant("updated_at", "created_at", utc=True) if _is_dated(row) else row.instant("datetime")
    return row.planned("order", row.account(), row.text("vt_orderid"), event, at)


def trade(row: TableRowReader) -> PlannedRow:
    """Return the execution that a trade is."""
    side = row.word("direction", SIDES)
    if side is None:
        msg = f"direction {row.text('direction')!r:.40} is neither long nor short"
        raise LeftOut(msg)
    figures: dict[str, Any] = {
        "trade_id": row.text("vt_tradeid"),
        "symbol": symbol(row),
        "side": side,
        "quantity": row.number("volume"),
        "price": row.number("price"),
        "fee": row.optional_number("commission") or 0,
        "position_side": _position_side(side, row.word("offset", OFFSETS)),
    }
    account, at = row.account(), row.instant("datetime")
    order_id = row.optional("vt_orderid")
    if order_id is None:
        return row.planned("trade", account, row.text("vt_tradeid"), TradeExecuted(**figures), at, changes=False)
    planned = row.planned("order", account, str(order_id), OrderFilled(**figures), at, changes=False)
    return planned._replace(name=row.text("vt_tradeid"), identity=f"migrate trades {row.text('vt_tradeid')}")


def position(row: TableRowReader) -> PlannedRow:
    """Return what the program held: beside the fills, never as one."""
    side = row.word("direction", POSITION_SIDES)
    if side is None:
        msg = f"direction {row.text('direction')!r:.40} is none of LONG, SHORT and NET"
        raise LeftOut(msg)
    quantity = row.number("volume")
    if side is not PositionSide.NET and quantity < 0:
        msg = f"a {side} position with volume {quantity}: the sign contradicts the side"
        raise LeftOut(msg)
    event = PositionReported(
        symbol=symbol(row),
        quantity=-quantity if side is PositionSide.SHORT else quantity,
        average_price=row.optional_number("price"),
        frozen=row.optional_number("frozen"),
        position_side=side,
    )
    at = (
        row.instant("updated_at", "created_at", utc=True)
        if row.optional("updated_at", "created_at")
        else row.written_at
    )
    planned = row.planned("position", row.account(), symbol(row), event, at)
    return planned._replace(
        name=str(row.optional("vt_positionid") or symbol(row)), identity=f"{planned.identity} {side}"
    )


def account_snapshot(row: TableRowReader) -> PlannedRow:
    """Return what the program knew of an account's money."""
    currency = row.optional("currency")
    if currency is not None and not is_currency(str(currency)):
        msg = f"currency {currency!r:.40} is not a code such as USD"
        raise LeftOut(msg)
    event = AccountUpdated(
        balance=row.optional_number("balance"),
        available=row.optional_number("available"),
        frozen=row.optional_number("frozen"),
        currency=None if currency is None else str(currency),
    )
    at, account = row.instant("snapshot_time"), row.account("account_id")
    planned = row.planned("account", account, "-", event, at)
    name = str(row.optional("id") or row.text("snapshot_time"))
    return planned._replace(name=name, identity=f"migrate account_snapshots {name}")


def objects(value: object) -> Iterator[dict[str, Any]]:
    """Yield the objects of a value of `oms_state` as rows: JSON, an object by id."""
    if not isinstance(value, str):
        msg = "its value is not text"
        raise LeftOut(msg)
    try:
        found = json.loads(value)
    except (ValueError, RecursionError) as e:
        msg = f"its value is not JSON: {e}"
        raise LeftOut(msg) from e
    if not isinstance(found, dict):
        msg = "its value is not an object by id"
        raise LeftOut(msg)
    for id_, members in found.items():
        if isinstance(members, dict):
            ids = dict.fromkeys(("vt_orderid", "vt_tradeid", "vt_positionid"), id_)
            yield _with_ids(ids | members, id_) | {"data_json": json.dumps(members)}


def _with_ids(members: dict[str, Any], id_: str) -> dict[str, Any]:
    """Return an object with its order's id as the tables have it: an adapter's name, a dot, the venue's id."""
    if "tradeid" in members and members["vt_orderid"] == id_:
        name = members.get("adapter_name") or id_.removesuffix(f".{members['tradeid']}")
        members["vt_orderid"] = f"{name}.{members['orderid']}" if members.get("orderid") else None
    return members


PLANNERS: dict[str, Callable[[TableRowReader], PlannedRow]] = {
    "orders": order,
    "trades": trade,
    "positions": position,
    "account_snapshots": account_snapshot,
}
MARKS = {
    "orders": "vt_orderid",
    "trades": "vt_tradeid",
    "positions": "vt_positionid",
    "account_snapshots": "snapshot_time",
}
"""The column by which a table is known to be of this kind."""
LEFT_OUT = {
    "schema_migrations": "it says how the tables were changed, and nothing about trading",
    "schema_version": "it says how the tables were changed, and nothing about trading",
    "system_config": "settings of the older program have no place here",
    "performance_metrics": "figures about the older program, not about trading",
}


def symbol(row: TableRowReader) -> str:
    """Return the symbol, with its exchange where the file has one symbol on several."""
    name = row.text("symbol")
    exchange = str(row.optional("exchange") or "").rpartition(".")[2]
    several = row.cells.get("several_exchanges")
    return f"{name}.{exchange}" if several and exchange else name


def _is_dated(row: TableRowReader) -> bool:
    return row.optional("updated_at", "created_at") is not None


def _position_side(side: Side, offset: str | None) -> PositionSide:
    """Return which position a trade is of: where it says that it opens or closes, the venue keeps both sides."""
    if offset is None:
        return PositionSide.NET
    return PositionSide.LONG if (side is Side.BUY) == (offset == OPENING) else PositionSide.SHORT


def _figure(row: TableRowReader, name: str, value: object) -> Any:  # noqa: ANN401 - a Decimal
    return TableRowReader(row.table, {name: value}, row.choices, row.written_at).number(name)
