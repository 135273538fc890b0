"""Checks before an order reject on missing, stale or invalid inputs and unreadable limits."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from eventstore import InvalidEvent
from eventstore.trading import (
    CashKind,
    CashMoved,
    ContractDefined,
    GroupDefined,
    LimitsSet,
    OrderReported,
    OrderStatus,
    QuoteReceived,
    RateQuoted,
)
from projections import risk
from projections.risk.limits.kind import KINDS
from tests.projections.checked_orders import (
    BUY,
    PASS,
    REJECT,
    SELL,
    WARNING,
    cancel,
    check_order,
    lock,
    proposal,
    rejection,
)
from tests.projections.rules_day import NOON, RESET, SECOND, Day, at

pytestmark = pytest.mark.in_each_place(slow=True)

# Limits that cannot be read


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_an_unreadable_limit_rejects_and_is_named(day: Day, kind: str) -> None:
    day.old_limit(f"{kind}:mine", limit="much", unexpected="1")
    assert rejection(day).startswith(f"the limit {kind}:mine of A, set at position ")
    day.fill(BUY, "5000")
    assert check_order(day, SELL).verdict is PASS


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        ("daily-loss", {"limit": "NaN"}),
        ("daily-loss", {"limit": "Infinity"}),
        ("order-size", {"limit": "5", "warn_at": "NaN"}),
        ("maximum-position", {"limits": {"ES": "Infinity"}}),
        ("maximum-contracts", {"limit": "1", "scaling": [["0", "Infinity"]]}),
    ],
)
def test_a_limit_that_is_not_finite_rejects(day: Day, kind: str, parameters: dict[str, object]) -> None:
    with pytest.raises(InvalidEvent, match="expected finite numbers"):
        day.limit(kind, **parameters)
    day.old_limit(kind, **parameters)
    assert "expected finite numbers" in rejection(day)


# Quotes


def test_new_exposure_needs_a_fresh_quote_of_every_open_position(day: Day) -> None:
    day.define("NQ")
    day.fill(BUY, "5000")
    # An own fill is a price, in the process that folds it as it happens.
    assert check_order(day, symbol="NQ").verdict is PASS
    day.policies.stop()
    day.restart([])
    unpriced = "an open position cannot be valued: ES was not quoted since the book was opened"
    assert rejection(day, symbol="NQ") == unpriced
    assert check_order(day, SELL).verdict is PASS
    day.quote("5000")
    assert check_order(day, symbol="NQ").verdict is PASS
    day.pass_seconds(10)
    assert check_order(day, symbol="NQ").verdict is PASS
    day.clock.advance(1_000_000_00)
    stale = "an open position cannot be valued: the price of ES is 10.1 s old and 10 s are allowed"
    assert rejection(day, symbol="NQ") == stale
    day.fill(SELL, "5000")
    assert check_order(day, symbol="NQ").verdict is PASS


def test_a_quote_from_the_future_is_stale(day: Day) -> None:
    day.fill(BUY, "5000")
    event = QuoteReceived(symbol="ES", last=Decimal(5_000))
    day.book.observe("quote/-/ES", event, occurred_at=NOON + 11 * SECOND)
    assert rejection(day) == "an open position cannot be valued: the price of ES has a time 11 s in the future"


def test_concentration_needs_a_quote_of_the_order_s_symbol(day: Day) -> None:
    day.limit("concentration", limit="9")
    assert rejection(day, limit_price=Decimal(1)) == (
        "concentration cannot be judged: ES was not quoted since the book was opened"
    )


def test_concentration_rejects_without_equity(day: Day) -> None:
    day.limit("concentration", limit="9")
    day.quote("5000")
    day.make("-50000")
    assert "the equity of account A is 0.00, so that no share of it can be computed" in rejection(day)


# Money


def test_an_unknown_contract_rejects_where_its_multiplier_is_needed(day: Day) -> None:
    day.fill(BUY, "10", "XYZ")
    day.fill(SELL, "9", "XYZ")
    day.limit("daily-loss", limit="100")
    assert "daily-loss cannot be judged" in rejection(day)
    assert "XYZ" in rejection(day)
    day.define("XYZ", "1")
    assert check_order(day).verdict is PASS


def test_an_open_position_without_multiplier_rejects_with_basis_equity(day: Day) -> None:
    day.limit("daily-loss", limit="100", basis="equity")
    day.fill(BUY, "10", "XYZ")
    day.quote("9.9", "XYZ")
    why = "the multiplier of XYZ is not known"
    assert [(each.rule_id, each.verdict, each.reason) for each in check_order(day).findings] == [
        ("quotes", REJECT, f"an open position cannot be valued: {why}"),
        ("daily-loss", REJECT, f"daily-loss cannot be judged: {why}"),
    ]


def test_amounts_in_different_currencies_are_summed_at_a_rate_only(day: Day) -> None:
    day.define("FDAX", "25", "EUR")
    day.limit("daily-loss", limit="2000")
    day.limit("daily-loss:eur", limit="1000", currency="EUR")
    day.fill(BUY, "15000", "FDAX")
    day.fill(SELL, "14960", "FDAX")
    day.make("-500")
    assert [(each.rule_id, each.verdict, each.reason) for each in check_order(day).findings] == [
        (
            "daily-loss",
            REJECT,
            "daily-loss cannot be judged: no rate from EUR to USD: quote EURUSD, or append RateQuoted",
        ),
        (
            "daily-loss:eur",
            REJECT,
            "daily-loss:eur cannot be judged: no rate from USD to EUR: quote USDEUR, or append RateQuoted",
        ),
    ]
    day.book.append("rate/-/EURUSD", RateQuoted(base="EUR", quote="USD", rate=Decimal("1.25")))
    checked = check_order(day)
    assert [(each.rule_id, each.figure, each.verdict) for each in checked.findings] == [
        ("daily-loss", Decimal(1_750), WARNING),
        ("daily-loss:eur", Decimal(1_400), REJECT),
    ]
    assert "daily loss -1,400.00 of -1,000.00 EUR reached" in checked.reason


def test_concentration_across_currencies_needs_a_rate(day: Day) -> None:
    day.define("FDAX", "25", "EUR")
    day.quote("15000", "FDAX")
    day.limit("concentration", limit="99")
    assert rejection(day, symbol="FDAX") == (
        "concentration cannot be judged: no rate from EUR to USD: quote EURUSD, or append RateQuoted"
    )
    day.book.append("rate/-/EURUSD", RateQuoted(base="EUR", quote="USD", rate=Decimal("1.25")))
    [found] = check_order(day, symbol="FDAX").findings
    # 15,000 × 25 × 1.25 of 50,000.
    assert (found.verdict, found.figure) == (PASS, Decimal("9.375"))


def test_a_drawdown_in_another_currency_rejects(day: Day) -> None:
    day.limit("trailing-drawdown", distance="1000", currency="EUR")
    assert "its currency is EUR, but the account's is USD" in rejection(day)


RESULT_LIMITS: dict[str, dict[str, object]] = {
    "daily-loss": {"limit": "1000"},
    "weekly-loss": {"limit": "1000"},
    "daily-profit": {"target": "1000", "severity": "WARNING"},
    "trailing-drawdown": {"distance": "1000"},
}


@pytest.mark.parametrize("rule_id", RESULT_LIMITS)
def test_a_limit_on_results_needs_a_rate_for_the_first_order_of_a_contract(day: Day, rule_id: str) -> None:
    """Once it is filled, nothing would lock what it loses."""
    day.define("FDAX", "25", "EUR")
    assert check_order(day, symbol="FDAX").verdict is PASS
    day.limit(rule_id, **RESULT_LIMITS[rule_id])
    assert rejection(day, symbol="FDAX") == (
        f"{rule_id} cannot be judged: no rate from EUR to USD: quote EURUSD, or append RateQuoted"
    )
    assert check_order(day).verdict is PASS
    day.book.append("rate/-/EURUSD", RateQuoted(base="EUR", quote="USD", rate=Decimal("1.25")))
    assert check_order(day, symbol="FDAX").verdict is PASS


@pytest.mark.parametrize("rule_id", RESULT_LIMITS)
def test_a_limit_on_results_needs_the_multiplier_of_a_contract(day: Day, rule_id: str) -> None:
    day.book.append("contract/-/NEW", ContractDefined(symbol="NEW", currency="USD"))
    assert check_order(day, symbol="NEW").verdict is PASS
    day.limit(rule_id, **RESULT_LIMITS[rule_id])
    assert rejection(day, symbol="NEW") == f"{rule_id} cannot be judged: the multiplier of NEW is not known"
    day.define("NEW")
    assert check_order(day, symbol="NEW").verdict is PASS


def test_a_limit_in_another_currency_needs_a_rate_before_there_are_results(day: Day) -> None:
    day.limit("daily-loss", limit="1000", currency="EUR")
    assert rejection(day) == (
        "daily-loss cannot be judged: no rate from USD to EUR: quote USDEUR, or append RateQuoted"
    )
    day.book.append("rate/-/EURUSD", RateQuoted(base="EUR", quote="USD", rate=Decimal("1.25")))
    assert check_order(day).verdict is PASS


def test_a_limit_of_a_group_needs_a_rate_for_the_first_order_of_a_contract(day: Day) -> None:
    day.define("FDAX", "25", "EUR")
    day.book.append("group/-/desk", GroupDefined(accounts=("A",)), actor="risk@desk")
    limit = LimitsSet(rule_id="daily-loss", parameters={"limit": "1000"})
    day.book.append("limits/@desk/daily-loss", limit, actor="risk@desk")
    assert "no rate from EUR to USD" in rejection(day, symbol="FDAX")
    assert check_order(day).verdict is PASS


def test_an_account_that_was_never_opened_opens_nothing_and_closes_what_it_holds(day: Day) -> None:
    day.account = "C"
    never = "account C was never opened: append AccountOpened to account/C/-"
    assert rejection(day, account="C") == never
    event = CashMoved(kind=CashKind.DEPOSIT, amount=Decimal(500), currency="USD")
    day.book.append("account/C/-", event)
    day.fill(BUY, "5000", quantity="2")
    assert rejection(day, account="C") == never
    assert check_order(day, SELL, "2", account="C").verdict is PASS
    assert rejection(day, side=SELL, quantity="3", account="C") == never
    day.open_account()
    assert check_order(day, account="C").verdict is PASS


def test_a_contract_that_nobody_defined_is_only_closed(day: Day) -> None:
    undefined = "contract XYZ is not defined: append ContractDefined to contract/-/XYZ"
    assert rejection(day, symbol="XYZ") == undefined
    day.fill(BUY, "10", "XYZ")
    assert rejection(day, symbol="XYZ") == undefined
    assert check_order(day, SELL, symbol="XYZ").verdict is PASS
    day.define("XYZ", "1")
    assert check_order(day, symbol="XYZ").verdict is PASS


def test_a_contract_is_traded_until_the_trading_day_of_its_expiry_ends(day: Day) -> None:
    event = ContractDefined(symbol="ESX6", multiplier=Decimal(50), currency="USD", expiry=date(2026, 11, 20))
    day.book.append("contract/-/ESX6", event)
    day.fill(BUY, "5000", "ESX6")
    day.clock.set(RESET - 1)
    day.quote("5000", "ESX6")
    assert check_order(day, symbol="ESX6").verdict is PASS
    day.clock.set(RESET)
    assert rejection(day, symbol="ESX6") == (
        "contract ESX6 expired on 2026-11-20: trade a later one, "
        "or correct its expiry by ContractDefined in contract/-/ESX6"
    )
    assert check_order(day, SELL, symbol="ESX6").verdict is PASS, "what is held may be closed"


def test_without_a_calendar_a_contract_expires_with_the_date_in_utc(day: Day) -> None:
    day.book.sessions.calendars.clear()
    event = ContractDefined(symbol="ESX6", multiplier=Decimal(50), currency="USD", expiry=date(2026, 11, 21))
    day.book.append("contract/-/ESX6", event)
    assert risk.check(day.book, proposal(symbol="ESX6"), at(22, 0) - 1).verdict is PASS
    assert risk.check(day.book, proposal(symbol="ESX6"), at(22, 0)).verdict is REJECT


# Orders with missing members


def test_a_working_order_of_unknown_quantity_rejects_where_it_would_count(day: Day) -> None:
    day.limit("maximum-position", limit="5")
    day.book.append("order/A/X", [OrderReported(status=OrderStatus.NEW)])
    open_orders = day.book.orders.open("A")
    assert [order.leaves for order in open_orders] == [None]
    assert "working order X lacks symbol, side or quantity: report them, or cancel it" in rejection(day)
    assert cancel(day).verdict is PASS
    day.fill(BUY, "5000")
    assert check_order(day, SELL).verdict is PASS, "its symbol is unknown"


def test_an_order_of_unknown_quantity_on_the_same_side_may_close_it_all(day: Day) -> None:
    day.fill(BUY, "5000")
    lock(day)
    event = OrderReported(status=OrderStatus.NEW, symbol="ES", side=SELL)
    day.book.append("order/A/X", event)
    assert [order.leaves for order in day.book.orders.open("A")] == [None]
    assert check_order(day, SELL).verdict is REJECT
    assert check_order(day, SELL, reduce_only=True).verdict is REJECT, "the other order may open one after it"
