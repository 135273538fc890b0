"""ExecutionReports that come twice, late and shuffled end in the same book, which is what the venue's model says."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import pytest

import projections
from eventstore import EventStore, ManualClock
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import AccountOpened, ContractDefined, OrderSubmitted, Side
from gateways.messages import Recorder
from gateways.messages.fix import Fix
from projections import Book
from tests.proving import rounds
from tests.reference.fix_venue import BEGIN, Venue, VenueOrder

pytestmark = pytest.mark.untraced

ACCOUNT = "ACC1"
CODES = {
    "0": "NEW", "1": "PARTIALLY_FILLED", "2": "FILLED", "4": "CANCELED", "6": "PENDING_CANCEL", "C": "EXPIRED",
    "E": "PENDING_REPLACE",
}  # fmt: skip
ECHOED = (151, 6, 40)
"""Tags that a venue may leave out without anything being unknown."""


def arriving(venue: Venue, chance: random.Random) -> list[Any]:
    """Return each message, some twice or thrice, in some other order, some by text tags and some with tags missing."""
    late = chance.choice((0, 2, 1_000))
    found = [
        (place + chance.random() * late, message)
        for place, message in enumerate(venue.messages)
        for _ in range(chance.choice((1, 1, 1, 2, 3)))
    ]
    found.sort(key=lambda each: each[0])
    return [varied(message, chance) for _, message in found]


def varied(message: dict[int, Any], chance: random.Random) -> Any:  # noqa: ANN401 - a message as it arrives
    left_out = chance.choice((*ECHOED, None, None))
    return {chance.choice((int, str))(tag): value for tag, value in message.items() if tag != left_out}


def opened(store: EventStore) -> Book:
    book = projections.open(store, snapshots=False)
    book.append(f"account/{ACCOUNT}/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
    definition = ContractDefined(symbol="MNQH6", multiplier=Decimal(2), tick_size=Decimal(1), currency="USD")
    book.append("contract/-/MNQH6", definition)
    return book


def problems(book: Book, venue: Venue) -> list[str]:
    """Return where a book is not what the venue says."""
    found = [problem for order in venue.orders for problem in order_problems(book, order)]
    position = book.positions.get(ACCOUNT, "MNQH6")
    if position.quantity != venue.position:
        found.append(f"position {position.quantity}, not {venue.position}")
    kept = {trade_id for order in venue.orders for trade_id in order.trades}
    paid = sum((fee for trade_id, fee in venue.fees.items() if trade_id in kept), Decimal(0))
    fees = position.fees
    return found if fees == paid else [*found, f"fees {fees}, not {paid}"]


def order_problems(book: Book, order: VenueOrder) -> list[str]:
    known = book.orders.by_broker_id(ACCOUNT, f"O-{order.number}")
    if known is None:
        return [f"order {order.number} is missing"]
    leaves = 0 if order.code in "24C" else order.quantity - order.filled
    expected: tuple[object, ...] = (CODES[order.code], order.filled, leaves, order.quantity, order.price)
    figures: tuple[object, ...] = (known.status, known.cumulative, known.leaves, known.quantity, known.limit_price)
    average = None if known.average_price is None else known.average_price.quantize(Decimal("1e-9"))
    right = None if order.average is None else order.average.quantize(Decimal("1e-9"))
    if figures == expected and average == right and known.unexplained == 0:
        return []
    return [f"order {order.number}: {figures} at {average}, not {expected} at {right} ({known.unexplained})"]


@pytest.mark.slow
def test_messages_that_come_twice_late_and_shuffled_end_in_the_venues_book() -> None:
    for seed in rounds("fix messages", test=200, prove=20_000):
        chance = random.Random(seed)
        venue = Venue(chance)
        for _ in range(chance.randint(3, 14)):
            venue.step()
        clock = ManualClock(int(BEGIN.timestamp()) * 10**9 + 3_600 * 10**9)
        with EventStore(MemoryJournal(), clock=clock) as store, opened(store) as book:
            own: dict[str, str] = {}
            if chance.random() < 0.5:
                own = {message[11]: "C-1" for message in venue.messages if message[37] == "O-1"}
                first = venue.messages[0]
                side = Side.BUY if first[54] == "1" else Side.SELL
                submitted = OrderSubmitted(symbol="MNQH6", side=side, quantity=Decimal(first[38]))
                book.append(f"order/{ACCOUNT}/C-1", submitted, occurred_at=int(BEGIN.timestamp()) * 10**9)
            recorder = Recorder(book, Fix(orders=own))
            for message in arriving(venue, chance):
                recorder.record(message)
                clock.advance(1)
            assert problems(book, venue) == [], venue.messages
            assert recorder.counts.unmapped == 0
            # What is folded at once, as after a restart, is the same.
            with projections.open(store, snapshots=False) as again:
                assert problems(again, venue) == []
