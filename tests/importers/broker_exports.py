"""Exports of brokers and platforms, whose rows are drawn by chance."""

from __future__ import annotations

from random import Random

from tests.importers import broker_truths as truths
from tests.importers.drawn_rows import Export, clock_of, decimal_of, grouped, ticks
from tests.importers.facts import Row

MONTH_FIRST = "%m/%d/%Y %H:%M:%S"
TWELVE_HOURS = "%m/%d/%Y %I:%M:%S %p"
DOTTED = "%Y.%m.%d %H:%M:%S"


def topstepx_journal(chance: Random, number: int) -> Row:
    return {
        "Journal": "",
        "ID": str(9_000_000 + number),
        "Contract": "MNQU26",
        "Size": str(chance.randint(1, 9)),
        "Entry Time": clock_of(Random(number), number, "%B %d %Y @ %I:%M:%S %p")
        .replace("AM", "am")
        .replace("PM", "pm"),
        "Exit Time": clock_of(Random(number), number + 5, "%B %d %Y @ %I:%M:%S %p"),
        "Duration": "00:05:00",
        "Entry Price": ticks(chance),
        "Exit Price": ticks(chance),
        "P&L": f"${decimal_of(chance, -900, 900, 2)}",
        "Commissions": f"$-{decimal_of(chance, 1, 5, 2)}",
        "Fees": f"$-{decimal_of(chance, 1, 5, 2)}",
        "Direction": chance.choice(("Long", "Short")),
    }


def topstepx_trades(chance: Random, number: int) -> Row:
    return {
        "Id": str(900 + number),
        "ContractName": chance.choice(("MNQH6", "MESH6")),
        "EnteredAt": clock_of(Random(number), number, MONTH_FIRST) + " -06:00",
        "ExitedAt": clock_of(Random(number), number + 5, MONTH_FIRST) + " -06:00",
        "EntryPrice": ticks(chance),
        "ExitPrice": ticks(chance),
        "Fees": decimal_of(chance, 1, 5, 2),
        "PnL": decimal_of(chance, -900, 900, 2),
        "Size": str(chance.randint(1, 9)),
        "Type": chance.choice(("Long", "Short")),
        "TradeDay": "",
        "TradeDuration": "00:05:00",
        "Commissions": decimal_of(chance, 1, 5, 2),
    }


def topstepx_orders(chance: Random, number: int) -> Row:
    status = chance.choice(("Filled", "Filled", "Filled", "Cancelled", "Rejected", "Expired", "Open"))
    created = clock_of(Random(number), number, MONTH_FIRST) + " -06:00"
    later = clock_of(Random(number), number + 5, MONTH_FIRST) + " -06:00"
    return {
        "Id": str(900 + number),
        "AccountName": "TX-1",
        "ContractName": chance.choice(("MNQH6", "MESH6")),
        "Status": status,
        "Type": "Limit",
        "Size": str(chance.randint(1, 9)),
        "Side": chance.choice(("Bid", "Ask")),
        "CreatedAt": created,
        "TradeDay": "",
        "FilledAt": later if status == "Filled" else "",
        "CancelledAt": later if status == "Cancelled" else "",
        "StopPrice": "",
        "LimitPrice": ticks(chance),
        "ExecutePrice": ticks(chance) if status == "Filled" else "",
        "PositionDisposition": "Opening",
        "CreationDisposition": "Trader",
        "RejectionReason": "Too many" if status == "Rejected" else "",
        "ExchangeOrderId": f"E-{number}",
        "PlatformOrderId": "",
    }


def tradovate_fills(chance: Random, number: int) -> Row:
    side, quantity, price = chance.choice((" Buy", " Sell")), str(chance.randint(1, 9)), ticks(chance)
    return {
        "_id": str(900_000 + number),
        "_orderId": str(800_000 + number),
        "_timestamp": clock_of(Random(number), number) + f".{chance.randrange(1_000):03}Z",
        "_tradeDate": clock_of(Random(number), number, "%Y-%m-%d"),
        "_action": "0" if side == " Buy" else "1",
        "_qty": quantity,
        "_price": price,
        "_contractId": "4086428",
        "_active": "true",
        "_accountId": "1",
        "Fill ID": str(900_000 + number),
        "Order ID": str(800_000 + number),
        "Timestamp": clock_of(Random(number), number, MONTH_FIRST),
        "Date": clock_of(Random(number), number, "%m/%d/%y"),
        "Account": "ACC-1",
        "B/S": side,
        "Quantity": quantity,
        "Price": price,
        "_tickSize": "0.25",
        "Contract": "NQH6",
        "Product": "NQ",
        "Product Description": "E-Mini NASDAQ 100",
        "commission": decimal_of(chance, 1, 5, 2),
    }


def tradovate_orders(chance: Random, number: int) -> Row:
    status = chance.choice((" Filled", " Filled", " Filled", " Canceled", " Rejected", " Working"))
    quantity, price, is_filled = str(chance.randint(1, 9)), ticks(chance), status == " Filled"
    return {
        "orderId": str(7_000 + number),
        "Account": "ACCX",
        "Order ID": str(7_000 + number),
        "B/S": chance.choice((" Buy", " Sell")),
        "Contract": "MNQH6",
        "Product": "MNQ",
        "Product Description": "Micro",
        "avgPrice": price if is_filled else "",
        "filledQty": quantity if is_filled else "",
        "Fill Time": clock_of(Random(number), number + 5, MONTH_FIRST) if is_filled else "",
        "Status": status,
        "Timestamp": clock_of(Random(number), number, MONTH_FIRST),
        "Date": clock_of(Random(number), number, "%m/%d/%y"),
        "Quantity": quantity,
        "Text": "Chart",
        "Type": " Limit",
        "Limit Price": ticks(chance),
        "Stop Price": "",
        "Filled Qty": quantity if is_filled else "",
        "Avg Fill Price": price if is_filled else "",
        "Venue": "CME",
        "Notional Value": "84,001.00",
        "Currency": "USD",
    }


def tradovate_performance(chance: Random, number: int) -> Row:
    return {
        "symbol": chance.choice(("MNQH6", "NQH6")),
        "_priceFormat": "-2",
        "_priceFormatType": "0",
        "_tickSize": "0.25",
        "buyFillId": f"{9_000 + number}1",
        "sellFillId": f"{9_000 + number}2",
        "qty": str(chance.randint(1, 9)),
        "buyPrice": ticks(chance),
        "sellPrice": ticks(chance),
        "pnl": chance.choice(("$(1.00)", "$400.00", "$1,200.00")),
        "boughtTimestamp": clock_of(Random(number), number, MONTH_FIRST),
        "soldTimestamp": clock_of(Random(number), number + 5, MONTH_FIRST),
        "duration": "5min",
    }


def ninjatrader_executions(chance: Random, number: int) -> Row:
    return {
        "Instrument": chance.choice(("MNQ MAR26", "NQ 03-26", "MES 09-26")),
        "Action": chance.choice(("Buy", "Sell")),
        "Quantity": str(chance.randint(1, 9)),
        "Price": ticks(chance),
        "Time": clock_of(chance, number, TWELVE_HOURS),
        "ID": f"aa{number}",
        "E/X": chance.choice(("Entry", "Exit")),
        "Position": "-",
        "Order ID": chance.choice((f"o{number}", "")),
        "Name": "Entry",
        "Commission": f"${decimal_of(chance, 0.1, 5, 2)}",
        "Rate": "1",
        "Account": "SimA",
        "Connection": "Feed",
    }


def ninjatrader_trades(chance: Random, number: int) -> Row:
    fees = dict.fromkeys(("Clearing Fee", "Exchange Fee", "IP Fee", "NFA Fee"), "$0.25")
    side, entry, exit_ = chance.choice((("Long", 1), ("Short", -1))), ticks(chance, 7_000), ticks(chance, 7_000)
    quantity = chance.randint(1, 9)
    profit = (float(exit_) - float(entry)) * side[1] * quantity * 5
    return {
        "Trade number": str(number),
        "Instrument": "MES 09-26",
        "Account": "ACC-1",
        "Strategy": "",
        "Market pos.": side[0],
        "Qty": str(quantity),
        "Entry price": entry,
        "Exit price": exit_,
        "Entry time": clock_of(Random(number), number, TWELVE_HOURS),
        "Exit time": clock_of(Random(number), number + 5, TWELVE_HOURS),
        "Entry name": "Entry",
        "Exit name": "Target2",
        "Profit": f"${profit:,.2f}" if profit >= 0 else f"(${-profit:,.2f})",
        "Cum. net profit": "$1.00",
        "Commission": f"${decimal_of(chance, 0.5, 5, 2)}",
        **fees,
        "MAE": "$8.75",
        "MFE": "$21.25",
        "ETD": "$1.25",
        "Bars": "0",
    }


def ib_flex(chance: Random, number: int) -> Row:
    asset, symbol, isin, multiplier = chance.choice(
        (
            ("STK", "XYZ", "US0000000001", "1"),
            ("FUT", "MESH6", "", "5"),
            ("CASH", "EUR.USD", "", "1"),
        )
    )
    side, detail = chance.choice(("BUY", "SELL")), chance.choice(("EXECUTION", "EXECUTION", "ORDER"))
    return {
        "ClientAccountID": "U1",
        "CurrencyPrimary": "USD",
        "AssetClass": asset,
        "Symbol": symbol,
        "ISIN": isin,
        "Multiplier": multiplier,
        "DateTime": clock_of(chance, number, "%Y%m%d;%H%M%S"),
        "Buy/Sell": side,
        "Quantity": ("-" if side == "SELL" else "") + grouped(str(chance.randint(1, 2_000))),
        "TradePrice": decimal_of(chance, 1, 2_500, 3),
        "Taxes": "0",
        "IBCommission": f"-{decimal_of(chance, 0.1, 5, 2)}",
        "IBCommissionCurrency": "USD",
        "FifoPnlRealized": "0",
        "LevelOfDetail": detail,
        "TransactionID": str(1_000 + number),
        "Notes/Codes": "O",
    }


def ib_activity(chance: Random, number: int) -> Row:
    asset, symbol = chance.choice((("Stocks", "XYZ"), ("Stocks", "ABC"), ("Futures", "MESH6")))
    return {
        "Trades": "Trades",
        "Header": "Data",
        "DataDiscriminator": "Order",
        "Asset Category": asset,
        "Currency": "USD",
        "Symbol": symbol,
        "Date/Time": clock_of(chance, number, "%Y-%m-%d, %H:%M:%S"),
        "Quantity": chance.choice(("-", "")) + grouped(str(chance.randint(1, 2_000))),
        "T. Price": decimal_of(chance, 1, 2_500, 3),
        "C. Price": "10.1",
        "Proceeds": "0",
        "Comm/Fee": f"-{decimal_of(chance, 0.1, 5, 2)}",
        "Basis": "0",
        "Realized P/L": "0",
        "MTM P/L": "0",
        "Code": "O",
    }


def metatrader4(chance: Random, number: int) -> Row:
    is_trade = chance.random() < 0.8
    cash = {"Type": "balance", "Profit": grouped(decimal_of(chance, 1_000, 5_000, 2)).replace(",", " ")}
    trade = {
        "Type": chance.choice(("buy", "sell")),
        "Size": decimal_of(chance, 0.1, 3, 2),
        "Item": "gbpjpy",
        "Price": decimal_of(chance, 180, 190, 3),
        "S / L": "0.000",
        "T / P": "0.000",
        "Close Time": clock_of(Random(number), number + 5, DOTTED),
        "Price (2)": decimal_of(chance, 180, 190, 3),
        "Commission": f"-{decimal_of(chance, 1, 5, 2)}",
        "Taxes": "0.00",
        "Swap": decimal_of(chance, -1, 1, 2),
        "Profit": "25 000.00",
    }
    return {
        "Ticket": str(number),
        "Open Time": clock_of(Random(number), number, DOTTED),
        **dict.fromkeys(trade, ""),
        **(trade if is_trade else cash),
    }


def metatrader5(chance: Random, number: int) -> Row:
    is_trade = chance.random() < 0.8
    cash = {"Type": "balance", "Profit": grouped(decimal_of(chance, 1_000, 5_000, 2)).replace(",", " ")}
    trade = {
        "Symbol": "EURUSD",
        "Type": chance.choice(("buy", "sell")),
        "Direction": chance.choice(("in", "out")),
        "Volume": decimal_of(chance, 0.1, 3, 2),
        "Price": decimal_of(chance, 1, 1.2, 4),
        "Order": str(number // 2),
        "Commission": f"-{decimal_of(chance, 1, 5, 2)}",
        "Fee": "-0.10",
        "Swap": decimal_of(chance, -1, 1, 2),
        "Profit": "- 75.00",
    }
    return {
        "Time": clock_of(chance, number, DOTTED),
        "Deal": str(number),
        **dict.fromkeys(trade, ""),
        **(trade if is_trade else cash),
        "Balance": "3 250.00",
        "Comment": "",
    }


LOTS = """
[contracts.gbpjpy]
multiplier = 100000
currency = "JPY"
[contracts.EURUSD]
multiplier = 100000
currency = "USD"
"""
_CHICAGO = {"zone": "America/Chicago"}
_A = {"account": "A"}
_STATEMENT = "Statement,Header,Field Name,Field Value\nStatement,Data,Title,Activity Statement\n"
_LOTS = {**_A, **_CHICAGO, "contracts": LOTS, "answers": {"tables.1.cash.currency": "USD"}}
_NINJA, _PERFORMANCE = truths.ninjatrader_executions, truths.tradovate_performance
_FILLS = ("buyFillId", "sellFillId")
BROKERS = (
    Export("ib-activity", ib_activity, truths.ib_activity, before=_STATEMENT, options={**_A, **_CHICAGO}),
    Export("ib-flex", ib_flex, truths.ib_flex, ("TransactionID", "LevelOfDetail"), options=_CHICAGO),
    Export("metatrader4", metatrader4, truths.metatrader4, ("Ticket",), "export.htm", options=_LOTS),
    Export("metatrader5", metatrader5, truths.metatrader5, ("Deal",), "export.html", options=_LOTS),
    Export("ninjatrader-executions", ninjatrader_executions, _NINJA, ("ID", "Account"), options=_CHICAGO),
    Export("ninjatrader-trades", ninjatrader_trades, truths.ninjatrader_trades, options=_CHICAGO),
    Export("topstepx-journal", topstepx_journal, truths.topstepx_journal, ("ID",), options={**_A, **_CHICAGO}),
    Export("topstepx-orders", topstepx_orders, truths.topstepx_orders, ("Id",)),
    Export("topstepx-trades", topstepx_trades, truths.topstepx_trades, ("Id",), options=_A),
    Export("tradovate-fills", tradovate_fills, truths.tradovate_fills, ("Fill ID",)),
    Export("tradovate-orders", tradovate_orders, truths.tradovate_orders, ("orderId",), options=_CHICAGO),
    Export("tradovate-performance", tradovate_performance, _PERFORMANCE, _FILLS, options={**_A, **_CHICAGO}),
)  # fmt: skip
