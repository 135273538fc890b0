"""Reference: the result of each trading day of a file of fills, and what of it reaches a daily loss or a drawdown.

One contract, first in, first out; a trading day ends at 17:00 in Chicago, and what is later is of the next weekday.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

CHICAGO = ZoneInfo("America/Chicago")
RESET = time(17)
SATURDAY = 5


@dataclass(frozen=True)
class Fill:
    """A signed quantity at a price."""

    at: datetime
    quantity: int
    price: Fraction
    fee: Fraction


@dataclass
class Day:
    """What a day realized before fees, and its fees."""

    realized: Fraction = Fraction(0)
    fees: Fraction = Fraction(0)


@dataclass
class Results:
    """The days, the balance after the last fill, and each lock: its day, its rule, and the figure that reached it."""

    days: dict[date, Day] = field(default_factory=dict)
    balance: Fraction = Fraction(0)
    locks: set[tuple[date, str, Fraction]] = field(default_factory=set)


def trading_day(at: datetime) -> date:
    """Return the day that an instant is in."""
    local = at.astimezone(CHICAGO)
    day = local.date() + timedelta(days=local.time() >= RESET)
    while day.weekday() >= SATURDAY:
        day += timedelta(days=1)
    return day


def results(fills: list[Fill], start: int, point: int, daily_loss: int, drawdown: int) -> Results:
    """Return the results of an account that begins with `start`, of a contract whose point is worth `point`.

    A day's loss is net of fees, and locks at `daily_loss` until the day's end. The balance locks for good at `drawdown`
    below the highest one; that one counts after each fill.
    """
    found = Results(balance=Fraction(start))
    lots: list[tuple[int, Fraction]] = []
    highest, is_over = Fraction(start), False
    for fill in fills:
        name = trading_day(fill.at)
        day = found.days.setdefault(name, Day())
        made = _traded(lots, fill) * point
        day.realized += made
        day.fees += fill.fee
        found.balance += made - fill.fee
        result = day.realized - day.fees
        locked = {(each, rule) for each, rule, _ in found.locks}
        if result <= -daily_loss and (name, "daily-loss") not in locked:
            found.locks.add((name, "daily-loss", result))
        if found.balance <= highest - drawdown and not is_over:
            is_over = True
            found.locks.add((name, "trailing-drawdown", found.balance))
        highest = max(highest, found.balance)
    return found


def _traded(lots: list[tuple[int, Fraction]], fill: Fill) -> Fraction:
    """Change the open lots by a fill; return the points that it realizes."""
    left, made = fill.quantity, Fraction(0)
    while left and lots and (lots[0][0] > 0) is not (left > 0):
        quantity, price = lots[0]
        closed = min(abs(quantity), abs(left))
        sign = 1 if quantity > 0 else -1
        made += sign * closed * (fill.price - price)
        left += sign * closed
        lots[0] = (quantity - sign * closed, price)
        if not lots[0][0]:
            del lots[0]
    if left:
        lots.append((left, fill.price))
    return made
