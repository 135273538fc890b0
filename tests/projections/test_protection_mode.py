"""The protection mode: an account is armed unless it was put in shadow mode, which waits as a loosening does."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from eventstore import Event, InvalidEvent
from eventstore.trading import (
    CashKind,
    CashMoved,
    GroupDefined,
    LimitsSet,
    LockoutCleared,
    LockoutSet,
    OrderSubmitted,
    PositionReported,
    Protection,
    ProtectionMode,
    Side,
)
from projections.rules import shipped_rules
from tests.places import Place
from tests.projections.rules_day import ACCOUNT, CALENDAR, HOUR, NOON, RESET, SECOND, Day
from tests.projections.shadowing import acted, arm, new_day, set_mode, shadow

pytestmark = pytest.mark.in_each_place(slow=True)


@pytest.fixture
def day(place: Place) -> Iterator[Day]:
    day = new_day(place)
    yield day
    day.close()


def test_an_account_without_a_mode_is_armed(day: Day) -> None:
    assert day.book.shadow.mode(ACCOUNT) is Protection.ARMED
    assert day.book.shadow.mode("NOBODY") is Protection.ARMED
    assert day.book.shadow.setting(ACCOUNT) is None
    assert day.book.shadow.pending(ACCOUNT) is None
    day.limit("daily-loss", limit="1000")
    day.make("-1000")
    assert [kind for kind, _ in acted(day)] == ["LockoutSet", "EnforcementRequested", "EnforcementRequested"]


def test_an_account_that_nobody_has_limited_is_in_shadow_mode_at_once(day: Day) -> None:
    shadow(day)
    setting = day.book.shadow.setting(ACCOUNT)
    assert setting is not None
    assert (setting.mode, setting.actor, setting.reason) == (Protection.SHADOW, "ann@desk", "to try it")
    assert setting.in_force_at == setting.set_at


def test_shadow_mode_waits_for_the_next_session_of_an_account_with_limits(day: Day) -> None:
    day.limit("daily-loss", limit="1000")
    day.make("-900")
    shadow(day)
    waiting = day.book.shadow.pending(ACCOUNT)
    assert waiting is not None
    assert (waiting.mode, waiting.in_force_at) == (Protection.SHADOW, None)
    assert day.book.shadow.mode(ACCOUNT) is Protection.ARMED
    day.make("-100")
    assert day.is_locked()
    day.end()
    assert day.book.shadow.mode(ACCOUNT) is Protection.SHADOW
    assert day.book.shadow.pending(ACCOUNT) is None
    day.make("-1000")
    assert [kind for kind, _ in acted(day)] == [
        "LockoutSet",
        "EnforcementRequested",
        "EnforcementRequested",
        "WouldLock",
        "WouldAsk",
        "WouldAsk",
    ]


def test_an_account_that_has_not_traded_waits_for_nothing(day: Day) -> None:
    day.limit("daily-loss", limit="1000")
    deposit = CashMoved(amount=Decimal(100), currency="USD", kind=CashKind.DEPOSIT)
    day.book.append("account/A/-", deposit)
    for _ in range(2):
        shadow(day)
        setting = day.book.shadow.setting(ACCOUNT)
        assert setting is not None
        assert (setting.mode, setting.in_force_at) == (Protection.SHADOW, setting.set_at)
        assert day.book.shadow.pending(ACCOUNT) is None
    day.make("-1000")
    assert {kind for kind, _ in acted(day)} == {"WouldLock", "WouldAsk"}
    arm(day)
    assert day.is_locked()
    shadow(day)
    assert day.book.shadow.mode(ACCOUNT) is Protection.ARMED
    day.restart(shipped_rules(CALENDAR))
    assert day.book.shadow.mode(ACCOUNT) is Protection.ARMED


@pytest.mark.parametrize(
    "event",
    [
        ("order/A/O-1", OrderSubmitted(symbol="ES", side=Side.BUY, quantity=Decimal(1))),
        ("position/A/ES", PositionReported(symbol="ES", quantity=Decimal(1))),
        ("lockout/A/desk", LockoutSet(rule_id="desk")),
        ("account/A/-", CashMoved(amount=Decimal(-400), currency="USD", kind=CashKind.FUNDING)),
    ],
)
def test_any_sign_of_use_makes_it_wait(day: Day, event: tuple[str, Event]) -> None:
    day.limit("daily-loss", limit="1000")
    day.book.append(*event)
    shadow(day)
    assert day.book.shadow.mode(ACCOUNT) is Protection.ARMED
    assert day.book.shadow.pending(ACCOUNT) is not None


def test_set_again_it_waits_no_less(day: Day) -> None:
    day.limit("daily-loss", limit="1000")
    day.make("-1")
    for _ in range(3):
        shadow(day)
        assert day.book.shadow.mode(ACCOUNT) is Protection.ARMED


def test_an_account_that_was_armed_by_name_waits_too(day: Day) -> None:
    day.make("-1")
    arm(day)
    shadow(day)
    assert day.book.shadow.mode(ACCOUNT) is Protection.ARMED
    assert day.book.shadow.pending(ACCOUNT) is not None
    arm(day)
    assert day.book.shadow.pending(ACCOUNT) is None
    day.end()
    assert day.book.shadow.mode(ACCOUNT) is Protection.ARMED


def test_a_mode_that_is_repeated_changes_nothing(day: Day) -> None:
    for _ in range(2):
        shadow(day)
        day.limit("daily-loss", limit="1000")
    assert day.book.shadow.mode(ACCOUNT) is Protection.SHADOW
    day.make("-1000")
    shadow(day)
    assert [kind for kind, _ in acted(day)] == ["WouldLock", "WouldAsk", "WouldAsk"]
    for _ in range(2):
        arm(day)
    assert [kind for kind, _ in acted(day, LockoutSet)] == ["LockoutSet"]


def test_another_account_s_mode_is_its_own(day: Day) -> None:
    set_mode(day, Protection.SHADOW, "B")
    day.limit("daily-loss", limit="1000")
    day.make("-1000")
    assert day.is_locked()
    assert day.book.shadow.mode("B") is Protection.SHADOW


def test_a_mode_needs_an_actor_and_the_stream_of_an_account(day: Day) -> None:
    event = ProtectionMode(mode=Protection.SHADOW)
    with pytest.raises(InvalidEvent, match="actor"):
        day.store.append("account/A/-", event)
    with pytest.raises(InvalidEvent, match="account/"):
        day.store.append("limits/A/daily-loss", event, actor="ann@desk")


def test_the_log_s_time_says_when_a_mode_was_set(day: Day) -> None:
    day.limit("daily-loss", limit="1000")
    day.make("-1")
    event = ProtectionMode(mode=Protection.SHADOW)
    day.book.append("account/A/-", event, actor="ann@desk", occurred_at=NOON - 30 * HOUR)
    assert day.book.shadow.mode(ACCOUNT) is Protection.ARMED


def test_a_day_that_began_by_a_wrong_clock_brings_no_shadow_mode(day: Day) -> None:
    day.limit("daily-loss", limit="1000")
    day.make("-1")
    shadow(day)
    day.clock.set(RESET + SECOND)
    day.begin()
    assert day.book.shadow.mode(ACCOUNT) is Protection.SHADOW
    day.policies.tick()
    day.clock.set(NOON + HOUR)
    day.policies.stop()
    day.restart(shipped_rules(CALENDAR))
    day.policies.tick()
    assert day.book.shadow.mode(ACCOUNT) is Protection.ARMED


def test_a_group_s_limits_are_limits(day: Day) -> None:
    day.book.append("group/-/DESK", GroupDefined(accounts=("A", "B")), actor="ann@desk")
    limit = LimitsSet(rule_id="daily-loss", parameters={"limit": "1000"})
    day.book.append("limits/@DESK/daily-loss", limit, actor="ann@desk")
    day.make("-1")
    for _ in range(2):
        shadow(day)
        assert day.book.shadow.mode(ACCOUNT) is Protection.ARMED
        assert day.book.shadow.pending(ACCOUNT) is not None
    day.end()
    assert day.book.shadow.mode(ACCOUNT) is Protection.SHADOW
    assert day.book.shadow.pending(ACCOUNT) is None


def test_a_group_s_limit_of_later_leaves_the_mode(day: Day) -> None:
    shadow(day)
    day.book.append("group/-/DESK", GroupDefined(accounts=("A", "B")), actor="ann@desk")
    limit = LimitsSet(rule_id="daily-loss", parameters={"limit": "1000"})
    day.book.append("limits/@DESK/daily-loss", limit, actor="ann@desk")
    assert day.book.shadow.mode(ACCOUNT) is Protection.SHADOW


def test_an_account_that_a_group_arms_is_judged_again(day: Day) -> None:
    limit = LimitsSet(rule_id="weekly-loss", parameters={"limit": "9000"})
    day.book.append("limits/@DESK/weekly-loss", limit, actor="ann@desk")
    day.make("-1")
    shadow(day)
    day.limit("daily-loss", limit="1000")
    day.limit("cooldown", losing_trips=2, duration=HOUR)
    day.make("-1200")
    day.policies.tick()
    assert day.book.lockouts.active(ACCOUNT, day.clock.now_ns()) == ()
    day.book.append("group/-/DESK", GroupDefined(accounts=("A", "B")), actor="ann@desk")
    assert day.book.shadow.mode(ACCOUNT) is Protection.ARMED
    day.policies.tick()
    held = [each.rule_id for each in day.book.lockouts.active(ACCOUNT, day.clock.now_ns())]
    assert sorted(held) == ["cooldown", "daily-loss"]
    for rule in held:
        day.book.append(f"lockout/{ACCOUNT}/{rule}", LockoutCleared(by="desk"), actor="ann@desk")
    day.policies.tick()
    assert day.book.lockouts.active(ACCOUNT, day.clock.now_ns()) == (), "it is judged again once"
