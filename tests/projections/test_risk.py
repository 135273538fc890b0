"""Checks before an order: each limit's verdicts, and the order in which rejections count."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from eventstore.trading import (
    BlackoutScheduled,
    CashKind,
    CashMoved,
    EquityMarked,
)
from projections.risk.limits.daily_loss import DailyLoss
from tests.places import Place
from tests.projections.checked_orders import (
    BUY,
    PASS,
    REJECT,
    SELL,
    WARNING,
    check_order,
    lock,
    work,
)
from tests.projections.rules_day import HOUR, NOON, Day

pytestmark = pytest.mark.in_each_place(slow=True)

UNTIL = "locked until 2026-11-20 17:00 CST"


# Limits


def test_without_limits_every_order_passes_without_findings(day: Day) -> None:
    checked = check_order(day)
    assert (checked.verdict, checked.reason, checked.rule_id, checked.findings) == (PASS, "", None, ())
    assert checked.passed


@pytest.mark.parametrize(
    ("made", "verdict", "reason"),
    [
        ("-15999.99", PASS, ""),
        ("-16000", WARNING, "Order allowed, with a warning: daily loss -16,000.00 of -20,000.00 USD"),
        ("-19999.99", WARNING, "Order allowed, with a warning: daily loss -19,999.99 of -20,000.00 USD"),
        ("-20000", REJECT, f"Order blocked: daily loss -20,000.00 of -20,000.00 USD reached; {UNTIL}"),
    ],
)
def test_a_daily_loss_warns_at_four_fifths_and_rejects_when_reached(
    day: Day, made: str, verdict: object, reason: str
) -> None:
    day.limit("daily-loss", limit="20000")
    day.make(made)
    checked = check_order(day)
    [finding] = checked.findings
    assert (checked.verdict, checked.reason) == (verdict, reason)
    assert (finding.rule_id, finding.figure, finding.limit) == ("daily-loss", -Decimal(made), Decimal(20_000))


@pytest.mark.parametrize("net", [True, False])
def test_cash_that_no_trade_had_counts_in_the_days_loss(day: Day, *, net: bool) -> None:
    day.limit("daily-loss", limit="100", net_of_fees=net)
    for amount, kind in ((-60, CashKind.FUNDING), (-500, CashKind.TRANSFER), (39, CashKind.FEE)):
        day.book.append("account/A/-", CashMoved(amount=Decimal(amount), currency="USD", kind=kind))
    [finding] = check_order(day).findings
    assert finding.figure == 99
    day.book.append("account/A/-", CashMoved(amount=Decimal(1), currency="USD", kind=CashKind.FEE))
    assert check_order(day).verdict is REJECT


def test_the_lockout_of_a_rule_has_the_same_reason_as_the_check(place: Place) -> None:
    day = Day(place, [DailyLoss()])
    day.open_account()
    day.define("ES")
    day.begin()
    day.limit("daily-loss", limit="18500")
    day.make("-18500")
    assert day.is_locked()
    checked = check_order(day)
    assert checked.reason == f"Order blocked: daily loss -18,500.00 of -18,500.00 USD reached; {UNTIL}"
    assert [finding.rule_id for finding in checked.findings] == ["daily-loss"]
    day.close()


def test_each_limit_has_its_own_warning_share(day: Day) -> None:
    day.limit("daily-loss", limit="1000", warn_at="0.5")
    day.make("-499")
    assert check_order(day).verdict is PASS
    day.make("-1")
    assert check_order(day).verdict is WARNING


def test_open_positions_count_with_basis_equity(day: Day) -> None:
    day.limit("daily-loss", limit="1000", basis="equity")
    day.limit("weekly-loss", limit="5000", basis="equity")
    day.fill(BUY, "5000")
    day.quote("5000")
    assert check_order(day).verdict is PASS
    day.quote("4980.02")
    assert check_order(day).verdict is WARNING
    day.quote("4980")
    checked = check_order(day)
    assert (checked.verdict, checked.rule_id) == (REJECT, "daily-loss")
    day.quote("5000")
    assert check_order(day).verdict is PASS


def test_a_trailing_loss_is_measured_from_the_day_s_best(day: Day) -> None:
    day.limit("daily-loss", limit="1000", trailing=True)
    day.make("700")
    day.make("-999")
    assert check_order(day).verdict is WARNING
    day.make("-1")
    assert check_order(day).reason == (
        f"Order blocked: daily loss -1,000.00 of -1,000.00 USD from the day's best 700.00 reached; {UNTIL}"
    )


def test_a_trailing_loss_on_equity_is_measured_from_the_best_mark(day: Day) -> None:
    day.limit("daily-loss", limit="1000", trailing=True, basis="equity")
    mark = marked("50000", "51000", unrealized=Decimal(1_000), trading_day=at_day(day))
    day.book.append("equity/A/-", mark)
    day.fill(BUY, "5000")
    day.quote("5000.02")
    assert check_order(day).verdict is WARNING
    day.quote("5000")
    assert check_order(day).verdict is REJECT


def marked(balance: str, equity: str, **more: Any) -> EquityMarked:  # noqa: ANN401 - any member
    figures: dict[str, Any] = {"equity": Decimal(equity), "high_water": Decimal(equity), "currency": "USD", **more}
    return EquityMarked(balance=Decimal(balance), **figures)


def at_day(day: Day) -> Any:  # noqa: ANN401 - a date
    session = day.book.sessions.current("A", day.clock.now_ns())
    assert session is not None
    return session.trading_day


def test_a_weekly_loss_sums_the_days_and_names_the_week_s_end(day: Day) -> None:
    day.limit("weekly-loss", limit="1000")
    day.make("-1000")
    checked = check_order(day)
    assert checked.reason == f"Order blocked: weekly loss -1,000.00 of -1,000.00 USD reached; {UNTIL}"


def test_a_daily_profit_is_locked_in(day: Day) -> None:
    day.limit("daily-profit", target="1000")
    day.make("800")
    assert check_order(day).verdict is WARNING
    day.make("200")
    assert check_order(day).reason == f"Order blocked: daily profit 1,000.00 of 1,000.00 USD reached; {UNTIL}"


def test_a_marked_drawdown_floor_stays(day: Day) -> None:
    day.limit("trailing-drawdown", distance="2000")
    day.make("-1600")
    checked = check_order(day)
    assert checked.verdict is WARNING
    assert checked.reason.endswith("equity 48,400.00 USD, 400.00 above the drawdown floor 48,000.00")
    day.book.append("equity/A/-", marked("50000", "50000", floor=Decimal(48_400)))
    checked = check_order(day)
    assert checked.reason == (
        "Order blocked: equity 48,400.00 USD at the drawdown floor 48,400.00 reached; locked without end"
    )


@pytest.mark.parametrize(("basis", "verdict"), [("realized", REJECT), ("end_of_day", PASS), ("equity", PASS)])
def test_the_drawdown_follows_the_highs_of_its_basis(day: Day, basis: str, verdict: object) -> None:
    day.limit("trailing-drawdown", distance="2000", basis=basis)
    day.book.append("equity/A/-", marked("52000", "50000"))
    assert check_order(day).verdict is verdict


def test_the_maximum_position_includes_working_orders(day: Day) -> None:
    day.limit("maximum-position", limit="5", limits={"NQ": "2"})
    day.fill(BUY, "5000", quantity="2")
    day.quote("5000")
    work(day, "W", BUY, "2")
    assert check_order(day).verdict is WARNING
    checked = check_order(day, quantity="2")
    assert checked.reason == "Order blocked: position 6 of at most 5 in ES, working orders counted"
    # All sells and no buy would be less than five short.
    assert check_order(day, SELL, "6").verdict is WARNING
    assert check_order(day, SELL, "8").verdict is REJECT
    # A root's limit applies to its futures.
    assert check_order(day, quantity="3", symbol="NQZ6").verdict is REJECT


def test_a_limit_by_symbol_does_not_apply_to_others(day: Day) -> None:
    day.limit("maximum-position", limits={"NQ": "2"})
    day.limit("order-size", limits={"NQ": "1"})
    assert check_order(day, quantity="100").findings == ()
    assert check_order(day, symbol="NQ", quantity="3").verdict is REJECT


def test_contracts_are_counted_over_all_symbols_by_weight(day: Day) -> None:
    day.define("MESZ6", "5", root="MES")
    day.limit("maximum-contracts", limit="3", weights={"MES": "0.1"}, warn_at="1")
    day.fill(BUY, "5000", quantity="2")
    day.fill(SELL, "5000", "MESZ6", quantity="5")
    day.quote("5000")
    day.quote("5000", "MESZ6")
    assert check_order(day, SELL, "5", "MESZ6").verdict is WARNING
    assert check_order(day, SELL, "6", "MESZ6").reason == (
        "Order blocked: 3.1 of at most 3 contracts, working orders counted"
    )
    assert check_order(day, BUY, "1").verdict is REJECT


def test_the_maximum_contracts_scale_with_the_balance(day: Day) -> None:
    day.limit("maximum-contracts", limit="1", scaling=[["52000", "3"]], warn_at="2")
    assert check_order(day, quantity="3").verdict is REJECT
    day.book.append("account/A/-", CashMoved(kind=CashKind.DEPOSIT, amount=Decimal(2_000), currency="USD"))
    assert check_order(day, quantity="3").verdict is PASS


def test_concentration_is_valued_at_the_quote_not_at_the_order_s_limit(day: Day) -> None:
    day.limit("concentration", limit="10", warn_at="1")
    day.quote("5000")
    assert check_order(day, quantity="1").verdict is PASS
    assert check_order(day, quantity="3", limit_price=Decimal("0.25")).reason == (
        "Order blocked: 1500.0 % of equity in ES, at most 1000.0 % allowed"
    )


def test_an_order_has_a_largest_size(day: Day) -> None:
    day.limit("order-size", limit="4")
    assert check_order(day, quantity="4").verdict is WARNING
    assert check_order(day, quantity="5").reason == "Order blocked: order of 5, at most 4 ES"


@pytest.mark.parametrize(("unit", "count"), [("orders", 3), ("fills", 2), ("round_trips", 1)])
def test_trades_of_the_day_are_counted_by_their_unit(day: Day, unit: str, count: int) -> None:
    day.limit("trade-limit", limit=count, unit=unit)
    day.make("10")
    for number in range(3):
        work(day, f"W{number}", BUY, "1")
    words = unit.replace("_", " ")
    assert check_order(day).reason == f"Order blocked: trade limit {count} of {count} {words} reached; {UNTIL}"
    day.limit("trade-limit", limit=count + 1, unit=unit)
    day.end()
    assert check_order(day).verdict is PASS


def test_a_figure_by_root_needs_the_contract_s_definition(day: Day) -> None:
    day.limit("order-size", limits={"ES": "2"})
    assert check_order(day, symbol="ESZ6").verdict is REJECT
    assert "ESZ6" in check_order(day, symbol="ESZ6").reason
    day.define("ESZ6", root="ES")
    assert check_order(day, symbol="ESZ6", quantity="2").verdict is not REJECT
    assert check_order(day, symbol="ESZ6", quantity="3").verdict is REJECT


def test_a_limit_with_severity_warning_never_rejects(day: Day) -> None:
    day.limit("order-size", limit="1", severity="WARNING")
    day.limit("daily-loss", limit="100", severity="WARNING")
    day.make("-1000")
    checked = check_order(day, quantity="9")
    assert checked.passed
    assert [finding.verdict for finding in checked.findings] == [WARNING, WARNING]
    assert checked.reason == "Order allowed, with a warning: daily loss -1,000.00 of -100.00 USD reached"


def test_a_disabled_limit_is_not_checked(day: Day) -> None:
    day.limit("order-size", limit="1", enabled=False)
    assert check_order(day, quantity="9").findings == ()


def test_rejections_have_one_order_whatever_the_limits_names(day: Day) -> None:
    day.fill(BUY, "5000")
    day.make("-1000")
    day.limit("available-balance", minimum="99999")
    day.limit("concentration", limit="0.1")
    day.limit("daily-loss", limit="1000")
    day.limit("maximum-contracts", limit="1")
    day.limit("maximum-position:b", limit="1")
    day.limit("maximum-position", limit="1")
    day.limit("order-size", limit="1")
    day.limit("symbol-block", symbols=["ES"])
    day.limit("trade-limit", limit=1, unit="fills")
    day.limit("trailing-drawdown", distance="500")
    day.limit("weekly-loss", limit="1000")
    day.book.append("blackout/-/x", BlackoutScheduled(start=NOON, stop=NOON + HOUR, reason="CPI"))
    # The price of the open position, its fill's, is too old by now.
    day.pass_seconds(11)
    checked = check_order(day, quantity="2")
    assert {finding.verdict for finding in checked.findings} == {REJECT}
    assert [finding.rule_id for finding in checked.findings] == [
        "quotes",
        "maximum-position",
        "maximum-position:b",
        "maximum-contracts",
        "available-balance",
        "daily-loss",
        "weekly-loss",
        "trailing-drawdown",
        "concentration",
        "order-size",
        "trade-limit",
        "symbol-block",
        "blackout",
    ]
    day.quote("5000")
    assert check_order(day, quantity="2").rule_id == "maximum-position"
    lock(day)
    assert [finding.rule_id for finding in check_order(day, quantity="2").findings] == ["desk"]


def test_a_rejection_precedes_any_warning(day: Day) -> None:
    day.limit("maximum-position", limit="5")
    day.limit("order-size", limit="4")
    checked = check_order(day, quantity="5")
    assert (checked.verdict, checked.rule_id) == (REJECT, "order-size")
    assert [finding.verdict for finding in checked.findings] == [WARNING, REJECT]
