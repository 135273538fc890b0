"""What each record changed: the facts that a book states just before it and just after it, compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from eventstore import StoreError
from projections.auditing.facts import OwnState
from projections.auditing.kinds import kinds
from projections.auditing.sentences.sentence import read
from projections.book import Book
from projections.builtin import builtin_views
from projections.changes import Change, Changes
from projections.fold import Fold
from projections.opening import snapshots_of
from projections.reading import tail
from projections.view import SHARED
from projections.views.groups import GroupsView

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from eventstore import Event, EventReader, Record
    from projections.auditing.facts import Facts, Named
    from projections.view import PartitionParked, View

    Place = tuple[Facts, str]

BATCH = 1_000
"""How many records are looked up together."""
JUMP_MIN = 20_000
"""Over how many records a fold resumes from a later cut: below, to load that takes longer than to fold them."""


class Effect(NamedTuple):
    """What one record changed, `unknown` what cannot be said of that, and the `book` as it is just after the record.

    `missing` are the kinds of facts that are not known; of a record that cannot be read, none is.
    `error` says which view failed on this record, or had failed before it: its facts stay as they were until then.
    `event` is None where the record cannot be read here.
    """

    record: Record
    event: Event | None
    changes: Changes
    unknown: tuple[str, ...]
    error: str | None
    book: Book
    missing: frozenset[str] = frozenset()


def effects(
    store: EventReader,
    records: Iterable[Record],
    *,
    accounts: frozenset[str] | None = None,
    views: Sequence[View[Any]] = (),
) -> Iterator[Effect]:
    """Yield what each of some records changed; they come in order of log position.

    The log is folded from the newest cut before the first of them, of these accounts and what belongs to none, and on
    to the last: past a later cut the fold resumes from that. Books change while this goes through the log: ask each
    before the next effect.
    """
    cuts = _cuts_of(store)
    course: _Course | None = None
    for several in _batches(records):
        before = several[0].position - 1
        if course is None or any(course.log_position + JUMP_MIN < cut <= before for cut in cuts):
            course = _Course(store, accounts, views, before)
        yield from course.effects_of(several)


def _batches(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Yield records that lie close together."""
    several: list[Record] = []
    for record in records:
        if several and (len(several) >= BATCH or record.position - several[-1].position > JUMP_MIN):
            yield several
            several = []
        several.append(record)
    if several:
        yield several


def _cuts_of(store: EventReader) -> list[int]:
    snapshots = snapshots_of(store, None)
    if snapshots is None:
        return []
    try:
        return snapshots.cuts()
    finally:
        snapshots.close()


class _Course:
    """A fold on its way through the log, from the newest cut before a position."""

    def __init__(
        self, store: EventReader, accounts: frozenset[str] | None, views: Sequence[View[Any]], after: int
    ) -> None:
        self._store, self._accounts, self._fold = store, accounts, Fold(accounts=accounts)
        snapshots = snapshots_of(store, None) if after else None
        book = Book(store, self._fold, accounts=accounts, snapshots=snapshots)
        book.load([*builtin_views(), *views], after)
        book.freeze()
        book.detach(only_builtin=True)
        self._comparing = _Comparing(book, self._fold, _kinds_of(accounts, views))
        self.log_position = after

    def effects_of(self, records: list[Record]) -> Iterator[Effect]:
        """Fold up to the last of some records, and yield what each of them changed."""
        chosen, last = {record.position for record in records}, records[-1].position
        for page in tail(self._store, self.log_position, last, self._accounts):
            waiting: list[Record] = []
            for record in page:
                if record.position not in chosen:
                    waiting.append(record)
                    continue
                self._fold.apply(waiting)
                waiting = []
                yield self._comparing.effect_of(record)
            self._fold.apply(waiting)
        self.log_position = last


def _kinds_of(accounts: frozenset[str] | None, views: Sequence[View[Any]]) -> list[Facts]:
    # What is in force of a group depends on all its members.
    return [*(kind for kind in kinds() if accounts is None or GroupsView not in kind.within), *map(OwnState, views)]


class _Comparing:
    """Folds one record after another, and compares the facts that it may change before and after it."""

    def __init__(self, book: Book, fold: Fold, among: Sequence[Facts]) -> None:
        self._book, self._fold, self._kinds = book, fold, among
        self._by_type: dict[type[Event], list[Facts]] = {}

    def effect_of(self, record: Record) -> Effect:
        event, why = read(record)
        parked = set(self._book.parked)
        if event is None:
            self._fold.apply([record])
            unread = f"what it changed: this process cannot read it ({why})"
            return Effect(record, None, Changes(), (unread,), self._error(record, parked), self._book)
        places = [
            (kind, account) for kind in self._concerned(event) for account in kind.partitions(self._book, record, event)
        ]
        before = [self._published(kind, account, record, event) for kind, account in places]
        self._fold.apply([record])
        changes: list[Change] = []
        unknown = []
        missing = set()
        for (kind, account), was in zip(places, before, strict=True):
            is_now = self._published(kind, account, record, event)
            if isinstance(was, str) or isinstance(is_now, str):
                missing.add(kind.name)
                unknown.append(f"{kind.name} of {account}: {is_now if isinstance(is_now, str) else was}")
            else:
                changes += self._compared((kind, account), was, is_now, record, event)
        error = self._error(record, parked)
        return Effect(record, event, Changes(changes), tuple(unknown), error, self._book, frozenset(missing))

    def _concerned(self, event: Event) -> list[Facts]:
        """Return the kinds of facts that an event may change."""
        cls = type(event)
        known = self._by_type.get(cls)
        if known is None:
            known = self._by_type[cls] = [
                kind for kind in self._kinds if any(view.types is None or cls in view.types for view in kind.within)
            ]
        return known

    def _published(self, kind: Facts, account: str, record: Record, event: Event) -> Named | str:
        """Return the facts of an account by name, or why they are not known."""
        try:
            return kind.published(self._book, account, record, event)
        except StoreError as e:
            return str(e)

    def _compared(self, place: Place, was: Named, is_now: Named, record: Record, event: Event) -> Iterator[Change]:
        kind, account = place
        for name in dict.fromkeys([*was, *is_now]):
            before, after = was.get(name), is_now.get(name)
            if before is after or not kind.counts(name, is_now, event):
                continue
            pair = kind.changed(self._book, before, after, record)
            if pair is not None:
                yield Change(kind.name, *kind.place(account, name), *pair, (record,))

    def _error(self, record: Record, before: set[tuple[str, str]]) -> str | None:
        """Return which view failed on a record; of those that had failed before, which would have folded it."""
        parked = self._book.parked
        if not parked:
            return None
        fresh = [error for key, error in parked.items() if key not in before]
        older = [parked[key] for key in before if key[1] in {record.account, SHARED} and key in parked]
        return "; ".join(_stopped(error, record) for error in (fresh or older)) or None


def _stopped(error: PartitionParked, record: Record) -> str:
    cause = f"{type(error.error).__name__}: {error.error}"
    if error.position == record.position:
        return f"view {error.view} failed on it for {error.partition} ({cause})"
    return f"view {error.view} has been stopped for {error.partition} since position {error.position:,} ({cause})"
