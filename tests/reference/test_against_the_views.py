"""The views compared with the reference models, on histories reported in order, once, with full figures."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

import projections
from eventstore import EventStore, ManualClock
from eventstore.journals.memory import MemoryJournal
from projections.book import Book
from tests.proving import rounds
from tests.reference.days import Money, money
from tests.reference.facts import Fact
from tests.reference.histories import CONTRACTS, START, event_of, history, place_of
from tests.reference.orders import Orders
from tests.reference.positions import Positions
from tests.reference.round_trips import all_trips, executions_by_day, trips_by_day, volume

pytestmark = pytest.mark.untraced

NEAR = Fraction(1, 10**20)
"""The views divide to 34 digits, the models exactly."""
SIDES = ("NET", "LONG", "SHORT")


class Compared:
    """One account's history in the models and, through a store, in the project's own book.

    A restart opens the book from its snapshots, of which every other restart of the history takes one.
    """

    def __init__(self, facts: list[Fact], snapshots: Path, account: str = "A") -> None:
        self.account, self.facts, self._snapshots = account, facts, snapshots
        self.positions, self.orders = Positions(), Orders()
        self._clock = ManualClock(START)
        self._store = EventStore(MemoryJournal(clock=self._clock), clock=self._clock)
        self.book: Book = projections.open(self._store, snapshots=self._snapshots)
        for fact in facts:
            self._apply(fact)

    @property
    def days(self) -> list[Fact]:
        return [fact for fact in self.facts if fact.kind == "DAY"]

    def close(self) -> None:
        self.book.close()
        self._store.close()

    def _apply(self, fact: Fact) -> None:
        self.positions.apply(fact)
        self.orders.apply(fact)
        event = event_of(fact)
        if event is None:
            if fact.log % 2:
                self.book.snapshot()
                return
            self.book.close()
            self.book = projections.open(self._store, snapshots=self._snapshots)
            return
        # A fact without a time is recorded when it is: `at`. Nothing is recorded before it has happened.
        self._clock.advance(max(0, fact.at - self._clock.now_ns()))
        self.book.append(place_of(fact, self.account), event, occurred_at=fact.at if fact.timed else None)


def near(found: Decimal | None, expected: Fraction | None) -> bool:
    if found is None or expected is None:
        return found is None and expected is None
    return abs(Fraction(found) - expected) <= NEAR


def position_problems(both: Compared) -> list[str]:
    problems = []
    for symbol in CONTRACTS:
        for side in SIDES:
            found, totals = (
                both.book.positions.get(both.account, symbol, side),
                both.positions.get(symbol, side).totals(),
            )
            first, average = totals.points()
            pairs = {
                "quantity": (found.quantity, totals.quantity),
                "cost": (found.cost, totals.cost),
                "unpriced": (found.unpriced, totals.quantity - totals.priced),
                "realized": (found.realized_points, first),
                "realized by average cost": (found.realized_points_average_cost, average),
                "average price": (found.average_price, totals.cost / totals.priced if totals.priced else None),
                "average cost": (found.average_cost, totals.average_total / totals.priced if totals.priced else None),
            }
            problems += [f"{symbol} {side} {what}: {a}, not {b}" for what, (a, b) in pairs.items() if not near(a, b)]
            lots = [(lot.quantity, lot.price) for lot in found.lots]
            same = [near(a, c) and near(b, d) for (a, b), (c, d) in zip(lots, totals.lots, strict=False)]
            if len(lots) != len(totals.lots) or not all(same):
                problems.append(f"{symbol} {side} lots: {lots}, not {totals.lots}")
    return problems


def money_problems(both: Compared) -> list[str]:
    made = {}
    for day, totals in both.book.pnl.days(both.account):
        for each in totals:
            one = Money(Fraction(each.realized), Fraction(each.realized_average_cost), Fraction(each.fees))
            made[day, str(each.currency)] = one
    expected = money(both.positions, both.days)
    return [
        f"{key}: {made.get(key)}, not {expected.get(key)}"
        for key in sorted(made.keys() | expected.keys())
        if not is_near(made.get(key, Money()), expected.get(key, Money()))
    ]


def is_near(one: Money, other: Money) -> bool:
    pairs = [(one.realized, other.realized), (one.realized_average_cost, other.realized_average_cost)]
    return all(abs(a - b) <= NEAR * 100 for a, b in [*pairs, (one.fees, other.fees)])


def trade_problems(both: Compared) -> list[str]:
    problems = []
    for symbol in CONTRACTS:
        totals = both.book.trades.totals(both.account, symbol)
        found = (totals.count, totals.bought, totals.sold, totals.busted)
        if found != volume(both.positions, symbol):
            problems.append(f"{symbol} trades: {found}, not {volume(both.positions, symbol)}")
    executions, ended = executions_by_day(both.positions, both.days), trips_by_day(both.positions, both.days)
    for name in sorted(executions.keys() | ended.keys()):
        # A date in UTC can be asked for unless it is a trading day, too.
        if name.removeprefix("~") == name or name[1:] not in {fact.trading_day for fact in both.days}:
            counted = both.book.counters.day(both.account, date.fromisoformat(name.removeprefix("~")))
            if (counted.fills, counted.round_trips) != (executions[name], ended[name]):
                problems.append(f"{name}: {counted}, not {executions[name]} fills and {ended[name]} round trips")
    return problems


def trip_problems(both: Compared) -> list[str]:
    found = [
        (each.symbol, each.side, None if each.points is None else Fraction(each.points), dict(each.fees), each.ended_at)
        for each in both.book.trips.of(both.account)
    ]
    expected = [
        (each.symbol, each.side, each.received, {c: a for c, a in each.fees.items() if a}, each.ended_at)
        for each in all_trips(both.positions)
    ]
    return [f"round trip: {a}, not {b}" for a, b in zip(found, expected, strict=False) if a != b] + (
        [f"{len(found)} round trips, not {len(expected)}"] if len(found) != len(expected) else []
    )


def order_problems(both: Compared) -> list[str]:
    problems = []
    for order_id in sorted({fact.stream[6:] for fact in both.facts if fact.kind == "SUBMIT"}):
        order, figures = both.book.orders.get(both.account, order_id), both.orders.get(order_id)
        assert order is not None
        found = (order.status.value, order.quantity, order.cumulative, order.leaves)
        expected = (figures.status, figures.quantity, figures.cumulative, figures.leaves)
        if found != expected or not near(order.average_price, figures.average_price):
            problems.append(f"{order_id}: {found} at {order.average_price}, not {figures}")
    return problems


def test_the_views_agree_with_the_models(memory_path: Path) -> None:
    for seed in rounds("views against models", test=60, prove=5_000):
        both = Compared(history(seed, rules=()), memory_path / f"{seed}.sqlite")
        assert position_problems(both) == []
        assert money_problems(both) == []
        assert trade_problems(both) == []
        assert trip_problems(both) == []
        assert order_problems(both) == []
        both.close()
