"""What a replay is asked for: its range, its accounts, and what is to be different; checked before anything is read."""

from __future__ import annotations

import copy
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import msgspec

from eventstore import EventReader, InvalidEvent
from eventstore.clock import GIVEN_MIN, duration_ns
from eventstore.errors import shown
from projections.analysis.replay.bars import Bar, bars_of, usual_age
from projections.analysis.replay.changes import AskedChanges
from projections.analysis.replay.times import LogTime, axis_of, bounds_of, range_of
from projections.analysis.sources import opened
from projections.replay import only
from projections.risk.policies import Policy
from projections.sessions import Calendar
from projections.view import View, views_of
from projections.views.sessions import calendars_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from eventstore.clock import Times
    from projections.analysis.replay.changes import Instead, Without
    from projections.analysis.sources import Source


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The positions past `first` and up to `until` of a reader's log, and what is different from it.

    `begins` is the virtual time at the beginning. `data`: whether orders are filled at the prices of `bars`.
    """

    reader: EventReader | None
    accounts: frozenset[str] | None
    axis: str
    start: int | None
    stop: int | None
    first: int
    until: int
    begins: int
    views: list[View[Any]]
    calendars: dict[str, Calendar]
    policies: tuple[Policy, ...] | None
    changes: AskedChanges | None
    bars: list[Bar]
    stale_after: int | None
    data: bool
    opened: ExitStack

    @classmethod
    def of(
        cls,
        store: Source | None,
        start: Times | None,
        stop: Times | None,
        *,
        account: str | None,
        time: str,
        views: Sequence[View[Any]] | None,
        calendars: Calendar | Mapping[str, Calendar] | None,
        policies: Sequence[Policy] | None,
        without: Without | None,
        instead: Instead | None,
        prices: object,
        data: object,
        stale_after: timedelta | int | None,
    ) -> Asked:
        """Return what is asked for; raise InvalidEvent for an argument that means nothing."""
        axis, (since, before) = axis_of(time), bounds_of(start, stop)
        is_what_if = without is not None or instead is not None
        _check_together(store, data, prices, is_what_if=is_what_if)
        bars = bars_of(prices, "prices") if data is None else bars_of(data)
        rules = _policies_of(policies)
        with ExitStack() as stack:
            reader = None if store is None else stack.enter_context(opened(store))
            first, until = (0, 0) if reader is None else range_of(reader, axis, since, before)
            changes = None if reader is None or not is_what_if else AskedChanges(reader, first, until, without, instead)
            return cls(
                reader=reader,
                accounts=only(account),
                axis=axis,
                start=since,
                stop=before,
                first=first,
                until=until,
                begins=_begins(reader, axis, first=first, until=until, start=since, bars=bars),
                views=views_of(views),
                calendars=calendars_of(calendars),
                policies=rules,
                changes=changes,
                bars=[bar for bar in bars if _is_within(bar.at, since, before)],
                stale_after=_stale_after(stale_after, bars),
                data=data is not None,
                opened=stack.pop_all(),
            )

    def time_at(self, position: int) -> LogTime:
        """Return the virtual time just after a position of the range."""
        time = LogTime(self.axis)
        time.now = self.begins
        if self.reader is not None and position > self.first:
            for page in self.reader.rows(("occurred_at", "recorded_at"), after=self.first, until=position):
                for _, occurred_at, recorded_at in page:
                    time.at(occurred_at, recorded_at)
        return time

    def rules(self) -> tuple[Policy, ...] | None:
        """Return the policies that were given, new ones each time: some remember what they have decided."""
        return None if self.policies is None else copy.deepcopy(self.policies)

    def close(self) -> None:
        """Close what was opened at a path."""
        self.opened.close()


def _check_together(store: object, data: object, prices: object, *, is_what_if: bool) -> None:
    if store is None and data is None:
        msg = "nothing to replay: give a store, the path of a data directory, or data, bars of your own"
        raise InvalidEvent(msg)
    if data is not None and prices is not None:
        msg = "data has prices: give either prices, or data, at whose prices orders are filled as well"
        raise InvalidEvent(msg)
    if is_what_if and store is None:
        msg = "without and instead change what a log has: give its store as well"
        raise InvalidEvent(msg)
    if is_what_if and data is not None:
        msg = "what would have been is asked of recorded fills: give prices, not data, with without and instead"
        raise InvalidEvent(msg)


def _stale_after(given: timedelta | int | None, bars: Sequence[Bar]) -> int | None:
    if given is None:
        return usual_age(bars) if bars else None
    return duration_ns(given)


def _policies_of(given: object) -> tuple[Policy, ...] | None:
    if given is None:
        return None
    if isinstance(given, str | bytes) or not hasattr(given, "__iter__"):
        msg = f"policies is a sequence of policies, as shipped_rules(), not {shown(given)}"
        raise InvalidEvent(msg)
    rules = tuple(given)
    for rule in rules:
        if isinstance(rule, type) or not isinstance(rule, Policy):
            msg = f"policies is a sequence of policies, as shipped_rules(), and {shown(rule)} is none"
            raise InvalidEvent(msg)
    return rules


def _is_within(at: int, start: int | None, stop: int | None) -> bool:
    return (start is None or at >= start) and (stop is None or at < stop)


def _begins(
    reader: EventReader | None, axis: str, *, first: int, until: int, start: int | None, bars: Sequence[Bar]
) -> int:
    """Return the virtual time at which a range begins: when it was asked to, or with the first that it has."""
    if start is not None:
        return start
    found = [bar.at for bar in bars[:1]]
    if reader is not None and first < until:
        record = next(iter(reader.read(after=first, limit=1)))
        found.append(LogTime(axis).at(record.occurred_at, record.recorded_at))
    return min(found, default=GIVEN_MIN)
