"""Prices that a user gives, observed while a log is replayed: the past has none, since quotes are not stored."""

from __future__ import annotations

import decimal
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec.structs import replace

from eventstore import InvalidEvent, Record
from eventstore.clock import duration_ns
from eventstore.trading import AdjustmentReason, ContractDefined, PositionAdjusted, QuoteReceived
from projections.analysis.sources import OCCURRED
from projections.analysis.tables import instants_in, names_in, numbers_in, table_of
from projections.decimals import FIXED
from projections.view import SHARED
from projections.views.quotes.bounds import STALE_AFTER_NS, Bounds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import timedelta

    from eventstore import Event, EventReader
    from projections.book import Book
    from projections.views.quotes.view import QuotesView

COLUMNS = ("at", "symbol", "price")
_KEPT = 2
"""How many of a symbol's prices between two instants are observed: the newest, and the one that confirms it."""
_ANY_DISTANCE = Decimal("1e20")


class Given(NamedTuple):
    """A price of a symbol at an instant, UNIX ns."""

    at: int
    symbol: str
    price: Decimal


class GivenPrices:
    """Prices in the order of their instants, and how old one may be, in ns."""

    def __init__(self, rows: Sequence[Given], stale_after: int) -> None:
        self.rows, self.stale_after = rows, stale_after


def prices_of(given: object, stale_after: timedelta | int | None) -> GivenPrices | None:
    """Return what a frame of at, symbol and price holds; None without one. What has no price is left out.

    Raises InvalidEvent for a frame without these columns, and for a price that lacks its instant or its symbol.
    """
    allowed = STALE_AFTER_NS if stale_after is None else duration_ns(stale_after)
    if given is None:
        return None if stale_after is None else GivenPrices((), allowed)
    table = table_of(given, "prices", COLUMNS)
    instants = instants_in(table, "at", "prices").to_pylist()
    symbols = names_in(table, "symbol", "prices").to_pylist()
    rows = []
    for at, symbol, price in zip(instants, symbols, numbers_in(table, "price", "prices"), strict=True):
        if price is None:
            continue
        if at is None or not symbol:
            msg = f"prices has {price} without {'at' if at is None else 'symbol'}: each price needs both"
            raise InvalidEvent(msg)
        rows.append(Given(at, symbol, price))
    rows.sort(key=_at)
    return GivenPrices(rows, allowed)


class Feed:
    """Observes prices in a book at their instants; each is what its position is worth by any valuation.

    They alone are prices: own fills are not, so that a valuation follows from the frame that was given. Splits and
    redefined contracts make the prices before them unusable, as they do while a book is live.
    """

    def __init__(
        self, prices: GivenPrices, reader: EventReader, accounts: frozenset[str] | None, *, time: str, until: int
    ) -> None:
        self._prices, self._until, self._log = prices, until, reader.log
        member = "occurred_at" if time == OCCURRED else "recorded_at"
        found = [(getattr(record, member), record) for record in _changes(reader, accounts, until)]
        self._changes = sorted(found, key=_time)
        self._next_price = self._next_change = 0

    def settle(self, book: Book) -> None:
        """Set a book's bounds: any two prices are near enough, and prices and rates are as old as the user allows."""
        book.quotes.bounds.default = Bounds(stale_after=self._prices.stale_after, band=_ANY_DISTANCE)
        book.rates.stale_after_ns = self._prices.stale_after

    def observe(self, view: QuotesView, states: dict[str, Any], at: int) -> None:
        """Observe what has an instant at or before `at`, and was not observed before, in the order of time."""
        changes = self._changes
        with decimal.localcontext(FIXED):
            while self._next_change < len(changes) and changes[self._next_change][0] <= at:
                instant, record = changes[self._next_change]
                # A price of the same instant is one of after the change.
                self._observe_prices(view, states, instant - 1)
                self._apply(view, states, record.event, replace(record, position=self._until))
                self._next_change += 1
            self._observe_prices(view, states, at)

    def _observe_prices(self, view: QuotesView, states: dict[str, Any], at: int) -> None:
        rows, index = self._prices.rows, self._next_price
        newest: dict[str, list[Given]] = {}
        while index < len(rows) and rows[index].at <= at:
            found = newest.setdefault(rows[index].symbol, [])
            found.append(rows[index])
            del found[:-_KEPT]
            index += 1
        self._next_price = index
        for given in sorted((each for found in newest.values() for each in found), key=_at):
            price = given.price
            event = QuoteReceived(symbol=given.symbol, last=price, bid=price, ask=price, mark=price)
            self._apply(view, states, event, self._record(given))

    def _apply(self, view: QuotesView, states: dict[str, Any], event: Event, record: Record) -> None:
        state = states.get(SHARED)
        if state is None:
            state = states[SHARED] = view.initial()
        view.apply(state, event, record)

    def _record(self, given: Given) -> Record:
        stream, at = f"quote/-/{given.symbol}", given.at
        return Record(
            bytes(16), stream, QuoteReceived.__name__, 1, at, b"", "", "",
            None, None, self._until, 0, at, b"", self._log,
        )  # fmt: skip


def _changes(reader: EventReader, accounts: frozenset[str] | None, until: int) -> Iterator[Record]:
    """Yield the records that say that earlier prices are prices no more."""
    for record in reader.read(types=(ContractDefined, PositionAdjusted), until=until):
        event = record.event
        is_folded = accounts is None or record.account in {*accounts, SHARED}
        is_change = isinstance(event, ContractDefined) or (
            isinstance(event, PositionAdjusted) and event.reason is AdjustmentReason.SPLIT
        )
        if is_folded and is_change:
            yield record


def _at(given: Given) -> int:
    return given.at


def _time(change: tuple[int, Record]) -> int:
    return change[0]
