"""Adjustments whose members do not apply to their reason: refused when appended, readable where they are stored."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

import eventstore
import projections
from eventstore import Batch, Event, EventStore, InvalidEvent, trading
from eventstore.events import decode
from eventstore.journal import append
from eventstore.journals.memory import MemoryJournal
from eventstore.record import Draft, PreparedBatch
from eventstore.trading import AdjustmentReason

STREAM = "position/A/ESZ5"
NO_PRICE = "quantity of 0 without a price changes nothing"
LATER = "only RECONCILED and EXPIRY are given their price later"


def adjusted(quantity: int, reason: AdjustmentReason, price: Any = None) -> Event:  # noqa: ANN401 - anything wrong
    given = price if price is None or not isinstance(price, str) else Decimal(price)
    return trading.PositionAdjusted(symbol="ESZ5", quantity=Decimal(quantity), reason=reason, price=given)


WRONG = [
    *[(0, reason, None, NO_PRICE) for reason in AdjustmentReason],
    *[(0, reason, "1", LATER) for reason in ("OPENING", "ASSIGNMENT", "TRANSFER")],
    *[(quantity, "SPLIT", price, "a SPLIT has no price") for quantity in (0, 1, -1) for price in ("0", "50")],
    *[(1, reason, "NaN", "price = NaN: expected a finite number") for reason in AdjustmentReason],
]
RIGHT = [
    *[(quantity, reason, None) for reason in AdjustmentReason for quantity in (1, -1)],
    *[(1, reason, price) for reason in AdjustmentReason if reason != "SPLIT" for price in ("50", "0", "-37.63")],
    *[(0, reason, price) for reason in ("RECONCILED", "EXPIRY") for price in ("50", "0", "-37.63")],
]


@pytest.fixture
def store() -> Any:  # noqa: ANN401 - an iterator of a store
    with EventStore(MemoryJournal()) as opened:
        yield opened


@pytest.mark.parametrize(("quantity", "reason", "price", "advice"), WRONG)
def test_an_adjustment_with_a_member_that_does_not_apply_is_refused(
    store: EventStore, quantity: int, reason: str, price: str | None, advice: str
) -> None:
    event = adjusted(quantity, AdjustmentReason(reason), price)
    with pytest.raises(InvalidEvent, match=rf"PositionAdjusted.*{advice}"):
        store.append(STREAM, event)
    # Among others, and by a book: nothing of the batch is written.
    right = adjusted(1, AdjustmentReason.OPENING)
    with pytest.raises(InvalidEvent, match=advice):
        store.append(STREAM, [right, event])
    with projections.open(store) as book, pytest.raises(InvalidEvent, match=advice):
        book.append_many([Batch(STREAM, right), Batch(STREAM, event)])
    assert store.head() == 0


@pytest.mark.parametrize(("quantity", "reason", "price"), RIGHT)
def test_what_applies_is_stored(store: EventStore, quantity: int, reason: str, price: str | None) -> None:
    event = adjusted(quantity, AdjustmentReason(reason), price)
    (record,) = store.append(STREAM, event)
    assert record.event == event


OLD = [(0, "RECONCILED", None), (0, "TRANSFER", "1"), (1, "SPLIT", "1")]


@pytest.mark.parametrize(("quantity", "reason", "price"), OLD)
def test_what_was_stored_before_is_read_and_folded(quantity: int, reason: str, price: str | None) -> None:
    journal, wrong = MemoryJournal(), adjusted(quantity, AdjustmentReason(reason), price)
    with EventStore(journal) as store, projections.open(store) as book:
        (first,) = book.append("order/A/O-1", fill())
        # As an earlier version wrote it.
        old = Draft(
            bytes(16), STREAM, "PositionAdjusted", 1, first.occurred_at + 1, msgspec.json.encode(wrong), "", "",
            None, None,
        )  # fmt: skip
        append(journal, [PreparedBatch(STREAM, [old], None)])
        book.refresh()
        assert decode(old) == wrong
        assert book.parked == {}
        assert book.positions.get("A", "ESZ5").quantity == 2 + quantity


def fill() -> Event:
    return trading.OrderFilled(
        trade_id="T-1", symbol="ESZ5", side=trading.Side.BUY, quantity=Decimal(2), price=Decimal(50)
    )


def test_an_event_of_ones_own_may_say_what_does_not_fit(store: EventStore) -> None:
    @eventstore.event(problem_of=lambda event: "low is above high" if event.low > event.high else None)
    class RangeSeen(Event, frozen=True, kw_only=True):
        low: int
        high: int

    (record,) = store.append("range/A/1", RangeSeen(low=1, high=2))
    with pytest.raises(InvalidEvent, match=r"^RangeSeen: low is above high$"):
        store.append("range/A/1", [RangeSeen(low=1, high=2), RangeSeen(low=3, high=2)])
    assert store.head() == record.position
