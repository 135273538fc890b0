"""The fields of each kind of row: what `columns` of a mapping and `--map` may name."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from gateways.importers.mapping import KindOfRow, SnapshotOf

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gateways.importers.mapping import ColumnNames, RowSettings
    from gateways.importers.mapping import Mapping as FileMapping

EXECUTION = {
    "trade_id": "the venue's id of the execution",
    "symbol": "the contract, share, coin or pair",
    "side": "bought or sold; without it a quantity below zero is a sale",
    "quantity": "contracts, shares or units",
    "price": "price of a unit",
    "fee": "what was paid; more columns are given in the table [fees]",
    "fee_currency": "currency of the fee, for example USD",
    "time": "when it was executed; the table [time] says how it is written",
    "order_id": "the order that was executed, of a program that records its orders in the log",
    "broker_order_id": "the broker's id of the order, where the orders are in another file",
    "account": "the account of the row",
    "pnl": "the file's own profit and loss; the table [pnl] says whether it is after costs",
    "trading_day": "the trading day that the file states",
    "exchange_trade_id": "the exchange's own id of the execution",
}
FIELDS = tuple(EXECUTION)
"""The fields that `--map` may name."""
ROUND_TRIP = {
    "trade_id": "id of the round trip; its executions are ID-entry and ID-exit",
    "symbol": "as in an execution",
    "side": "the side of the entry: long or short",
    "quantity": "contracts, shares or units",
    "entry_price": "price of the entry",
    "exit_price": "price of the exit",
    "entry_time": "when the position was opened",
    "exit_time": "when it was closed",
    "fee": "what was paid for both; more columns are given in the table [fees]",
    "fee_currency": "currency of the fee",
    "account": "the account of the row",
    "pnl": "the file's own profit and loss of the round trip",
    "trading_day": "the trading day that the file states",
}
MATCHED_PAIR = {
    "symbol": "as in an execution",
    "quantity": "quantity matched in this row",
    "buy_id": "id of the execution that bought; its rows add up",
    "sell_id": "id of the execution that sold; its rows add up",
    "buy_price": "price of the purchase",
    "sell_price": "price of the sale",
    "buy_time": "when it was bought",
    "sell_time": "when it was sold",
    "account": "the account of the row",
    "pnl": "the file's own profit and loss of the pair",
}
ORDER = {
    "order_id": "id of the order",
    "symbol": "as in an execution",
    "side": "bought or sold",
    "quantity": "quantity of the order",
    "order_type": "market, limit, stop, …; the table [orders] has the words",
    "status": "what became of it; the table [orders] has the words",
    "time": "when it was created",
    "filled_at": "when it was filled; without it `time`",
    "canceled_at": "when it was cancelled or expired; without it `time`, and the reason says so",
    "triggered_at": "when a stop was triggered",
    "limit_price": "limit price",
    "stop_price": "stop price",
    "filled_quantity": "how much was filled, whatever the status",
    "average_price": "average price of what was filled",
    "broker_order_id": "the exchange's or broker's other id of the order",
    "reason": "why it was rejected",
    "fee": "what was paid; more columns are given in the table [fees]",
    "fee_currency": "currency of the fee",
    "account": "the account of the row",
    "trading_day": "the trading day that the file states",
}
POSITIONS = {
    "symbol": "as in an execution",
    "side": "long or short; without it a quantity below zero is short",
    "quantity": "what is held; 0 is flat",
    "average_price": "average price of the position",
    "time": "when this was so",
    "account": "the account of the row",
}
BALANCES = {
    "balance": "the balance",
    "available": "what of it is free",
    "frozen": "what of it is reserved for orders",
    "margin": "what of it is margin",
    "currency": "its currency",
    "time": "when this was so",
    "account": "the account of the row",
}
REPORTED_ORDERS = {
    "order_id": "id of the order",
    "symbol": "as in an execution",
    "side": "bought or sold",
    "quantity": "quantity of the order",
    "order_type": "market, limit, stop, …; the table [orders] has the words",
    "status": "as the broker writes it; the table [orders] has the words",
    "limit_price": "limit price",
    "stop_price": "stop price",
    "filled_quantity": "how much was filled",
    "average_price": "average price of what was filled",
    "broker_order_id": "the exchange's or broker's other id of the order",
    "time": "when this was so",
    "account": "the account of the row",
}
STATES = {
    "name": "name of the pair or portfolio",
    "state": "its state; without it every column of the row that no field has is a member of it",
    "version": "the strategy's number for the state's form",
    "time": "when it was saved",
    "account": "the account of the row",
}
CASH = {
    "amount": "above zero what was received",
    "currency": "its currency",
    "type": "what kind of movement it is; the table [cash] has the words",
    "reference": "the file's id of the movement",
    "fee": "what was paid for it; more columns are given in the table [fees]",
    "time": "when it happened",
    "account": "the account of the row",
}

FIELDS_OF: Mapping[KindOfRow, Mapping[str, str]] = MappingProxyType({
    KindOfRow.EXECUTION: EXECUTION,
    KindOfRow.ROUND_TRIP: ROUND_TRIP,
    KindOfRow.MATCHED_PAIR: MATCHED_PAIR,
    KindOfRow.ORDER: ORDER,
    KindOfRow.CASH: CASH,
})  # fmt: skip
SNAPSHOT_FIELDS: Mapping[SnapshotOf, Mapping[str, str]] = MappingProxyType({
    SnapshotOf.POSITIONS: POSITIONS,
    SnapshotOf.BALANCES: BALANCES,
    SnapshotOf.ORDERS: REPORTED_ORDERS,
    SnapshotOf.PAIRS: STATES,
    SnapshotOf.PORTFOLIOS: STATES,
})  # fmt: skip
REQUIRED: Mapping[KindOfRow, tuple[str, ...]] = MappingProxyType({
    KindOfRow.EXECUTION: ("symbol", "quantity", "price", "time"),
    KindOfRow.ROUND_TRIP: (
        *("symbol", "entry_time", "exit_time", "entry_price"),
        *("exit_price", "quantity", "side"),
    ),
    KindOfRow.MATCHED_PAIR: (
        *("symbol", "quantity", "buy_id", "sell_id"),
        *("buy_price", "sell_price", "buy_time", "sell_time"),
    ),
    KindOfRow.ORDER: ("order_id", "symbol", "status", "side"),
    KindOfRow.CASH: ("amount", "time"),
})  # fmt: skip
SNAPSHOT_REQUIRED: Mapping[SnapshotOf, tuple[str, ...]] = MappingProxyType({
    SnapshotOf.POSITIONS: ("symbol", "quantity", "time"),
    SnapshotOf.BALANCES: ("balance", "time"),
    SnapshotOf.ORDERS: ("order_id", "status", "time"),
    SnapshotOf.PAIRS: ("name", "time"),
    SnapshotOf.PORTFOLIOS: ("name", "time"),
})  # fmt: skip
JOINED_WITH: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(
        (
            *("time", "entry_time", "exit_time", "buy_time", "sell_time", "filled_at", "canceled_at", "triggered_at"),
            "side",
        ),
        " ",
    )
    | {"symbol": "/"}
)
"""The fields whose columns, if there are several, are joined, and what with."""


_OF_PAIR = frozenset({None, "@base", "@quote"})


def fields_of(rows: RowSettings) -> Mapping[str, str]:
    """Return the fields that a row of this kind may have, each with what it is."""
    return FIELDS_OF[rows.kind] if rows.of is None else SNAPSHOT_FIELDS[rows.of]


def required_of(rows: RowSettings) -> tuple[str, ...]:
    """Return the fields without which a row of this kind means nothing."""
    return REQUIRED[rows.kind] if rows.of is None else SNAPSHOT_REQUIRED[rows.of]


def columns_of(mapping: FileMapping) -> Mapping[str, ColumnNames]:
    """Return the columns of each field, with those that the tables of the mapping name."""
    found: dict[str, ColumnNames] = dict(mapping.columns)
    if mapping.time.columns and "time" not in found:
        found["time"] = mapping.time.columns
    if mapping.contract.column is not None and "symbol" not in found:
        found["symbol"] = mapping.contract.column
    if mapping.pnl.column is not None and "pnl" not in found:
        found["pnl"] = mapping.pnl.column
    return found


def names_of(columns: ColumnNames) -> tuple[str, ...]:
    """Return the columns of one field."""
    return (columns,) if isinstance(columns, str) else columns


def used_columns(mapping: FileMapping) -> frozenset[str]:
    """Return every column that a mapping names, in whatever table of it."""
    of_fields = [name for names in columns_of(mapping).values() for name in names_of(names)]
    default = mapping.contract.default
    given = (
        *(mapping.time.zone, mapping.fees.currency, mapping.contract.currency),
        *((default.currency, default.base_currency, str(default.multiplier)) if default is not None else ()),
    )
    referred = [
        text[1:].removeprefix("unit:").split("|")[0] for text in given if text is not None and text.startswith("@")
    ]
    return frozenset((
        *of_fields, *referred, *mapping.fees.columns, *mapping.identity.columns,
        *mapping.rows.where, *mapping.rows.aside, *mapping.rows.ignore,
    ))  # fmt: skip


def explained_columns(mapping: FileMapping) -> frozenset[str]:
    """Return the columns that a mapping names, without those of which it only says which words are set aside."""
    only_aside = frozenset(mapping.rows.aside) - {*mapping.rows.where, *mapping.rows.ignore}
    return used_columns(mapping) - only_aside


def _referred(mapping: FileMapping) -> Iterator[str]:
    """Yield the columns that say a row's zone, or the currency of its costs or of its contract."""
    default = mapping.contract.default if "symbol" in columns_of(mapping) else None
    in_contract = () if default is None else (default.currency, default.base_currency, str(default.multiplier))
    for given in (mapping.time.zone, mapping.fees.currency, *in_contract):
        name = (given or "").removeprefix("@").removeprefix("unit:")
        if name != given and "|" not in name and given not in _OF_PAIR:
            yield name


def needed_columns(mapping: FileMapping) -> tuple[str, ...]:
    """Return the columns that a file must have for a mapping, in the order in which it names them."""
    symbol = mapping.contract.symbol is not None
    of_fields = [
        name
        for field, names in columns_of(mapping).items()
        if not (field == "symbol" and symbol) and not (field == "account" and mapping.account is not None)
        for name in names_of(names)
    ]
    further = (*mapping.fees.columns, *mapping.identity.columns, *mapping.rows.where, *_referred(mapping))
    return tuple(dict.fromkeys(name for name in (*of_fields, *further) if name not in mapping.optional))
