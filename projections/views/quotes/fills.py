"""Own fills as last prices: each execution once, at its own time, and no longer once it is busted."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from projections.decimals import ZERO
from projections.views.quotes.acceptance import beside_spread, confirms, price_fault
from projections.views.quotes.receiving import extend, is_unusable, place, set_back
from projections.views.quotes.values import FILL, LAST, Observed, Prices, Received, Value

if TYPE_CHECKING:
    from decimal import Decimal

    from projections.views.quotes.acceptance import Four
    from projections.views.quotes.state import PriceLimits, QuotesState, SymbolQuotes
    from projections.views.quotes.values import Unconfirmed

V = TypeVar("V", Value, Observed)

EXECUTIONS_MAX = 20_000
REPLACED_MAX = 10


def is_new(state: QuotesState, key: tuple[str, str], symbol: str) -> bool:
    """Return whether a report is the first of its execution, and remember it: a repetition is not a newer price."""
    executions = state.executions
    known = executions.get(key, ())
    if state.busted:
        busted = state.busted.get(key, ())
        if symbol in busted or None in busted:
            return False
    if known:
        if symbol in known:
            return False
        executions[key] = (*known, symbol)
        return True
    executions[key] = (symbol,)
    # Finding a dict's first key skips over all that were deleted before it, so many are dropped at once.
    spare = EXECUTIONS_MAX // 8
    if len(executions) > EXECUTIONS_MAX + spare:
        for oldest in list(islice(executions, 1 + spare)):
            del executions[oldest]
    return True


def note_busted(state: QuotesState, key: tuple[str, str], symbol: str | None) -> None:
    """Remember a bust: a report of the trade that comes later is not a price."""
    known = state.busted.get(key, ())
    if symbol not in known:
        state.busted[key] = (*known, symbol)
        if len(state.busted) > EXECUTIONS_MAX:
            del state.busted[next(iter(state.busted))]


def take_fill(quotes: SymbolQuotes, fill: Value, now: int) -> None:  # noqa: C901 - calls cost, and this runs for every fill
    """Take an own fill as a last price, unless a newer one is known: it is accepted at once, and settles what is not.

    What is unconfirmed is confirmed by a fill near it, and dropped by any other.
    """
    if quotes.received.prices.at > now:
        set_back(quotes, now)
    limits, known, price, happened_at = quotes.limits, quotes.received, fill.price, fill.at
    before = known.prices
    last = before.last
    if price <= ZERO and price_fault(limits, "fill", price):
        return
    if happened_at <= quotes.unusable_until and is_unusable(quotes, happened_at, now):
        return
    if last is not None:
        is_newer = happened_at >= last.at or last.at > now >= happened_at
        quotes.replaced = (*quotes.replaced[1 - REPLACED_MAX :], last if is_newer else fill)
        if not is_newer:
            place(quotes, happened_at, LAST | FILL, {"last": fill})
            return
    at = min(now, happened_at)
    values: Four = (fill, before.bid, before.ask, before.mark)
    if at < before.at:
        # It happened before the newest observation: it confirms nothing, and later prices are not compared with it.
        prices = replace(before, seen=0, last=fill)
    else:
        pending = before.pending
        if pending is not None and confirms(limits, (fill.price, fill.price), pending):
            values = _with_confirmed(values, pending)
        low, high = before.low, before.high
        if happened_at - now <= limits.stale_after:
            low = high = price
            if values[1] is not None:
                low, high = beside_spread(limits, (price, price), values[1], values[2])
        prices = Prices(at, LAST | FILL, *values, low, high)
    received, updated_at = known.last, known.updated_at
    if received is None or happened_at >= received.at:
        received = fill
    updated_at = max(updated_at, happened_at)
    quotes.received = replace(known, last=received, updated_at=updated_at, prices=prices)
    extend(quotes, prices)


def without_fill(quotes: SymbolQuotes, key: tuple[str, str], corrected: Decimal | None = None) -> None:
    """Let a busted fill be no price any more, where it is the last one; or give it its corrected price."""
    quotes.replaced = tuple(value for value in quotes.replaced if value.fill != key)
    known = quotes.received
    before = known.prices
    if before.last is None or before.last.fill != key:
        if any(prices.last is not None and prices.last.fill == key for prices in quotes.history):
            restart(quotes, before, before.why)
        return
    last: Value | None = None
    if corrected is not None and not price_fault(quotes.limits, "fill", corrected):
        last = replace(before.last, price=corrected)
    elif quotes.replaced:
        last = max(quotes.replaced, key=_time)
        quotes.replaced = tuple(value for value in quotes.replaced if value is not last)
    is_received = known.last is not None and known.last.fill == key
    prices = replace(before, seen=0, last=last)
    quotes.received = replace(known, last=last if is_received else known.last, prices=prices)
    restart(quotes, prices, "its only price was that of a trade that was busted")


def restart(quotes: SymbolQuotes, prices: Prices, why: str) -> None:
    """Go on from prices of which some were taken away: what came before confirms nothing any more."""
    low, high = _newest_span(quotes.limits, prices)
    has_any = any((prices.last, prices.bid, prices.mark))
    prices = replace(prices, seen=0, low=low, high=high, why="" if has_any else why)
    quotes.received = replace(quotes.received, prices=prices)
    quotes.history = [replace(prices, seen=_ALL)] if has_any else []


_ALL = 7


def usable_after(quotes: SymbolQuotes, at: int, now: int, why: str) -> None:
    """Drop all values up to an instant, and those of the future that were received before now."""
    known = quotes.received
    before = known.prices

    def kept(value: V | None) -> V | None:
        return None if value is None or not at < value.at <= now else value

    bid, ask = kept(before.bid), kept(before.ask)
    if bid is None or ask is None:
        bid = ask = None
    prices = Prices(before.at, 0, kept(before.last), bid, ask, kept(before.mark))
    quotes.replaced = tuple(value for value in quotes.replaced if kept(value) is not None)
    quotes.unusable_until, quotes.unusable_why = max(quotes.unusable_until, at), why
    quotes.received = Received(
        kept(known.last),
        kept(known.bid),
        kept(known.ask),
        kept(known.mark),
        kept(known.last_sized),
        kept(known.bid_sized),
        kept(known.ask_sized),
        known.updated_at,
        prices,
    )
    restart(quotes, prices, why)


def _with_confirmed(values: Four, pending: Unconfirmed) -> Four:
    """Return values with those that a fill confirms, where they are newer; the fill itself is the last price."""
    last, *others = values
    found = [new if new is not None and (old is None or new.at >= old.at) else old
             for old, new in zip(others, pending.values[1:], strict=True)]  # fmt: skip
    return last, found[0], found[1], found[2]


def _newest_span(limits: PriceLimits, prices: Prices) -> tuple[Decimal | None, Decimal | None]:
    last, bid, ask, mark = prices.last, prices.bid, prices.ask, prices.mark
    singles = [value for value in (last, mark) if value is not None]
    newest = max(singles, key=_time) if singles else None
    if bid is not None and ask is not None and (newest is None or bid.at > newest.at):
        return bid.price, ask.price
    if newest is None:
        return None, None
    return beside_spread(limits, (newest.price, newest.price), bid, ask)


def _time(value: Value) -> int:
    return value.at
