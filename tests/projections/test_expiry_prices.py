"""Expiries without a price are marked, on the position and on the day, until somebody states the price."""

# A Decimal equals the int that stands for it here, which mypy does not know of members of a tuple.
# mypy: disable-error-code="comparison-overlap"

from collections.abc import Iterator
from decimal import Decimal

import pytest

import projections
from eventstore import Event, EventStore, ManualClock, trading
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import AdjustmentReason, PositionSide
from projections import Book
from projections.views.executions.anomalies import TradeAnomalyKind
from tests.projections.reconciling import NOON, ORDER, SECOND
from tests.views.position_folding import LONG, fill

OPTION, STREAM = "E3D Z6 C7000", "position/A/E3D Z6 C7000"
DAY = 86_400 * SECOND
EXPIRY, RECONCILED = AdjustmentReason.EXPIRY, AdjustmentReason.RECONCILED


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def book(clock: ManualClock) -> Iterator[Book]:
    with EventStore(MemoryJournal(clock=clock), clock=clock) as store, projections.open(store) as opened:
        opened.append(f"contract/-/{OPTION}", trading.ContractDefined(symbol=OPTION, multiplier=Decimal(50)))
        opened.append(ORDER, fill("T-1", 2, 10, OPTION))
        clock.advance(DAY)
        yield opened


def expired(
    quantity: int, price: int | None = None, reason: AdjustmentReason = EXPIRY, side: PositionSide = PositionSide.NET
) -> Event:
    given = None if price is None else Decimal(price)
    return trading.PositionAdjusted(
        symbol=OPTION, quantity=Decimal(quantity), reason=reason, price=given, position_side=side
    )


def found(book: Book) -> tuple[Decimal, Decimal, bool, list[tuple[str, Decimal, int]]]:
    """Return quantity, money realized, whether that is marked, and each day's money and changes without a price."""
    position = book.positions.get("A", OPTION)
    days = [(name, total.realized, total.unpriced) for name, totals in book.pnl.days("A") for total in totals]
    is_marked = any(each.kind is TradeAnomalyKind.UNPRICED for each in position.anomalies)
    assert is_marked is position.is_uncertain
    return position.quantity, position.realized, is_marked, days


MARKED = (0, 0, True, [("~2025-07-21", 0, 0), ("~2025-07-22", 0, 1)])
WORTHLESS = (0, -1_000, False, [("~2025-07-21", 0, 0), ("~2025-07-22", -1_000, 0)])


def test_an_expiry_without_a_price_realizes_nothing_and_is_marked(book: Book) -> None:
    book.append(STREAM, expired(-2))
    assert found(book) == MARKED


def test_a_price_of_0_says_worthless(book: Book) -> None:
    book.append(STREAM, expired(-2, 0))
    assert found(book) == WORTHLESS


@pytest.mark.parametrize("again", [0, 1])
def test_the_price_is_stated_later_and_counts_on_the_day_of_the_expiry(
    book: Book, clock: ManualClock, again: int
) -> None:
    book.append(STREAM, expired(-2))
    clock.advance(DAY)
    book.append(STREAM, expired(0, 0))
    # Once it is stated, another one changes nothing.
    book.append(STREAM, [expired(0, 90)] * again or [expired(0, 0)])
    assert found(book) == WORTHLESS


def test_the_price_may_be_stated_after_the_contract_is_traded_again(book: Book, clock: ManualClock) -> None:
    book.append(STREAM, expired(-2))
    clock.advance(DAY)
    book.append("order/A/O-2", [fill("T-2", 1, 20, OPTION), fill("T-3", -1, 21, OPTION)])
    assert found(book)[1:3] == (50, True)
    book.append(STREAM, expired(0, 0))
    assert found(book)[1:3] == (-950, False)


def test_each_expiry_of_several_is_marked_and_priced(book: Book) -> None:
    book.append(STREAM, [expired(-1), expired(-1)])
    assert found(book)[3][1] == ("~2025-07-22", 0, 2)
    book.append(STREAM, expired(0, 0))
    assert found(book) == WORTHLESS


def test_a_price_that_is_not_of_this_expiry_leaves_it_marked(book: Book) -> None:
    # Stated before there was one, for another reason, for another side, for another contract.
    book.append(STREAM, [expired(0, 0), expired(-2), expired(0, 0, RECONCILED), expired(0, 0, side=LONG)])
    other = trading.PositionAdjusted(symbol="ESZ6", quantity=Decimal(0), price=Decimal(0), reason=EXPIRY)
    book.append("position/A/ESZ6", other)
    assert found(book) == MARKED


def test_a_sale_before_the_expiry_that_is_recorded_late_leaves_the_rest_marked(book: Book) -> None:
    book.append(STREAM, expired(-2))
    book.append("order/A/O-2", fill("T-2", -1, 12, OPTION), occurred_at=NOON + SECOND)
    # 1 was sold @ 12, then 1 expired and 1 is short, at no known price.
    quantity, realized, is_marked, days = found(book)
    assert (quantity, realized, is_marked) == (-1, 100, True)
    assert days[1][2] == 1
