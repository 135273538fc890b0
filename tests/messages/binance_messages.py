"""Messages of Binance's USD-M futures as its documentation shows them: numbers as text, times in ms."""

from __future__ import annotations

from typing import Any

Message = dict[str, Any]
START = 1_767_225_600_000


def order_update(*, at: int = START, **members: object) -> Message:
    order: Message = {
        "s": "BTCUSDT", "c": "mine-1", "S": "BUY", "o": "LIMIT", "f": "GTC", "q": "0.500", "p": "60000.10",
        "ap": "0", "sp": "0", "x": "NEW", "X": "NEW", "i": 8886774, "l": "0", "z": "0", "L": "0", "n": "0",
        "N": "USDT", "T": at, "t": 0, "m": False, "R": False, "wt": "CONTRACT_PRICE", "ot": "LIMIT", "ps": "BOTH",
        "cp": False, "rp": "0", "AP": "0", "cr": "0",
    }  # fmt: skip
    assert members.keys() <= order.keys()
    return {"e": "ORDER_TRADE_UPDATE", "E": at + 3, "T": at, "o": {**order, **members}}


def fill_update(*, at: int = START, **members: object) -> Message:
    fill = {
        "x": "TRADE",
        "X": "PARTIALLY_FILLED",
        "l": "0.3",
        "z": "0.3",
        "L": "60000.1",
        "ap": "60000.1",
        "n": "7.2",
        "t": 77,
    }
    return order_update(at=at, **{**fill, **members})


def account_update(
    *, at: int = START, reason: str = "ORDER", balances: tuple[Message, ...] = (), positions: tuple[Message, ...] = ()
) -> Message:
    balance: Message = {"a": "USDT", "wb": "1000.50", "cw": "1000.50", "bc": "0"}
    position: Message = {
        "s": "BTCUSDT", "pa": "0.3", "ep": "60000.1", "bep": "60024.1", "cr": "0", "up": "1.2", "mt": "cross",
        "iw": "0", "ps": "BOTH", "ma": "USDT",
    }  # fmt: skip
    reported = {
        "m": reason,
        "B": [{**balance, **each} for each in balances],
        "P": [{**position, **each} for each in positions],
    }
    return {"e": "ACCOUNT_UPDATE", "E": at + 3, "T": at, "a": reported}


def income(**members: object) -> Message:
    made: Message = {
        "symbol": "BTCUSDT", "incomeType": "FUNDING_FEE", "income": "-1.25000000", "asset": "USDT", "info": "",
        "time": START, "tranId": 9001, "tradeId": "",
    }  # fmt: skip
    assert members.keys() <= made.keys()
    return {**made, **members}
