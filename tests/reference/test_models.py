"""The reference models alone, against examples computed by hand; each derivation is in a comment."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from tests.reference.days import Money, money
from tests.reference.examples import DAY, FIRST, Timed, after, bust, correct, define, figures, fill, made
from tests.reference.facts import SECOND, Fact
from tests.reference.positions import Positions

# Lots, average cost, reversals.


def test_lots_close_first_in_first_out_and_average_cost_takes_the_mean() -> None:
    # FIFO: 120 - 100 = 20, left 1 @ 110. Average: (100 + 110) / 2 = 105, 120 - 105 = 15, left 1 @ 105.
    assert figures(after(fill("A", 1, 100), fill("B", 1, 110), fill("C", -1, 120))) == (1, 20, 15, 110, 105)


def test_a_fill_through_flat_closes_all_and_opens_the_rest_at_its_price() -> None:
    # 2 x (110 - 100) = 20; the third sold is open: -1 @ 110.
    assert figures(after(fill("A", 2, 100), fill("B", -3, 110))) == (-1, 20, 20, -110, -110)


def test_a_short_position_makes_what_its_price_falls() -> None:
    # 2 sold @ 100, 1 bought @ 90: 100 - 90 = 10; open -1 @ 100.
    assert figures(after(fill("A", -2, 100), fill("B", 1, 90))) == (-1, 10, 10, -100, -100)


def test_long_and_short_sides_are_held_apart_and_marked_if_closed_beyond_flat() -> None:
    account = after(fill("A", 2, 100, held="LONG"), fill("B", -1, 120, held="SHORT"), fill("C", 3, 110, held="SHORT"))
    # SHORT: -1 @ 120 closed @ 110 makes 10, and 2 too many are bought @ 110.
    assert figures(account, side="LONG") == (2, 0, 0, 200, 200)
    assert figures(account, side="SHORT") == (2, 10, 10, 220, 220)
    assert account.marks("ES", "SHORT") == {"OVERCLOSED"}
    assert figures(account) == (0, 0, 0, 0, 0)


def test_currencies_are_never_added() -> None:
    account = after(
        define(multiplier=50),
        define("FDAX", 25, "EUR"),
        fill("A", 1, 100, fee=Decimal(2)),
        fill("B", -1, 110, fee=Decimal(2)),
        fill("C", 1, 200, symbol="FDAX", fee=Decimal(3)),
        fill("D", -1, 190, symbol="FDAX", fee=Decimal(1), currency="USD"),
    )
    # ES: 10 x 50 = 500 dollars, fees 2 + 2. FDAX: -10 x 25 = -250 euros, fee 3 in its own currency; 1 dollar more.
    assert money(account, []) == {
        ("~2026-01-05", "USD"): Money(Fraction(500), Fraction(500), Fraction(5)),
        ("~2026-01-05", "EUR"): Money(Fraction(-250), Fraction(-250), Fraction(3)),
    }


# Identity.


def test_one_execution_under_two_order_ids_and_as_a_trade_counts_once() -> None:
    again = fill("X", 2, 100, stream="order/BROKER-77")
    account = after(fill("X", 2, 100), again, replace(again, kind="TRADE", stream="trade/X"))
    assert figures(account)[0] == 2
    assert not account.is_uncertain("ES")
    assert account.executions.all[0].order == "O-X"


def test_one_id_in_another_contract_is_another_trade() -> None:
    account = after(fill("X", 2, 100), fill("X", 2, 100, symbol="NQ"))
    assert (figures(account)[0], figures(account, "NQ")[0]) == (2, 2)


def test_one_id_on_the_other_side_is_another_trade() -> None:
    # Bought 2 @ 100 and sold 2 @ 100: flat, and two executions.
    account = after(fill("X", 2, 100), fill("X", -2, 100))
    assert (figures(account)[0], len(account.executions.all)) == (0, 2)


def test_one_id_on_two_stated_trading_days_is_two_trades() -> None:
    account = after(fill("X", 2, 100, trading_day="2026-01-05"), fill("X", 2, 100, trading_day="2026-01-06"))
    assert figures(account)[0] == 4


def test_a_trading_day_stated_once_is_not_a_difference() -> None:
    account = after(fill("X", 2, 100), fill("X", 2, 100, trading_day="2026-01-06"))
    assert figures(account)[0] == 2
    assert account.executions.all[0].trading_day == "2026-01-06"


def test_another_price_or_quantity_is_a_conflict_until_a_correction_or_bust() -> None:
    facts = [fill("X", 2, 100), fill("X", 3, 100)]
    account = after(*facts)
    # The first counts: 2 @ 100.
    assert figures(account) == (2, 0, 0, 200, 200)
    assert account.marks("ES") == {"CONFLICTING"}
    assert account.is_uncertain("ES")
    corrected, busted = after(*facts, correct("X", 3, 100)), after(*facts, bust("X"))
    assert (figures(corrected)[0], corrected.is_uncertain("ES")) == (3, False)
    assert (figures(busted)[0], busted.is_uncertain("ES")) == (0, False)


def test_the_figures_before_a_correction_are_the_same_execution() -> None:
    # Corrected to 3 @ 101; the old report and the new figures come once more.
    account = after(fill("X", 2, 100), correct("X", 3, 101), fill("X", 2, 100), fill("X", 3, 101))
    assert figures(account) == (3, 0, 0, 303, 303)
    assert not account.is_uncertain("ES")


def test_a_busted_trade_reported_again_stays_busted() -> None:
    assert figures(after(fill("X", 2, 100), bust("X"), fill("X", 2, 100)))[0] == 0


def test_a_fee_reported_later_completes_the_execution_once() -> None:
    account = after(define(), fill("X", 2, 100), fill("X", 2, 100, fee=Decimal(3)), fill("X", 2, 100, fee=Decimal(4)))
    assert made(account) == {"05": (0, 3)}


def test_a_time_reported_later_moves_the_execution_to_where_it_happened() -> None:
    # Bought 1 @ 100 without a time (so at minute 3), after 1 @ 110 and a sale @ 120; it happened first, at minute 0:
    # the sale closed 100 and not 110.
    sold = [(1, fill("A", 1, 110)), (2, fill("B", -1, 120))]
    first = (0, fill("X", 1, 100))
    assert figures(after(*sold, fill("X", 1, 100, timed=False))) == (1, 10, 10, 100, 100)
    assert figures(after(*sold[:1], fill("X", 1, 100, timed=False), *sold[1:], first)) == (1, 20, 15, 110, 105)


def test_a_time_within_a_second_of_the_known_one_completes_nothing() -> None:
    # X, without a time, is recorded at second 10. Less than a second before is not another time.
    for before, moved in ((SECOND - 1, False), (SECOND, True)):
        account = Positions()
        facts = [fill("A", 1, 100), fill("B", -1, 110), fill("X", 1, 90, timed=False), fill("X", 1, 90)]
        times = [0, 10 * SECOND, 10 * SECOND, 10 * SECOND - before]
        for log, (fact, at) in enumerate(zip(facts, times, strict=True), 1):
            account.apply(replace(fact, log=log, at=FIRST + at))
        assert (account.executions.all[-1].at == FIRST + 10 * SECOND - before) is moved
        assert account.executions.all[-1].timed is moved


def test_a_stated_time_is_not_replaced_by_another() -> None:
    account = after((5, fill("X", 1, 100)), (1, fill("X", 1, 100)))
    assert account.executions.all[0].at == FIRST + DAY // 2 + 5 * 60 * SECOND


def test_an_id_is_known_among_the_newest_executions_alone() -> None:
    # With two identities kept, X is forgotten after A and B: it counts again.
    facts = fill("X", 1, 100), fill("A", 1, 100), fill("B", 1, 100), fill("X", 1, 100)
    assert figures(after(*facts, identities_max=3))[0] == 3
    assert figures(after(*facts, identities_max=2))[0] == 4


# Order.


def test_a_late_opening_fill_leaves_the_loss_on_the_day_of_the_closing_one() -> None:
    # Sold @ 5970 the next day is recorded first; bought @ 6000 the day before: -30, made when it was sold.
    account = after(define(), (24 * 60, fill("B", -1, 5970)), (0, fill("A", 1, 6000)))
    assert made(account) == {"06": (-30, 0)}
    assert not account.marks("ES")


def test_a_late_fill_moves_what_each_later_one_realized_on_its_own_day() -> None:
    # In order: +1 @ 100, +1 @ 90, day 6: -1 @ 120, day 7: -1 @ 130. The fill @ 90 is recorded last. Until then: 20 on
    # day 6, and day 7 opens -1 @ 130. With it: day 6 120 - 100 = 20, day 7 130 - 90 = 40.
    facts: list[Timed] = [define(), (0, fill("A", 1, 100)), (24 * 60, fill("C", -1, 120))]
    last = (48 * 60, fill("D", -1, 130))
    late = (1, fill("B", 1, 90))
    assert made(after(*facts, late, last)) == {"06": (20, 0), "07": (40, 0)}
    # Two days earlier, @ 110: it is the oldest lot. Day 6: 120 - 110 = 10, day 7: 130 - 100 = 30.
    oldest = (-48 * 60, fill("B", 1, 110))
    assert made(after(*facts, oldest, last)) == {"06": (10, 0), "07": (30, 0)}


def test_what_happened_before_the_position_was_last_flat_counts_in_its_place_in_the_log_on_its_own_day() -> None:
    # Day 5: +1 @ 100, -1 @ 110 (flat, 10). Day 6: +1 @ 120. Then a sale @ 105 of minute 1 of day 5 is recorded: it
    # closes what is open when it is recorded, 105 - 120 = -15, and counts on day 5: 10 - 15 = -5.
    account = after(
        define(),
        (0, fill("A", 1, 100)),
        (2, fill("B", -1, 110)),
        (24 * 60, fill("C", 1, 120)),
        (1, fill("D", -1, 105)),
    )
    assert made(account) == {"05": (-5, 0)}
    assert account.marks("ES") == {"LATE"}
    assert figures(account)[0] == 0


def test_what_happened_while_the_position_was_flat_is_within_the_window() -> None:
    # Flat at minute 2; opened at minute 10 @ 120. Bought @ 100 at minute 5: the oldest lot, so a sale @ 130 makes 30.
    account = after(
        (0, fill("A", 1, 100)),
        (2, fill("B", -1, 100)),
        (10, fill("C", 1, 120)),
        (5, fill("D", 1, 100)),
        (11, fill("E", -1, 130)),
    )
    assert figures(account) == (1, 30, 20, 120, 110)


def test_a_fill_through_flat_begins_a_window_of_its_own() -> None:
    # +1 @ 100, -2 @ 110 at minute 2: 10, and -1 @ 110. Bought @ 90 before that trip, it closes the short one: 20 more.
    facts = [(0, fill("A", 1, 100)), (2, fill("B", -2, 110))]
    account = after(*facts, (-1, fill("C", 1, 90)))
    assert figures(account) == (0, 30, 30, 0, 0)
    assert account.marks("ES") == {"LATE"}
    # Just before the reversal, it is a part of what that closed: 110 - 100 and 110 - 90.
    account = after(*facts, (1, fill("C", 1, 90)))
    assert figures(account) == (0, 30, 30, 0, 0)
    assert account.marks("ES") == set()


def test_the_window_begins_at_the_item_that_opens_the_position() -> None:
    # Flat since minute 1; X of minute 3 is busted, and C opens at minute 10. So X is the last that is fixed: a fill of
    # minute 2 is late and closes C, 105 - 120 = -15; one of minute 4 comes before C, which closes it: 105 - 120 = -15.
    facts = [(0, fill("A", 1, 100)), (1, fill("B", -1, 110)), (3, fill("X", 1, 115))]
    facts += [(5, bust("X")), (10, fill("C", 1, 120))]
    late, while_flat = (after(*facts, (minute, fill("D", -1, 105))) for minute in (2, 4))
    assert figures(late) == figures(while_flat) == (0, -5, -5, 0, 0)
    assert (late.marks("ES"), while_flat.marks("ES")) == ({"LATE"}, set())
    assert [item.log for item in late.get("ES").items] == [1, 2, 3, 5, 6]
    assert [item.log for item in while_flat.get("ES").items] == [1, 2, 3, 6, 5]


def test_only_an_item_at_the_end_begins_a_window() -> None:
    # A of minute 1 and C of minute 9 are one trip until the sale of minute 5 parts them; the window stays as it was, so
    # a bust of A is as if it had never been: -1 @ 110, closed by C @ 120.
    facts = [(1, fill("A", 1, 100)), (9, fill("C", 1, 120)), (5, fill("B", -1, 110))]
    assert figures(after(*facts)) == (1, 10, 10, 120, 120)
    account = after(*facts, (10, bust("A")))
    assert figures(account) == (0, -10, -10, 0, 0)
    assert account.marks("ES") == set()


def test_the_window_holds_so_many_executions() -> None:
    # With two in the window, a fill at minute 1 among those at 0, 2, 3, 4 comes before both of them.
    facts = [(minute, fill(f"T{minute}", 1, 100 + minute)) for minute in (0, 2, 3, 4)]
    late = (1, fill("L", 1, 90))
    assert after(*facts, late, window_max=4).marks("ES") == set()
    account = after(*facts, late, window_max=2)
    assert account.marks("ES") == {"LATE"}
    # It is the newest lot: the first closed is 100, and the last left is 90.
    assert [price for _, price in account.get("ES").totals().lots] == [100, 102, 103, 104, 90]


def test_a_full_window_is_fixed_by_half() -> None:
    # The fifth is one too many for four: those of minutes 0 and 2 are fixed, so one of minute 1 is late, one of 3 not.
    facts = [(minute, fill(f"T{minute}", 1, 100 + minute)) for minute in (0, 2, 4, 6, 8)]
    assert after(*facts, window_max=4).get("ES").start == 2
    assert after(*facts, (1, fill("L", 1, 90)), window_max=4).marks("ES") == {"LATE"}
    account = after(*facts, (3, fill("L", 1, 90)), window_max=4)
    assert account.marks("ES") == set()
    assert [price for _, price in account.get("ES").totals().lots] == [100, 102, 90, 104, 106, 108]
    # That makes four in the window, which may hold four.
    assert account.get("ES").start == 2


def test_days_are_those_that_are_stated() -> None:
    # 17:00 to 17:00: noon of the 5th is in the day of the 5th, a sale at 18:00 in that of the 6th.
    day = Fact("DAY", 0, FIRST + 17 * DAY // 24, until=FIRST + DAY + 17 * DAY // 24, trading_day="2026-01-06")
    account = after(define(), (0, fill("A", 1, 100)), (6 * 60, fill("B", -1, 110)))
    assert made(account, day) == {"2026-01-06": (10, 0)}
