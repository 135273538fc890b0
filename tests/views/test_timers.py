"""Timers: time left, callbacks at their end exactly once; after a restart they are unknown."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import projections
from eventstore import EventStore, InvalidEvent, ManualClock, ReadOnly
from eventstore.clock import NANOSECONDS
from eventstore.journals.memory import MemoryJournal
from eventstore.trading import LockoutSet, TimerCanceled, TimerStarted
from projections import Book, PartitionParked
from projections.views import timers
from projections.views.timers import Timer, TimersState, TimersView, TooManyTimers, UnknownTimer
from tests.projections.examples import in_thread
from tests.views.position_folding import Folding, round_tripped

START = 1_750_000_000 * NANOSECONDS
MINUTE = 60 * NANOSECONDS


class Desk:
    """A trading process: a store that lives on, a book that it opens, and a list of what was called."""

    def __init__(self) -> None:
        self.clock = ManualClock(START)
        self.store = EventStore(MemoryJournal(clock=self.clock), clock=self.clock)
        self.book: Book = projections.open(self.store)
        self.called: list[str] = []

    def call(self, name: str) -> Callable[[], None]:
        return lambda: self.called.append(name)

    def restart(self) -> None:
        self.book.close()
        self.book = projections.open(self.store)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def broken() -> None:
    msg = "this one cannot"
    raise ValueError(msg)


def test_a_timer_runs_for_its_duration(desk: Desk) -> None:
    started = desk.book.timers.start("A", "cooldown", timedelta(minutes=5))
    assert started == Timer(
        account="A",
        name="cooldown",
        started_at=START,
        duration=5 * MINUTE,
        expires_at=START + 5 * MINUTE,
        remaining=5 * MINUTE,
        expired=False,
    )
    assert desk.book.timers.get("A", "cooldown") == started
    desk.clock.advance(4 * MINUTE)
    found = desk.book.timers.known("A", "cooldown")
    assert (found.remaining, found.expired) == (MINUTE, False)
    found = desk.book.timers.known("A", "cooldown", START + 5 * MINUTE - 1)
    assert (found.remaining, found.expired) == (1, False)
    found = desk.book.timers.known("A", "cooldown", START + 5 * MINUTE)
    assert (found.remaining, found.expired) == (0, True)


def test_a_timer_belongs_to_its_account_and_name(desk: Desk) -> None:
    desk.book.timers.start("A", "loss/streak", MINUTE)
    desk.book.timers.start("A", "cooldown", 2 * MINUTE)
    desk.book.timers.start("B", "cooldown", 3 * MINUTE)
    assert desk.book.timers.get("B", "loss/streak") is None
    assert [(timer.name, timer.duration) for timer in desk.book.timers.of("A")] == [
        ("cooldown", 2 * MINUTE),
        ("loss/streak", MINUTE),
    ]
    assert desk.book.timers.of("C") == ()
    assert [timer.expired for timer in desk.book.timers.of("A", START + MINUTE)] == [False, True]


def test_a_timer_that_is_started_again_runs_for_its_whole_duration(desk: Desk) -> None:
    desk.book.timers.start("A", "cooldown", 5 * MINUTE, desk.call("first"))
    desk.clock.advance(4 * MINUTE)
    desk.book.timers.start("A", "cooldown", 5 * MINUTE, desk.call("second"))
    assert desk.book.timers.due(START + 5 * MINUTE) == ()
    assert [timer.name for timer in desk.book.timers.due(START + 9 * MINUTE)] == ["cooldown"]
    assert desk.called == ["second"]


def test_a_timer_started_again_without_a_callback_has_none(desk: Desk) -> None:
    desk.book.timers.start("A", "cooldown", MINUTE, desk.call("first"))
    desk.book.timers.start("A", "cooldown", MINUTE)
    assert desk.book.timers.due(START + MINUTE) == ()
    assert desk.called == []


def test_a_canceled_timer_is_unknown_and_calls_nothing(desk: Desk) -> None:
    desk.book.timers.start("A", "cooldown", MINUTE, desk.call("cooldown"))
    desk.book.timers.start("A", "other", MINUTE, desk.call("other"))
    assert desk.book.timers.cancel("A", "cooldown")
    assert not desk.book.timers.cancel("A", "cooldown")
    assert desk.book.timers.get("A", "cooldown") is None
    desk.book.timers.due(START + MINUTE)
    assert desk.called == ["other"]


def test_a_callback_is_called_once_at_the_first_look_after_its_time(desk: Desk) -> None:
    desk.book.timers.start("A", "late", 2 * MINUTE, desk.call("late"))
    desk.book.timers.start("B", "early", MINUTE, desk.call("early"))
    desk.book.timers.start("B", "silent", MINUTE)
    assert desk.book.timers.due() == ()
    desk.clock.advance(3 * MINUTE)
    ended = desk.book.timers.due()
    assert [(timer.account, timer.name, timer.expired) for timer in ended] == [
        ("B", "early", True),
        ("A", "late", True),
    ]
    assert desk.book.timers.due() == ()
    assert desk.called == ["early", "late"]
    assert desk.book.timers.known("A", "late").expired


def test_a_callback_may_start_its_timer_again(desk: Desk) -> None:
    def again() -> None:
        desk.called.append("tick")
        desk.book.timers.start("A", "metronome", MINUTE, again)

    desk.book.timers.start("A", "metronome", MINUTE, again)
    for _ in range(3):
        desk.clock.advance(MINUTE)
        assert len(desk.book.timers.due()) == 1
        assert desk.book.timers.due() == ()
    assert desk.called == ["tick"] * 3


def test_a_callback_that_raises_stops_no_other_and_is_not_swallowed(desk: Desk) -> None:
    desk.book.timers.start("A", "bad", 1, broken)
    desk.book.timers.start("A", "good", 2, desk.call("good"))
    desk.book.timers.start("B", "worse", 3, broken)
    desk.book.timers.start("C", "best", 4, desk.call("best"))
    with pytest.raises(ExceptionGroup, match="2 callbacks of timers failed") as caught:
        desk.book.timers.due(START + 5)
    assert desk.called == ["good", "best"]
    assert [str(error) for error in caught.value.exceptions] == ["this one cannot"] * 2
    assert [error.__notes__ for error in caught.value.exceptions] == [
        ["in the callback of timer bad of A"],
        ["in the callback of timer worse of B"],
    ]
    assert desk.book.timers.due(START + 5) == ()


def test_an_interrupted_look_leaves_the_other_callbacks_for_the_next(desk: Desk) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    desk.book.timers.start("A", "first", 1, interrupted)
    desk.book.timers.start("A", "second", 2, desk.call("second"))
    with pytest.raises(KeyboardInterrupt):
        desk.book.timers.due(START + 5)
    assert len(desk.book.timers.due(START + 5)) == 1
    assert desk.called == ["second"]


@pytest.mark.untraced
def test_looks_of_several_threads_call_a_callback_once(desk: Desk) -> None:
    for number in range(500):
        desk.book.timers.start("A", f"T{number}", number, desk.call(f"T{number}"))

    def look() -> None:
        for at in range(0, 600, 3):
            desk.book.timers.due(START + at)

    joins = [in_thread(look) for _ in range(3)]
    for join in joins:
        join()
    assert sorted(desk.called) == sorted(f"T{number}" for number in range(500))


def test_events_that_are_observed_directly_move_the_timer_with_its_callback(desk: Desk) -> None:
    desk.book.timers.start("A", "cooldown", MINUTE, desk.call("cooldown"))
    desk.clock.advance(MINUTE // 2)
    desk.book.observe("timer/A/cooldown", TimerStarted(name="cooldown", duration=timedelta(minutes=2)))  # type: ignore[arg-type]
    assert desk.book.timers.known("A", "cooldown").remaining == 2 * MINUTE
    assert desk.book.timers.due(START + 2 * MINUTE) == ()
    desk.book.timers.due(START + 2 * MINUTE + MINUTE // 2)
    assert desk.called == ["cooldown"]
    desk.book.timers.start("A", "cooldown", MINUTE, desk.call("again"))
    desk.book.observe("timer/A/cooldown", TimerCanceled(name="cooldown"))
    assert desk.book.timers.due(START + 60 * MINUTE) == ()
    assert desk.called == ["cooldown"]


def test_after_a_restart_a_timer_is_unknown_and_not_over(desk: Desk) -> None:
    since = desk.book.timers.known_since
    started = desk.book.timers.start("A", "cooldown", 5 * MINUTE, desk.call("cooldown"))
    assert since == START
    assert not desk.book.timers.lost(started.started_at)
    desk.clock.advance(MINUTE)
    desk.restart()
    assert desk.book.timers.known_since == START + MINUTE
    assert desk.book.timers.get("A", "cooldown") is None
    assert desk.book.timers.of("A") == ()
    assert desk.book.timers.lost(started.started_at)
    with pytest.raises(UnknownTimer, match="may be running still, so start it again") as caught:
        desk.book.timers.known("A", "cooldown")
    unknown = caught.value
    assert (unknown.account, unknown.name, unknown.known_since) == ("A", "cooldown", START + MINUTE)
    assert "2025-06-15T15:07:40.000000000Z" in str(unknown)
    assert "known since 2025-06-15T15:07:40.000000000Z" in repr(desk.book.timers)
    assert "what began earlier is gone" in repr(desk.book.timers)
    assert desk.book.timers.due(START + 60 * MINUTE) == ()
    assert desk.called == []


def test_nothing_is_called_in_the_past_in_a_replay_or_by_a_rebuild(desk: Desk) -> None:
    desk.book.append("lockout/A/x", LockoutSet(rule_id="x"))
    desk.book.timers.start("A", "cooldown", MINUTE, desk.call("cooldown"))
    desk.clock.advance(2 * MINUTE)
    past = projections.as_of(desk.store, recorded_at=START + MINUTE)
    assert past.timers.due(START + 60 * MINUTE) == ()
    assert [book.timers.due(START + 60 * MINUTE) for _, book in projections.steps(desk.store)] == [()]
    with pytest.raises(ReadOnly):
        past.timers.start("A", "cooldown", MINUTE, desk.call("past"))
    assert past.timers.due(START + 60 * MINUTE) == ()
    desk.book.rebuild(TimersView())
    assert desk.called == []


def test_timers_leave_nothing_in_the_log(desk: Desk) -> None:
    desk.book.timers.start("A", "cooldown", MINUTE)
    desk.book.timers.cancel("A", "cooldown")
    assert desk.store.head() == 0


@pytest.mark.parametrize("duration", [-1, timedelta(seconds=-1), 1.5, "60"])
def test_a_duration_that_is_none_is_refused(desk: Desk, duration: Any) -> None:  # noqa: ANN401 - that is the test
    with pytest.raises(InvalidEvent):
        desk.book.timers.start("A", "cooldown", duration, desk.call("cooldown"))
    assert desk.book.timers.get("A", "cooldown") is None
    assert desk.book.timers.due(START + MINUTE) == ()


def test_a_start_that_fails_leaves_the_timer_and_its_callback(desk: Desk) -> None:
    desk.book.timers.start("A", "cooldown", MINUTE, desk.call("cooldown"))
    desk.book.freeze()
    with pytest.raises(ReadOnly):
        desk.book.timers.start("A", "cooldown", MINUTE, desk.call("again"))
    desk.book.timers.due(START + MINUTE)
    assert desk.called == ["cooldown"]


def test_what_occurred_before_the_newest_start_has_no_effect(desk: Desk) -> None:
    desk.clock.advance(10 * MINUTE)
    desk.book.timers.start("A", "cooldown", MINUTE)
    early = START + MINUTE
    desk.book.observe("timer/A/cooldown", TimerStarted(name="cooldown", duration=1), occurred_at=early)
    desk.book.observe("timer/A/cooldown", TimerCanceled(name="cooldown"), occurred_at=early)
    assert desk.book.timers.known("A", "cooldown").remaining == MINUTE


def test_a_clock_that_was_set_back_does_not_make_a_timer_longer_nor_unstoppable(desk: Desk) -> None:
    desk.book.timers.start("A", "cooldown", MINUTE)
    desk.clock.set(START - 60 * MINUTE)
    found = desk.book.timers.known("A", "cooldown")
    assert (found.remaining, found.expired) == (MINUTE, False)
    desk.book.timers.start("A", "cooldown", 2 * MINUTE)
    assert desk.book.timers.known("A", "cooldown").expires_at == START - 58 * MINUTE
    desk.clock.set(START - 90 * MINUTE)
    assert desk.book.timers.cancel("A", "cooldown")
    assert desk.book.timers.get("A", "cooldown") is None


def test_an_account_s_names_are_bounded_and_those_that_are_over_make_room(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timers, "TIMERS_MAX", 3)
    for name in ("a", "b", "c"):
        desk.book.timers.start("A", name, MINUTE, desk.call(name))
    with pytest.raises(TooManyTimers, match="A has 3 timers running and d is one more") as caught:
        desk.book.timers.start("A", "d", MINUTE)
    assert (caught.value.account, caught.value.name) == ("A", "d")
    assert desk.book.parked == {}
    desk.book.timers.start("A", "a", 2 * MINUTE)
    desk.book.timers.start("B", "d", MINUTE)
    desk.clock.advance(MINUTE)
    desk.book.timers.start("A", "d", MINUTE)
    assert [timer.name for timer in desk.book.timers.of("A")] == ["a", "d"]


def test_one_timer_too_many_that_is_observed_directly_is_not_silently_dropped(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timers, "TIMERS_MAX", 1)
    desk.book.timers.start("A", "a", MINUTE, desk.call("a"))
    desk.book.timers.start("B", "b", MINUTE, desk.call("b"))
    desk.book.observe("timer/A/x", TimerStarted(name="x", duration=MINUTE))
    with pytest.raises(PartitionParked):
        desk.book.timers.get("A", "x")
    with pytest.raises(ExceptionGroup) as caught:
        desk.book.timers.due(START + MINUTE)
    assert [type(error) for error in caught.value.exceptions] == [PartitionParked]
    assert desk.called == ["b"]


attempts = st.one_of(
    st.builds(TimerStarted, name=st.sampled_from(["a", "b"]), duration=st.integers(0, 9)),
    st.builds(TimerCanceled, name=st.sampled_from(["a", "b"])),
)


@given(st.lists(attempts, max_size=20), st.integers(0, 20))
def test_in_order_each_timer_is_its_last_start_unless_that_was_canceled(
    events: list[TimerStarted | TimerCanceled], cut: int
) -> None:
    view, log = TimersView(), Folding()
    whole, resumed = view.initial(), view.initial()
    expected: dict[str, tuple[int, int]] = {}
    for number, event in enumerate(events):
        record = log.record(f"timer/A/{event.name}", event)
        resumed = round_tripped(resumed, TimersState) if number == cut else resumed
        for state in (whole, resumed):
            view.apply(state, event, record)
        expected.pop(event.name, None)
        if isinstance(event, TimerStarted):
            expected[event.name] = (record.occurred_at, event.duration)
    assert resumed == whole
    assert {name: (timer.started_at, timer.duration) for name, timer in whole.timers.items()} == expected
