"""The differences between two pasts, and the facts of one book that they are between."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, TypedDict

from eventstore import EventReader, InvalidEvent, Record
from eventstore.errors import shown
from eventstore.trading import ContractDefined, RateQuoted
from projections.changes.activity import ACTIVITY
from projections.changes.change import Change, Changes, is_absent
from projections.changes.compared import answers_of
from projections.changes.limits import ComparedLimits, ComparedModes
from projections.changes.orders import ComparedOrders
from projections.changes.pasts import ComparedBooks, between, pasts_of
from projections.changes.positions import ComparedPositions
from projections.changes.protection import PROTECTION
from projections.changes.settings import SETTINGS
from projections.replay import only
from projections.view import GROUP, SHARED

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Unpack

    from eventstore.clock import Times
    from projections.book import Book
    from projections.changes.change import Key
    from projections.changes.compared import ComparedView, Concerned

    Found = dict[Concerned, list[Record]]

_LOCKOUTS, *_OF_RULES = PROTECTION
_COMPARED: dict[str, ComparedView] = {
    each.name: each
    for each in (
        *(ComparedOrders(), ComparedPositions(), _LOCKOUTS),
        *(*ACTIVITY, ComparedLimits(), ComparedModes()),
        *(*_OF_RULES, *SETTINGS),
    )
}
VIEWS = tuple(_COMPARED)
"""The views that pasts can be compared in."""
USUAL = ("orders", "positions", "lockouts")
"""Those that are compared unless others are named."""


class DiffOptions(TypedDict, total=False):
    """The keyword arguments of `diff`, for what passes them on."""

    account: str | None
    occurred_at: bool
    known_by: Times | tuple[Times, Times] | None


def diff(
    store: EventReader,
    first: Times,
    second: Times,
    *,
    views: Collection[str] = USUAL,
    **options: Unpack[DiffOptions],
) -> Changes:
    """Return what differs between the books at two instants, in any order, with the records that made the difference.

    The instants are of `recorded_at`: what was known then. With `occurred_at` they are when things happened: what was
    true then, as known now, by another instant, or by one for each in `known_by`. The same instant twice, with two in
    `known_by`, shows what was learned about it in between.

    `views`: in what they are compared, by default in orders, positions and lockouts; `VIEWS` are all. With `account`,
    what belongs to no account is compared as well. What a view cannot answer is an `Unanswered`, with the reason.
    """
    account = options.get("account")
    only(account)
    chosen = _chosen(views)
    before, after = pasts_of(
        store, (first, second), options.get("known_by"), occurred_at=options.get("occurred_at", False)
    )
    if before == after:
        return Changes()
    books = ComparedBooks(before.book(store, account), after.book(store, account))
    found: dict[str, Found] = {view.name: {} for view in chosen}
    touched: dict[str, None] = {}
    is_of_all = False
    for record in between(store, before, after, account):
        touched[record.account] = None
        is_of_all = is_of_all or isinstance(record.event, ContractDefined | RateQuoted)
        for view in chosen:
            for concerned in dict.fromkeys(view.concerned(record, books)):
                found[view.name].setdefault(concerned, []).append(record)
    return Changes(
        change
        for view in chosen
        for partition in _partitions(view, books.both, account)
        # A record changes facts of its own account alone, unless it belongs to none.
        if is_of_all or SHARED in touched or partition in touched or partition == SHARED or partition.startswith(GROUP)
        for change in _changes(view, partition, books, found[view.name])
    )


def facts(book: Book, *, account: str | None = None, views: Collection[str] = VIEWS) -> dict[Key, Any]:
    """Return what a book states of its accounts, or of one and of what belongs to none, by view, account and name.

    These are what `diff` compares: `Changes.applied_to` makes those of one past of those of another. Reads the log
    where a view keeps only the newest; a view that cannot answer for an account has an `Unanswered` instead.
    """
    only(account)
    return {
        (view.name, partition, name): value
        for view in _chosen(views)
        for partition in _partitions(view, (book,), account)
        for name, value in answers_of(view, book, partition).items()
    }


def _chosen(views: object) -> list[ComparedView]:
    named = list(views) if isinstance(views, Collection) and not isinstance(views, str) else [None]
    if not all(isinstance(name, str) and name in _COMPARED for name in named):
        msg = f"views are some of {', '.join(VIEWS)}, as in views=('orders', 'limits'), not {shown(views)}"
        raise InvalidEvent(msg)
    return [view for name, view in _COMPARED.items() if name in named]


def _partitions(view: ComparedView, books: Iterable[Book], account: str | None) -> list[str]:
    found = dict.fromkeys(name for book in books for name in view.partitions(book))
    # A book of one account lacks the other members of its groups, whose limits wait for their trading days.
    return [name for name in found if account is None or name in {account, SHARED}]


def _changes(view: ComparedView, partition: str, books: ComparedBooks, found: Found) -> Iterable[Change]:
    named = [name for of, name in found if of == partition]
    for name, before, after in view.pairs(books, partition, named):
        if before != after and not (is_absent(before) and is_absent(after)):
            records = view.records(found, partition, name, books)
            yield Change(view.name, partition, name, before, after, tuple(records))
