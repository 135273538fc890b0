"""Snapshots: cuts through all views at one position, in a file of their own; a cache of the fold, never a source."""

from __future__ import annotations

import contextlib
import threading
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

from typing_extensions import override

from eventstore import SystemClock
from eventstore.locations import local_path
from projections.cuts import rows
from projections.cuts.file import CutFile, OtherFormatError
from projections.cuts.keys import signing_key
from projections.cuts.search import Loaded, Search, StoredPart
from projections.cuts.states import Packed, encoded, lineage_of, pack
from projections.cuts.troubles import DamagedError, Kind, SnapshotWarning, Troubles, UnusableError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    import apsw

    from eventstore import Clock, EventReader
    from projections.fold import Fold, Slot
    from projections.view import View

    Cut = tuple[bytes, int, bytes]

CUTS_KEPT = 64
ATTEMPTS_MAX = 4
WAIT_SECONDS = 5.0


class _Part(NamedTuple):
    """What one view adds to a cut: the states to write, and the digests of those that the file has."""

    slot: Slot
    lineage: bytes
    raw: dict[str, bytes]
    turns: dict[str, int]
    digests: dict[str, bytes]


class _LackingError(Exception):
    """The file lacks states that it was believed to hold: `missing`, by view."""

    def __init__(self, missing: dict[str, set[str]]) -> None:
        self.missing = missing
        super().__init__()


class Snapshots:
    """A file of cuts, opened when it is first used, and anew where another has taken its place.

    Nothing is raised for whatever is wrong with it: a SnapshotWarning says so, once for each trouble. Then nothing is
    loaded, or nothing saved, and the next cut that can be written holds all that the file lacks.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = local_path(path, "the snapshots' file")
        self._file = CutFile(self.path)
        self._using = threading.RLock()
        self._troubles = Troubles()
        self._unstorable: set[str] = set()
        self._written = 0

    @property
    def trouble(self) -> str | None:
        """What keeps cuts from being written, and since when; None where nothing does."""
        return self._troubles.now

    @property
    def is_unchanged(self) -> bool:
        """Whether the file that was last read or written is still there."""
        try:
            with self._file.translated():
                return self._file.is_the_one
        except (UnusableError, DamagedError):
            return False

    # Saving

    def save(
        self,
        fold: Fold,
        reader: EventReader,
        *,
        leave_out: Collection[str] = (),
        lock: AbstractContextManager[Any] | None = None,
        wait: bool = True,
    ) -> int:
        """Write a cut at the fold's position, with all states that the file lacks; return it, 0 where none was due.

        None is due where the log's cuts go further, nor, without `wait`, while another thread writes one.

        A view with a parked partition is left out, as those named are: its state there is not a fold of the log.
        `lock` keeps others from folding: it is held while states are encoded, not while they are written. Raises
        Unavailable where the log cannot be read.
        """
        lock = contextlib.nullcontext() if lock is None else lock
        try:
            with self._held(WAIT_SECONDS if wait else 0) as held:
                return self._save(fold, reader, leave_out, lock) if held else 0
        except UnusableError as e:
            self._troubles.begin(e, _clock_of(reader), fold.position)
            return 0

    def _save(
        self, fold: Fold, reader: EventReader, leave_out: Collection[str], lock: AbstractContextManager[Any]
    ) -> int:
        missing: dict[str, set[str]] = {}
        error: DamagedError | None = None
        for _ in range(ATTEMPTS_MAX):
            with lock:
                position, parts = self._taken(fold, reader.log_id, leave_out, missing)
            digest = rows.digest_at(reader, position)
            if digest is None:
                return 0
            packed = [{partition: pack(raw) for partition, raw in part.raw.items()} for part in parts]
            try:
                with self._file.translated(), self._file.writing() as connection:
                    if not self._write(connection, reader, (reader.log_id, position, digest), parts, packed):
                        return 0
            except _LackingError as e:
                for view, partitions in e.missing.items():
                    missing.setdefault(view, set()).update(partitions)
            except DamagedError as e:
                error = e
                self._set_aside(e)
            else:
                with lock:
                    _take_note(parts, packed)
                self._troubles.end()
                self._written = position
                return position
        why = "others change it all the time" if error is None else f"it is damaged again and again ({error})"
        raise UnusableError(Kind.CHANGING, f"no snapshot could be written to {self.path}: {why}") from error

    def _taken(
        self, fold: Fold, log_id: bytes, leave_out: Collection[str], missing: Mapping[str, Collection[str]]
    ) -> tuple[int, list[_Part]]:
        """Return the fold's position, and what each view has to write for a cut there."""
        # What an interruption has left is in some states already, which would be ahead of the position.
        fold.settle()
        parts = []
        for name, slot in fold.slots.items():
            if slot.parked or name in leave_out:
                continue
            lacking = slot.changed | (slot.states.keys() - slot.saved.keys()) | set(missing.get(name, ()))
            raw: dict[str, bytes] = {}
            for partition in sorted(lacking & slot.states.keys()):
                try:
                    raw[partition] = encoded(slot.states[partition])
                except ValueError as e:
                    self._leave_out(name, partition, e)
                    break
            else:
                turns = {partition: slot.turns.get(partition, 0) for partition in raw}
                parts.append(_Part(slot, lineage_of(slot.view, log_id), raw, turns, slot.saved.copy()))
        return fold.position, parts

    def _leave_out(self, view: str, partition: str, why: ValueError) -> None:
        if view not in self._unstorable:
            self._unstorable.add(view)
            msg = f"view {view} is left out of the snapshots, for its state of {partition} cannot be stored: {why}"
            warnings.warn(msg, SnapshotWarning, stacklevel=2)

    @staticmethod
    def _write(
        connection: apsw.Connection,
        reader: EventReader,
        cut: Cut,
        parts: list[_Part],
        packed: list[dict[str, Packed]],
    ) -> bool:
        log_id, position, _ = cut
        history = rows.history_of(connection, reader, forget=True)
        if history and history[-1] > position:
            # Another process has gone further: its thinning counted on no cut before its own.
            return False
        connection.execute("INSERT OR REPLACE INTO cut VALUES (?, ?, ?, 1)", cut)
        key, missing = signing_key(), {}
        history = [*history, position] if not history or history[-1] < position else history
        for part, states in zip(parts, packed, strict=True):
            view = part.slot.view
            rows.put_states(connection, view.name, part.lineage, position, states)
            expected = part.digests | {partition: state.digest for partition, state in states.items()}
            found = rows.digests_in(connection, view.name, part.lineage, position, history)
            if found != expected:
                rows.remove_partitions(connection, view.name, part.lineage, found.keys() - expected.keys())
                missing[view.name] = _lacking(found, expected, states)
            signature = key.sign(rows.signed_text(cut, view.name, part.lineage, view.revision, expected))
            row = (view.name, part.lineage, position, view.revision, key.name, signature)
            connection.execute("INSERT OR REPLACE INTO part VALUES (?, ?, ?, ?, ?, ?)", row)
        if any(missing.values()):
            raise _LackingError(missing)
        rows.thin(connection, log_id, CUTS_KEPT)
        return True

    def set_aside(self, why: str) -> None:
        """Put the file out of the way, with a warning that says why: the next start folds the log."""
        try:
            with self._held():
                self._set_aside(DamagedError(why))
        except UnusableError as e:
            warnings.warn(f"{self.path} cannot be put aside: {e}", SnapshotWarning, stacklevel=2)

    def _set_aside(self, why: DamagedError) -> None:
        with self._file.translated():
            self._file.set_aside(why)

    # Loading

    def load(
        self, view: View[Any], reader: EventReader, *, until: int, partitions: Collection[str] | None = None
    ) -> Loaded:
        """Return a view's states from the newest cut at or before `until` that can be believed."""
        return self.load_all([view], reader, until=until, partitions=partitions)[view.name]

    def load_all(
        self, views: Sequence[View[Any]], reader: EventReader, *, until: int, partitions: Collection[str] | None = None
    ) -> dict[str, Loaded]:
        """Return each view's states, by its name, from the newest cut at or before `until` that can be believed."""
        found = {view.name: Loaded(0, {}) for view in views}
        problems: list[str] = []
        try:
            with self._held(), self._file.translated(), self._file.reading() as connection:
                if connection is not None:
                    search = Search(connection, reader, until, problems)
                    for view in views:
                        found[view.name] = search.find(view, partitions)
        except (UnusableError, DamagedError) as e:
            self._passed_over(e, _clock_of(reader), until)
        for problem in dict.fromkeys(problems):
            warnings.warn(f"{problem}: passed over", SnapshotWarning, stacklevel=2)
        return found

    def stored(self, views: Sequence[View[Any]], reader: EventReader) -> list[StoredPart]:
        """Return what the newest cut that has a view holds of it, for each view: also what is not believed."""
        head = reader.head()
        try:
            with self._held(), self._file.translated(), self._file.reading() as connection:
                if connection is None:
                    return []
                search = Search(connection, reader, head, [])
                return [part for view in views if (part := search.stored(view)) is not None]
        except (UnusableError, DamagedError) as e:
            self._passed_over(e, _clock_of(reader), head)
            return []

    def _passed_over(self, error: UnusableError | DamagedError, clock: Clock, position: int) -> None:
        """Warn of a file that could not be read, and make room for another where it is damaged."""
        try:
            if isinstance(error, UnusableError):
                raise error
            if isinstance(error, OtherFormatError):
                warnings.warn(f"the snapshots in {self.path} are passed over: {error}", SnapshotWarning, stacklevel=3)
            else:
                self._set_aside(error)
        except UnusableError as e:
            self._troubles.begin(e, clock, position)

    def cuts(self) -> list[int]:
        """Return the positions of the cuts, oldest first; none where the file cannot be read, with a warning."""
        try:
            with self._held(), self._file.translated(), self._file.reading() as connection:
                return [] if connection is None else rows.kept_cuts(connection)
        except (UnusableError, DamagedError) as e:
            warnings.warn(f"the cuts in {self.path} cannot be listed: {e}", SnapshotWarning, stacklevel=2)
            return []

    def close(self) -> None:
        """Close the file; it is opened again by whatever uses it next."""
        with contextlib.suppress(UnusableError), self._held():
            self._file.close()

    @contextlib.contextmanager
    def _held(self, wait_seconds: float | None = None) -> Iterator[bool]:
        """Keep other threads from the file; `wait_seconds`: go on without, told by False, where that takes longer."""
        held = self._using.acquire(timeout=WAIT_SECONDS if wait_seconds is None else wait_seconds)
        if not held and wait_seconds is None:
            raise UnusableError(
                Kind.BUSY, f"{self.path} is being written by another thread for over {WAIT_SECONDS:g} s"
            )
        try:
            yield held
        finally:
            if held:
                self._using.release()

    @override
    def __repr__(self) -> str:
        written = f", cut at {self._written}" if self._written else ""
        return f"<Snapshots in {self.path}{written}{f', {self.trouble}' if self.trouble else ''}>"


def _lacking(found: Mapping[Any, Any], expected: Mapping[str, bytes], written: Collection[str]) -> set[str]:
    """Return the partitions whose state the file does not have; raise DamagedError where it was just written."""
    lacking = {partition for partition, digest in expected.items() if found.get(partition) != digest}
    if not lacking.isdisjoint(written):
        msg = "a state that was just written is not there"
        raise DamagedError(msg)
    return lacking


def _take_note(parts: list[_Part], packed: list[dict[str, Packed]]) -> None:
    """Remember what the file holds now; what changed again since it was encoded stays due."""
    for part, states in zip(parts, packed, strict=True):
        slot = part.slot
        for partition, state in states.items():
            slot.saved[partition] = state.digest
            if slot.turns.get(partition, 0) == part.turns[partition]:
                slot.changed.discard(partition)


def _clock_of(reader: EventReader) -> Clock:
    return getattr(reader, "clock", None) or SystemClock()
