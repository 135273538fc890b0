"""The quotes view: prices as feeds and own fills bring them, in memory only; and when they become unusable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from eventstore.trading import (
    AdjustmentReason,
    ContractDefined,
    FeedAlive,
    OrderFilled,
    PositionAdjusted,
    QuoteReceived,
    QuoteUsed,
    TradeBusted,
    TradeCorrected,
    TradeExecuted,
    Valuation,
)
from projections.view import SHARED, View
from projections.views.contracts.names import all_names
from projections.views.contracts.view import NEVER_REPRICED, SYMBOLS_MAX, ContractsState, ContractsView
from projections.views.quotes.bounds import BoundSettings
from projections.views.quotes.feeds import note_alive
from projections.views.quotes.fills import is_new, note_busted, take_fill, usable_after, without_fill
from projections.views.quotes.prices import valued
from projections.views.quotes.receiving import receive
from projections.views.quotes.state import QuotesState, SymbolQuotes, limits_of
from projections.views.quotes.values import Value

if TYPE_CHECKING:
    from eventstore import Event, Record
    from projections.view import BookReader
    from projections.views.contracts.view import Contract, Repricing

TICKS_MAX = 1_000
TICKS_IN_ALL = 1_000_000


class Surroundings:
    """What the fold of quotes needs of its book: the settings, and the contracts as the book knows them.

    The view is never a fold of the log alone: it begins empty when the book is opened. `changes` counts all that may
    have changed a price, whatever state that went into.
    """

    def __init__(self, book: BookReader | None = None) -> None:
        self.bounds = BoundSettings()
        self.changes = 0
        self._book = book

    def contracts(self) -> ContractsState | None:
        if self._book is None:
            return None
        state: ContractsState | None = self._book.state(ContractsView.name, SHARED)
        return state


class QuotesView(View[QuotesState]):
    """The newest prices of each symbol and its last 1,000 quotes, in the order received. All are one partition.

    A value replaces one that is not newer by `occurred_at`. It also replaces one whose time lies in the future, if its
    own does not: a wrong clock must not fix a symbol's price for good. Own fills count from when the book was opened.

    Above 100,000 symbols, those without an event for the longest time are dropped. More than 1,000 symbols share
    1,000,000 ticks equally.
    """

    name: ClassVar[str] = "quotes"
    revision: ClassVar[int] = 2
    types: ClassVar[tuple[type[Event], ...] | None] = (
        QuoteReceived,
        FeedAlive,
        OrderFilled,
        TradeExecuted,
        TradeBusted,
        TradeCorrected,
        PositionAdjusted,
        ContractDefined,
    )
    shared: ClassVar[bool] = True
    volatile: ClassVar[bool] = True

    def __init__(self) -> None:
        self.surroundings = Surroundings()

    @override
    def attach(self, book: BookReader | None) -> None:
        if book is None:
            self.surroundings = Surroundings()
            return
        quotes: Any = getattr(book, "quotes", None)
        found = getattr(quotes, "surroundings", None)
        if isinstance(found, Surroundings):
            self.surroundings = found
            found.changes += 1

    @override
    def initial(self) -> QuotesState:
        self.surroundings.changes += 1
        return QuotesState()

    @override
    def partition(self, record: Record) -> str:
        return SHARED

    @override
    def apply(self, state: QuotesState, event: Event, record: Record) -> None:
        surroundings = self.surroundings
        surroundings.changes += 1
        # By identity first: these two are most of what comes, and each class matched in vain costs as much as a lookup.
        if event.__class__ is OrderFilled:
            self._fill(state, event, record)
            return
        if event.__class__ is not QuoteReceived:
            self._apply(state, event, record)
            return
        quotes = state.symbols.get(event.symbol)
        if quotes is None or quotes.version != surroundings.bounds.version:
            quotes = self._quotes(state, event.symbol, record.position)
        at, now = record.occurred_at, record.recorded_at
        if event.source is not None:
            note_alive(state, event.source, at, now)
        ticks = quotes.ticks
        ticks.append(receive(quotes, event, at, now))
        if len(ticks) > quotes.ticks_length:
            part = _ticks_each(state)
            quotes.ticks = ticks[-part:]
            # A quarter more are allowed, so that the list is not copied at every event.
            quotes.ticks_length = part + part // 4

    def _apply(self, state: QuotesState, event: Event, record: Record) -> None:
        match event:
            case FeedAlive():
                note_alive(state, event.source, record.occurred_at, record.recorded_at)
            case OrderFilled() | TradeExecuted():
                self._fill(state, event, record)
            case TradeBusted() | TradeCorrected():
                self._amend(state, event, record)
            case PositionAdjusted():
                if event.reason is AdjustmentReason.SPLIT:
                    self._reprice(state, event, record)
            case ContractDefined():
                self._reprice(state, event, record)
            case _:
                return

    def _fill(self, state: QuotesState, event: OrderFilled | TradeExecuted, record: Record) -> None:
        key, symbol = (record.stream.split("/", 2)[1], event.trade_id), event.symbol
        if is_new(state, key, self._meaning(symbol)):
            quotes = state.symbols.get(symbol)
            if quotes is None or quotes.version != self.surroundings.bounds.version:
                quotes = self._quotes(state, symbol, record.position)
            take_fill(quotes, Value(event.price, record.occurred_at, None, key), record.recorded_at)

    def _amend(self, state: QuotesState, event: TradeBusted | TradeCorrected, record: Record) -> None:
        key = (record.account, event.trade_id)
        known = state.executions.get(key, ())
        symbol = None if event.symbol is None else self._meaning(event.symbol)
        corrected = event.price if isinstance(event, TradeCorrected) else None
        if corrected is None:
            note_busted(state, key, symbol)
        for each in known if symbol is None else (symbol,):
            for name in (each, *state.members.get(each, ())):
                if name in state.symbols:
                    without_fill(state.symbols[name], key, corrected)

    def _reprice(self, state: QuotesState, event: PositionAdjusted | ContractDefined, record: Record) -> None:
        """Bring names up to date with a split or definition: prices may mean something else than those before it."""
        symbol = self._meaning(event.symbol)
        listed = event.broker_ids if isinstance(event, ContractDefined) else ()
        # Also those that it lists no longer; of what has no price yet, this is looked up once it has.
        for name in dict.fromkeys((event.symbol, symbol, *listed, *state.members.get(symbol, ()))):
            quotes = state.symbols.get(name)
            if quotes is None:
                continue
            self._set_contract(state, quotes, self._contract(name))
            repricing = self._repriced(name, quotes.contract)
            if repricing.position > quotes.repriced:
                # One that follows this record, as the book may have folded it already, is still to come here.
                quotes.repriced = min(repricing.position, record.position)
                _make_unusable(quotes, repricing.at, record.recorded_at, _why(quotes, repricing))

    def _quotes(self, state: QuotesState, name: str, position: int) -> SymbolQuotes:
        """Return the quotes under a name, with the limits by the settings as they are now."""
        quotes = state.symbols.get(name)
        bounds = self.surroundings.bounds
        if quotes is None:
            _make_room(state)
            quotes = SymbolQuotes(name, limits_of(bounds.default, None), -1)
            state.symbols[name] = quotes
            self._set_contract(state, quotes, self._contract(name))
            repricing = self._repriced(name, quotes.contract)
            quotes.unusable_until, quotes.unusable_why = repricing.at, _why(quotes, repricing)
            quotes.repriced = min(repricing.position, position)
        elif quotes.version != bounds.version:
            self._set_contract(state, quotes, quotes.contract)
        return quotes

    def _set_contract(self, state: QuotesState, quotes: SymbolQuotes, contract: Contract | None) -> None:
        before, bounds = quotes.contract, self.surroundings.bounds
        if before is not None and (contract is None or contract.symbol != before.symbol):
            _leave(state, quotes.name, before)
        if contract is not None and quotes.name not in state.members.get(contract.symbol, ()):
            state.members[contract.symbol] = (*state.members.get(contract.symbol, ()), quotes.name)
        quotes.contract, quotes.version = contract, bounds.version
        quotes.limits = limits_of(bounds.of(all_names(self.surroundings.contracts(), quotes.name)), contract)

    def _meaning(self, name: str) -> str:
        contract = self._contract(name)
        return name if contract is None else contract.symbol

    def _contract(self, name: str) -> Contract | None:
        contracts = self.surroundings.contracts()
        return None if contracts is None else contracts.find(name)

    def _repriced(self, name: str, contract: Contract | None) -> Repricing:
        contracts = self.surroundings.contracts()
        return NEVER_REPRICED if contracts is None else contracts.repriced(name, contract)


def _why(quotes: SymbolQuotes, repricing: Repricing) -> str:
    match repricing.what:
        case "split":
            symbol = quotes.name if quotes.contract is None else quotes.contract.symbol
            return f"its prices are from before {symbol} was split"
        case "symbol":
            return "its prices are from before its name meant another contract"
        case member:
            return f"its prices are from before its {member.replace('_', ' ')} was redefined"


def _make_unusable(quotes: SymbolQuotes, at: int, now: int, why: str) -> None:
    found = valued(quotes.received.prices, Valuation.LAST_WITHIN_SPREAD, long=True)
    if found is not None:
        quotes.last_good = QuoteUsed(found.price, min(value.at for value in found.of))
    usable_after(quotes, at, now, why)


def _ticks_each(state: QuotesState) -> int:
    sharers = len(state.symbols)
    return TICKS_MAX if sharers * TICKS_MAX <= TICKS_IN_ALL else max(TICKS_IN_ALL // sharers, 1)


def _make_room(state: QuotesState) -> None:
    """At the limit, drop the tenth of the symbols that had no event for the longest time."""
    if len(state.symbols) < SYMBOLS_MAX:
        return
    oldest = sorted(state.symbols, key=lambda symbol: state.symbols[symbol].received.updated_at)
    for name in oldest[: max(SYMBOLS_MAX // 10, 1)]:
        contract = state.symbols.pop(name).contract
        if contract is not None:
            _leave(state, name, contract)


def _leave(state: QuotesState, name: str, contract: Contract) -> None:
    state.members[contract.symbol] = tuple([each for each in state.members.get(contract.symbol, ()) if each != name])
