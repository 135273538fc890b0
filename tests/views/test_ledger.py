"""The ledger: however late something is reported, each sum is in the day it happened in; and its bounds."""

import itertools
import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Self
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventstore.clock import to_ns
from eventstore.trading import SessionOpened, SessionReset
from projections.views.executions import ledger as module
from projections.views.executions.day_totals import Day, Summable
from projections.views.executions.ledger import Ledger
from tests.views.position_folding import round_tripped

MINUTE = 60 * 10**9
HOUR = 60 * MINUTE
START = to_ns(datetime(2026, 3, 2, tzinfo=UTC))  # a Monday
CHICAGO = ZoneInfo("America/Chicago")


class Count(msgspec.Struct, frozen=True):
    """How often, and what it came to."""

    times: int
    amount: int

    def plus(self, other: Self) -> Self:
        return type(self)(self.times + other.times, self.amount + other.amount)


def one(amount: int) -> Count:
    return Count(1, amount)


def reset(day: int, at: int, until: int | None = None, week: date | None = None) -> SessionReset:
    return SessionReset(trading_day=date(2026, 3, day), scheduled_for=at, resets_at=until, week=week)


def amounts(ledger: Ledger[Count], name: str) -> dict[str, int]:
    return {key: entry.amount for key, entry in ledger.of_day(name).items()}


def test_what_happens_counts_in_the_day_that_it_lies_in_and_the_end_belongs_to_the_next() -> None:
    ledger: Ledger[Count] = Ledger()
    ledger.add_day(reset(2, START, START + HOUR), START)
    ledger.add_day(reset(3, START + HOUR, START + 2 * HOUR), START)
    for at, amount in ((START, 1), (START + HOUR - 1, 2), (START + HOUR, 4), (START + 2 * HOUR - 1, 8)):
        ledger.add(at, "ES", one(amount))
    assert amounts(ledger, "2026-03-02") == {"ES": 3}
    assert amounts(ledger, "2026-03-03") == {"ES": 12}
    ledger.add(START + 2 * HOUR, "ES", one(16))
    assert amounts(ledger, "~2026-03-02") == {"ES": 16}
    assert ledger.names() == ["2026-03-02", "~2026-03-02", "2026-03-03"]


def test_without_a_recorded_day_it_is_the_date_in_utc() -> None:
    ledger: Ledger[Count] = Ledger()
    midnight = START + 24 * HOUR
    ledger.add(midnight - 1, "ES", one(1))
    ledger.add(midnight, "ES", one(2))
    assert (amounts(ledger, "~2026-03-02"), amounts(ledger, "~2026-03-03")) == ({"ES": 1}, {"ES": 2})
    assert ledger.at(midnight)["ES"] == one(2)
    assert ledger.of_day("2026-03-02") == {}


def test_what_happened_before_its_day_was_recorded_moves_there() -> None:
    ledger: Ledger[Count] = Ledger()
    ledger.add(START + HOUR, "ES", one(1))
    ledger.add(START + 5 * HOUR, "NQ", one(2))
    ledger.add_day(reset(3, START + 2 * HOUR), START + 9 * HOUR)
    assert (amounts(ledger, "~2026-03-02"), amounts(ledger, "2026-03-03")) == ({"ES": 1}, {"NQ": 2})
    ledger.add_day(reset(2, START, START + 2 * HOUR), START + 9 * HOUR)
    assert (amounts(ledger, "~2026-03-02"), amounts(ledger, "2026-03-02")) == ({}, {"ES": 1})


def test_a_day_without_a_known_end_lasts_until_the_next_begins() -> None:
    ledger: Ledger[Count] = Ledger()
    ledger.add_day(reset(2, START), START)
    ledger.add(START + 30 * HOUR, "ES", one(1))
    assert amounts(ledger, "2026-03-02") == {"ES": 1}
    ledger.add_day(reset(3, START + 24 * HOUR), START)
    assert (amounts(ledger, "2026-03-02"), amounts(ledger, "2026-03-03")) == ({}, {"ES": 1})


def test_a_session_that_states_no_begin_began_when_it_opened_or_occurred() -> None:
    ledger: Ledger[Count] = Ledger()
    opened = SessionOpened(trading_day=date(2026, 3, 2), opens_at=START + HOUR)
    assert ledger.add_day(opened, START).began_at == START + HOUR
    assert ledger.add_day(SessionOpened(trading_day=date(2026, 3, 3)), START + 9).began_at == START + 9
    # Recorded again, it began when it first did, and what is left out stays.
    again = SessionOpened(trading_day=date(2026, 3, 2), began_at=START, resets_at=START + 2 * HOUR)
    ledger.add_day(again, START)
    assert ledger.add_day(opened, START) == Day(date(2026, 3, 2), START, START + 2 * HOUR)


def test_a_day_that_begins_within_a_minute_takes_only_what_comes_after() -> None:
    ledger: Ledger[Count] = Ledger()
    ledger.add_day(reset(2, START + 30 * 10**9), START)
    ledger.add(START + 29 * 10**9, "ES", one(1))
    ledger.add(START + 31 * 10**9, "ES", one(2))
    ledger.add_day(reset(9, START + 200 * HOUR), START)
    assert (amounts(ledger, "~2026-03-02"), amounts(ledger, "2026-03-02")) == ({"ES": 1}, {"ES": 2})


def test_days_are_as_local_clocks_had_them_when_the_clocks_changed() -> None:
    """Chicago, 2026-03-08: Friday 17:00 CST to Monday 17:00 CDT, then one day of 24 hours."""
    ledger: Ledger[Count] = Ledger()
    friday, monday, tuesday = (to_ns(datetime(2026, 3, day, 17, tzinfo=CHICAGO).astimezone(UTC)) for day in (6, 9, 10))
    assert (monday - friday, tuesday - monday) == (71 * HOUR, 24 * HOUR)
    ledger.add_day(reset(9, friday, monday), friday)
    ledger.add_day(reset(10, monday, tuesday), monday)
    for at, amount in ((friday, 1), (monday - 1, 2), (monday, 4)):
        ledger.add(at, "ES", one(amount))
    assert (amounts(ledger, "2026-03-09"), amounts(ledger, "2026-03-10")) == ({"ES": 3}, {"ES": 4})


def test_a_week_holds_its_days_as_recorded_and_what_lies_in_none() -> None:
    ledger: Ledger[Count] = Ledger()
    sunday = date(2026, 3, 1)
    ledger.add_day(reset(3, START + 24 * HOUR, START + 48 * HOUR, sunday), START)
    ledger.add_day(reset(4, START + 48 * HOUR, START + 72 * HOUR, sunday), START)
    ledger.add_day(reset(9, START + 100 * HOUR, START + 172 * HOUR, date(2026, 3, 8)), START)
    names = ledger.names_of_week(START + 50 * HOUR)
    assert [name for name in names if not name.startswith("~")] == ["2026-03-03", "2026-03-04"]
    assert [name for name in names if name.startswith("~")] == [f"~2026-03-0{day}" for day in range(1, 8)]
    # An instant in no day lies in the week that was recorded for its date.
    assert ledger.names_of_week(START + 80 * HOUR) == names
    assert ledger.names_of_week(START + 120 * HOUR)[0] == "2026-03-09"


def test_a_week_that_no_event_states_is_the_iso_week() -> None:
    ledger: Ledger[Count] = Ledger()
    dates = [f"~2026-03-0{day}" for day in range(2, 9)]
    assert ledger.names_of_week(START + 7 * 24 * HOUR - 1) == dates
    ledger.add_day(reset(4, START + 48 * HOUR, START + 72 * HOUR), START)
    assert ledger.names_of_week(START + 50 * HOUR) == ["2026-03-04", *dates]


def test_minutes_beyond_the_newest_stay_in_the_day_that_they_counted_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MINUTES_MAX", 3)
    ledger: Ledger[Count] = Ledger()
    for number in range(5):
        ledger.add(START + number * MINUTE, "ES", one(10**number))
    assert amounts(ledger, "~2026-03-02") == {"ES": 11_111}
    assert sorted(ledger.minutes) == [START + number * MINUTE for number in (2, 3, 4)]
    ledger.add_day(reset(3, START, START + HOUR), START)
    assert (amounts(ledger, "~2026-03-02"), amounts(ledger, "2026-03-03")) == ({"ES": 11}, {"ES": 11_100})


def test_the_newest_days_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DAYS_MAX", 3)
    ledger: Ledger[Count] = Ledger()
    for number in range(5):
        began_at = START + number * HOUR
        ledger.add_day(reset(2 + number, began_at, began_at + HOUR), began_at)
        ledger.add(began_at, "ES", one(number))
    assert ledger.names() == ["2026-03-04", "2026-03-05", "2026-03-06"]
    assert [day.name for day in ledger.published.days] == ledger.names()


def test_a_reader_keeps_what_it_saw_and_never_sees_a_sum_twice() -> None:
    ledger: Ledger[Count] = Ledger()
    ledger.add(START, "ES", one(1))
    seen, day = ledger.published, ledger.of_day("~2026-03-02")
    ledger.add_day(reset(2, START, START + HOUR), START)
    ledger.add(START, "ES", one(1))
    ledger.add(START, "NQ", one(1))
    assert seen.of_day("2026-03-02") == {}
    assert seen.of_day("~2026-03-02") == day == {"ES": one(1)}


# What happens and what is recorded, at instants of one resolution, so that boundaries are often met exactly.
STEP = 20 * 10**9
instants = st.integers(0, 60).map(lambda number: START + number * STEP)
happenings = st.tuples(instants, st.sampled_from(["ES", "NQ"]), st.integers(1, 1000))


@st.composite
def calendars(draw: st.DrawFn) -> list[SessionReset | SessionOpened]:
    """Return days one after the other, with or without gaps and ends, each recorded once or twice; on whole minutes."""
    days: list[SessionReset | SessionOpened] = []
    bounds = sorted(draw(st.sets(st.integers(0, 20), max_size=8)))
    for number, (begin, end) in enumerate(itertools.pairwise(bounds)):
        began_at, until = START + begin * MINUTE, START + end * MINUTE
        day = date(2026, 3, 2) + timedelta(days=number)
        match draw(st.integers(0, 4)):
            case 0:
                continue
            case 1:
                days.append(SessionReset(trading_day=day, scheduled_for=began_at))
            case 2:
                days.append(SessionReset(trading_day=day, scheduled_for=began_at))
                days.append(SessionOpened(trading_day=day, began_at=began_at, resets_at=until))
            case _:
                days.append(SessionReset(trading_day=day, scheduled_for=began_at, resets_at=until))
    return days


def naive(
    happened: Sequence[tuple[int, str, int]], days: Sequence[SessionReset | SessionOpened]
) -> dict[str, dict[str, int]]:
    """Sum everything up at the end, when all days are known."""
    began: dict[date, int] = {}
    ends: dict[date, int] = {}
    for event in days:
        at = event.scheduled_for if isinstance(event, SessionReset) else event.began_at
        assert at is not None
        began[event.trading_day] = at
        if event.resets_at is not None:
            ends[event.trading_day] = event.resets_at
    sums: dict[str, dict[str, int]] = {}
    for at, key, amount in happened:
        day = max((day for day in began if began[day] <= at), key=lambda day: began[day], default=None)
        held = day is not None and at < ends.get(day, at + 1)
        name = str(day) if held else "~" + datetime.fromtimestamp(at // 10**9, UTC).date().isoformat()
        entries = sums.setdefault(name, {})
        entries[key] = entries.get(key, 0) + amount
    return sums


@given(st.lists(happenings, max_size=40), calendars(), st.randoms(use_true_random=False), st.integers(0, 60))
def test_in_whatever_order_days_are_recorded_the_sums_are_those_made_at_the_end(
    happened: list[tuple[int, str, int]], days: list[SessionReset | SessionOpened], chance: random.Random, cut: int
) -> None:
    steps: list[tuple[int, str, int] | SessionReset | SessionOpened] = [*happened, *days]
    chance.shuffle(steps)
    ledger: Ledger[Count] = Ledger()
    for number, step in enumerate(steps):
        if number == cut:
            ledger = round_tripped(ledger, Ledger[Count])
        if isinstance(step, tuple):
            ledger.add(step[0], step[1], one(step[2]))
        else:
            ledger.add_day(step, START)
    expected = naive(happened, days)
    assert {name: amounts(ledger, name) for name in ledger.names()} == expected
    for at, _, _ in happened:
        assert ledger.of_day(ledger.name_at(at)) == ledger.at(at)
        assert ledger.name_at(at) in expected


@given(st.lists(happenings, min_size=1, max_size=60), st.integers(1, 5))
def test_nothing_is_lost_when_few_minutes_are_kept(happened: list[tuple[int, str, int]], most: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MINUTES_MAX", most)
        ledger: Ledger[Count] = Ledger()
        for number, (at, key, amount) in enumerate(happened):
            if number == len(happened) // 2:
                ledger.add_day(reset(3, START + 5 * MINUTE), START)
            ledger.add(at, key, one(amount))
            assert len(ledger.minutes) <= most
        found = [entry for name in ledger.names() for entry in ledger.of_day(name).values()]
    assert sum(entry.amount for entry in found) == sum(amount for _, _, amount in happened)
    assert sum(entry.times for entry in found) == len(happened)


def test_whatever_adds_up_can_be_kept() -> None:
    class Longest(msgspec.Struct, frozen=True):
        length: int

        def plus(self, other: Self) -> Self:
            return self if self.length > other.length else other

    entry: Summable = Longest(3)
    ledger: Ledger[Longest] = Ledger()
    for length in (3, 7, 5):
        ledger.add(START, "x", Longest(length))
    assert ledger.at(START)["x"] == entry.plus(Longest(7))
