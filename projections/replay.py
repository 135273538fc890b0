"""The past: the book as of an instant, and a log replayed record by record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eventstore import EventReader, InvalidEvent
from eventstore.arguments import accounts_of, position_of
from eventstore.clock import to_ns
from eventstore.errors import shown
from eventstore.trading import Marked
from projections.book import Book
from projections.builtin import builtin_views
from projections.fold import Fold
from projections.occurrences import settled
from projections.opening import check_reader, snapshots_of
from projections.past_book import PastBook
from projections.reading import tail
from projections.view import views_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from eventstore import Record
    from eventstore.clock import Times
    from projections.shares import AccountFilter, AccountShares
    from projections.view import View


def as_of(
    store: EventReader,
    *,
    position: int | None = None,
    recorded_at: Times | None = None,
    occurred_at: Times | None = None,
    mark: str | None = None,
    account: str | None = None,
    views: Sequence[View[Any]] | None = None,
) -> Book:
    """Return the book as it was: what was known at a log position, at an instant (included) or at a mark.

    With `occurred_at`, only what had happened by then counts: what was true at that instant, given what was known at
    the other one, or is known now. `account` reads only that account, which is much faster. Views are folded
    when the book is asked, and with more than 30,000 records behind its snapshots the log is read then: keep the store
    open, or what is asked raises Closed. Raises InvalidEvent for an invalid instant, a mark or position that the log
    does not have, and a malformed account.
    """
    check_reader(store)
    accounts, own = only(account), views_of(views)
    until = _until(store, position, recorded_at, mark)
    occurred_until = None if occurred_at is None else to_ns(occurred_at)
    snapshots = snapshots_of(store, None)
    if occurred_until is not None and snapshots is not None:
        # A cut has what was recorded up to it: it is one of this instant where nothing of that occurred later.
        cuts = [cut for cut in snapshots.cuts() if cut <= until]
        snapshots.newest_cut = settled(store, occurred_until, max(cuts)) if cuts else 0
    views = [*builtin_views(), *own]
    return PastBook.at(
        store, views, until, accounts=accounts, snapshots=snapshots, occurred_until=occurred_until
    )  # fmt: skip


def only(account: str | None) -> frozenset[str] | None:
    """Return the accounts of a book of one account, None for all; raise InvalidEvent for a malformed one."""
    return None if account is None else accounts_of((account,))


def _until(store: EventReader, position: int | None, recorded_at: Times | None, mark: str | None) -> int:
    given = [value is not None for value in (position, recorded_at, mark)]
    if sum(given) > 1:
        msg = "give only one of position, recorded_at and mark: each names an instant of the log"
        raise InvalidEvent(msg)
    head = store.head()
    if recorded_at is not None:
        return store.position_at(recorded_at)
    if mark is not None:
        return find_mark(store, mark).position
    if position is None:
        return head
    if position_of("position", position) > head:
        msg = f"position {shown(position)} is not in the log, which ends at {head}"
        raise InvalidEvent(msg)
    return position


def find_mark(store: EventReader, name: str) -> Record:
    """Return the newest record of a mark; raise InvalidEvent, with the known names, for an unknown one."""
    last = None
    names = set()
    for record in store.read(stream="mark/", types=(Marked,)):
        event = record.event
        if isinstance(event, Marked):
            names.add(event.name)
            last = record if event.name == name else last
    if last is None:
        known = f"the log has {', '.join(sorted(names))}" if names else "the log has none"
        msg = f"unknown mark {shown(name)}: {known}"
        raise InvalidEvent(msg)
    return last


def steps(
    store: EventReader,
    *,
    account: str | None = None,
    after: int = 0,
    until: int | None = None,
    views: Sequence[View[Any]] | None = None,
    accounts: AccountShares | None = None,
) -> Iterator[tuple[Record, Book]]:
    """Replay the log: yield each record with the book just after it. The book is the same object each time.

    `after`: begin with the book as of this log position. `accounts`: of some shares alone, where no account is named.
    """
    chosen, own = only(account) or accounts, views_of(views)
    first = position_of("after", after)
    last = None if until is None else position_of("until", until)
    return _steps(store, chosen, own, first, last)


def _steps(
    store: EventReader, accounts: AccountFilter, views: list[View[Any]], after: int, until: int | None
) -> Iterator[tuple[Record, Book]]:
    fold = Fold(accounts=accounts)
    book = Book(store, fold, accounts=accounts, snapshots=snapshots_of(store, None) if after else None)
    book.load([*builtin_views(), *views], after)
    book.freeze()
    for page in tail(store, after, store.head() if until is None else until, accounts):
        for record in page:
            fold.apply([record])
            yield record, book
