"""Checks before an order in shadow mode: what would reject is a warning, but for what no limit decides."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from eventstore.trading import (
    Allows,
    LockoutCleared,
    LockoutSet,
    OrderSubmitted,
    OrderType,
    Protection,
    ProtectionMode,
    RiskChecked,
    Side,
    Verdict,
)
from projections import risk
from projections.risk import Proposal
from tests.projections.checked_orders import park
from tests.projections.rules_day import ACCOUNT, Day
from tests.projections.shadowing import arm, buy, new_day, shadow

REJECT, WARNING, PASS = Verdict.REJECT, Verdict.WARNING, Verdict.PASS


@pytest.fixture
def day(tmp_path: Path) -> Iterator[Day]:
    day = new_day(tmp_path / "data")
    shadow(day)
    yield day
    day.close()


def market(quantity: str = "1", symbol: str = "ES", side: Side = Side.BUY) -> OrderSubmitted:
    return OrderSubmitted(symbol=symbol, side=side, order_type=OrderType.MARKET, quantity=Decimal(quantity))


def check(day: Day, order: OrderSubmitted, account: str = ACCOUNT) -> risk.Answer:
    return risk.check(day.book, Proposal.of(account, order), day.clock.now_ns())


# What rejects in shadow mode too


def test_a_real_lockout_rejects_and_lets_reductions_through(day: Day) -> None:
    day.fill(Side.BUY, "5000")
    day.book.append("lockout/A/desk", LockoutSet(rule_id="desk", allows=Allows.REDUCE_ONLY, reason="by hand"))
    answer = buy(day)
    assert (answer.verdict, answer.passed, answer.rule_id) == (REJECT, False, "desk")
    assert check(day, market(side=Side.SELL)).verdict is PASS
    day.book.append("lockout/A/desk", LockoutCleared(by="ann"))
    assert buy(day).passed


def test_an_order_that_cannot_be_understood_is_rejected(day: Day) -> None:
    assert (check(day, market("-1")).verdict, check(day, market("-1")).rule_id) == (REJECT, "input")


def test_a_book_that_is_behind_does_not_know_the_mode(day: Day) -> None:
    day.limit("order-size", limit="1")
    day.policies.stop()
    day.book.close()
    answer = buy(day, 2)
    assert (answer.verdict, answer.rule_id) == (REJECT, "readiness")
    day.restart([])


def test_a_mode_that_cannot_be_read_protects(day: Day) -> None:
    park(day, "limits")
    answer = buy(day)
    assert (answer.verdict, answer.rule_id) == (REJECT, "readiness")


# What is a warning


def test_a_limit_lets_an_order_pass_with_what_it_says(day: Day) -> None:
    day.limit("order-size", limit="1")
    answer = buy(day, 2)
    assert (answer.verdict, answer.passed, answer.rule_id) == (WARNING, True, "order-size")
    assert answer.reason.startswith("Order allowed, in shadow mode: order of 2, at most 1 ES")
    assert [each.verdict for each in answer.findings] == [WARNING]
    arm(day)
    assert buy(day, 2).reason.startswith("Order blocked: order of 2, at most 1 ES")


def test_a_lockout_that_would_be_in_force_is_said(day: Day) -> None:
    day.limit("cooldown", losing_trips=1)
    day.make("-10")
    answer = buy(day)
    assert (answer.verdict, answer.rule_id) == (WARNING, "cooldown")
    assert answer.reason.startswith("Order allowed, in shadow mode: 1 losing round trips in a row")


def test_of_several_the_one_that_would_reject_is_said_before_a_warning(day: Day) -> None:
    day.limit("daily-loss", limit="1000", severity="WARNING")
    day.limit("order-size", limit="1")
    day.make("-1000")
    answer = buy(day, 2)
    assert [each.rule_id for each in answer.findings] == ["daily-loss", "order-size"]
    assert answer.rule_id == "order-size"


@pytest.mark.parametrize(
    ("account", "symbol", "reason"),
    [(ACCOUNT, "NQ", "contract NQ is not defined"), ("B", "ES", "account B was never opened")],
)
def test_what_is_not_known_is_a_warning(day: Day, account: str, symbol: str, reason: str) -> None:
    day.book.append("account/B/-", ProtectionMode(mode=Protection.SHADOW), actor="ann@desk")
    answer = check(day, market(symbol=symbol), account)
    assert (answer.verdict, answer.rule_id) == (WARNING, "readiness")
    assert answer.reason.startswith(f"Order allowed, in shadow mode: {reason}")


def test_a_limit_that_cannot_be_judged_is_a_warning(day: Day) -> None:
    day.old_limit("no-such-kind", limit="1")
    answer = buy(day)
    assert (answer.verdict, answer.rule_id) == (WARNING, "no-such-kind")


def test_a_position_that_cannot_be_read_is_a_warning(day: Day) -> None:
    park(day, "executions")
    answer = buy(day)
    assert (answer.verdict, answer.rule_id) == (WARNING, "readiness")


# Submitting


def test_an_order_past_its_limit_is_appended(day: Day) -> None:
    day.limit("order-size", limit="1")
    submitted = risk.submit(day.book, ACCOUNT, "O-1", market("2"), day.clock.now_ns())
    assert (submitted.answer.verdict, [each.type for each in submitted.records]) == (WARNING, ["OrderSubmitted"])
    assert not list(day.store.read(types=(RiskChecked,)))


def test_an_account_that_is_armed_meanwhile_is_checked_again(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    day.limit("order-size", limit="1")
    append = day.book.append

    def late(*arguments: object, **options: object) -> object:
        # As another process does between the check and the append.
        monkeypatch.setattr(day.book, "append", append)
        day.store.append("account/A/-", ProtectionMode(mode=Protection.ARMED), actor="ann@desk")
        return append(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(day.book, "append", late)
    submitted = risk.submit(day.book, ACCOUNT, "O-1", market("2"), day.clock.now_ns())
    assert submitted.answer.verdict is REJECT
    assert [each.type for each in submitted.records] == ["RiskChecked"]
