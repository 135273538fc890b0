"""Exports of exchanges, bots, journals and data vendors, whose rows are drawn by chance."""

from __future__ import annotations

from decimal import Decimal
from random import Random

from tests.importers import exchange_truths as truths
from tests.importers.drawn_rows import Export, clock_of, decimal_of, grouped
from tests.importers.facts import Row

COINS = ("BTC", "ETH", "SOL")


def binance_spot(chance: Random, number: int) -> Row:
    coin, quote = chance.choice(COINS), chance.choice(("BUSD", "EUR"))
    side, price = chance.choice(("BUY", "SELL")), decimal_of(chance, 0.1, 2_500, 7)
    return {
        "Date(UTC)": clock_of(chance, number),
        "Pair": coin + quote,
        "Side": side,
        "Price": grouped(price),
        "Executed": decimal_of(chance, 0.1, 9, 10) + coin,
        "Amount": decimal_of(chance, 1, 900, 8) + quote,
        "Fee": decimal_of(chance, 0.0001, 0.1, 7) + (coin if side == "BUY" else quote),
    }


def binance_spot_old(chance: Random, number: int) -> Row:
    coin, quote = chance.choice((("ETH", "BTC"), ("ETH", "USDT"), ("SOL", "USDT")))
    side = chance.choice(("BUY", "SELL"))
    return {
        "Date(UTC)": clock_of(chance, number),
        "Market": coin + quote,
        "Type": side,
        "Price": decimal_of(chance, 0.01, 2_500, 3),
        "Amount": decimal_of(chance, 0.1, 9, 3),
        "Total": decimal_of(chance, 1, 900, 8),
        "Fee": decimal_of(chance, 0.0001, 0.1, 6),
        "Fee Coin": coin if side == "BUY" else quote,
    }


def binance_futures(chance: Random, number: int) -> Row:
    quote = chance.choice(("USDT", "USDC"))
    price, quantity = decimal_of(chance, 100, 2_500, 3), decimal_of(chance, 0.1, 9, 3)
    return {
        "Date(UTC)": clock_of(chance, number),
        "Symbol": chance.choice(COINS) + quote,
        "Side": chance.choice(("BUY", "SELL")),
        "Price": price,
        "Quantity": quantity,
        "Amount": f"{Decimal(price) * Decimal(quantity):f}",
        "Fee": decimal_of(chance, 0.001, 0.4, 8) + quote,
        "Realized Profit": "0",
        "Quote Asset": quote,
    }


def binance_income(chance: Random, number: int) -> Row:
    kind = chance.choice(("FUNDING_FEE", "FUNDING_FEE", "REALIZED_PNL", "COMMISSION", "TRANSFER", "COMMISSION_REBATE"))
    return {
        "Date(UTC)": clock_of(chance, number),
        "type": kind,
        "Amount": decimal_of(chance, -9, 9, 3) if kind != "COMMISSION_REBATE" else decimal_of(chance, 0.1, 1, 8),
        "Asset": "USDT",
        "Symbol": "" if kind == "TRANSFER" else "BTCUSDT",
        "Transaction ID": str(7_000 + number),
    }


def bitvavo(chance: Random, number: int) -> Row:
    kind = chance.choice(("buy", "sell", "buy", "sell", "deposit", "staking", "withdrawal"))
    is_trade = kind in {"buy", "sell"}
    amount, price = decimal_of(chance, 0.1, 3, 3), decimal_of(chance, 1_000, 2_000, 3)
    day, _, time = clock_of(chance, number).partition(" ")
    return {
        "Timezone": "Europe/Amsterdam",
        "Date": day,
        "Time": f"{time}.{chance.randrange(1_000):03}",
        "Type": kind,
        "Currency": chance.choice(COINS) if is_trade or kind == "staking" else "EUR",
        "Amount": f"-{amount}" if kind in {"sell", "withdrawal"} else amount,
        "Quote Currency": "EUR" if is_trade else "",
        "Quote Price": price if is_trade else "",
        "Received / Paid Currency": "EUR" if is_trade else "",
        "Received / Paid Amount": decimal_of(chance, 1, 900, 2) if is_trade else "",
        "Fee currency": "EUR" if is_trade else "",
        "Fee amount": decimal_of(chance, 0.01, 1, 2) if is_trade else "",
        "Status": "Distributed" if kind == "staking" else "Completed",
        "Transaction ID": f"t{number}",
    }


def bybit(chance: Random, number: int) -> Row:
    kind = chance.choice(("TRADE", "TRADE", "TRADE", "SETTLEMENT", "TRANSFER_IN"))
    quantity, price = decimal_of(chance, 0.1, 3, 3), decimal_of(chance, 100, 2_500, 3)
    is_trade, is_transfer = kind == "TRADE", kind == "TRANSFER_IN"
    return {
        "Time": clock_of(chance, number),
        "Currency": "USDT",
        "Contract": "" if is_transfer else f"{chance.choice(COINS)}USDT",
        "Type": kind,
        "Direction": "" if is_transfer else chance.choice(("BUY", "SELL")),
        "Quantity": "0" if is_transfer else quantity,
        "Position": "0",
        "Filled Price": "0" if is_transfer else price,
        "Funding": decimal_of(chance, -1, 1, 4) if kind == "SETTLEMENT" else "0",
        "Fee Paid": decimal_of(chance, 0.1, 1, 5) if is_trade else "0",
        "Cash Flow": "0",
        "Change": decimal_of(chance, -3, 3, 5) if not is_transfer else "1000",
        "Wallet Balance": f"{1_000 + number}.25",
        "Fee Rate": "0.00055",
        "Trade ID": f"t-{number}" if is_trade else "",
        "Order ID": f"o-{number // 2}" if is_trade else "",
    }


def ccxt_trades(chance: Random, number: int) -> Row:
    at = 1_772_442_000_000 + number * 61_001 + chance.randrange(999) * 60_000
    return {
        "id": str(number),
        "order": chance.choice(("", f"o{number // 2}")),
        "timestamp": str(at),
        "datetime": clock_of(chance, number, "%Y-%m-%dT%H:%M:%S.000Z"),
        "symbol": f"{chance.choice(COINS)}/USDT",
        "type": chance.choice(("market", "limit", "")),
        "side": chance.choice(("buy", "sell")),
        "takerOrMaker": chance.choice(("taker", "maker")),
        "price": decimal_of(chance, 1, 2_500, 3),
        "amount": decimal_of(chance, 0.1, 9, 3),
        "cost": decimal_of(chance, 1, 900, 3),
        "fee.currency": chance.choice(("USDT", "BNB")),
        "fee.cost": decimal_of(chance, 0.001, 0.1, 6),
        "fee.rate": chance.choice(("", "0.001")),
    }


def coinbase_fills(chance: Random, number: int) -> Row:
    coin = chance.choice(COINS)
    return {
        "portfolio": "default",
        "trade id": str(number),
        "product": f"{coin}-EUR",
        "side": chance.choice(("BUY", "SELL")),
        "created at": clock_of(chance, number, "%Y-%m-%dT%H:%M:%S") + f".{chance.randrange(1_000):03}Z",
        "size": decimal_of(chance, 0.1, 3, 8),
        "size unit": coin,
        "price": decimal_of(chance, 100, 2_500, 3),
        "fee": decimal_of(chance, 0.1, 5, 6),
        "total": decimal_of(chance, -900, 900, 3),
        "price/fee/total unit": "EUR",
    }


def coinbase_transactions(chance: Random, number: int) -> Row:
    kind = chance.choice(("Buy", "Advanced Trade Sell", "Buy", "Deposit", "Withdrawal", "Staking Income"))
    is_money, is_out = kind in {"Deposit", "Withdrawal"}, kind in {"Advanced Trade Sell", "Withdrawal"}
    amount = decimal_of(chance, 0.1, 3, 3)
    return {
        "ID": f"id{number}",
        "Timestamp": clock_of(chance, number) + " UTC",
        "Transaction Type": kind,
        "Asset": "EUR" if is_money else chance.choice(COINS),
        "Quantity Transacted": f"-{amount}" if is_out else amount,
        "Price Currency": "EUR",
        "Price at Transaction": "€1.00" if is_money else f"€{grouped(decimal_of(chance, 100, 2_500, 3))}",
        "Subtotal": f"€{decimal_of(chance, 1, 900, 2)}",
        "Total (inclusive of fees and/or spread)": f"€{decimal_of(chance, 1, 900, 2)}",
        "Fees and/or Spread": "€0.00" if is_money else f"€{decimal_of(chance, 0.1, 5, 2)}",
        "Notes": "",
    }


def freqtrade_orders(chance: Random, number: int) -> Row:
    status, kind = chance.choice((("closed", "limit"), ("closed", "market"), ("canceled", "limit"), ("open", "limit")))
    amount, is_filled = decimal_of(chance, 0.1, 40, 1), status == "closed"
    return {
        "ft_pair": f"{chance.choice(COINS)}/USDT",
        "order_id": f"x{number}",
        "status": status,
        "order_type": kind,
        "side": chance.choice(("buy", "sell")),
        "price": decimal_of(chance, 1, 90, 2),
        "average": chance.choice(("", decimal_of(chance, 1, 90, 2))) if is_filled else "",
        "amount": amount,
        "filled": amount if is_filled else "0.0",
        "order_date": clock_of(Random(number), number),
        "order_filled_date": clock_of(Random(number), number + 3) + ".924451" if is_filled else "",
    }


def freqtrade(chance: Random, number: int) -> Row:
    return {**freqtrade_orders(chance, number), "fee_open": chance.choice(("0.001", "0.0004"))}


def hyperliquid(chance: Random, number: int) -> Row:
    return {
        "time": clock_of(chance, number, "%d/%m/%Y %H:%M:%S"),
        "coin": chance.choice(COINS),
        "dir": chance.choice(("Open Long", "Close Long", "Open Short", "Close Short", "Long > Short (Price Improved)")),
        "px": decimal_of(chance, 1, 2_500, 3),
        "sz": decimal_of(chance, 0.1, 3, 3),
        "ntl": decimal_of(chance, 1, 900, 2),
        "fee": decimal_of(chance, 0.1, 1, 5),
        "closedPnl": "0",
    }


def hyperliquid_funding(chance: Random, number: int) -> Row:
    return {
        "time": clock_of(chance, number, "%d/%m/%Y %H:%M:%S"),
        "coin": chance.choice(COINS),
        "sz": decimal_of(chance, 0.1, 3, 3),
        "side": chance.choice(("Long", "Short")),
        "payment": decimal_of(chance, -2_500, 2_500, 3),
        "rate": "0.0000125",
    }


def kraken(chance: Random, number: int) -> Row:
    return {
        "txid": f"TAAAAA-BBBBB-CCCC{number:02}",
        "ordertxid": f"OAAAAA-{number // 2}",
        "pair": chance.choice(("XXBTZEUR", "XTZEUR", "ETH/EUR", "BTC/USD")),
        "time": clock_of(chance, number) + f".{chance.randrange(10_000):04}",
        "type": chance.choice(("buy", "sell")),
        "ordertype": chance.choice(("limit", "market")),
        "price": decimal_of(chance, 1, 2_500, 3),
        "cost": decimal_of(chance, 1, 900, 5),
        "fee": decimal_of(chance, 0.01, 2, 5),
        "vol": decimal_of(chance, 0.1, 3, 8),
        "margin": "0.00000",
        "misc": "",
        "ledgers": "L1,L2",
    }


def tradervue(chance: Random, number: int) -> Row:
    symbol = chance.choice(("XYZ", "ABC", "MESH6", "ES 03-26"))
    return {
        "Date": clock_of(Random(number), number, "%m/%d/%Y"),
        "Time": clock_of(chance, number, "%H:%M:%S"),
        "Symbol": symbol,
        "Quantity": str(chance.randint(1, 300)),
        "Price": decimal_of(chance, 1, 2_500, 3),
        "Side": chance.choice(("Buy", "S", "B", "SS")),
        "Commission": decimal_of(chance, 0.1, 3, 2),
        "TransFee": decimal_of(chance, 0.01, 1, 2),
        "ECNFee": decimal_of(chance, -1, 1, 2),
    }


def tradenote(chance: Random, number: int) -> Row:
    kind, symbol = chance.choice((("stock", "XYZ"), ("stock", "ABC"), ("future", "MESH6"), ("forex", "EUR/USD")))
    return {
        "Account": "ACC1",
        "T/D": clock_of(Random(number), number, "%m/%d/%Y"),
        "S/D": clock_of(Random(number), number, "%m/%d/%Y"),
        "Currency": "USD",
        "Type": kind,
        "Side": chance.choice(("B", "S", "SS", "BC")),
        "Symbol": symbol,
        "Qty": str(chance.randint(1, 300)),
        "Price": decimal_of(chance, 1, 2_500, 3),
        "Exec Time": clock_of(chance, number, "%H:%M:%S"),
        "Comm": decimal_of(chance, 0.1, 3, 2),
        **dict.fromkeys(("SEC", "TAF", "NSCC", "Nasdaq", "ECN Remove"), "0"),
        "ECN Add": decimal_of(chance, -1, 1, 2),
        "Gross Proceeds": "0",
        "Net Proceeds": "0",
        "Clr Broker": "LAMP",
        "Liq": "R",
        "Note": "",
    }


def fills(chance: Random, number: int) -> Row:
    return {
        "trade_id": f"T{number}",
        "symbol": chance.choice(("MNQH6", "ESH6")),
        "side": chance.choice(("buy", "sell")),
        "quantity": str(chance.randint(1, 9)),
        "price": f"{21_000 + chance.randrange(400) / 4}",
        "fee": decimal_of(chance, 0.1, 3, 2),
        "time": clock_of(chance, number, "%Y-%m-%dT%H:%M:%SZ"),
        "order_id": chance.choice(("", f"o{number // 2}")),
    }


def lobster(chance: Random, number: int) -> Row:
    return {
        "time": f"{34_200 + number}.{chance.randrange(10**9):09}",
        "type": chance.choice("12344455"),
        "order id": str(16_113_000 + number),
        "size": str(chance.randint(1, 300)),
        "price": str(chance.randint(5_850_000, 5_860_000)),
        "direction": chance.choice(("1", "-1")),
    }


def pyfolio(chance: Random, number: int) -> Row:
    amount, price = chance.choice((-1, 1)) * chance.randint(1, 300), decimal_of(chance, 1, 2_500, 3)
    return {
        "": clock_of(chance, number) + "+00:00",
        "amount": str(amount),
        "price": price,
        "sid": "0",
        "symbol": chance.choice(("AMD", "XYZ")),
        "txn_dollars": f"{-amount * Decimal(price):f}",
        "commission": decimal_of(chance, 0.1, 3, 2),
    }


_NEW_YORK = {"account": "A", "zone": "America/New_York"}
_A = {"account": "A"}
_LOBSTER = "GOOG_2012-06-21_34200000_57600000_message_10.csv"
_STATEMENT = "Transactions\nUser,Somebody,00000000\n"
_BYBIT, _COINBASE = ("Type", "Time", "Currency", "Wallet Balance", "Trade ID"), truths.coinbase_transactions
EXCHANGES = (
    Export("binance-spot", binance_spot, truths.binance_spot, options=_A),
    Export("binance-spot-old", binance_spot_old, truths.binance_spot_old, options=_A),
    Export("binance-futures", binance_futures, truths.binance_futures, options=_A),
    Export("binance-futures-income", binance_income, truths.binance_income, ("type", "Transaction ID"), options=_A),
    Export("bitvavo", bitvavo, truths.bitvavo, ("Transaction ID",), options=_A),
    Export("bybit", bybit, truths.bybit, _BYBIT, before="UID: 1,,,\n", options=_A),
    Export("ccxt-trades", ccxt_trades, truths.ccxt_trades, ("symbol", "id"), "export.json", options=_A),
    Export("coinbase-fills", coinbase_fills, truths.coinbase_fills, ("product", "trade id"), options=_A),
    Export("coinbase-transactions", coinbase_transactions, _COINBASE, ("ID",), before=_STATEMENT, options=_A),
    Export("fills", fills, truths.plain_fills, ("trade_id",), options=_A),
    Export("freqtrade", freqtrade, truths.freqtrade, ("ft_pair", "order_id"), "export.sqlite", options=_A),
    Export("freqtrade-orders", freqtrade_orders, truths.freqtrade, ("order_id",), "export.json", options=_A),
    Export("hyperliquid", hyperliquid, truths.hyperliquid, options=_NEW_YORK),
    Export("hyperliquid-funding", hyperliquid_funding, truths.hyperliquid_funding, ("time", "coin"), options=_NEW_YORK),
    Export("kraken", kraken, truths.kraken, ("txid",), options=_A),
    Export("lobster", lobster, truths.lobster, name=_LOBSTER, has_header=False, options=_A),
    Export("pyfolio", pyfolio, truths.pyfolio, options=_A),
    Export("tradenote", tradenote, truths.tradenote, options={"zone": "America/New_York"}),
    Export("tradervue", tradervue, truths.tradervue, options=_NEW_YORK),
)  # fmt: skip
