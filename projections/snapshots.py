"""Snapshots: all views' states at one log position (a cut), in a place of their own; a cache, never a source."""

from __future__ import annotations

import contextlib
import threading
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

from typing_extensions import override

from eventstore import Closed, SystemClock, Unavailable
from eventstore.locations import local_path
from eventstore.side import TableSide
from projections.cuts import own, rows
from projections.cuts.file import CutFile, OtherFormatError
from projections.cuts.search import Loaded, Search, ShareStart, StoredPart, by_position
from projections.cuts.states import Packed, encoded, lineage_of, pack
from projections.cuts.tables import CutTables
from projections.cuts.troubles import DamagedError, SnapshotWarning, TroubleKind, Troubles, UnusableError
from projections.cuts.writing import MissingStatesError, ViewPart, WrittenCut, write
from projections.shares import AccountShares
from projections.view import PartitionParked, is_volatile
from projections.view_states import state_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from eventstore import Clock, EventReader
    from eventstore.record import Fence
    from projections.cuts.place import CutPlace
    from projections.fold import Fold
    from projections.view import View
    from projections.view_states import ViewState

ATTEMPTS_MAX = 4
WAIT_SECONDS = 5.0


class _Part(NamedTuple):
    """What one view adds to a cut: encoded states to write, and the digests of those that are in the file already."""

    view_state: ViewState
    lineage: bytes
    raw: dict[str, bytes]
    change_counts: dict[str, int]
    digests: dict[str, bytes]


class Snapshots:
    """The cuts of a log: in a file, opened on first use and again when another has taken its place, or in tables.

    A place that cannot be used raises no error but a SnapshotWarning, once for each problem. Nothing is loaded then, or
    nothing saved, and the next cut that can be written has everything that the place lacks.
    """

    def __init__(self, place: str | Path | TableSide) -> None:
        self._place: CutPlace
        if isinstance(place, TableSide):
            self._place = CutTables(place)
        else:
            self._place = CutFile(local_path(place, "the snapshots' file"))
        self._using = threading.RLock()
        self._troubles = Troubles()
        self._unstorable: set[str] = set()
        self._written = 0
        self.newest_cut: int | None = None
        """Nothing is loaded from a cut past this log position, if one is given."""

    @property
    def trouble(self) -> str | None:
        """Why cuts cannot be written, and since when; None while they can."""
        return self._troubles.now

    @property
    def is_unchanged(self) -> bool:
        """Whether the file that was last read or written is still in its place."""
        try:
            with self._place.translated():
                return self._place.is_current
        except (UnusableError, DamagedError):
            return False

    def save(
        self,
        fold: Fold,
        reader: EventReader,
        *,
        leave_out: Collection[str] = (),
        lock: AbstractContextManager[Any] | None = None,
        wait: bool = True,
        accounts: Collection[str] | None = None,
        shares: Mapping[int, Fence] | None = None,
    ) -> int:
        """Write a cut at the fold's log position, with all states that the place lacks; return it, or 0 without one.

        `accounts`: a cut of each of them, from which nothing but its own past begins. `shares`: a cut of each of them,
        all in one transaction that rests on their fences; raises Fenced where one of them was lost.

        None is written where there is a later cut of the same, or, without `wait`, while another thread writes one.
        Volatile views, those in `leave_out` and those with a parked partition are left out: none is a fold of the log.
        `lock` keeps others from folding: it is held while states are encoded, not while they are written. Raises
        Unavailable where the log cannot be read that has its cuts in another place.
        """
        lock = contextlib.nullcontext() if lock is None else lock
        if shares is not None and isinstance(fold.accounts, AccountShares):
            # Of a share that was taken since the fold began it has nothing to sign.
            shares = {share: fence for share, fence in shares.items() if share in fold.accounts.numbers}
        if shares is not None and not (shares and self._place.is_with_log):
            # The epochs are the log's: elsewhere nothing can rest on them.
            return 0
        extent = own.Extent(accounts, shares or {})
        try:
            with self._exclusive(WAIT_SECONDS if wait else 0) as held:
                return self._save(fold, reader, leave_out, lock, extent) if held else 0
        except UnusableError as e:
            error = e
        except Unavailable as e:
            if not self._place.is_with_log or isinstance(e.__cause__, Closed):
                raise
            # The server is gone for both. That stops what reads the log; a cut is only a cache.
            error = UnusableError(TroubleKind.UNUSABLE, str(e))
        self._troubles.begin(error, _clock_of(reader), fold.log_position)
        return 0

    def _save(
        self,
        fold: Fold,
        reader: EventReader,
        leave_out: Collection[str],
        lock: AbstractContextManager[Any],
        extent: own.Extent,
    ) -> int:
        missing: dict[str, set[str]] = {}
        error: DamagedError | None = None
        # Others may change the file at any time, or it proves damaged: encode what it lacks and try again.
        for _ in range(ATTEMPTS_MAX):
            # Only encoding needs the lock: folding continues while states are compressed and written.
            with lock:
                log_position, parts = self._collected_parts(fold, reader.log_id, leave_out, missing, extent)
                counts = fold.own_events.counted(extent)
            digest = rows.digest_at(reader, log_position)
            # None: nothing was folded yet, or the log no longer has this record.
            if digest is None:
                return 0
            cut = WrittenCut(reader.log_id, log_position, digest, extent, tuple(counts))
            packed = [{partition: pack(raw) for partition, raw in part.raw.items()} for part in parts]
            to_write = [
                ViewPart(part.view_state.view, part.lineage, states, part.digests)
                for part, states in zip(parts, packed, strict=True)
            ]
            try:
                with self._place.translated(), self._place.writing(*extent.shares.values()) as cuts:
                    if not write(cuts, reader, cut, to_write):
                        return 0
            except MissingStatesError as e:
                for view, partitions in e.missing.items():
                    missing.setdefault(view, set()).update(partitions)
            except DamagedError as e:
                error = e
                self._set_aside(e)
            else:
                with lock:
                    _mark_saved(parts, packed)
                    fold.own_events.subtract(counts)
                self._troubles.end()
                self._written = log_position
                return log_position
        why = "other processes keep changing it" if error is None else f"it was damaged each time ({error})"
        msg = f"no snapshot could be written to {self._place} in {ATTEMPTS_MAX} attempts: {why}"
        raise UnusableError(TroubleKind.CHANGING, msg) from error

    def _collected_parts(
        self,
        fold: Fold,
        log_id: bytes,
        leave_out: Collection[str],
        missing: Mapping[str, Collection[str]],
        extent: own.Extent,
    ) -> tuple[int, list[_Part]]:
        """Return the fold's log position, and what each view has to write for a cut there."""
        # After an interruption some states are ahead of the position: complete the fold first.
        fold.fold_waiting()
        fold.fold_postponed()
        parts = []
        for name, view_state in fold.slots.items():
            if view_state.parked or name in leave_out or is_volatile(view_state.view):
                continue
            if not (extent.is_whole or own.takes_part(view_state.view)):
                continue
            unsaved = view_state.states.keys() - view_state.saved.keys()
            lacking = view_state.changed | unsaved | set(missing.get(name, ()))
            raw: dict[str, bytes] = {}
            for partition in sorted(filter(extent.has, lacking & view_state.states.keys())):
                try:
                    raw[partition] = encoded(state_of(view_state, partition))
                except (ValueError, PartitionParked) as e:
                    self._leave_out(name, partition, e)
                    break
            else:
                counts = {partition: view_state.change_counts.get(partition, 0) for partition in raw}
                lineage = lineage_of(view_state.view, log_id)
                parts.append(_Part(view_state, lineage, raw, counts, view_state.saved.copy()))
        return fold.log_position, parts

    def _leave_out(self, view: str, partition: str, why: ValueError | PartitionParked) -> None:
        if view not in self._unstorable:
            self._unstorable.add(view)
            msg = f"view {view} is left out of the snapshots: its state of {partition} cannot be stored: {why}"
            warnings.warn(msg, SnapshotWarning, stacklevel=2)

    def set_aside(self, why: str) -> None:
        """Rename the file to `.damaged`, or empty the tables, with a warning that says why: the next start folds."""
        try:
            with self._exclusive():
                self._set_aside(DamagedError(why))
        except UnusableError as e:
            warnings.warn(f"{self._place} cannot be set aside: {e}", SnapshotWarning, stacklevel=2)

    def _set_aside(self, why: DamagedError) -> None:
        with self._place.translated():
            self._place.set_aside(why)

    def load(
        self, view: View[Any], reader: EventReader, *, until: int, partitions: Collection[str] | None = None
    ) -> Loaded:
        """Return a view's states from the newest valid cut at or before `until`."""
        return self.load_all([view], reader, until=until, partitions=partitions)[view.name]

    def load_all(
        self, views: Sequence[View[Any]], reader: EventReader, *, until: int, partitions: Collection[str] | None = None
    ) -> dict[str, Loaded]:
        """Return each view's states, by its name, from the newest valid cut at or before `until`."""
        found = {view.name: Loaded(0, {}) for view in views}

        def find(search: Search) -> None:
            for view in views:
                found[view.name] = search.find(view, partitions)

        self._search(reader, until, find)
        return found

    def load_shares(
        self, views: Sequence[View[Any]], reader: EventReader, *, until: int, accounts: AccountShares
    ) -> list[ShareStart]:
        """Return where accounts of shares start from, each share from its own newest valid cut; the oldest come first.

        Each of these has, for some accounts and views, the states as of one log position. A view that a cut of shares
        cannot have starts from the first record.
        """
        found: dict[str, dict[int, Loaded]] = {}

        def find(search: Search) -> None:
            for view in filter(own.takes_part, views):
                found[view.name] = search.find_shares(view, own.shares_with(accounts))

        self._search(reader, until, find)
        return by_position([view.name for view in views], found, accounts)

    def _search(self, reader: EventReader, until: int, find: Callable[[Search], None]) -> None:
        """Find something in the cuts at or before a position, if there are any; warn of what is passed over."""
        until = until if self.newest_cut is None else min(until, self.newest_cut)
        problems: list[str] = []
        try:
            with self._exclusive(), self._place.translated(), self._place.reading() as cuts:
                if cuts is not None:
                    find(Search(cuts, reader, until, problems))
        except (UnusableError, DamagedError) as e:
            self._warn_unreadable(e, _clock_of(reader), until)
        for problem in dict.fromkeys(problems):
            warnings.warn(f"{problem}: ignored", SnapshotWarning, stacklevel=3)

    def stored(self, views: Sequence[View[Any]], reader: EventReader) -> list[StoredPart]:
        """Return each view's states in the newest cut that has the view, whether they are valid or not."""
        head = reader.head()
        try:
            with self._exclusive(), self._place.translated(), self._place.reading() as cuts:
                if cuts is None:
                    return []
                search = Search(cuts, reader, head, [])
                return [part for view in views if (part := search.stored(view)) is not None]
        except (UnusableError, DamagedError) as e:
            self._warn_unreadable(e, _clock_of(reader), head)
            return []

    def _warn_unreadable(self, error: UnusableError | DamagedError, clock: Clock, log_position: int) -> None:
        """Warn about a file that could not be read, and set it aside where it is damaged."""
        try:
            if isinstance(error, UnusableError):
                raise error
            if isinstance(error, OtherFormatError):
                warnings.warn(f"the snapshots in {self._place} are ignored: {error}", SnapshotWarning, stacklevel=3)
            else:
                self._set_aside(error)
        except UnusableError as e:
            self._troubles.begin(e, clock, log_position)

    def cuts(self) -> list[int]:
        """Return the log positions of the cuts, oldest first; none, with a warning, where the file cannot be read."""
        try:
            with self._exclusive(), self._place.translated(), self._place.reading() as cuts:
                return [] if cuts is None else rows.kept_cuts(cuts)
        except (UnusableError, DamagedError) as e:
            warnings.warn(f"the cuts in {self._place} cannot be listed: {e}", SnapshotWarning, stacklevel=2)
            return []

    def own_cuts(self, reader: EventReader, after: int, until: int) -> set[str]:
        """Return the accounts that have a cut of their own between two log positions; none where it cannot be read."""
        try:
            with self._exclusive(), self._place.translated(), self._place.reading() as cuts:
                return set() if cuts is None else {*rows.own_cuts(cuts, reader.log_id, after, until)}
        except (UnusableError, DamagedError):
            # Loading from the same file has warned.
            return set()

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with contextlib.suppress(UnusableError), self._exclusive():
            self._place.close()

    @contextlib.contextmanager
    def _exclusive(self, wait_seconds: float | None = None) -> Iterator[bool]:
        """Keep other threads from the file; with `wait_seconds`, yield False where another holds it for longer."""
        held = self._using.acquire(timeout=WAIT_SECONDS if wait_seconds is None else wait_seconds)
        if not held and wait_seconds is None:
            raise UnusableError(
                TroubleKind.BUSY, f"{self._place} has been used by another thread for over {WAIT_SECONDS:g} s"
            )
        try:
            yield held
        finally:
            if held:
                self._using.release()

    @override
    def __repr__(self) -> str:
        written = f", cut at {self._written}" if self._written else ""
        return f"<Snapshots in {self._place}{written}{f', {self.trouble}' if self.trouble else ''}>"


def _mark_saved(parts: list[_Part], packed: list[dict[str, Packed]]) -> None:
    """Remember what the file has now; what changed again since it was encoded stays marked as changed."""
    for part, states in zip(parts, packed, strict=True):
        view_state = part.view_state
        # Folding went on while the states were written: only those with the same count are still what was written.
        for partition, state in states.items():
            view_state.saved[partition] = state.digest
            if view_state.change_counts.get(partition, 0) == part.change_counts[partition]:
                view_state.changed.discard(partition)


def _clock_of(reader: EventReader) -> Clock:
    return getattr(reader, "clock", None) or SystemClock()
