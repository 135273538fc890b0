"""Mappings of exports as their users would write them, and the figures of what was imported."""

from __future__ import annotations

from decimal import Decimal

import projections
from eventstore import EventStore
from eventstore.trading import OrderFilled, TradeExecuted
from gateways.importers import MappingFile
from gateways.importers.mapping_files import parse_mapping


def mapping(text: str, name: str = "own") -> MappingFile:
    return parse_mapping(name, text)


def executions(store: EventStore) -> list[TradeExecuted | OrderFilled]:
    """Return the executions in the order of the log."""
    found = (record.event for record in store.read(types=(TradeExecuted, OrderFilled)))
    return [event for event in found if isinstance(event, TradeExecuted | OrderFilled)]


def figures(store: EventStore, account: str, symbol: str) -> tuple[Decimal | int, Decimal | int, Decimal | int]:
    """Return what an account holds of a contract, what it realized before costs, and the costs."""
    with projections.open(store, snapshots=False) as book:
        position = book.positions.get(account, symbol)
        return position.quantity, position.realized, position.fees


ORDERS = """
[rows]
kind = "order"
[time]
format = "%m/%d/%Y %H:%M:%S"
[numbers]
decimal = "."
thousands = ","
[columns]
order_id = "orderId"
account = "Account"
symbol = "Contract"
side = "B/S"
status = "Status"
order_type = "Type"
quantity = "Quantity"
time = "Timestamp"
filled_at = "Fill Time"
filled_quantity = "filledQty"
average_price = "avgPrice"
limit_price = "Limit Price"
stop_price = "Stop Price"
"""
PAIRS = """
[rows]
kind = "matched-pair"
[time]
format = "%m/%d/%Y %H:%M:%S"
[numbers]
decimal = "."
thousands = ","
strip = "$"
brackets = "negative"
[pnl]
column = "pnl"
after-fees = false
[columns]
symbol = "symbol"
quantity = "qty"
buy_id = "buyFillId"
sell_id = "sellFillId"
buy_price = "buyPrice"
sell_price = "sellPrice"
buy_time = "boughtTimestamp"
sell_time = "soldTimestamp"
"""
JOURNAL = """
[rows]
where = { Type = ["buy", "sell"] }
[time]
columns = ["Date", "Time"]
zone = "@Timezone"
[fees]
columns = ["Fee amount"]
currency = "@Fee currency"
[contract]
default = { asset = "CRYPTO" }
[columns]
symbol = ["Currency", "Quote Currency"]
side = "Type"
quantity = "Amount"
price = "Quote Price"
trade_id = "Transaction ID"
[[tables]]
[tables.rows]
kind = "cash"
where = { Type = ["deposit", "staking"] }
[tables.cash]
kinds = { DEPOSIT = ["deposit"], INTEREST = ["staking"] }
[tables.fees]
columns = ["Fee amount"]
currency = "@Fee currency"
[tables.columns]
type = "Type"
amount = "Amount"
currency = "Currency"
reference = "Transaction ID"
"""
SECTIONS = """
[read]
section = "Trades"
[rows]
where = { DataDiscriminator = ["Order"] }
[time]
format = "%Y-%m-%d, %H:%M:%S"
[numbers]
decimal = "."
thousands = ","
[fees]
columns = ["Comm/Fee"]
sign = "paid-is-negative"
[pnl]
column = "Realized P/L"
after-fees = true
takes-off = "matched"
[contract]
currency = "@Currency"
default = { asset = "STOCK", currency = "@Currency" }
[columns]
symbol = "Symbol"
time = "Date/Time"
quantity = "Quantity"
price = "T. Price"
"""
BOT = """
[rows]
kind = "order"
[time]
format = "iso"
zone = "UTC"
[contract]
default = { asset = "CRYPTO" }
[columns]
order_id = "order_id"
symbol = "ft_pair"
side = "side"
status = "status"
filled_quantity = "filled"
average_price = ["average", "price"]
limit_price = "price"
filled_at = "order_filled_date"
"""
