"""What checks remember does not outlive the rates that it was converted at, nor how old a rate may be."""

from __future__ import annotations

from decimal import Decimal

import pytest
from typing_extensions import override

from eventstore import Event, Record
from eventstore.trading import CashKind, CashMoved, GroupDefined, LimitsSet, RateQuoted
from projections.valuation import Status
from projections.views.rates import RatesState, RatesView
from tests.projections.checked_orders import BUY, PASS, REJECT, check_order
from tests.projections.rules_day import SECOND, Day

pytestmark = pytest.mark.in_each_place(slow=True)


@pytest.fixture
def converted(day: Day) -> Day:
    """Return the day of an account that holds something in another currency, at a rate that is 10 s old."""
    day.define("FDAX", "25", "EUR")
    day.book.append("rate/-/EURUSD", RateQuoted(base="EUR", quote="USD", rate=Decimal("1.1")))
    day.fill(BUY, "5000", "FDAX")
    day.limit("daily-loss", limit="1000", basis="equity")
    day.limit("trailing-drawdown", distance="2000")
    day.book.append("group/-/desk", GroupDefined(accounts=("A",)), actor="risk@desk")
    group_limit = LimitsSet(rule_id="weekly-loss", parameters={"limit": "1000", "basis": "equity"})
    day.book.append("limits/@desk/weekly-loss", group_limit, actor="risk@desk")
    day.pass_seconds(9)
    day.confirm("4999", "FDAX")
    assert check_order(day).verdict is PASS
    assert _statuses(day) == {Status.KNOWN}
    return day


def _rejecting(day: Day) -> set[str]:
    return {each.rule_id for each in check_order(day).findings if each.verdict is REJECT}


def _statuses(day: Day) -> set[Status]:
    return {each.status for each in day.book.limits.headroom("A")}


ALL = {"daily-loss", "trailing-drawdown", "group:desk:weekly-loss"}


def test_a_rate_that_is_not_allowed_any_more_is_not_used_at_the_same_instant(converted: Day) -> None:
    """How old a rate may be is not a record: it changes what is known without one, and without time passing."""
    converted.book.rates.stale_after_ns = 5 * SECOND
    assert _rejecting(converted) == ALL
    assert _statuses(converted) == {Status.STALE}
    converted.book.rates.stale_after_ns = 60 * SECOND
    assert check_order(converted).verdict is PASS


class NoRates(RatesView):
    """Ignores every rate."""

    @override
    def apply(self, state: RatesState, event: Event, record: Record) -> None:
        """Do nothing."""


def test_rates_that_are_folded_again_are_used_at_the_same_instant(converted: Day) -> None:
    converted.book.rebuild(NoRates())
    assert _rejecting(converted) == ALL
    assert _statuses(converted) == {Status.UNKNOWN}
    converted.book.rebuild(RatesView())
    assert check_order(converted).verdict is PASS


def test_a_result_is_converted_again_though_the_balance_holds_nothing_of_its_currency(day: Day) -> None:
    day.define("FDAX", "50", "EUR")
    day.book.append("rate/-/EURUSD", RateQuoted(base="EUR", quote="USD", rate=Decimal("1.1")))
    day.make("-1000", "FDAX")
    transfer = CashMoved(kind=CashKind.TRANSFER, amount=Decimal(1_000), currency="EUR")
    day.book.append("account/A/-", transfer)
    day.limit("daily-loss", limit="1200", warn_at="1")
    assert check_order(day).verdict is PASS
    assert day.book.limits.headroom("A")[0].figure == 1_100
    day.book.append("rate/-/EURUSD", RateQuoted(base="EUR", quote="USD", rate=Decimal("1.3")))
    assert check_order(day).rule_id == "daily-loss"
    assert day.book.limits.headroom("A")[0].figure == 1_300
