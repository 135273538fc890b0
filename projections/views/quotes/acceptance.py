"""Which values are prices: what is not a quote, what is too far from the accepted prices, and what confirms it."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec.structs import replace

from projections.decimals import ZERO
from projections.views.quotes.values import LAST, MARK, PAIR, Prices, Received, Unconfirmed, Value

if TYPE_CHECKING:
    from projections.views.quotes.state import PriceLimits

Four = tuple[Value | None, Value | None, Value | None, Value | None]
"""Last, bid, ask and mark."""

ONE = Decimal(1)


def judged(limits: PriceLimits, known: Received, values: Four, at: int) -> tuple[Prices, str]:
    """Return the accepted prices after values were received, observed at `at`, and why any of them is not a price."""
    prices = known.prices
    last, bid, ask, mark = values
    found = None
    if mark is known.mark and prices.pending is None:
        # The usual cases, one kind near the accepted prices: this runs for each quote.
        if bid is known.bid and ask is known.ask:
            if last is known.last:
                return prices, ""
            found = _with_last(limits, prices, last, at)
        elif last is known.last:
            found = _with_spread(limits, prices, bid, ask, at)
    if found is not None:
        return found, ""
    return _Judgement(limits, known, values, at).result()


def _with_spread(limits: PriceLimits, prices: Prices, bid: Value | None, ask: Value | None, at: int) -> Prices | None:
    """Return prices with a spread that is sound and near; None where that takes a closer look."""
    if bid is None or ask is None:
        return None
    low, high = bid.price, ask.price
    below, above = prices.low, prices.high
    if not ZERO < low <= high or (limits.spread_max is not None and high - low > limits.spread_max):
        return None
    is_inside = below is not None and above is not None and low >= below and high <= above
    if is_inside or is_near(limits, (low, high), prices, ONE):
        return Prices(at, PAIR, prices.last, bid, ask, prices.mark, low, high)
    return None


def _with_last(limits: PriceLimits, prices: Prices, last: Value | None, at: int) -> Prices | None:
    """Return prices with a last price that is near; None where that takes a closer look."""
    if last is None or last.price <= ZERO:
        return None
    span, bid, ask = (last.price, last.price), prices.bid, prices.ask
    if not is_near(limits, span, prices, ONE):
        return None
    if bid is not None and ask is not None and bid.price <= last.price <= ask.price:
        low, high = bid.price, ask.price
    else:
        low, high = beside_spread(limits, span, bid, ask)
    return Prices(at, LAST, last, bid, ask, prices.mark, low, high)


class _Judgement:
    """The values of one event, kind by kind: those that are not a price, those that are near, those that are far."""

    def __init__(self, limits: PriceLimits, known: Received, values: Four, at: int) -> None:
        self.limits, self.known, self.before, self.at = limits, known, known.prices, at
        before = self.before
        self.accepted: Four = (before.last, before.bid, before.ask, before.mark)
        self.values = values
        self.faults: list[str] = []
        self.near = self.far = 0
        last, bid, ask, mark = values
        if bid is not known.bid or ask is not known.ask:
            self._place(PAIR, spread_fault(limits, bid, ask), (bid, ask))
        if last is not known.last and last is not None:
            self._place(LAST, price_fault(limits, "last", last.price), (last, last))
        if mark is not known.mark and mark is not None:
            self._place(MARK, price_fault(limits, "mark", mark.price), (mark, mark))

    def _place(self, kind: int, fault: str, span: tuple[Value | None, Value | None]) -> None:
        low, high = span
        if fault or low is None or high is None:
            self.faults.append(fault)
            self._stop_keeping(kind)
            return
        before, factor = self.before, ONE
        if self.at - before.at > self.limits.gap_after:
            factor = self.limits.gap_factor
        if before.low is None or is_near(self.limits, (low.price, high.price), before, factor):
            self.near |= kind
        else:
            self.far |= kind

    def result(self) -> tuple[Prices, str]:
        pending, taken = self.before.pending, self.near
        if pending is not None and self._drops():
            pending = None
        if self.far:
            low, high = self._span(self.far)
            if pending is not None and confirms(self.limits, (low, high), pending):
                if self.at - pending.at >= self.limits.confirm_after:
                    pending, taken = None, taken | self.far
            else:
                pending = Unconfirmed(low, high, self.at, self._only(self.far))
            if pending is not None:
                self.faults.append(f"{_span_text(low, high)} is too far from the accepted prices, and unconfirmed")
                self._stop_keeping(self.far)
        self._take(taken)
        reference = self._reference(taken) if taken else (self.before.low, self.before.high)
        at, why = (self.at, "") if taken else (self.before.at, self.before.why)
        last, bid, ask, mark = self.accepted
        return Prices(at, taken, last, bid, ask, mark, *reference, pending, why), "; ".join(self.faults)

    def _drops(self) -> bool:
        """Return whether a price is back near the accepted ones: a repeated last is not news beside a far price."""
        if self.near & PAIR or (self.near and not self.far):
            return True
        last, mark = self.values[0], self.values[3]
        return bool(self.near & LAST and _is_other(last, self.before.last)) or bool(
            self.near & MARK and _is_other(mark, self.before.mark)
        )

    def _take(self, kinds: int) -> None:
        new, old = self.values, self.accepted
        bid, ask = (new[1], new[2]) if kinds & PAIR else (old[1], old[2])
        self.accepted = (new[0] if kinds & LAST else old[0], bid, ask, new[3] if kinds & MARK else old[3])

    def _stop_keeping(self, kinds: int) -> None:
        """Let nothing of its feed keep a price fresh that the feed has replaced by something unusable."""
        last, bid, ask, mark = self.accepted
        if kinds & PAIR:
            bid, ask = _without_source(bid), _without_source(ask)
        self.accepted = (
            _without_source(last) if kinds & LAST else last,
            bid,
            ask,
            _without_source(mark) if kinds & MARK else mark,
        )

    def _only(self, kinds: int) -> Four:
        last, bid, ask, mark = self.values
        pair = (bid, ask) if kinds & PAIR else (None, None)
        return last if kinds & LAST else None, *pair, mark if kinds & MARK else None

    def _span(self, kinds: int) -> tuple[Decimal, Decimal]:
        found = [value.price for value in self._only(kinds) if value is not None]
        return min(found), max(found)

    def _reference(self, taken: int) -> tuple[Decimal, Decimal]:
        low, high = self._span(taken)
        if taken & PAIR:
            return low, high
        return beside_spread(self.limits, (low, high), self.accepted[1], self.accepted[2])


def spread_fault(limits: PriceLimits, bid: Value | None, ask: Value | None) -> str:
    """Return why bid and ask are not a price, "" where they are one."""
    if bid is None or ask is None:
        return f"a {'bid' if ask is None else 'ask'} alone is not two-sided"
    low, high = bid.price, ask.price
    if not limits.may_be_negative and (low <= ZERO or high <= ZERO):
        return f"bid {low} and ask {high} are not two-sided"
    if limits.may_be_negative and low == high and low in _SENTINELS:
        return f"bid {low} and ask {high} are not two-sided"
    if low > high:
        return f"bid {low} and ask {high} are crossed"
    if limits.spread_max is not None and high - low > limits.spread_max:
        return f"bid {low} and ask {high} are further apart than {limits.spread_max}"
    return ""


_SENTINELS = frozenset({ZERO, Decimal(-1)})
"""Feeds say 0/0 or -1/-1 where there is none: that is not a price where it may be negative, either."""


def price_fault(limits: PriceLimits, name: str, price: Decimal) -> str:
    if price > ZERO or limits.may_be_negative:
        return ""
    return f"{name} {price} is not a price: only a contract that may be negative has one of zero or below"


def is_near(
    limits: PriceLimits, span: tuple[Decimal, Decimal], accepted: Prices | Unconfirmed, factor: Decimal
) -> bool:
    """Return whether low and high are within the band around accepted prices."""
    low, high = span
    below, above = accepted.low, accepted.high
    if below is None or above is None:
        return True
    return (low >= below or below - low <= band_at(limits, below, factor)) and (
        high <= above or high - above <= band_at(limits, above, factor)
    )


def band_at(limits: PriceLimits, price: Decimal, factor: Decimal = ONE) -> Decimal:
    """Return how far from a price another one may be."""
    band = limits.band_min
    if limits.band is not None:
        band = max(band, abs(limits.band * price))
    return band if factor is ONE else band * factor


def confirms(limits: PriceLimits, span: tuple[Decimal, Decimal], pending: Unconfirmed) -> bool:
    """Return whether a price is near an unconfirmed one."""
    return is_near(limits, span, pending, ONE)


def beside_spread(
    limits: PriceLimits, span: tuple[Decimal, Decimal], bid: Value | None, ask: Value | None
) -> tuple[Decimal, Decimal]:
    """Return the accepted price, with the spread that still stands around it: what is compared with the next one."""
    low, high = span
    if bid is None or ask is None:
        return low, high
    near = Unconfirmed(bid.price, ask.price, 0, (None, bid, ask, None))
    if not confirms(limits, span, near):
        return low, high
    return min(low, bid.price), max(high, ask.price)


def _without_source(value: Value | None) -> Value | None:
    return value if value is None or value.source is None else replace(value, source=None)


def _is_other(value: Value | None, before: Value | None) -> bool:
    return value is not None and (before is None or value.price != before.price)


def _span_text(low: Decimal, high: Decimal) -> str:
    return f"{low}" if low == high else f"{low}/{high}"
