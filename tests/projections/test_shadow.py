"""Shadow mode: policies record what they would have done, once where an armed account would have been locked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import projections
from eventstore import Batch, Event, Record, Unchanged
from eventstore.trading import (
    GroupDefined,
    LimitsSet,
    LockoutCleared,
    LockoutSet,
    NoteAdded,
    Protection,
    ProtectionMode,
    Side,
    Verdict,
    WouldLock,
)
from projections.risk.policies import Policies
from projections.rules import shipped_rules
from tests.projections.rules_day import ACCOUNT, CALENDAR, RESET, SECOND, Day, at
from tests.projections.shadowing import acted, arm, buy, new_day, set_mode, shadow


@pytest.fixture
def day(tmp_path: Path) -> Iterator[Day]:
    day = new_day(tmp_path / "data")
    yield day
    day.close()


def test_a_late_breach_of_each_day_would_have_locked_once_on_that_day(day: Day) -> None:
    shadow(day)
    day.limit("daily-loss", limit="1000")
    for when in (at(10, 15), at(10, 16), at(11, 16), at(9, 16), at(10, 14)):
        day.make("-1500", when=when)
    found = list(day.store.read(types=(WouldLock,)))
    assert [record.occurred_at for record in found] == [at(10, 15), at(11, 16), at(9, 16)]
    untils = [record.event.until for record in found if isinstance(record.event, WouldLock)]
    assert untils == [at(10, 23), at(11, 23), at(9, 23)]
    assert not day.breaches()
    assert not day.lockouts()
    assert [(each.set_at, each.ended_by) for each in day.book.shadow.history(ACCOUNT)] == [
        (at(9, 16), "expired"),
        (at(10, 15), "expired"),
        (at(11, 16), None),
    ]
    assert day.book.shadow.ended_and_held(ACCOUNT) == day.book.shadow.history(ACCOUNT)
    assert day.book.shadow.locks(ACCOUNT) == ()
    assert [each.rule_id for each in day.book.shadow.locks(ACCOUNT, at(11, 17))] == ["daily-loss"]


def test_the_same_late_breach_of_an_armed_account_locks_nothing(day: Day) -> None:
    day.limit("daily-loss", limit="1000")
    day.make("-1500", when=at(19, 15))
    assert not acted(day)


def test_arming_locks_what_is_in_breach(day: Day) -> None:
    shadow(day)
    day.limit("daily-loss", limit="1000")
    day.make("-1000")
    assert not day.is_locked()
    assert [each.until for each in day.book.shadow.locks(ACCOUNT)] == [RESET]
    armed = arm(day)
    [record] = day.lockouts()
    assert record.causation_id == armed.id
    assert day.is_locked()
    assert day.book.shadow.locks(ACCOUNT) == ()
    [ended] = day.book.shadow.history(ACCOUNT)
    assert ended.ended_by == "the account was armed by ann@desk"


def test_arming_locks_what_is_in_breach_after_a_restart(day: Day) -> None:
    shadow(day)
    day.limit("daily-loss", limit="1000")
    day.make("-1000")
    day.policies.stop()
    arm(day)
    assert not day.lockouts()
    day.restart(shipped_rules(CALENDAR))
    assert day.is_locked()
    assert len(day.lockouts()) == 1


def test_what_was_decided_in_shadow_mode_and_not_recorded_is_dropped_once_armed(day: Day) -> None:
    shadow(day)
    day.limit("daily-loss", limit="1000")
    day.policies.stop()
    day.make("-1500", when=at(10, 15))
    arm(day)
    day.restart(shipped_rules(CALENDAR))
    assert not acted(day)


def test_a_breach_after_arming_locks_though_it_would_have_locked_the_same_day(day: Day) -> None:
    shadow(day)
    day.limit("daily-loss", limit="1000", basis="equity")
    day.fill(Side.BUY, "5000")
    day.confirm("4980")
    assert [kind for kind, _ in acted(day)] == ["WouldLock", "WouldAsk", "WouldAsk"]
    day.confirm("5000")
    arm(day)
    assert not day.is_locked()
    day.confirm("4980")
    assert day.is_locked()


def test_a_rule_that_clears_its_lockout_would_have_cleared_it(day: Day) -> None:
    shadow(day)
    day.limit("maximum-contracts", limit="1")
    for _ in range(2):
        day.fill(Side.BUY, "5000", quantity="2")
        day.fill(Side.SELL, "5000", quantity="2")
    kinds = [kind for kind, _ in acted(day)]
    assert kinds == ["WouldLock", "WouldAsk", "WouldClear", "WouldLock", "WouldAsk", "WouldClear"]
    assert [each.ended_by for each in day.book.shadow.history(ACCOUNT)] == ["cleared by maximum-contracts"] * 2


def test_a_rule_s_late_lockouts_are_cleared_when_they_would_have_been(day: Day) -> None:
    shadow(day)
    day.limit("maximum-contracts", limit="1")
    for hour in (15, 16):
        day.fill(Side.BUY, "5000", quantity="2", when=at(10, hour))
        day.fill(Side.SELL, "5000", quantity="2", when=at(10, hour, 30))
    spans = [(each.set_at, each.ended_at) for each in day.book.shadow.history(ACCOUNT)]
    assert spans == [(at(10, 15), at(10, 15, 30)), (at(10, 16), at(10, 16, 30))]


def test_a_real_lockout_stays_in_force(day: Day) -> None:
    day.limit("daily-loss", limit="1000")
    day.book.append("lockout/A/desk", LockoutSet(rule_id="desk", reason="by hand"))
    shadow(day)
    day.end()
    assert day.book.shadow.mode(ACCOUNT) is Protection.SHADOW
    assert day.is_locked()
    assert buy(day).verdict is Verdict.REJECT
    day.book.append("lockout/A/desk", LockoutCleared(by="ann"))
    assert buy(day).verdict is Verdict.PASS


def test_members_of_a_group_in_shadow_mode_are_not_locked(day: Day) -> None:
    day.open_account(account="B")
    set_mode(day, Protection.SHADOW, "B")
    day.book.append("group/-/DESK", GroupDefined(accounts=("A", "B")), actor="ann@desk")
    limit = LimitsSet(rule_id="daily-loss", parameters={"limit": "1000"})
    day.book.append("limits/@DESK/daily-loss", limit, actor="ann@desk")
    day.make("-600")
    day.make("-600")
    day.make("-100")
    assert acted(day, LockoutSet, WouldLock) == [
        ("LockoutSet", "lockout/A/group:DESK:daily-loss"),
        ("WouldLock", "shadow/B/group:DESK:daily-loss"),
    ]
    [first], [second] = (list(day.store.read(types=(cls,))) for cls in (LockoutSet, WouldLock))
    assert first.causation_id == second.causation_id
    set_mode(day, Protection.ARMED, "B")
    assert [record.account for record in day.lockouts()] == ["A", "B"]


def test_restarts_and_a_second_process_record_each_once(day: Day) -> None:
    shadow(day)
    day.limit("daily-loss", limit="1000")
    # What the cursor of the second process lies before.
    for when in (at(10, 15), at(11, 15)):
        day.make("-1500", when=when)
    day.make("-1500")
    before = acted(day)
    assert len(before) == 9
    other = projections.open(day.store, calendars=CALENDAR)
    with Policies(other, shipped_rules(CALENDAR)):
        day.policies.tick()
    other.close()
    for _ in range(2):
        day.policies.stop()
        day.restart(shipped_rules(CALENDAR))
    assert acted(day) == before


def test_policies_that_start_behind_decide_the_same_once(day: Day) -> None:
    shadow(day)
    day.limit("daily-loss", limit="1000")
    day.policies.stop()
    for when in (at(10, 15), at(10, 16), at(11, 15)):
        day.make("-1500", when=when)
    day.restart(shipped_rules(CALENDAR))
    occurred = [record.occurred_at for record in day.store.read(types=(WouldLock,))]
    assert occurred == [at(10, 15), at(11, 15)]


# Another process changes the mode between a decision and its append


def before_the_append(day: Day, monkeypatch: pytest.MonkeyPatch, stream: str, event: Event) -> None:
    """Let another process append an event after a decision was taken, before it is appended."""
    append_many = day.book.append_many

    def late(batches: Sequence[Batch], *, unchanged: Unchanged | None = None) -> list[Record]:
        monkeypatch.setattr(day.book, "append_many", append_many)
        day.store.append(stream, event, actor="ann@desk")
        return append_many(batches, unchanged=unchanged)

    monkeypatch.setattr(day.book, "append_many", late)


@pytest.mark.parametrize("by_quote", [False, True])
def test_an_account_that_is_armed_meanwhile_is_locked(
    day: Day, monkeypatch: pytest.MonkeyPatch, by_quote: bool
) -> None:
    shadow(day)
    day.limit("daily-loss", limit="1000", basis="equity")
    day.fill(Side.BUY, "5000")
    day.confirm("5000")
    before_the_append(day, monkeypatch, "account/A/-", ProtectionMode(mode=Protection.ARMED))
    if by_quote:
        day.quote("4980")
    else:
        day.fill(Side.SELL, "4980")
    assert [kind for kind, _ in acted(day)] == ["LockoutSet", "EnforcementRequested", "EnforcementRequested"]
    assert day.is_locked()


def test_an_account_whose_shadow_mode_begins_meanwhile_is_not_locked(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    day.limit("daily-loss", limit="1000")
    shadow(day)
    day.clock.set(RESET + SECOND)
    begun = CALENDAR.day_at(day.clock.now_ns())
    before_the_append(day, monkeypatch, f"session/A/{begun.name}", begun.opened())
    day.make("-1000")
    assert [kind for kind, _ in acted(day)] == ["WouldLock", "WouldAsk", "WouldAsk"]


def test_a_lockout_does_not_wait_for_a_busy_account(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    append_many, number = day.book.append_many, iter(range(1_000))

    def busy(batches: Sequence[Batch], *, unchanged: Unchanged | None = None) -> list[Record]:
        day.store.append("note/A/busy", NoteAdded(target="day/A/2026-11-20", text=f"{next(number)}"))
        return append_many(batches, unchanged=unchanged)

    day.limit("daily-loss", limit="1000")
    monkeypatch.setattr(day.book, "append_many", busy)
    day.make("-1000")
    assert day.is_locked()
