"""Replay: plays a log's history, or a user's own bars, to handlers under a virtual clock."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, TypeVar, overload

from typing_extensions import override

from eventstore import Event, InvalidEvent
from eventstore.arguments import position_of
from eventstore.clock import format_time
from eventstore.errors import shown
from projections.analysis.columns import exact_of
from projections.analysis.progress import Progress
from projections.analysis.replay.asked import Asked
from projections.analysis.replay.courses import Course, PlainCourse
from projections.analysis.replay.fills import NextPriceFills
from projections.analysis.replay.handlers import Handlers, place_of
from projections.analysis.replay.interruptions import Interruptions
from projections.analysis.replay.pace import PausedError, ReplayPace
from projections.analysis.replay.what_if import WhatIfCourse
from projections.reading import PAGE, tail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import timedelta
    from types import TracebackType
    from typing import Self

    from eventstore import EventStore, Record
    from eventstore.clock import Times
    from projections.analysis.columns import Exact
    from projections.analysis.replay.bars import Bar
    from projections.analysis.replay.changes import Instead, Without
    from projections.analysis.replay.comparing import ReplayComparison
    from projections.analysis.replay.handlers import TimerHandler
    from projections.analysis.replay.playback import ReplayBook
    from projections.analysis.sources import Source
    from projections.book import Book
    from projections.risk.policies import Policy
    from projections.sessions import Calendar
    from projections.view import View

APPENDED_MAX = 100_000
"""How many records handlers may cause at one record, before it is taken for an endless chain."""
H = TypeVar("H", bound="Callable[..., object]")


class Replay:
    """Plays a range of a log, record by record, to handlers, with a live book on a log of its own in memory.

    `on` registers what is called with each event of a class, as f(event, record, book): the book has folded all up to
    and including that record. `run` plays to the end, iterating step by step; `seek` goes to a log position without
    calling anybody. `book` is live: what a strategy or policies append to it goes into the replay's own log, is folded,
    and is given to handlers in its turn. The source is only read. Two replays of one range are the same.

    `now` is the time of the record that is played, and moves between records where a timer of the book ends. `speed` 0
    plays as fast as possible, 1 in real time, 60 sixty times as fast.

    What if: with `without` or `instead` the book is that of a changed history, beside the original. The policies, by
    default the shipped ones, are evaluated on both. A recorded decision that the log leads to is there only if the
    changed history leads to it as well, and new ones are appended; what a person or a broker has done stays. What was
    decided from quotes, which no log has, is kept and marked, unless `prices` has them.
    """

    def __init__(
        self,
        store: Source | None = None,
        start: Times | None = None,
        stop: Times | None = None,
        *,
        account: str | None = None,
        time: str = "occurred",
        speed: float = 0,
        views: Sequence[View[Any]] | None = None,
        calendars: Calendar | Mapping[str, Calendar] | None = None,
        policies: Sequence[Policy] | None = None,
        without: Without | None = None,
        instead: Instead | None = None,
        prices: object = None,
        data: object = None,
        stale_after: timedelta | int | None = None,
        progress: bool | None = None,
    ) -> None:
        """Prepare to play what lies in [start, stop) of `time`, "occurred" or "recorded"; the log may grow meanwhile.

        `store`: a reader, or the path of a data directory; None plays `data` alone. `account`: only this one's records
        and those of none. `policies` decide on what is played, as they do live. `without`: records that are left out,
        by log position, id, stream, prefix, or f(record) -> bool. `instead`: a mapping of a record to an event in its
        place, a Batch for another stream, or several of them. `prices` (columns at, symbol, price) are observed as
        quotes at their time; so is `data`, at whose next price a strategy's orders are filled as well: prices, or bars
        (at, symbol, open, high, low, close; `at` is the end). `stale_after`: how old one of these may be, by default
        twice the usual time between them. Raises InvalidEvent.
        """
        self._asked = Asked.of(
            store, start, stop, account=account, time=time, views=views, calendars=calendars, policies=policies,
            without=without, instead=instead, prices=prices, data=data, stale_after=stale_after,
        )  # fmt: skip
        self._pace = ReplayPace(speed)
        self._progress = progress
        self._handlers = Handlers()
        self._is_playing = False
        self._interruptions = Interruptions()
        self._begin(self._asked.first)

    # What is asked

    @property
    def book(self) -> ReplayBook:
        """The live book of what is played; another one after `seek`."""
        return self._course.playback.book

    @property
    def store(self) -> EventStore:
        """The replay's own log: what was played, with what was appended. Frames read it like any other."""
        return self._course.playback.store

    @property
    def now(self) -> int:
        """The virtual time, in UNIX ns."""
        return self._course.playback.clock.now_ns()

    @property
    def position(self) -> int:
        """The position in the source's log of the last record that was played."""
        return self._course.playback.journal.taken

    @property
    def speed(self) -> float:
        """How much faster than real time it plays; 0 as fast as possible. It may be set while it plays."""
        return self._pace.speed

    @speed.setter
    def speed(self, speed: float) -> None:
        self._pace.set_speed(speed)

    # What is called

    @overload
    def on(self, kind: type[Event]) -> Callable[[H], H]: ...
    @overload
    def on(self, kind: type[Event], handler: H) -> H: ...
    def on(self, kind: type[Event], handler: H | None = None) -> H | Callable[[H], H]:
        """Call a handler as f(event, record, book) with each event of a class, of `Event` with all; or decorate it.

        What is observed, as quotes of `data` and timers that are started, is an event too. Handlers are called in the
        order in which they were added; what they append is given to handlers once all have been called.
        """

        def add(added: H) -> H:
            self._handlers.add(kind, added)
            return added

        return add if handler is None else add(handler)

    def on_timer(self, handler: TimerHandler) -> TimerHandler:
        """Call a handler as f(timer, book) when the time of one of the book's timers is over; or decorate it."""
        self._handlers.timers.append(handler)
        return handler

    # Playing

    def run(self) -> Self:
        """Play to the end, or until `pause`; an interruption (Ctrl-C) stops at once, and `run` then resumes."""
        total = self._asked.until - self._asked.first
        with self._interruptions.caught(), Progress(total, self._progress) as shown_progress:
            for number, _ in enumerate(self._play(single=False)):
                if number % 64 == 0:
                    shown_progress.at(self.position - self._asked.first)
                if self._pace.is_paused:
                    break
        return self

    def pause(self) -> None:
        """Let `run` return after the present record: from a handler, or from another thread."""
        self._pace.pause()

    def __iter__(self) -> Iterator[tuple[Record, Book]]:
        """Play step by step: yield each record, appended ones included, once its handlers have been called."""
        return self._play(single=True)

    def seek(self, position: int) -> Self:
        """Go to just after a position of the source's log, without calling handlers; what they appended is dropped.

        Past a change that was asked for, what follows from it is played again. Raises InvalidEvent for a position
        outside of the range that is played.
        """
        first, until = self._asked.first, self._asked.until
        if not first <= position_of("position", position) <= until:
            msg = f"position {shown(position)} is not in what is played, {first} to {until}: seek one of these"
            raise InvalidEvent(msg)
        self._check_idle()
        before, changes = self._course, self._asked.changes
        is_past_change = changes is not None and position >= changes.begins
        self._begin(first if is_past_change else position)
        before.close()
        if is_past_change:
            self._play_silently(position)
        return self

    def _play_silently(self, until: int) -> None:
        handlers, speed = self._handlers, self.speed
        self._handlers, self.speed = Handlers(), 0
        try:
            for _ in self._play(single=True, until=until):
                pass
        finally:
            self._handlers, self.speed = handlers, speed

    def compare(self, *, exact: Exact = False) -> ReplayComparison:
        """Return how what was played up to here differs from the original: records, lockouts and how it ended.

        `exact`: how its frames give decimals, as those of `analysis` do. Raises InvalidEvent without a store: there is
        no original.
        """
        return self._course.compare(self.position, exact_of(exact))

    def close(self) -> None:
        """Drop the replay's log and close what was opened for it; a second call does nothing."""
        self._course.close()
        self._asked.close()

    # Inside

    def _begin(self, position: int) -> None:
        asked = self._asked
        self._course = _course_of(asked, position)
        self._fills = NextPriceFills(self._course.playback.book) if asked.data else None
        self._time = asked.time_at(position)
        now = self.now
        self._bars = [bar for bar in asked.bars if position == asked.first or bar.at > now]
        self._next_bar = 0

    def _read(self, after: int, until: int) -> Iterator[Record]:
        asked = self._asked
        if asked.reader is None or after >= until:
            return iter(())
        return itertools.chain.from_iterable(tail(asked.reader, after, until, asked.accounts))

    def _check_idle(self) -> None:
        if self._is_playing:
            msg = "this replay is being played: a handler cannot play it or seek; pause it, and continue after run"
            raise InvalidEvent(msg)

    def _play(self, *, single: bool, until: int | None = None) -> Iterator[tuple[Record, Book]]:
        """Play on from where it is, to the end or up to a position of the source's.

        `single`: every record is yielded; else only those that somebody asked for.
        """
        self._check_idle()
        self._is_playing = True
        self._pace.resume()
        try:
            self._course.begin()
            # An interruption may have left what is not folded, or not given.
            self._course.playback.book.repair()
            yield from self._give()
            records = self._read(self.position, self._asked.until if until is None else until)
            while (record := next(records, None)) is not None:
                yield from self._step(record, records, single=single)
            if until is None:
                yield from self._pass(self._last_instant())
        except PausedError:
            return
        finally:
            self._is_playing = self._interruptions.wait = False

    def _last_instant(self) -> int:
        """Return when the replay ends: with its last record or bar, or when it was asked to stop."""
        last = max([self.now, *(bar.at for bar in self._bars[-1:])])
        stop = self._asked.stop
        return last if stop is None or self._asked.reader is None else max(last, stop)

    def _step(self, record: Record, records: Iterator[Record], *, single: bool) -> Iterator[tuple[Record, Book]]:
        now = self._time.at(record.occurred_at, record.recorded_at)
        if self._is_lean():
            self._interruptions.wait = True
            if not single:
                record, now = self._take_unasked(record, records, now)
            self._course.arrive(now, record)
        else:
            yield from self._pass(now, record)
            self._interruptions.wait = True
        self._course.take(record)
        self._interruptions.come()
        yield from self._give()

    def _is_lean(self) -> bool:
        """Return whether nothing happens between records, nor at those of a type without a handler."""
        course = self._course
        return (
            isinstance(course, PlainCourse)
            and course.policies is None
            and not self._pace.speed
            and self._next_bar >= len(self._bars)
            and not course.playback.book.partitions("timers")
        )

    def _take_unasked(self, record: Record, records: Iterator[Record], now: int) -> tuple[Record, int]:
        """Fold records up to the next one that a handler wants; return that one, or the last one, and its time."""
        waiting: list[Record] = []
        of = self._handlers.of
        while not of(record.type) and len(waiting) < PAGE:
            following = next(records, None)
            if following is None:
                break
            waiting.append(record)
            record = following
            now = self._time.at(record.occurred_at, record.recorded_at)
        if waiting:
            book = self._course.playback.book
            book.is_silent = True
            try:
                self._course.playback.take_all(waiting)
            finally:
                book.is_silent = False
        return record, now

    def _pass(self, until: int, record: Record | None = None) -> Iterator[tuple[Record, Book]]:
        """Let time pass up to an instant: bars become quotes, timers end, timed policies are evaluated."""
        while self._next_bar < len(self._bars) and self._bars[self._next_bar].at <= until:
            yield from self._pass_time(self._bars[self._next_bar].at)
            yield from self._take_bars()
        yield from self._pass_time(until, record)

    def _pass_time(self, until: int, record: Record | None = None) -> Iterator[tuple[Record, Book]]:
        course = self._course
        while (instant := course.next_instant(until)) is not None:
            self._pace.wait(self.now, instant)
            for timer in course.pass_to(instant):
                self._handlers.call_timers(timer, self.book)
            yield from self._give()
        self._pace.wait(self.now, until)
        course.arrive(until, record)
        yield from self._give()

    def _take_bars(self) -> Iterator[tuple[Record, Book]]:
        """Give the bars that end at one instant: orders are filled first, for they were sent before."""
        at = self._bars[self._next_bar].at
        bars: list[Bar] = []
        while self._next_bar < len(self._bars) and self._bars[self._next_bar].at == at:
            bars.append(self._bars[self._next_bar])
            self._next_bar += 1
        if self._fills is not None:
            for bar in bars:
                self._fills.fill(bar)
            yield from self._give()
        for bar in bars:
            self._course.observe(bar)
            yield from self._give()

    def _give(self) -> Iterator[tuple[Record, Book]]:
        """Call handlers with what was folded, one record after another, until they append nothing more."""
        course, given = self._course, 0
        book, folded = course.playback.book, course.playback.book.folded
        while folded:
            record, event = folded.popleft()
            given += 1
            if given > APPENDED_MAX:
                msg = (
                    f"handlers have appended {APPENDED_MAX:,} records at one record, {place_of(record)}: is it endless?"
                )
                raise InvalidEvent(msg)
            if course.playback.is_appended(record):
                course.playback.differences.appended(record, course.playback.journal.taken)
                if self._fills is not None:
                    self._fills.answer(record, record.event)
            handlers = self._handlers.of(record.type)
            if handlers:
                self._handlers.call(handlers, event, record, book)
                book.stay()
            yield record, book

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @override
    def __repr__(self) -> str:
        asked = self._asked
        place = "of given bars" if asked.reader is None else f"of {asked.reader.log}"
        where = f" at position {self.position} of {asked.first} to {asked.until}" if asked.reader is not None else ""
        late = f", {self._time.late} records late" if self._time.late else ""
        fills = (
            "" if self._fills is None else f", orders filled at the next price of the given bars: {self._fills.filled}"
        )
        own = len(self._course.playback.journal.own)
        appended = f", {own} records of its own" if own else ""
        return f"<Replay {place}{where}, {format_time(self.now)}{late}{appended}{fills}>"


def _course_of(asked: Asked, position: int) -> Course:
    if asked.changes is not None and asked.reader is not None:
        return WhatIfCourse(asked, asked.changes, asked.reader, position)
    return PlainCourse(asked, position)
