"""The rates view: the newest exchange rate of each pair of currencies; and its queries, which convert amounts."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import msgspec
from msgspec.structs import replace
from typing_extensions import override

from eventstore import Instant
from eventstore.clock import NANOSECONDS, duration_ns
from eventstore.trading import Asset, ContractDefined, RateQuoted, Valuation
from projections.decimals import FIXED, ZERO
from projections.valuation import KNOWN, Standing, Status, stale, unknown
from projections.view import SHARED, BookReader, View
from projections.views.contracts.view import SYMBOLS_MAX, Contract, ContractsState, ContractsView, TooManySymbols
from projections.views.executions.pnl import quotes_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date, timedelta

    from eventstore import Event, Record
    from projections.views.quotes.values import Price

PAIRS_MAX = 1_000
SYMBOLS_PER_PAIR_MAX = 10
STALE_AFTER_NS = 120 * NANOSECONDS
CONFIRM_AFTER_NS = NANOSECONDS
JUMP_MAX = Decimal("0.2")
"""The share by which a rate may differ from the newest one and be used at once."""
_ONE = Decimal(1)
_CODES = (
    *("USD", "EUR", "GBP", "JPY", "CHF", "AUD", "CAD", "NZD", "BTC", "ETH"),
    *("USDT", "USDC", "TUSD", "BUSD", "FDUSD", "EURT", "EURC"),
)
"""A symbol that can be read as two pairs of these is the one whose second currency comes first here.

USDTUSD is USDT in USD, and not USD in TUSD, unless a contract states otherwise.
"""


class KeptRate(msgspec.Struct, frozen=True, gc=False):
    """One unit of `base` was worth `rate` units of `quote` at `at`, as recorded at a log position."""

    base: str
    quote: str
    rate: Decimal
    at: Instant
    recorded_at: Instant
    source: str | None
    log_position: int

    @property
    def is_ahead(self) -> bool:
        """Whether its time lies too far after its recording: the clock that it is from is wrong."""
        return self.at - self.recorded_at > STALE_AFTER_NS

    def worth_of(self, base: str) -> Decimal:
        """Return what one unit of a currency of the pair is worth in the other one."""
        return self.rate if base == self.base else FIXED.divide(_ONE, self.rate)


class PairRates(msgspec.Struct, frozen=True, gc=False):
    """The rate of a pair that is used, and a later one that differs so much that it must be confirmed first.

    `before` is the one used before it, at least a second earlier by its own time.
    """

    used: KeptRate
    unconfirmed: KeptRate | None = None
    before: KeptRate | None = None


class RatesState(msgspec.Struct):
    """Rates by pair: both codes, sorted, with a slash. `symbols` of the contracts that are quoted as a pair's rate.

    `pair_of` has the pair of each such symbol.
    """

    pairs: dict[str, PairRates] = {}
    symbols: dict[str, tuple[str, ...]] = {}
    pair_of: dict[str, str] = {}


class RatesView(View[RatesState]):
    """The newest rate of each pair by its own time, whichever of both currencies it is stated for.

    A rate that differs by more than a fifth from the newest is used once a second one, at least a second apart, agrees
    with it; one that lies in the future is used only where all do. Above 1,000 pairs the one with the oldest rate is
    dropped. A contract whose currencies form a pair is quoted as the pair's rate, unless it expires.
    """

    name: ClassVar[str] = "rates"
    revision: ClassVar[int] = 2
    types: ClassVar[tuple[type[Event], ...] | None] = (RateQuoted, ContractDefined)
    shared: ClassVar[bool] = True

    @override
    def initial(self) -> RatesState:
        return RatesState()

    @override
    def partition(self, record: Record) -> str:
        return SHARED

    @override
    def apply(self, state: RatesState, event: Event, record: Record) -> None:
        if isinstance(event, RateQuoted):
            _quote(state, event, record)
        elif isinstance(event, ContractDefined):
            _define(state, event)


class Converted(msgspec.Struct, frozen=True, gc=False):
    """An amount in another currency, None without a rate; and the rate with its time, None where none was needed."""

    amount: Decimal | None
    standing: Standing
    rate: Decimal | None = None
    rate_at: Instant | None = None


class _Rate(NamedTuple):
    """A rate with its time and status; and the symbol that it is the price of, None for one that was recorded.

    `base` is the currency whose price that is, `valuation` the kind of price.
    """

    at: int
    rate: Decimal
    standing: Standing
    symbol: str | None = None
    base: str = ""
    valuation: Valuation = Valuation.LAST_WITHIN_SPREAD


class ExchangeRates:
    """Conversions at the newest rate: one that was recorded, or the price of a symbol that is quoted as the rate."""

    def __init__(self, book: BookReader) -> None:
        self._book = book
        self._stale_after_ns = STALE_AFTER_NS

    @property
    def stale_after_ns(self) -> int:
        """How old a recorded rate may be, in ns; 120 s by default. Set it in ns or as a timedelta."""
        return self._stale_after_ns

    @stale_after_ns.setter
    def stale_after_ns(self, duration: timedelta | int) -> None:
        self._stale_after_ns = duration_ns(duration)

    def convert(self, amount: Decimal, source: str | None, target: str | None, at_ns: int) -> Converted:
        """Return an amount of one currency in another one, at the newest rate as of an instant (UNIX ns).

        A source that was never named is the account's own, which is the target. Nothing is nothing in any currency.
        """
        if source is None or source == target:
            return Converted(amount, KNOWN, _ONE)
        if not amount:
            return Converted(ZERO, KNOWN)
        if target is None:
            why = f"{source} cannot be converted: the account's currency is not known, AccountOpened states it"
            return Converted(None, unknown(why))
        found = self._newest(source, target, at_ns)
        if found is None:
            why = f"no rate from {source} to {target}: quote {source}{target}, or append RateQuoted"
            return Converted(None, unknown(why))
        return Converted(FIXED.multiply(amount, found.rate), found.standing, found.rate, found.at)

    def extremes(self, source: str, target: str, at_ns: int) -> tuple[Decimal, Decimal] | None:
        """Return the lowest and the highest rate that two observations confirm; None while there is only one.

        Of a quoted rate, those in force during the confirming window (`Quotes.extremes`); of a recorded one, it and the
        one before it.
        """
        found = self._newest(source, target, at_ns)
        if found is None:
            return None
        if found.symbol is not None:
            prices = quotes_of(self._book).extremes(found.symbol, at_ns, found.valuation, long=True)
            if prices is None or prices[0] <= 0:
                return None
            low, high = prices
            return (low, high) if found.base == source else (FIXED.divide(_ONE, high), FIXED.divide(_ONE, low))
        kept = self.kept(source, target)
        if kept is None or kept.before is None:
            return None
        rates = kept.used.worth_of(source), kept.before.worth_of(source)
        return min(rates), max(rates)

    def is_quoted_by(self, symbol: str, one: str, other: str) -> bool:
        """Return whether the price of a symbol, or of the contract that it names, is a rate of two currencies."""
        state: RatesState = self._book.state(RatesView.name, SHARED) or RatesState()
        contracts: ContractsState | None = self._book.state(ContractsView.name, SHARED)
        contract = None if contracts is None else contracts.find(symbol)
        name = symbol if contract is None else contract.symbol
        pair = _pair(one, other)
        if name not in {one + other, other + one, *state.symbols.get(pair, ())}:
            return False
        return state.pair_of.get(name, pair) == pair and _base_of(name, one, other, contract) is not None

    def kept(self, one: str, other: str) -> PairRates | None:
        """Return the recorded rates of a pair, named in either order; None without one."""
        state: RatesState | None = self._book.state(RatesView.name, SHARED)
        return None if state is None else state.pairs.get(_pair(one, other))

    def _newest(self, source: str, target: str, at_ns: int) -> _Rate | None:
        state: RatesState = self._book.state(RatesView.name, SHARED) or RatesState()
        kept = state.pairs.get(_pair(source, target))
        found = list(self._quoted(state, source, target, at_ns))
        if kept is not None:
            found.append(_Rate(kept.used.at, kept.used.worth_of(source), self._standing(kept.used, at_ns)))
        if not found:
            return None
        # A time in the future is a wrong clock's: such a rate is used only where there is no other.
        newest = max(found, key=lambda each: (each.at - at_ns <= self._stale_after_ns, each.at))
        jump = None if kept is None else kept.unconfirmed
        if jump is not None and jump.at >= newest.at and newest.standing.status is Status.KNOWN:
            why = f"the rate {jump.base}{jump.quote} {jump.rate} is not confirmed: it jumped by over 20 %"
            return newest._replace(standing=stale(why))
        return newest

    def _standing(self, kept: KeptRate, at_ns: int) -> Standing:
        age, allowed = at_ns - kept.at, self._stale_after_ns
        if abs(age) <= allowed:
            return KNOWN
        name = f"{kept.base}{kept.quote}"
        if age < 0:
            return stale(f"the rate {name} lies {-age / NANOSECONDS:,.0f} s in the future", age)
        return stale(f"the rate {name} is {age / NANOSECONDS:,.0f} s old, {allowed / NANOSECONDS:g} s are allowed", age)

    def _quoted(self, state: RatesState, source: str, target: str, at_ns: int) -> Iterator[_Rate]:
        """Yield the price of each quoted symbol that says what one currency is worth in the other."""
        pair = _pair(source, target)
        symbols = state.symbols.get(pair, ())
        contracts: ContractsState | None = self._book.state(ContractsView.name, SHARED)
        for symbol in dict.fromkeys((source + target, target + source, *symbols)):
            contract = None if contracts is None else contracts.find(symbol)
            listed = None if contract is None else state.pair_of.get(contract.symbol)
            if listed is None:
                base = _base_of(symbol, source, target, contract)
            else:
                base = None if contract is None or listed != pair else contract.base_currency
            if base is None:
                continue
            price, valuation = self._priced(symbol, at_ns)
            if price.price is not None and price.price > 0:
                rate = price.price if base == source else FIXED.divide(_ONE, price.price)
                yield _Rate(price.at, rate, price.standing, symbol, base, valuation)

    def _priced(self, symbol: str, at_ns: int) -> tuple[Price, Valuation]:
        """Return a symbol's mid of bid and ask; or the last price, if only that is KNOWN."""
        quotes = quotes_of(self._book)
        mid = quotes.price(symbol, at_ns, Valuation.MID, long=True)
        if mid.standing.status is not Status.KNOWN:
            last = quotes.price(symbol, at_ns, Valuation.LAST_WITHIN_SPREAD, long=True)
            if last.standing.status is Status.KNOWN:
                return last, Valuation.LAST_WITHIN_SPREAD
        return mid, Valuation.MID


def _base_of(symbol: str, one: str, other: str, contract: Contract | None) -> str | None:
    """Return whose price in the other currency a symbol's is by its name; None if it is another pair's, or may be."""
    base, quote = (one, other) if symbol == one + other else (other, one)
    if contract is not None and not _may_be_rate(contract.expiry, contract.asset):
        return None
    stated = None if contract is None else contract.currency
    if contract is not None and contract.inverse and stated == base:
        return base
    if stated is not None:
        # What a contract costs is in its currency: it decides, whatever its name looks like.
        return base if stated == quote else None
    return base if quote == _quoted_in(symbol, base, quote) else None


def _may_be_rate(expiry: date | None, asset: Asset | None) -> bool:
    """Return whether a contract is for what is paid for now: a future or an option has another price."""
    return expiry is None and asset in {None, Asset.FX, Asset.CRYPTO}


def _quoted_in(symbol: str, base: str, quote: str) -> str:
    """Return in which currency a symbol without a contract is quoted, if it may be read as another pair too."""
    splits = [(symbol[:length], symbol[length:]) for length in range(3, len(symbol) - 2)]
    found = [second for first, second in splits if {first, second} <= set(_CODES) or (first, second) == (base, quote)]
    return min(found, key=lambda code: _CODES.index(code) if code in _CODES else len(_CODES), default=quote)


def _pair(one: str, other: str) -> str:
    return f"{one}/{other}" if one < other else f"{other}/{one}"


def _quote(state: RatesState, event: RateQuoted, record: Record) -> None:
    if event.base == event.quote:
        return
    pair = _pair(event.base, event.quote)
    fresh = KeptRate(
        event.base, event.quote, event.rate, record.occurred_at, record.recorded_at, event.source, record.position
    )
    known = state.pairs.get(pair)
    pairs = {**state.pairs, pair: PairRates(fresh) if known is None else _after(known, fresh)}
    if len(pairs) > PAIRS_MAX:
        del pairs[min(pairs, key=lambda each: pairs[each].used.at)]
    state.pairs = pairs


def _after(known: PairRates, fresh: KeptRate) -> PairRates:
    """Return the rates of a pair after a further one."""
    used, jump = known.used, known.unconfirmed
    if used.is_ahead != fresh.is_ahead:
        # Whatever is right, it is not the clock that runs ahead.
        return PairRates(fresh) if used.is_ahead else known
    if fresh.at < used.at:
        return _with_late(known, fresh)
    if _agree(used, fresh):
        return _using(known, fresh, jump if jump is not None and jump.at > fresh.at else None)
    if jump is None or (fresh.at >= jump.at and not _agree(jump, fresh)):
        return replace(known, unconfirmed=fresh)
    if abs(fresh.at - jump.at) >= CONFIRM_AFTER_NS and _agree(jump, fresh):
        first, second = sorted((jump, fresh), key=lambda each: each.at)
        return PairRates(second, before=first)
    return known


def _using(known: PairRates, fresh: KeptRate, jump: KeptRate | None) -> PairRates:
    """Return the rates with a fresh one in use, and the newest that is at least a second older."""
    before = known.used if fresh.at - known.used.at >= CONFIRM_AFTER_NS else known.before
    return PairRates(fresh, jump, before)


def _with_late(known: PairRates, fresh: KeptRate) -> PairRates:
    """Return the rates with one that is reported late, which may be the one before that in use."""
    used, before = known.used, known.before
    is_before = used.at - fresh.at >= CONFIRM_AFTER_NS and (before is None or before.at <= fresh.at)
    return replace(known, before=fresh) if is_before and _agree(used, fresh) else known


def _agree(one: KeptRate, other: KeptRate) -> bool:
    difference = FIXED.subtract(other.worth_of(one.base), one.rate)
    return difference.copy_abs() <= FIXED.multiply(one.rate, JUMP_MAX)


def _define(state: RatesState, event: ContractDefined) -> None:
    """Keep which contracts are quoted as a pair's rate: the newest ten of each pair."""
    symbol, base, quote = event.symbol, event.base_currency, event.currency
    pair = _pair(base, quote) if _may_be_rate(event.expiry, event.asset) and base and quote and base != quote else None
    earlier = state.pair_of.get(symbol)
    if pair == earlier:
        return
    if earlier is not None:
        state.symbols[earlier] = tuple(each for each in state.symbols[earlier] if each != symbol)
        del state.pair_of[symbol]
    if pair is None:
        return
    if len(state.pair_of) >= SYMBOLS_MAX:
        raise TooManySymbols(RatesView.name, symbol)
    names = (*state.symbols.get(pair, ()), symbol)
    for dropped in names[:-SYMBOLS_PER_PAIR_MAX]:
        del state.pair_of[dropped]
    state.symbols[pair], state.pair_of[symbol] = names[-SYMBOLS_PER_PAIR_MAX:], pair


def rates_of(book: BookReader) -> ExchangeRates:
    """Return the book's own rates, which hold the age limit that was set; else rates with the default limit."""
    found = getattr(book, "rates", None)
    return found if isinstance(found, ExchangeRates) else ExchangeRates(book)
