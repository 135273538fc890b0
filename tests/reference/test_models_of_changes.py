"""The reference models of busts, corrections, adjustments and names, against examples computed by hand."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from tests.reference.examples import Timed, adjust, after, bust, correct, define, figures, fill, made

# Busts and corrections.


def test_a_bust_within_the_window_is_as_if_the_trade_had_never_been() -> None:
    # Without B: 2 @ 100 less 1 sold @ 120 makes 20, and 1 @ 100 is open.
    account = after(fill("A", 2, 100), fill("B", 1, 90), fill("C", -1, 120), bust("B"))
    assert figures(account) == (1, 20, 20, 100, 100)
    assert account.marks("ES") == set()


def test_a_bust_of_an_earlier_trip_by_its_id_alone_books_the_opposite() -> None:
    # 6740 -> 6750 made 10, then 2 @ 6745. The opposite of T1, -1 @ 6740, closes one of them: -5. 10 - 5 = 5 points x 50
    # = 250, and 1 @ 6745 is open: bought 2, sold 1.
    account = after(fill("T1", 1, 6740), fill("T2", -1, 6750), fill("T3", 2, 6745), bust("T1", stream="order/O-T1"))
    assert figures(account) == (1, 5, 5, 6745, 6745)
    assert account.marks("ES") == {"LATE"}
    assert not account.is_uncertain("ES")


def test_a_correction_of_an_earlier_trip_by_its_new_figures_alone_changes_what_that_made() -> None:
    # 6740 -> 6750 made 10; bought @ 6700 it made 50. The position, 1 @ 6745, has nothing to do with it.
    account = after(fill("T1", 1, 6740), fill("T2", -1, 6750), fill("T3", 1, 6745), correct("T1", 1, 6700))
    assert figures(account) == (1, 50, 50, 6745, 6745)


def test_a_correction_of_an_earlier_trip_counts_on_its_own_day() -> None:
    # Day 5: 110 - 100 = 10. Corrected on day 6 to 95: 5 more, then.
    facts = [(0, fill("A", 1, 100)), (1, fill("B", -1, 110)), (2, fill("C", 1, 120)), (24 * 60, correct("A", 1, 95))]
    assert made(after((0, define()), *facts)) == {"05": (10, 0), "06": (5, 0)}
    # Within the window it changes what was made on day 5.
    assert made(after((0, define()), *facts[:2], facts[3])) == {"05": (15, 0)}


def test_a_correction_of_an_earlier_trips_quantity_books_the_difference_at_the_trades_price() -> None:
    # 2 @ 100 sold @ 110: 20; then 1 @ 120. Corrected to 1 @ 100: one is taken back, -1 @ 100: 100 - 120 = -20.
    facts = fill("A", 2, 100), fill("B", -2, 110), fill("C", 1, 120)
    assert figures(after(*facts, correct("A", 1, 100))) == (0, 0, 0, 0, 0)
    # Corrected to 3 @ 105: two of them cost 10 more (20 - 10), the third is open @ 105.
    assert figures(after(*facts, correct("A", 3, 105))) == (2, 10, 10, 225, 225)


def test_a_correction_may_change_the_side() -> None:
    # Sold 1 @ 100 and not bought: then +1 @ 90 closes it for 10.
    account = after(fill("A", 1, 100), correct("A", 1, 100, side=-1), fill("B", 1, 90))
    assert figures(account) == (0, 10, 10, 0, 0)


def test_a_bust_of_a_trade_before_a_split_takes_out_what_the_split_made_of_it() -> None:
    # 150 @ 400 become 300 @ 200 by +150. Of the 50 @ 400 there were 100: left 200 for 40,000.
    account = after(fill("A", 100, 400), fill("B", 50, 400), adjust(150, "SPLIT"), bust("B", symbol="ES"))
    assert figures(account) == (200, 0, 0, 40_000, 40_000)


def test_a_bust_of_an_earlier_trip_before_a_split_is_scaled_too() -> None:
    # A made 2 x 10 and is gone, C holds 4 @ 50 after 2:1. A's opposite: -2 @ 100 is -4 @ 50 today. It closes C's
    # 4 at no profit: 20 in all.
    account = after(fill("A", 2, 100), fill("B", -2, 110), fill("C", 2, 100), adjust(2, "SPLIT"), bust("A"))
    assert figures(account) == (0, 20, 20, 0, 0)


def test_a_fill_before_a_split_that_is_reported_after_it_was_split_too() -> None:
    # The venue split its 150 by +150, two for one, whatever was recorded here by then.
    account = after((0, fill("A", 100, 400)), (9, adjust(150, "SPLIT")), (1, fill("B", 50, 400)))
    assert figures(account) == (300, 0, 0, 60_000, 60_000)


def test_a_correction_of_a_trade_before_a_split_states_the_figures_of_its_own_time() -> None:
    # 100 @ 400 corrected to 90 @ 390: 180 @ 195 after two for one, for 35,100.
    account = after(fill("A", 100, 400), adjust(100, "SPLIT"), correct("A", 90, 390))
    assert figures(account) == (180, 0, 0, 35_100, 35_100)


def test_a_fixed_trade_that_was_split_under_another_name_is_scaled_too() -> None:
    # ES made 2 x 10 with A and B, then 2 @ 100 are open under each name, and the name is learned: 4 @ 100, split into
    # 8 @ 50. A's opposite, -2 @ 100, is -4 @ 50 by then and closes four of them at no profit.
    facts = [fill("A", 2, 100), fill("B", -2, 110), fill("C", 2, 100), fill("D", 2, 100, symbol="CON.ES")]
    account = after(*facts, define(names=("CON.ES",)), adjust(4, "SPLIT"), bust("A"))
    assert figures(account) == (4, 20, 20, 200, 200)


def test_a_split_that_is_fixed_keeps_its_ratio() -> None:
    # 2 + 2 are split into 8, then 2 are busted: 2 before the split, 4 after. 6 sold reverse it: -2, and the window
    # begins there. It was two for one, though of the two that count today +4 would make six.
    facts = [(0, fill("A", 2, 100)), (1, fill("B", 2, 100)), (5, adjust(4, "SPLIT")), (6, bust("B"))]
    assert figures(after(*facts))[0] == 4
    assert figures(after(*facts, (7, fill("C", -6, 60))))[0] == -2


def test_a_split_within_the_window_is_of_what_counts_before_the_window() -> None:
    # Of 1 + 1 one was busted at minute 6, then 3 are sold: 1 before the window, -2. A split by +1 at minute 5 made two
    # of the one that counts, whatever the venue held at minute 5: 2 - 3.
    facts = [(0, fill("A", 1, 100)), (1, fill("B", 1, 100)), (6, bust("B")), (7, fill("C", -3, 60))]
    account = after(*facts, (5, adjust(1, "SPLIT")))
    assert figures(account)[0] == -1
    assert account.marks("ES") == set()


def test_an_impossible_split_does_nothing_and_is_marked_while_it_is() -> None:
    # Nothing to split; then +2 through flat of a short position.
    assert figures(after(adjust(3, "SPLIT"))) == (0, 0, 0, 0, 0)
    assert after(adjust(3, "SPLIT")).marks("ES") == {"IMPOSSIBLE_SPLIT"}
    facts: list[Timed] = [(1, fill("A", -1, 100)), (2, adjust(2, "SPLIT"))]
    account = after(*facts)
    assert figures(account) == (-1, 0, 0, -100, -100)
    assert account.marks("ES") == {"IMPOSSIBLE_SPLIT"}
    assert account.is_uncertain("ES")
    # A late purchase of 3 before it: 2 become 4.
    account = after(*facts, (0, fill("B", 3, 100)))
    assert (figures(account)[0], account.marks("ES")) == (4, set())
    # Bought 2 @ 100 instead, and it is fixed as it is: 1 @ 100.
    account = after(*facts, (3, fill("B", 2, 100)))
    assert (figures(account)[0], account.get("ES").start, account.marks("ES")) == (1, 2, {"IMPOSSIBLE_SPLIT"})


def test_a_bust_of_an_unknown_trade_leaves_the_position_uncertain_until_the_trade_is_reported() -> None:
    facts = [(0, fill("A", 1, 100)), (9, bust("X", symbol="ES"))]
    account = after(*facts)
    assert account.marks("ES") == {"UNKNOWN_BUST"}
    assert account.is_uncertain("ES")
    assert not account.is_uncertain("NQ")
    # X happened before its bust: it is busted at once.
    account = after(*facts, (5, fill("X", 1, 90)))
    assert (figures(account)[0], account.is_uncertain("ES")) == (1, False)
    # A trade of that id after the bust is another one.
    account = after(*facts, (10, fill("X", 1, 90)))
    assert (figures(account)[0], account.is_uncertain("ES")) == (2, True)


def test_a_bust_without_a_symbol_leaves_every_position_uncertain() -> None:
    account = after(fill("A", 1, 100), fill("B", 1, 100, symbol="NQ"), bust("X"))
    assert account.is_uncertain("ES")
    assert account.is_uncertain("NQ")


def test_a_bust_of_a_forgotten_trade_is_booked_by_its_own_figures_once() -> None:
    # Bought 1 @ 100 long ago: sold back @ 100, and the fee of 2 returned.
    figures_of_x = {"symbol": "ES", "side": 1, "quantity": Decimal(1), "price": Decimal(100), "fee": Decimal(2)}
    account = after(define(), fill("A", 2, 110), bust("X", **figures_of_x), bust("X", **figures_of_x))
    assert figures(account) == (1, -10, -10, 110, 110)
    assert made(account) == {"05": (-10, -2)}
    assert account.marks("ES") == {"LATE", "DUPLICATE_BUST"}


def test_corrections_of_a_forgotten_trade_may_restore_each_other() -> None:
    # Bought 1 @ 100 long ago; 105 costs 5, 100 again gives them back, 105 costs 5; said once more, it costs nothing.
    stated = {"symbol": "ES", "side": 1}
    to_105 = correct("X", 1, 105, before=(Decimal(1), Decimal(100)), **stated)
    back = correct("X", 1, 100, before=(Decimal(1), Decimal(105)), **stated)
    account = after(to_105, back, to_105)
    assert figures(account) == (0, -5, -5, 0, 0)
    assert account.marks("ES") == {"LATE"}
    account = after(to_105, back, to_105, to_105)
    assert figures(account) == (0, -5, -5, 0, 0)
    assert account.marks("ES") == {"LATE", "DUPLICATE_CORRECTION"}


def test_a_second_bust_changes_nothing() -> None:
    account = after(fill("A", 2, 100), fill("B", 1, 100), bust("B"), bust("B"))
    assert figures(account)[0] == 2
    assert account.marks("ES") == {"DUPLICATE_BUST"}


def test_fees_of_a_busted_trade_go_with_it() -> None:
    # 2 with the fill and 1 later are gone, those of A stay; a fee that comes after the bust does not count either.
    charged = replace(bust("B"), kind="FEE", fee=Decimal(1))
    facts: list[Timed] = [define(), fill("A", 1, 100, fee=Decimal(5)), fill("B", 1, 100, fee=Decimal(2)), charged]
    assert made(after(*facts)) == {"05": (0, 8)}
    assert made(after(*facts, bust("B"), charged)) == {"05": (0, 5)}


def test_fees_of_an_earlier_trip_are_returned_on_the_day_of_the_bust() -> None:
    # Day 5: 10 made, fee 2. Day 6: 1 @ 120 is open; A's opposite, -1 @ 100, makes -20, and its fee comes back.
    facts = [(0, fill("A", 1, 100, fee=Decimal(2))), (1, fill("B", -1, 110))]
    account = after((0, define()), *facts, (24 * 60, fill("C", 1, 120)), (25 * 60, bust("A")))
    assert made(account) == {"05": (10, 2), "06": (-20, -2)}


def test_a_fee_that_comes_later_counts_on_the_day_of_its_trade() -> None:
    charged = replace(bust("A"), kind="FEE", fee=Decimal(3))
    account = after(define(), (0, fill("A", 1, 100)), (24 * 60, charged))
    assert made(account) == {"05": (0, 3)}


# Adjustments and missed closings.


def test_an_addition_without_a_price_costs_the_average_and_a_reduction_realizes_nothing() -> None:
    # 1 @ 100 and 1 @ 110; one more at 105 by both methods. Two leave: FIFO keeps the one @ 105, as does the average.
    facts = fill("A", 1, 100), fill("B", 1, 110), adjust(1, "TRANSFER")
    assert figures(after(*facts)) == (3, 0, 0, 315, 315)
    assert figures(after(*facts, adjust(-2, "EXPIRY"))) == (1, 0, 0, 105, 105)


def test_a_split_keeps_the_cost() -> None:
    # 3 @ 100 become 6 @ 50; one sold @ 60 makes 10.
    assert figures(after(fill("A", 3, 100), adjust(3, "SPLIT"), fill("B", -1, 60))) == (5, 10, 10, 250, 250)


def test_a_reconciled_closing_is_unpriced_until_its_fill_comes_which_replaces_it() -> None:
    # 2 @ 6740, closed while nobody listened: at first nothing is realized. Then the fill, 2 @ 6690 at minute 1, comes:
    # 2 x -50 = -100.
    gap: list[Timed] = [define(), (0, fill("A", 2, 6740)), (5, adjust(-2, "RECONCILED"))]
    account = after(*gap)
    assert figures(account) == (0, 0, 0, 0, 0)
    assert account.marks("ES") == {"UNPRICED"}
    assert account.is_uncertain("ES")
    account = after(*gap, (1, fill("B", -2, 6690)))
    assert figures(account) == (0, -100, -100, 0, 0)
    assert account.marks("ES") == set()


def test_a_price_that_is_stated_later_ends_the_mark() -> None:
    account = after(fill("A", 2, 6740), adjust(-2, "RECONCILED"), adjust(0, "RECONCILED", 6690))
    assert figures(account) == (0, -100, -100, 0, 0)
    assert account.marks("ES") == set()


def test_each_reason_has_its_own_prices_and_zero_is_one() -> None:
    # 3 @ 100: one expired at 0, 0 - 100; one was closed while nobody listened, and its price is missing.
    facts = [fill("A", 3, 100), adjust(-1, "EXPIRY"), adjust(-1, "RECONCILED"), adjust(0, "EXPIRY", 0)]
    account = after(*facts)
    assert figures(account) == (1, -100, -100, 100, 100)
    assert account.marks("ES") == {"UNPRICED"}
    # What has a price keeps it: 110 - 100 = 10 for the other, and a third statement changes nothing.
    account = after(*facts, adjust(0, "RECONCILED", 110), adjust(0, "RECONCILED", 120), adjust(0, "EXPIRY", 120))
    assert figures(account) == (1, -90, -90, 100, 100)
    assert account.marks("ES") == set()


def test_what_was_opened_without_a_price_stays_marked() -> None:
    # Two came without a price; what closes one realizes nothing.
    facts = [adjust(2, "TRANSFER"), fill("A", -1, 110)]
    account = after(*facts)
    assert figures(account) == (1, 0, 0, 0, 0)
    assert account.marks("ES") == {"UNPRICED"}
    # A stated price is of reconciliations and expiries alone.
    assert after(*facts, adjust(0, "RECONCILED", 100)).marks("ES") == {"UNPRICED"}
    # Once both are closed, what they realized is still not known.
    assert after(*facts, fill("B", -1, 110)).marks("ES") == {"UNPRICED"}


def test_a_price_that_is_stated_after_the_window_changes_nothing_and_the_mark_stays() -> None:
    # Two items at most: the reconciliation is the older half of three.
    facts = [adjust(-2, "RECONCILED"), fill("A", -1, 100), fill("B", -1, 100), adjust(0, "RECONCILED", 90)]
    account = after(*facts, window_max=2)
    assert account.get("ES").start == 1
    assert account.marks("ES") == {"UNPRICED"}
    assert [price for _, price in account.get("ES").totals().lots] == [None, 100, 100]


def test_a_part_of_the_missing_fill_replaces_a_part() -> None:
    # 1 of 2 closed @ 6690: -50; the other is still unpriced.
    account = after((0, fill("A", 2, 6740)), (5, adjust(-2, "RECONCILED")), (1, fill("B", -1, 6690)))
    assert figures(account) == (0, -50, -50, 0, 0)
    assert account.marks("ES") == {"UNPRICED"}


def test_a_gap_of_two_parts_gives_way_to_its_fills() -> None:
    # 3 bought @ 100; the broker reports -2 @ 90: 3 closed without a price, 2 sold @ 90. What was sold comes later.
    gap: list[Timed] = [(0, fill("A", 3, 100)), (5, adjust(-3, "RECONCILED")), (5, adjust(-2, "RECONCILED", 90))]
    account = after(*gap)
    assert figures(account) == (-2, 0, 0, -180, -180)
    assert account.marks("ES") == {"UNPRICED"}
    for missing in ([(-5, 95)], [(-3, 95), (-2, 95)], [(-1, 95), (-4, 95)]):
        fills = [(number, fill(f"M{number}", *figures)) for number, figures in enumerate(missing, 1)]
        account = after(*gap, *fills)
        assert figures(account) == (-2, -15, -15, -190, -190)
        assert account.marks("ES") == set()
    # One more than both parts stood for: the first part takes it, without a price.
    assert after(*gap, (1, fill("M", -6, 95))).marks("ES") == {"UNPRICED"}


def test_the_missing_fill_replaces_it_even_after_the_position_was_opened_again() -> None:
    # As above, but 1 @ 6700 has been bought since: that lot stays, and the loss counts on the day of the fill.
    account = after(
        define(),
        (0, fill("A", 2, 6740)),
        (5, adjust(-2, "RECONCILED")),
        (24 * 60, fill("C", 1, 6700)),
        (1, fill("B", -2, 6690)),
    )
    assert figures(account) == (1, -100, -100, 6700, 6700)
    assert made(account) == {"05": (-100, 0)}
    assert not account.is_uncertain("ES")


def test_what_has_no_price_holds_the_window_open() -> None:
    # 2 @ 100, closed without a price, and a new trip. What the trip before made changes until the price is stated: at
    # first A is corrected as if it had always been 90, and when 110 is stated that made 40.
    for reason in ("EXPIRY", "RECONCILED"):
        facts: list[Timed] = [(0, fill("A", 2, 100)), (5, adjust(-2, reason)), (9, fill("B", 1, 120))]
        account = after(*facts, (10, correct("A", 2, 90)), (11, adjust(0, reason, 110)))
        assert figures(account) == (1, 40, 40, 120, 120)
        assert account.marks("ES") == set()
        assert account.get("ES").start == 0
    # An expiry with a price holds nothing: what A was corrected by is booked, 2 x 10 more than 2 x 10.
    facts = [(0, fill("A", 2, 100)), (5, adjust(-2, "EXPIRY", 110)), (9, fill("B", 1, 120))]
    account = after(*facts, (10, correct("A", 2, 90)))
    assert figures(account) == (1, 40, 40, 120, 120)
    assert account.marks("ES") == {"LATE"}


def test_a_window_that_is_no_longer_held_begins_at_the_next_item_that_opens_or_reverses() -> None:
    # Held until the price of minute 11, and then until C reverses the position.
    facts: list[Timed] = [(0, fill("A", 2, 100)), (5, adjust(-2, "EXPIRY")), (9, fill("B", 1, 120))]
    facts += [(11, adjust(0, "EXPIRY", 110)), (12, fill("C", 1, 120))]
    assert after(*facts).get("ES").start == 0
    assert after(*facts, (13, fill("D", -3, 120))).get("ES").start == 4
    assert after(*facts, (13, fill("D", -2, 120)), (14, fill("E", 1, 120))).get("ES").start == 5


def test_a_reconciliation_with_a_price_holds_the_window_open_for_so_many_items() -> None:
    # -2 @ 95 stood for a fill: 2 x -5. B, which opens, is the first that follows, C, which reverses, the second.
    facts: list[Timed] = [(0, fill("A", 2, 100)), (5, adjust(-2, "RECONCILED", 95)), (9, fill("B", 1, 120))]
    reversed_by_c: list[Timed] = [*facts, (10, fill("C", -3, 120))]
    missing = (1, fill("M", -2, 90))
    assert after(*facts, reconciled_max=2).get("ES").start == 0
    assert after(*reversed_by_c, reconciled_max=3).get("ES").start == 0
    assert after(*reversed_by_c, reconciled_max=2).get("ES").start == 3
    # If C begins the window, M is late and adds to what is short: -2 @ 120 and -2 @ 90.
    account = after(*reversed_by_c, missing, reconciled_max=2)
    assert figures(account) == (-4, -10, -10, -420, -420)
    assert account.marks("ES") == {"LATE"}
    # Within the window it is what the reconciliation stood for: 2 x -10.
    account = after(*reversed_by_c, missing, reconciled_max=3)
    assert figures(account) == (-2, -20, -20, -240, -240)
    assert account.marks("ES") == set()


def test_a_reconciliation_that_every_missing_fill_has_replaced_holds_nothing() -> None:
    # Its quantity is zero after M: the next item that opens the position begins the window.
    facts: list[Timed] = [(0, fill("A", 2, 100)), (5, adjust(-2, "RECONCILED")), (1, fill("M", -2, 90))]
    assert after(*facts, (9, fill("B", 1, 120))).get("ES").start == 3


def test_a_reconciliation_that_opens_the_position_begins_a_window_that_it_holds() -> None:
    # The window begins with it, which is not past it; C, which reverses the position, does not begin another one.
    facts = [fill("A", 2, 100), fill("B", -2, 110), adjust(1, "RECONCILED")]
    assert after(*facts).get("ES").start == 2
    assert after(*facts, fill("C", -3, 120)).get("ES").start == 2


def test_a_full_window_is_fixed_whatever_holds_it() -> None:
    # The reconciliation is in the older half of five.
    facts = [fill("A", 2, 100), adjust(-2, "RECONCILED"), *(fill(f"T{price}", 1, price) for price in (120, 121, 122))]
    account = after(*facts, window_max=4)
    assert account.get("ES").start == 2
    # The missing fill is late, then, and closes two of three: 90 - 120 and 90 - 121.
    account = after(*facts, (1, fill("M", -2, 90)), window_max=4)
    assert figures(account)[:2] == (1, -61)
    assert account.marks("ES") == {"LATE", "UNPRICED"}


def test_a_fill_after_the_reconciliation_is_not_the_missing_one() -> None:
    account = after((0, fill("A", 2, 6740)), (5, adjust(-1, "RECONCILED")), (6, fill("B", -1, 6690)))
    # 2 - 1 - 1; the reconciled one realized nothing, the sale 6690 - 6740.
    assert figures(account) == (0, -50, -50, 0, 0)
    assert account.marks("ES") == {"UNPRICED"}


def test_a_quantity_of_more_than_34_digits_is_marked() -> None:
    # 10^17 + 10^-18 has 36 digits.
    large, small = "1" + "0" * 17, "0." + "0" * 17 + "1"
    account = after(fill("A", large, 1), fill("B", small, 1))
    assert account.marks("ES") == {"INEXACT"}
    assert account.is_uncertain("ES")
    assert figures(account)[0] == Fraction(large) + Fraction(small)
    assert after(fill("A", large, 1)).marks("ES") == set()
