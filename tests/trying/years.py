"""A year of executions by chance, as the rows of a file; and the program that they are tried under."""

from __future__ import annotations

import random
from datetime import datetime, time, timedelta
from fractions import Fraction
from pathlib import Path

from tests.reference.daily_results import CHICAGO, SATURDAY, Fill

HEADER = "trade_id,symbol,quantity,price,fee,time"
START, POINT, DAILY_LOSS, DRAWDOWN = 50_000, 50, 900, 4_000
PROGRAM = f"""
[defaults]
starting_balance = "{START}"
currency = "USD"

[defaults.calendar]
zone = "America/Chicago"
open = "17:00"
reset = "17:00"

[defaults.limits.daily-loss]
limit = "{DAILY_LOSS}"

[defaults.limits.trailing-drawdown]
distance = "{DRAWDOWN}"
basis = "realized"
"""


def year(chance: random.Random, days: int, per_day: int, *, move: int = 20) -> list[list[Fill]]:
    """Return the fills of so many weekdays from 2025 on, by day; some positions are held overnight.

    From one to the next the price moves by at most so many ticks.
    """
    day, price, held = datetime(2025, 1, 1, tzinfo=CHICAGO), 24_000, 0
    found: list[list[Fill]] = []
    while len(found) < days:
        day += timedelta(days=1)
        if day.weekday() >= SATURDAY:
            continue
        at, fills = datetime.combine(day.date(), time(8, 30), CHICAGO), []
        for number in range(chance.randint(1, 2 * per_day - 1)):
            at += timedelta(seconds=chance.randint(1, 13_000 // per_day))
            price += chance.randint(-move, move)
            quantity = _quantity(chance, held)
            if number and chance.random() < 0.7 and held:
                quantity = -held
            held += quantity
            fills.append(Fill(at, quantity, Fraction(price, 4), Fraction(abs(quantity) * 21, 10)))
        found.append(fills)
    return found


def _quantity(chance: random.Random, held: int) -> int:
    wanted = chance.choice([-3, -2, -1, 1, 2, 3])
    return wanted if abs(held + wanted) <= 5 else -held


def write(path: Path, days: list[list[Fill]], *, first: int = 0) -> Path:
    """Write the fills of some days to a file; ids continue from the number of the fills before."""
    rows = [HEADER]
    for number, fill in enumerate((fill for day in days for fill in day), first + 1):
        price, fee = (f"{float(each):.2f}" for each in (fill.price, fill.fee))
        rows.append(f"T{number},ESH6,{fill.quantity},{price},{fee},{fill.at.isoformat()}")
    path.write_text("\n".join(rows) + "\n", "utf-8")
    return path
