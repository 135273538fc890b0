"""Fills, round trips, days and orders of random histories, compared with the book: at the end and in the past."""

from __future__ import annotations

import decimal
import random
from decimal import Decimal
from pathlib import Path

import pytest

import projections
from projections.analysis import keeping
from projections.analysis.executions import Executions, executions_of
from projections.analysis.keeping import Keep
from projections.analysis.round_trips import RoundTripRow, rows_of, trips_of
from projections.analysis.sources import selection_of
from projections.analysis.trip_items import TripItems
from projections.decimals import FIXED
from projections.views.executions import ledger, state, window
from projections.views.executions.items import ItemKind
from projections.views.executions.trip import RoundTrip
from projections.views.executions.view import ExecutionsView
from projections.views.orders.view import OrdersView
from tests.analysis.booked import Frames, problems
from tests.projections import histories
from tests.proving import rounds
from tests.reference.compared import Compared, recorded

pytestmark = pytest.mark.untraced


def test_frames_of_reports_in_any_order_are_what_the_book_says(memory_path: Path) -> None:
    for seed in rounds("frames against the book", test=12, prove=5_000):
        both = Compared(recorded(seed, 40), memory_path / f"{seed}.sqlite")
        assert problems(both.book, Frames(both.store)) == []
        position = random.Random(seed).randint(1, both.store.head())
        past = projections.as_of(both.store, position=position)
        assert problems(past, Frames(both.store, position)) == []
        both.close()


def test_frames_of_events_of_any_kind_are_what_the_book_says() -> None:
    for seed in rounds("frames of any events against the book", test=10, prove=5_000):
        chance = random.Random(seed)
        with histories.store_of(histories.history(chance, 300)) as store:
            with projections.open(store, snapshots=False) as book:
                assert problems(book, Frames(store)) == []
            position = chance.randint(1, store.head())
            assert problems(projections.as_of(store, position=position), Frames(store, position)) == []


def test_a_frame_of_one_account_has_the_rows_of_that_account(memory_path: Path) -> None:
    for seed in rounds("frames of one account", test=3, prove=1_000):
        both = Compared(recorded(seed, 40), memory_path / f"{seed}.sqlite")
        whole, alone = Frames(both.store), Frames(both.store, account="A")
        for name in ("fills", "reports", "trips", "days", "orders"):
            assert getattr(alone, name) == [row for row in getattr(whole, name) if row.account == "A"]
        both.close()


def test_frames_keep_what_the_state_lets_go(memory_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "WINDOW_MAX", 6)
    monkeypatch.setattr(window, "RECONCILED_MAX", 2)
    monkeypatch.setitem(ExecutionsView.__init__.__kwdefaults__ or {}, "trades_max", 8)
    for seed in rounds("frames against the book at limits", test=8, prove=5_000):
        both = Compared(recorded(seed, 60), memory_path / f"{seed}.sqlite")
        assert problems(both.book, Frames(both.store), is_bounded=True) == []
        both.close()


def test_frames_of_round_trips_keep_those_beyond_the_last_ones(
    memory_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in rounds("round trips beyond the last", test=5, prove=2_000):
        both = Compared(recorded(seed, 60), memory_path / f"{seed}.sqlite")
        expected = Frames(both.store).trips
        with monkeypatch.context() as bounded:
            # What a fee or a correction changes of a round trip that is not remembered is not known any more.
            bounded.setattr(state, "TRIPS_MAX", 2)
            bounded.setattr(keeping, "TRIPS_MAX", 2)
            made = Frames(both.store).trips
        assert [each[:9] for each in made] == [each[:9] for each in expected]
        both.close()


def test_orders_beyond_the_bounds_of_the_state_are_what_the_book_says(
    memory_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in rounds("orders beyond the bounds", test=6, prove=5_000):
        both = Compared(recorded(seed, 60), memory_path / f"{seed}.sqlite")
        with monkeypatch.context() as bounded:
            bounded.setattr(OrdersView.__init__, "__defaults__", (3, 2, None))
            frames = Frames(both.store)
        assert problems(both.book, frames) == []
        both.close()


def test_days_beyond_the_ledgers_bound_are_what_they_are_within_it(
    memory_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in rounds("days beyond the bound", test=5, prove=2_000):
        both = Compared(recorded(seed, 60), memory_path / f"{seed}.sqlite")
        expected = Frames(both.store).days
        with monkeypatch.context() as bounded:
            bounded.setattr(ledger, "DAYS_MAX", 2)
            made = Frames(both.store).days
        # Which day a late entry belongs to is not known any more, but every sum is somewhere.
        for name in ("realized", "fees", "net", "trades"):
            sums = [sum((getattr(each, name) or 0 for each in rows), Decimal(0)) for rows in (made, expected)]
            assert sums[0] == sums[1], name
        both.close()


def test_what_each_record_realized_adds_up_to_the_days(memory_path: Path) -> None:
    for seed in rounds("what records realized", test=12, prove=2_000):
        both = Compared(recorded(seed, 40), memory_path / f"{seed}.sqlite")
        with decimal.localcontext(FIXED):
            for executions in executions_of(both.store, selection_of(both.store), Keep.FILLS, progress=False):
                # One number of several currencies says nothing, but it must be the same one.
                each = executions.realized().values()
                days = [total for _, totals in both.book.pnl.days(executions.account) for total in totals]
                known, unpriced = [one for one in each if one is not None], sum(day.unpriced for day in days)
                assert len(each) - len(known) <= unpriced
                if not unpriced:
                    expected = sum((day.realized for day in days), Decimal(0))
                    assert abs(sum(known, Decimal(0)) - expected) < Decimal("1e-12")
        both.close()


def test_the_prices_of_a_round_trip_are_what_it_made(memory_path: Path) -> None:
    """A correction of a trade of an earlier round trip is in the result, and in no price."""
    for seed in rounds("prices of round trips", test=12, prove=2_000):
        both = Compared(recorded(seed, 40), memory_path / f"{seed}.sqlite")
        with decimal.localcontext(FIXED):
            for executions in executions_of(both.store, selection_of(both.store), Keep.ITEMS, progress=False):
                pairs = zip(trips_of(executions), rows_of(executions), strict=True)
                wrong = [row for (trip, items), (_, row) in pairs if not _is_explained(trip, items, row, executions)]
                assert wrong == []
        both.close()


def _is_explained(trip: RoundTrip, items: TripItems, row: RoundTripRow, executions: Executions) -> bool:
    multiplier = executions.result_of(trip).terms.multiplier
    if row.gross is None or row.entry_price is None or row.exit_price is None or multiplier is None:
        return True
    if any(item.inverse for item in items.items):
        return True
    points = (row.exit_price - row.entry_price) * row.quantity * (1 if row.direction == "LONG" else -1)
    booked = [each for each in items.items if each.kind is ItemKind.REPRICE and each.trip in {0, trip.number}]
    points += sum((each.quantity * (each.price or 0) for each in booked), Decimal(0))
    return abs(points * multiplier - row.gross) < Decimal("1e-20")
