"""Ending a log and beginning the next one from its state, so that a kill at any moment loses and doubles nothing.

In a directory the next log is made aside, whole and synced. Then one append ends the old log, on the condition that
nothing was recorded meanwhile, and names the other. From then on the other continues: a process that opens the old one
gives that its place, if the one that rotated was killed before it could. In PostgreSQL one transaction does all of it.
A log that has not ended has not changed at all.
"""

from __future__ import annotations

import contextlib
import functools
import re
import shutil
import time
import uuid
from typing import TYPE_CHECKING, Protocol

import msgspec
from typing_extensions import override

from eventstore import files
from eventstore.chains.chain import root_at
from eventstore.chains.following import JOURNAL, complete, ended_of, staged_folder
from eventstore.clock import Clock
from eventstore.errors import AccountChanged, InvalidEvent, LogHasEnded, Overloaded, TargetExists
from eventstore.events import encode
from eventstore.ids import keyed_id
from eventstore.journal import Journal, Query, append
from eventstore.journals.holding import HoldLimit
from eventstore.journals.sqlite import SqliteJournal
from eventstore.journals.sqlite.schema import from_os
from eventstore.locations import next_name
from eventstore.readable import Readable
from eventstore.record import Draft, PreparedBatch, Unchanged
from eventstore.side import API_KEYS, API_KEYS_LOCK
from eventstore.streams import check_name
from eventstore.trading.logs import LOG_STREAM, LogContinued, LogEnded, ended_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from eventstore.events import Event
    from eventstore.journal import Maintenance
    from eventstore.journals.postgres import PostgresJournal
    from eventstore.side import LogSide
    from eventstore.store import EventStore
    from eventstore.trading.logs import StateCarried, VersionsCarried

    Carrying = Callable[[], tuple[int, Sequence[tuple[str, StateCarried | VersionsCarried]]]]
    """Returns the log's head, and what a book there carries on: each event with its stream."""

ATTEMPTS_MAX = 5
"""How often the next log is made again because something was appended to the old one meanwhile."""
UNHELD = 2
"""In how many of them others may append until the last moment; then they wait."""
PAGE_EVENTS, PAGE_BYTES = 1_000, 8 << 20
LOCK = "rotate.lock"
LOCK_SECONDS, LOCK_PAUSE_SECONDS = 2.0, 0.02
"""How long a rotation waits for another one, or for a change of the API keys."""


class Rotated(Readable, msgspec.Struct, frozen=True):
    """A log that has ended, with its `root` when it had `size` records, and the log `next` that continues it.

    The next log begins with `carried` records of state; `position` is that of the old log's last record, from which
    its records are counted on.
    """

    log: str
    next: str
    size: int
    root: str
    position: int
    carried: int


def rotate(store: EventStore, carrying: Carrying, *, name: str | None = None) -> Rotated:
    """End a store's log, and begin the next one with what a book of it carries on. The store then takes no more.

    Raises Overloaded where another process rotates, or others keep appending; TargetExists where there is a log of the
    next one's name; ReadOnly, LogHasEnded, StorageFull. Nothing has changed then. Raises Unavailable where the log has
    ended and the next one could not be put in its place: opening it does that.
    """
    store.committer.flush()
    journal, side = store.journal, store.side
    if side is None or not isinstance(journal, Journal):
        msg = "only a log in a directory or in PostgreSQL is rotated: one in memory, or of a service, is not"
        raise InvalidEvent(msg)
    following = next_name(store.log) if name is None else check_name("log", name)
    with _held(side, LOCK, f"another process rotates log {store.log}: wait for it"):
        if (ended := ended_of(journal)) is not None:
            raise LogHasEnded(store.log, ended.next)
        if not journal.head():
            msg = f"log {store.log} has no records: there is nothing to end"
            raise InvalidEvent(msg)
        # Else a key that is revoked meanwhile would be in force again, and without any the service is open to all here.
        with _held(side, API_KEYS_LOCK, f"another process changes the API keys of log {store.log}: try again"):
            kept = {name: content for name, content in side.documents(API_KEYS).items() if name == API_KEYS}
            succession = _succession(store, journal, following, kept)
            succession.check_possible()
            return _rotated(store, journal, succession, following, carrying)


@contextlib.contextmanager
def _held(side: LogSide, name: str, otherwise: str) -> Iterator[None]:
    """Hold a lock beside a log; raise Overloaded where another process keeps it."""
    lock = side.lock(name)
    deadline = time.monotonic() + LOCK_SECONDS
    while not lock.take():
        if time.monotonic() > deadline:
            raise Overloaded(otherwise)
        time.sleep(LOCK_PAUSE_SECONDS)
    try:
        yield
    finally:
        lock.release()


class _Succession(Protocol):
    """How a log of one kind ends, and the next one begins."""

    def check_possible(self) -> None:
        """Raise what keeps the next log from its place."""

    def begin(self, *, is_held: bool) -> bool:
        """Begin an attempt. With `is_held` others wait until it has ended; return False where they do not let it in."""

    def attempt(self, continued: LogContinued, carried: Sequence[tuple[str, Event]]) -> bool:
        """End the log and begin the next one; return False where others have appended meanwhile."""

    def abandon(self) -> None:
        """Leave nothing behind of an attempt that has ended nothing."""


def _succession(store: EventStore, journal: Journal, following: str, kept: dict[str, bytes]) -> _Succession:
    """Return how the log ends; `kept` are documents that lie beside the next one from its beginning on."""
    if isinstance(journal, SqliteJournal) and store.directory is not None:
        return _InDirectory(store, journal, store.directory, following, kept)
    # Imported here: its library is an extra, which most programs do without.
    from eventstore.journals.postgres import PostgresJournal

    assert isinstance(journal, PostgresJournal)
    return _InTables(store, journal, following, kept)


def _rotated(
    store: EventStore, journal: Maintenance, succession: _Succession, following: str, carrying: Carrying
) -> Rotated:
    for number in range(ATTEMPTS_MAX):
        try:
            if succession.begin(is_held=number >= UNHELD):
                rotated = _attempted(store, journal, succession, following, carrying)
                # Else what was appended meanwhile is carried on at the next attempt.
                if rotated is not None:
                    return rotated
        finally:
            succession.abandon()
    msg = f"others appended to log {store.log} at each of {ATTEMPTS_MAX} attempts: nothing was changed, stop them"
    raise Overloaded(msg)


def _attempted(
    store: EventStore, journal: Maintenance, succession: _Succession, following: str, carrying: Carrying
) -> Rotated | None:
    """End the log at the position at which it is carried on; None where others have appended meanwhile."""
    before = 0 if store.chain is None else store.chain.offset
    position, carried = carrying()
    size = position - before
    continued = LogContinued(
        previous=uuid.UUID(bytes=journal.log_id),
        size=size,
        root=root_at(journal, size).hex(),
        name=store.log,
        before=before,
        carried=len(carried),
    )
    if not succession.attempt(continued, carried):
        return None
    return Rotated(store.log, following, size, continued.root, position + 1, len(carried))


def _last_batch(store: EventStore, ended: LogEnded, size: int) -> PreparedBatch:
    """Return what ends a log that still has so many records."""
    draft = _draft(store, LOG_STREAM, ended, ended_key(store.log_id))
    return PreparedBatch(LOG_STREAM, [draft], unchanged=Unchanged(accounts=(), since=size))


def _first_batches(
    store: EventStore, continued: LogContinued, carried: Sequence[tuple[str, Event]]
) -> Iterator[list[PreparedBatch]]:
    """Yield what the next log begins with, page by page."""
    yield [PreparedBatch(LOG_STREAM, [_draft(store, LOG_STREAM, continued, f"continued {continued.previous.hex}")])]
    # Unique among all logs, and the same in each attempt.
    yield from _pages(
        PreparedBatch(stream, [_draft(store, stream, event, f"{store.log_id.hex()} {number}")])
        for number, (stream, event) in enumerate(carried, 1)
    )


class _InTables:
    """The next log of one in PostgreSQL: it is made, and the other one ended, by one transaction."""

    def __init__(self, store: EventStore, journal: PostgresJournal, following: str, kept: dict[str, bytes]) -> None:
        from eventstore.journals.postgres import succession
        from eventstore.journals.postgres.stalled import StalledSessions

        self._store = store
        location = succession.next_location(journal, following)
        self._check = functools.partial(succession.check_possible, location)
        self._make = functools.partial(succession.NextLog, journal, location, store.clock, StalledSessions(), kept)
        self._next_log: succession.NextLog | None = None

    def check_possible(self) -> None:
        self._check()

    def begin(self, *, is_held: bool) -> bool:
        if not is_held:
            # Made once the state is known: its name is kept from others for no longer than that takes.
            return True
        self._next_log = self._make()
        return self._next_log.take_turn()

    def attempt(self, continued: LogContinued, carried: Sequence[tuple[str, Event]]) -> bool:
        store = self._store
        next_log = self._next_log = self._next_log or self._make()
        after = _last_time(store, continued)
        for page in _first_batches(store, continued, carried):
            next_log.append(page, after=after)
        ended = LogEnded(next=next_log.log, next_id=uuid.UUID(bytes=next_log.log_id))
        return next_log.end_previous(_last_batch(store, ended, continued.size), bytes.fromhex(continued.root))

    def abandon(self) -> None:
        next_log, self._next_log = self._next_log, None
        if next_log is not None:
            next_log.abandon()


class _InDirectory:
    """The next log of one in a directory: made aside, then named by the last record of the other, then moved."""

    def __init__(
        self, store: EventStore, journal: SqliteJournal, folder: Path, following: str, kept: dict[str, bytes]
    ) -> None:
        self._store, self._journal, self._folder, self._following = store, journal, folder, following
        self._kept = kept
        self._holding = HoldLimit(folder)

    def check_possible(self) -> None:
        directory = self._folder.parent
        if (directory / self._following).exists():
            msg = f"there is a log {self._following} in {directory}: name the next one"
            raise TargetExists(msg)

    def begin(self, *, is_held: bool) -> bool:
        if not is_held:
            # The last append's condition alone decides.
            return True
        if self._journal.turn.take():
            self._holding.begin()
            return True
        return False

    def abandon(self) -> None:
        """Let others append again; what is left aside is named by no log, and removed by the next attempt."""
        self._journal.turn.release()

    def attempt(self, continued: LogContinued, carried: Sequence[tuple[str, Event]]) -> bool:
        journal, turn = self._journal, self._journal.turn
        _clear(self._folder.parent, journal.log_id)
        staged = _Staged(self._store, self._folder.parent, self._following, self._kept)
        try:
            ended, first_at = staged.write(continued, carried)
        except OSError as e:
            raise from_os(e, self._folder.parent) from e
        self._holding.check()
        if not (turn.is_taken or turn.take()):
            return False
        # Times rise over all logs: this record comes before the next log's first one.
        turn.at = first_at - 1
        try:
            append(journal, [_last_batch(self._store, ended, continued.size)])
        except AccountChanged:
            return False
        complete(self._folder, journal.log_id, ended)
        return True


def _clear(directory: Path, log_id: bytes) -> None:
    """Remove what interrupted attempts have left, under whichever name: the log has not ended, so none is named."""
    for left in directory.glob(f".*.{log_id.hex()}.*"):
        if re.fullmatch(r"[0-9a-f]{32}|new", left.name.rpartition(".")[2]):
            shutil.rmtree(left, ignore_errors=True)


class _NotBefore(Clock):
    """A clock that never says an instant before another one."""

    def __init__(self, clock: Clock, earliest: int) -> None:
        self._clock, self._earliest = clock, earliest

    @override
    def now_ns(self) -> int:
        return max(self._clock.now_ns(), self._earliest)

    @override
    def monotonic_ns(self) -> int:
        return self._clock.monotonic_ns()


def _last_time(store: EventStore, continued: LogContinued) -> int:
    """Return when the log's last record but `LogEnded` was recorded, with an instant for that one; 0 without one."""
    last = store.journal.read(Query(after=continued.size - 1, limit=1)) if continued.size else ()
    return last[0].recorded_at + 1 if last else 0


def _after(store: EventStore, continued: LogContinued) -> Clock:
    """Return a clock of the next log's records: times rise over all logs, whatever the clock says."""
    return _NotBefore(store.clock, _last_time(store, continued) + 1)


class _Staged:
    """The next log, made where nobody looks for a log."""

    def __init__(self, store: EventStore, directory: Path, following: str, kept: dict[str, bytes]) -> None:
        self._store, self._directory, self._following, self._kept = store, directory, following, kept

    def write(self, continued: LogContinued, carried: Sequence[tuple[str, Event]]) -> tuple[LogEnded, int]:
        """Write its first records, close and sync it; return what ends the log before it, and when this one begins."""
        made = self._directory / f".{self._following}.{self._store.log_id.hex()}.new"
        journal = SqliteJournal(made / JOURNAL, log=self._following, clock=_after(self._store, continued))
        try:
            for page in _first_batches(self._store, continued, carried):
                append(journal, page)
            log_id = uuid.UUID(bytes=journal.log_id)
            (first,) = journal.read(Query(limit=1))
        finally:
            journal.close()
        for name, content in self._kept.items():
            files.replace(made / name, content)
        files.publish_directory(made, staged_folder(self._directory, self._following, self._store.log_id, log_id))
        return LogEnded(next=self._following, next_id=log_id), first.recorded_at


def _pages(batches: Iterator[PreparedBatch]) -> Iterator[list[PreparedBatch]]:
    page: list[PreparedBatch] = []
    size = 0
    for batch in batches:
        page.append(batch)
        size += len(batch.drafts[0].data)
        if len(page) >= PAGE_EVENTS or size >= PAGE_BYTES:
            yield page
            page, size = [], 0
    if page:
        yield page


def _draft(store: EventStore, stream: str, event: Event, key: str) -> Draft:
    kind, data = encode(event)
    now = store.clock.now_ns()
    return Draft(keyed_id(stream, key), stream, kind.name, kind.schema, now, data, store.actor, "", None, None)
