"""What differs between the log at two instants: orders, positions, lockouts, each with the records that changed it."""

from __future__ import annotations

import functools
from itertools import chain
from typing import TYPE_CHECKING, Any

import msgspec

from eventstore import EventReader, InvalidEvent
from eventstore.clock import derived_times, to_ns
from eventstore.html import table_html
from eventstore.readable import member_rows, value_text
from eventstore.streams import unescaped
from eventstore.trading import (
    AccountUpdated,
    ClockJumped,
    ContractDefined,
    FeeCharged,
    LockoutCleared,
    LockoutExpired,
    LockoutExtended,
    LockoutSet,
    OrderFilled,
    PositionAdjusted,
    PositionReported,
    TradeBusted,
    TradeCorrected,
    TradeExecuted,
)
from projections.reading import tail
from projections.replay import as_of, only
from projections.view import is_of_group
from projections.views.executions.positions import Position
from projections.views.executions.state import VIEW as EXECUTIONS
from projections.views.executions.state import key_of
from projections.views.lockouts.transitions import BROKER
from projections.views.orders.joining import changes_of_orders

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from eventstore import Event, Record
    from eventstore.clock import Times
    from projections.book import Book

    Key = tuple[str, str, str]

_ABOUT_TRADES = FeeCharged | TradeBusted | TradeCorrected
_EXECUTED = OrderFilled | TradeExecuted
_FIGURES = OrderFilled | PositionAdjusted | PositionReported | TradeExecuted
_RECORDS_SHOWN = 10
_UNKNOWN = "/"
"""Instead of a position's name: wherever a trade was booked of which an event gives only the id. After a symbol:
whatever side it was booked on."""


class Change(msgspec.Struct, frozen=True):
    """One order, position or lockout that differs between two instants, and the records in between that concern it."""

    view: str
    account: str
    key: str
    before: Any
    after: Any
    records: tuple[Any, ...]

    def _repr_html_(self) -> str:
        title = f"{self.view} of {self.account}: {self.key}"
        return table_html(("", "before", "after"), [*_differences(self), _records_row(self)], caption=title)


class Changes(tuple[Change, ...]):
    """What differs between two instants: a tuple that a notebook shows as a table."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        headers = ("account", "in", "what", "", "before", "after", "by log positions")
        return table_html(headers, chain.from_iterable(map(_table_rows, self)), caption=f"{len(self):,} changes")


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


def diff(
    store: EventReader,
    first: Times,
    second: Times,
    *,
    account: str | None = None,
    occurred_at: bool = False,
    known_by: Times | tuple[Times, Times] | None = None,
) -> Changes:
    """Return what differs between the books at two instants, in any order, with the records that made the difference.

    The instants are of `recorded_at`: what was known then. With `occurred_at` they are when things happened: what was
    true then, as known now, by another instant, or by one for each in `known_by`. The same instant twice, with two in
    `known_by`, shows what was learned about it in between.
    """
    only(account)
    before, after = sorted(_pasts(store, (first, second), known_by, occurred_at=occurred_at))
    if before == after:
        return Changes()
    books = _Books(before.book(store, account), after.book(store, account))
    concerned: dict[Key, list[Record]] = {}
    for record in _between(store, before, after, account):
        for key in dict.fromkeys(_concerned_by(record, books)):
            concerned.setdefault(key, []).append(record)
    changes = []
    # Also what no record names: a contract defined later, for example, changes the positions in its symbol.
    for key in dict.fromkeys([*(key for key in concerned if not key[2].endswith(_UNKNOWN)), *books.known_keys]):
        was, is_now = _value_in(books.before, *key), _value_in(books.after, *key)
        if was != is_now and not (_was_never_traded(was) and _was_never_traded(is_now)):
            # What an event changes may be booked on another side than it names, or wherever its trade was.
            names = (key[2], key[2].rpartition("/")[0] + _UNKNOWN, _UNKNOWN)
            found = (concerned.get((key[0], key[1], name)) for name in names)
            changes.append(Change(*key, was, is_now, tuple(next(filter(None, found), []))))
    return Changes(changes)


def _pasts(
    store: EventReader,
    instants: tuple[Times, Times],
    known_by: Times | tuple[Times, Times] | None,
    *,
    occurred_at: bool,
) -> list[Past]:
    if not occurred_at:
        if known_by is not None:
            msg = "known_by needs occurred_at=True: otherwise the two instants themselves say what was known"
            raise InvalidEvent(msg)
        return [Past(None, store.position_at(instant)) for instant in instants]
    pair: Sequence[Times | None] = known_by if isinstance(known_by, tuple | list) else (known_by, known_by)
    if len(pair) != 2:  # noqa: PLR2004 - one for each of the two instants
        msg = f"known_by is one instant or two, one for each, not {len(pair)}"
        raise InvalidEvent(msg)
    head = store.head()
    known = [head if each is None else store.position_at(each) for each in pair]
    return [Past(to_ns(instant), position) for instant, position in zip(instants, known, strict=True)]


def _between(store: EventReader, before: Past, after: Past, account: str | None) -> Iterator[Record]:
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


class _Books:
    """The books of both pasts, and what is looked up in them for many records."""

    def __init__(self, before: Book, after: Book) -> None:
        self.before, self.after = before, after
        self._booked_in: dict[str, dict[str, set[str]]] = {}
        self._symbols: dict[tuple[str, str], set[str]] = {}

    @functools.cached_property
    def known_keys(self) -> list[Key]:
        """The positions and lockouts in either book."""
        found: list[Key] = []
        for book in (self.before, self.after):
            for name in book.partitions("executions"):
                found += [("positions", name, f"{each.symbol}/{each.side}") for each in book.positions.of(name)]
            for name in book.partitions("lockouts"):
                found += [("lockouts", name, each.rule_id) for each in book.lockouts.history(name)]
        return list(dict.fromkeys(found))

    @functools.cached_property
    def orders_changed_at(self) -> dict[int, list[Key]]:
        """The orders of whose trades a record of another stream says something in either book, by its log position."""
        found: dict[int, list[Key]] = {}
        for book in (self.before, self.after):
            for name in book.partitions(EXECUTIONS):
                for order_id, changes in changes_of_orders(book, name).items():
                    for change in changes:
                        found.setdefault(change.log_position, []).append(("orders", name, order_id))
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
        states = [book.state(EXECUTIONS, account) for book in (self.before, self.after)]
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
            found = {book.positions.get(account, name).symbol for book in (self.before, self.after)}
            self._symbols[account, name] = found
        return self._symbols[account, name]


def _concerned_by(record: Record, books: _Books) -> Iterator[Key]:
    account, event = record.account, record.event
    if record.category == "order":
        yield "orders", account, unescaped(record.entity)
    yield from books.orders_changed_at.get(record.position, ())
    match event:
        case LockoutSet() | LockoutExtended() | LockoutCleared() | LockoutExpired():
            yield "lockouts", account, event.rule_id or unescaped(record.entity)
        case AccountUpdated():
            if event.can_trade is not None:
                yield "lockouts", account, BROKER
        case ClockJumped():
            yield from (key for key in books.known_keys if key[:2] == ("lockouts", account))
        case ContractDefined():
            names = {event.symbol, *event.broker_ids}
            yield from (key for key in books.known_keys if key[0] == "positions" and key[2].rpartition("/")[0] in names)
        case _:
            yield from (("positions", account, key) for key in _positions(event, account, books))


def _positions(event: Event, account: str, books: _Books) -> Iterator[str]:
    if not isinstance(event, _FIGURES | _ABOUT_TRADES):
        return
    symbols = set() if event.symbol is None else books.symbols(account, event.symbol)
    yield from sorted(f"{symbol}/{event.position_side}" for symbol in symbols)
    if isinstance(event, _ABOUT_TRADES):
        booked_in = books.booked_in(account, event.trade_id)
        # The event may have only the trade's id.
        yield from sorted(key for key in booked_in if not symbols or key.rpartition("/")[0] in symbols)
        yield _UNKNOWN
    elif isinstance(event, _EXECUTED):
        # A report that names another side is of the same trade: what it adds counts where that was booked.
        found = books.remembered_in(account, event.trade_id)
        yield from sorted(key for key in found if key.rpartition("/")[0] in symbols)
        # And a bust of no known trade may have been of any position until then.
        yield from (*(symbol + _UNKNOWN for symbol in sorted(symbols)), _UNKNOWN)


def _value_in(book: Book, view: str, account: str, key: str) -> object:
    if view == "orders":
        return book.orders.get(account, key)
    if view == "lockouts":
        return tuple(lockout for lockout in book.lockouts.history(account) if lockout.rule_id == key)
    symbol, side = key.rsplit("/", 1)
    return book.positions.get(account, symbol, side)


def _was_never_traded(value: object) -> bool:
    """Return whether this is the flat position of a symbol that was never traded: only its contract may differ."""
    return isinstance(value, Position) and value.first_position is None


def _table_rows(change: Change) -> Iterator[tuple[str, ...]]:
    where, by = (change.account, change.view, change.key), _records_row(change)[1]
    for name, before, after in _differences(change):
        yield *where, name, before, after, by
        where, by = ("", "", ""), ""


def _differences(change: Change) -> Iterator[tuple[str, str, str]]:
    """Yield the members that differ, with their texts before and after."""
    before, after = _texts(change.before), _texts(change.after)
    for name in dict.fromkeys([*before, *after]):
        if before.get(name) != after.get(name):
            yield name, before.get(name, ""), after.get(name, "")


def _texts(value: object) -> dict[str, str]:
    if not isinstance(value, msgspec.Struct):
        # An account may have had several lockouts of one rule.
        several = value if isinstance(value, tuple) else ()
        return {str(number): value_text(each) for number, each in enumerate(several, 1)}
    texts: dict[str, str] = {}
    last = ""
    for name, text in member_rows(value):
        last = name or last
        texts[last] = text if name else f"{texts[last]}; {text}"
    return texts


def _records_row(change: Change) -> tuple[str, str, str]:
    shown = ", ".join(str(record.position) for record in change.records[:_RECORDS_SHOWN])
    more = len(change.records) - _RECORDS_SHOWN
    return "by log positions", f"{shown} and {more:,} more" if more > 0 else shown, ""
