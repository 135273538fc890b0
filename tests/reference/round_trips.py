"""Reference: round trips, from flat to flat or through it; how many executions there were; by day."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from tests.reference.facts import ZERO, Fact, day_of
from tests.reference.items import Item, ratio
from tests.reference.positions import Positions
from tests.reference.sequence import Position
from tests.reference.trades import Fee


@dataclass
class Trip:
    """One round trip.

    `received` is what its sales brought less what its purchases cost, in points: once it has ended, what it made before
    fees. None if a part of it has no price.
    """

    symbol: str
    side: str
    received: Fraction | None = Fraction(0)
    charged: list[Fee] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    ended_at: int | None = None

    def trade(self, item: Item, quantity: Fraction, value: Fraction | None) -> None:
        self.items.append(item)
        self.received = None if self.received is None or value is None else self.received - quantity * value

    def resume(self, begun: Trip, carried: list[Item]) -> None:
        """Take over a trip of another name, whose open lots are carried: what it has made until then, and its fees."""
        self.items = begun.items + self.items
        self.charged += begun.charged
        values = [item.value for item in carried]
        if self.received is None or begun.received is None or None in values:
            self.received = None
        else:
            self.received += begun.received + sum(item.quantity * (item.value or 0) for item in carried)

    @property
    def fees(self) -> dict[str, Decimal]:
        """Return the fees by the currency that was stated."""
        stated = dict.fromkeys((fee.currency for fee in self.charged), ZERO)
        return {key: sum((fee.amount for fee in self.charged if fee.currency == key), ZERO) for key in stated}


def trips(symbol: str, position: Position) -> list[Trip]:
    """Return the round trips of a position that have ended, in the order they did; one in progress is left out."""
    ended, begun = list[Trip](), dict[int, Trip]()
    for items in position.lists:
        begun[id(items)] = _trips(Trip(symbol, position.side), items, ended, begun)
    return sorted(ended, key=lambda trip: trip.items[-1].place)


def _trips(trip: Trip, items: list[Item], ended: list[Trip], begun: dict[int, Trip]) -> Trip:
    """Add the trips of one list that have ended; return the one in progress, which a later list may go on with."""
    held = Fraction(0)
    for index, item in enumerate(items):
        if item.kind == "SPLIT":
            # What was paid stays, for another quantity.
            held *= ratio(items, index)
            continue
        if item.kind == "REPRICE":
            _reprice(ended, trip, item)
            continue
        if id(item.older) in begun:
            trip.resume(begun.pop(id(item.older)), [each for each in items if each.older is item.older])
        if not item.quantity:
            continue
        after = held + item.quantity
        through = held * after < 0
        trip.trade(item, -held if through else item.quantity, item.value)
        # The whole fee of a fill through flat belongs to the trip that it ends.
        trade = item.execution if item.kind == "FILL" else None
        trip.charged += item.fees if trade is None else trade.costs + [fee for _, fee in trade.spent]
        held = after
        if not after or through:
            trip.ended_at = item.at
            ended.append(trip)
            trip = Trip(trip.symbol, trip.side)
        if through:
            trip.trade(item, after, item.value)
    return trip


def _reprice(ended: list[Trip], current: Trip, item: Item) -> None:
    """A corrected price of a trade that is fixed counts for the trade's own trip."""
    trade = item.execution
    named = (trip for trip in ended if trade is not None and any(each.execution is trade for each in trip.items))
    trip = next(named, current)
    if trip.received is not None:
        trip.received += item.quantity * (item.price or Fraction(0))


def all_trips(account: Positions) -> list[Trip]:
    """Return every round trip that has ended, sorted by when it did."""
    found = [trip for (symbol, _), position in account.held.items() for trip in trips(symbol, position)]
    return sorted(found, key=lambda trip: (trip.ended_at or 0, trip.items[-1].log))


def executions_by_day(account: Positions, stated: list[Fact]) -> Counter[str]:
    """Return how many executions each day had: a busted one counts, as venues count it, a repeated report does not."""
    return Counter(day_of(execution.at, stated) for execution in account.executions.all)


def trips_by_day(account: Positions, stated: list[Fact]) -> Counter[str]:
    """Return how many round trips ended on each day."""
    return Counter(day_of(trip.ended_at or 0, stated) for trip in all_trips(account))


def volume(account: Positions, symbol: str) -> tuple[int, Decimal, Decimal, int]:
    """Return the number of executions that count, the quantities bought and sold, and how many were busted.

    What is booked for a trade that is not known, by what a bust or correction says of it, counts as if it were known.
    """
    of = account.executions.contracts.of
    signed = [each.quantity for each in account.executions.all if each.contract == of(symbol)]
    before: list[Decimal] = []
    for fact in account.booked:
        if of(str(fact.symbol)) == of(symbol):
            side, quantity = fact.side or 0, fact.quantity or ZERO
            before.append(side * (fact.before[0] if fact.before else quantity))
            signed.append(side * quantity if fact.kind == "CORRECT" else ZERO)
    after, less = _both(signed), _both(before)
    busted = sum(not each for each in signed)
    return len(signed) - busted - len(before), after[0] - less[0], after[1] - less[1], busted


def _both(signed: list[Decimal]) -> tuple[Decimal, Decimal]:
    return sum((each for each in signed if each > 0), ZERO), sum((-each for each in signed if each < 0), ZERO)
