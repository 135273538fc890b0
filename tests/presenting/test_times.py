"""Times as typed and shown: in a zone, with offset, refused if a clock change makes them ambiguous."""

from __future__ import annotations

from datetime import UTC, tzinfo

import pytest

from eventstore import InvalidEvent
from eventstore.clock import parse_time
from gateways.presenting.times import parse_local, reads_as_time, shown_time, zone_named

CHICAGO = zone_named("America/Chicago")
NOW = parse_time("2025-11-20T03:00:00Z")  # the evening of the 19th, in Chicago


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2025-11-19", "2025-11-19T00:00:00-06:00"),
        ("2025-07-19", "2025-07-19T00:00:00-05:00"),
        ("2025-11-19 15:10", "2025-11-19T15:10:00-06:00"),
        ("2025-11-19T15:10", "2025-11-19T15:10:00-06:00"),
        (" 2025-11-19 9:05 ", "2025-11-19T09:05:00-06:00"),
        ("2025-11-19T15:10:07", "2025-11-19T15:10:07-06:00"),
        ("2025-11-19 15:10:07.123456789", "2025-11-19T15:10:07.123456789-06:00"),
        ("2025-11-19 15:10:07,5", "2025-11-19T15:10:07.5-06:00"),
        ("15:10", "2025-11-19T15:10:00-06:00"),
        ("9:05:01", "2025-11-19T09:05:01-06:00"),
        ("2025-11-19T15:10+01:00", "2025-11-19T15:10:00+01:00"),
        ("2025-11-19T15:10:07Z", "2025-11-19T15:10:07Z"),
    ],
)
def test_what_has_no_offset_is_read_in_the_zone(text: str, meant: str) -> None:
    assert parse_local(text, CHICAGO, NOW) == parse_time(meant)


def test_in_utc_a_time_of_day_is_of_the_date_there() -> None:
    assert parse_local("15:10", UTC, NOW) == parse_time("2025-11-20T15:10:00Z")
    assert parse_local("2025-11-19", UTC, NOW) == parse_time("2025-11-19T00:00:00Z")


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "soon", "15", "2025-11", "2025-13-01", "2025-02-29", "24:00", "15:60", "15:10:60", "15:1"),
        *(
            "2025-11-19T",
            "2025-11-1915:10",
            "15:10.5",
            "15:10Z",
            "2025-W47-3",
            "20251119T151000",
            "15:10:07.1234567890",
        ),
        *("1969-12-31", "2200-01-01", "1969-12-31T23:59:59Z", "٢٠٢٥-11-19", "2025-11-19 15:10 CST"),
    ],
)
def test_other_text_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidEvent, match=r"write it like|1970"):
        parse_local(text, CHICAGO, NOW)


@pytest.mark.parametrize(
    ("text", "choices"),
    [
        ("2025-11-02 01:30", ("twice", "2025-11-02T01:30:00-05:00", "2025-11-02T01:30:00-06:00")),
        ("2025-03-09 02:30", ("never", "2025-03-09T01:30:00-06:00", "2025-03-09T03:30:00-05:00")),
    ],
)
def test_a_time_that_clocks_show_twice_or_never_is_refused_with_both(text: str, choices: tuple[str, ...]) -> None:
    with pytest.raises(InvalidEvent) as refused:
        parse_local(text, CHICAGO, NOW)
    assert all(choice in str(refused.value) for choice in choices)


@pytest.mark.parametrize(
    ("zone", "day", "first"),
    [
        ("America/Sao_Paulo", "2018-11-04", "2018-11-04T01:00:00-02:00"),  # its midnight was skipped
        ("America/Havana", "2025-11-02", "2025-11-02T00:00:00-04:00"),  # its midnight came twice
    ],
)
def test_a_date_is_its_first_instant(zone: str, day: str, first: str) -> None:
    assert parse_local(day, zone_named(zone), NOW) == parse_time(first)


@pytest.mark.parametrize(
    ("zone", "exact", "shown"),
    [
        (UTC, False, "2025-11-19T15:10:07.123Z"),
        (UTC, True, "2025-11-19T15:10:07.123987654Z"),
        (CHICAGO, False, "2025-11-19T09:10:07.123-06:00"),
        (CHICAGO, True, "2025-11-19T09:10:07.123987654-06:00"),
    ],
)
def test_milliseconds_are_shown_unless_exact_and_the_offset_always(zone: tzinfo, exact: bool, shown: str) -> None:
    instant = parse_time("2025-11-19T15:10:07.123987654Z")
    assert shown_time(instant, zone, exact=exact) == shown
    assert shown_time(instant, zone_named("Africa/Monrovia"), exact=exact).endswith("+00:00")


def test_an_offset_with_seconds_is_shown_and_read_again() -> None:
    """Liberia kept its own time until 1972."""
    zone = zone_named("Africa/Monrovia")
    assert shown_time(0, zone) == "1969-12-31T23:15:30.000-00:44:30"
    assert parse_local("1970-01-01T00:00:00-00:44:30", UTC, NOW) == parse_local("1970-01-01", zone, NOW)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("Chicago", "America/Chicago"),
        ("america/chicago", "America/Chicago"),
        ("Europe/Berln", "Europe/Berlin"),
        ("new york", "America/New_York"),
        ("../../etc/passwd", "give a name such as"),
        ("", "give a name such as"),
        ("\x1b[31m", "give a name such as"),
    ],
)
def test_an_unknown_zone_is_refused_with_those_close_to_it(name: str, near: str) -> None:
    with pytest.raises(InvalidEvent, match="unknown time zone") as refused:
        zone_named(name)
    assert near in str(refused.value)


def test_utc_has_short_names() -> None:
    assert zone_named("utc") is UTC
    assert zone_named("Z") is UTC


def test_what_begins_like_a_time_is_distinguished_from_a_name() -> None:
    assert all(map(reads_as_time, ("2025-11-19", "2025-1-1x", "9:30", "15:10 lunch")))
    assert not any(map(reads_as_time, ("noon", "O-2025", "end-of-day", "12")))
