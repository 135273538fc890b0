"""Reference: times as people write them, and whether anything in a column says which number is the month."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
EPOCH = datetime(1970, 1, 1, tzinfo=ZoneInfo("UTC"))
DATES = {
    "month first": lambda t: f"{t.month}/{t.day}/{t.year}",
    "day first": lambda t: f"{t.day}.{t.month}.{t.year}",
    "day first, padded": lambda t: f"{t.day:02}-{t.month:02}-{t.year}",
    "month first, padded": lambda t: f"{t.month:02}/{t.day:02}/{t.year}",
    "year first": lambda t: f"{t.year}-{t.month:02}-{t.day:02}",
    "year first, dots": lambda t: f"{t.year}.{t.month:02}.{t.day:02}",
    "digits": lambda t: f"{t.year}{t.month:02}{t.day:02}",
    "name first": lambda t: f"{MONTHS[t.month - 1]} {t.day} {t.year}",
    "name between": lambda t: f"{t.day:02}-{MONTHS[t.month - 1][:3].upper()}-{t.year}",
    "short month first": lambda t: f"{t.month:02}/{t.day:02}/{t.year % 100:02}",
    "short day first": lambda t: f"{t.day}.{t.month}.{t.year % 100:02}",
}
CLOCKS = {
    "24 hours": lambda t: f"{t.hour:02}:{t.minute:02}:{t.second:02}",
    "24 hours, milliseconds": lambda t: f"{t.hour:02}:{t.minute:02}:{t.second:02}.{t.microsecond // 1000:03}",
    "12 hours": lambda t: f"{(t.hour + 11) % 12 + 1}:{t.minute:02}:{t.second:02} {'AM' if t.hour < 12 else 'PM'}",
    "12 hours, lower": lambda t: f"{(t.hour + 11) % 12 + 1}:{t.minute:02}:{t.second:02}{'am' if t.hour < 12 else 'pm'}",
    "minutes": lambda t: f"{t.hour:02}:{t.minute:02}",
}


def written(local: datetime, date: str, clock: str, link: str) -> str:
    """Return a clock's time as text."""
    return f"{DATES[date](local)}{link}{CLOCKS[clock](local)}"


def shown(instant: datetime, clock: str) -> datetime:
    """Return an instant without what the clock does not show."""
    if clock == "minutes":
        return instant.replace(second=0, microsecond=0)
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000 if "milli" in clock else 0)


def nanoseconds(instant: datetime) -> int:
    """Return an instant as UNIX ns."""
    return (instant - EPOCH) // timedelta(microseconds=1) * 1000


def is_twice(local: datetime) -> bool:
    """Return whether the clocks of its zone show a time twice."""
    return local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()


def is_doubtful(locals_: list[datetime], date: str) -> bool:
    """Return whether the numbers of the dates may stand for day, month and year in more than one order."""
    if date.startswith("short"):
        numbers = [
            (t.month, t.day, t.year % 100) if "month" in date else (t.day, t.month, t.year % 100) for t in locals_
        ]
        orders = {"mdy": (12, 31, 99), "dmy": (31, 12, 99), "ymd": (99, 12, 31)}
        fits = [
            o
            for o, most in orders.items()
            if all(0 < n <= m or (n == 0 and m == 99) for t in numbers for n, m in zip(t, most, strict=True))
        ]
        return len(fits) > 1
    if date in {"month first", "day first", "day first, padded", "month first, padded"}:
        same = len({number for t in locals_ for number in (t.month, t.day)}) == 1
        return not same and all(t.day <= 12 for t in locals_)
    return False
