"""Reference: what a gateway's trades come to: positions, results by first in, first out, cash and fees."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

CONTRACTS = {"CON.F.US.MNQ.Z26": ("MNQZ6", 2), "CON.F.US.EP.Z26": ("ESZ6", 50)}
"""The symbol and the multiplier of each contract."""
Trades = Iterable[dict[str, Any]]


def counting(trades: Trades, contract: str) -> list[dict[str, Any]]:
    """Return the trades of a contract that were not voided, in the order in which they happened."""
    mine = [each for each in trades if each["contractId"] == contract and not each["voided"]]
    return sorted(mine, key=lambda each: str(each["creationTimestamp"]))


def held_of(trades: Trades, contract: str) -> int:
    return sum((1 - 2 * each["side"]) * each["size"] for each in counting(trades, contract))


def cash_of(trades: Trades, contract: str) -> Decimal:
    """Return what was received less what was paid, in points."""
    return sum(
        ((2 * each["side"] - 1) * each["size"] * Decimal(str(each["price"])) for each in counting(trades, contract)),
        Decimal(0),
    )


def realized_of(trades: Trades, contract: str) -> Decimal:
    """Return the money made, before fees."""
    lots: deque[tuple[int, Decimal]] = deque()
    made = Decimal(0)
    for trade in counting(trades, contract):
        sign, price = 1 - 2 * trade["side"], Decimal(str(trade["price"]))
        for _ in range(trade["size"]):
            if lots and lots[0][0] == -sign:
                made += sign * (lots.popleft()[1] - price)
            else:
                lots.append((sign, price))
    return made * CONTRACTS[contract][1]


def fees_of(trades: Trades, contract: str) -> Decimal:
    return sum((Decimal(str(each["fees"])) for each in counting(trades, contract)), Decimal(0))
