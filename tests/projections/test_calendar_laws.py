"""Laws of trading days, for any calendar and instant, especially around clock changes."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from eventstore.clock import NANOSECONDS, to_ns
from projections.sessions import Calendar, resolve, zone_of

MINUTE = 60 * NANOSECONDS
HOUR = 60 * MINUTE
ZONES = (
    "America/Chicago",
    "America/New_York",
    "Europe/Berlin",
    "Asia/Tokyo",
    "Australia/Lord_Howe",
    "America/Santiago",
    "America/Havana",
    "Africa/Cairo",
    "Atlantic/Azores",
    "UTC",
)


def midnight(day: date) -> int:
    return to_ns(datetime.combine(day, time(0), tzinfo=UTC))


hours = st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 30, 45]))
near_changes = st.builds(time, st.integers(0, 3), st.integers(0, 59))
dates = st.dates(date(2024, 1, 1), date(2027, 12, 31))
CHANGES = [
    date.fromisoformat(f"2026-{day}")
    for day in ("03-08", "03-29", "04-05", "04-24", "09-06", "10-04", "10-25", "10-30", "11-01")
]
near_dates = st.builds(lambda day, days: day + timedelta(days=days), st.sampled_from(CHANGES), st.integers(-2, 2))


@st.composite
def calendars(draw: st.DrawFn) -> Calendar:
    times = st.one_of(hours, near_changes)
    opens, reset = draw(times), draw(times)
    in_day = [
        at for at in draw(st.lists(times, max_size=3)) if reset == time(0) or opens >= reset or opens < at < reset
    ]
    flat_by = next((at for at in in_day if (reset == time(0) and at > opens) or at <= reset != time(0)), None)
    return Calendar(
        zone=draw(st.sampled_from(ZONES)),
        open=opens,
        reset=reset,
        flat_by=flat_by,
        weekdays=tuple(draw(st.sets(st.integers(0, 6), min_size=1))),
        holidays=draw(st.frozensets(st.one_of(dates, near_dates), max_size=8)),
        week_start=draw(st.integers(0, 6)),
    )


instants = st.one_of(
    st.integers(midnight(date(2024, 1, 1)), midnight(date(2028, 1, 1))),
    st.builds(lambda day, minute: midnight(day) + minute * MINUTE, near_dates, st.integers(0, 24 * 60)),
)


@given(calendars(), instants)
def test_every_instant_lies_in_one_day_and_its_borders_are_half_open(calendar: Calendar, at: int) -> None:
    day = calendar.day_at(at)
    assert day.began_at <= at < day.resets_at
    assert day == calendar.day(day.trading_day)
    assert calendar.day_at(day.began_at) == calendar.day_at(day.resets_at - 1) == day
    following = calendar.day_at(day.resets_at)
    assert following == calendar.following(day)
    assert (following.began_at, following.trading_day > day.trading_day) == (day.resets_at, True)
    assert day.began_at <= day.opens_at <= day.resets_at
    if day.flat_by is not None:
        assert day.opens_at <= day.flat_by <= day.resets_at


@given(calendars(), instants)
@example(
    Calendar(zone="America/Havana", open=time(0), reset=time(1), weekdays=(0, 6)),
    to_ns(datetime(2026, 3, 8, 4, tzinfo=UTC)),
)
def test_a_day_is_a_trading_day_named_by_where_it_ends(calendar: Calendar, at: int) -> None:
    day = calendar.day_at(at)
    assert day.trading_day.weekday() in calendar.weekdays
    assert day.trading_day not in calendar.holidays
    assert timedelta() <= day.trading_day - day.week < timedelta(days=7)
    assert day.week.weekday() == calendar.week_start
    ends = datetime.fromtimestamp(day.resets_at // NANOSECONDS - 1, zone_of(calendar.zone)).date()
    # Where the clocks are set from midnight to one, a reset until then is midnight, and ends that date all the same.
    assert ends == day.trading_day or (ends == day.trading_day - timedelta(days=1) and calendar.reset <= time(1))


@given(calendars(), instants)
def test_what_comes_next_is_the_first_of_its_kind_after_the_instant(calendar: Calendar, at: int) -> None:
    days = list(calendar.days(max(at - 30 * 24 * HOUR, 0), at + 60 * 24 * HOUR))
    assert calendar.next_reset(at) == min(day.resets_at for day in days if day.resets_at > at)
    assert calendar.next_open(at) == min(day.opens_at for day in days if day.opens_at > at)
    wanted = [day.flat_by for day in days if day.flat_by is not None and day.flat_by > at]
    assert calendar.next_flat_by(at) == min(wanted, default=None)


@given(calendars(), instants, st.integers(0, 40 * 24 * 60))
def test_the_days_of_a_span_tile_it_without_gap_or_overlap(calendar: Calendar, start: int, minutes: int) -> None:
    stop = start + minutes * MINUTE
    days = list(calendar.days(start, stop))
    assert all(start <= day.began_at < stop for day in days)
    assert all(one.resets_at == other.began_at for one, other in pairwise(days))
    first, last = calendar.day_at(start), calendar.day_at(stop)
    if days:
        assert days[0].began_at in {first.began_at, first.resets_at}
        assert days[-1].resets_at in {last.began_at, last.resets_at}
    else:
        assert start == stop or calendar.day_at(start) == calendar.day_at(stop - 1)
    days_around = days if days and days[0] == first else [first, *days]
    assert len({day.trading_day for day in days_around}) == len(days_around)


@settings(max_examples=60)
@given(st.sampled_from(ZONES), st.one_of(dates, near_dates), st.one_of(hours, near_changes))
def test_resolve_agrees_with_a_search_through_all_minutes(zone: str, day: date, at: time) -> None:
    assert resolve(zone, day, at) == next(minutes_at_or_after(zone, datetime.combine(day, at)))


def minutes_at_or_after(zone: str, wall: datetime) -> Iterator[int]:
    """Yield each UTC minute of the days around at which the zone's clocks show this wall time or a later one."""
    start = midnight(wall.date() - timedelta(days=1))
    for at in range(start, start + 4 * 24 * HOUR, MINUTE):
        if datetime.fromtimestamp(at // NANOSECONDS, zone_of(zone)).replace(tzinfo=None) >= wall:
            yield at
