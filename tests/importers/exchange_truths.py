"""What the rows of exports of exchanges, bots and journals mean, by a second, plain reading."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from tests.importers.facts import NEW_YORK, D, Fact, Row, Rows, day, ns, signed, stated

QUOTES = ("USDT", "USDC", "BUSD", "BTC", "EUR", "USD")


def unit_of(cell: str, *units: str) -> tuple[Decimal, str]:
    """Return a number and the coin that is written beside it, one of these."""
    unit = next(each for each in units if cell.endswith(each))
    return D(cell.removesuffix(unit)), unit


def coins_in(cell: str) -> list[str]:
    """Return the letters at the end of a cell, as far as it was not cut."""
    return re.findall(r"[A-Z]+$", cell)


def fee_of(amount: str, currency: str) -> tuple[Decimal, str | None]:
    """Return a cost and its currency, which only a cost of zero may lack."""
    if D(amount or 0) and not currency:
        msg = "a cost without a currency"
        raise ValueError(msg)
    return D(amount or 0), currency or None


def binance_spot(rows: Rows) -> Iterator[Fact]:
    for row in rows:
        base = next(row["Pair"].removesuffix(quote) for quote in ("BUSD", "USD", "EUR") if row["Pair"].endswith(quote))
        fee, currency = unit_of(row["Fee"], *coins_in(row["Fee"])) if row["Fee"] else (D(0), None)
        quantity, _ = unit_of(row["Executed"], base)
        price = D(row["Price"].replace(",", ""))
        yield Fact(row["Pair"], signed(row["Side"], str(quantity)), price, fee, currency, ns(row["Date(UTC)"]))


def binance_spot_old(rows: Rows) -> Iterator[Fact]:
    for row in rows:
        fee = fee_of(row["Fee"], row["Fee Coin"])
        quantity = signed(row["Type"], row["Amount"])
        yield Fact(row["Market"], quantity, D(row["Price"]), *fee, ns(row["Date(UTC)"]))


def binance_futures(rows: Rows) -> Iterator[Fact]:
    for row in rows:
        quote = next(quote for quote in QUOTES if row["Symbol"].endswith(quote))
        # A price may have its currency beside it, as the cost has.
        price, _ = unit_of(row["Price"], quote, "")
        fee, currency = unit_of(row["Fee"], quote, "")
        quantity = signed(row["Side"], row["Quantity"])
        yield Fact(row["Symbol"], quantity, price, fee, currency or None, ns(row["Date(UTC)"]))


def binance_income(rows: Rows) -> Iterator[Fact]:
    kinds = {"FUNDING_FEE": "FUNDING", "TRANSFER": "TRANSFER", "COMMISSION_REBATE": "FEE"}
    for row in rows:
        if row["type"] in kinds:
            kind = kinds[row["type"]]
            amount = -D(row["Amount"]) if kind == "FEE" else D(row["Amount"])
            yield Fact(kind, amount, D(0), D(0), stated(row["Asset"]), ns(row["Date(UTC)"]))
        elif row["type"] not in {"REALIZED_PNL", "COMMISSION"}:
            raise ValueError(row["type"])


def bitvavo(rows: Rows) -> Iterator[Fact]:
    kinds = {"deposit": "DEPOSIT", "withdrawal": "WITHDRAWAL", "staking": "INTEREST"}
    for row in rows:
        at = ns(f"{row['Date']} {row['Time'][:8]}", zone=ZoneInfo(row["Timezone"]))
        at += int(row["Time"][8:].removeprefix(".").ljust(9, "0") or 0)
        amount = D(row["Amount"])
        if row["Type"] in kinds:
            # A deposit below zero was taken back.
            kind = "WITHDRAWAL" if kinds[row["Type"]] == "DEPOSIT" and amount < 0 else kinds[row["Type"]]
            yield Fact(kind, abs(amount) if kind == "WITHDRAWAL" else amount, D(0), D(0), stated(row["Currency"]), at)
        else:
            symbol = f"{stated(row['Currency'])}/{stated(row['Quote Currency'])}"
            fee = fee_of(row["Fee amount"], row["Fee currency"])
            yield Fact(symbol, signed(row["Type"], row["Amount"]), D(row["Quote Price"]), *fee, at)


def bybit(rows: Rows) -> Iterator[Fact]:
    for row in rows:
        at = ns(row["Time"])
        if row["Type"] == "TRADE":
            quantity = signed(row["Direction"], row["Quantity"])
            price, fee = D(row["Filled Price"]), D(row["Fee Paid"] or 0)
            order = row["Order ID"] or None
            yield Fact(stated(row["Contract"]), quantity, price, fee, stated(row["Currency"]), at, order)
        else:
            kind = {"SETTLEMENT": "FUNDING", "TRANSFER_IN": "TRANSFER"}[row["Type"]]
            yield Fact(kind, D(row["Change"]), D(0), D(0), stated(row["Currency"]), at)


def ccxt_trades(rows: Rows) -> Iterator[Fact]:
    for row in rows:
        fee = fee_of(row.get("fee.cost", ""), row.get("fee.currency", ""))
        at = int(row["timestamp"]) * 1_000_000
        order = row.get("order") or None
        yield Fact(row["symbol"], signed(row["side"], row["amount"]), D(row["price"]), *fee, at, order)


def coinbase_fills(rows: Rows) -> Iterator[Fact]:
    for row in rows:
        at = ns(row["created at"][:19], "%Y-%m-%dT%H:%M:%S")
        at += int(row["created at"][19:].removeprefix(".").removesuffix("Z")) * 1_000_000
        currency, quantity = stated(row["price/fee/total unit"]), signed(row["side"], row["size"])
        yield Fact(stated(row["product"]), quantity, D(row["price"]), D(row["fee"] or 0), currency, at)


def coinbase_transactions(rows: Rows) -> Iterator[Fact]:
    for row in rows:
        kind = row["Transaction Type"].split()[-1]
        at = ns(row["Timestamp"].removesuffix(" UTC")) if kind != "Income" else 0
        if kind in {"Buy", "Sell"}:
            symbol = f"{stated(row['Asset'])}/{stated(row['Price Currency'])}"
            price, fee = (
                D(row[name].strip("€").replace(",", "") or default)
                for name, default in (("Price at Transaction", ""), ("Fees and/or Spread", "0"))
            )
            yield Fact(symbol, signed(kind, row["Quantity Transacted"]), price, fee, row["Price Currency"], at)
        elif kind in {"Deposit", "Withdrawal"}:
            amount = D(row["Quantity Transacted"])
            # A deposit below zero was taken back.
            kind = "WITHDRAWAL" if amount < 0 else kind.upper()
            yield Fact(kind, abs(amount), D(0), D(0), stated(row["Asset"]), at)
        elif row["Transaction Type"] != "Staking Income":
            raise ValueError(kind)


def freqtrade(rows: Rows) -> Iterator[Fact]:
    """Read orders of freqtrade, those of its database with the ratio of costs."""
    for row in rows:
        if D(row["filled"] or 0):
            text = row["order_filled_date"]
            at = ns(text[:19]) + int(text[19:].removeprefix(".").ljust(9, "0") or 0)
            price = next(D(cell) for cell in (row["average"], row["price"]) if D(cell or 0))
            ratio, names = row.get("fee_open"), ("order_id",) if "fee_open" not in row else ("ft_pair", "order_id")
            fee = D(0) if ratio is None else round(D(row["filled"]) * price * D(ratio or 0), 10)
            order = "-".join(stated(row[name]) for name in names)
            yield Fact(row["ft_pair"], signed(row["side"], row["filled"]), price, fee, None, at, order)
        elif row["status"] not in {"open", "canceled"}:
            raise ValueError(row["status"])


def hyperliquid(rows: Rows) -> Iterator[Fact]:
    ways = {"Open Long": "buy", "Close Short": "buy", "Open Short": "sell", "Close Long": "sell"}
    for row in rows:
        at = ns(row["time"], "%d/%m/%Y %H:%M:%S", NEW_YORK)
        way = "sell" if row["dir"].startswith("Long > Short") else ways[row["dir"]]
        yield Fact(stated(row["coin"]), signed(way, row["sz"]), D(row["px"]), D(row["fee"] or 0), None, at)


def hyperliquid_funding(rows: Rows) -> Iterator[Fact]:
    for row in rows:
        yield Fact("FUNDING", D(row["payment"]), D(0), D(0), "USDC", ns(row["time"], "%d/%m/%Y %H:%M:%S", NEW_YORK))


def kraken(rows: Rows) -> Iterator[Fact]:
    for row in rows:
        whole, _, fraction = row["time"].partition(".")
        at, fee = ns(whole) + int(fraction.ljust(9, "0")), D(row["fee"] or 0)
        order = row["ordertxid"] or None
        yield Fact(stated(row["pair"]), signed(row["type"], row["vol"]), D(row["price"]), fee, None, at, order)


def lobster(rows: Rows) -> Iterator[Fact]:
    """Read messages of GOOG on 21 June 2012, of which 4 is an order's execution and 5 that of a hidden one."""
    midnight = int(datetime(2012, 6, 21, tzinfo=NEW_YORK).timestamp()) * 10**9
    for row in rows:
        size, price = int(row["size"]), D(row["price"]) / 10_000
        at, quantity = midnight + int(D(row["time"]) * 10**9), D(size * {"1": 1, "-1": -1}[row["direction"]])
        if row["type"] == "4":
            yield Fact("GOOG", quantity, price, D(0), None, at, str(int(row["order id"])))
        elif row["type"] == "5":
            yield Fact("GOOG", quantity, price, D(0), None, at)
        elif row["type"] not in {"1", "2", "3"}:
            raise ValueError(row["type"])


def plain_fills(rows: Rows) -> Iterator[Fact]:
    for row in rows:
        at, fee = ns(row["time"], "%Y-%m-%dT%H:%M:%SZ"), D(row.get("fee") or 0)
        order = row.get("order_id") or None
        quantity = signed(row["side"], row["quantity"]) if "side" in row else D(row["quantity"])
        yield Fact(stated(row["symbol"]), quantity, D(row["price"]), fee, row.get("fee_currency") or None, at, order)


def pyfolio(rows: Rows) -> Iterator[Fact]:
    for row in rows:
        at, amount = ns(row[""], "%Y-%m-%d %H:%M:%S+00:00"), D(row["amount"])
        if not amount or D(row.get("txn_dollars") or -amount * D(row["price"])) != -amount * D(row["price"]):
            raise ValueError(row)
        yield Fact(stated(row["symbol"]), amount, D(row["price"]), D(row.get("commission") or 0), None, at)


def tradervue(rows: Rows) -> Iterator[Fact]:
    names = {"ES 03-26": "ESH6"}
    for row in rows:
        fee = sum((D(row.get(name) or 0) for name in ("Commission", "TransFee", "ECNFee")), D(0))
        at = ns(f"{day(row['Date'])} {row['Time']}", zone=NEW_YORK)
        symbol = names.get(row["Symbol"], stated(row["Symbol"]))
        yield Fact(symbol, signed(row["Side"], row["Quantity"]), D(row["Price"]), fee, None, at)


def tradenote(rows: Rows) -> Iterator[Fact]:
    for row in rows:
        at = ns(f"{row['T/D']} {row['Exec Time']}", "%m/%d/%Y %H:%M:%S", NEW_YORK)
        fee, currency = _costs_of_tradenote(row)
        if row["Type"] not in {"stock", "future", "forex"}:
            raise ValueError(row["Type"])
        yield Fact(stated(row["Symbol"]), signed(row["Side"], row["Qty"]), D(row["Price"]), fee, currency, at)


def _costs_of_tradenote(row: Row) -> tuple[Decimal, str | None]:
    names = ("Comm", "SEC", "TAF", "NSCC", "Nasdaq", "ECN Remove", "ECN Add")
    return fee_of(str(sum((D(row[name] or 0) for name in names), D(0))), row["Currency"])
