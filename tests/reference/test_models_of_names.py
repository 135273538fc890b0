"""The reference models of a contract's names and terms, against examples computed by hand."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from tests.reference.days import Money, money
from tests.reference.examples import (
    FIRST,
    NOON,
    Timed,
    adjust,
    after,
    bust,
    correct,
    define,
    figures,
    fill,
    made,
    trips_of,
)
from tests.reference.round_trips import volume


def test_all_names_of_a_contract_net_together() -> None:
    account = after(define(names=("CON.ES",)), fill("A", 2, 100), fill("B", -1, 110, symbol="CON.ES"))
    assert figures(account) == figures(account, "CON.ES") == (1, 10, 10, 100, 100)


def test_a_name_that_is_learned_later_merges() -> None:
    # +2 under one name and -1 under the other: 1 left, and 110 - 100 = 10 by what was open apart.
    account = after(fill("A", 2, 100), fill("B", -1, 110, symbol="CON.ES"), define(names=("CON.ES",)))
    assert figures(account) == (1, 10, 10, 100, 100)
    # Both had items: the mark is at the log position of the definition.
    assert account.get("ES").marked == [("MERGED", 3)]


def test_one_execution_under_two_names_counts_once_when_the_name_is_learned() -> None:
    again = fill("A", 2, 100, symbol="CON.ES", stream="trade/A")
    account = after(fill("A", 2, 100, fee=Decimal(3)), again, define(names=("CON.ES",)))
    assert figures(account) == (2, 0, 0, 200, 200)
    assert made(account) == {"05": (0, 3)}


def test_a_bust_under_the_other_name_is_of_the_one_execution() -> None:
    again = fill("A", 2, 100, symbol="CON.ES", stream="trade/A")
    account = after(fill("A", 2, 100), again, bust("A", symbol="CON.ES"), define(names=("CON.ES",)))
    assert (figures(account)[0], account.marks("ES")) == (0, {"MERGED"})


def test_what_was_realized_before_the_position_was_last_flat_stays_when_names_merge_and_is_marked() -> None:
    # ES: +1 @ 100, -1 @ 110: 10. CON.ES: +1 @ 105 meanwhile, still open; then ES +1 @ 120. Had the name been known, the
    # sale would have made the same 10 by FIFO; by average cost 110 - 102.5. What was realized apart stays: 10, 10.
    account = after(
        (0, fill("A", 1, 100)),
        (1, fill("X", 1, 105, symbol="CON.ES")),
        (2, fill("B", -1, 110)),
        (3, fill("C", 1, 120)),
        (4, define(names=("CON.ES",))),
    )
    assert figures(account) == (2, 10, 10, 225, 225)
    assert account.marks("ES") == {"MERGED"}


def test_what_is_late_stays_late_when_a_name_is_learned() -> None:
    # Flat since minute 1, opened at minute 3: the sale of minute 0 closes what is open, 90 - 120 = -30, after 10.
    account = after(
        (0, fill("A", 1, 100, symbol="CON.ES")),
        (1, fill("B", -1, 110, symbol="CON.ES")),
        (3, fill("C", 1, 120, symbol="CON.ES")),
        (4, define(names=("CON.ES",))),
        (0, fill("D", -1, 90)),
    )
    assert figures(account) == (0, -20, -20, 0, 0)
    assert account.marks("ES") == {"LATE"}


def test_a_symbol_that_is_defined_means_itself_even_if_another_lists_it() -> None:
    facts = [fill("A", 2, 100), fill("B", 1, 100, symbol="NQ")]
    for defined in ([define("NQ"), define(names=("NQ",))], [define(names=("NQ",)), define("NQ")]):
        account = after(*defined, *facts)
        assert (figures(account)[0], figures(account, "NQ")[0]) == (2, 1)
    # What was netted while it was a name stays with that contract.
    account = after(define(names=("NQ",)), *facts, define("NQ"), fill("C", 5, 100, symbol="NQ"))
    assert (figures(account)[0], figures(account, "NQ")[0]) == (3, 5)
    assert [volume(account, symbol)[1] for symbol in ("ES", "NQ")] == [Decimal(3), Decimal(5)]


def test_a_name_that_is_no_longer_listed_means_itself_from_then_on() -> None:
    # 2 + 1 under both names; then 4 more under CON.ES alone, until it is listed again: 7.
    facts: list[Timed] = [define(names=("CON.ES",)), fill("A", 2, 100), fill("B", 1, 100, symbol="CON.ES")]
    facts += [define(), fill("C", 4, 100, symbol="CON.ES")]
    account = after(*facts)
    assert (figures(account)[0], figures(account, "CON.ES")[0]) == (3, 4)
    # The bust of B by its id finds it where it is.
    assert figures(after(*facts, bust("B")))[0] == 2
    assert figures(after(*facts, define(names=("CON.ES",))))[0] == 7


def test_a_name_that_moves_means_the_other_contract_from_then_on() -> None:
    facts = [define(names=("@1",)), fill("A", 2, 100, symbol="@1"), define("NQ", names=("@1",))]
    account = after(*facts, fill("B", 5, 100, symbol="@1"))
    assert (figures(account)[0], figures(account, "NQ")[0]) == (2, 5)
    # The same id under that name is another trade now, and a definition of ES without it changes nothing.
    account = after(*facts, define(), fill("A", 2, 100, symbol="@1"))
    assert (figures(account)[0], figures(account, "NQ")[0]) == (2, 2)


def test_what_is_open_before_the_one_window_is_what_both_windows_are_folded_on() -> None:
    # ES: +1 @ 100, then -2 @ 110 reverses it, so the purchase is fixed. CON.ES: +2 @ 105 at minute 1, or even before A:
    # after it either way. B sells A and one of C: 10 + 5, and 1 @ 105 is open. By average cost 310 / 3 each: 220 less
    # two of them.
    for minute in (1, -1):
        account = after(
            (0, fill("A", 1, 100)),
            (2, fill("B", -2, 110)),
            (minute, fill("C", 2, 105, symbol="CON.ES")),
            (3, define(names=("CON.ES",))),
        )
        assert figures(account) == (1, 15, Fraction(40, 3), 105, Fraction(310, 3))
        assert account.marks("ES") == {"MERGED"}
        # A is not in the window.
        assert [item.log for item in account.get("ES").items[account.get("ES").start :]] == [3, 2]


def test_of_two_positions_that_were_open_before_their_windows_the_later_ones_lots_are_carried() -> None:
    # ES: +1 @ 100, -2 @ 110. CON.ES: +1 @ 80, +1 @ 100, -1 @ 120 (40 by FIFO; 30 by average cost, which leaves one
    # @ 90), -2 @ 120. Before the windows: A, and 1 @ 100, by average cost @ 90. B closes both: 10 + 10; by average cost
    # 220 - 100 - 90. Then 2 are sold @ 120. 40 + 20 and 30 + 30.
    apart: list[Timed] = [(0, fill("A", 1, 100)), (1, fill("B", -2, 110))]
    for minute, quantity, price in ((2, 1, 80), (3, 1, 100), (4, -1, 120), (5, -2, 120)):
        apart.append((minute, fill(f"X{minute}", quantity, price, symbol="CON.ES")))
    account = after(*apart, (6, define(names=("CON.ES",))))
    assert figures(account) == (-2, 60, 60, -240, -240)
    assert account.get("ES").marked == [("MERGED", 7)]
    assert [item.kind for item in account.get("ES").items] == ["FILL", "CARRIED", "FILL", "FILL"]
    # Until minute 4, it is all fixed: a sale of minute 3 is late, and closes nothing.
    account = after(*apart, (6, define(names=("CON.ES",))), (3, fill("L", -1, 130)))
    assert figures(account) == (-3, 60, 60, -370, -370)
    assert account.marks("ES") == {"MERGED", "LATE"}


def test_what_is_carried_realizes_what_it_closes_on_its_own_day_and_continues_its_round_trip() -> None:
    # ES: -1 @ 100, day 5: +2 @ 90. CON.ES: day 6: +1 @ 105, day 7: -2 @ 120. What is carried, +1 @ 105, closes A: -5 on
    # day 6; the 2 @ 90 are sold on day 7: 60. A's trip ends with what is carried, and has the fees of A and X.
    account = after(
        define(),
        (0, fill("A", -1, 100, fee=Decimal(1))),
        (1, fill("B", 2, 90)),
        (24 * 60, fill("X", 1, 105, symbol="CON.ES", fee=Decimal(2))),
        (48 * 60, fill("Y", -2, 120, symbol="CON.ES")),
        (49 * 60, define(names=("CON.ES",))),
    )
    assert figures(account) == (0, 55, 55, 0, 0)
    assert made(account) == {"05": (0, 1), "06": (-5, 2), "07": (60, 0)}
    assert trips_of(account) == [(-5, {"": 3}), (60, {})]


def test_forgotten_executions_are_not_compared_when_a_name_is_learned() -> None:
    # Of four executions, two or all are known when it is learned that the first two are one: 2 + 2 + 1 + 1, or 2 less.
    again = fill("X", 2, 100, symbol="CON.ES", stream="trade/X")
    facts = [fill("X", 2, 100), again, fill("A", 1, 100), fill("B", 1, 100), define(names=("CON.ES",))]
    assert figures(after(*facts, identities_max=2))[0] == 6
    assert figures(after(*facts, identities_max=4))[0] == 4


def test_what_was_corrected_while_one_name_was_flat_counts_for_the_next_round_trip() -> None:
    # ES was flat when an unknown trade was corrected from 100 to 105: -5. B opened it, so that is fixed. The trip of B
    # and of C, of the other name, makes 10, and 5 less.
    corrected = correct("X", 1, 105, before=(Decimal(1), Decimal(100)), symbol="ES", side=1)
    facts = [corrected, fill("B", 1, 110), fill("C", -1, 120, symbol="CON.ES"), define(names=("CON.ES",))]
    account = after(*facts)
    assert figures(account) == (0, 5, 5, 0, 0)
    assert trips_of(account) == [(5, {})]


def test_one_execution_under_two_names_is_taken_out_of_where_it_was() -> None:
    # Reported for the long side as well, under the other name: it counts once, where it was first.
    again = fill("A", 2, 100, symbol="CON.ES", stream="trade/A", held="LONG")
    account = after(fill("A", 2, 100), again, define(names=("CON.ES",)))
    assert (figures(account)[0], figures(account, side="LONG")[0]) == (2, 0)


def test_a_time_that_is_stated_under_the_other_name_moves_the_execution() -> None:
    # Bought 1 @ 100 without a time, recorded at minute 2; under the other name it happened at minute 0, before A: it is
    # what B sold, 120 - 100. By average cost 120 - 105.
    account = after(
        (1, fill("A", 1, 110)),
        (2, fill("X", 1, 100, timed=False)),
        (3, fill("B", -1, 120)),
        (0, fill("X", 1, 100, symbol="CON.ES", stream="trade/X")),
        (4, define(names=("CON.ES",))),
    )
    assert figures(account) == (1, 20, 15, 110, 105)
    assert account.executions.all[1].at == FIRST + NOON


def test_a_missing_fill_from_before_a_split_under_another_name_was_split_too() -> None:
    # ES: 1 @ 100 is 2 @ 50 and makes 20, then D is open. CON.ES: 4 @ 60 and a gap of -4. The missing fill, -1 @ 100, is
    # from before the split, -2 @ 50 for that gap: 2 x -10 by FIFO. By average cost, 310 / 5, 2 x -12.
    account = after(
        (0, fill("A", 1, 100)),
        (5, adjust(1, "SPLIT")),
        (6, fill("B", -2, 60)),
        (7, fill("C", 4, 60, symbol="CON.ES")),
        (8, fill("D", 1, 70)),
        (9, replace(adjust(-4, "RECONCILED"), symbol="CON.ES")),
        (10, define(names=("CON.ES",))),
        (1, fill("X", -1, 100)),
    )
    assert figures(account) == (1, 0, -4, 70, 62)
    assert account.marks("ES") == {"MERGED", "UNPRICED"}


def test_executions_that_were_two_under_one_name_stay_two() -> None:
    # A corrected to the other side looks like B, but they were known apart under one name.
    facts = [fill("X", 1, 100), fill("X", -1, 100, stream="trade/X"), correct("X", 1, 100, side=-1, stream="order/O-X")]
    assert figures(after(*facts, define(names=("CON.ES",))))[0] == -2


# Terms.

FIFTY, FIVE = define(multiplier=50), define(multiplier=5, currency="EUR")
ON_DAY_5 = "~2026-01-05"


def test_what_was_realized_keeps_the_terms_in_force_when_it_was_recorded() -> None:
    # 10 x 50 dollars; then the contract is 5 euros a point: 10 x 5. A's fee of 2 was charged in dollars, the 3 that are
    # recorded after the change in euros.
    trip = [fill("A", 1, 100, fee=Decimal(2)), fill("B", -1, 110)]
    later = replace(bust("A"), kind="FEE", fee=Decimal(3))
    account = after(FIFTY, *trip, FIVE, fill("C", 1, 100), fill("D", -1, 110), later)
    assert money(account, []) == {
        (ON_DAY_5, "USD"): Money(Fraction(500), Fraction(500), Fraction(2)),
        (ON_DAY_5, "EUR"): Money(Fraction(50), Fraction(50), Fraction(3)),
    }


def test_a_late_fill_changes_what_another_one_realized_at_that_ones_terms() -> None:
    # 20 x 50. Bought @ 90 before it, but recorded after the change, it is what B closes: 30 x 50. C realizes nothing.
    facts: list[Timed] = [(0, FIFTY), (1, fill("A", 1, 100)), (2, fill("B", -1, 120)), (3, FIVE)]
    assert made(after(*facts)) == {"05": (1_000, 0)}
    assert made(after(*facts, (0, fill("C", 1, 90)))) == {"05": (1_500, 0)}


def test_what_is_booked_for_a_fixed_trade_has_the_terms_of_when_it_is_recorded_and_refunds_what_was_charged() -> None:
    # A and B made 10 x 50 and were charged 2 dollars; C is open @ 100. Then A is busted: its opposite, -1 @ 100, closes
    # C at no profit. Corrected to 95 instead, 5 more at 5 euros.
    facts = [FIFTY, fill("A", 1, 100, fee=Decimal(2)), fill("B", -1, 110), fill("C", 1, 100), FIVE]
    busted, corrected = after(*facts, bust("A")), after(*facts, correct("A", 1, 95))
    assert money(busted, []) == {(ON_DAY_5, "USD"): Money(Fraction(500), Fraction(500), Fraction(0))}
    assert money(corrected, []) == {
        (ON_DAY_5, "USD"): Money(Fraction(500), Fraction(500), Fraction(2)),
        (ON_DAY_5, "EUR"): Money(Fraction(25), Fraction(25), Fraction(0)),
    }


def test_what_was_recorded_before_any_terms_has_the_first_ones() -> None:
    # A fee of an unknown trade, too; it keeps them when its trade is reported.
    early = replace(bust("E", symbol="ES"), kind="FEE", fee=Decimal(3))
    account = after(early, fill("A", 1, 100, fee=Decimal(2)), fill("B", -1, 110), FIFTY, FIVE)
    expected = {(ON_DAY_5, "USD"): Money(Fraction(500), Fraction(500), Fraction(5))}
    assert money(account, []) == expected
    account.apply(replace(fill("E", 1, 100), log=9, at=FIRST))
    assert account.executions.charged == []
    assert {key: each.fees for key, each in money(account, []).items() if each.fees} == {(ON_DAY_5, "USD"): 5}


def test_a_name_that_is_learned_later_has_the_terms_of_the_definition_that_lists_it() -> None:
    # ES was 50 dollars when CON.ES was traded, and is 5 euros when it is learned that they are one: 10 x 5.
    trip = [fill("A", 1, 100, symbol="CON.ES"), fill("B", -1, 110, symbol="CON.ES")]
    account = after(FIFTY, *trip, FIVE, replace(FIVE, names=("CON.ES",)), replace(FIFTY, names=("CON.ES",)))
    assert money(account, []) == {(ON_DAY_5, "EUR"): Money(Fraction(50), Fraction(50), Fraction(0))}


def test_the_lots_of_a_third_name_come_first_too() -> None:
    # ES was short 1 @ 105 and @ES 1 @ 100 before B and D, which reversed them; CON.ES is short 3 @ 90, since earlier.
    # Without B, D closes the two: 1 - 4 points, and E's 3 are left.
    es, other = (
        [fill("A", -1, 105), fill("B", 6, 103)],
        [fill("C", -1, 100, symbol="@ES"), fill("D", 2, 104, symbol="@ES")],
    )
    third: Timed = (0, fill("E", -3, 90, symbol="CON.ES"))
    account = after(*es, *other, third, define(names=("@ES", "CON.ES")), bust("B"))
    assert figures(account)[:2] == (-3, -3)
    assert account.get("ES").totals().cost == -270


def test_a_correction_of_an_earlier_name_counts_for_the_trip_in_progress() -> None:
    # The correction says of T what makes -1 @ 10 more, before it is known that ES and CON.ES are one. It counts for the
    # trip that is in progress then, not for the one that CON.ES had ended.
    change = correct("T", 1, 110, symbol="ES", side=1, before=(Decimal(1), Decimal(100)))
    ended = [
        fill("A", 1, 100, symbol="CON.ES"),
        fill("B", -1, 120, symbol="CON.ES"),
        fill("E", 1, 100, symbol="CON.ES"),
    ]
    account = after(*ended, change, fill("C", 1, 100), define(names=("CON.ES",)), fill("D", -2, 130))
    assert trips_of(account) == [(20, {}), (50, {})]


def test_a_twin_leaves_its_conflict_and_its_correction_to_the_trade_that_it_is() -> None:
    # CON.ES's A is reported with 2 and with 3; ES's A, with 2, is the same trade.
    known = [fill("A", 2, 100), fill("A", 2, 100, symbol="CON.ES"), fill("A", 3, 100, symbol="CON.ES")]
    assert after(*known, define(names=("CON.ES",))).is_uncertain("ES")
    corrected = after(*known, correct("A", 2, 110, symbol="CON.ES"), define(names=("CON.ES",)))
    assert figures(corrected) == (2, 0, 0, 220, 220)
    assert not corrected.is_uncertain("ES")
