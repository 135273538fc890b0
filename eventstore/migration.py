"""Moving a log between a directory and PostgreSQL: copied under its id, and proved to be the same log afterwards.

The source is read, and never written. What a copy is at a place where others may have begun to append to it is never
removed, whatever the proof says.
"""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import msgspec

from eventstore.chains import ended_of
from eventstore.chains.chain import first_of
from eventstore.config import FILE
from eventstore.errors import Closed, CorruptJournal, InvalidEvent, TargetExists, Unavailable
from eventstore.events import REPLICATED
from eventstore.influx.status import CURSOR
from eventstore.journal import Query
from eventstore.journals.postgres import Location, PostgresJournal, ReadOnlyPostgres, restore, rows
from eventstore.journals.sqlite import ReadOnlyJournal, SqliteJournal
from eventstore.journals.sqlite.restore import Restoration
from eventstore.locations import journal_path, postgres_url
from eventstore.proofs import merkle, verify
from eventstore.readable import Readable
from eventstore.side import FileSide

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from eventstore.journal import TypeRow
    from eventstore.side import LogSide
    from eventstore.watermarks import Watermark

    Progress = Callable[[int, int], None]

Place: TypeAlias = "Path | Location"
"""Where a log is: a journal's file, or tables in a database."""
Reader: TypeAlias = ReadOnlyJournal | ReadOnlyPostgres

PAGE = 2_000
ROUNDS_MAX = 10
"""How often what was appended meanwhile is copied too, before the copy is finished without the rest."""
_DOCUMENT = re.compile(r"policies@[0-9a-f]+\.accounts")
"""The documents beside a log: each has the accounts of a set that policies run for."""
_PREFIX = "policies"
_OF_ITS_PLACE = {"head", CURSOR}
"""Marks of a journal's file: its own, and how far InfluxDB has it."""
_TEXTS = ("position", "stream", "type", "actor", "note", "data")


class Migrated(Readable, msgspec.Struct, frozen=True):
    """A log that was moved: its `size`, and the `root` of its tree in hex, which source and target both have there.

    `head` is where the source ended afterwards: what it has past `size` was appended meanwhile, and is not in the
    target. `beside` names the marks and documents that were moved with the log, `left` what lies with the source and
    was not: files in the log's directory, or tables. `held` names the locks of processes that still use the source.
    """

    log: str
    log_id: str
    size: int
    root: str
    head: int
    beside: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    held: tuple[str, ...] = ()


def migrate(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    log: str | None = None,
    progress: Progress | None = None,
) -> Migrated:
    """Copy a log from a directory to a URL of PostgreSQL, or the other way, and prove that it is the same log.

    The source has to verify. On an error before the proof nothing is left at the target. Raises TargetExists where
    there is a log already, CorruptJournal where the source does not verify or the copy is not the same, InvalidEvent
    for text that PostgreSQL does not store, Unavailable where the source was opened by a writer meanwhile, StorageFull.
    """
    origin, goal = _places(source, target, log)
    step = _Steps(progress)
    with contextlib.closing(_read_only(origin)) as reader:
        _check_new(goal, reader)
        _check_unrotated(reader)
        # Before the records: a mark that is behind the log is safe.
        beside = _beside(reader)
        try:
            copy = _checked_copy(reader, goal, beside, step)
        except Closed as e:
            msg = f"{e}. It was being copied: stop what appends to it, and run this again; nothing is left of the copy"
            raise Unavailable(msg) from e
    _prove(goal, copy, step.next())
    # Opened again: a process that has opened the source to append may have closed the first reader.
    with contextlib.closing(_read_only(origin)) as reader:
        side = _side(reader)
        return Migrated(
            log=reader.log,
            log_id=copy.log_id.hex(),
            size=copy.size,
            root=copy.root.hex(),
            head=reader.head(),
            beside=tuple(sorted([*beside.marks, *beside.documents])),
            left=beside.left,
            held=tuple(sorted(name for name in side.locks("") if side.is_locked(name))),
        )


class _Beside(NamedTuple):
    """What lies beside a log and is moved with it; and the names of what is not."""

    marks: dict[str, Watermark]
    documents: dict[str, bytes]
    left: tuple[str, ...]


class _Copy(NamedTuple):
    """What was copied, and what the copy has to be: all that a log has beside its records."""

    log_id: bytes
    created_at: int
    size: int
    root: bytes
    types: Sequence[TypeRow]


class _Steps:
    """Progress over three passes: verify the source, copy it, verify the target."""

    PASSES = 3

    def __init__(self, progress: Progress | None) -> None:
        self._progress, self._passed = progress, -1

    def next(self) -> Progress | None:
        self._passed += 1
        progress, passed = self._progress, self._passed
        if progress is None:
            return None
        return lambda done, total: progress(passed * total + done, self.PASSES * total)


def _places(source: str | os.PathLike[str], target: str | os.PathLike[str], log: str | None) -> tuple[Place, Place]:
    """Return where both are. A URL may name the log; both have the same, since a log keeps its name."""
    from_url, to_url = postgres_url(source), postgres_url(target)
    if from_url is not None:
        origin = Location.of(from_url, log).on_primary()
        if to_url is not None:
            return origin, Location.of(to_url, origin.log)
        return origin, journal_path(target, origin.log)
    if to_url is None:
        msg = "one of the two is the URL of PostgreSQL; from directory to directory, `eventstore backup` copies a log"
        raise InvalidEvent(msg)
    goal = Location.of(to_url, log)
    return journal_path(source, goal.log), goal


def _read_only(place: Place) -> Reader:
    if isinstance(place, Location):
        return ReadOnlyPostgres(place)
    return ReadOnlyJournal(place, log=place.parent.name)


def _check_new(goal: Place, reader: Reader) -> None:
    """Raise TargetExists before a long log is verified, and not after it."""
    if isinstance(goal, Location):
        restore.check_new(goal)
        return
    if goal.exists():
        msg = f"{goal} exists already: name a new directory"
        raise TargetExists(msg)
    if not goal.parent.is_dir():
        return
    for name, mark in _marks(FileSide(goal.parent))[0].items():
        # With it there the copy would not open.
        if mark.position and (mark.log_id != reader.log_id.hex() or mark.position > reader.head()):
            msg = f"{goal.parent} has the watermark {name} of another log, or of more records: name a new directory"
            raise TargetExists(msg)


def _check_unrotated(reader: Reader) -> None:
    """Raise InvalidEvent for a log that continues another, or is continued: elsewhere it would be without it."""
    if first_of(reader) is not None or ended_of(reader) is not None:
        msg = f"log {reader.log} was rotated, and would be without the logs beside it: only one that was not is moved"
        raise InvalidEvent(msg)


def _beside(reader: Reader) -> _Beside:
    """Read what lies beside the log: marks of its own records, and documents, are moved."""
    side = _side(reader)
    found, unsound = _marks(side)
    marks = {name: mark for name, mark in found.items() if name not in _OF_ITS_PLACE and _is_of(mark, reader)}
    # By their prefix: the journal's file is not to be opened here. To close it would drop this process's locks on it.
    kept = side.documents(_PREFIX)
    documents = {name: content for name, content in kept.items() if _DOCUMENT.fullmatch(name)}
    if isinstance(reader, ReadOnlyPostgres):
        names = [f"mark {name}" for name in (*found, *unsound) if name not in marks]
        names += [f"document {name}" for name in side.documents("") if name not in documents]
        names += [f"table {name}" for name in reader.others()]
        names += ["durability REPLICATED"] if reader.identity.durability is REPLICATED else []
        return _Beside(marks, documents, tuple(names))
    moved = {"head", *marks}
    left = [name for name in _files(reader.path) if name not in {*documents, *(f"watermarks/{mark}" for mark in moved)}]
    return _Beside(marks, documents, tuple(left))


def _checked_copy(reader: Reader, goal: Place, beside: _Beside, step: _Steps) -> _Copy:
    """Verify the source, then copy it; return what was copied. Nothing is left of it on an error."""
    found = verify.verify(reader, progress=step.next())
    if not found.ok:
        raise CorruptJournal(found.first_bad or 0, f"{found.reason} (in the source, so nothing was copied)")
    if isinstance(goal, Location):
        _check_texts(reader)
    created_at, progress = reader.created_at(), step.next()
    restoration = _restoration(reader, goal, created_at)
    try:
        for size, head in _pages(reader, restoration):
            if progress is not None:
                progress(size, head)
        # Last: what was appended meanwhile may have brought new types.
        types = reader.types()
        restoration.add_types(types)
        restoration.keep(beside.marks, beside.documents)
        size, root = restoration.tree.size, restoration.tree.root()
        if _tree(reader, size).root() != root:
            raise CorruptJournal(0, "the source has changed while it was copied: nothing was kept of the copy")
        restoration.finish()
    finally:
        restoration.abandon()
    return _Copy(reader.log_id, created_at, size, root, types)


def _tree(reader: Reader, size: int) -> merkle.Frontier:
    """Return the tree that is stored of the first records."""
    tree = reader.frontier()
    return tree if tree.size == size else verify.tree_at(reader, size)


def _check_texts(reader: Reader) -> None:
    """Raise InvalidEvent for text that PostgreSQL does not store, before anything is written."""
    head, position = reader.head(), 0
    while position < head:
        page = reader.columns(Query(after=position, limit=PAGE, until=head), _TEXTS)
        for number, *texts, data in zip(*page, strict=True):
            rows.check_text(number, texts, data)
        position += PAGE


def _restoration(reader: Reader, goal: Place, created_at: int) -> Restoration | restore.PostgresRestoration:
    if isinstance(goal, Location):
        return restore.PostgresRestoration(goal, reader.log_id, created_at=created_at)
    return Restoration(goal, reader.log, reader.log_id, created_at=created_at)


def _pages(reader: Reader, restoration: Restoration | restore.PostgresRestoration) -> Iterator[tuple[int, int]]:
    """Copy page after page, also what is appended meanwhile; yield how far the copy is, and up to where it goes."""
    for _ in range(ROUNDS_MAX):
        head = reader.head()
        if restoration.tree.size == head:
            return
        while (size := restoration.tree.size) < head:
            page = reader.read(Query(after=size, limit=PAGE, until=head))
            if not page:
                raise CorruptJournal(size + 1, "the record is missing")
            restoration.add(page)
            yield restoration.tree.size, head


def _prove(goal: Place, copy: _Copy, progress: Progress | None) -> None:
    """Raise CorruptJournal unless the target, opened as it will be used, verifies as the source's log.

    Each digest is computed again, and digests that give the same root are the same. What no digest has is compared.
    """
    journal = PostgresJournal(goal) if isinstance(goal, Location) else SqliteJournal(goal, log=goal.parent.name)
    with contextlib.closing(journal):
        found = verify.verify(journal, root=copy.root, size=copy.size, progress=progress)
        if not found.ok:
            raise _different(goal, found.reason or "", found.first_bad or 0)
        if (journal.log_id, journal.created_at()) != (copy.log_id, copy.created_at):
            raise _different(goal, "its id, or the time at which it was created, is another")
        # What others have appended by now may have brought types that the source did not have.
        types = journal.types()
        if journal.head() == copy.size and not set(types) <= set(copy.types):
            raise _different(goal, "its type table is another")


def _different(goal: Place, why: str, position: int = 0) -> CorruptJournal:
    place = goal if isinstance(goal, Location) else goal.parent
    return CorruptJournal(position, f"{why}: the copy in {place} is not the source's log: do not use it")


def _side(reader: Reader) -> LogSide:
    return reader.side if isinstance(reader, ReadOnlyPostgres) else FileSide(reader.path.parent)


def _marks(side: LogSide) -> tuple[dict[str, Watermark], dict[str, str]]:
    marks = side.marks()
    try:
        return marks.examine()
    finally:
        marks.close()


def _is_of(mark: Watermark, reader: Reader) -> bool:
    """Return whether a mark is of a record that the log has."""
    if mark.log_id != reader.log_id.hex():
        return False
    page = reader.read(Query(after=mark.position - 1, limit=1, until=mark.position)) if mark.position else ()
    return not mark.position or (len(page) == 1 and page[0].digest.hex() == mark.digest)


def _files(journal: Path) -> Iterator[str]:
    """Yield what lies in a log's directory beside its journal, and the store's settings and other logs."""
    folder = journal.parent
    own = {journal.name + suffix for suffix in ("", "-wal", "-shm", "-journal")}
    if (folder.parent / FILE).exists():
        yield f"../{FILE}"
    others = sorted(folder.parent.glob(f"*/{journal.name}"))
    yield from (f"../{other.parent.name}/{other.name}" for other in others if other.parent != folder)
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if not path.is_dir() and name not in own:
            yield name
