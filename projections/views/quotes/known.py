"""KNOWN prices that are not computed again: as long as nothing was accepted, and none of their values can be stale."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from eventstore.trading import Valuation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from projections.views.quotes.prices import Valued
    from projections.views.quotes.state import SymbolQuotes
    from projections.views.quotes.values import Price, Prices

KNOWN_MAX = 10_000

Key = tuple[str, Valuation, bool]
"""A symbol, how it is valued, and whether for a long position."""


class Found(NamedTuple):
    """The quotes under one name, their price, and until when that was good; `named` are those under all its names.

    Without a price, `good_at` is when the name was updated. `stale_after` is how old its price may be.
    """

    quotes: SymbolQuotes
    prices: Prices
    of: Valued | None
    good_at: int
    stale_after: int
    named: Sequence[SymbolQuotes]


class _Known(NamedTuple):
    price: Price
    prices: Prices
    stale_after: int
    since: int
    until: int


class KnownPrices:
    """The KNOWN prices that were computed last, of instruments that are quoted under one name.

    From `since` to `until` each value that such a price depends on is of the past and, by its own time alone, not
    stale: whatever its feed shows since, price and status stay.
    """

    def __init__(self) -> None:
        self._known: dict[Key, _Known] = {}

    def get(self, key: Key, prices: Prices, stale_after: int, at: int) -> Price | None:
        """Return the price at an instant, of what was accepted, if it is known without computing it."""
        known = self._known.get(key)
        if known is None or known.prices is not prices or known.stale_after != stale_after:
            return None
        return known.price if known.since <= at <= known.until else None

    def put(self, key: Key, price: Price, found: Found, at: int) -> None:
        """Remember a KNOWN price of an instant, if it holds for others too."""
        prices, stale_after = found.prices, found.stale_after
        assert found.of is not None, "a KNOWN price is made of values"
        instants = [value.at for value in found.of.of]
        # Once the last price is stale, a spread that is not may hold it.
        if key[1] is Valuation.LAST_WITHIN_SPREAD and prices.last is not None:
            instants.append(prices.last.at)
        since, until = max(instants), min(instants) + stale_after
        if since <= at <= until:
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
            self._known[key] = _Known(price, prices, stale_after, since, until)
