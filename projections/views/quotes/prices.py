"""The price that a position is valued at, by the account's valuation, and the extremes of its confirming window."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from eventstore.trading import Valuation
from projections.decimals import FIXED
from projections.views.quotes.feeds import good_at
from projections.views.quotes.values import FILL, LAST, MARK, PAIR

if TYPE_CHECKING:
    from collections.abc import Callable

    from projections.views.quotes.state import PriceLimits
    from projections.views.quotes.values import Prices, Value

_TWO = Decimal(2)
_ANY = LAST | PAIR | MARK


class Now(NamedTuple):
    """An instant, what feeds have shown by then, and after how long a price is stale."""

    at: int
    feeds: dict[str, int]
    stale_after: int


class Valued(NamedTuple):
    """A price, the values that it is made of, and what it is where it is not of the kind that was chosen."""

    price: Decimal
    of: tuple[Value, ...]
    instead: str = ""

    @property
    def at(self) -> int:
        """The time of the oldest value."""
        values = self.of
        return values[0].at if len(values) == 1 else min([value.at for value in values])


def valued(prices: Prices, valuation: Valuation, *, long: bool, now: Now | None = None) -> Valued | None:
    """Return the price by a valuation, else another kind in its place; None where there is not a price at all.

    `now` is what feeds have shown by when: a quiet spread that is still good holds a last price that is stale.
    """
    found = _chosen(prices, valuation, long=long)
    if found is not None:
        if now is not None and valuation is Valuation.LAST_WITHIN_SPREAD and found.of[0] is prices.last:
            return _held_by_quiet_spread(prices, found, now)
        return found
    for instead, compute in _FALLBACKS:
        other = compute(prices)
        if other is not None:
            return other._replace(instead=instead)
    return None


def extremes_of(
    history: list[Prices], valuation: Valuation, limits: PriceLimits, *, long: bool
) -> tuple[Decimal, Decimal, int] | None:
    """Return the lowest and highest price in force during the confirming window, None before it is complete.

    And when the oldest of them was observed.

    It ends with the newest observation that the price depends on; None where that is stale beside others. Where it is
    an own fill, the one before it and itself are enough.
    """
    if not history:
        return None
    has_kind = _chosen(history[-1], valuation, long=long) is not None
    index = _newest(history, _KINDS[valuation] if has_kind else _ANY)
    if index < 0 or history[-1].at - history[index].at > limits.stale_after:
        return None
    newest = history[index]
    begin = history[max(index - 1, 0)].at if newest.seen & FILL and index else newest.at - limits.confirm_after
    low = high = None
    for prices in reversed(history[: index + 1]):
        found = valued(prices, valuation, long=long)
        if found is None:
            return None
        price = found.price
        low = price if low is None or price < low else low
        high = price if high is None or price > high else high
        if prices.at <= begin and prices is not newest:
            return low, high, prices.at
    return None


def _newest(history: list[Prices], kinds: int) -> int:
    for index in range(len(history) - 1, -1, -1):
        if history[index].seen & kinds:
            return index
    return -1


def _chosen(prices: Prices, valuation: Valuation, *, long: bool) -> Valued | None:
    match valuation:
        case Valuation.LAST_WITHIN_SPREAD:
            return _last_within_spread(prices)
        case Valuation.LAST:
            return _last(prices)
        case Valuation.MARK:
            return _mark(prices)
        case Valuation.MID:
            return _mid(prices)
        case Valuation.LIQUIDATION:
            side = prices.bid if long else prices.ask
            return None if side is None else Valued(side.price, (side,))


def _last_within_spread(prices: Prices) -> Valued | None:
    last, bid, ask = prices.last, prices.bid, prices.ask
    if last is None:
        return None
    if bid is None or ask is None:
        return Valued(last.price, (last,))
    is_bid_newer, is_ask_newer = bid.at > last.at, ask.at > last.at
    return _held(last, bid if is_bid_newer else None, ask if is_ask_newer else None)


def _held(last: Value, bid: Value | None, ask: Value | None) -> Valued:
    """Return a last price, held within the sides of a spread that count; it is as old as these where it is moved."""
    if bid is not None and last.price < bid.price:
        return Valued(bid.price, (bid,))
    if ask is not None and last.price > ask.price:
        return Valued(ask.price, (ask,))
    return Valued(last.price, (last,) if bid is None or ask is None else (bid, ask))


def _held_by_quiet_spread(prices: Prices, found: Valued, now: Now) -> Valued:
    """Return a stale last price held within a spread that its feed has shown to be still good: quiet is not dead."""
    last, bid, ask = prices.last, prices.bid, prices.ask
    if last is None or bid is None or ask is None:
        return found
    known = good_at(now.feeds, last, now.at)
    if now.at - known <= now.stale_after or min(good_at(now.feeds, each, now.at) for each in (bid, ask)) <= known:
        return found
    return _held(last, bid, ask)


def _last(prices: Prices) -> Valued | None:
    return None if prices.last is None else Valued(prices.last.price, (prices.last,))


def _mark(prices: Prices) -> Valued | None:
    return None if prices.mark is None else Valued(prices.mark.price, (prices.mark,))


def _mid(prices: Prices) -> Valued | None:
    bid, ask = prices.bid, prices.ask
    if bid is None or ask is None:
        return None
    return Valued(FIXED.divide(FIXED.add(bid.price, ask.price), _TWO), (bid, ask))


_KINDS = {
    Valuation.MARK: MARK,
    Valuation.LAST_WITHIN_SPREAD: LAST | PAIR,
    Valuation.LAST: LAST,
    Valuation.MID: PAIR,
    Valuation.LIQUIDATION: PAIR,
}
_FALLBACKS: tuple[tuple[str, Callable[[Prices], Valued | None]], ...] = (
    ("the last price", _last_within_spread),
    ("the mid of bid and ask", _mid),
    ("the mark price", _mark),
)
MISSING = {
    Valuation.MARK: "mark price",
    Valuation.LAST_WITHIN_SPREAD: "last price",
    Valuation.LAST: "last price",
    Valuation.MID: "two-sided quote",
    Valuation.LIQUIDATION: "two-sided quote",
}
"""What an instrument lacks that is valued at another kind of price than the chosen one."""
