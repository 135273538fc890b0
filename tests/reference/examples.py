"""Facts written short, and what the reference models make of them: for the examples that are computed by hand."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from tests.reference.days import money
from tests.reference.facts import Fact
from tests.reference.positions import Positions
from tests.reference.round_trips import all_trips

DAY = 24 * 3_600 * 10**9
FIRST = 1_767_571_200 * 10**9  # 2026-01-05 in UTC
NOON = DAY // 2
Timed = Fact | tuple[int, Fact]


def fill(trade_id: str, quantity: int | str, price: int | str, **more: Any) -> Fact:  # noqa: ANN401 - any member
    """Return a report of a fill: above zero bought, below zero sold; in ES and in an order of its own by default."""
    signed = Decimal(quantity)
    given = {"symbol": "ES", "stream": f"order/O-{trade_id}"} | more
    return Fact(
        "FILL", 0, 0, id=trade_id, side=1 if signed > 0 else -1, quantity=abs(signed), price=Decimal(price), **given
    )


def bust(trade_id: str, **more: Any) -> Fact:  # noqa: ANN401 - any member
    return Fact("BUST", 0, 0, id=trade_id, **more)


def correct(trade_id: str, quantity: int, price: int, **more: Any) -> Fact:  # noqa: ANN401 - any member
    return Fact("CORRECT", 0, 0, id=trade_id, quantity=Decimal(quantity), price=Decimal(price), **more)


def adjust(quantity: int, reason: str, price: int | None = None, **more: Any) -> Fact:  # noqa: ANN401 - any member
    stated = None if price is None else Decimal(price)
    return Fact("ADJUST", 0, 0, symbol="ES", quantity=Decimal(quantity), price=stated, reason=reason, **more)


def define(symbol: str = "ES", multiplier: int = 1, currency: str = "USD", names: tuple[str, ...] = ()) -> Fact:
    return Fact("DEFINE", 0, 0, symbol=symbol, multiplier=Decimal(multiplier), currency=currency, names=names)


def after(*facts: Timed, **bounds: int) -> Positions:
    """Return the model after facts in the order of the log: a minute apart, or at (minute, fact)."""
    account = Positions(**bounds)
    for log, each in enumerate(facts, 1):
        minute, fact = each if isinstance(each, tuple) else (log, each)
        account.apply(replace(fact, log=log, at=FIRST + NOON + minute * 60 * 10**9))
    return account


def figures(account: Positions, symbol: str = "ES", side: str = "NET") -> tuple[Any, ...]:
    """Return quantity, points realized by FIFO and by average cost, and the cost of what is open by both."""
    totals = account.get(symbol, side).totals()
    return (totals.quantity, *totals_of(account, symbol, side), totals.cost, totals.average_total)


def totals_of(account: Positions, symbol: str = "ES", side: str = "NET") -> tuple[Fraction, Fraction]:
    entries = account.get(symbol, side).entries()
    return sum((first for _, first, _ in entries), Fraction(0)), sum((last for *_, last in entries), Fraction(0))


def made(account: Positions, *stated: Fact) -> dict[str, tuple[Any, Any]]:
    """Return by day what was realized and the fees, in dollars."""
    found = money(account, list(stated))
    return {day.removeprefix("~2026-01-"): (each.realized, each.fees) for (day, _), each in found.items()}


def trips_of(account: Positions) -> list[tuple[Any, ...]]:
    """Return what each round trip that has ended received, and its fees."""
    return [(trip.received, trip.fees) for trip in all_trips(account)]
