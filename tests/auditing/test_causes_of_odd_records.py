"""`why` of records that others may have written: details of any shape, times before 1990, missing contracts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from eventstore.trading import LockoutSet, OrderFilled, OrderSubmitted, Side
from projections import auditing
from projections.auditing import Why
from projections.valuation import Status
from tests.projections.rules_day import Day

LONG_AGO = "1985-03-04T15:00:00Z"


def locked(day: Day, rule_id: str, **options: Any) -> Why:  # noqa: ANN401 - any option of append
    details = options.pop("details", {})
    event = LockoutSet(rule_id=rule_id, reason="copied", details=details)
    [record] = day.store.append(f"lockout/A/{rule_id}", event, actor="copy", **options)
    return auditing.why(day.store, record)


@pytest.mark.parametrize("rule_id", ["daily-loss", "trailing-drawdown", "trade-limit", "consecutive-losses", "manual"])
@pytest.mark.parametrize(
    "value",
    [
        *(None, True, 5, -1, 1.5, "", "x", "NaN", "Infinity", "-5", "1E+99999999", [], [1], ["x"], [{}], {}, {"x": 1}),
        *("0001-01-01", "9999-12-31", "1970-01-01", "2199-12-31", "1985-03-04", {"A": []}, {"A": {}, "B": "1"}),
    ],
)
def test_details_may_be_anything(day: Day, rule_id: str, value: object) -> None:
    day.fill(Side.BUY, "5000", fee="2")
    names = (
        *("figure", "limit", "currency", "quotes", "trips", "marks", "trading_day", "limit_position", "basis", "high"),
        *("realized", "fees", "cash", "unrealized", "balance", "blackout", "group"),
    )
    for details in (dict.fromkeys(names, value), {"accounts": value}, {"currency": "USD", "quotes": value}):
        why = locked(day, rule_id, details=details)
        assert "copied" in why.answer
        assert all(each.amount is None or each.amount.is_finite() for each in why.figures)
        why._repr_html_()


def test_a_day_that_no_log_can_have_is_said_to_be_none(day: Day) -> None:
    for name in ("0001-01-01", "9999-12-31", "1970-01-01", "2199-12-31"):
        why = locked(day, "daily-loss", details={"trading_day": name})
        assert any(f"'{name}', which position" in each for each in why.unknown)


def test_what_happened_before_1990_has_causes_too(day: Day) -> None:
    fill = OrderFilled(trade_id="T-9", symbol="ES", side=Side.BUY, quantity=Decimal(1), price=Decimal(5000))
    submitted = OrderSubmitted(symbol="ES", side=Side.BUY, quantity=Decimal(1))
    first, second = day.store.append("order/A/O-9", [submitted, fill], occurred_at=LONG_AGO)
    assert [each.record for each in auditing.why(day.store, second).causes] == [first]
    why = locked(day, "daily-loss", occurred_at=LONG_AGO, details={"realized": "0"})
    assert why.figures[0].name == "daily-loss"


@pytest.mark.parametrize("figure", ["realized", "balance"])
def test_a_figure_without_a_contract_is_unknown_and_says_which(day: Day, figure: str) -> None:
    for side, price in ((Side.BUY, "10"), (Side.SELL, "11")):
        fill = OrderFilled(
            trade_id=f"T-{side}", symbol="ZZ", side=side, quantity=Decimal(1), price=Decimal(price)
        )  # fmt: skip
        day.store.append(f"order/A/{side}", fill)
    [found] = auditing.why(day.store, figure, account="A").figures
    assert (found.amount, found.added, found.status) == (None, None, Status.UNKNOWN)
    assert "no contract is defined for ZZ" in found.why
