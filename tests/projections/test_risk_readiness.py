"""Checks before an order with an unreliable book: behind, closed, parked, or with failed policies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from typing_extensions import override

import projections
from eventstore import Event
from eventstore.trading import (
    LimitsSet,
    LockoutSet,
)
from projections import risk
from projections.risk.policies import Decision, Policies, Policy, PolicyStopped, Trigger
from tests.projections.asking import (
    BUY,
    PASS,
    REJECT,
    SELL,
    ask,
    cancel,
    proposal,
    refused,
    told_elsewhere,
    trading_day,
)
from tests.projections.rules_day import NOON, Day


@pytest.fixture
def day(tmp_path: Path) -> Iterator[Day]:
    day = trading_day(tmp_path / "data")
    yield day
    day.close()


def test_a_book_behind_its_log_rejects_new_exposure_only(day: Day) -> None:
    day.fill(BUY, "5000")
    day.quote("5000")
    told_elsewhere(day, "order-size", limit="0.5")
    assert (
        refused(day)
        == f"the book is at position {day.book.position}, behind its log or closed: refresh it or reopen it"
    )
    assert ask(day, SELL).verdict is PASS
    day.book.refresh()
    assert ask(day).rule_id == "order-size"


def test_a_closed_book_rejects_and_one_of_the_past_does_not(day: Day) -> None:
    past = projections.as_of(day.store, position=day.store.head())
    day.limit("order-size", limit="1")
    day.book.close()
    assert "behind its log or closed" in refused(day)
    assert risk.check(past, proposal(quantity="5"), NOON).verdict is PASS


@pytest.mark.parametrize("view", ["lockouts", "positions", "orders"])
def test_a_parked_partition_rejects_every_order_that_needs_it(day: Day, view: str) -> None:
    day.fill(BUY, "5000")
    day.quote("5000")
    assert ask(day).verdict is PASS
    park(day, view)
    for order in (BUY, SELL):
        checked = ask(day, order)
        assert checked.verdict is REJECT
        assert f"view {view} stopped for A" in checked.reason
    assert ask(day, account="B").verdict is PASS
    mend(day, view)
    assert ask(day, SELL).verdict is PASS


@pytest.mark.parametrize(
    ("view", "rule_id", "parameters"),
    [
        ("limits", "order-size", {"limit": "9"}),
        ("accounts", "available-balance", {"minimum": "1"}),
        ("counters", "trade-limit", {"limit": 9}),
        ("bests", "trailing-drawdown", {"distance": "9000"}),
        ("equity", "trailing-drawdown", {"distance": "9000"}),
        ("blackouts", "order-size", {"limit": "9"}),
    ],
)
def test_a_parked_input_rejects_new_exposure_and_no_reduction(
    day: Day, view: str, rule_id: str, parameters: dict[str, object]
) -> None:
    day.limit(rule_id, **parameters)
    day.fill(BUY, "5000")
    day.quote("5000")
    assert ask(day).verdict is PASS
    park(day, view)
    checked = ask(day)
    assert checked.verdict is REJECT
    assert f"view {view} stopped for A" in checked.reason
    assert ask(day, SELL).verdict is PASS
    mend(day, view)
    assert ask(day).verdict is PASS


def park(day: Day, view: str) -> None:
    """Let a view fail on the next record of the account."""
    slot = day.book._fold.slots[view]
    error = projections.view.PartitionParked(view, "A", day.book.position, ValueError("broken"))
    slot.parked["A"] = error
    slot.turns["A"] = slot.turns.get("A", 0) + 1


def mend(day: Day, view: str) -> None:
    assert day.book.retry(view, "A")


# Policies


class Grumpy(Policy):
    """Fails at each limit that is set."""

    name = "grumpy"
    types: ClassVar[tuple[type[Event], ...]] = (LimitsSet,)

    @override
    def decide(self, book: projections.Book, trigger: Trigger) -> Iterable[Decision]:
        if trigger.record is None:
            return ()
        msg = "no"
        raise ValueError(msg)


class Asking(Policy):
    """Checks an order while what it decides on waits to be appended."""

    name = "asking"
    types: ClassVar[tuple[type[Event], ...]] = (LimitsSet,)

    def __init__(self) -> None:
        self.found: list[risk.Checked] = []

    @override
    def decide(self, book: projections.Book, trigger: Trigger) -> Iterable[Decision]:
        if trigger.record is None:
            return ()

        def obsolete_if(book: projections.Book) -> bool:
            self.found.append(risk.check(book, proposal(), NOON))
            return True

        return [Decision((("lockout/A/x", LockoutSet(rule_id="x")),), obsolete_if=obsolete_if)]


def test_stopped_policies_reject_new_exposure(day: Day) -> None:
    day.policies.stop()
    policies = Policies(day.book, [Grumpy()]).start(ticking=False)
    assert ask(day).verdict is PASS
    day.limit("order-size", limit="9")
    assert "the policies have not decided on every record yet, or have failed" in refused(day)
    assert ask(day, account="B").verdict is PASS, "they failed for another account"
    assert cancel(day).verdict is PASS
    with pytest.raises(PolicyStopped):
        policies.stop()


def test_pending_decisions_reject_new_exposure(day: Day) -> None:
    day.policies.stop()
    asking = Asking()
    policies = Policies(day.book, [asking]).start(ticking=False)
    day.limit("order-size", limit="9")
    assert [checked.verdict for checked in asking.found] == [REJECT]
    assert ask(day).verdict is PASS
    policies.stop()
