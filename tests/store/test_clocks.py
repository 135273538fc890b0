"""A clock that jumps stops no log: what cannot be recorded is refused until the clock is right."""

from __future__ import annotations

import random

import pytest

import eventstore
import projections
from eventstore import Batch, Durability, InvalidEvent, ManualClock, Unavailable
from eventstore.clock import NANOSECONDS, NOW_MAX, TIME_MAX, check_now, question_ns, to_ns, utc_date, wall_ns
from eventstore.journals.memory import MemoryJournal
from eventstore.preparation import prepare
from eventstore.record import PreparedBatch
from eventstore.trading import ContractDefined, LockoutSet, Marked, QuoteReceived
from tests.places import Place
from tests.store.facts import contract

pytestmark = pytest.mark.in_each_place

NOW = 1_753_113_600 * NANOSECONDS
YEAR = 31_557_600 * NANOSECONDS
WRONG = [-1, -10 * YEAR, NOW_MAX + 1, TIME_MAX, TIME_MAX + 1, 292 * YEAR, 293 * YEAR, 10**19, 10**400]


class AnyClock:
    """A clock that says whatever it is set to."""

    def __init__(self) -> None:
        self.now = NOW
        self.monotonic = 0

    def now_ns(self) -> int:
        return self.now

    def monotonic_ns(self) -> int:
        self.monotonic += NANOSECONDS
        return self.monotonic


def locked() -> LockoutSet:
    return LockoutSet(rule_id="loss", revocable=False)


@pytest.mark.parametrize("wrong", WRONG, ids=range(len(WRONG)))
def test_a_clock_beyond_the_times_there_are(place: Place, wrong: int) -> None:
    clock = AnyClock()
    with eventstore.open(place, clock=clock) as store, projections.open(store) as book:
        book.append("lockout/A/1", locked())
        clock.now = wrong
        for append in (
            lambda: store.append("lockout/A/1", locked()),
            lambda: store.append_many([Batch("lockout/A/1", [locked()], occurred_at=NOW)]),
            lambda: store.enqueue("contract/-/ESZ5", contract()),
            lambda: book.append("lockout/A/1", locked()),
        ):
            with pytest.raises(Unavailable, match="set the clock right"):
                append()
        assert store.head() == 1
        # Queries still work.
        assert [each.rule_id for each in book.lockouts.active("A", clock.now_ns())] == ["loss"]
        book.observe("quote/-/ESZ5", QuoteReceived(symbol="ESZ5"))
        assert book.quotes.get("ESZ5") is not None
        book.sessions.next_reset("A")
        book.snapshot()
        with eventstore.open(place, clock=clock) as again, projections.open(again) as other:
            assert other.position == 1
            assert other.lockouts.active("A", wall_ns(clock))
            assert again.verify().ok
        # And it is a log like any other when the clock is right again.
        clock.now = NOW + 1
        [record] = store.append("lockout/A/1", locked())
        assert (record.position, record.recorded_at) == (2, NOW + 1)


@pytest.mark.parametrize("wrong", WRONG, ids=range(len(WRONG)))
def test_a_log_can_begin_by_a_wrong_clock(place: Place, wrong: int) -> None:
    clock = AnyClock()
    clock.now = wrong
    with eventstore.open(place, clock=clock) as store:
        with pytest.raises(Unavailable):
            store.append("lockout/A/1", locked())
        clock.now = NOW
        assert store.append("lockout/A/1", locked())[0].position == 1
        assert store.verify().ok


def test_any_number_of_jumps(place: Place) -> None:
    clock, chance = AnyClock(), random.Random(7)
    jumps = [0, *(10 * YEAR * number for number in range(24)), NOW_MAX, 0, NOW, *WRONG]
    jumps += [chance.randrange(-(10**19), 10**19) for _ in range(20)]
    with eventstore.open(place, clock=clock) as store, projections.open(store) as book:
        book.append("lockout/A/1", locked())
        times = [NOW]
        for jump in jumps:
            clock.now = jump
            try:
                times.append(book.append("contract/-/ESZ5", contract(str(jump)))[0].recorded_at)
            except Unavailable:
                assert not 0 <= jump <= NOW_MAX
            assert book.lockouts.active("A", clock.now_ns())
        assert times == sorted(set(times))
        assert times[-1] < NOW_MAX + len(jumps)
        assert store.verify().ok
    with eventstore.open(place, clock=clock) as store, projections.open(store) as book:
        assert book.position == len(times)
        assert book.lockouts.active("A", clock.now_ns())


def test_what_was_enqueued_by_a_right_clock_and_is_written_by_a_wrong_one(place: Place) -> None:
    clock = AnyClock()
    with eventstore.open(place, clock=clock) as store:
        prepared = prepared_at(clock, Batch("contract/-/ESZ5", contract()), eventstore.QUEUED)
        clock.now = 10**19
        with pytest.raises(Unavailable, match="set the clock right"):
            store.committer.append(*prepared)
        assert store.head() == 0


def prepared_at(clock: AnyClock, batch: Batch, durability: Durability) -> tuple[list[PreparedBatch], int]:
    return prepare([batch], durability, unchanged=None, now=clock.now_ns(), actor="me")


def test_a_journal_in_memory_says_the_same() -> None:
    clock = AnyClock()
    journal = MemoryJournal(clock=clock)
    store = eventstore.EventStore(journal, clock=clock)
    clock.now = 10**19
    with pytest.raises(Unavailable):
        store.append("lockout/A/1", locked())
    clock.now = NOW
    prepared = prepared_at(clock, Batch("contract/-/ESZ5", ContractDefined(symbol="ESZ5")), eventstore.SYNCED)
    clock.now = 10**19
    with pytest.raises(Unavailable):
        store.committer.append(*prepared)
    assert store.head() == 0


def test_a_question_is_answered_for_the_nearest_time() -> None:
    asked = [question_ns(at, lambda: -5) for at in (-5, 0, NOW, TIME_MAX, 10**400)]
    assert asked == [0, 0, NOW, TIME_MAX, TIME_MAX]
    with pytest.raises(InvalidEvent):
        question_ns("now")
    assert check_now(NOW_MAX) == NOW_MAX


def test_an_instant_is_given_as_text_too(place: Place) -> None:
    text, ns = "2025-11-19T09:00:00.123456789-06:00", 1_763_564_400_123_456_789
    assert to_ns(text) == ns
    with eventstore.open(place, clock=ManualClock(text)) as store:
        [record] = store.append("mark/-/m", Marked(name="m"), occurred_at="2025-11-19T08:00:00-06:00")
        assert record.occurred_at == ns - 3_600_123_456_789
        assert list(store.read(start=text)) == [record]
        assert list(store.read(stop=text)) == []
    for wrong in ("2025-11-19", "2025-11-19T09:00:00", "yesterday", "2300-01-01T00:00:00Z", ""):
        with pytest.raises(InvalidEvent):
            to_ns(wrong)


def test_a_day_in_utc_begins_at_its_midnight() -> None:
    midnight = to_ns("2026-03-01T00:00:00Z")
    assert [utc_date(at).isoformat() for at in (0, midnight - 1, midnight)] == [
        "1970-01-01",
        "2026-02-28",
        "2026-03-01",
    ]
