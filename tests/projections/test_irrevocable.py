"""Irrevocable lockouts: no event and no clock change weakens one before its original end."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import projections
from eventstore import Event, EventStore, ManualClock
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import Allows, LockoutCleared, LockoutExpired, LockoutExtended, LockoutSet
from projections.risk.limits.schedule import LockoutExpiry
from projections.risk.policies import Policies
from tests.proving import examples

# What it runs over and over is covered elsewhere, and would take twice as long.
pytestmark = pytest.mark.untraced

START = 1_790_000_000_000_000_000
MINUTE = 60_000_000_000
STREAM = "lockout/A/loss"
END = START + 60 * MINUTE
ENDLESS = START + 10_000_000 * MINUTE


class Attempt(NamedTuple):
    """An attempt: an event, perhaps with a false time; or a clock change or a wait, in minutes."""

    event: Event | None = None
    claimed_time: int | None = None
    moves: int = 0
    waits: int = 0
    ticks: bool = True


minutes = st.integers(-180, 180).filter(bool)
ends = st.none() | st.integers(-120, 240).map(lambda number: START + number * MINUTE)
events = st.one_of(
    st.builds(
        LockoutSet,
        rule_id=st.just("loss"),
        allows=st.sampled_from(Allows),
        until=ends,
        revocable=st.booleans(),
        reason=st.sampled_from(["", "again"]),
    ),
    st.builds(LockoutExtended, until=ends),
    st.builds(LockoutCleared, by=st.just("somebody"), scope=st.sampled_from([None, "account"])),
    st.builds(LockoutExpired, rule_id=st.sampled_from([None, "loss"])),
)
false_times = st.none() | st.integers(-300, 300).map(lambda number: START + number * MINUTE)
ticks = st.booleans()
appended_events = st.tuples(events, false_times, ticks).map(
    lambda drawn: Attempt(drawn[0], claimed_time=drawn[1], ticks=drawn[2])
)
moves = st.tuples(minutes, ticks).map(lambda drawn: Attempt(moves=drawn[0], ticks=drawn[1]))
waits = st.integers(1, 40).map(lambda drawn: Attempt(waits=drawn))
attempts = st.one_of(appended_events, moves, waits)


class Scene:
    """A log with an irrevocable lockout of an hour, policies, and a true time that no attempt changes."""

    def __init__(self) -> None:
        self.clock = ManualClock(START)
        self.store = EventStore(MemoryJournal(clock=self.clock), clock=self.clock)
        self.book = projections.open(self.store, snapshots=False)
        self.policies = Policies(self.book, [LockoutExpiry()]).start(ticking=False)
        self.book.append(STREAM, LockoutSet(rule_id="loss", until=END, revocable=False))
        self.longest, self.moved = END, 0

    @property
    def true_now(self) -> int:
        return START + self.clock.monotonic_ns()

    def make(self, attempt: Attempt) -> None:
        if attempt.event is not None:
            self.book.append(STREAM, attempt.event, occurred_at=attempt.claimed_time)
            if isinstance(attempt.event, LockoutSet | LockoutExtended):
                until = attempt.event.until
                self.longest = max(self.longest, ENDLESS if until is None else until)
        self.clock.set(self.clock.now_ns() + attempt.moves * MINUTE)
        self.moved += abs(attempt.moves) * MINUTE
        self.clock.advance(attempt.waits * MINUTE)
        if attempt.ticks:
            self.policies.tick()

    def holds(self, at: int) -> bool:
        return any(lockout.rule_id == "loss" for lockout in self.book.lockouts.active("A", at))


@settings(max_examples=examples(test=250, prove=20_000))
@given(st.lists(attempts, min_size=1, max_size=12))
def test_nothing_weakens_one_before_its_original_end(tried: list[Attempt]) -> None:
    scene = Scene()
    for attempt in tried:
        scene.make(attempt)
        if scene.true_now >= END:
            break
        for at in (START, scene.true_now, END - 1):
            assert scene.holds(at)
        if attempt.ticks:
            assert scene.holds(scene.clock.now_ns())
    assert scene.policies.is_caught_up
    # Once both clocks have reached the last requested end, it is over.
    wall = max(scene.true_now, scene.clock.now_ns())
    scene.clock.set(wall)
    scene.policies.tick()
    scene.clock.advance(scene.longest - START + scene.moved + (wall - scene.true_now) + 600 * MINUTE)
    scene.policies.tick()
    if scene.longest < ENDLESS:
        assert not scene.holds(scene.clock.now_ns())


@settings(max_examples=examples(test=80, prove=5_000))
@given(st.lists(st.one_of(moves, waits), max_size=12))
def test_changed_clocks_leave_its_end_unchanged(tried: list[Attempt]) -> None:
    scene = Scene()
    for attempt in tried:
        if scene.true_now + attempt.waits * MINUTE >= END:
            break
        scene.make(attempt)
    scene.clock.set(scene.true_now)
    scene.policies.tick()
    assert scene.holds(END - 1)
    assert not scene.holds(END)
    scene.clock.advance(END - scene.true_now - 1)
    scene.policies.tick()
    assert scene.holds(scene.clock.now_ns())
    scene.clock.advance(1)
    scene.policies.tick()
    assert not scene.holds(scene.clock.now_ns())
    assert [record.type for record in scene.store.read(types=(LockoutExpired,))] == ["LockoutExpired"]


def test_an_hour_on_both_clocks_ends_it() -> None:
    scene = Scene()
    scene.make(Attempt(waits=59))
    assert scene.holds(scene.clock.now_ns())
    scene.make(Attempt(waits=1))
    assert not scene.holds(scene.clock.now_ns())


def test_a_clock_set_ahead_and_partly_back_unobserved_takes_nothing_back() -> None:
    scene = Scene()
    scene.make(Attempt(moves=98, ticks=False))
    scene.make(Attempt(LockoutCleared(by="somebody"), ticks=False))
    scene.make(Attempt(moves=-60))
    scene.make(Attempt())
    scene.make(Attempt(moves=22))
    assert scene.holds(scene.clock.now_ns())


def test_a_clock_set_ahead_and_back_unobserved_ends_nothing() -> None:
    scene = Scene()
    scene.make(Attempt(moves=120, ticks=False))
    scene.make(Attempt(LockoutCleared(by="somebody"), ticks=False))
    scene.make(Attempt(moves=-120))
    assert scene.holds(scene.clock.now_ns())
    assert scene.holds(END - 1)
    assert not scene.holds(END)
