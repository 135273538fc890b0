"""Trading days on real dates: daylight saving, holidays, early closes, midnight, and refusals."""

import re
from datetime import UTC, date, datetime, time
from typing import Any

import pytest

from eventstore import InvalidEvent
from eventstore.clock import NANOSECONDS, TIME_MAX, derived_times, to_ns
from eventstore.events import encode
from eventstore.trading import SessionOpened, SessionReset
from projections.sessions import Calendar, TradingDay, resolve, zone_of

MINUTE = 60 * NANOSECONDS
HOUR = 60 * MINUTE
FUTURES = Calendar(zone="America/Chicago", open=time(17), reset=time(17), flat_by=time(15, 10))
EPOCH = "1970-01-01T00:00:00Z"
COINS = Calendar(zone="UTC", open=time(0), reset=time(0), weekdays=tuple(range(7)))


def utc(text: str) -> int:
    return to_ns(datetime.fromisoformat(text).replace(tzinfo=UTC))


def local(zone: str, at: int | None) -> str:
    return "never" if at is None else f"{datetime.fromtimestamp(at // NANOSECONDS, zone_of(zone)):%a %m-%d %H:%M}"


def instants_of(day: TradingDay) -> tuple[str, ...]:
    return tuple(local(day.zone, at) for at in (day.began_at, day.opens_at, day.flat_by, day.resets_at))


@pytest.mark.parametrize(
    ("zone", "day", "at", "instant"),
    [
        ("America/Chicago", "2024-03-08", "17:00", "2024-03-08 23:00"),
        ("America/Chicago", "2024-03-11", "17:00", "2024-03-11 22:00"),
        ("America/Chicago", "2026-03-08", "01:59:59", "2026-03-08 07:59:59"),
        ("America/Chicago", "2026-03-08", "02:00", "2026-03-08 08:00"),
        ("America/Chicago", "2026-03-08", "02:30", "2026-03-08 08:00"),
        ("America/Chicago", "2026-03-08", "02:59:59.999999", "2026-03-08 08:00"),
        ("America/Chicago", "2026-03-08", "03:00", "2026-03-08 08:00"),
        ("America/Chicago", "2025-11-02", "00:59", "2025-11-02 05:59"),
        ("America/Chicago", "2025-11-02", "01:30", "2025-11-02 06:30"),
        ("America/Chicago", "2025-11-02", "02:00", "2025-11-02 08:00"),
        ("America/New_York", "2027-03-14", "02:15", "2027-03-14 07:00"),
        ("America/New_York", "2027-11-07", "01:15", "2027-11-07 05:15"),
        ("Europe/Berlin", "2026-03-29", "02:30", "2026-03-29 01:00"),
        ("Europe/Berlin", "2026-10-25", "02:30", "2026-10-25 00:30"),
        ("Europe/Berlin", "2026-10-25", "03:00", "2026-10-25 02:00"),
        ("Asia/Tokyo", "2026-03-29", "02:30", "2026-03-28 17:30"),
        ("Australia/Lord_Howe", "2026-10-04", "02:15", "2026-10-03 15:30"),
        ("Australia/Lord_Howe", "2026-10-04", "02:30", "2026-10-03 15:30"),
        ("Australia/Lord_Howe", "2026-04-05", "01:45", "2026-04-04 14:45"),
        ("Australia/Lord_Howe", "2026-04-05", "02:00", "2026-04-04 15:30"),
        ("America/Santiago", "2026-09-06", "00:00", "2026-09-06 04:00"),
        ("America/Santiago", "2026-09-06", "00:30", "2026-09-06 04:00"),
        ("America/Santiago", "2026-04-04", "23:30", "2026-04-05 02:30"),
        ("America/Santiago", "2026-04-05", "00:00", "2026-04-05 04:00"),
        ("America/Havana", "2026-03-08", "00:00", "2026-03-08 05:00"),
        ("America/Havana", "2026-11-01", "00:00", "2026-11-01 04:00"),
        # Samoa left out a whole day.
        ("Pacific/Apia", "2011-12-30", "12:00", "2011-12-30 10:00"),
    ],
)
def test_a_local_time_is_the_first_instant_at_which_clocks_have_come_to_it(
    zone: str, day: str, at: str, instant: str
) -> None:
    assert resolve(zone, date.fromisoformat(day), time.fromisoformat(at)) == utc(instant)


@pytest.mark.parametrize(
    ("day", "instants"),
    [
        ("2026-03-06", ("Thu 03-05 17:00", "Thu 03-05 17:00", "Fri 03-06 15:10", "Fri 03-06 17:00")),
        # Over the weekend in which the clocks go forward.
        ("2026-03-09", ("Fri 03-06 17:00", "Sun 03-08 17:00", "Mon 03-09 15:10", "Mon 03-09 17:00")),
        ("2026-11-02", ("Fri 10-30 17:00", "Sun 11-01 17:00", "Mon 11-02 15:10", "Mon 11-02 17:00")),
        ("2026-11-27", ("Wed 11-25 17:00", "Thu 11-26 17:00", "Fri 11-27 12:00", "Fri 11-27 17:00")),
        ("2026-12-28", ("Thu 12-24 17:00", "Sun 12-27 17:00", "Mon 12-28 15:10", "Mon 12-28 17:00")),
    ],
)
def test_a_futures_day_opens_the_evening_before(day: str, instants: tuple[str, ...]) -> None:
    calendar = Calendar(
        zone="America/Chicago",
        open=time(17),
        reset=time(17),
        flat_by=time(15, 10),
        holidays=frozenset({date(2026, 11, 26), date(2026, 12, 25)}),
        early_closes={date(2026, 11, 27): time(12)},
    )
    assert instants_of(calendar.day(date.fromisoformat(day))) == instants


def test_a_weekend_with_a_change_of_the_clocks_is_an_hour_shorter_or_longer() -> None:
    lengths = [
        (day.resets_at - day.began_at) // HOUR
        for day in (FUTURES.day(date(2026, 3, 2)), FUTURES.day(date(2026, 3, 9)), FUTURES.day(date(2026, 11, 2)))
    ]
    assert lengths == [72, 71, 73]


@pytest.mark.parametrize(
    ("members", "day", "instants"),
    [
        (
            {"zone": "Europe/Berlin", "open": time(8), "reset": time(22), "flat_by": time(21, 55)},
            "2026-03-30",
            ("Fri 03-27 22:00", "Mon 03-30 08:00", "Mon 03-30 21:55", "Mon 03-30 22:00"),
        ),
        (
            {"zone": "America/New_York", "open": time(18), "reset": time(17), "flat_by": time(17)},
            "2026-03-09",
            ("Fri 03-06 17:00", "Sun 03-08 18:00", "Mon 03-09 17:00", "Mon 03-09 17:00"),
        ),
        (
            {"zone": "Asia/Tokyo", "open": time(16, 30), "reset": time(15, 45)},
            "2027-01-04",
            ("Fri 01-01 15:45", "Sun 01-03 16:30", "never", "Mon 01-04 15:45"),
        ),
        # From midnight to midnight a day has the date that it lies on.
        (
            {"zone": "Europe/Berlin", "open": time(0), "reset": time(0), "flat_by": time(23, 50)},
            "2026-03-30",
            ("Sat 03-28 00:00", "Mon 03-30 00:00", "Mon 03-30 23:50", "Tue 03-31 00:00"),
        ),
        (
            {"zone": "UTC", "open": time(1), "reset": time(0), "flat_by": time(0), "weekdays": range(7)},
            "2026-03-29",
            ("Sun 03-29 00:00", "Sun 03-29 01:00", "Mon 03-30 00:00", "Mon 03-30 00:00"),
        ),
        # Midnight itself is left out, or comes an hour late.
        (
            {"zone": "America/Santiago", "open": time(0), "reset": time(0), "weekdays": range(7)},
            "2026-09-05",
            ("Sat 09-05 00:00", "Sat 09-05 00:00", "never", "Sun 09-06 01:00"),
        ),
        (
            {"zone": "America/Santiago", "open": time(0), "reset": time(0), "weekdays": range(7)},
            "2026-04-04",
            ("Sat 04-04 00:00", "Sat 04-04 00:00", "never", "Sun 04-05 00:00"),
        ),
        # A reset in the missing half hour of Lord Howe.
        (
            {"zone": "Australia/Lord_Howe", "open": time(2, 10), "reset": time(2, 10), "weekdays": range(7)},
            "2026-10-04",
            ("Sat 10-03 02:10", "Sat 10-03 02:10", "never", "Sun 10-04 02:30"),
        ),
    ],
)
def test_calendars_of_other_shapes(members: dict[str, Any], day: str, instants: tuple[str, ...]) -> None:
    assert instants_of(Calendar(**members).day(date.fromisoformat(day))) == instants


def test_a_reset_s_instant_lies_in_the_day_that_it_begins() -> None:
    reset = resolve("America/Chicago", date(2026, 3, 6), time(17))
    assert FUTURES.day_at(reset - 1).name == "2026-03-06"
    assert FUTURES.day_at(reset).name == "2026-03-09"
    assert [FUTURES.day(date(2026, 3, 6)).holds(at) for at in (reset - 1, reset)] == [True, False]
    assert [FUTURES.day(date(2026, 3, 9)).holds(at) for at in (reset - 1, reset)] == [False, True]
    assert FUTURES.day_at(datetime(2026, 3, 8, 12, tzinfo=zone_of("America/Chicago"))).name == "2026-03-09"


def test_what_comes_next_comes_after_the_instant_and_never_at_it() -> None:
    reset, opens = utc("2026-03-06 23:00"), utc("2026-03-08 22:00")
    flat_by = utc("2026-03-09 20:10")
    assert (FUTURES.next_reset(reset - 1), FUTURES.next_reset(reset)) == (reset, utc("2026-03-09 22:00"))
    assert (FUTURES.next_open(opens - 1), FUTURES.next_open(opens)) == (opens, utc("2026-03-09 22:00"))
    assert FUTURES.next_flat_by(reset) == flat_by
    assert FUTURES.next_flat_by(flat_by - 1) == flat_by
    assert FUTURES.next_flat_by(flat_by) == utc("2026-03-10 20:10")


def test_without_a_flat_by_only_early_closes_come() -> None:
    assert COINS.next_flat_by(EPOCH) is None
    early = {date(2026, 12, 31): time(18), date(2026, 12, 24): time(12)}
    some = Calendar(zone="UTC", open=time(0), reset=time(0), early_closes=early)
    assert some.day(date(2026, 12, 23)).flat_by is None
    assert some.next_flat_by(utc("2026-12-23 12:00")) == utc("2026-12-24 12:00")
    assert some.next_flat_by(utc("2026-12-24 12:00")) == utc("2026-12-31 18:00")
    assert some.next_flat_by(utc("2026-12-31 18:00")) is None


def test_a_machine_that_slept_over_several_resets_gets_each_of_them() -> None:
    last, now = utc("2026-03-05 23:00"), utc("2026-03-10 22:00")
    missed = list(FUTURES.days(last + 1, now + 1))
    assert [day.name for day in missed] == ["2026-03-09", "2026-03-10", "2026-03-11"]
    assert [day.began_at for day in missed] == [utc(f"2026-03-{at}:00") for at in ("06 23", "09 22", "10 22")]
    assert [day.name for day in FUTURES.days(last, now)] == ["2026-03-06", "2026-03-09", "2026-03-10"]
    assert list(FUTURES.days(now + 1, now + 1)) == list(FUTURES.days(now, last)) == []


def test_accounts_in_different_zones_reset_at_their_own_instants() -> None:
    """In the three weeks in which only America has changed its clocks the two are six hours apart, else seven."""
    berlin = Calendar(zone="Europe/Berlin", open=time(0), reset=time(0))
    chicago = Calendar(zone="America/Chicago", open=time(0), reset=time(0))
    days = [date(2026, 3, 6), date(2026, 3, 13), date(2026, 4, 3)]
    assert [(chicago.day(day).resets_at - berlin.day(day).resets_at) // HOUR for day in days] == [7, 6, 7]


@pytest.mark.parametrize(("week_start", "first"), [(0, "2026-03-09"), (6, "2026-03-08"), (2, "2026-03-04")])
def test_a_week_is_named_by_its_first_day(week_start: int, first: str) -> None:
    calendar = Calendar(zone="UTC", open=time(0), reset=time(0), week_start=week_start)
    assert calendar.day(date(2026, 3, 10)).week.isoformat() == first
    assert Calendar(zone="UTC", open=time(0), reset=time(0), week_start=1).day(date(2026, 3, 10)).week.day == 10


def test_a_day_says_its_events_with_every_instant() -> None:
    day = FUTURES.day(date(2026, 3, 9))
    common: dict[str, Any] = {"opens_at": day.opens_at, "flat_by": day.flat_by, "resets_at": day.resets_at}
    common |= {"trading_day": date(2026, 3, 9), "week": date(2026, 3, 9), "zone": "America/Chicago"}
    assert day.opened() == SessionOpened(began_at=day.began_at, **common)
    assert day.reset() == SessionReset(scheduled_for=day.began_at, **common)
    assert day.reset(late=True).late
    with derived_times():
        assert all(encode(event) for event in (day.opened(), day.reset(late=True), COINS.day_at(EPOCH).opened()))


WEEKDAYS = "weekdays must be one or more of 0 (Monday) to 6 (Sunday), each once"
FRIDAY, CHRISTMAS = date(2026, 11, 27), date(2026, 12, 25)


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"zone": "America/Chikago"}, "'America/Chikago' is not a time zone: give a name such as America/Chicago"),
        ({"zone": ""}, "'' is not a time zone"),
        ({"zone": "../zones"}, "'../zones' is not a time zone"),
        ({"zone": "America"}, "'America' is not a time zone"),
        ({"zone": "leapseconds"}, "'leapseconds' is not a time zone"),
        ({"zone": None}, "None is not a time zone"),
        ({"open": "17:00"}, "open '17:00': expected a datetime.time without tzinfo"),
        (
            {"reset": time(17, tzinfo=UTC)},
            "reset datetime.time(17, 0, tzinfo=datetime.timezone.utc): expected a datetime",
        ),
        ({"flat_by": 15}, "flat_by 15: expected a datetime.time without tzinfo"),
        ({"flat_by": time(17, 30)}, "flat_by 17:30:00 is after the reset at 17:00:00, which ends the day"),
        ({"open": time(8), "flat_by": time(8)}, "flat_by 08:00:00 is not after the open at 08:00:00"),
        ({"open": time(8), "reset": time(0), "flat_by": time(7)}, "flat_by 07:00:00 is not after the open at 08:00"),
        ({"weekdays": ()}, WEEKDAYS),
        ({"weekdays": (0, 7)}, WEEKDAYS),
        ({"weekdays": (0, 0)}, WEEKDAYS),
        ({"weekdays": (True, 2)}, WEEKDAYS),
        ({"weekdays": 3}, WEEKDAYS),
        ({"week_start": 7}, "week_start must be 0 (Monday) to 6 (Sunday), not 7"),
        ({"week_start": "Sunday"}, "week_start must be 0 (Monday) to 6 (Sunday), not 'Sunday'"),
        (
            {"holidays": ["2026-12-25"]},
            "each of holidays must be a datetime.date from 1970-01-01 to 2199-12-31, not '2026",
        ),
        ({"holidays": [datetime(2026, 12, 25, tzinfo=UTC)]}, "each of holidays must be a datetime.date"),
        ({"holidays": "2026-12-25"}, "holidays must be a collection of at most 10,000 dates"),
        ({"holidays": [CHRISTMAS] * 10_001}, "holidays must be a collection of at most 10,000 dates"),
        ({"early_closes": {FRIDAY: "12:00"}}, "the early close of 2026-11-27 at '12:00': expected a datetime.time"),
        ({"early_closes": {date(2026, 11, 28): time(12)}}, "2026-11-28 at 12:00:00 is not on a trading day"),
        (
            {"early_closes": {CHRISTMAS: time(12)}, "holidays": [CHRISTMAS]},
            "2026-12-25 at 12:00:00 is not on a trading",
        ),
        ({"early_closes": {FRIDAY: time(18)}}, "2026-11-27 at 18:00:00 is after the reset at 17:00:00"),
        ({"early_closes": {FRIDAY: time(16)}}, "2026-11-27 at 16:00:00 is later than flat_by at 15:10:00"),
        ({"early_closes": {FRIDAY: time(17)}}, "2026-11-27 at 17:00:00 is later than flat_by at 15:10:00"),
        (
            {"open": time(1), "reset": time(0), "early_closes": {FRIDAY: time(0)}},
            "2026-11-27 at 00:00:00 is later than flat_by at 15:10:00",
        ),
        ({"open": time(8), "early_closes": {FRIDAY: time(7)}}, "at 07:00:00 is not after the open at 08:00:00"),
    ],
)
def test_a_calendar_that_makes_no_sense_is_refused_and_says_why(members: dict[str, Any], why: str) -> None:
    usual: dict[str, Any] = {"zone": "America/Chicago", "open": time(17), "reset": time(17), "flat_by": time(15, 10)}
    with pytest.raises(InvalidEvent, match=re.escape(why)):
        Calendar(**(usual | members))


@pytest.mark.parametrize(
    ("day", "why"),
    [
        (date(2026, 12, 25), "2026-12-25 is not a trading day of this calendar but a holiday"),
        (date(2026, 3, 7), "2026-03-07 is not a trading day of this calendar but a Saturday"),
        (date(2200, 1, 1), "a trading day must be a datetime.date from 1970-01-01 to 2199-12-31"),
    ],
)
def test_a_date_that_is_not_a_trading_day_has_no_instants(day: date, why: str) -> None:
    calendar = Calendar(zone="UTC", open=time(0), reset=time(0), holidays=frozenset({date(2026, 12, 25)}))
    assert not calendar.is_trading_day(day) or day.year == 2200
    with pytest.raises(InvalidEvent, match=re.escape(why)):
        calendar.day(day)


def test_an_instant_is_aware_or_nanoseconds() -> None:
    with pytest.raises(InvalidEvent, match="time zone"):
        FUTURES.day_at(datetime(2026, 3, 9))  # noqa: DTZ001 - that is what is refused
    with pytest.raises(InvalidEvent, match="outside 1970"):
        FUTURES.next_reset(TIME_MAX + 1)
    with pytest.raises(InvalidEvent, match=r"a day must be a datetime.date"):
        resolve("UTC", date(1, 1, 1), time(0))


def test_a_calendar_does_not_change_with_what_it_was_given() -> None:
    holidays, closes = [date(2026, 12, 25)], {FRIDAY: time(12)}
    given_those: Any = {"holidays": holidays, "early_closes": closes, "weekdays": [4, 0]}
    calendar = Calendar(zone="UTC", open=time(0), reset=time(17), **given_those)
    holidays.append(date(2026, 12, 28))
    closes.clear()
    assert calendar.is_trading_day(date(2026, 12, 28))
    assert calendar.day(FRIDAY).flat_by == utc("2026-11-27 12:00")
    assert calendar.weekdays == (0, 4)


def test_the_first_and_the_last_instants_have_a_day() -> None:
    last = utc("2199-12-31 23:59")
    assert COINS.day_at(EPOCH).began_at == 0
    assert FUTURES.day_at(EPOCH).holds(EPOCH)
    assert FUTURES.day_at(last).holds(last)
