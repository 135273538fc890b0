"""The quotes view: the last, bid and ask of each symbol, with their age; never stored. And its queries."""

from datetime import timedelta
from decimal import Decimal
from typing import ClassVar

import msgspec
from typing_extensions import override

from eventstore import Event, Instant, Record, StoreError
from eventstore.clock import NANOSECONDS, Times, asked_ns, duration_ns
from eventstore.trading import QuoteReceived
from projections.decimals import FIXED
from projections.view import SHARED, BookReader, View
from projections.views.contracts.view import SYMBOLS_MAX, Contract, ContractsState, ContractsView

TICKS_MAX = 1_000
TICKS_IN_ALL = 1_000_000
STALE_AFTER_NS = 10 * NANOSECONDS
_SHARERS = TICKS_IN_ALL // TICKS_MAX
_TWO = Decimal(2)
_NOTHING = (None,) * 6
_NEVER = (0,) * 6

# A symbol's last, bid and ask, then the sizes of the three; and the time of each.
Values = tuple[Decimal | None, Decimal | None, Decimal | None, Decimal | None, Decimal | None, Decimal | None]
ValueTimes = tuple[int, int, int, int, int, int]


class UnknownQuote(StoreError):
    """No price of this symbol was received since the book was opened: quotes are never stored."""

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        super().__init__(
            f"no price of {symbol} is known: quotes are never stored, so observe one on quote/-/{symbol}, or check "
            "whether the feed has the symbol"
        )


class StaleQuote(StoreError):
    """The newest price of a symbol is too old to act upon, or its time lies as far in the future."""

    def __init__(self, symbol: str, age_ns: int, stale_after_ns: int = STALE_AFTER_NS) -> None:
        self.symbol, self.age_ns, self.stale_after_ns = symbol, age_ns, stale_after_ns
        super().__init__(
            f"the newest price of {symbol} is {age_ns / NANOSECONDS:,.3f} s old and {stale_after_ns / NANOSECONDS:g} s "
            "are allowed: check the feed, or set quotes.stale_after_ns"
        )


class Tick(msgspec.Struct, frozen=True, gc=False):
    """One event as it was received; what it left out is None."""

    occurred_at: Instant
    last: Decimal | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None
    last_size: Decimal | None = None
    bid_size: Decimal | None = None
    ask_size: Decimal | None = None


class Quote(msgspec.Struct, frozen=True, gc=False):
    """What is known of a symbol. Times are UNIX ns; what was never received is None.

    `price` is the last, else the mid of bid and ask, else whichever of them there is. `quoted_at`, `age` and `stale`
    are those of the values that the price is made of, of the older one if there are two: a new bid does not make an old
    last fresh. `last_at`, `bid_at` and `ask_at` are each value's own time, `updated_at` that of the newest event. The
    age is negative if its time lies in the future; a price from too far in the future is stale too.
    """

    symbol: str
    last: Decimal | None
    bid: Decimal | None
    ask: Decimal | None
    last_size: Decimal | None
    bid_size: Decimal | None
    ask_size: Decimal | None
    price: Decimal | None
    quoted_at: Instant
    age: int
    stale: bool
    last_at: Instant | None
    bid_at: Instant | None
    ask_at: Instant | None
    updated_at: Instant


class LatestValues(msgspec.Struct, frozen=True, gc=False):
    """The latest values of one symbol, the time of each, and the newest event's time, `updated_at`."""

    values: Values
    times: ValueTimes
    updated_at: Instant


class QuotesState(msgspec.Struct):
    """All symbols. `ticks` are appended to; dropping old ones makes a new list."""

    symbols: dict[str, LatestValues] = {}
    ticks: dict[str, list[Tick]] = {}


class QuotesView(View[QuotesState]):
    """The newest values of each symbol and its last 1,000 events, in the order received. All are one partition.

    A value replaces one that is not newer by `occurred_at`. It also replaces one whose time lies in the future, if its
    own does not: a wrong clock must not fix a symbol's price for good.

    Above 100,000 symbols, those without an event for the longest time are dropped. More than 1,000 symbols share
    1,000,000 ticks equally.
    """

    name: ClassVar[str] = "quotes"
    revision: ClassVar[int] = 1
    types: ClassVar[tuple[type[Event], ...] | None] = (QuoteReceived,)
    shared: ClassVar[bool] = True

    @override
    def initial(self) -> QuotesState:
        return QuotesState()

    @override
    def partition(self, record: Record) -> str:
        return SHARED

    @override
    def apply(self, state: QuotesState, event: Event, record: Record) -> None:
        if not isinstance(event, QuoteReceived):
            return
        symbol, at = event.symbol, record.occurred_at
        last, bid, ask = event.last, event.bid, event.ask
        last_size, bid_size, ask_size = event.last_size, event.bid_size, event.ask_size
        known = state.symbols.get(symbol)
        if known is None:
            _make_room(state)
            known = LatestValues(_NOTHING, _NEVER, at)
            state.ticks[symbol] = []
        received = (last, bid, ask, last_size, bid_size, ask_size)
        if at >= known.updated_at:
            state.symbols[symbol] = _updated(known, received, at)
        else:
            state.symbols[symbol] = _updated_late(known, received, at, record.recorded_at)
        ticks = state.ticks[symbol]
        ticks.append(Tick(at, last, bid, ask, last_size, bid_size, ask_size))
        part = TICKS_MAX if len(state.ticks) <= _SHARERS else max(TICKS_IN_ALL // len(state.ticks), 1)
        # A quarter more are allowed, so that the list is not copied at every event.
        if len(ticks) > part + part // 4:
            state.ticks[symbol] = ticks[-part:]


class Quotes:
    """Queries about quotes. A symbol may also be a broker's name for one, and be quoted under any of its names."""

    def __init__(self, book: BookReader) -> None:
        self._book = book
        self._stale_after_ns = STALE_AFTER_NS

    @property
    def stale_after_ns(self) -> int:
        """How old a price may be, in ns; 10 s by default. Set it in ns or as a timedelta."""
        return self._stale_after_ns

    @stale_after_ns.setter
    def stale_after_ns(self, duration: timedelta | int) -> None:
        self._stale_after_ns = duration_ns(duration)

    def get(self, symbol: str, at: Times | None = None) -> Quote | None:
        """Return what is known of a symbol, with its age as of an instant, by default now; None if nothing is known.

        For a symbol quoted under several names, the quote with the newest price.
        """
        return self.quote_at(symbol, asked_ns(at, self._book.now_ns))

    def quote_at(self, symbol: str, at_ns: int) -> Quote | None:
        """Return what `get` does, as of an instant in UNIX ns that another answer is of."""
        state: QuotesState | None = self._book.state(QuotesView.name, SHARED)
        if state is None:
            return None
        contracts: ContractsState | None = self._book.state(ContractsView.name, SHARED)
        contract = None if contracts is None else contracts.find(symbol)
        if contracts is None or contract is None:
            known = state.symbols.get(symbol)
            return None if known is None else self._quote(symbol, known, at_ns)
        known = state.symbols.get(contract.symbol)
        for name in contract.broker_ids:
            other = state.symbols.get(name)
            if other is None or not _is_name_of(contract, name, contracts):
                continue
            if known is None or _rank(other) > _rank(known):
                known = other
        return None if known is None else self._quote(contract.symbol, known, at_ns)

    def priced(self, symbol: str, at: int) -> tuple[Decimal | None, int]:
        """Return only a quote's price, or None, and its age in ns at an instant (UNIX ns)."""
        state: QuotesState | None = self._book.state(QuotesView.name, SHARED)
        contracts: ContractsState | None = self._book.state(ContractsView.name, SHARED)
        contract = None if contracts is None else contracts.find(symbol)
        known = None if state is None else state.symbols.get(symbol)
        if known is not None and (contract is None or (contract.symbol == symbol and not contract.broker_ids)):
            price, quoted_at = _priced(known)
            return price, at - quoted_at
        quote = self.quote_at(symbol, at)
        return (None, 0) if quote is None else (quote.price, quote.age)

    def fresh(self, symbol: str, at: Times | None = None) -> Quote:
        """Return a quote whose price may be acted upon; raise UnknownQuote without a price, StaleQuote if it is old."""
        quote = self.get(symbol, at)
        if quote is None or quote.price is None:
            raise UnknownQuote(symbol)
        if quote.stale:
            raise StaleQuote(quote.symbol, quote.age, self._stale_after_ns)
        return quote

    def all(self, at: Times | None = None) -> tuple[Quote, ...]:
        """Return the quotes of all symbols, each under the name it was received with, sorted."""
        at_ns = asked_ns(at, self._book.now_ns)
        state: QuotesState | None = self._book.state(QuotesView.name, SHARED)
        known = {} if state is None else dict(state.symbols)
        return tuple(self._quote(symbol, known[symbol], at_ns) for symbol in sorted(known))

    def ticks(self, symbol: str) -> tuple[Tick, ...]:
        """Return a symbol's last 1,000 events in the order received; those of several names by time."""
        state: QuotesState | None = self._book.state(QuotesView.name, SHARED)
        if state is None:
            return ()
        contracts: ContractsState | None = self._book.state(ContractsView.name, SHARED)
        contract = None if contracts is None else contracts.find(symbol)
        names = [symbol]
        if contracts is not None and contract is not None:
            aliases = [name for name in contract.broker_ids if _is_name_of(contract, name, contracts)]
            names = list(dict.fromkeys([contract.symbol, *aliases]))
        # A slice is a copy made in one step, whatever is appended meanwhile.
        found = [ticks[-TICKS_MAX:] for ticks in map(state.ticks.get, names) if ticks]
        if len(found) == 1:
            return tuple(found[0])
        return tuple(sorted((tick for ticks in found for tick in ticks), key=_time)[-TICKS_MAX:])

    def _quote(self, symbol: str, known: LatestValues, at_ns: int) -> Quote:
        last, bid, ask, last_size, bid_size, ask_size = known.values
        last_at, bid_at, ask_at = known.times[:3]
        price, quoted_at = _priced(known)
        age = at_ns - quoted_at
        # Positional, in the order of the members: keyword arguments take twice as long.
        return Quote(
            symbol,
            last,
            bid,
            ask,
            last_size,
            bid_size,
            ask_size,
            price,
            quoted_at,
            age,
            price is None or abs(age) > self._stale_after_ns,
            None if last is None else last_at,
            None if bid is None else bid_at,
            None if ask is None else ask_at,
            known.updated_at,
        )

    @override
    def __repr__(self) -> str:
        state: QuotesState | None = self._book.state(QuotesView.name, SHARED)
        count = 0 if state is None else len(state.symbols)
        return f"<Quotes of {count} symbols, stale after {self._stale_after_ns / NANOSECONDS:g} s>"


def _updated(known: LatestValues, received: Values, at: int) -> LatestValues:
    """Return the values after an event that is the newest: what it leaves out stays as it was."""
    last, bid, ask, last_size, bid_size, ask_size = received
    values, times = known.values, known.times
    # Written out because a loop takes four times as long, and this runs for each quote.
    return LatestValues(
        (
            values[0] if last is None else last,
            values[1] if bid is None else bid,
            values[2] if ask is None else ask,
            values[3] if last_size is None else last_size,
            values[4] if bid_size is None else bid_size,
            values[5] if ask_size is None else ask_size,
        ),
        (
            times[0] if last is None else at,
            times[1] if bid is None else at,
            times[2] if ask is None else at,
            times[3] if last_size is None else at,
            times[4] if bid_size is None else at,
            times[5] if ask_size is None else at,
        ),
        at,
    )


def _updated_late(known: LatestValues, received: Values, at: int, now: int) -> LatestValues:
    """Return the values after an event received late: newer values stay, unless their time lies in the future."""
    values, times = list(known.values), list(known.times)
    for index, new in enumerate(received):
        if new is not None and (values[index] is None or at >= times[index] or times[index] > now >= at):
            values[index], times[index] = new, at
    updated_at = at if known.updated_at > now >= at else known.updated_at
    return LatestValues(tuple(values), tuple(times), updated_at)  # type: ignore[arg-type]


def _priced(known: LatestValues) -> tuple[Decimal | None, int]:
    """Return the price that a position is valued at, None if neither last, bid nor ask is known, and its time."""
    last, bid, ask = known.values[:3]
    last_at, bid_at, ask_at = known.times[:3]
    if last is not None:
        return last, last_at
    if bid is not None and ask is not None:
        return FIXED.divide(FIXED.add(bid, ask), _TWO), min(bid_at, ask_at)
    if bid is not None:
        return bid, bid_at
    return (None, known.updated_at) if ask is None else (ask, ask_at)


def _rank(known: LatestValues) -> tuple[bool, int]:
    """Return a sort key that is greatest for the newest price."""
    price, quoted_at = _priced(known)
    return price is not None, quoted_at


def _is_name_of(contract: Contract, name: str, contracts: ContractsState) -> bool:
    """Return whether a broker's name means this contract: it may have become another one's symbol or name."""
    return contracts.find(name) is contract


def _time(tick: Tick) -> int:
    return tick.occurred_at


def _make_room(state: QuotesState) -> None:
    """At the limit, drop the tenth of the symbols that had no event for the longest time."""
    if len(state.symbols) < SYMBOLS_MAX:
        return
    oldest = sorted(state.symbols, key=lambda symbol: state.symbols[symbol].updated_at)
    for symbol in oldest[: max(SYMBOLS_MAX // 10, 1)]:
        del state.symbols[symbol], state.ticks[symbol]
