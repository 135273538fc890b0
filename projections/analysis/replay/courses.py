"""The course that a replay takes: how time passes and records are folded, as the log has them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Protocol

from eventstore import InvalidEvent
from eventstore.clock import NANOSECONDS, derived_from
from projections.analysis.prices import ANY_DISTANCE
from projections.analysis.replay.comparing import ReplayComparison
from projections.analysis.replay.playback import Playback
from projections.reading import tail
from projections.risk.policies import Policies
from projections.view import PartitionParked
from projections.views.quotes.bounds import Bounds

if TYPE_CHECKING:
    from eventstore import Record
    from projections.analysis.columns import Exact
    from projections.analysis.replay.asked import Asked
    from projections.analysis.replay.bars import Bar
    from projections.book import Book
    from projections.views.timers import Timer

TICK_NS = NANOSECONDS
"""How much virtual time passes at least between two evaluations of timed policies at records."""


class Course(Protocol):
    """What a replay asks of its course."""

    playback: Playback

    def begin(self) -> None:
        """Start what runs on the book; a second call does nothing."""

    def next_instant(self, until: int) -> int | None:
        """Return the next instant after now, and no later than another, at which something is due."""

    def pass_to(self, instant: int) -> list[Timer]:
        """Let time pass to an instant at which something is due; return the timers that ended."""

    def arrive(self, until: int, record: Record | None) -> None:
        """Let time pass to the next record, or to another instant at which nothing more is due."""

    def take(self, record: Record) -> None:
        """Fold the source's next record."""

    def observe(self, bar: Bar) -> None:
        """Observe a bar's quote."""

    def compare(self, position: int, exact: Exact) -> ReplayComparison:
        """Return how the history that was played differs from the original up to a position."""

    def close(self) -> None:
        """Close the book and the log."""


def playback_of(asked: Asked, position: int) -> Playback:
    """Return a playback that begins just after a position."""
    playback = Playback(
        asked.reader,
        after=position,
        now=asked.time_at(position).now,
        accounts=asked.accounts,
        views=asked.views,
        calendars=asked.calendars,
    )
    if asked.stale_after is not None:
        # What a user gives is a price, however far from the one before it.
        playback.book.quotes.bounds.default = Bounds(stale_after=asked.stale_after, band=ANY_DISTANCE)
        playback.book.rates.stale_after_ns = asked.stale_after
    return playback


class PlainCourse:
    """The log as it is, with the policies that are given, as they run live."""

    def __init__(self, asked: Asked, position: int) -> None:
        self._asked, self._begins = asked, position
        self._observed: dict[str, Bar] = {}
        self.playback = playback_of(asked, position)
        rules = asked.rules()
        self.policies = None if rules is None else Policies(self.playback.book, rules)
        self._is_begun = False
        self._ticked_at = 0

    def begin(self) -> None:
        if self.policies is not None and not self._is_begun:
            self.policies.start(ticking=False)
        self._is_begun = True

    def next_instant(self, until: int) -> int | None:
        return next_instant(self.playback, until, has_policies=self.policies is not None)

    def pass_to(self, instant: int) -> list[Timer]:
        ended = self.playback.pass_to(instant)
        self._tick(instant)
        self.playback.book.timers.due(instant)
        return ended

    def arrive(self, until: int, record: Record | None) -> None:
        if until > self.playback.clock.now_ns() or record is not None:
            self.playback.move(until)
        if until - self._ticked_at >= TICK_NS:
            self._tick(until)

    def _tick(self, at: int) -> None:
        self._ticked_at = at
        if self.policies is not None:
            with derived_from(at):
                self.policies.tick(at)

    def take(self, record: Record) -> None:
        self.playback.take(record)

    def observe(self, bar: Bar) -> None:
        self._observed[bar.symbol] = bar
        self.playback.observe(bar)

    def compare(self, position: int, exact: Exact) -> ReplayComparison:
        reader = self._asked.reader
        if reader is None:
            msg = "a replay of given bars alone has no original to compare with: give a store as well"
            raise InvalidEvent(msg)
        with contextlib.closing(playback_of(self._asked, self._begins)) as original:
            original.book.is_silent = True
            for page in tail(reader, self._begins, position, self._asked.accounts):
                original.take_all(page)
            original.move(self.playback.clock.now_ns())
            for bar in self._observed.values():
                original.observe(bar)
            now = self.playback.clock.now_ns()
            return ReplayComparison.of(original.book, self.playback.book, now, self.playback.differences, exact=exact)

    def close(self) -> None:
        if self.policies is not None and self._is_begun:
            self.policies.book.unwatch(self.policies)
        self.playback.close()


def next_instant(playback: Playback, until: int, *, has_policies: bool) -> int | None:
    """Return the next instant at which a timer ends or, for policies, a lockout or a trading day begins or ends."""
    now = playback.clock.now_ns()
    if until <= now:
        return None
    instants = [timer.expires_at for timer in playback.ending(until)[:1]]
    if has_policies and until - now >= TICK_NS:
        instants += [at for at in _dues(playback.book, now) if now < at < until]
    return min(instants, default=None)


def _dues(book: Book, now: int) -> list[int]:
    """Return when lockouts end, and trading days open and are reset, of each account."""
    found: list[int] = []
    for account in book.accounts.active():
        try:
            found += [each.ends_at for each in book.lockouts.active(account, now) if each.ends_at is not None]
            for following in (book.sessions.next_reset(account, now), book.sessions.next_open(account, now)):
                found += [] if following is None else [following]
        except PartitionParked:
            # Its policies stop and say so.
            continue
    return found
