"""A limit in force that is not judged rejects new exposure, is recorded once, and its end as well."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar

import pytest
from typing_extensions import override

from eventstore import Event
from eventstore.trading import (
    Side,
)
from projections import Book
from projections.risk.limits.daily_loss import DailyLoss
from projections.risk.limits.unjudged import UnjudgedLimits
from projections.risk.policies import Decision, Policy, PolicyFailure, Trigger
from tests.places import Place
from tests.projections.checked_orders import PASS, REJECT, check_order
from tests.projections.policy_scene import fail
from tests.projections.rules_day import ACCOUNT, SECOND, Day, trading_day
from tests.projections.unjudging import (
    BOTH,
    define,
    disable,
    flatten,
    give_rate,
    missing_contract,
    no_rate,
    recorded,
    set_again,
    since,
    stale_price,
    types,
    unknown_kind,
    unreadable,
    wait,
)

pytestmark = pytest.mark.in_each_place(slow=True)


@pytest.fixture
def day(place: Place) -> Iterator[Day]:
    day = trading_day(place, UnjudgedLimits())
    yield day
    day.close()


# Each reason: rejected, recorded once, shown, ended


def consistency(day: Day) -> None:
    """Have a limit that acts at the close alone, and a traded contract without terms."""
    day.limit("consistency", limit="0.5", severity="WARNING")
    day.make("10")
    day.fill(Side.BUY, "100", "NQ")
    day.fill(Side.SELL, "101", "NQ")


Step = Callable[[Day], None]


@pytest.mark.parametrize(
    ("steps", "rule_id", "why", "ended"),
    [
        ((unknown_kind, disable), "daily-los", "did you mean daily-loss?", "it is disabled"),
        ((unreadable, set_again), "daily-loss", "cannot be read", "it was set again at position"),
        ((missing_contract, define), "daily-loss", "NQ", "it is judged again"),
        ((no_rate, give_rate), "daily-loss", "no rate from EUR to USD", "it is judged again"),
        ((stale_price, flatten), "daily-loss", "the price of ES is", "it is judged again"),
        ((consistency, define), "consistency", "NQ", "it is judged again"),
    ],
)
def test_what_cannot_be_judged_is_rejected_recorded_once_shown_and_ended(
    day: Day, steps: tuple[Step, Step], rule_id: str, why: str, ended: str
) -> None:
    begin, end = steps
    begin(day)
    assert check_order(day).verdict is REJECT
    [shown] = day.book.limits.unjudged(ACCOUNT)
    assert (shown.rule_id, why in shown.why, shown.since) == (rule_id, True, None)
    began_at = day.clock.now_ns()
    wait(day, 60)
    [(kind, rule, reason)] = recorded(day)
    assert (kind, rule, why in reason) == ("LimitUnjudged", rule_id, True)
    [shown] = day.book.limits.unjudged(ACCOUNT)
    assert shown.since == since(day)[0] == began_at + SECOND
    end(day)
    assert check_order(day).verdict is PASS
    wait(day, 60)
    assert types(day) == BOTH
    assert recorded(day)[1][2].startswith(ended)
    assert not day.book.limits.unjudged(ACCOUNT)
    assert not day.book.limits.recorded_unjudged(ACCOUNT)


def test_a_partition_that_failed_leaves_its_limits_unjudged_until_it_is_retried(
    day: Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    day.limit("daily-loss", limit="500")
    day.limit("order-size", limit="5")
    with monkeypatch.context() as broken:
        broken.setattr("projections.views.executions.view.report", fail)
        day.make("10")
    assert check_order(day).verdict is REJECT
    wait(day, 60)
    [(kind, rule_id, why)] = recorded(day)
    assert (kind, rule_id, "executions stopped for A" in why) == ("LimitUnjudged", "daily-loss", True)
    assert day.book.retry("executions", ACCOUNT)
    wait(day, 60)
    assert types(day) == BOTH
    assert check_order(day).verdict is PASS


def test_limits_that_cannot_be_read_themselves_are_recorded_once_across_restarts(
    day: Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    day.limit("daily-loss", limit="500")
    with monkeypatch.context() as broken:
        broken.setattr("projections.views.limits.settings.loosened", fail)
        failed = day.limit("daily-loss", limit="400")
        assert check_order(day).verdict is REJECT
        wait(day, 60)
        assert [rule_id for _, rule_id, _ in recorded(day)] == ["limits"]
        assert since(day) == [failed.recorded_at]
        day.policies.stop()
        day.restart([UnjudgedLimits()])
        wait(day, 60)
    assert types(day) == ["LimitUnjudged"]
    assert day.book.retry("limits", ACCOUNT)
    wait(day, 60)
    assert types(day) == BOTH
    assert check_order(day).verdict is PASS


class Failing(Policy):
    """Fails for account A as time passes."""

    name = "failing"
    types: ClassVar[tuple[type[Event], ...]] = ()
    timed: ClassVar[bool] = True

    @override
    def decide(self, book: Book, trigger: Trigger) -> Iterator[Decision]:
        raise LookupError(trigger.account)


def test_a_policy_that_stopped_leaves_every_limit_unjudged(place: Place) -> None:
    day = trading_day(place, UnjudgedLimits())
    day.limit("daily-loss", limit="500")
    day.limit("order-size", limit="5")
    day.policies.stop()
    day.restart([Failing(), UnjudgedLimits()])
    assert check_order(day).verdict is REJECT
    wait(day, 60)
    assert [(kind, rule_id) for kind, rule_id, _ in recorded(day)] == [
        ("LimitUnjudged", "daily-loss"),
        ("LimitUnjudged", "order-size"),
    ]
    assert all("policy failing stopped for A" in why for _, _, why in recorded(day))
    with pytest.raises(PolicyFailure):
        day.close()
    day.store.close()


def test_a_kind_that_stopped_leaves_its_own_limits_unjudged(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    day = trading_day(place, DailyLoss(), UnjudgedLimits())
    day.limit("daily-loss", limit="500")
    day.limit("order-size", limit="5")
    with monkeypatch.context() as broken:
        broken.setattr(DailyLoss, "breaches", fail)
        day.make("10")
    assert check_order(day).verdict is REJECT
    wait(day, 60)
    [(_, rule_id, why)] = recorded(day)
    assert (rule_id, "policy daily-loss stopped for A" in why) == ("daily-loss", True)
    with pytest.raises(PolicyFailure):
        day.close()
    day.store.close()
