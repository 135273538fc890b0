"""The two pasts that are compared: which records each has, and the books of both."""

from __future__ import annotations

import functools
from itertools import chain
from typing import TYPE_CHECKING

import msgspec

from eventstore import EventReader, InvalidEvent
from eventstore.clock import derived_times, to_ns
from eventstore.streams import unescaped
from eventstore.trading import GroupDefined
from projections.reading import tail
from projections.replay import as_of, only
from projections.view import is_of_group
from projections.views.executions.state import VIEW, key_of
from projections.views.orders.joining import changes_of_orders

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from eventstore import Record
    from eventstore.clock import Times
    from projections.book import Book


class Past(msgspec.Struct, frozen=True, order=True):
    """What a book of the past has folded: records up to a log position that occurred by an instant (UNIX ns)."""

    occurred_at: int | None
    log_position: int

    def holds(self, record: Record) -> bool:
        in_time = self.occurred_at is None or record.occurred_at <= self.occurred_at
        return in_time and record.position <= self.log_position

    def book(self, store: EventReader, account: str | None) -> Book:
        with derived_times():
            return as_of(store, position=self.log_position, occurred_at=self.occurred_at, account=account)


def pasts_of(
    store: EventReader,
    instants: tuple[Times, Times],
    known_by: Times | tuple[Times, Times] | None,
    *,
    occurred_at: bool,
) -> list[Past]:
    """Return the two pasts that instants name, the earlier first; raise InvalidEvent for what is not an instant."""
    if not occurred_at:
        if known_by is not None:
            msg = "known_by needs occurred_at=True: otherwise the two instants themselves say what was known"
            raise InvalidEvent(msg)
        return sorted(Past(None, store.position_at(instant)) for instant in instants)
    pair: Sequence[Times | None] = known_by if isinstance(known_by, tuple | list) else (known_by, known_by)
    if len(pair) != 2:  # noqa: PLR2004 - one for each of the two instants
        msg = f"known_by is one instant or two, one for each, not {len(pair)}"
        raise InvalidEvent(msg)
    head = store.head()
    known = [head if each is None else store.position_at(each) for each in pair]
    return sorted(Past(to_ns(instant), position) for instant, position in zip(instants, known, strict=True))


def between(store: EventReader, before: Past, after: Past, account: str | None) -> Iterator[Record]:
    """Yield the records that one of two pasts has and the other lacks, in order of log position."""
    accounts = only(account)
    # With different instants of occurrence, records of any position may be in one past and not in the other.
    first = min(before.log_position, after.log_position) if before.occurred_at == after.occurred_at else 0
    for page in tail(store, first, max(before.log_position, after.log_position), accounts):
        yield from (
            record
            for record in page
            if before.holds(record) != after.holds(record) and (accounts is None or not is_of_group(record))
        )


class ComparedBooks:
    """The books of both pasts, and what is looked up in them for many records."""

    def __init__(self, before: Book, after: Book) -> None:
        self.before, self.after = before, after
        self._booked_in: dict[str, dict[str, set[str]]] = {}
        self._symbols: dict[tuple[str, str], set[str]] = {}
        self._traded: dict[str, frozenset[str]] = {}

    @property
    def both(self) -> tuple[Book, Book]:
        return self.before, self.after

    @functools.cached_property
    def orders_changed_at(self) -> dict[int, list[tuple[str, str]]]:
        """The orders of whose trades a record of another stream says something in either book, by its log position."""
        found: dict[int, list[tuple[str, str]]] = {}
        for book in self.both:
            for name in book.partitions(VIEW):
                if (VIEW, name) in book.parked:
                    continue
                for order_id, changes in changes_of_orders(book, name).items():
                    for change in changes:
                        found.setdefault(change.log_position, []).append((name, order_id))
        return found

    @functools.cached_property
    def groups_of(self) -> dict[str, set[str]]:
        """The groups that accounts were ever in, in either book, by account: a past member's days counted too."""
        found: dict[str, set[str]] = {}
        for book in self.both:
            for record in book.read(types=(GroupDefined,)):
                members = record.event.accounts if isinstance(record.event, GroupDefined) else ()
                for account in members:
                    found.setdefault(account, set()).add(unescaped(record.entity))
        return found

    def booked_in(self, account: str, trade_id: str) -> set[str]:
        """Return the positions of an account that a trade was booked in."""
        if account not in self._booked_in:
            known: dict[str, set[str]] = {}
            for trade in chain(self.before.trades.of(account), self.after.trades.of(account)):
                names = self.symbols(account, trade.symbol)
                known.setdefault(trade.trade_id, set()).update(f"{name}/{trade.position_side}" for name in names)
            self._booked_in[account] = known
        return self._booked_in[account].get(trade_id, set())

    def remembered_in(self, account: str, trade_id: str) -> set[str]:
        """Return the positions of the trades of an id that either book remembers."""
        states = [book.state(VIEW, account) for book in self.both]
        held = [
            state.holdings[key_of(item)]
            for state in states
            if state is not None
            for item in state.recent.find(trade_id)
        ]
        return {f"{each.symbol}/{each.side}" for each in held}

    def symbols(self, account: str, name: str) -> set[str]:
        """Return the symbols that an account's positions have in either book under a name of their contract."""
        if (account, name) not in self._symbols:
            found = {book.positions.get(account, name).symbol for book in self.both}
            self._symbols[account, name] = found
        return self._symbols[account, name]

    def traded(self, account: str) -> frozenset[str]:
        """Return the names under which an account's positions are known in either book."""
        if account not in self._traded:
            readable = [book for book in self.both if (VIEW, account) not in book.parked]
            states = [state for book in readable if (state := book.state(VIEW, account)) is not None]
            held = {holding.symbol for state in states for holding in state.holdings.values()}
            self._traded[account] = frozenset(held.union(*(state.symbols for state in states)))
        return self._traded[account]

    def are_readable(self, view: str, account: str) -> bool:
        """Return whether neither book has failed on a partition of a view."""
        return not any((view, account) in book.parked for book in self.both)
