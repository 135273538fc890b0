"""The contracts view: multiplier, currency and names of each instrument; its queries may fetch a definition."""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import ClassVar

import msgspec
from msgspec.structs import replace
from typing_extensions import override

from eventstore import DuplicateEvent, Event, Instant, Record, StoreError, UnknownContract
from eventstore.readable import Readable
from eventstore.streams import stream_of
from eventstore.trading import AdjustmentReason, Asset, ContractDefined, Payoff, PositionAdjusted
from projections.view import SHARED, BookReader, View

SYMBOLS_MAX = 100_000
REPRICINGS_MAX = SYMBOLS_MAX

Fetch = Callable[[str], ContractDefined | None]
"""Fetches a symbol's definition from elsewhere, for example from a broker; returns None if it is not known there."""


class TooManySymbols(StoreError):
    """A view's state is bounded, and this log names more instruments than it holds."""

    def __init__(self, view: str, symbol: str) -> None:
        self.view, self.symbol = view, symbol
        super().__init__(
            f"view {view} holds {SYMBOLS_MAX:,} symbols and {symbol} is one more: one instrument has one symbol in a "
            "log; put the others into a log of their own"
        )


class Contract(Readable, msgspec.Struct, frozen=True, kw_only=True):
    """One instrument. `multiplier` is money per point and unit, None if the definition does not state it.

    `currency` is that of its results: of an inverse contract the base currency.
    `position` is the log position of the definition, which replaced any earlier one as a whole.
    """

    symbol: str
    multiplier: Decimal | None = None
    tick_size: Decimal | None = None
    tick_value: Decimal | None = None
    currency: str | None = None
    root: str | None = None
    name: str | None = None
    broker_ids: tuple[str, ...] = ()
    exchange: str | None = None
    product: str | None = None
    expiry: date | None = None
    may_be_negative: bool = False
    position: int
    payoff: Payoff = Payoff.LINEAR
    base_currency: str | None = None
    asset: Asset | None = None

    @property
    def inverse(self) -> bool:
        return self.payoff is Payoff.INVERSE


class Repricing(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What made prices of up to an instant mean something else than those after it.

    `what` is "split", the member of the definition that changed, or "symbol" where a name has another contract, or none
    any more. `position` is the log position.
    """

    at: Instant
    position: int
    what: str


NEVER_REPRICED = Repricing(-1, 0, "")


class ContractsState(msgspec.Struct):
    """Contracts by symbol, and symbols by broker id.

    `repricings` has what changed last of each symbol, for all its names, and `moves` of each name that had another
    meaning; `forgotten` is what was dropped of both, in one: those that are not in them may have been among it.
    """

    contracts: dict[str, Contract] = {}
    aliases: dict[str, str] = {}
    repricings: dict[str, Repricing] = {}
    moves: dict[str, Repricing] = {}
    forgotten: Repricing = NEVER_REPRICED

    def find(self, name: str) -> Contract | None:
        """Return the contract with a symbol or, if none has it, with a broker id."""
        contract = self.contracts.get(name)
        if contract is not None:
            return contract
        symbol = self.aliases.get(name)
        return None if symbol is None else self.contracts.get(symbol)

    def repriced(self, name: str, contract: Contract | None) -> Repricing:
        """Return what made a name's prices mean what they do, given the contract that it means."""
        symbol = name if contract is None else contract.symbol
        return _both(self.moves.get(name, self.forgotten), self.repricings.get(symbol, self.forgotten))

    def note(self, into: dict[str, Repricing], key: str, repricing: Repricing) -> None:
        """Remember a repricing among those of symbols or of names."""
        into[key] = _both(into.pop(key, self.forgotten), repricing)
        if len(into) > REPRICINGS_MAX:
            self.forgotten = _both(self.forgotten, into.pop(next(iter(into))))


def _both(one: Repricing, other: Repricing) -> Repricing:
    newer = one if one.position > other.position else other
    return newer if newer.at == (at := max(one.at, other.at)) else replace(newer, at=at)


class ContractsView(View[ContractsState]):
    """The newest definition of each symbol, and since when prices mean what they do by definitions and splits.

    All contracts are one partition, whatever account their stream names.
    """

    name: ClassVar[str] = "contracts"
    revision: ClassVar[int] = 3
    types: ClassVar[tuple[type[Event], ...] | None] = (ContractDefined, PositionAdjusted)
    shared: ClassVar[bool] = True
    of_accounts: ClassVar[tuple[type[Event], ...]] = (PositionAdjusted,)

    @override
    def initial(self) -> ContractsState:
        return ContractsState()

    @override
    def partition(self, record: Record) -> str:
        return SHARED

    @override
    def apply(self, state: ContractsState, event: Event, record: Record) -> None:
        if isinstance(event, PositionAdjusted):
            if event.reason is AdjustmentReason.SPLIT:
                contract = state.find(event.symbol)
                symbol = event.symbol if contract is None else contract.symbol
                state.note(state.repricings, symbol, _repricing("split", record))
        elif isinstance(event, ContractDefined):
            self._define(state, event, record)

    def _define(self, state: ContractsState, event: ContractDefined, record: Record) -> None:
        symbol = event.symbol
        earlier = state.contracts.get(symbol)
        if earlier is None and len(state.contracts) >= SYMBOLS_MAX:
            raise TooManySymbols(self.name, symbol)
        listed = () if earlier is None else earlier.broker_ids
        before = {name: state.find(name) for name in (symbol, *event.broker_ids, *listed)}
        state.contracts[symbol] = Contract(
            symbol=symbol,
            multiplier=event.point_value,
            tick_size=event.tick_size,
            tick_value=event.tick_value,
            currency=event.result_currency,
            root=event.root,
            name=event.name,
            broker_ids=event.broker_ids,
            exchange=event.exchange,
            product=event.product,
            expiry=event.expiry,
            may_be_negative=event.may_be_negative,
            position=record.position,
            payoff=event.payoff,
            base_currency=event.base_currency,
            asset=event.asset,
        )
        for alias, meant in renamed(event, listed, state.aliases):
            if meant is None:
                del state.aliases[alias]
            else:
                state.aliases[alias] = meant
        if earlier is not None and (what := _changed(earlier, state.contracts[symbol])):
            state.note(state.repricings, symbol, _repricing(what, record))
        _note_names(state, before, symbol, record)


def _note_names(state: ContractsState, before: Mapping[str, Contract | None], symbol: str, record: Record) -> None:
    """Remember which names mean something else since a symbol's definition, given what they meant before."""
    for name, contract in before.items():
        meant = state.find(name)
        if contract is None:
            known = state.repricings.get(name)
            if known is not None and meant is not None and name != symbol:
                # It was split while nobody knew what its name meant.
                state.note(state.repricings, symbol, replace(known, position=record.position))
        elif meant is None or meant.symbol != contract.symbol:
            state.note(state.moves, name, _repricing("symbol", record))


def _repricing(what: str, record: Record) -> Repricing:
    # A stated time that lies ahead must not keep out what comes until then.
    return Repricing(min(record.occurred_at, record.recorded_at), record.position, what)


def _changed(before: Contract, after: Contract) -> str:
    """Return what makes prices mean something else, "" where a definition only completes what was missing."""
    for member in ("multiplier", "tick_size", "currency", "payoff"):
        was = getattr(before, member)
        if was is not None and was != getattr(after, member):
            return member
    return ""


def renamed(event: ContractDefined, listed: Iterable[str], meanings: Mapping[str, str]) -> list[tuple[str, str | None]]:
    """Return the broker ids whose meaning a definition changes, with the symbol that each means from now on, or None.

    `listed` are the ids of the symbol's definition before, `meanings` the symbols that ids mean so far. An id that
    several contracts list means the one that listed it last, and none once that one lists it no longer.
    """
    # A definition may list an id twice.
    symbol, ids = event.symbol, dict.fromkeys(event.broker_ids)
    gained: list[tuple[str, str | None]] = [(name, symbol) for name in ids if meanings.get(name) != symbol]
    lost = [name for name in dict.fromkeys(listed) if name not in ids and meanings.get(name) == symbol]
    return [*gained, *((name, None) for name in lost)]


class Contracts:
    """Queries about contracts."""

    def __init__(self, book: BookReader) -> None:
        self._book = book
        self._guard = threading.Lock()
        # A lock for each symbol that is being fetched, and how many threads hold it or wait for it.
        self._fetching: dict[str, tuple[threading.RLock, int]] = {}

    def get(self, symbol: str, fetch: Fetch | None = None) -> Contract:
        """Return the contract of a symbol or broker id; raise UnknownContract if it is not defined.

        `fetch` is called for an undefined one, once however many threads ask, and its answer is recorded in the log. If
        the answer has another symbol, `symbol` becomes one of its broker ids. Whatever `fetch` raises passes through,
        and the next call tries again.
        """
        contract = self.find(symbol)
        if contract is None and fetch is not None:
            with self._alone(symbol):
                contract = self.find(symbol) or self._fetched(symbol, fetch)
        if contract is None:
            raise UnknownContract(symbol)
        return contract

    def _fetched(self, symbol: str, fetch: Fetch) -> Contract | None:
        definition = fetch(symbol)
        if definition is None:
            return None
        known = self.find(definition.symbol)
        definition = _completed(definition, symbol, known)
        # The same answer to the same miss is one fact, whichever processes fetched it: the key says what was missing.
        key = f"fetched {symbol} after {0 if known is None else known.position}"
        stream = stream_of("contract", "-", definition.symbol)
        try:
            self._book.append(stream, definition, key=key)
        except DuplicateEvent as e:
            if e.record is None:
                raise
            # Another process got another answer and recorded it first: appending that again folds it here.
            self._book.append(stream, e.record.event, key=key)
        return self.find(symbol)

    @contextlib.contextmanager
    def _alone(self, symbol: str) -> Iterator[None]:
        """Let one thread at a time fetch a symbol; other symbols can be fetched meanwhile."""
        with self._guard:
            lock, count = self._fetching.get(symbol, (threading.RLock(), 0))
            self._fetching[symbol] = (lock, count + 1)
        try:
            with lock:
                yield
        finally:
            with self._guard:
                lock, count = self._fetching.pop(symbol)
                if count > 1:
                    self._fetching[symbol] = (lock, count - 1)

    def find(self, symbol: str) -> Contract | None:
        """Return the contract of a symbol or broker id, or None."""
        state: ContractsState | None = self._book.state(ContractsView.name, SHARED)
        return None if state is None else state.find(symbol)

    def all(self) -> tuple[Contract, ...]:
        """Return every contract, sorted by symbol."""
        state: ContractsState | None = self._book.state(ContractsView.name, SHARED)
        if state is None:
            return ()
        return tuple(sorted(state.contracts.values(), key=lambda contract: contract.symbol))


def _completed(definition: ContractDefined, symbol: str, known: Contract | None) -> ContractDefined:
    """Return a fetched definition completed by the name it was fetched by and by what was known before."""
    names = (*definition.broker_ids, *(() if known is None else known.broker_ids), symbol)
    ids = tuple(name for name in dict.fromkeys(names) if name != definition.symbol)
    definition = replace(definition, broker_ids=ids)
    if known is None:
        return definition
    if definition.point_value is None:
        definition = replace(definition, multiplier=known.multiplier)
    if known.inverse:
        # A source that does not know payoffs says LINEAR, which must not decide how the contract's money is computed.
        definition = replace(definition, payoff=known.payoff)
    kept = (
        "tick_size", "tick_value", "currency", "root", "name", "exchange", "product", "expiry", "base_currency", "asset"
    )  # fmt: skip
    return replace(
        definition, **{name: getattr(known, name) for name in kept if getattr(definition, name) is None}
    )  # fmt: skip
