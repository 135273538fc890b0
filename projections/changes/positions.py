"""Positions: under any name of their contract, and the reports, busts and corrections that concern them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from eventstore.trading import (
    AccountReopened,
    ContractDefined,
    FeeCharged,
    OrderFilled,
    PositionAdjusted,
    PositionReported,
    TradeBusted,
    TradeCorrected,
    TradeExecuted,
)
from projections.changes.compared import ANY, ComparedView
from projections.view import SHARED
from projections.views.executions.state import VIEW

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from eventstore import Event, Record
    from projections.book import Book
    from projections.changes.compared import Concerned
    from projections.changes.pasts import ComparedBooks

_ABOUT_TRADES = FeeCharged | TradeBusted | TradeCorrected
_EXECUTED = OrderFilled | TradeExecuted
_FIGURES = OrderFilled | PositionAdjusted | PositionReported | TradeExecuted
_UNKNOWN = ANY
"""Instead of a position's name: wherever a trade was booked of which an event gives only the id. After a symbol:
whatever side it was booked on."""


class ComparedPositions(ComparedView):
    """Positions by symbol and side, such as ESZ5/NET. One that was never traded is none, whatever its contract."""

    name: ClassVar[str] = "positions"

    @override
    def partitions(self, book: Book) -> Iterable[str]:
        return [name for name in book.partitions(VIEW) if name != SHARED]

    @override
    def values(self, book: Book, account: str) -> Mapping[str, Any]:
        return {f"{each.symbol}/{each.side}": each for each in book.positions.of(account)}

    @override
    def pairs(
        self, books: ComparedBooks, account: str, named: Iterable[str]
    ) -> Iterator[tuple[str, Any, Any]]:  # fmt: skip
        if not books.are_readable(VIEW, account):
            yield from super().pairs(books, account, named)
            return
        known = (name for book in books.both for name in self.values(book, account))
        # Also what no record names: a contract that is defined later changes the positions in its symbol.
        for name in dict.fromkeys([*(each for each in named if not each.endswith(_UNKNOWN)), *known]):
            symbol, side = name.rsplit("/", 1)
            before, after = (book.positions.get(account, symbol, side) for book in books.both)
            yield name, before, after

    @override
    def concerned(self, record: Record, books: ComparedBooks) -> Iterator[Concerned]:
        account, event = record.account, record.event
        if not books.are_readable(VIEW, account):
            yield account, ANY
        elif isinstance(event, ContractDefined):
            names = {event.symbol, *event.broker_ids}
            for partition in dict.fromkeys(name for book in books.both for name in self.partitions(book)):
                if books.are_readable(VIEW, partition):
                    held = dict.fromkeys(name for book in books.both for name in self.values(book, partition))
                    yield from ((partition, key) for key in held if key.rpartition("/")[0] in names)
        elif isinstance(event, AccountReopened):
            held = dict.fromkeys(name for book in books.both for name in self.values(book, account))
            yield from ((account, key) for key in held)
        else:
            yield from ((account, key) for key in _named_by(event, account, books))

    @override
    def records(
        self, found: Mapping[Concerned, Sequence[Record]], account: str, name: str, books: ComparedBooks
    ) -> list[Record]:  # fmt: skip
        # What an event changes may be booked on another side than it names, or wherever its trade was.
        names = (name, name.rpartition("/")[0] + _UNKNOWN, _UNKNOWN)
        several = (found.get((account, each), ()) for each in names)
        return list(next(filter(None, several), ()))


def _named_by(event: Event, account: str, books: ComparedBooks) -> Iterator[str]:
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
