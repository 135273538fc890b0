"""A day's and a week's result: the record or quote that reaches a limit locks, until the right reset."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import pytest
from msgspec.structs import replace

from eventstore.trading import (
    ContractDefined,
    EnforcementAction,
    FeeCharged,
    LimitsSet,
    LockoutCleared,
    LockoutSet,
    OrderFilled,
    RateQuoted,
    Severity,
    Side,
    TradeCorrected,
)
from projections.risk.limits.marks import EquityMarks
from projections.risk.policies import ACTOR
from projections.rules import DailyLoss, DailyProfit, WeeklyLoss
from tests.places import Place
from tests.projections.rules_day import (
    ACCOUNT,
    HOUR,
    NEXT_RESET,
    NOON,
    RESET,
    Day,
    at,
    busted,
    details,
    the_lockout,
    trading_day,
)

pytestmark = pytest.mark.in_each_place(slow=True)

TODAY = date(2026, 11, 20)


@pytest.fixture
def day(place: Place) -> Iterator[Day]:
    day = trading_day(place, DailyLoss(), WeeklyLoss(), DailyProfit(), EquityMarks())
    yield day
    day.close()


# The day's loss


def test_the_fill_that_reaches_the_loss_locks_until_the_reset(day: Day) -> None:
    limit = day.limit("daily-loss", limit="1000")
    day.make("-999.50")
    assert not day.lockouts()
    crossing = day.make("-0.50")
    [record] = day.lockouts()
    assert (record.causation_id, record.position, record.actor) == (
        crossing.id,
        crossing.position + 1,
        ACTOR + "daily-loss",
    )
    lockout = the_lockout(day)
    assert (lockout.rule_id, lockout.scope, lockout.until, lockout.revocable) == ("daily-loss", "account", RESET, True)
    assert lockout.reason == "daily loss -1,000.00 of -1,000.00 USD reached; locked until 2026-11-20 17:00 CST"
    assert lockout.details == {
        "figure": "-1000.00",
        "limit": "-1000",
        "basis": "realized",
        "currency": "USD",
        "trading_day": "2026-11-20",
        "limit_position": limit.position,
        "limit_revision": 1,
        "realized": "-1000.00",
        "fees": "0",
    }
    cancel, flatten = day.book.enforcement.pending(ACCOUNT)
    assert (cancel.action, flatten.action) == (EnforcementAction.CANCEL_ORDERS, EnforcementAction.FLATTEN)
    assert cancel.reason == flatten.reason == lockout.reason
    day.make("-500")
    assert len(day.lockouts()) == 1


def test_fees_count_unless_disabled(day: Day) -> None:
    day.limit("daily-loss:gross", limit="1000", net_of_fees=False)
    day.limit("daily-loss:net", limit="1000")
    day.make("-990", fee="10")
    assert [event.rule_id for event in locked(day)] == ["daily-loss:net"]
    day.make("-10")
    assert [event.rule_id for event in locked(day)] == ["daily-loss:net", "daily-loss:gross"]


def locked(day: Day) -> list[LockoutSet]:
    return [record.event for record in day.lockouts() if isinstance(record.event, LockoutSet)]


def test_a_later_fee_locks_too(day: Day) -> None:
    day.limit("daily-loss", limit="1000")
    sold = day.make("-990")
    charged = FeeCharged(trade_id="T2", amount=Decimal(10), currency="USD", symbol="ES")
    [fee] = day.book.append(sold.stream, charged)
    assert [record.causation_id for record in day.lockouts()] == [fee.id]


def test_a_limit_set_below_the_current_loss_locks_at_once(day: Day) -> None:
    day.make("-800")
    record = day.limit("daily-loss", limit="800")
    assert [found.causation_id for found in day.lockouts()] == [record.id]


def test_a_limit_that_tightens_later_locks_when_it_comes_into_force(day: Day) -> None:
    day.limit("daily-loss", limit="1000")
    day.make("-800")
    event = LimitsSet(rule_id="daily-loss", parameters={"limit": "500"}, effective_from=NOON + HOUR)
    day.book.append("limits/A/daily-loss", event, actor="risk@desk")
    day.pass_seconds(3_599)
    day.policies.tick()
    assert not day.lockouts()
    day.pass_seconds(1)
    day.policies.tick()
    assert len(day.lockouts()) == 1


def test_a_limit_that_came_into_force_while_the_machine_slept_locks_at_the_next_tick(day: Day) -> None:
    day.make("-800")
    event = LimitsSet(rule_id="daily-loss", parameters={"limit": "500"}, effective_from=NOON + HOUR)
    day.book.append("limits/A/daily-loss", event, actor="risk@desk")
    day.pass_seconds(7 * 3_600)
    day.policies.tick()
    assert len(day.lockouts()) == 1


def test_a_corrected_fill_counts_as_corrected(day: Day) -> None:
    day.limit("daily-loss", limit="1000")
    sold = day.make("-500")
    event = TradeCorrected(trade_id="T2", quantity=Decimal(1), price=Decimal(4_980), symbol="ES", side=Side.SELL)
    [corrected] = day.book.append(sold.stream, event)
    assert [record.causation_id for record in day.lockouts()] == [corrected.id]


def test_a_busted_profit_locks_and_a_busted_loss_unlocks_nothing(day: Day) -> None:
    day.define("NQ")
    day.limit("daily-loss", limit="1000")
    won, lost = day.make("600"), day.make("-1200", "NQ")
    assert not day.lockouts()
    [bust] = day.book.append(won.stream, busted("T2", Side.SELL, 5_012))
    assert [record.causation_id for record in day.lockouts()] == [bust.id]
    day.book.append(lost.stream, replace(busted("T4", Side.SELL, 4_976), symbol="NQ"))
    assert day.book.pnl.day(ACCOUNT)[0].net == 0
    assert day.is_locked()
    assert day.store.version("lockout/A/daily-loss") == 1


def test_a_loss_in_another_currency_is_converted_and_locks_nothing_without_a_rate(day: Day) -> None:
    day.define("FDAX", currency="EUR")
    day.limit("daily-loss", limit="1000")
    day.limit("daily-loss:eur", limit="700", currency="EUR")
    day.make("-600", "FDAX")
    day.make("-400")
    # Without a rate neither sum is known.
    assert not day.lockouts()
    [quoted] = day.book.append("rate/-/EURUSD", RateQuoted(base="EUR", quote="USD", rate=Decimal("1.25")))
    assert {record.causation_id for record in day.lockouts()} == {quoted.id}
    assert [each.reason.partition(" reached")[0] for each in locked(day)] == [
        "daily loss -1,150.00 of -1,000.00 USD",
        "daily loss -920.00 of -700.00 EUR",
    ]
    found = locked(day)[0].details
    assert isinstance(found, dict)
    assert (found["figure"], found["other_currencies"]) == ("-1150.00", {"EUR": "-600"})


def test_the_rate_with_which_a_loss_reaches_a_limit_in_another_currency_locks(day: Day) -> None:
    day.limit("daily-loss", limit="700", currency="EUR")
    day.confirm("1.25", "EURUSD")
    day.make("-800")
    assert not day.lockouts()
    day.confirm("1.20", "EURUSD")
    assert not day.lockouts()
    day.confirm("1.14", "EURUSD")
    [found] = day.lockouts()
    assert "daily loss -701.75" in locked(day)[0].reason
    assert found.actor == "policy:daily-loss"


def test_a_symbol_without_multiplier_makes_the_day_unknown_and_locks_nothing(day: Day) -> None:
    day.limit("daily-loss", limit="1000")
    day.make("-100", "NQ")
    day.make("-1000")
    assert not day.lockouts()
    [defined] = day.define("NQ")
    assert [record.causation_id for record in day.lockouts()] == [defined.id]
    assert details(day)["figure"] == "-1100"


def test_a_contract_defined_later_is_evaluated_then(day: Day) -> None:
    day.limit("daily-loss", limit="1000")
    day.make("-1000", "NQ")
    assert not day.lockouts()
    [defined] = day.define("NQ")
    assert [record.causation_id for record in day.lockouts()] == [defined.id]


def test_without_an_account_currency_each_currency_is_evaluated_by_itself(place: Place) -> None:
    day = Day(place, [DailyLoss()])
    day.define("ES")
    day.define("FDAX", currency="EUR")
    day.limit("daily-loss", limit="1000")
    day.make("-900")
    day.make("-900", "FDAX")
    assert not day.lockouts()
    day.make("-100", "FDAX")
    assert details(day)["currency"] == "EUR"
    day.close()


def test_a_warning_is_recorded_once_a_day_and_locks_nothing(day: Day) -> None:
    day.limit("daily-loss", limit="1000", severity="WARNING")
    day.make("-1000")
    day.make("-100")
    [breach] = day.breaches()
    assert (breach.severity, breach.figure, breach.trading_day) == (Severity.WARNING, Decimal(-1000), TODAY)
    assert breach.reason == "daily loss -1,000.00 of -1,000.00 USD reached"
    assert not day.lockouts()


def test_the_second_day_starts_unlocked(day: Day) -> None:
    day.limit("daily-loss", limit="1000")
    day.make("-1000")
    day.end()
    assert not day.is_locked()
    day.make("-999")
    assert len(day.lockouts()) == 1
    day.make("-1")
    assert locked(day)[1].until == NEXT_RESET


def test_a_late_fill_of_a_day_that_is_over_is_recorded_and_locks_nothing(day: Day) -> None:
    day.limit("daily-loss", limit="1000")
    day.limit("daily-loss:equity", limit="1000", basis="equity")
    day.make("-900")
    day.end()
    day.make("-100", when=RESET - 1)
    assert [breach.rule_id for breach in day.breaches()] == ["daily-loss", "daily-loss:equity"]
    assert {breach.trading_day for breach in day.breaches()} == {TODAY}
    assert {breach.basis for breach in day.breaches()} == {"realized"}
    day.make("-100", when=RESET - 1)
    assert len(day.breaches()) == 2
    assert not day.lockouts()


def test_a_fee_recorded_after_the_reset_counts_for_the_day_of_its_trade(day: Day) -> None:
    day.limit("daily-loss", limit="1000")
    sold = day.make("-990")
    day.end()
    day.book.append(sold.stream, FeeCharged(trade_id="T2", amount=Decimal(10), currency="USD", symbol="ES"))
    assert [breach.trading_day for breach in day.breaches()] == [TODAY]
    assert not day.lockouts()


def test_a_limit_set_after_a_day_does_not_apply_to_it(day: Day) -> None:
    day.limit("daily-loss", limit="1000")
    day.make("-900")
    day.end()
    day.limit("daily-loss", limit="500")
    day.make("-50", when=RESET - 1)
    assert not day.breaches()
    day.make("-50", when=RESET - 1)
    assert [(breach.limit, breach.figure) for breach in day.breaches()] == [(Decimal(-1000), Decimal(-1000))]


def test_without_any_session_a_day_is_the_date_in_utc_until_the_next_reset(place: Place) -> None:
    day = Day(place, [DailyLoss()])
    day.book.sessions.calendars.clear()
    day.define("ES")
    day.limit("daily-loss", limit="1000")
    day.make("-1000")
    assert (the_lockout(day).until, details(day)["trading_day"]) == (at(21, 0), "2026-11-20")
    day.close()


def test_a_disabled_limit_locks_nothing(day: Day) -> None:
    day.limit("daily-loss", limit="1000", enabled=False)
    day.make("-5000")
    assert not day.lockouts()


# The week and the profit


def test_a_weeks_loss_locks_until_its_last_days_reset(place: Place) -> None:
    day = Day(place, [WeeklyLoss()], now=at(17, 15))
    day.open_account()
    day.define("ES")
    day.begin()
    day.limit("weekly-loss", limit="2000")
    day.make("-1200")
    day.end()
    day.make("-799")
    assert not day.lockouts()
    day.make("-1")
    assert the_lockout(day).until == RESET
    assert the_lockout(day).reason == (
        "weekly loss -2,000.00 of -2,000.00 USD reached; locked until 2026-11-20 17:00 CST"
    )
    day.end()
    assert day.is_locked()
    day.end()
    day.end()
    assert not day.is_locked()
    day.make("-1999")
    assert len(day.lockouts()) == 1
    day.close()


def test_a_week_begins_with_a_day_that_no_session_records_yet(place: Place) -> None:
    day = Day(place, [WeeklyLoss()], now=at(20, 15))
    day.open_account()
    day.define("ES")
    day.begin()
    day.limit("weekly-loss", limit="2000")
    day.make("-1999")
    # In Chicago it is Sunday evening: Monday's day began with Friday's reset, and nobody was running then.
    day.clock.set(at(22, 23, 30))
    assert [each.figure for each in day.book.limits.headroom("A")] == [0]
    day.make("-1999")
    assert not day.lockouts()
    day.make("-1")
    assert len(day.lockouts()) == 1
    day.close()


def test_with_an_unknown_end_of_the_week_it_locks_day_by_day(place: Place) -> None:
    day = Day(place, [WeeklyLoss()], now=at(17, 15))
    day.book.sessions.calendars.clear()
    day.open_account()
    day.define("ES")
    day.begin()
    day.limit("weekly-loss", limit="2000")
    day.make("-2000")
    assert the_lockout(day).until == at(17, 23)
    day.end()
    assert [event.until for event in locked(day)] == [at(17, 23), at(18, 23)]
    day.close()


def test_a_profit_is_locked_in_when_it_reaches_the_target(day: Day) -> None:
    day.limit("daily-profit", target="3000")
    day.make("2999")
    assert not day.lockouts()
    day.make("51")
    assert the_lockout(day).reason == (
        "daily profit 3,050.00 of 3,000.00 USD reached; locked until 2026-11-20 17:00 CST"
    )


def test_an_unrealized_profit_is_locked_in_by_the_quote(day: Day) -> None:
    day.limit("daily-profit", target="3000", basis="equity")
    day.fill(Side.BUY, "5000")
    day.quote("5059.75")
    assert not day.lockouts()
    day.quote("5060")
    assert the_lockout(day).until == RESET


def test_a_cleared_lockout_is_set_again_by_the_next_fill(day: Day) -> None:
    day.limit("daily-loss", limit="1000")
    day.make("-1000")
    day.book.append("lockout/A/daily-loss", LockoutCleared(by="desk"))
    assert not day.is_locked()
    day.make("-1")
    assert day.is_locked()


def test_two_accounts_are_evaluated_separately(day: Day) -> None:
    day.limit("daily-loss", limit="1000")
    day.make("-999")
    bought = OrderFilled(trade_id="1", symbol="ES", side=Side.BUY, quantity=Decimal(1), price=Decimal(5_000))
    day.book.append("order/B/O", [bought, replace(bought, trade_id="2", side=Side.SELL, price=Decimal(4_000))])
    assert not day.lockouts()


def test_a_contract_is_not_an_account(day: Day) -> None:
    day.limit("daily-loss", limit="1000")
    day.book.append("contract/-/NQ", ContractDefined(symbol="NQ", multiplier=Decimal(20)))
    assert not day.policies.stopped
