"""A wall clock that ran ahead and was put right brings no loosened limit of a group into force."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
from msgspec.structs import replace

import projections
from eventstore import EventStore, ManualClock
from eventstore.trading import AccountOpened, ClockJumped, GroupDefined, LimitsSet, SessionReset
from projections.views.groups import GroupsView
from tests.projections.clockwork import DAY, HOUR, MINUTE, NOON
from tests.projections.wrong_clocks.desk import MONDAY, RESET, SHORT_JUMPS, TUESDAY, WAYS, Desk, Way

STREAM = "limits/@both/daily-loss"


class Both(Desk):
    """A desk of two accounts that are one group."""

    def define(self, *accounts: str) -> None:
        self.store.append("group/-/both", GroupDefined(accounts=accounts), actor="desk")
        self.tick()

    def limit_both(self, amount: int, effective_from: int | None = None, occurred_at: int | None = None) -> None:
        event = LimitsSet(rule_id="daily-loss", parameters={"limit": str(amount)}, effective_from=effective_from)
        self.store.append(STREAM, event, actor="desk", occurred_at=occurred_at)
        self.tick()

    def held_by_both(self) -> str | None:
        self.book.refresh()
        limit = self.book.limits.get("@both", "daily-loss")
        return None if limit is None else limit.parameters["limit"]

    def waiting(self) -> list[str]:
        return [limit.parameters["limit"] for limit in self.book.limits.pending("@both")]


@pytest.fixture
def desk(store: EventStore, clock: ManualClock) -> Iterator[Both]:
    desk = Both(store, clock)
    desk.book.append("account/B/-", AccountOpened(starting_balance=Decimal(50_000), currency="USD"))
    desk.tick()
    desk.define("A", "B")
    yield desk
    desk.stop()


@pytest.mark.parametrize("by", SHORT_JUMPS)
def test_a_loosening_waits_for_the_days_that_truly_begin(desk: Both, set_clock: Way, by: int) -> None:
    desk.limit_both(100)
    desk.advance(MINUTE)
    desk.limit_both(500)
    set_clock(desk, NOON + by)
    set_clock(desk, NOON + 2 * MINUTE)
    assert desk.held_by_both() == "100"
    assert desk.waiting() == ["500"]
    desk.advance(RESET - NOON - 2 * MINUTE - 1)
    assert desk.held_by_both() == "100"
    desk.advance(1)
    assert desk.held_by_both() == "500"


def test_a_loosening_set_under_the_wrong_time_waits(desk: Both, set_clock: Way) -> None:
    desk.limit_both(100)
    set_clock(desk, NOON + HOUR)
    desk.limit_both(500)
    set_clock(desk, NOON + DAY)
    set_clock(desk, NOON + MINUTE)
    assert desk.held_by_both() == "100"
    assert [each.what for each in desk.book.limits.anomalies("@both")] == ["the setting of daily-loss"]
    desk.advance(RESET - NOON)
    assert desk.held_by_both() == "500"


def test_a_tightening_set_under_the_wrong_time_holds(desk: Both, set_clock: Way) -> None:
    desk.limit_both(500)
    set_clock(desk, NOON + 7 * DAY)
    desk.limit_both(100)
    set_clock(desk, NOON + MINUTE)
    assert desk.held_by_both() == "100"


def test_a_setting_for_later_waits_for_its_instant(desk: Both, set_clock: Way) -> None:
    desk.limit_both(500)
    set_clock(desk, NOON + 7 * DAY)
    desk.limit_both(100, effective_from=NOON + DAY)
    set_clock(desk, NOON + MINUTE)
    assert desk.held_by_both() == "500"
    desk.advance(DAY)
    assert desk.held_by_both() == "100"


def test_a_setting_between_two_limits_is_compared_with_what_is_truly_in_force(desk: Both, set_clock: Way) -> None:
    desk.limit_both(100)
    desk.advance(MINUTE)
    desk.limit_both(500)
    set_clock(desk, NOON + DAY)
    # Tighter than 500, which is in force by the wrong clock; looser than 100, which is by the right one.
    desk.limit_both(300)
    set_clock(desk, NOON + 2 * MINUTE)
    assert desk.held_by_both() == "100"


@pytest.mark.parametrize("by", [DAY, 7 * DAY])
def test_settings_go_on_while_the_log_is_ahead_of_the_clock(desk: Both, set_clock: Way, by: int) -> None:
    desk.limit_both(500)
    set_clock(desk, NOON + by)
    set_clock(desk, NOON + MINUTE)
    desk.limit_both(100)
    assert desk.held_by_both() == "100"
    desk.limit_both(300)
    assert desk.held_by_both() == "100"
    desk.advance(RESET - NOON - MINUTE)
    assert desk.held_by_both() == "300"
    desk.limit_both(200)
    assert desk.held_by_both() == "200"


def test_a_loosening_cannot_be_backdated_while_the_log_is_ahead(desk: Both) -> None:
    desk.limit_both(100)
    desk.set(NOON + 7 * DAY)
    desk.set(NOON + MINUTE)
    desk.advance(RESET - NOON)
    desk.limit_both(500, occurred_at=RESET - HOUR)
    assert desk.held_by_both() == "100"
    # Begins of days that are recorded long afterwards say nothing about what was set while the log was ahead.
    for account in ("A", "B"):
        late = SessionReset(trading_day=MONDAY - timedelta(30), scheduled_for=RESET + MINUTE)
        desk.advance(HOUR)
        desk.store.append(f"session/{account}/{late.trading_day}", late)
    assert desk.held_by_both() == "100"
    desk.advance(DAY - 2 * HOUR - MINUTE)
    assert desk.held_by_both() == "500"


def test_a_loosening_set_by_a_clock_that_was_behind_waits_for_the_next_day(desk: Both) -> None:
    desk.limit_both(100)
    desk.advance(MINUTE)
    desk.limit_both(500)
    desk.set(RESET + HOUR)
    assert (desk.day(), desk.held_by_both()) == (TUESDAY, "100")
    desk.advance(DAY)
    assert desk.held_by_both() == "500"


def test_a_member_that_leaves_under_the_wrong_time_brings_nothing_into_force_early(desk: Both, set_clock: Way) -> None:
    desk.limit_both(100)
    desk.advance(MINUTE)
    desk.limit_both(500)
    set_clock(desk, NOON + DAY)
    desk.define("A")
    set_clock(desk, NOON + 2 * MINUTE)
    assert desk.held_by_both() == "100"
    desk.advance(RESET - NOON)
    assert desk.held_by_both() == "500"


def test_a_group_defined_while_the_log_is_ahead_does_not_wait_for_it(desk: Both) -> None:
    desk.limit_both(100)
    desk.advance(MINUTE)
    desk.limit_both(500)
    desk.define()
    desk.set(NOON + 30 * DAY)
    desk.set(NOON + 2 * MINUTE)
    desk.define("A")
    desk.advance(RESET - NOON)
    assert desk.held_by_both() == "500"
    desk.limit_both(400)
    desk.define("A", "B")
    assert desk.held_by_both() == "400"


def test_one_jump_recorded_for_many_accounts_is_one(desk: Both) -> None:
    view = GroupsView()
    state = view.initial()
    [record] = desk.store.read(limit=1)
    for number in range(300):
        jump = replace(record, stream=f"lockout/{number}/clock", position=number + 1)
        view.apply(state, ClockJumped(before=NOON, after=NOON + HOUR), jump)
        view.apply(state, ClockJumped(before=NOON, after=NOON + 2 * HOUR), jump) if number == 0 else None
    assert state.clock.not_before(0) == NOON + 2 * HOUR + 1


def test_every_process_and_every_replay_agrees(desk: Both) -> None:
    desk.limit_both(100)
    desk.limit_both(500)
    for way, by in zip(WAYS * 2, (DAY, 0, 7 * DAY, HOUR, 2 * DAY, MINUTE), strict=True):
        way(desk, NOON + by)
    with projections.open(desk.store, snapshots=False) as other:
        assert other.state("groups", "-") == desk.book.state("groups", "-")
    assert [each.loosens for each in desk.book.limits.history("@both")] == [False, True]
