"""The reference models of reports that are late, repeated, reconciled or about unknown trades, against examples."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from tests.reference.examples import Timed, adjust, after, bust, correct, figures, fill


def test_a_fill_that_a_reconciliation_stood_for_keeps_its_figures_when_a_split_has_scaled_it() -> None:
    # A's report of 1 @ 100 before a trip that is fixed comes after 4 became 8 and were reconciled away: there it is
    # 2 @ 50, and makes 10 on lots @ 45; as it was reported, it is still 1 @ 100.
    trip: list[Timed] = [(2, fill("Y", 1, 90)), (3, fill("Z", -1, 90))]
    gap: list[Timed] = [(5, fill("B", 4, 90)), (6, adjust(4, "SPLIT")), (7, adjust(-8, "RECONCILED"))]
    account = after(*trip, *gap, (1, fill("A", -1, 100)))
    assert [each.quantity for each in account.executions.all if each.id == "A"] == [-1]
    assert figures(account)[:3] == (0, 10, 10)


def test_what_a_reconciliation_stood_for_is_given_back_when_the_fill_moves() -> None:
    # Seen without a time at minute 3, it happened at 1: the broker's quantity after minute 5 is still 0.
    gap: list[Timed] = [(0, fill("A", 2, 100)), (5, adjust(-2, "RECONCILED"))]
    seen = replace(fill("B", -2, 110), timed=False)
    account = after(*gap, (3, seen), (1, fill("B", -2, 110)))
    assert figures(account) == (0, 20, 20, 0, 0)


def test_a_correction_between_two_alike_keeps_the_second_from_being_a_repetition() -> None:
    # 1 @ 110 is said twice of an unknown trade, and 1 @ 120 in between by its id: the second time restores it.
    first = correct("T", 1, 110, symbol="ES", side=1, before=(Decimal(1), Decimal(100)))
    facts = [first, correct("T", 1, 120, symbol="ES"), correct("T", 1, 110, symbol="ES")]
    account = after((0, fill("O", 5, 100)), *facts, (1, fill("T", 1, 100)))
    assert figures(account) == (6, 0, 0, 610, 610)


def test_a_trade_that_happened_earlier_than_it_seemed_takes_what_was_recorded_before_it() -> None:
    # Recorded at minute 5 without a time, T was busted at 3; it happened at 1.
    late = replace(fill("T", 1, 100), timed=False)
    account = after((0, fill("O", 5, 100)), (3, bust("T")), (5, late), (1, fill("T", 1, 100)))
    assert figures(account)[0] == 5
    assert account.marks("ES") == set()
