"""A journal that only answers: evidence on any medium, beside which not one byte is written."""

from __future__ import annotations

import contextlib
import stat
import threading
import time
from typing import TYPE_CHECKING

import apsw
from typing_extensions import override

from eventstore.errors import Closed, CorruptJournal, InvalidEvent, ReadOnly, StoreError, Unavailable
from eventstore.journal import MissingTail
from eventstore.journals import forks
from eventstore.journals.sqlite import maintenance, read_only_files, schema, shared_index
from eventstore.journals.sqlite.reading import Answer, ReadingConnection, SqliteSource
from eventstore.watermarks import Watermark, Watermarks

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from typing import Self

    from eventstore.journals.heads import Head
    from eventstore.journals.pool import Pool
    from eventstore.journals.sqlite.read_only_files import State

TRY_AGAIN_SECONDS = 0.002


class _WrittenTo(Closed):
    """A file has changed that was opened without locks."""


class ReadOnlyJournal(SqliteSource):
    """One log in one file, read and never written, beside processes that write to it or on read-only media.

    Raises Unavailable, UnsupportedFormat or CorruptJournal on opening. A tail that a watermark saw and the file lacks
    is not refused: what is left is evidence too, and `missing_tail` names the rest.
    """

    def __init__(self, path: str | os.PathLike[str], *, log: str = "main") -> None:
        super().__init__(path, log=log)
        self._files = read_only_files.files_of(self.path)
        self._state_at_opening: State | None = None
        self._has_no_tables = False
        self._is_opened, self._is_known = False, True
        self._last_head: Head | None = None
        """The head of a log that has ended."""
        self._reopening = threading.Lock()
        self._left: list[Pool[ReadingConnection]] = []
        """Of connections that threads still use, while a store of this process is opened that appends."""
        self._on_network = self._check_location()
        self._watermarks = Watermarks(self.path.parent / "watermarks")
        self._damaged_wal = maintenance.damaged_wal(self.path)
        shared_index.reads(self)
        try:
            with self._translated():
                self._check_opened()
            self._is_opened = True
        except BaseException as e:
            self.close()
            if isinstance(e, CorruptJournal) and self._damaged_wal is not None:
                # What was moved into the tables of later transactions does not fit what the log still has.
                raise CorruptJournal(e.position, f"{self._damaged_wal}; {e.reason}") from e
            raise
        forks.opened(self)

    def _check_opened(self) -> None:
        marks = self._asked(self._checked)
        if self._has_no_tables:
            # All that the log had was in its write-ahead log, which was left behind: only the marks know of it.
            seen = max(marks.values(), key=lambda mark: mark.position, default=None)
            if seen is None or not seen.position or self._state_at_opening is None:
                if self._damaged_wal is not None:
                    raise CorruptJournal(1, "nothing is left of the log")
                msg = f"{self.path} holds no log yet: give the directory of a log that has been written to"
                raise Unavailable(msg)
            self.log_id = bytes.fromhex(seen.log_id)
            self._readers.close()

    def _checked(self, reader: apsw.Connection) -> dict[str, Watermark]:
        """Check what a connection reads against the watermarks; return these."""
        # The marks before the head: a process that appends in between moves the head only forward.
        marks = self._watermarks.all()
        self._has_no_tables = schema.check_format(reader, self.path)
        if not self._has_no_tables:
            found, self.log_id = schema.identify(reader, self.path)
            if found != self.log:
                msg = f"{self.path} is the journal of log {found!r}, not {self.log!r}: open it under its own name"
                raise InvalidEvent(msg)
            head = maintenance.read_head(reader)
            maintenance.check(reader, self.log, self.log_id, self._clamped(head.position, marks))
            self._last_head = head if head.has_ended else None
        return marks

    def _clamped(self, head: int, marks: Mapping[str, Watermark]) -> dict[str, Watermark]:
        """Return the marks, with those that are ahead clamped: a missing tail is reported, not refused."""
        own = self.log_id.hex()
        return {
            name: Watermark(own, 0, "") if mark.log_id == own and mark.position > head else mark
            for name, mark in marks.items()
        }

    def _check_location(self) -> bool:
        """Return whether the file is on a network; raise Unavailable if it is missing or another host may write it."""
        try:
            is_there = stat.S_ISREG(self.path.stat().st_mode)
        except (FileNotFoundError, NotADirectoryError):
            is_there = False
        except OSError as e:
            raise self._unreadable(e) from e
        if not is_there:
            msg = f"{self.path} is not there, and a read-only store creates nothing: give the directory of a log"
            raise Unavailable(msg)
        kind = schema.file_system(self.path.parent)
        if kind not in schema.NETWORK_FILE_SYSTEMS:
            return False
        for other in (self._files.wal, self._files.shared_memory):
            if other.exists():
                msg = f"{other} on a network file system ({kind}) says that another host may write there: copy the log"
                raise Unavailable(msg)
        return True

    @override
    def missing_tail(self) -> MissingTail | None:
        marks, _ = self._watermarks.examine()
        head, own = self.head(), self.log_id.hex()
        ahead = [(mark.position, name) for name, mark in marks.items() if mark.log_id == own and mark.position > head]
        damage = "" if self._damaged_wal is None else str(self._damaged_wal)
        if ahead:
            last, name = max(ahead)
            return MissingTail(first=head + 1, last=last, watermark=name, damage=damage)
        return MissingTail(first=head + 1, damage=damage) if damage else None

    @override
    def backup(self, target: Path) -> None:
        missing = self.missing_tail()
        if missing is not None:
            # The copy would look whole.
            raise CorruptJournal(missing.first, f"{missing}, so no copy was made")
        super().backup(target)

    def make_way(self) -> bool:
        with self._reopening:
            readers = self._readers
            if readers.all:
                self._left.append(readers)
                self._make_pool()
            for left in self._left:
                left.close()
            self._left = [left for left in self._left if left.all]
            return not self._left

    @contextlib.contextmanager
    @override
    def uncached(self) -> Iterator[Self]:
        with super().uncached() as source:
            shared_index.reads(source)
            yield source

    @override
    def _asked(self, ask: Callable[[apsw.Connection], Answer]) -> Answer:
        deadline = time.monotonic() + schema.WAIT_SECONDS
        while True:
            readers = self._readers
            try:
                if not self._is_known:
                    super()._asked(self._check_known)
                return super()._asked(ask)
            except _WrittenTo:
                if time.monotonic() > deadline:
                    raise
                with self._reopening:
                    if self._readers is readers:
                        self._make_pool()
                        self._state_at_opening = None
                        self._is_known = not self._is_opened
                        if not self._is_opened:
                            # Its first process may just create them.
                            self._has_no_tables = False
                readers.close()

    def _check_known(self, reader: apsw.Connection) -> None:
        """Raise Closed where the file is not that of the ended log which was opened."""
        is_same = schema.identify(reader, self.path) == (self.log, self.log_id)
        if not is_same or maintenance.read_head(reader) != self._last_head:
            self._closed = f"{self.path} is not the log any more that was opened to be read: open it again"
        self.check_open()
        self._is_known = True

    @contextlib.contextmanager
    @override
    def _reader(self) -> Iterator[apsw.Connection]:
        self._check_unchanged()
        readers = self._readers
        with super()._reader() as connection:
            if self._state_at_opening is None:
                _retried(lambda: connection.execute("PRAGMA data_version").get)
            try:
                yield connection
            except (apsw.Error, StoreError):
                self._check_read(readers)
                raise
            self._check_read(readers)

    def _check_read(self, readers: Pool[ReadingConnection]) -> None:
        """Raise if what a connection of these has read while the file changed may be of two states at once."""
        self._check_unchanged()
        if readers is not self._readers and readers not in self._left:
            msg = f"{self.path} has been opened again meanwhile"
            raise _WrittenTo(msg)

    def _check_unchanged(self) -> None:
        """Raise if a file that was opened without locks, because it had no writer, has changed; close it for good.

        A log that has ended is opened again: who opens it to append, only to find that out, writes beside it.
        """
        state = self._state_at_opening
        if state is not None:
            try:
                if state != read_only_files.state_of(self._files):
                    why = f"{self.path} has been written to since it was opened to be read: open it again"
                    if not self._is_opened or self._last_head is not None:
                        raise _WrittenTo(why)
                    self._closed = why
            except OSError as e:
                self._closed = f"{self.path} cannot be reached any more ({e.strerror}): open it again"
        self.check_open()

    @override
    def _connect(self) -> apsw.Connection:
        if self._has_no_tables:
            return schema.empty(self.log, self.log_id)
        return _retried(self._connect_once)

    def _connect_once(self) -> apsw.Connection:
        state = read_only_files.state_of(self._files)
        without_writer = self._on_network or read_only_files.is_without_writer(self._files)
        if self._damaged_wal is not None and not self._damaged_wal.damage.frame:
            # SQLite never takes such a log's header and its shared memory for one another's, and tries for seconds.
            without_writer = True
        connection = read_only_files.connect(self._files, locking=not without_writer)
        if without_writer and self._state_at_opening is None:
            self._state_at_opening = state
        return connection

    @contextlib.contextmanager
    @override
    def _translated(self, connection: apsw.Connection | None = None) -> Iterator[None]:
        try:
            with super()._translated(connection):
                yield
        except ReadOnly as e:
            cause = e.__cause__
            if isinstance(cause, OSError):
                raise self._unreadable(cause) from cause
            # Connections that stay open would keep SQLite from reading the write-ahead log by itself.
            self._closed = f"{self.path} cannot be read without writing ({cause}): {_unfinished(cause)}"
            raise Unavailable(self._closed) from cause

    def _unreadable(self, error: OSError) -> Unavailable:
        return Unavailable(f"{self.path} cannot be read ({error.strerror}): get the right to read it and its directory")

    def close(self) -> None:
        if not self._closed:
            self._closed = f"{self.path} is closed: open the store again"
        forks.closed(self)
        self._readers.close()
        self._watermarks.close()

    @override
    def __repr__(self) -> str:
        state = f"closed ({self._closed})" if self._closed else f"at {self.head()}"
        return f"<ReadOnlyJournal {self.log} in {self.path} {state}>"


def _unfinished(error: BaseException | None) -> str:
    """Say what SQLite would have to write before it could read, and what to do."""
    if getattr(error, "extendedresult", 0) == apsw.SQLITE_READONLY_ROLLBACK:
        return (
            "the change in its -journal file was not finished: copy the directory to where it can be written to, "
            "and open the copy without read_only"
        )
    return (
        "its writer ended within a commit, and a process that only reads still has it open: open it again, "
        "or end that process"
    )


def _retried(act: Callable[[], Answer]) -> Answer:
    """Try again for a bounded time while a writer that opens or closes has not put its files in order."""
    deadline = time.monotonic() + schema.WAIT_SECONDS
    while True:
        try:
            return act()
        except (apsw.CantOpenError, apsw.ReadOnlyError) as e:
            # An unfinished change in a rollback journal will not go away by waiting.
            if getattr(e, "extendedresult", 0) == apsw.SQLITE_READONLY_ROLLBACK or time.monotonic() > deadline:
                raise
            time.sleep(TRY_AGAIN_SECONDS)
