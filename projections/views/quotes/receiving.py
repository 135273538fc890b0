"""Taking events into a symbol's quotes: a value replaces one that is not newer; accepted ones join the history."""

from __future__ import annotations

import functools
import operator
from bisect import bisect_right
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from projections.views.quotes.acceptance import ONE, is_near, judged, price_fault, spread_fault
from projections.views.quotes.values import FILL, LAST, MARK, NO_PRICES, PAIR, Observed, Prices, Received, Value

if TYPE_CHECKING:
    from decimal import Decimal

    from eventstore.trading import QuoteReceived
    from projections.views.quotes.acceptance import Four
    from projections.views.quotes.state import PriceLimits, SymbolQuotes

HISTORY_MAX = 512
"""So many accepted prices of one window are kept one by one; of more, the lowest and highest of each span."""
SLACK = 256
SPANS = 32
"""The parts of a confirming window that prices are summed up by."""


def receive(quotes: SymbolQuotes, event: QuoteReceived, at: int, now: int) -> Observed:
    """Take a quote of a time that was received now; return it with why any of its values is not a price."""
    set_back(quotes, now)
    known = quotes.received
    before = known.prices
    if at <= quotes.unusable_until and is_unusable(quotes, at, now):
        if not quotes.history:
            quotes.received = replace(known, prices=replace(before, why=quotes.unusable_why))
        return Observed(at, event, quotes.unusable_why)
    observed = Observed(at, event)
    received_at = at
    # A time in the future is not a time at which it was observed; and the history does not go back.
    if not before.at <= at <= now:
        received_at = max(min(at, now), before.at)
    if at < known.updated_at:
        return _receive_late(quotes, observed, received_at, now)
    values = _updated(known, event, at)
    prices, ignored = judged(quotes.limits, known, values, received_at)
    if at > now:
        prices = _from_ahead(quotes, prices, at - now)
    last, bid, ask, mark = values
    quotes.received = Received(
        last,
        bid,
        ask,
        mark,
        known.last_sized if event.last_size is None else observed,
        known.bid_sized if event.bid_size is None else observed,
        known.ask_sized if event.ask_size is None else observed,
        at,
        prices,
    )
    if prices is not before and prices.seen:
        extend(quotes, prices)
    return observed if not ignored else Observed(at, event, ignored)


def _receive_late(quotes: SymbolQuotes, observed: Observed, received_at: int, now: int) -> Observed:
    """Take a quote that is older than the newest: newer values stay, unless their time lies in the future."""
    known, at, event = quotes.received, observed.at, observed.event
    values = (
        _later(known.last, event.last, observed, now),
        _later(known.bid, event.bid, observed, now),
        _later(known.ask, event.ask, observed, now),
        _later(known.mark, event.mark, observed, now),
    )
    sizes = (
        observed if _replaces(known.last_sized, event.last_size, at, now) else known.last_sized,
        observed if _replaces(known.bid_sized, event.bid_size, at, now) else known.bid_sized,
        observed if _replaces(known.ask_sized, event.ask_size, at, now) else known.ask_sized,
    )
    prices, ignored = judged(quotes.limits, known, values, received_at)
    prices = _from_ahead(quotes, prices, at - now)
    updated_at = known.updated_at
    if updated_at > now >= at:
        # It was of a time in the future: the newest of those that are left.
        updated_at = max([each.at for each in (*values, *sizes) if each is not None], default=at)
    quotes.received = Received(*values, *sizes, updated_at, prices)
    if prices is not known.prices and prices.seen:
        extend(quotes, prices)
    if at <= now:
        _place_late(quotes, observed, known, now)
    return Observed(at, event, ignored)


def _place_late(quotes: SymbolQuotes, observed: Observed, known: Received, now: int) -> None:
    """Let values that replace none have been in force at their time, as far as they are near the accepted prices."""
    limits, prices, at, event = quotes.limits, known.prices, observed.at, observed.event
    source, seen, values = event.source, 0, dict[str, Any]()

    def value(price: Decimal | None) -> Value | None:
        return None if price is None else Value(price, at, source)

    for kind, price, newer, name in ((LAST, event.last, known.last, "last"), (MARK, event.mark, known.mark, "mark")):
        if price is None or _replaces(newer, price, at, now) or price_fault(limits, name, price):
            continue
        if is_near(limits, (price, price), prices, ONE):
            seen |= kind
            values[name] = value(price)
    bid, ask = value(event.bid), value(event.ask)
    has_new = _replaces(known.bid, event.bid, at, now) or _replaces(known.ask, event.ask, at, now)
    if bid is not None and ask is not None and not has_new and not spread_fault(limits, bid, ask):
        is_pair_near = is_near(limits, (bid.price, ask.price), prices, ONE)
        seen |= PAIR * is_pair_near
        values |= {"bid": bid, "ask": ask} if is_pair_near else {}
    if seen:
        place(quotes, at, seen, values)


def place(quotes: SymbolQuotes, at: int, seen: int, values: dict[str, Any]) -> None:
    """Add values to the history where they belong: they were reported late, and are in force until the next entry.

    So the order in which prices are reported decides nothing that is confirmed. Later entries keep what they have.
    """
    history = quotes.history
    index = bisect_right(history, at, key=_at)
    if index == len(history):
        return
    before = history[index - 1] if index else NO_PRICES
    late = replace(before, at=at, seen=seen, pending=None, **values)
    _keep(quotes, [*history[:index], late, *history[index:]])


def is_unusable(quotes: SymbolQuotes, at: int, now: int) -> bool:
    """Return whether a price of a time is from before its contract was split, or its name meant something else."""
    # A clock that has been set back since must not keep out what comes now.
    quotes.unusable_until = min(quotes.unusable_until, now)
    return at <= quotes.unusable_until


def set_back(quotes: SymbolQuotes, now: int) -> None:
    """Restart the history where it lies in the future: the clock has been set back since.

    What was accepted is in force from now on, so that nothing is confirmed earlier than by a later price.
    """
    before = quotes.received.prices
    if before.at <= now:
        return
    pending = before.pending
    if pending is not None:
        pending = replace(pending, at=min(pending.at, now))
    prices = replace(before, at=now, pending=pending)
    quotes.received = replace(quotes.received, prices=prices)
    quotes.history = [prices] if quotes.history else []


def _from_ahead(quotes: SymbolQuotes, prices: Prices, ahead: int) -> Prices:
    """Return prices of a time too far ahead, by a wrong clock: what comes later is not compared with them."""
    before = quotes.received.prices
    if prices is before or ahead <= quotes.limits.stale_after:
        return prices
    return replace(prices, low=before.low, high=before.high)


def extend(quotes: SymbolQuotes, prices: Prices) -> None:
    """Add accepted prices to the history, and trim what lies before the confirming window."""
    history = quotes.history
    history.append(prices)
    if len(history) > quotes.trim_length:
        _keep(quotes, history)


def _keep(quotes: SymbolQuotes, history: list[Prices]) -> None:
    """Keep a history, trimmed where it is too long."""
    if len(history) > quotes.trim_length:
        history = _trimmed(history, quotes.limits)
        # Some more are allowed, so that the list is not copied at every event.
        quotes.trim_length = len(history) + max(len(history) // 2, SLACK)
    quotes.history = history


def _at(prices: Prices) -> int:
    return prices.at


def _trimmed(history: list[Prices], limits: PriceLimits) -> list[Prices]:
    """Return what the confirming windows of all kinds of prices need that are not stale."""
    newest = history[-1].at
    ends = [next((each.at for each in reversed(history) if each.seen & kind), 0) for kind in (LAST, PAIR, MARK)]
    begin = min([end for end in ends if newest - end <= limits.stale_after], default=newest) - limits.confirm_after
    index = len(history) - 1
    # The last one before the window is in force when it begins.
    while index > 0 and history[index].at > begin:
        index -= 1
    history = history[index:]
    return history if len(history) <= HISTORY_MAX else _summed_up(history, max(limits.confirm_after // SPANS, 1))


def _summed_up(history: list[Prices], span: int) -> list[Prices]:
    """Return a history with the lowest and the highest values of each span, and the newest ones: never narrower."""
    found: list[Prices] = []
    group: list[Prices] = []
    for prices in history[:-1]:
        if group and prices.at // span != group[0].at // span:
            found += _extremes(group)
            group = []
        group.append(prices)
    return [*found, *_extremes(group), history[-1]]


def _extremes(group: list[Prices]) -> list[Prices]:
    """Return one with the lowest and one with the highest values of several, at the first and the last time."""
    if len(group) < 3:  # noqa: PLR2004 - two stand for themselves
        return group
    first, last = group[0], group[-1]
    low_last, high_last = _range([each.last for each in group])
    low_bid, high_bid = _range([each.bid for each in group])
    low_ask, high_ask = _range([each.ask for each in group])
    low_mark, high_mark = _range([each.mark for each in group])
    seen = functools.reduce(operator.or_, [each.seen for each in group]) & ~FILL
    return [
        Prices(first.at, seen, low_last, low_bid, low_ask, low_mark),
        Prices(last.at, seen, high_last, high_bid, high_ask, high_mark),
    ]


def _range(values: list[Value | None]) -> tuple[Value | None, Value | None]:
    found = [value for value in values if value is not None]
    return (min(found, key=_price), max(found, key=_price)) if found else (None, None)


def _price(value: Value) -> Decimal:
    return value.price


def _updated(known: Received, event: QuoteReceived, at: int) -> Four:
    """Return the values after an event that is the newest: what it leaves out stays as it was."""
    source = event.source
    # Written out because a loop takes four times as long, and this runs for each quote.
    return (
        known.last if event.last is None else Value(event.last, at, source),
        known.bid if event.bid is None else Value(event.bid, at, source),
        known.ask if event.ask is None else Value(event.ask, at, source),
        known.mark if event.mark is None else Value(event.mark, at, source),
    )


def _later(known: Value | None, price: Decimal | None, observed: Observed, now: int) -> Value | None:
    """Return a new value where it is not older than the one known, or that one's time lies in the future."""
    if price is None or not _replaces(known, price, observed.at, now):
        return known
    return Value(price, observed.at, observed.event.source)


def _replaces(known: Value | Observed | None, given: Decimal | None, at: int, now: int) -> bool:
    return given is not None and (known is None or at >= known.at or known.at > now >= at)
