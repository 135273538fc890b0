"""Which time a statement is about: the whole trading days of its rows, or what the caller says."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from eventstore import Instant, InvalidEvent

if TYPE_CHECKING:
    from projections.auditing.statements.days import DayBounds, TradingSpan
    from projections.auditing.statements.stated import Stated, StatedCash, StatedExecution, StatedPosition

R = TypeVar("R", "StatedCash", "StatedPosition")


class StatementPeriod(msgspec.Struct, frozen=True):
    """The instants from `since` to before `until`. `first` and `last` are the times of the first and the last row.

    `is_start_given` and `is_stop_given`: the caller stated them. What lies before the first row or after the last one
    is otherwise in doubt, for a statement need not begin and end with its days.
    """

    since: Instant
    until: Instant
    first: Instant
    last: Instant
    is_start_given: bool = False
    is_stop_given: bool = False

    def holds(self, at: int) -> bool:
        return self.since <= at < self.until

    def is_beyond_rows(self, at: int) -> bool:
        """Return whether an instant of the period lies outside the statement's rows that was not given."""
        return (at < self.first and not self.is_start_given) or (at > self.last and not self.is_stop_given)

    def holds_all(self, day: TradingSpan) -> bool:
        """Return whether all of a day is in the period."""
        return self.since <= day.since and day.until <= self.until


def period_of(stated: Stated, days: DayBounds, start: int | None, stop: int | None) -> StatementPeriod:
    """Return the period of one account's rows; raise InvalidEvent if neither they nor the caller say it."""
    spans = list(spans_of(stated, days))
    if not spans and (start is None or stop is None):
        msg = f"{stated.source} has no row that says which time it is about: give --start and --stop"
        raise InvalidEvent(msg)
    since = min(each.since for each in spans) if start is None else start
    until = max(each.until for each in spans) if stop is None else stop
    if until <= since:
        msg = f"{stated.source}: the period ends before it begins; give --start and --stop in this order"
        raise InvalidEvent(msg)
    times = sorted(_times(stated, days)) or [since, until]
    last = times[-1] + (0 if stated.has_dates_only else stated.within_ns)
    if stated.has_dates_only or not _times(stated, days):
        # Dates stand for whole days.
        return StatementPeriod(since, until, since, until, start is not None, stop is not None)
    return StatementPeriod(since, until, times[0], last, start is not None, stop is not None)


def on_their_days(stated: Stated, days: DayBounds) -> Stated:
    """Return a statement whose cash and positions without a time of day are at the beginning of their days."""
    return msgspec.structs.replace(
        stated,
        cash=tuple([_on_its_day(each, days) for each in stated.cash]),
        positions=tuple([_on_its_day(each, days) for each in stated.positions]),
    )


def _on_its_day(row: R, days: DayBounds) -> R:
    return row if row.trading_day is None else msgspec.structs.replace(row, at=days.named(row.trading_day).since)


def spans_of(stated: Stated, days: DayBounds) -> list[TradingSpan]:
    """Return the days of a statement's rows, of each row one."""
    rows = _closing(stated)
    if stated.has_dates_only:
        found = [days.named(each.trading_day) for each in rows if each.trading_day is not None]
    else:
        found = [days.at(each.at) for each in rows]
    found += [days.at(each.at) for each in stated.cash]
    found += [days.at(each.at) for each in stated.positions]
    return [*found, *(days.named(each.trading_day) for each in stated.results)]


def _closing(stated: Stated) -> list[StatedExecution]:
    """Return the executions that decide the period: what is closed in it may have been opened before it."""
    if not stated.closed_only:
        return list(stated.executions)
    return [each for each in stated.executions if each.closes] or list(stated.executions)


def _times(stated: Stated, days: DayBounds) -> list[int]:
    ends = [days.at(each.at).until - 1 for each in stated.cash if each.trading_day is not None]
    return [*(each.at for each in _closing(stated)), *(each.at for each in stated.cash), *ends]
