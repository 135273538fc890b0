"""What the rows of exports of brokers and platforms mean, by a second, plain reading."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from tests.importers.facts import CHICAGO, D, Fact, Rows, ns, signed, stated

MONTH_FIRST = "%m/%d/%Y %H:%M:%S"
TWELVE_HOURS = "%m/%d/%Y %I:%M:%S %p"
DOTTED = "%Y.%m.%d %H:%M:%S"
NAMES = {
    "MNQU26": "MNQU6",
    "MNQ MAR26": "MNQH6",
    "MNQ 03-26": "MNQH6",
    "NQ 03-26": "NQH6",
    "MES 09-26": "MESU6",
    **{name: name for name in ("MNQH6", "MNQU6", "NQH6", "MESU6", "MESH6")},
}


def money(text: str) -> Decimal:
    """Return an amount with a dollar sign and brackets or a minus."""
    digits = re.sub(r"[$,()]", "", text) if re.fullmatch(r"-?\$?-?[\d,.]+|\$?\([\d,.]+\)|\(\$[\d,.]+\)", text) else text
    return -D(digits.removeprefix("-")) if "(" in text or "-" in text else D(digits)


def costs(row: dict[str, str], *names: str) -> Decimal:
    """Return the sum of cells with amounts; an empty one, or a column that is not there, costs nothing."""
    return sum((money(row[name].replace(" ", "")) for name in names if row.get(name)), D(0))


class Trip(NamedTuple):
    """A round trip, as a row of an export has it."""

    symbol: str
    side: str
    quantity: str
    prices: tuple[str, str]
    times: tuple[int, int]
    fee: Decimal
    currency: str

    def facts(self) -> list[Fact]:
        """Return its two executions: the costs are the exit's."""
        held = signed({"Long": "buy", "Short": "sell"}.get(self.side, self.side), self.quantity)
        entry = Fact(self.symbol, held, money(self.prices[0]), D(0), None, self.times[0])
        return [entry, Fact(self.symbol, -held, money(self.prices[1]), self.fee, self.currency, self.times[1])]


def topstepx_journal(rows: Rows) -> Iterator[Fact]:
    for row in rows:
        fee = -costs(row, "Commissions", "Fees")
        entered, exited = (ns(row[name], "%B %d %Y @ %I:%M:%S %p", CHICAGO) for name in ("Entry Time", "Exit Time"))
        prices = row["Entry Price"], row["Exit Price"]
        symbol = NAMES[row["Contract"]]
        yield from Trip(symbol, row["Direction"], row["Size"], prices, (entered, exited), fee, "USD").facts()


def topstepx_trades(rows: Rows) -> Iterator[Fact]:
    for row in rows:
        entered, exited = (offset_time(row[name]) for name in ("EnteredAt", "ExitedAt"))
        fee, prices = costs(row, "Fees", "Commissions"), (row["EntryPrice"], row["ExitPrice"])
        symbol = NAMES[row["ContractName"]]
        yield from Trip(symbol, row["Type"], row["Size"], prices, (entered, exited), fee, "USD").facts()


def topstepx_orders(rows: Rows) -> Iterator[Fact]:
    for row in rows:
        side = {"Bid": "buy", "Ask": "sell"}[row["Side"]]
        if row["Status"] == "Filled":
            at, quantity = offset_time(row["FilledAt"]), signed(side, row["Size"])
            yield Fact(NAMES[row["ContractName"]], quantity, D(row["ExecutePrice"]), D(0), None, at, stated(row["Id"]))
        elif row["Status"] not in {"Cancelled", "Rejected", "Expired", "Open"}:
            raise ValueError(row["Status"])


def offset_time(text: str) -> int:
    """Return a time of whole seconds with its offset."""
    return int(datetime.strptime(text, f"{MONTH_FIRST} %z").timestamp()) * 10**9


def tradovate_fills(rows: Rows) -> Iterator[Fact]:
    for row in rows:
        at = ns(row["_timestamp"][:19]) + int(row["_timestamp"][19:].removeprefix(".").removesuffix("Z")) * 1_000_000
        quantity, fee = signed(row["B/S"].strip(), row["Quantity"]), D(row["commission"] or 0)
        yield Fact(NAMES[row["Contract"]], quantity, D(row["Price"]), fee, None, at, row["Order ID"] or None)


def tradovate_orders(rows: Rows) -> Iterator[Fact]:
    for row in rows:
        filled = D(row["filledQty"] or 0)
        if filled:
            quantity, at = signed(row["B/S"].strip(), row["filledQty"]), ns(row["Fill Time"], MONTH_FIRST, CHICAGO)
            yield Fact(NAMES[row["Contract"]], quantity, D(row["avgPrice"]), D(0), None, at, stated(row["orderId"]))
        elif row["Status"].strip() not in {"Canceled", "Rejected", "Working", "Expired"}:
            raise ValueError(row["Status"])


def tradovate_performance(rows: Rows) -> Iterator[Fact]:
    found: dict[tuple[str, str, Decimal, str], Decimal] = defaultdict(Decimal)
    for row in rows:
        for id_, way, price, at in (
            ("buyFillId", 1, "buyPrice", "boughtTimestamp"),
            ("sellFillId", -1, "sellPrice", "soldTimestamp"),
        ):
            quantity = signed("buy", row["qty"])
            found[stated(row[id_]), NAMES[row["symbol"]], money(row[price]), row[at]] += way * quantity
    for (_, symbol, figure, when), quantity in found.items():
        yield Fact(symbol, quantity, figure, D(0), None, ns(when, MONTH_FIRST, CHICAGO))


def ninjatrader_executions(rows: Rows) -> Iterator[Fact]:
    for row in rows:
        at, quantity = ns(row["Time"], TWELVE_HOURS, CHICAGO), signed(row["Action"], row["Quantity"])
        order, fee = row.get("Order ID") or None, costs(row, "Commission")
        yield Fact(NAMES[row["Instrument"]], quantity, money(row["Price"]), fee, None, at, order)


def ninjatrader_trades(rows: Rows) -> Iterator[Fact]:
    for row in rows:
        fee = costs(row, "Commission", "Clearing Fee", "Exchange Fee", "IP Fee", "NFA Fee")
        entered, exited = (ns(row[name], TWELVE_HOURS, CHICAGO) for name in ("Entry time", "Exit time"))
        prices = row["Entry price"], row["Exit price"]
        symbol = NAMES[row["Instrument"]]
        yield from Trip(symbol, row["Market pos."], row["Qty"], prices, (entered, exited), fee, "USD").facts()


def ib_flex(rows: Rows) -> Iterator[Fact]:
    """Read executions with a time, or with a day only, of contracts that are named by symbol or by ISIN."""
    for row in rows:
        if row.get("LevelOfDetail", "EXECUTION") not in {"EXECUTION", "ORDER", ""}:
            raise ValueError(row)
        if row.get("LevelOfDetail") == "ORDER" or row.get("AssetClass") == "CASH":
            continue
        fee, currency = -costs(row, "IBCommission", "Taxes"), row.get("IBCommissionCurrency")
        if fee and currency == "":
            raise ValueError(row)
        at = (
            ns(row["DateTime"], "%Y%m%d;%H%M%S", CHICAGO)
            if "DateTime" in row
            else ns(row["TradeDate"], "%Y%m%d", CHICAGO)
        )
        quantity = D(row["Quantity"].replace(",", ""))
        if "Buy/Sell" in row:
            quantity = signed(row["Buy/Sell"], str(quantity))
        symbol = stated(row.get("Symbol") or row["ISIN"])
        yield Fact(symbol, quantity, D(row["TradePrice"]), fee, currency or None, at)


def ib_activity(rows: Rows) -> Iterator[Fact]:
    for row in rows:
        if (
            row["Trades"] == "Trades"
            and row["Header"] == "Data"
            and row["DataDiscriminator"] not in {"Order", "Trade", "ClosedLot"}
        ):
            raise ValueError(row)
        if row["Trades"] == "Trades" and row["DataDiscriminator"] == "Order" and row["Asset Category"] != "Forex":
            at = ns(row["Date/Time"], "%Y-%m-%d, %H:%M:%S", CHICAGO)
            quantity, fee = D(row["Quantity"].replace(",", "")), -D(row.get("Comm/Fee") or 0)
            yield Fact(stated(row["Symbol"]), quantity, D(row["T. Price"]), fee, None, at)


def metatrader4(rows: Rows) -> Iterator[Fact]:
    for row in rows:
        if row["Type"] in {"buy", "sell"}:
            times = ns(row["Open Time"], DOTTED, CHICAGO), ns(row["Close Time"], DOTTED, CHICAGO)
            fee, prices = (
                -costs(row, "Commission", "Taxes", "Swap"),
                (row["Price"].replace(" ", ""), row["Price (2)"].replace(" ", "")),
            )
            yield from Trip(stated(row["Item"]), row["Type"], row["Size"], prices, times, fee, "JPY").facts()
        elif row["Type"] == "balance":
            amount = D(row["Profit"].replace(" ", ""))
            yield Fact("DEPOSIT", amount, D(0), D(0), "USD", ns(row["Open Time"], DOTTED, CHICAGO))
        elif row["Type"] != "buy limit" and any(row[name] for name in ("Type", "Open Time", "Item", "Size", "Price")):
            raise ValueError(row)


def metatrader5(rows: Rows) -> Iterator[Fact]:
    for row in rows:
        at = ns(row["Time"], DOTTED, CHICAGO) if row["Type"] else 0
        if row["Type"] in {"buy", "sell"}:
            fee, order = -costs(row, "Commission", "Fee", "Swap"), row["Order"] or None
            quantity = signed(row["Type"], row["Volume"])
            yield Fact(stated(row["Symbol"]), quantity, D(row["Price"].replace(" ", "")), fee, None, at, order)
        elif row["Type"] == "balance":
            yield Fact("DEPOSIT", D(row["Profit"].replace(" ", "")), D(0), D(0), "USD", at)
        elif any(row[name] for name in ("Type", "Symbol", "Volume", "Price")) or row["Time"][:1].isdigit():
            raise ValueError(row)
