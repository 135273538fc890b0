"""At which instants past states are asked for: given ones, a grid, each execution, each trading day's end."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from eventstore import InvalidEvent
from eventstore.clock import NANOSECONDS, duration_ns, parse_duration, to_ns, utc_date
from eventstore.errors import shown
from eventstore.trading import OrderFilled, TradeExecuted
from projections.analysis.sources import OCCURRED
from projections.fold import Fold
from projections.fold_reader import FoldReader
from projections.sessions import Calendar, TradingDay
from projections.views.sessions import Sessions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import TypeAlias

    from eventstore import EventReader
    from eventstore.clock import Times
    from projections.analysis.prices import GivenPrices

    Every: TypeAlias = timedelta | str
    At: TypeAlias = Times | Sequence[Times]

TRADE, DAY = "trade", "day"
INSTANTS_MAX = 1_000_000
_DAY_NS = 86_400 * NANOSECONDS
_FORMS = 'a timedelta, text such as "1h", "15min" or "1D", "trade" (each execution) or "day" (each trading day\'s end)'


class Span(NamedTuple):
    """Whose records, known up to a log position, and between which instants of an axis: `stop` is not included."""

    account: str | None
    time: str
    until: int
    start: int | None
    stop: int | None

    @property
    def member(self) -> str:
        return "occurred_at" if self.time == OCCURRED else "recorded_at"

    def holds(self, instant: int) -> bool:
        return (self.start is None or self.start <= instant) and (self.stop is None or instant < self.stop)


class DayEnd(NamedTuple):
    """A trading day and its last instant, UNIX ns."""

    trading_day: date
    at: int


def every_of(given: object) -> int | str:
    """Return how often states are asked for: "trade", "day" or ns; raise InvalidEvent for anything else."""
    if isinstance(given, str) and given in {TRADE, DAY}:
        return given
    step = 0
    if isinstance(given, timedelta):
        step = duration_ns(given)
    elif isinstance(given, str):
        try:
            # To pandas M is a month, which has no length: it must not become a minute.
            step = 0 if given.strip().endswith("M") else parse_duration(given.strip().lower().replace("min", "m"))
        except InvalidEvent as e:
            msg = f"every is {_FORMS}, not {shown(given)}"
            raise InvalidEvent(msg) from e
    if step <= 0:
        msg = f"every is {_FORMS}, not {shown(given)}"
        raise InvalidEvent(msg)
    return step


def calendar_of(given: object) -> Calendar | None:
    """Return a calendar; raise InvalidEvent for anything else."""
    if given is None or isinstance(given, Calendar):
        return given
    msg = f"calendar is a projections.Calendar, not {shown(given)}"
    raise InvalidEvent(msg)


def given_instants(at: object) -> list[int]:
    """Return one instant or several in UNIX ns, sorted, each once; raise InvalidEvent for what is none."""
    if isinstance(at, str | datetime | int):
        return [_ns(at)]
    if not hasattr(at, "__iter__"):
        msg = f"instants are aware datetimes, ISO 8601 text with a zone or ints of UNIX ns, not {shown(at)}"
        raise InvalidEvent(msg)
    return sorted({_ns(each) for each in at})


def instants_of(
    reader: EventReader, span: Span, every: int | str, calendar: Calendar | None, prices: GivenPrices | None
) -> list[int]:
    """Return the instants of a range, sorted. Without records there are none.

    Every so many hours: the multiples of that from the first record to the first instant that has all, or in the range
    that was given.
    """
    if every == DAY:
        return [day.at for day in days_of(reader, span, calendar, prices)]
    if every == TRADE:
        pages = reader.rows((span.member,), until=span.until, account=span.account, types=(OrderFilled, TradeExecuted))
        return sorted({instant for page in pages for _, instant in page if span.holds(instant)})
    assert isinstance(every, int), "every_of gives no other text"
    return _grid(reader, span, every)


def newest_instant(reader: EventReader, span: Span) -> int | None:
    """Return the time of the newest record of a span on its axis, None without one."""
    ends = _ends(reader, span)
    return None if ends is None else ends[1]


def days_of(reader: EventReader, span: Span, calendar: Calendar | None, prices: GivenPrices | None) -> list[DayEnd]:
    """Return the trading days that end in a span, in the order of their ends.

    They are the days that the account's records state; for records in none of these, and without them, the calendar's;
    without a calendar the dates in UTC that have a record of the account or a price.
    """
    found: dict[date, int] = {}
    stated = [] if span.account is None else _stated(reader, span.account, span.until)
    for day, began_at, end in stated:
        if end > began_at:
            found[day] = end - 1
    if calendar is not None:
        ends = _ends(reader, span)
        for trading_day in () if ends is None else _until(calendar, *ends):
            found.setdefault(trading_day.trading_day, trading_day.resets_at - 1)
    else:
        for number in sorted(_dates(reader, span, stated, prices)):
            found.setdefault(utc_date(number * _DAY_NS), (number + 1) * _DAY_NS - 1)
    days = sorted((DayEnd(day, at) for day, at in found.items() if span.holds(at)), key=_end)
    return [next(same) for _, same in itertools.groupby(days, key=_end)]


def _stated(reader: EventReader, account: str, until: int) -> list[tuple[date, int, int]]:
    """Return the days that an account's records state: when each began, and its end, which is not in it."""
    fold = Fold()
    fold.log_position = until
    known = Sessions(FoldReader(reader, fold, None, None)).history(account)
    begun = sorted((each for each in known if each.began_at is not None), key=lambda each: each.began_at or 0)
    found = []
    for index, each in enumerate(begun):
        following = begun[index + 1].began_at if index + 1 < len(begun) else None
        end = each.resets_at or each.closed_at or following
        if end is not None:
            found.append((each.trading_day, each.began_at or 0, end))
    return found


def _until(calendar: Calendar, first: int, last: int) -> Iterator[TradingDay]:
    day = calendar.day_at(first)
    while day.began_at <= last:
        yield day
        day = calendar.following(day)


def _dates(
    reader: EventReader, span: Span, stated: Sequence[tuple[date, int, int]], prices: GivenPrices | None
) -> set[int]:
    """Return the dates, as days since 1970, that have a record or a price in none of the days that are stated."""
    begins = [began_at for _, began_at, _ in stated]

    def instants() -> Iterable[int]:
        for page in reader.rows((span.member,), until=span.until, account=span.account):
            yield from (instant for _, instant in page)
        yield from () if prices is None else (given.at for given in prices.rows)

    found = set()
    for instant in instants():
        number = instant // _DAY_NS
        if number not in found:
            index = bisect_right(begins, instant) - 1
            if index < 0 or instant >= stated[index][2]:
                found.add(number)
    return found


def _grid(reader: EventReader, span: Span, step: int) -> list[int]:
    start, stop = span.start, span.stop
    if start is None or stop is None:
        ends = _ends(reader, span)
        if ends is None:
            return []
        start = ends[0] if start is None else start
        # The last one has every record.
        stop = -(-ends[1] // step) * step + 1 if stop is None else stop
    first = -(-start // step) * step
    if (stop - first) // step > INSTANTS_MAX:
        msg = (
            f"every {timedelta(microseconds=step // 1_000)} has more than {INSTANTS_MAX:,} instants between "
            f"{utc_date(start)} and {utc_date(stop)}: give start and stop, or a longer duration"
        )
        raise InvalidEvent(msg)
    return list(range(first, stop, step))


def _ends(reader: EventReader, span: Span) -> tuple[int, int] | None:
    """Return the times of a span's first and last records on its axis."""
    first = last = None
    for page in reader.rows((span.member,), until=span.until, account=span.account):
        found = [instant for _, instant in page if span.holds(instant)]
        if found:
            least, most = min(found), max(found)
            first = least if first is None else min(first, least)
            last = most if last is None else max(last, most)
    return None if first is None or last is None else (first, last)


def _ns(instant: Times) -> int:
    # A timestamp of pandas is a datetime, with its nanoseconds beside it.
    return to_ns(instant) + getattr(instant, "nanosecond", 0)


def _end(day: DayEnd) -> int:
    return day.at
