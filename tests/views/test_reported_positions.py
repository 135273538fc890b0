"""A broker's report of a position: its time, and whether a fill came after it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from eventstore import Event
from eventstore.trading import PositionAdjusted, PositionReported, TradeBusted, TradeCorrected
from projections.views.executions.positions import Position
from tests.views.position_folding import Folding, adjusted, fill


def reported(quantity: int) -> PositionReported:
    return PositionReported(symbol="ESZ5", quantity=Decimal(quantity))


def position_after(*events: tuple[Event, int]) -> Position:
    """Return the position after events that each happened so many seconds after the first."""
    book = Folding()
    for event, second in events:
        stream = "position/A/ESZ5" if isinstance(event, PositionReported | PositionAdjusted) else "order/A/O-1"
        book.add(stream, event, occurred_at=second)
    return book.positions.get("A", "ESZ5")


def test_without_a_report_there_is_no_time_of_it() -> None:
    position = position_after((fill("T1", 2, 100), 1))
    assert (position.reported, position.reported_at, position.superseded) == (None, None, False)


def test_a_report_has_its_own_time() -> None:
    position = position_after((fill("T1", 2, 100), 1), (reported(3), 9))
    assert (position.reported_at, position.superseded, position.difference) == (9, False, Decimal(1))


@pytest.mark.parametrize("quantity", [1, -1, -2])
def test_a_fill_after_it_supersedes_it_whatever_the_fill_makes_of_the_position(quantity: int) -> None:
    position = position_after((fill("T1", 2, 100), 1), (reported(3), 2), (fill("T2", quantity, 100), 3))
    assert position.superseded


def test_a_fill_that_happened_after_it_supersedes_it_though_the_report_came_late() -> None:
    assert position_after((fill("T1", 2, 100), 5), (reported(3), 2)).superseded
    assert not position_after((fill("T1", 2, 100), 5), (reported(3), 5)).superseded


def test_a_fill_recorded_after_it_supersedes_it_whenever_it_happened() -> None:
    assert position_after((reported(2), 5), (fill("T1", 2, 100), 1)).superseded


def test_a_new_report_is_not_superseded() -> None:
    position = position_after((reported(2), 1), (fill("T1", 2, 100), 2), (reported(2), 3))
    assert (position.superseded, position.difference) == (False, Decimal(0))


def test_an_adjustment_to_what_was_reported_leaves_the_report_and_another_supersedes_it() -> None:
    events = [(fill("T1", 2, 100), 1), (reported(3), 2)]
    assert not position_after(*events, (adjusted(1, "RECONCILED"), 3)).superseded
    assert position_after(*events, (adjusted(-2, "EXPIRY"), 3)).superseded


def test_a_bust_or_correction_that_changes_the_position_supersedes_it() -> None:
    events = [(fill("T1", 2, 100), 1), (fill("T2", 1, 100), 2), (reported(3), 3)]
    assert position_after(*events, (TradeBusted(trade_id="T2"), 4)).superseded
    corrected = TradeCorrected(trade_id="T2", quantity=Decimal(1), price=Decimal(101))
    assert not position_after(*events, (corrected, 4)).superseded


def test_a_report_of_a_position_that_was_never_held_stands() -> None:
    position = position_after((reported(3), 2))
    assert (position.quantity, position.reported, position.superseded, position.difference) == (
        Decimal(0),
        Decimal(3),
        False,
        Decimal(3),
    )


def test_an_older_report_that_is_recorded_later_replaces_no_newer_one() -> None:
    book = Folding()
    book.fills(fill("T1", 2, 100))
    for at, quantity in ((30, 3), (20, 2)):
        report = PositionReported(symbol="ESZ5", quantity=Decimal(quantity))
        book.deliver(book.record("position/A/ESZ5", report, occurred_at=at, recorded_at=40))
    position = book.positions.get("A", "ESZ5")
    assert (position.reported, position.reported_at, position.difference) == (Decimal(3), 30, Decimal(1))


def test_a_report_from_a_clock_that_runs_ahead_is_replaced_by_the_next_one() -> None:
    book = Folding()
    for at, recorded_at, quantity in ((9_000, 30, 3), (40, 41, 2)):
        report = PositionReported(symbol="ESZ5", quantity=Decimal(quantity))
        book.deliver(book.record("position/A/ESZ5", report, occurred_at=at, recorded_at=recorded_at))
    assert book.positions.get("A", "ESZ5").reported == 2
