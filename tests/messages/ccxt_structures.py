"""Structures as CCXT returns them: with every key that its manual lists, and with the values that a test states."""

from __future__ import annotations

import datetime
from typing import Any

Structure = dict[str, Any]
START = 1_767_225_600_000
"""2026-01-01T00:00:00Z in ms."""


def iso(milliseconds: int | None) -> str | None:
    if milliseconds is None:
        return None
    at = datetime.datetime.fromtimestamp(milliseconds / 1_000, datetime.UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _made(defaults: Structure, members: Structure) -> Structure:
    unknown = members.keys() - defaults.keys()
    assert not unknown, unknown
    made = {**defaults, **members}
    if "timestamp" in made and "datetime" not in members:
        made["datetime"] = iso(made["timestamp"])
    return made


def trade(**members: object) -> Structure:
    defaults: Structure = {
        "info": {"id": "raw"}, "id": "T-1", "order": "O-1", "timestamp": START, "datetime": None,
        "symbol": "BTC/USDT", "type": "limit", "side": "buy", "takerOrMaker": "taker", "price": 60000.1,
        "amount": 0.3, "cost": 18000.03, "fee": {"currency": "USDT", "cost": 7.2, "rate": 0.0004},
        "fees": [{"currency": "USDT", "cost": 7.2, "rate": 0.0004}],
    }  # fmt: skip
    return _made(defaults, members)


def order(**members: object) -> Structure:
    defaults: Structure = {
        "info": {"orderId": "raw"}, "id": "O-1", "clientOrderId": "mine-1", "timestamp": START, "datetime": None,
        "lastTradeTimestamp": None, "lastUpdateTimestamp": START, "status": "open", "symbol": "BTC/USDT",
        "type": "limit", "timeInForce": "GTC", "side": "buy", "price": 60000.1, "average": None, "amount": 0.5,
        "filled": 0.0, "remaining": 0.5, "stopPrice": None, "triggerPrice": None, "takeProfitPrice": None,
        "stopLossPrice": None, "cost": 0.0, "trades": [], "fee": None, "fees": [], "reduceOnly": False,
        "postOnly": False,
    }  # fmt: skip
    return _made(defaults, members)


def position(**members: object) -> Structure:
    defaults: Structure = {
        "info": {"symbol": "raw"}, "id": None, "symbol": "BTC/USDT:USDT", "timestamp": START, "datetime": None,
        "contracts": 0.5, "contractSize": 1.0, "side": "long", "notional": 30000.0, "leverage": 10.0,
        "unrealizedPnl": 1.5, "realizedPnl": None, "collateral": 3000.0, "entryPrice": 60000.1, "markPrice": 60010.0,
        "liquidationPrice": 55000.0, "marginMode": "cross", "hedged": False, "maintenanceMargin": 120.0,
        "maintenanceMarginPercentage": 0.004, "initialMargin": 3000.0, "initialMarginPercentage": 0.1,
        "marginRatio": 0.04, "lastUpdateTimestamp": None, "lastPrice": None, "stopLossPrice": None,
        "takeProfitPrice": None, "percentage": 0.05,
    }  # fmt: skip
    return _made(defaults, members)


def balance(*, at: int | None = START, debt: bool = False, **coins: tuple[float | None, float | None]) -> Structure:
    """Return a balance: what is free and what is used of each coin."""
    made: Structure = {"info": {}, "timestamp": at, "datetime": iso(at), "free": {}, "used": {}, "total": {}}
    for coin, (free, used) in coins.items():
        total = None if free is None or used is None else free + used
        made["free"][coin], made["used"][coin], made["total"][coin] = free, used, total
        made[coin] = {"free": free, "used": used, "total": total}
        if debt:
            made[coin]["debt"] = 0.0
            made.setdefault("debt", {})[coin] = 0.0
    return made


def market(**members: object) -> Structure:
    kind = members.get("type", "spot")
    defaults: Structure = {
        "info": {}, "id": "BTCUSDT", "symbol": "BTC/USDT", "base": "BTC", "quote": "USDT", "settle": None,
        "baseId": "BTC", "quoteId": "USDT", "settleId": None, "type": kind, "subType": None,
        **{each: each == kind for each in ("spot", "margin", "swap", "future", "option")}, "index": None,
        "active": True, "contract": kind not in {"spot", "margin"}, "linear": None, "inverse": None,
        "contractSize": None, "expiry": None, "expiryDatetime": None, "strike": None, "optionType": None,
        "taker": 0.001, "maker": 0.001, "percentage": True, "tierBased": False, "feeSide": "get",
        "precision": {"amount": 1e-05, "price": 0.01}, "limits": {"amount": {"min": 1e-05, "max": 9000.0}},
        "marginModes": {"cross": None, "isolated": None}, "created": None,
    }  # fmt: skip
    return _made(defaults, members)


def linear(**members: object) -> Structure:
    return market(**{
        "type": "swap", "symbol": "BTC/USDT:USDT", "settle": "USDT", "settleId": "USDT", "linear": True,
        "inverse": False, "subType": "linear", "contractSize": 0.01, **members,
    })  # fmt: skip


def inverse(**members: object) -> Structure:
    return market(**{
        "type": "swap", "id": "BTCUSD_PERP", "symbol": "BTC/USD:BTC", "quote": "USD", "quoteId": "USD",
        "settle": "BTC", "settleId": "BTC", "linear": False, "inverse": True, "subType": "inverse",
        "contractSize": 100.0, **members,
    })  # fmt: skip


def ledger(**members: object) -> Structure:
    defaults: Structure = {
        "info": {}, "id": "L-1", "timestamp": START, "datetime": None, "direction": "in", "account": None,
        "referenceId": None, "referenceAccount": None, "type": "transfer", "currency": "USDT", "amount": 100.0,
        "before": None, "after": None, "status": "ok", "fee": None,
    }  # fmt: skip
    return _made(defaults, members)


def funding(**members: object) -> Structure:
    defaults: Structure = {
        "info": {}, "symbol": "BTC/USDT:USDT", "code": "USDT", "timestamp": START, "datetime": None, "id": "F-1",
        "amount": -1.25,
    }  # fmt: skip
    return _made(defaults, members)


def transaction(**members: object) -> Structure:
    defaults: Structure = {
        "info": {}, "id": "D-1", "txid": "0xabc", "timestamp": START, "datetime": None, "address": "a",
        "addressFrom": None, "addressTo": "a", "tag": None, "tagFrom": None, "tagTo": None, "type": "deposit",
        "amount": 1000.0, "currency": "USDT", "status": "ok", "updated": None,
        "fee": {"currency": "USDT", "cost": 1.0, "rate": None}, "network": "TRX", "comment": None, "internal": False,
    }  # fmt: skip
    return _made(defaults, members)


def transfer(**members: object) -> Structure:
    defaults: Structure = {
        "info": {}, "id": "X-1", "timestamp": START, "datetime": None, "currency": "USDT", "amount": 500.0,
        "fromAccount": "spot", "toAccount": "swap", "status": "ok",
    }  # fmt: skip
    return _made(defaults, members)


def liquidation(**members: object) -> Structure:
    defaults: Structure = {
        "info": {}, "symbol": "BTC/USDT:USDT", "timestamp": START, "datetime": None, "price": 55000.5,
        "baseValue": 0.5, "quoteValue": 27500.25, "contracts": 50.0, "contractSize": 0.01, "side": "sell",
    }  # fmt: skip
    return _made(defaults, members)
