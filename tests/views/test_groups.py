"""The groups view: who is a member, and when a group's limit that was loosened comes into force."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal

import pytest
from msgspec.structs import replace

import projections
from eventstore import EventStore, InvalidEvent, ManualClock
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import AccountOpened, ClockJumped, GroupDefined, LimitsSet, SessionOpened, SessionReset
from projections import Book
from projections.views.groups import GROUPS_MAX, GroupsView, TooManyGroups
from tests.projections.rules_day import NOON, SECOND

DAY = date(2026, 11, 20)
MONTH = 30 * 86_400 * SECOND


class Desk:
    """A book of a log in memory; each event is recorded a second after the last one."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOON)
        self.store = EventStore(MemoryJournal(clock=self.clock), clock=self.clock)
        self.book: Book = projections.open(self.store)

    def group(self, *accounts: str, name: str = "desk") -> None:
        self.clock.advance(SECOND)
        self.book.append(f"group/-/{name}", GroupDefined(accounts=accounts), actor="risk@desk", note="as agreed")

    def limit(self, limit: int, name: str = "desk", at: int | None = None) -> None:
        self.clock.advance(SECOND)
        event = LimitsSet(rule_id="daily-loss", parameters={"limit": limit}, effective_from=at)
        self.book.append(f"limits/@{name}/daily-loss", event, actor="risk@desk")

    def begin(self, account: str, day: int, at: int | None = None) -> int:
        """Record that an account's trading day began, by default now; return when."""
        self.clock.advance(SECOND)
        began_at = self.clock.now_ns() if at is None else at
        event = SessionReset(trading_day=DAY + timedelta(day), scheduled_for=began_at)
        self.book.append(f"session/{account}/{DAY + timedelta(day)}", event)
        return began_at

    def put_right(self, instant: int) -> None:
        """Set the clock back, and record that for an account."""
        before = self.clock.now_ns()
        self.clock.set(instant)
        self.book.append("lockout/A/clock", ClockJumped(before=before, after=instant))

    def held(self, at: int | None = None) -> object:
        limit = self.book.limits.get("@desk", "daily-loss", at)
        return None if limit is None else limit.parameters["limit"]


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.book.close()
    desk.store.close()


# Members


def test_a_member_named_twice_counts_once_and_members_are_sorted(desk: Desk) -> None:
    desk.group("B", "A", "B")
    desk.group("B", name="all")
    assert desk.book.groups.members("desk") == ("A", "B")
    assert (desk.book.groups.of("B"), desk.book.groups.of("A")) == (("all", "desk"), ("desk",))
    group = desk.book.groups.get("desk")
    assert group is not None
    assert (group.actor, group.note, group.position) == ("risk@desk", "as agreed", 1)


def test_a_later_definition_replaces_and_an_empty_one_dissolves(desk: Desk) -> None:
    desk.group("A", "B")
    desk.group("C")
    assert (desk.book.groups.members("desk"), desk.book.groups.of("A")) == (("C",), ())
    desk.group()
    assert (desk.book.groups.members("desk"), desk.book.groups.of("C")) == ((), ())
    assert desk.book.groups.members("other") == ()


def test_a_group_needs_an_actor_and_accounts_that_can_be_ones(desk: Desk) -> None:
    with pytest.raises(InvalidEvent, match="requires an actor"):
        desk.store.append("group/-/desk", GroupDefined(accounts=("A",)))
    with pytest.raises(InvalidEvent, match="at most 1,000"):
        desk.group(*(f"A{number}" for number in range(1_001)))


def test_groups_are_bounded_and_a_dissolved_one_makes_room(desk: Desk) -> None:
    view = GroupsView()
    state = view.initial()
    desk.group("A")
    [record] = desk.store.read()
    for number in range(GROUPS_MAX):
        view.apply(state, GroupDefined(accounts=("A",) if number else ()), replace(record, stream=f"group/-/{number}"))
    view.apply(state, GroupDefined(accounts=("A",)), record)
    assert len(state.groups) == GROUPS_MAX
    with pytest.raises(TooManyGroups, match="define an existing group again"):
        view.apply(state, GroupDefined(accounts=("A",)), replace(record, stream="group/-/more"))


# Loosening


def test_a_tightening_holds_at_once_and_a_loosening_waits_for_every_member(desk: Desk) -> None:
    desk.group("A", "B")
    desk.limit(1_000)
    desk.limit(900)
    assert desk.held() == 900
    desk.limit(2_000)
    assert desk.held() == 900
    desk.begin("A", 1)
    assert desk.held() == 900
    assert [limit.parameters["limit"] for limit in desk.book.limits.pending("@desk")] == [2_000]
    last = desk.begin("B", 1)
    assert (desk.held(), desk.held(last), desk.held(last - 1)) == (2_000, 2_000, 900)
    assert [limit.in_force_at for limit in desk.book.limits.history("@desk")][-1] == last


def test_a_day_of_another_account_or_one_that_began_before_is_not_waited_for(desk: Desk) -> None:
    desk.group("A")
    desk.begin("A", 0)
    desk.limit(1_000)
    desk.limit(2_000)
    desk.begin("C", 1)
    desk.begin("A", 1, NOON)
    desk.begin("A", 0)
    assert desk.held() == 1_000
    desk.begin("A", 2)
    assert desk.held() == 2_000


def test_what_replaces_a_waiting_loosening_is_compared_with_what_is_in_force(desk: Desk) -> None:
    desk.group("A", "B")
    desk.limit(1_000)
    desk.limit(2_000)
    desk.begin("A", 1)
    desk.limit(1_500)
    desk.begin("B", 1)
    # A has begun no day since.
    assert desk.held() == 1_000
    desk.begin("A", 2)
    assert desk.held() == 1_500
    desk.limit(1_400)
    assert desk.held() == 1_400


def test_a_loosening_waits_for_its_own_instant_as_well(desk: Desk) -> None:
    desk.group("A")
    desk.limit(1_000)
    desk.limit(2_000, at=NOON + 60 * SECOND)
    desk.begin("A", 1)
    assert desk.held() == 1_000
    began_at = desk.begin("A", 2, NOON + 61 * SECOND)
    assert (desk.held(began_at - 1), desk.held(began_at)) == (1_000, 2_000)


def test_a_new_member_is_waited_for_and_one_that_left_is_not(desk: Desk) -> None:
    desk.group("A", "B")
    desk.limit(1_000)
    desk.limit(2_000)
    desk.begin("A", 1)
    desk.group("A", "C")
    assert desk.held() == 1_000
    before = desk.clock.now_ns()
    desk.group("A")
    assert (desk.held(before), desk.held()) == (1_000, 2_000)
    # In force it stays in force, whatever account joins.
    desk.group("A", "D")
    assert desk.held() == 2_000


def test_a_group_without_members_waits_until_it_has_some(desk: Desk) -> None:
    desk.group("A")
    desk.limit(1_000)
    desk.group()
    desk.limit(2_000)
    desk.begin("A", 1)
    desk.group("A")
    assert desk.held() == 1_000
    desk.begin("A", 2)
    assert desk.held() == 2_000


def test_a_limit_may_be_set_before_its_group_is_defined(desk: Desk) -> None:
    desk.limit(1_000)
    assert desk.held() == 1_000
    assert desk.book.groups.problems() == ("group desk has limits and no members: define it, or disable them",)


def test_a_day_recorded_late_brings_a_loosening_forward(desk: Desk) -> None:
    desk.group("A", "B")
    desk.limit(1_000)
    desk.limit(2_000)
    begun = desk.clock.now_ns() + SECOND
    desk.begin("A", 1)
    desk.begin("B", 2, begun + 9 * SECOND)
    assert desk.held() == 1_000
    desk.begin("B", 1, begun + 1)
    assert (desk.held(begun + 1), desk.held(begun)) == (2_000, 1_000)


# A clock that ran ahead and was put right


def test_a_definition_while_the_log_is_ahead_holds_at_once(desk: Desk) -> None:
    desk.group("A", "B")
    desk.limit(1_000)
    desk.limit(2_000)
    desk.begin("A", 1)
    right = desk.clock.now_ns()
    desk.clock.set(right + MONTH)
    desk.group("C", name="other")
    desk.put_right(right)
    desk.group("A")
    assert desk.held(desk.clock.now_ns()) == 2_000


def test_a_definition_under_the_wrong_time_holds_once_the_clock_is_right(desk: Desk) -> None:
    desk.group("A", "B")
    desk.limit(1_000)
    desk.limit(2_000)
    desk.begin("A", 1)
    right = desk.clock.now_ns()
    desk.clock.set(right + MONTH)
    desk.group("A")
    assert desk.held(right) == 1_000
    desk.put_right(right)
    assert (desk.held(right - 1), desk.held(right)) == (1_000, 2_000)


def test_the_group_of_another_name_is_not_affected(desk: Desk) -> None:
    desk.group("A")
    desk.group("A", name="all")
    desk.limit(1_000)
    desk.limit(5, name="all")
    assert [limit.account for limit in desk.book.limits.of("@all")] == ["@all"]
    assert (desk.held(), desk.book.limits.of("A")) == (1_000, ())


def test_a_book_opened_again_knows_the_same(desk: Desk) -> None:
    desk.group("A", "B")
    desk.limit(1_000)
    desk.limit(2_000)
    desk.begin("A", 1)
    desk.book.append("account/A/-", AccountOpened(starting_balance=Decimal(1), currency="USD"))
    desk.book.append(f"session/B/{DAY}", SessionOpened(trading_day=DAY))
    with projections.open(desk.store) as again:
        assert again.groups.get("desk") == desk.book.groups.get("desk")
        assert again.limits.of("@desk") == desk.book.limits.of("@desk")
        assert again.limits.history("@desk") == desk.book.limits.history("@desk")
