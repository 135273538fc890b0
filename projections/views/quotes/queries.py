"""Queries about quotes: the price that a position is valued at, with its status; and what was received."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from typing_extensions import override

from eventstore import StoreError
from eventstore.clock import NANOSECONDS, Times, asked_ns
from eventstore.trading import KeptQuote, QuoteUsed, Valuation
from projections.valuation import KNOWN, Standing, stale, unknown, worst
from projections.view import SHARED, BookReader
from projections.views.contracts.names import all_names
from projections.views.contracts.view import ContractsState, ContractsView
from projections.views.quotes.acceptance import band_at
from projections.views.quotes.bounds import STALE_AFTER_NS, Bounds, BoundSettings
from projections.views.quotes.evidence import as_evidence
from projections.views.quotes.feeds import good_at
from projections.views.quotes.known import Found, KnownPrices
from projections.views.quotes.last_good import MarkedPrices
from projections.views.quotes.prices import MISSING, Now, extremes_of, valued
from projections.views.quotes.values import Observed, Price, Quote, Tick
from projections.views.quotes.view import TICKS_MAX, QuotesView, Surroundings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import timedelta
    from decimal import Decimal

    from projections.views.quotes.prices import Valued
    from projections.views.quotes.state import QuotesState, SymbolQuotes


class UnknownQuote(StoreError):
    """No price of this symbol was received since the book was opened: quotes are never stored."""

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        super().__init__(
            f"no price of {symbol} is known: quotes are never stored, so observe one on quote/-/{symbol}, or check "
            "whether the feed has the symbol"
        )


class StaleQuote(StoreError):
    """The price of a symbol must not be acted upon: it is too old, from the future, unconfirmed or of another kind."""

    def __init__(self, symbol: str, age_ns: int, stale_after_ns: int = STALE_AFTER_NS, why: str = "") -> None:
        self.symbol, self.age_ns, self.stale_after_ns, self.why = symbol, age_ns, stale_after_ns, why
        super().__init__(
            f"the newest price of {symbol} is {age_ns / NANOSECONDS:,.3f} s old and {stale_after_ns / NANOSECONDS:g} s "
            "are allowed: check the feed, or set quotes.stale_after_ns"
            if abs(age_ns) > stale_after_ns or not why
            else why
        )


class Quotes:
    """Queries about quotes. A symbol may also be a broker's name for one, and be quoted under any of its names."""

    def __init__(self, book: BookReader) -> None:
        self._book = book
        self.surroundings = Surroundings(book)
        self._marked_prices = MarkedPrices(book)
        self._known = KnownPrices()

    @property
    def bounds(self) -> BoundSettings:
        """How old and how far apart prices may be, by default and by symbol."""
        return self.surroundings.bounds

    @property
    def stale_after_ns(self) -> int:
        """How old a price may be by default, in ns; 10 s unless set. Set it in ns or as a timedelta."""
        return self.bounds.stale_after

    @stale_after_ns.setter
    def stale_after_ns(self, duration: timedelta | int) -> None:
        self.bounds.default = msgspec.structs.replace(self.bounds.default, stale_after=duration)

    @property
    def change_count(self) -> int:
        """How often anything was taken that may change a price; it never falls. The settings' changes count too."""
        return self.surroundings.changes + self.bounds.version

    def price(self, symbol: str, at_ns: int, valuation: Valuation, *, long: bool) -> Price:
        """Return the price that a long or short position is valued at, as of an instant in UNIX ns.

        It is KNOWN only if it is of the kind that was chosen, of a time within the bounds, and nothing is unconfirmed.
        """
        named, key = self._named(symbol), (symbol, valuation, long)
        is_single = len(named) == 1
        if is_single:
            quotes = named[0]
            known = self._known.get(key, quotes.received.prices, self._stale_after(quotes.name), at_ns)
            if known is not None:
                return known
        found = self._newest_of(named, at_ns, valuation, long=long)
        if found is None:
            why = f"{symbol} was not quoted since the book was opened"
            return Price(None, 0, unknown(why), self._marked(symbol))
        quotes, of = found.quotes, found.of
        if of is None:
            why = f"{symbol} has no price: {found.prices.why or 'no price was received'}"
            return Price(None, quotes.received.updated_at, unknown(why), quotes.last_good or self._marked(symbol))
        standing = self._standing(found, of, at_ns, valuation)
        price = Price(of.price, of.at, standing, QuoteUsed(of.price, of.at))
        if is_single and standing is KNOWN:
            self._known.put(key, price, found, at_ns)
        return price

    def extremes(self, symbol: str, at_ns: int, valuation: Valuation, *, long: bool) -> tuple[Decimal, Decimal] | None:
        """Return the lowest and the highest price in force during the confirming window; None before it is complete.

        The window ends with the newest observation, and is `confirm_after` long by the quotes' own times, or reaches
        back to the observation before where the newest is an own fill.
        """
        found = self._window(symbol, at_ns, valuation, long=long)
        return None if found is None else found[:2]

    def confirmed_since(self, symbol: str, at_ns: int, valuation: Valuation, *, long: bool) -> int | None:
        """Return when the oldest price of the confirming window was observed; None before it is complete."""
        found = self._window(symbol, at_ns, valuation, long=long)
        return None if found is None else found[2]

    def _window(
        self, symbol: str, at_ns: int, valuation: Valuation, *, long: bool
    ) -> tuple[Decimal, Decimal, int] | None:
        found = self._newest(symbol, at_ns, valuation, long=long)
        if found is None or found.of is None:
            return None
        quotes = found.quotes
        if self._contradiction(found, found.of, at_ns, valuation):
            return None
        # A slice is a copy made in one step, whatever is appended meanwhile.
        history = quotes.history[:]
        return extremes_of(history, valuation, quotes.limits, long=long)

    def get(
        self, symbol: str, at: Times | None = None, valuation: Valuation = Valuation.LAST_WITHIN_SPREAD
    ) -> Quote | None:
        """Return what is known of a symbol, with its age as of an instant, by default now; None if nothing is known.

        For a symbol quoted under several names, the quote with the newest price.
        """
        return self.quote_at(symbol, asked_ns(at, self._book.now_ns), valuation)

    def quote_at(self, symbol: str, at_ns: int, valuation: Valuation = Valuation.LAST_WITHIN_SPREAD) -> Quote | None:
        """Return what `get` does, as of an instant in UNIX ns that another answer is of."""
        found = self._newest(symbol, at_ns, valuation, long=True)
        if found is None:
            return None
        contracts = self._contracts()
        contract = None if contracts is None else contracts.find(symbol)
        return self._quote(symbol if contract is None else contract.symbol, found, at_ns, valuation)

    def priced(self, symbol: str, at: int) -> tuple[Decimal | None, int]:
        """Return only a quote's price, or None, and its age in ns at an instant (UNIX ns)."""
        found = self._newest(symbol, at, Valuation.LAST_WITHIN_SPREAD, long=True)
        if found is None or found.of is None:
            return None, 0
        return found.of.price, at - found.good_at

    def fresh(self, symbol: str, at: Times | None = None) -> Quote:
        """Return a quote whose price may be acted upon; raise UnknownQuote or StaleQuote if there is none."""
        quote = self.get(symbol, at)
        if quote is None or quote.price is None:
            raise UnknownQuote(symbol)
        if quote.stale:
            raise StaleQuote(quote.symbol, quote.age, self._stale_after(symbol), quote.why)
        return quote

    def all(self, at: Times | None = None) -> tuple[Quote, ...]:
        """Return the quotes of all symbols, each under the name it was received with, sorted."""
        at_ns = asked_ns(at, self._book.now_ns)
        state = self._state()
        known = {} if state is None else dict(state.symbols)
        default = Valuation.LAST_WITHIN_SPREAD
        found = [self._found(known[name], self._named(name), at_ns, default, long=True) for name in sorted(known)]
        return tuple(self._quote(each.quotes.name, each, at_ns, default) for each in found)

    def ticks(self, symbol: str) -> tuple[Tick, ...]:
        """Return a symbol's last 1,000 events in the order received; those of several names by time."""
        # A slice is a copy made in one step, whatever is appended meanwhile.
        found = [quotes.ticks[-TICKS_MAX:] for quotes in self._named(symbol) if quotes.ticks]
        if len(found) == 1:
            return tuple(map(_tick, found[0]))
        together = sorted((observed for ticks in found for observed in ticks), key=_time)
        return tuple(map(_tick, together[-TICKS_MAX:]))

    def is_newest_ignored(self, symbol: str) -> bool:
        """Return whether the newest event under exactly this name was not used as a price."""
        state = self._state()
        quotes = None if state is None else state.symbols.get(symbol)
        return quotes is not None and bool(quotes.ticks) and bool(quotes.ticks[-1].ignored)

    def kept(self, symbols: Iterable[str], since_ns: int) -> tuple[KeptQuote, ...]:
        """Return the quotes of some symbols since an instant as they were received, newest first, as evidence.

        At most 400, and about 50 KB; `ignored` says why one was not used as a price.
        """
        names = dict.fromkeys(quotes.name for symbol in symbols for quotes in self._named(symbol))
        state = self._state()
        found: list[Observed] = []
        for name in names:
            quotes = None if state is None else state.symbols.get(name)
            if quotes is not None:
                found += [each for each in quotes.ticks[-TICKS_MAX:] if each.at >= since_ns]
        return as_evidence(found)

    # Finding

    def _state(self) -> QuotesState | None:
        state: QuotesState | None = self._book.state(QuotesView.name, SHARED)
        return state

    def _contracts(self) -> ContractsState | None:
        state: ContractsState | None = self._book.state(ContractsView.name, SHARED)
        return state

    def _named(self, symbol: str) -> Sequence[SymbolQuotes]:
        """Return what is known under all names that mean the instrument; a broker's name may mean another by now."""
        state: QuotesState | None = self._book.state(QuotesView.name, SHARED)
        if state is None:
            return ()
        contracts: ContractsState | None = self._book.state(ContractsView.name, SHARED)
        symbols = state.symbols
        contract = None if contracts is None else contracts.find(symbol)
        if contract is None or not contract.broker_ids:
            known = symbols.get(symbol if contract is None else contract.symbol)
            return () if known is None else (known,)
        assert contracts is not None
        aliases = [name for name in contract.broker_ids if contracts.find(name) is contract]
        found = (symbols.get(name) for name in dict.fromkeys((contract.symbol, *aliases)))
        return [quotes for quotes in found if quotes is not None]

    def _newest(self, symbol: str, at: int, valuation: Valuation, *, long: bool) -> Found | None:
        """Return the quotes under the name that has the newest price, and that price; None if nothing is known."""
        return self._newest_of(self._named(symbol), at, valuation, long=long)

    def _newest_of(self, named: Sequence[SymbolQuotes], at: int, valuation: Valuation, *, long: bool) -> Found | None:
        found = [self._found(quotes, named, at, valuation, long=long) for quotes in named]
        # Of several the first one that none is newer than.
        return found[0] if len(found) == 1 else max(found, key=_rank, default=None)

    # Valuing

    def _found(
        self, quotes: SymbolQuotes, named: Sequence[SymbolQuotes], at: int, valuation: Valuation, *, long: bool
    ) -> Found:
        """Return the quotes under one name of those of an instrument, with their price."""
        feeds, allowed, received = self._feeds(), self._stale_after(quotes.name), quotes.received
        of = valued(received.prices, valuation, long=long, now=Now(at, feeds, allowed))
        since = received.updated_at if of is None else min([good_at(feeds, value, at) for value in of.of])
        return Found(quotes, received.prices, of, since, allowed, named)

    def _feeds(self) -> dict[str, int]:
        state = self._state()
        return {} if state is None else state.feeds

    def _stale_after(self, name: str) -> int:
        bounds = self.surroundings.bounds
        if not bounds.has_names:
            return bounds.stale_after
        return _ns(self._bounds(name).stale_after)

    def _bounds(self, name: str) -> Bounds:
        return self.bounds.of(all_names(self._contracts(), name))

    def _standing(self, found: Found, of: Valued, at: int, valuation: Valuation) -> Standing:
        quotes, age, allowed = found.quotes, at - found.good_at, found.stale_after
        pending = found.prices.pending
        contradiction = self._contradiction(found, of, at, valuation)
        if abs(age) <= allowed and not of.instead and pending is None and not contradiction:
            return KNOWN
        name, said = quotes.name, []
        if age > allowed:
            said.append(f"the price of {name} is {_seconds(age)} s old and {_seconds(allowed)} s are allowed")
        elif -age > allowed:
            said.append(f"the price of {name} has a time {_seconds(-age)} s in the future")
        if of.instead:
            said.append(f"{name} has no {MISSING[valuation]}: {of.instead} stands in for valuation {valuation.value}")
        if pending is not None:
            span = f"{pending.low}" if pending.low == pending.high else f"{pending.low}/{pending.high}"
            said.append(f"a price of {name}, {span}, is too far from {of.price} and unconfirmed")
        if contradiction:
            said.append(contradiction)
        return worst([stale(why, max(age, 0)) for why in said])

    def _contradiction(self, newest: Found, of: Valued, at: int, valuation: Valuation) -> str:
        """Return which fresh price under another name of the instrument is too far from this one, "" for none."""
        quotes = newest.quotes
        for each in newest.named:
            if each is quotes:
                continue
            other = self._found(each, newest.named, at, valuation, long=True)
            found = other.of
            if found is None or abs(at - other.good_at) > other.stale_after:
                continue
            band = max(band_at(quotes.limits, price) for price in (of.price, found.price))
            if abs(of.price - found.price) > band:
                return f"the price of {quotes.name}, {of.price}, is too far from that of {each.name}, {found.price}"
        return ""

    def _quote(self, symbol: str, found: Found, at: int, valuation: Valuation) -> Quote:
        of, received = found.of, found.quotes.received
        prices = received.prices
        last, bid, ask, mark = prices.last, prices.bid, prices.ask, prices.mark
        quoted_at = received.updated_at if of is None else of.at
        missing = unknown(prices.why or "no price was received")
        standing = missing if of is None else self._standing(found, of, at, valuation)
        # Positional, in the order of the members: keyword arguments take twice as long.
        return Quote(
            symbol,
            None if last is None else last.price,
            None if bid is None else bid.price,
            None if ask is None else ask.price,
            None if received.last_sized is None else received.last_sized.event.last_size,
            None if received.bid_sized is None else received.bid_sized.event.bid_size,
            None if received.ask_sized is None else received.ask_sized.event.ask_size,
            None if of is None else of.price,
            quoted_at,
            at - found.good_at,
            standing is not KNOWN,
            None if last is None else last.at,
            None if bid is None else bid.at,
            None if ask is None else ask.at,
            received.updated_at,
            None if mark is None else mark.price,
            None if mark is None else mark.at,
            standing.why,
        )

    def _marked(self, symbol: str) -> QuoteUsed | None:
        contracts = self._contracts()
        contract = None if contracts is None else contracts.find(symbol)
        return self._marked_prices.get(symbol if contract is None else contract.symbol)

    @override
    def __repr__(self) -> str:
        state = self._state()
        count = 0 if state is None else len(state.symbols)
        return f"<Quotes of {count} symbols, stale after {self.stale_after_ns / NANOSECONDS:g} s>"


def _tick(observed: Observed) -> Tick:
    event = observed.event
    return Tick(
        observed.at,
        event.last,
        event.bid,
        event.ask,
        event.last_size,
        event.bid_size,
        event.ask_size,
        event.mark,
        event.source,
        observed.ignored,
    )


def _rank(found: Found) -> tuple[bool, int]:
    return found.of is not None, found.good_at


def _time(observed: Observed) -> int:
    return observed.at


def _seconds(duration: int) -> str:
    return f"{duration / NANOSECONDS:,.1f}".removesuffix(".0")


def _ns(duration: int | timedelta) -> int:
    assert isinstance(duration, int)
    return duration
