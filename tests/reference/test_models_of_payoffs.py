"""The reference models of inverse contracts and coin fees on examples computed by hand."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from tests.reference.examples import adjust, after, bust, correct, define, figures, fill, made, trips_of
from tests.reference.facts import Fact

INVERSE = replace(define(currency="BTC"), inverse=True)
SPOT = replace(define(), coin="ETH")


def fee(trade_id: str, amount: str) -> Fact:
    return replace(fill(trade_id, 1, 1), kind="FEE", fee=Decimal(amount), currency="ETH")


def bought(trade_id: str, quantity: int, price: int, amount: str) -> Fact:
    return fill(trade_id, quantity, price, fee=Decimal(amount), currency="ETH")


def test_an_inverse_result_is_the_difference_of_what_one_dollar_buys() -> None:
    # 1,000 × (1/5,000 − 1/5,500)
    account = after(INVERSE, fill("T1", 1_000, 5_000), fill("T2", -1_000, 5_500))
    assert figures(account) == (0, Fraction(1, 55), Fraction(1, 55), 0, 0)
    assert trips_of(account) == [(Fraction(1, 55), {})]


def test_an_average_of_an_inverse_contract_is_the_harmonic_mean() -> None:
    totals = after(INVERSE, fill("T1", 1_000, 5_000), fill("T2", 2_000, 6_000)).get("ES").totals()
    assert totals.average(totals.cost) == totals.average(totals.average_total) == 5_625


def test_an_inverse_average_cost_parts_from_fifo() -> None:
    account = after(INVERSE, fill("T1", 10, 50_000), fill("T2", 10, 40_000), fill("T3", -10, 60_000))
    # 10 × (1/50,000 − 1/60,000), and from half of 10/50,000 + 10/40,000
    first, average = Fraction(1, 30_000), Fraction(9, 40_000) - Fraction(1, 6_000)
    assert figures(account)[1:3] == (first, average)


def test_a_price_without_a_value_leaves_an_inverse_position_unpriced() -> None:
    account = after(INVERSE, fill("T1", 10, 0))
    assert (account.get("ES").totals().priced, account.marks("ES")) == (Fraction(0), {"UNPRICED"})
    assert after(INVERSE, fill("T1", 10, 0), correct("T1", 10, 50_000)).marks("ES") == set()


def test_a_split_of_an_inverse_contract_multiplies_the_price() -> None:
    account = after(INVERSE, fill("T1", 10, 50_000), adjust(90, "SPLIT"))
    assert account.get("ES").totals().lots == [(Fraction(100), Fraction(500_000))]


def test_a_fee_takes_of_the_coin_bought_and_is_money_at_its_price() -> None:
    account = after(SPOT, bought("T1", 2, 100, "0.5"))
    assert figures(account)[0] == figures(account)[3] / 100 == Fraction(3, 2)
    assert made(account) == {"05": (0, 50)}


def test_fees_of_all_that_was_bought_are_taken_from_nothing() -> None:
    account = after(SPOT, bought("T1", 2, 100, "2"))
    assert figures(account)[0] == 2


def test_a_late_fee_is_taken_as_if_it_had_been_known_and_a_bust_gives_it_back() -> None:
    account = after(SPOT, bought("T1", 2, 100, "0"), fee("T1", "0.5"))
    assert (figures(account)[0], made(account)) == (Fraction(3, 2), {"05": (0, 50)})
    assert figures(after(SPOT, bought("T1", 2, 100, "0.5"), bust("T1")))[0] == 0


def test_a_reconciliation_stands_for_a_fee_that_comes_later() -> None:
    gap = replace(adjust(-1, "RECONCILED", 100), quantity=Decimal("-0.5"))
    account = after(SPOT, bought("T1", 2, 100, "0"), gap, fee("T1", "0.5"))
    assert figures(account)[0] == Fraction(3, 2)


def test_a_late_fee_of_a_fixed_trade_is_booked_at_its_price() -> None:
    trades = [fill(f"T{number}", quantity, 100) for number, quantity in enumerate((2, -2, 5), 1)]
    account = after(SPOT, *trades, fee("T1", "0.5"))
    assert (figures(account)[0], account.marks("ES")) == (Fraction(9, 2), {"LATE"})
