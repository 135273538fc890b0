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
    from collections.abc import Callable, Iterator, Sequence

    from eventstore import Event, EventReader, Record
    from projections.auditing.facts import Facts, Named
    from projections.view import PartitionParked, View

    Place = tuple[Facts, str]


class Effect(NamedTuple):
    """What one record changed, `unknown` what cannot be said of that, and the `book` as it is just after the record.

    `error` says which view failed on this record, or had failed before it: its facts stay as they were until then.
    `event` is None where the record cannot be read here.
    """

    record: Record
    event: Event | None
    changes: Changes
    unknown: tuple[str, ...]
    error: str | None
    book: Book


def effects(
    store: EventReader,
    is_chosen: Callable[[Record], bool],
    *,
    accounts: frozenset[str] | None = None,
    after: int = 0,
    until: int | None = None,
    views: Sequence[View[Any]] = (),
) -> Iterator[Effect]:
    """Yield what each chosen record past `after` changed, in order of log position.

    The log is folded once, from the newest cut before `after`, of these accounts and what belongs to none. The book
    is the same object each time.
    """
    fold = Fold(accounts=accounts)
    book = Book(store, fold, accounts=accounts, snapshots=snapshots_of(store, None) if after else None)
    book.load([*builtin_views(), *views], after)
    book.freeze()
    comparing = _Comparing(book, fold, _kinds_of(accounts, views))
    for page in tail(store, after, store.head() if until is None else until, accounts):
        waiting: list[Record] = []
        for record in page:
            if not is_chosen(record):
                waiting.append(record)
                continue
            fold.apply(waiting)
            waiting = []
            yield comparing.effect_of(record)
        fold.apply(waiting)


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
        for (kind, account), was in zip(places, before, strict=True):
            is_now = self._published(kind, account, record, event)
            if isinstance(was, str) or isinstance(is_now, str):
                unknown.append(f"{kind.name} of {account}: {is_now if isinstance(is_now, str) else was}")
            else:
                changes += self._compared((kind, account), was, is_now, record, event)
        return Effect(record, event, Changes(changes), tuple(unknown), self._error(record, parked), self._book)

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
