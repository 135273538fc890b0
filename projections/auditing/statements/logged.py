"""The log's side of a statement: an account's trades as they stand now, with their days, costs and records."""

from __future__ import annotations

import decimal
import functools
from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from eventstore.streams import unescaped
from eventstore.trading import (
    AccountReopened,
    FeeCharged,
    OrderFilled,
    PositionAdjusted,
    Side,
    TradeBusted,
    TradeCorrected,
    TradeExecuted,
)
from projections.auditing.statements.breaks import EVIDENCE_MAX
from projections.auditing.statements.days import DayBounds
from projections.decimals import FIXED, ZERO
from projections.execution_matching import kind_of_id
from projections.views.accounts import account_rates
from projections.views.executions.refolding import refolded
from projections.views.executions.view import ExecutionsView

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventstore import Record
    from projections.book import Book
    from projections.views.executions.items import Item

    _Move = tuple[tuple[int, int], tuple[int, int], tuple[str, str], Decimal]

_UNLIMITED = 2**62
_NO_TRADE = (0, 0)
_ABOUT_TRADES = (OrderFilled, TradeExecuted, FeeCharged, TradeBusted, TradeCorrected)
_WORDS_OF_SOURCE = 2


class LoggedTrade(msgspec.Struct, frozen=True, kw_only=True):
    """A trade as it stands now.

    `symbol` is its contract's, `quantity` above zero and `price` are its last ones where it is busted. `timed`: a
    report stated when it happened; else it happened before `at`, when it was recorded. `space` is where its id comes
    from: trades of one space with different ids are different ones. `corrected_from` are earlier quantities and prices.
    """

    number: tuple[int, int]
    trade_id: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    at: int
    timed: bool
    busted: bool
    fees: tuple[tuple[str, Decimal], ...]
    position: int
    space: tuple[str, str]
    order_ids: tuple[str, ...] = ()
    exchange_trade_id: str | None = None
    corrected_from: tuple[tuple[Decimal, Decimal | None], ...] = ()
    closing: Decimal = ZERO
    """So much of it closed what was held before."""


class LoggedAccount:
    """What the log knows of one account's trades, folded once from all its records."""

    def __init__(self, book: Book, account: str) -> None:
        self.book, self.account = book, account
        self.rates = account_rates(book, account)
        self.days = DayBounds(book, account)
        with decimal.localcontext(FIXED):
            self.trades = self._read()

    def symbol(self, name: str) -> str:
        """Return the symbol of the contract that a name means, or the name where none is known."""
        return self.rates.symbol(name)

    def fees_of(self, fees: tuple[tuple[str, Decimal], ...], symbol: str) -> dict[str, Decimal]:
        """Return costs by currency, those that name none in that of their contract."""
        found: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
        for currency, amount in fees:
            found[currency or self.rates.currency(symbol) or ""] += amount
        return {currency: amount for currency, amount in found.items() if amount}

    def records_of(self, *trades: LoggedTrade) -> tuple[int, ...]:
        """Return the log positions of the records that are about trades: reports, costs, busts and corrections."""
        found = set()
        for each in trades:
            found.add(each.position)
            found.update(
                position
                for position, symbol in self._positions.get(each.trade_id, ())
                if symbol is None or self.symbol(symbol) == each.symbol
            )
        return tuple(sorted(found)[:EVIDENCE_MAX])

    @functools.cached_property
    def reopened(self) -> tuple[int, int] | None:
        """When the account was last reopened, which begins its results again, and the log position; None if never."""
        records = self.book.read(account=self.account, types=(AccountReopened,))
        return max(((record.recorded_at, record.position) for record in records), default=None)

    @functools.cached_property
    def _positions(self) -> dict[str, list[tuple[int, str | None]]]:
        """The log positions of what is about each trade id, with the symbol that it names."""
        found: defaultdict[str, list[tuple[int, str | None]]] = defaultdict(list)
        for record in self.book.read(account=self.account, types=_ABOUT_TRADES):
            event = record.event
            assert isinstance(event, _ABOUT_TRADES), event
            found[event.trade_id].append((record.position, event.symbol))
        return found

    def _read(self) -> list[LoggedTrade]:
        reports: dict[int, Record] = {}
        state = refolded(self.book, self.account, ExecutionsView(trades_max=_UNLIMITED), reports)
        items = [item for found in state.recent.newer.values() for item in found if item.is_trade]
        self._moves = sorted(self._changes(items))
        closing = self._closing()
        trades = [self._trade(item, reports[item.log_position], closing) for item in items]
        return sorted(trades, key=lambda each: (each.at, each.number))

    def _trade(self, item: Item, report: Record, closing: dict[tuple[int, int], Decimal]) -> LoggedTrade:
        event = report.event
        assert isinstance(event, OrderFilled | TradeExecuted), "only reports of executions are remembered"
        shown = next(each for each in reversed(item.figures) if each.quantity)
        earlier = [(abs(each.quantity), each.price) for each in item.figures if each.quantity]
        return LoggedTrade(
            number=item.number,
            trade_id=event.trade_id,
            symbol=self.symbol(item.symbol),
            side=Side.BUY if shown.quantity > ZERO else Side.SELL,
            quantity=abs(shown.quantity),
            price=event.price if shown.price is None else shown.price,
            at=item.at,
            timed=item.timed,
            busted=item.busted,
            fees=() if item.busted else item.fees,
            position=item.log_position,
            space=(_source_of(report), kind_of_id(event.trade_id)),
            order_ids=tuple(unescaped(each.split("/", 2)[2]) for each in item.streams if each.startswith("order/")),
            exchange_trade_id=event.exchange_trade_id,
            corrected_from=tuple(each for each in earlier[:-1] if each != earlier[-1]),
            closing=closing.get(item.number, ZERO),
        )

    def _closing(self) -> dict[tuple[int, int], Decimal]:
        """Return how much of each trade closed what was held before it, by when they happened."""
        held: defaultdict[tuple[str, str], Decimal] = defaultdict(lambda: ZERO)
        found = {}
        for _, number, key, signed in self._moves:
            before = held[key]
            if number is not _NO_TRADE and before and (before > ZERO) is not (signed > ZERO):
                found[number] = min(abs(before), abs(signed))
            held[key] = before + signed
        return found

    def _changes(self, items: list[Item]) -> Iterator[_Move]:
        """Yield what changed a position, with the number of the trade if it was one."""
        for item in items:
            if not item.busted:
                yield (item.at, item.log_position), item.number, (self.symbol(item.symbol), item.side), item.moved
        for record in self.book.read(account=self.account, types=(PositionAdjusted,)):
            event = record.event
            assert isinstance(event, PositionAdjusted), event
            key = (self.symbol(event.symbol), event.position_side)
            yield (record.occurred_at, record.position), _NO_TRADE, key, event.quantity

    def held_at(self, until: int) -> frozenset[str]:
        """Return the contracts of which something was held just before an instant."""
        held: defaultdict[tuple[str, str], Decimal] = defaultdict(lambda: ZERO)
        with decimal.localcontext(FIXED):
            for (at, _), _, key, signed in self._moves:
                if at < until:
                    held[key] += signed
        return frozenset(symbol for (symbol, _), quantity in held.items() if quantity)


def _source_of(report: Record) -> str:
    """Return what a record's note begins with: an import's has its format there."""
    return " ".join(report.note.split(" ", _WORDS_OF_SOURCE)[:_WORDS_OF_SOURCE])
