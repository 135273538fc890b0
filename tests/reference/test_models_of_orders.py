"""The reference models of orders, round trips and counts, against examples computed by hand."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from tests.reference.examples import FIRST, NOON, adjust, after, bust, correct, define, fill, trips_of
from tests.reference.facts import Fact
from tests.reference.orders import Orders
from tests.reference.round_trips import executions_by_day, trips_by_day, volume


def word(kind: str, order: str = "O-1", quantity: int | None = None, reason: str = "") -> Fact:
    return Fact(
        kind, 0, 0, stream=f"order/{order}", quantity=None if quantity is None else Decimal(quantity), reason=reason
    )


def part(trade_id: str, quantity: int, price: int, order: str = "O-1") -> Fact:
    return fill(trade_id, quantity, price, stream=f"order/{order}")


def order_after(*facts: Fact, order: str = "O-1") -> tuple[Any, ...]:
    """Return status, cumulative, leaves and average price."""
    account = Orders()
    for log, fact in enumerate(facts, 1):
        account.apply(replace(fact, log=log, at=FIRST + NOON + log))
    figures = account.get(order)
    return figures.status, figures.cumulative, figures.leaves, figures.average_price


WORKING = (word("SUBMIT", quantity=5), word("ACCEPT"))


def test_an_order_goes_from_pending_to_filled() -> None:
    assert order_after(word("SUBMIT", quantity=5)) == ("PENDING_NEW", 0, 5, None)
    assert order_after(*WORKING) == ("NEW", 0, 5, None)
    # (2 x 100 + 1 x 130) / 3 = 110.
    partly = (*WORKING, part("A", 2, 100), part("B", 1, 130))
    assert order_after(*partly) == ("PARTIALLY_FILLED", 3, 2, 110)
    assert order_after(*partly, word("CANCEL_REQUEST")) == ("PENDING_CANCEL", 3, 2, 110)
    # (330 + 2 x 110) / 5 = 110.
    assert order_after(*partly, part("C", 2, 110)) == ("FILLED", 5, 0, 110)
    assert order_after(*partly, word("CANCEL")) == ("CANCELED", 3, 0, 110)


def test_a_bust_of_a_filled_order_leaves_nothing_to_be_filled_until_the_venue_says_so() -> None:
    filled = (word("SUBMIT", quantity=1), word("ACCEPT"), part("A", -1, 100), bust("A"))
    assert order_after(*filled) == ("FILLED", 0, 0, None)
    assert order_after(*filled, word("REPORT", reason="NEW")) == ("NEW", 0, 1, None)
    assert order_after(*filled, word("REPORT", reason="NEW"), part("B", -1, 90)) == ("FILLED", 1, 0, 90)


def test_an_acceptance_opens_a_busted_order_and_none_that_was_only_reported_as_filled() -> None:
    filled = (word("SUBMIT", quantity=3), word("ACCEPT"), part("A", 3, 100), bust("A"))
    assert order_after(*filled, word("ACCEPT")) == ("NEW", 0, 3, None)
    assert order_after(*filled, word("REPORT", reason="FILLED"), word("ACCEPT")) == ("FILLED", 0, 0, None)
    assert order_after(*filled, word("REPORT", reason="PENDING_CANCEL")) == ("PENDING_CANCEL", 0, 0, None)
    reported = (word("SUBMIT", quantity=3), word("REPORT", reason="FILLED"), word("ACCEPT"))
    assert order_after(*reported) == ("FILLED", 0, 0, None)


def test_a_report_is_believed_unless_all_is_filled() -> None:
    assert order_after(*WORKING, word("CANCEL"), word("REPORT", reason="NEW")) == ("NEW", 0, 5, None)
    assert order_after(*WORKING, word("REPORT", reason="PARTIALLY_FILLED")) == ("PARTIALLY_FILLED", 0, 5, None)
    assert order_after(*WORKING, part("A", 5, 100), word("REPORT", reason="NEW")) == ("FILLED", 5, 0, 100)
    assert order_after(*WORKING, part("A", 5, 100), word("REPORT", reason="CANCELED")) == ("FILLED", 5, 0, 100)


def test_a_bust_of_a_working_order_leaves_more_to_be_filled() -> None:
    assert order_after(*WORKING, part("A", 2, 100), part("B", 1, 130), bust("A")) == ("PARTIALLY_FILLED", 1, 4, 130)


def test_a_correction_replaces_an_orders_fill() -> None:
    # 3 @ 90 instead of 2 @ 100, and 1 @ 130: (270 + 130) / 4 = 100.
    facts = (*WORKING, part("A", 2, 100), part("B", 1, 130), correct("A", 3, 90))
    assert order_after(*facts) == ("PARTIALLY_FILLED", 4, 1, 100)


def test_a_fill_reported_under_another_order_id_counts_for_the_first() -> None:
    facts = (*WORKING, part("A", 2, 100), part("A", 2, 100, order="BROKER-77"))
    assert order_after(*facts) == ("PARTIALLY_FILLED", 2, 3, 100)
    assert order_after(*facts, order="BROKER-77") == ("UNKNOWN", 0, None, None)


def test_a_bust_under_another_name_is_of_the_orders_fill() -> None:
    again = fill("A", 2, 100, symbol="CON.ES", stream="trade/A")
    facts = (*WORKING, part("A", 2, 100), again, bust("A", symbol="CON.ES", stream="trade/A"))
    assert order_after(*facts) == ("PARTIALLY_FILLED", 2, 3, 100)
    assert order_after(*facts, define(names=("CON.ES",))) == ("NEW", 0, 5, None)


def test_a_trade_without_an_order_counts_for_the_order_that_is_reported_later() -> None:
    trade = replace(part("A", 2, 100), kind="TRADE", stream="trade/A")
    assert order_after(*WORKING, trade) == ("NEW", 0, 5, None)
    assert order_after(*WORKING, trade, part("A", 2, 100)) == ("PARTIALLY_FILLED", 2, 3, 100)


def test_a_fill_after_the_cancel_counts_and_does_not_reopen() -> None:
    assert order_after(*WORKING, word("CANCEL"), part("A", 2, 100)) == ("CANCELED", 2, 0, 100)


def test_an_order_is_replaced_and_reduced() -> None:
    asked = (*WORKING, part("A", 2, 100), word("REPLACE_REQUEST", quantity=9))
    assert order_after(*asked) == ("PENDING_REPLACE", 2, 3, 100)
    assert order_after(*asked, word("REPLACE", quantity=9)) == ("PARTIALLY_FILLED", 2, 7, 100)
    # Below what is filled, it is raised to that: nothing is left.
    assert order_after(*asked, word("REPLACE", quantity=1)) == ("FILLED", 2, 0, 100)
    assert order_after(*WORKING, word("REDUCE", quantity=2)) == ("NEW", 0, 3, None)
    assert order_after(*WORKING, word("REDUCE", quantity=5)) == ("CANCELED", 0, 0, None)


def test_a_round_trip_ends_when_the_position_is_flat_or_goes_through_it() -> None:
    # 2 @ 100 sold @ 110: 20, with the whole fee of the reversing fill. Then -1 @ 110 bought @ 105: 5.
    account = after(define(), fill("A", 2, 100, fee=Decimal(1)), fill("B", -3, 110, fee=Decimal(2)), fill("C", 1, 105))
    assert trips_of(account) == [(20, {"": 3}), (5, {})]
    assert trips_by_day(account, []) == {"~2026-01-05": 2}


def test_a_round_trip_with_an_unpriced_part_has_an_unknown_result() -> None:
    account = after((0, fill("A", 2, 100)), (5, adjust(-2, "RECONCILED")))
    assert trips_of(account) == [(None, {})]
    # The fill that was missing: 2 x (90 - 100).
    assert trips_of(after((0, fill("A", 2, 100)), (5, adjust(-2, "RECONCILED")), (1, fill("B", -2, 90)))) == [(-20, {})]


def test_a_late_fill_joins_the_round_trip_it_belongs_to() -> None:
    # In order +1, +1, -2: one trip of 2 x 120 - 100 - 110 = 30.
    account = after((0, fill("A", 1, 100)), (2, fill("C", -2, 120)), (1, fill("B", 1, 110)))
    assert trips_of(account) == [(30, {})]


def test_a_corrected_price_counts_for_the_round_trip_of_its_trade() -> None:
    # The first trip made 10 and, bought @ 95, 15; the second, in progress, is none of its business.
    account = after(fill("A", 1, 100), fill("B", -1, 110), fill("C", 1, 120), correct("A", 1, 95), fill("D", -1, 121))
    assert trips_of(account) == [(15, {}), (1, {})]


def test_a_bust_that_undoes_the_closing_undoes_the_round_trip() -> None:
    assert trips_of(after(fill("A", 1, 100), fill("B", -1, 110), bust("B"))) == []


def test_a_split_changes_no_round_trip() -> None:
    # 2 @ 100, split into 4, sold @ 60: 240 - 200.
    assert trips_of(after(fill("A", 2, 100), adjust(2, "SPLIT"), fill("B", -4, 60))) == [(40, {})]


def test_executions_are_counted_once_and_busted_ones_too() -> None:
    account = after(
        fill("A", 2, 100), fill("A", 2, 100, stream="trade/A"), fill("B", -1, 110), fill("C", 4, 90), bust("C")
    )
    assert executions_by_day(account, []) == {"~2026-01-05": 3}
    # What counts: 2 executions, 2 bought and 1 sold; 1 busted.
    assert volume(account, "ES") == (2, Decimal(2), Decimal(1), 1)
