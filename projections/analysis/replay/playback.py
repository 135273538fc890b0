"""One history that is being played: its log, its clock and its book, a record at a time."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from eventstore import ManualClock
from eventstore.clock import derived_from
from projections.analysis.replay.differences import Differences
from projections.analysis.replay.scratch import ReplayStore, ScratchJournal
from projections.book import Book
from projections.builtin import builtin_views
from projections.fold import Fold
from projections.garbage import gc_disabled
from projections.opening import snapshots_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from eventstore import Event, EventReader, Record
    from eventstore.clock import Times
    from eventstore.record import Draft
    from projections.analysis.replay.bars import Bar
    from projections.sessions import Calendar
    from projections.view import View
    from projections.views.timers import Timer


class ReplayBook(Book):
    """A live book on a replay's log. `folded` has the records folded and observed that no handler was called with."""

    folded: deque[tuple[Record, Event | None]]
    is_silent = False
    """Whether nothing is kept in `folded`."""

    def play(self, records: Sequence[Record]) -> None:
        """Fold records that the log has taken from its source."""
        with self._lock:
            if self._notifying is not None:
                self._redeliver()
            self._apply(records)
        self._flush_listener()

    def forget_snapshots(self) -> None:
        """Write no cut: what is appended here is of no log on disk."""
        self._snapshots = None

    def stay(self) -> None:
        """Fold what others than this book have appended to the log."""
        if self.position < self._reader.head():
            self.refresh()

    def repair(self) -> None:
        """Complete what an interruption left half done, where it could not wait."""
        self.stay()
        for (view, partition), parked in self.parked.items():
            if not isinstance(parked.error, Exception):
                self.retry(view, partition)

    @override
    def _apply(self, records: Sequence[Record]) -> int:
        if self.is_silent:
            return super()._apply(records)
        before = self._fold.log_position
        found = super()._apply(records)
        for record in records:
            if record.position > before:
                self.folded.append((record, None))
        return found

    @override
    def observe(self, stream: str, event: Event, *, occurred_at: Times | None = None) -> Record:
        record = super().observe(stream, event, occurred_at=occurred_at)
        if not self.is_silent:
            self.folded.append((record, event))
        return record


class Playback:
    """A log that begins with a source's records up to a position, its virtual clock, and a live book on it."""

    def __init__(
        self,
        source: EventReader | None,
        *,
        after: int,
        now: int,
        accounts: frozenset[str] | None = None,
        views: Sequence[View[Any]] = (),
        calendars: Mapping[str, Calendar] | None = None,
    ) -> None:
        with derived_from(now):
            self.clock = ManualClock(now)
        self.journal = ScratchJournal(source, self.clock, after=after)
        self.store = ReplayStore(self.journal, self.clock)
        # Cuts of the source are read where it has any; none is written.
        snapshots = snapshots_of(source, None) if after and source is not None else None
        self.book = ReplayBook(self.store, Fold(accounts=accounts), accounts=accounts, snapshots=snapshots)
        self.book.folded = deque()
        self.book.is_silent = True
        try:
            self.book.load([*builtin_views(), *views], after)
        finally:
            if snapshots is not None:
                snapshots.close()
        self.book.forget_snapshots()
        self._of_source: set[bytes] = set()
        """The ids of what was last taken from the source, or stands in the place of it."""
        self.differences = Differences()
        self.book.is_silent = False
        self.book.sessions.calendars.update(calendars or {})

    def move(self, instant: int) -> None:
        """Let time pass up to an instant; to an earlier one the wall clock alone is set."""
        passed = instant - self.clock.now_ns()
        if passed > 0:
            self.clock.advance(passed)
        elif passed:
            with derived_from(instant):
                self.clock.set(instant)

    def take(self, record: Record) -> bool:
        """Fold the source's next record; return False if the log has it already, because it was decided again."""
        if record.position <= self.journal.taken:
            # An interruption came between taking it and what follows.
            return True
        self._of_source = {record.id}
        played = self.journal.play(record)
        if played is None:
            self.differences.met(record, self.journal.find([record.id])[record.id])
            return False
        self.book.play([played])
        return True

    def take_all(self, records: Sequence[Record]) -> None:
        """Fold several of the source's next records together: faster, and nobody sees what is between them."""
        with gc_disabled():
            taken = []
            for record in records:
                if record.position <= self.journal.taken:
                    continue
                played = self.journal.play(record)
                if played is None:
                    self.differences.met(record, self.journal.find([record.id])[record.id])
                else:
                    taken.append(played)
            if taken:
                self.book.play(taken)

    def skip(self, record: Record) -> None:
        """Leave out the source's next record."""
        self.journal.skip(record)

    def is_appended(self, record: Record) -> bool:
        """Return whether a record was appended in the replay, rather than taken from the source or observed."""
        return record.version > 0 and record.id not in self._of_source

    def observe(self, bar: Bar) -> None:
        """Observe a bar's quote, at the end of the bar."""
        with derived_from(bar.at):
            self.book.observe(bar.stream, bar.quote, occurred_at=bar.at)

    def put(self, drafts: Sequence[Draft], recorded_at: int) -> list[Record]:
        """Append drafts as facts, under no condition, and fold them."""
        journal = self.journal
        self._of_source = {draft.id for draft in drafts}
        records = [journal.place(draft, journal.version(draft.stream) + 1, recorded_at) for draft in drafts]
        if records:
            self.book.play(records)
        return records

    def pass_to(self, instant: int) -> list[Timer]:
        """Let time pass to an instant; return the timers that have ended, as of then."""
        ended = self.ending(instant)
        self.move(instant)
        timers = self.book.timers
        return [now for each in ended if (now := timers.get(each.account, each.name, instant)) is not None]

    def ending(self, until: int) -> list[Timer]:
        """Return the timers that end after now and no later than an instant, the first one first."""
        book, now = self.book, self.clock.now_ns()
        found = [
            timer
            for account in book.partitions("timers")
            for timer in book.timers.of(account, now)
            if now < timer.expires_at <= until
        ]
        return sorted(found, key=lambda timer: (timer.expires_at, timer.account, timer.name))

    def close(self) -> None:
        """Close the book and the log; the source stays open."""
        self.book.close()
        self.store.close()
