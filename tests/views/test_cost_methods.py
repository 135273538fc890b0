"""The account's choice of first in, first out or average cost: for limits, reports and equity."""

# A Decimal equals the int that stands for it here, which mypy does not know of members of a tuple.
# mypy: disable-error-code="comparison-overlap"

from decimal import Decimal

from eventstore.trading import AccountConfigured, AccountOpened, Cost
from projections.views.executions.payoffs import unrealized
from tests.views.position_folding import fill
from tests.views.trading_book import HOUR, MONDAY, Trading


def market(cost: Cost | None) -> Trading:
    found = Trading()
    found.book.append("account/A/-", AccountOpened(currency="USD", starting_balance=Decimal(1_000)))
    if cost is not None:
        found.book.append("account/A/-", AccountConfigured(cost=cost), actor="risk@desk")
    for number, (quantity, price) in enumerate([(1, 100), (1, 110), (-1, 120)]):
        found.at(MONDAY + number * HOUR, fill(f"T{number}", quantity, price, "NQZ5"), stream=f"order/A/O-{number}")
    return found


def test_a_result_is_by_the_accounts_method_and_both_are_shown() -> None:
    for cost, result in ((None, 400), (Cost.FIFO, 400), (Cost.AVERAGE, 300)):
        (day,) = market(cost).book.pnl.day("A", MONDAY)
        assert (day.realized, day.realized_average_cost) == (400, 300)
        assert (day.result, day.net_result) == (result, result)


def test_the_balance_and_the_open_result_are_one_equity_by_either_method() -> None:
    for cost, balance in ((Cost.FIFO, 1_400), (Cost.AVERAGE, 1_300)):
        found = market(cost)
        assert found.book.accounts.balance("A") == balance
        totals = found.book.state("executions", "A").holdings["NQZ5\0NET"].totals
        contract = found.book.contracts.get("NQZ5")
        assert balance + unrealized(totals, Decimal(115), contract, cost) == 1_500
        position = found.book.positions.get("A", "NQZ5")
        assert position.unrealized(Decimal(115), cost) == unrealized(totals, Decimal(115), contract, cost)


def test_an_open_result_is_by_the_accounts_method() -> None:
    for cost, result in ((Cost.FIFO, 100), (Cost.AVERAGE, 200)):
        found = market(cost)
        found.quote(MONDAY + 3 * HOUR, "NQZ5", 115)
        (open_result,) = found.book.pnl.unrealized("A", MONDAY + 3 * HOUR)
        assert (open_result.amount, open_result.amount_average_cost, open_result.result) == (100, 200, result)


def test_the_high_of_a_day_is_by_the_accounts_method() -> None:
    for cost, high in ((Cost.FIFO, 400), (Cost.AVERAGE, 300)):
        assert market(cost).book.bests.realized("A", MONDAY) == high


def test_a_choice_that_is_made_later_counts_for_everything() -> None:
    found = market(None)
    found.book.append("account/A/-", AccountConfigured(cost=Cost.AVERAGE), actor="risk@desk")
    (day,) = found.book.pnl.day("A", MONDAY)
    assert (day.result, found.book.accounts.balance("A")) == (300, 1_300)
